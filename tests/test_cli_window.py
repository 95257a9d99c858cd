"""affcli window"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from typer.testing import CliRunner

from affcli import recipes, tables
from affcli.cli import app
from affcli.errors import AffcliError, InputError, OutputError, SchemaError, UsageError
from affcli.schemas import AFFECT, FEATURES, WINDOWS
from affcli.windows import Facts

Write = Callable[..., Path]


def run(*arguments: object) -> str:
    """Run the command in this process; returns what it said on stderr, raises what went wrong."""
    found = CliRunner().invoke(app, ["window", *map(str, arguments)])
    if isinstance(found.exception, AffcliError):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.stderr


@pytest.fixture
def data(tmp_path: Path, write_features: Write, write_labels: Write) -> Path:
    """Five clips a .. e of 20 .. 24 frames, face and audio features, labels but for the first frame."""
    rng = np.random.default_rng(0)
    for i, clip in enumerate("abcde"):
        n = 20 + i
        valid = np.ones(n, np.bool_)
        valid[-1] = False
        write_features(tmp_path / "features", clip, rng.normal(size=(n, 3)))
        write_features(tmp_path / "features", clip, rng.normal(size=(n, 2)), "mel", "audio", valid)
        affect = rng.uniform(-1, 1, (n, 2))
        affect[0] = np.nan
        write_labels(tmp_path / "labels", clip, affect)
    return tmp_path


def test_the_table_by_hand(data: Path) -> None:
    out = data / "windows.parquet"
    said = run(data / "features", "--labels", data / "labels", "-o", out)
    assert said == f"affcli: {out}: 10 windows of 5 clips (4 train, 1 val, 0 test), features hog, mel\n"
    table = tables.read(out, WINDOWS)
    assert table.column("clip").tolist() == [c for c in "abcde" for _ in range(2)]
    assert table.column("start").tolist() == [0, 5, 0, 6, 0, 7, 0, 8, 0, 9]
    assert set(table.column("length").tolist()) == {15}
    assert table.column("with_data").tolist() == [15, 14] * 5  # the last frame has no sound
    assert table.column("with_labels").tolist() == [14, 15] * 5  # the first frame has no labels
    facts = Facts.from_json(table.header.facts)
    assert (facts.length, facts.overlap) == (15, 5)
    assert {name: (one.width, one.modality) for name, one in facts.features.items()} == {
        "hog": (3, "face"),
        "mel": (2, "audio"),
    }
    clip = facts.clips["b"]
    path = data / "features" / "b.hog.parquet"
    assert clip.frames == 21
    assert clip.features["hog"].path == "features/b.hog.parquet"
    assert clip.features["hog"].sha256 == recipes.digest(path)
    assert clip.labels and clip.labels.path == "labels/b.affect.parquet"
    assert [one["step"] for one in table.header.recipe["parents"]] == ["embed", "embed", "import-labels"]
    assert len(table.header.inputs) == 15
    by_clip = dict(zip(table.column("clip"), table.column("split"), strict=True))
    assert by_clip == {name: one.split for name, one in facts.clips.items()}


def test_equal_inputs_give_equal_bytes_and_a_second_run_keeps_them(data: Path) -> None:
    options = ["--labels", data / "labels", "--length", 7, "--overlap", 2]
    run(data / "features", *options, "-o", data / "w.parquet")
    before = (data / "w.parquet").read_bytes()
    assert "up to date" in run(data / "features", *options, "-o", data / "w.parquet")
    assert "up to date" not in run(data / "features", *options, "-o", data / "w.parquet", "--force")
    assert (data / "w.parquet").read_bytes() == before
    assert "up to date" not in run(data / "features", *options, "-o", data / "w.parquet", "--seed", 5)


def test_moved_features_are_found_again(data: Path) -> None:
    run(data / "features", "--labels", data / "labels", "-o", data / "w.parquet")
    (data / "features").rename(data / "moved")
    assert "up to date" not in run(data / "moved", "--labels", data / "labels", "-o", data / "w.parquet")
    facts = Facts.from_json(tables.read_header(data / "w.parquet").facts)
    assert facts.clips["a"].features["hog"].path == "moved/a.hog.parquet"


def test_paths_are_relative_to_the_windows_file(data: Path) -> None:
    out = data / "deep" / "er" / "w.parquet"
    run(data / "features", "-o", out)
    facts = Facts.from_json(tables.read_header(out).facts)
    assert facts.clips["a"].features["hog"].path == "../../features/a.hog.parquet"


def test_without_labels_every_clip_is_a_test_clip(data: Path) -> None:
    run(data / "features", "-o", data / "w.parquet")
    table = tables.read(data / "w.parquet", WINDOWS)
    assert set(table.column("split")) == {"test"}
    assert not table.column("with_labels").any()


def test_one_feature_set_of_several(data: Path) -> None:
    run(data / "features", "-o", data / "w.parquet", "--encoder", "mel")
    assert list(tables.read_header(data / "w.parquet").facts["features"]) == ["mel"]
    with pytest.raises(InputError, match=r"features of mal: are not among .*, expected one of hog, mel"):
        run(data / "features", "-o", data / "w.parquet", "--encoder", "mal")


def test_tables_named_one_by_one(data: Path) -> None:
    files = sorted((data / "features").glob("[ab].*.parquet"))
    run(*files, data / "features" / "a.hog.parquet", "-o", data / "w.parquet")
    assert list(tables.read_header(data / "w.parquet").facts["clips"]) == ["a", "b"]


def splits(path: Path) -> dict[str, str]:
    return {name: one["split"] for name, one in tables.read_header(path).facts["clips"].items()}


def test_listed_clips(data: Path) -> None:
    (data / "val.txt").write_text("\ufeffa.txt\n\n  b.mp4 \n", encoding="utf-8")
    (data / "test.txt").write_text("e\n")
    lists = ["--val", data / "val.txt", "--test", data / "test.txt"]
    run(data / "features", "--labels", data / "labels", "-o", data / "w.parquet", *lists)
    assert splits(data / "w.parquet") == {"a": "val", "b": "val", "c": "train", "d": "train", "e": "test"}
    assert tables.read_header(data / "w.parquet").inputs[-1]["name"] == "test.txt"


def test_a_val_list_of_clips_without_labels(data: Path) -> None:
    out, options = data / "w.parquet", ["--labels", data / "labels", "--val", data / "val.txt"]
    (data / "val.txt").write_text("a\nb\n")
    (data / "labels/a.affect.parquet").unlink()
    said = run(data / "features", *options, "-o", out)
    assert "val.txt: names clips without labels, which are test clips, not val: a\n" in said
    assert splits(out) == {"a": "test", "b": "val", "c": "train", "d": "train", "e": "train"}
    (data / "labels/b.affect.parquet").unlink()
    with pytest.raises(InputError, match=r"val\.txt: names no clip with labels, but a, b, .* affcli import-labels"):
        run(data / "features", *options, "-o", out)


def test_a_test_list_beside_a_share(data: Path) -> None:
    (data / "test.txt").write_text("e\n")
    run(data / "features", "--labels", data / "labels", "-o", data / "w.parquet", "--test", data / "test.txt")
    assert splits(data / "w.parquet")["e"] == "test"
    assert sorted(splits(data / "w.parquet").values()) == ["test", "train", "train", "train", "val"]


def test_a_directory_of_label_files_lists_its_clips(data: Path) -> None:
    (data / "Validation_Set").mkdir()
    for name in ("c.txt", "d.txt", ".DS_Store", "notes"):
        (data / "Validation_Set" / name).touch()
    run(data / "features", "--labels", data / "labels", "-o", data / "w.parquet", "--val", data / "Validation_Set")
    assert [clip for clip, part in splits(data / "w.parquet").items() if part == "val"] == ["c", "d"]


def test_lists_that_do_not_fit(data: Path) -> None:
    options = [data / "features", "--labels", data / "labels", "-o", data / "w.parquet", "--val", data / "val.txt"]
    with pytest.raises(InputError, match=r"val\.txt: cannot be read"):
        run(*options)
    (data / "val.txt").write_text("a\nz\n")
    with pytest.raises(InputError, match=r"val\.txt: names clips that have no features: z, expected names such as a"):
        run(*options)
    assert "have no features, not used: z" in run(*options, "--mismatch", "drop")
    (data / "val.txt").write_text("\n")
    with pytest.raises(InputError, match="names no clip"):
        run(*options)
    (data / "val.txt").write_text("a\n")
    with pytest.raises(InputError, match="--val and --test: both name a"):
        run(*options, "--test", data / "val.txt")
    with pytest.raises(UsageError, match="there are no labels"):
        run(data / "features", "-o", data / "w.parquet", "--val", data / "val.txt")


def test_labels_with_a_row_too_many(data: Path, write_labels: Write) -> None:
    write_labels(data / "labels", "b", np.zeros((22, 2)))
    options = [data / "features", "--labels", data / "labels", "-o", data / "w.parquet"]
    with pytest.raises(SchemaError) as caught:
        run(*options)
    labels, features = data / "labels/b.affect.parquet", data / "features/b.hog.parquet"
    assert str(caught.value).startswith(f"{labels}: 22 frames of clip 'b', expected 21 as in {features}; ")
    assert not (data / "w.parquet").exists()
    said = run(*options, "--mismatch", "drop")
    assert "clip b dropped: " in said and "8 windows of 4 clips" in said
    assert list(splits(data / "w.parquet")) == ["a", "c", "d", "e"]


def test_feature_sets_of_different_lengths(data: Path, write_features: Write) -> None:
    write_features(data / "features", "c", np.zeros((21, 2)), "mel", "audio")
    with pytest.raises(
        SchemaError, match=r"c\.mel\.parquet: 21 frames of clip 'c', expected 22 as in .*c\.hog\.parquet"
    ):
        run(data / "features", "-o", data / "w.parquet")


def test_feature_sets_of_different_times(data: Path, write_features: Write) -> None:
    path = write_features(data / "features", "c", np.zeros((22, 2)), "mel", "audio")
    table = tables.read(path, tables.read_header(path).schema)
    columns = {name: table.column(name) for name in ("clip", "frame", "time_us", "valid")}
    columns["time_us"] = columns["time_us"] + 1
    header = table.header
    tables.write(
        path, header.schema, columns, recipe=header.recipe, inputs=[], facts=header.facts, array=np.array(table.array())
    )
    with pytest.raises(SchemaError, match=r"frame times of clip 'c' differ from .*c\.hog\.parquet"):
        run(data / "features", "-o", data / "w.parquet")


def test_clips_that_lack_a_part(data: Path) -> None:
    (data / "features" / "a.mel.parquet").unlink()
    (data / "features" / "d.hog.parquet").unlink()
    options = [data / "features", "--labels", data / "labels", "-o", data / "w.parquet"]
    with pytest.raises(InputError, match=r"its clip 'a' has no mel features \(and 1 more such: d\)"):
        run(*options)
    run(*options, "--mismatch", "drop")
    assert list(splits(data / "w.parquet")) == ["b", "c", "e"]


def test_clips_without_labels_are_test_clips(data: Path) -> None:
    (data / "labels" / "a.affect.parquet").unlink()
    said = run(data / "features", "--labels", data / "labels", "-o", data / "w.parquet")
    assert "labels: has no labels of a: test clips" in said
    assert splits(data / "w.parquet")["a"] == "test"
    table = tables.read(data / "w.parquet", WINDOWS)
    assert table.column("with_labels")[table.column("clip") == "a"].tolist() == [0, 0]


def test_dropping_every_clip_is_no_result(data: Path, write_labels: Write) -> None:
    for number, clip in enumerate("abcde"):
        write_labels(data / "short", clip, np.zeros((3 + number, 2)))
    with pytest.raises(InputError, match="dropped all 5 clips"):
        run(data / "features", "--labels", data / "short", "-o", data / "w.parquet", "--mismatch", "drop")


def test_labels_of_other_videos_are_refused(data: Path, write_labels: Write) -> None:
    write_labels(data / "other", "z", np.zeros((3, 2)))
    with pytest.raises(InputError, match="has labels of z, and of no clip that has features"):
        run(data / "features", "--labels", data / "other", "-o", data / "w.parquet")


def test_labels_without_features_are_told(data: Path, write_labels: Write) -> None:
    write_labels(data / "labels", "z", np.zeros((3, 2)))
    assert "labels without features, not used: z" in run(
        data / "features", "--labels", data / "labels", "-o", data / "w.parquet"
    )


def test_features_made_otherwise_are_refused(data: Path, write_features: Write) -> None:
    write_features(data / "features", "c", np.zeros((22, 3)), cell=8)
    with pytest.raises(
        SchemaError, match=r"c\.hog\.parquet: was made otherwise than .*a\.hog\.parquet \(config\.cell: 8"
    ):
        run(data / "features", "-o", data / "w.parquet")
    write_features(data / "features", "c", np.zeros((22, 4)))
    with pytest.raises(SchemaError, match=r"c\.hog\.parquet: was made otherwise than .*\(width: 4, other 3\)"):
        run(data / "features", "-o", data / "w.parquet")


def test_labels_made_otherwise_are_refused(data: Path, write_labels: Write) -> None:
    write_labels(data / "labels", "c", np.zeros((22, 2)), scale=10)
    with pytest.raises(SchemaError, match=r"c\.affect\.parquet: was made otherwise"):
        run(data / "features", "--labels", data / "labels", "-o", data / "w.parquet")


def test_a_clip_in_two_places(data: Path, write_features: Write) -> None:
    write_features(data / "more", "a", np.zeros((20, 3)))
    with pytest.raises(InputError, match="both hold hog features of clip 'a'"):
        run(data / "features", data / "more", "-o", data / "w.parquet")


def test_a_missing_array_is_said_now(data: Path) -> None:
    (data / "features" / "b.hog.npy").unlink()
    with pytest.raises(InputError, match=r"b\.hog\.npy: is missing"):
        run(data / "features", "-o", data / "w.parquet")


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def change_numbers(path: Path) -> None:
    array = path.with_suffix(".npy")
    array.write_bytes(array.read_bytes()[:-1] + b"\x7f")


def remove_array(path: Path) -> None:
    path.with_suffix(".npy").unlink()


@pytest.mark.parametrize(
    ("damage", "kind", "said"),
    [
        (cut_short, InputError, r"b.mel.parquet: cannot be read as Parquet"),
        (change_numbers, SchemaError, r"b.mel.npy: is not the array that b.mel.parquet was written with"),
        (remove_array, InputError, r"b.mel.npy: is missing"),
    ],
)
def test_broken_features_are_named_or_dropped(
    data: Path, damage: Callable[[Path], None], kind: type[Exception], said: str
) -> None:
    damage(data / "features" / "b.mel.parquet")
    options = [data / "features", "--labels", data / "labels", "-o", data / "w.parquet"]
    with pytest.raises(kind, match=rf"{said}.*; .*or pass --mismatch drop to go on without such clips"):
        run(*options)
    assert not (data / "w.parquet").exists()
    told = run(*options, "--mismatch", "drop")
    assert f"clip b dropped: {data}/features/{said}" in told and "8 windows of 4 clips" in told
    assert list(splits(data / "w.parquet")) == ["a", "c", "d", "e"]
    # What is not used does not matter.
    assert "10 windows of 5 clips" in run(*options, "--encoder", "hog")


def test_a_clip_of_which_everything_is_broken(data: Path) -> None:
    for name in ("b.mel.parquet", "b.hog.parquet", "e.hog.parquet"):
        cut_short(data / "features" / name)
    options = [data / "features", "-o", data / "w.parquet"]
    with pytest.raises(InputError, match=r"b\.hog\.parquet: cannot be read as Parquet \(and 1 more such: e\)"):
        run(*options)
    run(*options, "--mismatch", "drop")
    assert list(splits(data / "w.parquet")) == ["a", "c", "d"]
    for path in (data / "features").glob("*.hog.parquet"):
        cut_short(path)
    with pytest.raises(InputError, match=r"a\.hog\.parquet: cannot be read as Parquet"):
        run(*options, "--encoder", "hog")


def test_predictions_are_no_labels(data: Path) -> None:
    path = data / "labels" / "c.affect.parquet"
    table = tables.read(path, AFFECT)
    columns = {name: table.column(name) for name in table.data.column_names}
    tables.write(path, AFFECT, columns, recipe=recipes.recipe("predict", {}), inputs=[], facts={})
    for labels in (path, data / "labels"):
        with pytest.raises(SchemaError, match=r"c\.affect\.parquet: holds predictions, expected labels"):
            run(data / "features", "--labels", labels, "-o", data / "w.parquet")


def test_lists_that_part_the_two_people_of_a_video_are_told(
    tmp_path: Path, write_features: Write, write_labels: Write
) -> None:
    for clip in ("v_left", "v_right", "w_left", "w_right", "x"):
        write_features(tmp_path / "f", clip, np.zeros((20, 3)))
        write_labels(tmp_path / "l", clip, np.zeros((20, 2)))
    (tmp_path / "val.txt").write_text("v_left\nx\n")
    (tmp_path / "test.txt").write_text("w_left\nw_right\n")
    options = [tmp_path / "f", "--labels", tmp_path / "l", "-o", tmp_path / "w.parquet"]
    said = run(*options, "--val", tmp_path / "val.txt", "--test", tmp_path / "test.txt")
    assert said.splitlines()[:-1] == [
        "affcli: v: its two people are in different parts (v_left val, v_right train), though they hear the same sound"
    ]
    assert "two people" not in run(*options)


def test_listed_names_lose_any_ending_of_videos_and_labels(data: Path) -> None:
    (data / "val.txt").write_text("a.M4V\nb.webm\nc.affect.parquet\nd.CSV\n")
    run(data / "features", "--labels", data / "labels", "-o", data / "w.parquet", "--val", data / "val.txt")
    assert [clip for clip, part in splits(data / "w.parquet").items() if part == "val"] == ["a", "b", "c", "d"]


def test_features_that_do_not_say_what_they_are(data: Path) -> None:
    path = data / "features" / "b.hog.parquet"
    table = tables.read(path, FEATURES)
    columns = {name: table.column(name) for name in table.data.column_names}
    rows = np.array(table.array())
    for facts, message in (
        ({"encoder": "hog"}, r"b\.hog\.parquet: does not say its modality and width"),
        ({"encoder": "hog", "modality": "face", "width": 4}, "says its vectors are 4 wide, beside an array of"),
    ):
        tables.write(path, FEATURES, columns, recipe=table.header.recipe, inputs=[], facts=facts, array=rows)
        with pytest.raises(SchemaError, match=message):
            run(path, "-o", data / "w.parquet")


def test_several_clips_in_a_table_of_features(data: Path) -> None:
    path = data / "features" / "b.hog.parquet"
    table = tables.read(path, FEATURES)
    columns = {name: np.concatenate([table.column(name)] * 2) for name in table.data.column_names}
    columns["clip"][21:] = "z"
    rows = np.zeros((42, 3), np.float32)
    tables.write(path, FEATURES, columns, recipe=table.header.recipe, inputs=[], facts=table.header.facts, array=rows)
    with pytest.raises(SchemaError, match="holds several clips, expected the frames of one clip"):
        run(path, "-o", data / "w.parquet")


def test_text_labels_get_advice(data: Path) -> None:
    texts = data / "texts"
    texts.mkdir()
    (texts / "a.txt").write_text("valence,arousal\n0,0\n")
    for path in (texts, texts / "a.txt"):
        with pytest.raises(InputError, match=f"affcli import-labels {path} OUT"):
            run(data / "features", "--labels", path, "-o", data / "w.parquet")


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (["--overlap", 15], UsageError, "--overlap 15: does not fit windows of 15 frames"),
        (["--val-share", 1], UsageError, "--val-share 1: leaves no clip to train on"),
        (["-o", "w.csv"], UsageError, r"--out w\.csv: is no Parquet file name"),
        (["-o", "/dev/null/w.parquet"], OutputError, "cannot be written"),
        (["--labels", "nosuch"], InputError, "nosuch: does not exist"),
    ],
)
def test_wrong_options(data: Path, options: list[object], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        run(data / "features", "-o", data / "w.parquet", *options)


def test_other_tables_are_refused(data: Path) -> None:
    with pytest.raises(InputError, match="holds no table of features"):
        run(data / "labels", "-o", data / "w.parquet")
    with pytest.raises(SchemaError, match="is a table of affect, expected a table of features"):
        run(data / "labels" / "a.affect.parquet", "-o", data / "w.parquet")


def test_statuses_and_streams(data: Path, affcli: Callable[..., CompletedProcess[str]], write_labels: Write) -> None:
    command = ["window", data / "features", "--labels", data / "labels", "-o", data / "w.parquet"]
    done = affcli(*command, "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    write_labels(data / "labels", "b", np.zeros((22, 2)))
    failed = affcli(*command)
    assert (failed.returncode, failed.stdout) == (4, "")
    assert failed.stderr.startswith("affcli: ") and failed.stderr.count("\n") == 1
    assert affcli("window", "nosuch", "-o", data / "w.parquet").returncode == 3
    assert affcli(*command, "--overlap", 99).returncode == 2


def test_the_header_is_plain_json(data: Path) -> None:
    run(data / "features", "-o", data / "w.parquet")
    text = json.dumps(tables.read_header(data / "w.parquet").to_json())
    assert str(data) not in text  # a directory of this machine is nobody's business


def labels_of(data: Path, write_labels: Write, rows: dict[str, int]) -> Path:
    """Label tables of the given lengths, the last row of each not annotated."""
    for clip, n in rows.items():
        affect = np.full((n, 2), 0.5)
        affect[-1] = np.nan
        write_labels(data / "odd", clip, affect)
    return data / "odd"


ODD = {"a": 21, "b": 20, "c": 22, "d": 23, "e": 24}  # the features of a and b have 20 and 21 frames


@pytest.mark.parametrize(
    ("mode", "frames", "labelled", "done"),
    [
        # Windows of b: frames 0 to 14 and, up to its last frame, 5 to 19 or 6 to 20.
        ("crop", 20, [15, 14], "the last frame left out"),
        ("pad", 21, [15, 13], "the last frame taken as not annotated"),
    ],
)
def test_labels_off_by_one_are_cropped_or_padded(
    data: Path, write_labels: Write, mode: str, frames: int, labelled: list[int], done: str
) -> None:
    out = data / "w.parquet"
    options = [data / "features", "--labels", labels_of(data, write_labels, ODD), "-o", out]
    said = run(*options, "--mismatch", mode).splitlines()
    assert said[:2] == [
        "affcli: clip a: 21 label rows for 20 frames: the last label row left out",
        f"affcli: clip b: 20 label rows for 21 frames: {done}",
    ]
    assert len(said) == 3 and "10 windows of 5 clips" in said[2]
    table = tables.read(out, WINDOWS)
    config = table.header.recipe["config"]
    assert (config["mismatch"], config["tolerance"]) == (mode, 1)
    facts = Facts.from_json(table.header.facts)
    counts = {name: (one.frames, one.feature_rows, one.label_rows) for name, one in facts.clips.items()}
    assert counts == {"a": (20, 20, 21), "b": (frames, 21, 20), "c": (22, 22, 22), "d": (23, 23, 23), "e": (24, 24, 24)}
    of_b = table.column("clip") == "b"
    assert table.column("start")[of_b].tolist() == [0, frames - 15]
    assert table.column("with_labels")[of_b].tolist() == labelled
    assert table.column("with_labels")[table.column("clip") == "a"].tolist() == [15, 15]
    assert run(*options, "--mismatch", mode).endswith("up to date\n")
    other = "pad" if mode == "crop" else "crop"
    assert "up to date" not in run(*options, "--mismatch", other)


@pytest.mark.parametrize("mode", ["crop", "pad"])
def test_labels_off_by_more_than_the_tolerance(data: Path, write_labels: Write, mode: str) -> None:
    labels = labels_of(data, write_labels, {**ODD, "d": 20})
    options = [data / "features", "--labels", labels, "-o", data / "w.parquet", "--mismatch", mode]
    with pytest.raises(SchemaError) as caught:
        run(*options)
    assert str(caught.value) == (
        f"{labels}/d.affect.parquet: 20 frames of clip 'd', expected 23 as in {data}/features/d.hog.parquet, or up to "
        "1 more or fewer (--tolerance 1); check that they are of the same video, allow for it with --mismatch crop or "
        "pad and --tolerance, or pass --mismatch drop to go on without such clips"
    )
    assert not (data / "w.parquet").exists()
    said = run(*options, "--tolerance", 3)
    done = "left out" if mode == "crop" else "taken as not annotated"
    assert f"clip d: 20 label rows for 23 frames: the last 3 frames {done}" in said
    with pytest.raises(
        SchemaError, match=r"21 frames of clip 'a' .*, expected 20 as in [^,]*; .* or pass --mismatch drop"
    ):
        run(*options, "--tolerance", 0)


@pytest.mark.parametrize("mode", ["crop", "pad"])
def test_crop_and_pad_are_for_labels_alone(data: Path, write_features: Write, mode: str) -> None:
    write_features(data / "features", "c", np.zeros((21, 2)), "mel", "audio")
    options = [data / "features", "--labels", data / "labels", "-o", data / "w.parquet", "--mismatch", mode]
    with pytest.raises(SchemaError, match=r"c\.mel\.parquet: 21 frames of clip 'c', expected 22"):
        run(*options)


def test_labels_that_fit_need_no_word_and_equal_windows(data: Path) -> None:
    options = [data / "features", "--labels", data / "labels"]
    run(*options, "-o", data / "error.parquet")
    said = run(*options, "-o", data / "pad.parquet", "--mismatch", "pad")
    assert said.count("\n") == 1
    error, pad = (tables.read(data / f"{name}.parquet", WINDOWS) for name in ("error", "pad"))
    assert error.data.equals(pad.data) and error.header.facts == pad.header.facts


def people(data: Path, text: str = "clip,subject\na,Ann\nb,Bob\nc,Cid\nd,Ann\ne,Bob\n") -> list[object]:
    """Options for the clips of `data` and who is seen in them, as the CSV says."""
    (data / "people.csv").write_text(text, encoding="utf-8", newline="")
    labels = ["--labels", data / "labels", "-o", data / "w.parquet"]
    return [data / "features", *labels, "--subjects", data / "people.csv"]


def subjects(path: Path) -> dict[str, str | None]:
    return {name: one["subject"] for name, one in tables.read_header(path).facts["clips"].items()}


def test_who_is_seen_in_each_clip(data: Path) -> None:
    out = data / "w.parquet"
    assert "10 windows of 5 clips of 3 subjects (4 train, 1 val, 0 test), features" in run(*people(data))
    assert subjects(out) == {"a": "Ann", "b": "Bob", "c": "Cid", "d": "Ann", "e": "Bob"}
    header = tables.read_header(out)
    assert header.recipe["config"]["subjects"] == "listed"
    assert header.inputs[-1] == {"name": "people.csv", "sha256": recipes.digest(data / "people.csv")}
    assert "up to date" in run(*people(data))
    # The same people in the same parts, and yet another file.
    assert "up to date" not in run(*people(data, "clip,subject\na,Ann\nd,Ann\nb,Bob\ne,Bob\nc,Cid\n"))
    run(data / "features", "--labels", data / "labels", "-o", out)
    assert set(subjects(out).values()) == {None}
    assert "subjects" not in tables.read_header(out).recipe["config"]


def test_the_share_holds_out_whole_subjects(data: Path) -> None:
    held_out = set()
    for seed in range(12):
        run(*people(data), "--val-share", "0.4", "--seed", seed)
        held_out.add("".join(clip for clip, part in splits(data / "w.parquet").items() if part == "val"))
    # Two clips are wanted; after c there is one to go, of which two are twice as many.
    assert held_out == {"ad", "be", "c"}


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffclip,subject\r\na,Ann\r\nb.mp4,Bob\r\nc.affect.parquet,Cid\r\nd.MOV,Ann\r\ne,Bob\r\n",
        'age, Subject ,clip\n\n30,Ann,"a"\n,Bob, b\n41,Cid ,c.txt\n30,Ann,d\n,Bob,e\n\n30,Ann,a.webm',
    ],
)
def test_ways_to_write_the_csv(data: Path, text: str) -> None:
    run(*people(data, text))
    assert subjects(data / "w.parquet") == {"a": "Ann", "b": "Bob", "c": "Cid", "d": "Ann", "e": "Bob"}


def test_a_video_stands_for_its_people(tmp_path: Path, write_features: Write) -> None:
    for clip in ("v_left", "v_right", "w", "w_right", "x_left", "x_right"):
        write_features(tmp_path / "f", clip, np.zeros((20, 3)))
    (tmp_path / "who.csv").write_text("clip,subject\nv.mp4,Ann\nw,Bob\nw_right,Cid\nx,Dan\nx_left,Eve\n")
    options = [tmp_path / "f", "-o", tmp_path / "w.parquet", "--subjects", tmp_path / "who.csv"]
    run(*options)
    assert subjects(tmp_path / "w.parquet") == {
        **{"v_left": "Ann", "v_right": "Ann", "w": "Bob", "w_right": "Cid"},
        **{"x_left": "Eve", "x_right": "Dan"},  # the clip's own line goes before its video's
    }
    # w is a clip, so that its line says nothing of the other person of the video.
    (tmp_path / "who.csv").write_text("clip,subject\nv,Ann\nw,Bob\nx,Dan\n")
    with pytest.raises(
        InputError, match=r"who\.csv: does not say who is seen in w_right, expected a line for each clip"
    ):
        run(*options)


def test_people_who_hang_together_are_held_out_together(
    tmp_path: Path, write_features: Write, write_labels: Write
) -> None:
    for clip in ("v_left", "v_right", "w", "x", "y"):
        write_features(tmp_path / "f", clip, np.zeros((20, 3)))
        write_labels(tmp_path / "l", clip, np.zeros((20, 2)))
    (tmp_path / "who.csv").write_text("clip,subject\nv_left,Ann\nv_right,Bob\nw,Bob\nx,Ann\ny,Cid\n")
    options = [tmp_path / "f", "--labels", tmp_path / "l", "-o", tmp_path / "w.parquet"]
    options += ["--subjects", tmp_path / "who.csv"]
    for seed in range(5):
        assert "hang together" not in run(*options, "--seed", seed)
        assert splits(tmp_path / "w.parquet") == {**dict.fromkeys(("v_left", "v_right", "w", "x"), "train"), "y": "val"}
    (tmp_path / "who.csv").write_text("clip,subject\nv_left,Ann\nv_right,Bob\nw,Bob\nx,Ann\ny,Ann\n")
    told = "affcli: no clip is held out: all 5 hang together by a video or a subject that they share\n"
    assert told in run(*options)
    assert "hang together" not in run(*options, "--val-share", 0)


def test_lists_that_put_a_subject_in_two_parts_are_told(data: Path) -> None:
    (data / "val.txt").write_text("a\ne\n")
    said = run(*people(data), "--val", data / "val.txt").splitlines()
    assert said[0] == (
        f"affcli: {data}/people.csv: 2 subjects are in different parts, which are then not of different people: "
        "Ann (1 train, 1 val), Bob (1 train, 1 val)"
    )
    (data / "test.txt").write_text("b\nd\n")
    (data / "val.txt").write_text("e\n")
    said = run(*people(data), "--val", data / "val.txt", "--test", data / "test.txt").splitlines()
    assert "2 subjects are in different parts" in said[0] and "Bob (1 test, 1 val)" in said[0]
    (data / "val.txt").write_text("a\nb\nd\n")
    assert "a subject is in different parts" in run(*people(data), "--val", data / "val.txt")
    (data / "val.txt").write_text("a\nd\n")
    assert "different parts" not in run(*people(data), "--val", data / "val.txt")


def test_subjects_of_clips_without_labels_and_of_clips_that_are_dropped(data: Path, write_labels: Write) -> None:
    (data / "labels" / "a.affect.parquet").unlink()
    write_labels(data / "labels", "b", np.zeros((22, 2)))
    every = people(data, "clip,subject\na,Ann\nc,Cid\nd,Ann\ne,Bob\n")
    said = run(*every, "--mismatch", "drop")
    # a is a test clip because it has no labels, and is scored by nobody.
    assert "different parts" not in said and "of 3 subjects" in said
    assert subjects(data / "w.parquet") == {"a": "Ann", "c": "Cid", "d": "Ann", "e": "Bob"}
    said = run(*people(data, "clip,subject\na,Ann\nb,Bob\nc,Cid\nd,Ann\ne,Bob\nz,Zoe\n"), "--mismatch", "drop")
    assert "people.csv: names clips that have no features, not used: z\n" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "",
            r"people\.csv: has no column 'clip' in line 1 \(''\), expected CSV with the columns clip,subject, a line f",
        ),
        (
            "a,Ann\nb,Bob\n",
            r"people\.csv: has no column 'clip' in line 1 \('a,ann'\), expected CSV .*; put the line clip,",
        ),
        ("clip;subject\na;Ann\n", r"has no column 'clip' in line 1 \('clip;subject'\)"),
        ("clip,subject,subject\n", r"has 2 columns 'subject' in line 1"),
        (
            "clip,subject\na,Ann\n\nb\n",
            r"people\.csv, line 4: has 1 cell, expected 2 as in line 1; complete or correct",
        ),
        ("clip,subject\na,Ann,x\n", r"line 2: has 3 cells, expected 2 as in line 1"),
        ("clip,subject\na,\n", r"line 2: names no subject, expected a clip and its subject; fill in the cell"),
        ("clip,subject\n ,Ann\n", r"line 2: names no clip"),
        ('clip,subject\na,"Ann\n', r"line 2: is no CSV \(unexpected end of data\), expected .*; check its quotes"),
        (
            "clip,subject\na,Ann\na.mp4,Bob\n",
            r"line 3: says that 'Bob' is seen in 'a', and line 2 that 'Ann' is, expected one",
        ),
        (
            "clip,subject\na,Ann\nc,Cid\n",
            r"people\.csv: does not say who is seen in b, d, e, .*; add a line such as b,SUBJECT",
        ),
    ],
)
def test_a_csv_that_does_not_say_who_is_seen(data: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        run(*people(data, text))
    assert not (data / "w.parquet").exists()


def test_a_csv_that_cannot_be_read(data: Path) -> None:
    options = people(data)
    (data / "people.csv").write_bytes(b"clip,subject\na,Ren\xe9\n")
    with pytest.raises(
        InputError, match=r"people\.csv: cannot be read \(.*0xe9.*; check the path, and save it as UTF-8"
    ):
        run(*options)
    (data / "people.csv").unlink()
    with pytest.raises(InputError, match=r"people\.csv: cannot be read \(.*No such file"):
        run(*options)
