"""Tables of every version that was ever written can still be read: see golden/README.md."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from affcli import tables
from affcli.cli.windowed import read_windows
from affcli.labels.read import read_affect
from affcli.recipes import outline
from affcli.schemas import AFFECT, AUDIO, FACES, FEATURES, SCHEMAS, TRACKS, Schema

GOLDEN = Path(__file__).with_name("golden")
V1 = GOLDEN / "v1"
FILES = {
    "faces": "clip_left.faces.parquet",
    "tracks": "clip.tracks.parquet",
    "audio": "clip_left.audio.parquet",
    "features": "clip_left.toy.parquet",
    "affect": "clip_left.affect.parquet",
    "windows": "windows.parquet",
}


def read(schema: Schema, version: int = 1) -> tables.Table:
    path = GOLDEN / f"v{version}" / FILES[schema.name]
    table = tables.read(path, schema)
    tables.verify_array(path, table.header)
    assert (table.data.num_rows, table.clip) == (4, "clip_left")
    assert table.column("frame").tolist() == [0, 1, 2, 3]
    return table


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=lambda schema: schema.name)
def test_every_version_of_every_table_has_a_file(schema: Schema) -> None:
    for version in range(1, schema.version + 1):
        assert (GOLDEN / f"v{version}" / FILES[schema.name]).exists()


def test_faces_of_version_1_lack_what_came_later() -> None:
    table = read(FACES)
    assert table.header.version == 1
    assert not table.column("ambiguous").any()
    assert np.isnan(table.column("confidence")).all() and np.isnan(table.column("jpeg_end")).all()


def test_faces_of_version_2() -> None:
    table = read(FACES, 2)
    assert table.column("confidence")[:3] == pytest.approx([0.9, 0.4, 0.8])
    assert table.column("ambiguous").tolist() == [False, True, False, False]
    assert (table.header.facts["person"], table.header.facts["format"]) == ("left", "npy")


def test_tracks() -> None:
    path = GOLDEN / "v1" / FILES["tracks"]
    table = tables.read(path, TRACKS)
    assert table.column("frame").tolist() == [0, 0, 1, 2]
    assert table.column("person")[:3].tolist() == [0, 1, 0] and np.isnan(table.column("person")[3])
    assert table.header.facts["frames"] == 3


@pytest.mark.parametrize("version", [1, 2])
def test_faces(version: int) -> None:
    table = read(FACES, version)
    assert table.column("valid").tolist() == [True, True, True, False]
    assert table.column("x1")[0] == 10 and np.isnan(table.column("x1")[3])
    assert table.column("nose_y")[2] == 2.5
    assert table.column("score")[:2] == pytest.approx([0.9, 0.8]) and np.isnan(table.column("score")[2])
    assert table.column("how").tolist() == ["detected", "detected", "interpolated", "absent"]
    assert table.column("corrupt").tolist() == [False, False, True, False]
    assert (table.header.facts["rate"], table.header.facts["faces"]) == ("25", 3)
    assert table.array().shape == (4, 8, 8, 3) and table.array()[1, 0, 0].tolist() == [192, 193, 194]
    found = table.header.recipe if version == 1 else table.header.recipe["parents"][0]
    assert (found["config"]["det_size"], found["weights"]) == (320, {"centerface": "ab" * 32})
    assert table.header.inputs == [{"name": "clip_left.mp4", "sha256": "cd" * 32}]


def test_audio_of_version_1_says_nothing_of_speech() -> None:
    table = read(AUDIO)
    assert table.header.version == 1
    assert np.isnan(table.column("speech")).all()


def test_audio_of_version_2() -> None:
    assert read(AUDIO, 2).column("speech") == pytest.approx([0.25, 1, np.nan, np.nan], nan_ok=True)


@pytest.mark.parametrize("version", [1, 2])
def test_audio(version: int) -> None:
    table = read(AUDIO, version)
    assert table.column("time_us").tolist() == [0, 40_000, 80_000, 120_000]
    assert table.column("sample").tolist() == [0, 640, 1280, 1920]
    assert (table.header.facts["sample_rate"], table.header.facts["sound"]) == (16_000, "present")
    assert table.array().shape == (2560,) and table.array()[11] == 999  # 1000 sin(11 / 7), cut to a whole number


def test_features() -> None:
    table = read(FEATURES)
    assert table.array().tolist() == [[0, 0.5, 1], [1.5, 2, 2.5], [3, 3.5, 4], [0, 0, 0]]
    assert table.header.facts == {"encoder": "toy", "modality": "face", "width": 3}
    assert [line.strip().partition(":")[0] for line in outline(table.header.recipe)] == ["embed", "extract-faces"]


def test_affect_of_version_1_has_no_standard_deviations() -> None:
    table = read(AFFECT)
    assert table.header.version == 1
    assert np.isnan(table.column("valence_std")).all() and np.isnan(table.column("arousal_std")).all()


def test_affect_of_version_2() -> None:
    assert read(AFFECT, 2).column("valence_std") == pytest.approx([0.25, 0, np.nan, 0.5], nan_ok=True)
    assert read(AFFECT, 2).column("arousal_std") == pytest.approx([0, 0.125, np.nan, 1], nan_ok=True)


@pytest.mark.parametrize("version", [1, 2])
def test_affect(version: int) -> None:
    table = read(AFFECT, version)
    assert table.header.facts == {"annotated": 3, "format": "aff-wild2"}
    (found,) = read_affect(table.path)
    assert found.valid.tolist() == [True, True, False, True]
    assert found.valence.tolist()[:2] == [0.5, -0.25] and found.arousal.tolist() == [0.125, -1, 0.5, 0]
    assert found.time_us is None


def test_windows_and_what_they_point_to() -> None:
    index = read_windows(V1 / FILES["windows"])
    starts, lengths = index.windows["clip_left"]
    assert (starts.tolist(), lengths.tolist()) == ([0, 1], [3, 3])
    assert (index.facts.length, index.facts.overlap, index.facts.clips["clip_left"].split) == (3, 1, "train")
    assert index.facts.features["toy"].width == 3
    assert index.features("clip_left", ["toy"])["toy"].array()[1].tolist() == [1.5, 2, 2.5]
    assert index.labels("clip_left").valence[3] == 1
