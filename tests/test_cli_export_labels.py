"""affcli export-labels: what it writes, that import-labels reads the same back, and what it refuses."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from commands import invoke, run
from numpy.typing import ArrayLike, NDArray

from affcli import recipes, tables
from affcli.errors import InputError, UsageError
from affcli.labels.affect import ACTION_UNITS, Affect
from affcli.labels.categories import ACTION_UNIT_HEADERS
from affcli.labels.read import read_affect
from affcli.labels.scales import UNIT, Scale
from affcli.labels.writing import mean, number, omg_place
from affcli.labels.writing_times import Layout, arff_text, points, ratings_text
from affcli.schemas import AFFECT, AUDIO

NAN = float("nan")
PERIOD = 40_000
Command = Callable[..., "subprocess.CompletedProcess[str]"]


def write_table(folder: Path, affect: Affect, step: str = "import-labels") -> Path:
    path = folder / f"{affect.clip}.affect.parquet"
    tables.write(path, AFFECT, affect.columns(), recipe=recipes.recipe(step, {}), inputs=[], facts={})
    return path


def clip(
    name: str, valence: list[float], arousal: list[float], times: list[int] | None = None, **classes: list[int]
) -> Affect:
    units = {key: np.array(values, np.int8) for key, values in classes.items()}
    return Affect(
        name,
        np.array(valence),
        np.array(arousal),
        None if times is None else np.array(times, np.int64),
        expression=units.pop("expression", None),
        action_units=units,
    )


def many(name: str, seed: int, count: int = 60) -> Affect:
    """A clip with every kind of label and gap; its first and its last frame have all."""
    random = np.random.default_rng(seed)
    curves = random.uniform(-1, 1, (2, count))
    curves[:, :9] = [-1, 1, 0.1, -0.3, 1 / 3, 1e-5, -1e-120, 5e-324, 0.30000000000000004]
    curves[0, 20:24] = curves[1, 22:26] = NAN  # frames with one of them, and with none
    classes = random.integers(-1, 8, count)
    classes[[0, -1]] = 7
    units = {unit: random.integers(-1, 2, count).astype(np.int8) for unit in ACTION_UNITS}
    for values in units.values():
        values[[0, -1]] = 1
    times = np.arange(count, dtype=np.int64) * PERIOD
    return Affect(name, curves[0], curves[1], times, expression=classes.astype(np.int8), action_units=units)


@pytest.fixture
def labels(tmp_path: Path, write_faces: Callable[..., Path]) -> Path:
    """Affect tables of two clips, and faces tables of the same frames."""
    folder = tmp_path / "labels"
    folder.mkdir()
    for seed, name in enumerate(("v 1_utterance_12", "b_left")):
        affect = many(name, seed)
        write_table(folder, affect)
        n = len(affect)
        write_faces(tmp_path / "faces", name, np.zeros((n, 2, 2, 3), np.uint8), np.ones(n, np.bool_))
    return folder


def wanted_of(affect: Affect, both: bool) -> NDArray[np.float64]:
    curves = np.stack([affect.valence, affect.arousal])
    return np.where(affect.valid, curves, NAN) if both else curves


BOTH = {"affwild2-va", "afew-va"}
TIMED = "time=t,valence=V,arousal=A"


@pytest.mark.parametrize(
    ("name", "out", "export", "read", "exact"),
    [
        ("affwild2-va", "d", [], [], True),
        ("abaw-mtl", "all.txt", [], [], True),
        ("afew-va", "d", [], ["--format", "afew-va"], False),
        ("afew-va", "d", ["--range", "-1:1"], ["--format", "afew-va", "--range", "-1:1"], True),
        ("arff", "d", [], ["--format", "arff", "--times", "faces"], True),
        ("arff", "d", ["--range", "valence=1:9"], ["--range", "valence=1:9", "--times", "faces"], False),
        ("ratings", "d", ["--range", "-1:1"], ["--format", "ratings", "--range", "-1:1", "--times", "faces"], True),
        (
            "ratings",
            "all.csv",
            ["--range", "valence=0:100,arousal=-5:5", "--separator", "semicolon", "--time-unit", "ms"],
            ["--format", "ratings", "--range", "valence=0:100,arousal=-5:5", "--time-unit", "ms", "--times", "faces"],
            False,
        ),
        (
            "ratings",
            "d",
            ["--range", "-1:1", "--columns", "value=gold standard,time=at", "--separator", "tab", "--time-unit", "us"],
            ["--range", "-1:1", "--columns", "time=at,value=gold standard", "--time-unit", "us", "--times", "faces"],
            True,
        ),
        ("csv", "all.csv", [], [], True),
        ("csv", "d", [], [], True),
        ("csv", "d", ["--columns", TIMED], ["--format", "csv", "--columns", TIMED, "--times", "faces"], True),
        (
            "csv",
            "all.csv",
            ["--columns", f"clip=who,{TIMED}", "--time-unit", "frame"],
            ["--format", "csv", "--columns", f"clip=who,{TIMED}", "--time-unit", "frame"],
            True,
        ),
        ("csv", "all.csv", ["--range", "0:1"], ["--format", "csv", "--range", "0:1", "--time-unit", "frame"], False),
    ],
)
def test_import_labels_reads_the_same_back(
    tmp_path: Path, labels: Path, name: str, out: str, export: list[str], read: list[str], exact: bool
) -> None:
    run("export-labels", labels, "-o", tmp_path / out, "--format", name, *export)
    if name == "ratings" and "--format" not in read:
        read = ["--format", name, *read]
    run("import-labels", tmp_path / out, tmp_path / "back", *(tmp_path / x if x == "faces" else x for x in read))
    before, after = ({one.clip: one for one in read_affect(folder)} for folder in (labels, tmp_path / "back"))
    assert before.keys() == after.keys() and len(before) == 2
    for clip, affect in before.items():
        wanted, found = wanted_of(affect, name in BOTH), wanted_of(after[clip], False)
        if exact:
            np.testing.assert_array_equal(found, wanted)
        else:
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-12)
        if name == "abaw-mtl" or (name == "csv" and not export):
            np.testing.assert_array_equal(after[clip].expression, affect.expression)
        if name == "abaw-mtl":
            assert tuple(after[clip].action_units) == ACTION_UNIT_HEADERS[1]
            for unit, values in after[clip].action_units.items():
                np.testing.assert_array_equal(values, affect.action_units[unit])


@pytest.mark.parametrize("year", [(7, 8), (8, 12)])
def test_import_labels_reads_expressions_and_action_units_back(
    tmp_path: Path, labels: Path, year: tuple[int, int]
) -> None:
    classes, units = year
    drop = ["--drop-other"] * (classes == 7)
    said = run("export-labels", labels, "-o", tmp_path / "e", "--format", "affwild2-expr", "--classes", classes, *drop)
    assert ("frames of class Other are written as not annotated (--drop-other)" in said) == (classes == 7)
    run("export-labels", labels, "-o", tmp_path / "u", "--format", "affwild2-au", "--units", units)
    run(
        *("import-labels", tmp_path / "e", tmp_path / "back"),
        *("--expressions", tmp_path / "e", "--action-units", tmp_path / "u"),
    )
    before, after = ({one.clip: one for one in read_affect(folder)} for folder in (labels, tmp_path / "back"))
    assert before.keys() == after.keys()
    for clip, affect in before.items():
        assert affect.expression is not None
        wanted = np.where(affect.expression >= classes, -1, affect.expression)
        np.testing.assert_array_equal(after[clip].expression, wanted)
        assert {*after[clip].action_units} == {*ACTION_UNIT_HEADERS[units == 12]}
        for unit, values in after[clip].action_units.items():
            np.testing.assert_array_equal(values, affect.action_units[unit])


def test_import_labels_reads_utterances_back(tmp_path: Path, labels: Path) -> None:
    said = run("export-labels", labels, "-o", tmp_path / "omg.csv", "--format", "omg")
    assert "labels vary within b_left, v 1_utterance_12: the mean of each clip is written" in said
    assert said.endswith("omg.csv: 2 clips as omg, valence -1:1, arousal 0:1\n")
    run("import-labels", tmp_path / "omg.csv", tmp_path / "back", "--format", "omg", "--times", tmp_path / "faces")
    for before, after in zip(read_affect(labels), read_affect(tmp_path / "back"), strict=True):
        for name in ("valence", "arousal"):
            np.testing.assert_allclose(getattr(after, name), np.nanmean(getattr(before, name)), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("export", "out"),
    [
        (["arff"], "d"),
        (["ratings", "--range", "-1:1"], "all.csv"),
        (["ratings", "--range", "-1:1", "--columns", "clip=c,time=t,value=v", "--time-unit", "ms"], "d"),
        (["csv", "--time-unit", "us"], "all.csv"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_both_persons_of_a_video_of_varying_rate_come_back(tmp_path: Path, export: list[str], out: str) -> None:
    times = 70_001 + np.cumsum(np.random.default_rng(4).integers(9_000, 70_000, 60))  # the first frame is not at 0
    folder = tmp_path / "labels"
    folder.mkdir()
    clips = {name: many(name, seed) for seed, name in enumerate(("12-24-1920x1080_left", "12-24-1920x1080_right"))}
    for name, affect in clips.items():
        write_table(folder, dataclasses.replace(affect, time_us=times))
        n = len(affect)
        columns: dict[str, ArrayLike] = {
            "clip": [name] * n,
            "frame": np.arange(n),
            "time_us": times,
            "valid": np.ones(n, np.bool_),
        }
        columns |= {"sample": (times - times[0]) * 2 // 125, "speech": np.full(n, NAN)}
        facts = {"sample_rate": 16_000, "start_us": 0, "rate": None, "sound": "present", "partial": False}
        tables.write(
            tmp_path / f"audio/{name}.audio.parquet",
            AUDIO,
            columns,
            recipe=recipes.recipe("extract-audio", {}),
            inputs=[],
            facts=facts,
            array=np.zeros(1, np.int16),
        )
    run("export-labels", folder, "-o", tmp_path / out, "--format", *export)
    run("import-labels", tmp_path / out, tmp_path / "back", "--format", *export, "--times", tmp_path / "audio")
    back = {one.clip: one for one in read_affect(tmp_path / "back")}
    assert back.keys() == clips.keys()
    for name, affect in clips.items():
        np.testing.assert_array_equal(wanted_of(back[name], False), wanted_of(affect, False))
        np.testing.assert_array_equal(back[name].time_us, times)


# What each format looks like

ONE = clip(
    "v_1",
    [0.5, NAN, 1e-5, NAN],
    [-0.3, NAN, 1, 0.25],
    [120_000, 160_000, 193_333, 240_000],
    expression=[4, -1, 7, -1],
    au1=[1, -1, 0, -1],
    au20=[-1, -1, 1, -1],
)


@pytest.mark.parametrize(
    ("arguments", "files"),
    [
        (["affwild2-va", "o"], {"o/v_1.txt": "valence,arousal\n0.5,-0.3\n-5,-5\n1e-05,1.0\n-5,-5\n"}),
        (
            ["affwild2-expr", "o"],
            {"o/v_1.txt": "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n4\n-1\n7\n-1\n"},
        ),
        (
            ["affwild2-expr", "o", "--classes", "7", "--drop-other"],
            {"o/v_1.txt": "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise\n4\n-1\n-1\n-1\n"},
        ),
        (
            ["affwild2-au", "o", "--units", "8"],
            {
                "o/v_1.txt": "AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25\n1,-1,-1,-1,-1,-1,-1,-1\n-1,-1,-1,-1,-1,-1,-1,-1\n"
                "0,-1,-1,-1,-1,-1,1,-1\n-1,-1,-1,-1,-1,-1,-1,-1\n"
            },
        ),
        (
            ["affwild2-au", "o"],
            {
                "o/v_1.txt": "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26\n"
                + "".join(f"{first}{',-1' * 11}\n" for first in (1, -1, 0, -1))
            },
        ),
        (
            ["abaw-mtl", "o.txt"],
            {
                "o.txt": "image,valence,arousal,expression,aus\n"
                f"v_1/00001.jpg,0.5,-0.3,4,1{',-1' * 11}\n"
                f"v_1/00003.jpg,0.00001,1.0,7,0{',-1' * 11}\n"
                f"v_1/00004.jpg,-5,0.25,-1{',-1' * 12}\n"
            },
        ),
        (
            ["afew-va", "o"],
            {
                "o/v_1.json": '{\n  "video_id": "v_1",\n  "frames": {\n'
                '    "00000": {"valence": 5.0, "arousal": -3.0},\n'
                '    "00002": {"valence": 0.0001, "arousal": 10.0}\n  }\n}\n'
            },
        ),
        (
            ["omg", "o.csv"],
            {
                "o.csv": "link,start,end,video,utterance,arousal,valence,EmotionMaxVote\n"
                ",,,v,1.mp4,0.6583333333333333,0.250005,\n"
            },
        ),
        (
            ["arff", "o"],
            {
                f"o/{name}/v_1.arff": "@relation GOLDSTANDARD\n\n@attribute Instance_name string\n"
                "@attribute frameTime numeric\n@attribute GoldStandard numeric\n\n@data\n"
                f"'v_1',0,{a}\n'v_1',0.04,?\n'v_1',0.073333,{b}\n'v_1',0.12,{c}\n"
                for name, a, b, c in (("valence", 0.5, "0.00001", "?"), ("arousal", -0.3, 1.0, 0.25))
            },
        ),
        (
            ["ratings", "o.csv", "--range", "valence=0:100,arousal=-2:2", "--separator", "semicolon"],
            {
                "o.csv": "name;timestamp;valence;arousal\n"
                "v_1;0;75.0;-0.6\nv_1;0.04;;\nv_1;0.073333;50.0005;2.0\nv_1;0.12;;0.5\n"
            },
        ),
        (
            ["ratings", "o", "--range", "0:100", "--columns", "time=time,value=rating", "--time-unit", "ms"],
            {
                "o/valence/v_1.csv": "time,rating\n0,75.0\n40,\n73.333,50.0005\n120,\n",
                "o/arousal/v_1.csv": "time,rating\n0,35.0\n40,\n73.333,100.0\n120,62.5\n",
            },
        ),
        (
            ["csv", "o.csv"],
            {
                "o.csv": "clip,frame,valence,arousal,expression\n"
                "v_1,0,0.5,-0.3,4\nv_1,1,,,\nv_1,2,1e-05,1.0,7\nv_1,3,,0.25,\n"
            },
        ),
        (
            ["csv", "o", "--columns", "arousal=A,time=Frame", "--time-unit", "frame", "--separator", "tab"],
            {"o/v_1.csv": "A\tFrame\n-0.3\t0\n\t1\n1.0\t2\n0.25\t3\n"},
        ),
        (
            ["csv", "o.csv", "--every", "0.05"],
            {"o.csv": "clip,time,valence,arousal\nv_1,0,0.5,-0.3\nv_1,0.05,,\nv_1,0.1,,0.25\n"},
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_each_format_as_text(tmp_path: Path, arguments: list[str], files: dict[str, str]) -> None:
    write_table(tmp_path, ONE)
    name, out, *rest = arguments
    run("export-labels", tmp_path / "v_1.affect.parquet", "-o", tmp_path / out, "--format", name, *rest)
    made = {str(p.relative_to(tmp_path)): p for p in tmp_path.rglob("*") if p.is_file() and p.suffix != ".parquet"}
    assert {place: path.read_text() for place, path in made.items()} == files


def test_rows_at_intervals_lie_between_frames() -> None:
    ramp = np.linspace(-1, 1, 6)
    affect = Affect("a", ramp, -ramp, np.arange(6, dtype=np.int64) * 100_000 + 7)
    layout = Layout(UNIT, {"time": "time", "valence": "v"}, every=Fraction("0.15"), method="linear")
    at, values = points(affect, layout)
    assert at.tolist() == [0, 150_000, 300_000, 450_000]
    np.testing.assert_allclose(values["valence"], [-1, -0.4, 0.2, 0.8], atol=1e-15)
    nearest = Layout(UNIT, layout.columns, every=Fraction("0.15"))
    assert points(affect, nearest)[1]["arousal"].tolist() == [-ramp[0], -ramp[1], -ramp[3], -ramp[4]]
    third = Layout(UNIT, layout.columns, every=Fraction(1, 3), method="linear")
    assert points(affect, third)[0].tolist() == [0, 333_333]
    alone = Affect("a", ramp[:1], ramp[:1], np.array([5]))
    assert points(alone, layout)[0].tolist() == [0]
    assert ratings_text([affect], nearest) == f"time,v\n0,-1.0\n0.15,-0.6\n0.3,{ramp[3]}\n0.45,{ramp[4]}\n"


def test_import_labels_interpolates_what_was_written_at_intervals(
    tmp_path: Path, write_faces: Callable[..., Path]
) -> None:
    folder = tmp_path / "ramps"
    folder.mkdir()
    write_faces(tmp_path / "faces", "b_left", np.zeros((60, 2, 2, 3), np.uint8), np.ones(60, np.bool_))
    ramp = np.linspace(-0.9, 0.6, 60)
    write_table(folder, Affect("b_left", ramp, -ramp, np.arange(60, dtype=np.int64) * PERIOD))
    columns = "time=time,valence=rating"
    out = tmp_path / "send"
    run(
        *("export-labels", folder, "-o", out, "--format", "ratings", "--range", "0:100", "--columns", columns),
        *("--every", 0.5, "--resample", "linear"),
    )
    assert (out / "b_left.csv").read_text().splitlines()[:3:2] == ["time,rating", "0.5,20.88983050847457"]
    run(
        *("import-labels", out, tmp_path / "back", "--format", "ratings", "--range", "0:100", "--columns", columns),
        *("--times", tmp_path / "faces", "--resample", "linear"),
    )
    (after,) = read_affect(tmp_path / "back")
    assert np.isnan(after.valence[51:]).all()  # the last rating is at 2.0 s, and nothing is extrapolated
    np.testing.assert_allclose(after.valence[:51], ramp[:51], rtol=0, atol=1e-12)


# Numbers and names


def test_numbers_are_short_and_read_back() -> None:
    assert [number(v, Scale(-10, 10)) for v in (-0.3, 0.7, 0.07, 1.0, -1.0, 0.0)] == [
        *("-3.0", "7.0", "0.7000000000000001", "10.0", "-10.0", "0.0")  # 0.7 would be 0.06999999999999999
    ]
    assert [number(v, UNIT["valence"]) for v in (0.1, 1e-7, -0.0)] == ["0.1", "0.0000001", "-0.0"]
    assert (number(NAN, Scale(0, 1)), number(NAN, Scale(0, 1), "?")) == ("", "?")
    values = np.random.default_rng(3).uniform(-1, 1, 2000).tolist()
    assert [float(number(v, UNIT["arousal"])) for v in values] == values
    for scale in (Scale(0, 1), Scale(0, 100), Scale(1, 9), Scale(-10, 10), Scale(-0.7, 0.1)):
        back = [scale.to_affect(float(number(v, scale))) for v in (*values, -1.0, 1.0)]
        np.testing.assert_allclose(back, [*values, -1.0, 1.0], rtol=0, atol=1e-15)
    grid = [Scale(0, 100).to_affect(v / 10) for v in range(1001)]
    assert [float(number(v, Scale(0, 100))) for v in grid] == [v / 10 for v in range(1001)]


def test_a_value_leaves_its_scale_as_it_came() -> None:
    assert [Scale(0, 1).from_affect(v) for v in (-1, -0.5, 0, 1)] == [0, 0.25, 0.5, 1]
    assert [Scale(-1, 1).from_affect(v) for v in (0.1, 0.30000000000000004)] == [0.1, 0.30000000000000004]
    assert np.isnan(Scale(0, 1).from_affect(NAN))
    for low, high in np.random.default_rng(1).uniform(-9, 9, (500, 2)):
        scale = Scale(min(low, high), max(low, high))
        assert scale.low <= scale.from_affect(-1) <= scale.from_affect(1) <= scale.high
    with pytest.raises(ValueError, match=r"-1\.5 is not in -1:1"):
        Scale(0, 1).from_affect(-1.5)


def test_the_mean_of_equal_values_is_theirs() -> None:
    assert mean(np.full(7, 0.1)) == 0.1
    assert mean(np.array([0.1, NAN, 0.3])) == 0.2
    assert np.isnan(mean(np.array([NAN])))


def test_utterances_are_told_from_their_videos() -> None:
    assert omg_place("5c4_x_utterance_12") == ("5c4_x", "utterance_12")
    assert omg_place("utterance_1") == ("utterance", "1")
    assert omg_place("a_b_c") == ("a_b", "c")
    assert [omg_place(name) for name in ("plain", "x_", "_x")] == [
        (name, "utterance_1") for name in ("plain", "x_", "_x")
    ]


@pytest.mark.parametrize(
    ("clip", "arguments", "said"),
    [
        ("a,b", ["abaw-mtl", "o.txt"], "clip 'a,b' cannot stand in a line of this format, expected a name without ,"),
        ("a'b", ["arff", "o"], 'clip "a\'b" cannot stand in a line'),
        (
            "'a'",
            ["csv", "o.csv", "--time-unit", "s"],
            "cannot stand in a line of this format, expected a name without b",
        ),
        ("x_valence", ["arff", "o"], "clip 'x_valence' ends in the name of a dimension"),
        (
            "x-arousal",
            ["csv", "o", "--columns", "time=t,valence=v"],
            "clip 'x-arousal' ends in the name of a dimension",
        ),
        (
            "x_arousal",  # valence/x_arousal.csv would be read as arousal, whatever its clips are called
            ["csv", "o", "--columns", "clip=c,time=t,value=v"],
            "clip 'x_arousal' ends in the name of a dimension",
        ),
        (".a", ["afew-va", "o"], "clip '.a': cannot be a name of files"),
        ("b%", ["csv", "o.csv"], "clip 'b%': cannot be a name of files"),
        ("'a'_b", ["omg", "o.csv"], "clip \"'a'_b\" cannot stand in a line of this format"),
        ("a _b", ["omg", "o.csv"], "clip 'a _b' cannot stand in a line of this format"),
    ],
)
def test_names_that_would_not_be_read_back_are_refused(
    tmp_path: Path, clip: str, arguments: list[str], said: str
) -> None:
    source = tmp_path / "in.csv"
    source.write_text(f'clip,frame,valence,arousal\n"{clip}",0,0.5,0.5\n')
    name, out, *rest = arguments
    rate = ["--rate", "25"] if name == "arff" or (name == "csv" and rest) else []
    command = ("export-labels", source, "-o", tmp_path / out, "--format", name, *rest, *rate)
    if out.endswith((".txt", ".csv")):
        with pytest.raises(InputError) as caught:
            invoke(*command)
        found = str(caught.value)
    else:
        done = invoke(*command)
        assert done.exit_code == 3
        found = done.stderr
    assert said in found
    assert not [*(tmp_path / out).rglob("*")]


def test_a_name_with_the_separator_is_quoted(tmp_path: Path) -> None:
    write_table(tmp_path, clip("a,b", [0.5], [0.25], [0]))
    out = tmp_path / "o.csv"
    run("export-labels", tmp_path / "a,b.affect.parquet", "-o", out, "--format", "ratings", "--range", "-1:1")
    assert out.read_text() == 'name,timestamp,valence,arousal\n"a,b",0,0.5,0.25\n'


def test_a_blank_at_the_end_of_a_name_is_no_part_of_a_cell(tmp_path: Path) -> None:
    write_table(tmp_path, clip("a ", [0.5], [0.25], [0]))
    with pytest.raises(InputError, match="clip 'a ' cannot stand in a line of this format"):
        invoke("export-labels", tmp_path / "a .affect.parquet", "-o", tmp_path / "o.csv", "--format", "csv")
    assert not (tmp_path / "o.csv").exists()


def test_two_clips_are_not_one_utterance(tmp_path: Path) -> None:
    for name in ("x", "x_utterance_1"):
        write_table(tmp_path, clip(name, [0.5], [0.25], [0]))
    with pytest.raises(InputError, match="clips 'x' and 'x_utterance_1' are both utterance_1 of the video x, expected"):
        invoke("export-labels", tmp_path, "-o", tmp_path / "o.csv", "--format", "omg")
    assert not (tmp_path / "o.csv").exists()


# Places


def test_files_are_replaced_only_with_force_and_come_out_equal(tmp_path: Path, labels: Path) -> None:
    out = tmp_path / "out"
    for name in ("arff", "afew-va"):
        run("export-labels", labels, "-o", out, "--format", name)
    files = {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()}
    assert len(files) == 6
    with pytest.raises(
        UsageError, match=r"out: holds valence/b_left.arff, arousal/b_left.arff, valence/v 1_utt.* already"
    ):
        invoke("export-labels", labels, "-o", out, "--format", "arff")
    (out / "b_left.json").write_text("")
    run("export-labels", labels, "-o", out, "--format", "afew-va", "--force")
    run("export-labels", labels, "-o", out, "--format", "arff", "--force")
    assert {path: path.read_bytes() for path in sorted(out.rglob("*")) if path.is_file()} == files
    one = out / "all.txt"
    run("export-labels", labels, "-o", one, "--format", "abaw-mtl")
    with pytest.raises(UsageError, match=r"all.txt: is there already, expected no file of these names; .*--force"):
        invoke("export-labels", labels, "-o", one, "--format", "abaw-mtl")


def test_what_is_read_is_not_replaced_even_with_force(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("valence,arousal\n0.50,0\n")
    (tmp_path / "b.csv").write_text("frame,valence,arousal\n0,0.50,0\n")
    with pytest.raises(UsageError, match=r"a\.txt: is read, too, and would be lost"):
        invoke("export-labels", tmp_path / "a.txt", "-o", tmp_path, "--format", "affwild2-va", "--force")
    with pytest.raises(UsageError, match=r"b\.csv: is read, too, and would be lost"):
        invoke("export-labels", tmp_path / "b.csv", "-o", tmp_path / "b.csv", "--format", "csv", "--force")
    assert (tmp_path / "a.txt").read_text() == "valence,arousal\n0.50,0\n"


@pytest.mark.parametrize(
    ("name", "out", "said"),
    [
        ("afew-va", "x.json", "x.json: is no directory, and afew-va has files for each clip; name a directory"),
        ("arff", "-", "-: is no directory"),
        ("csv", "x.txt", "x.txt: is no directory, and csv has files for each clip; name a directory or one .csv file"),
        (
            "abaw-mtl",
            "x",
            "x: does not end as such a file does, expected a file for all clips that ends in .txt or .csv",
        ),
        ("omg", ".", "is a directory, expected a file for all clips that ends in .csv, or -"),
    ],
)
def test_a_place_of_the_wrong_kind(tmp_path: Path, name: str, out: str, said: str) -> None:
    write_table(tmp_path, ONE)
    with pytest.raises(UsageError) as caught:
        invoke("export-labels", tmp_path, "-o", out if out in ".-" else tmp_path / out, "--format", name)
    assert said in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["v_1.affect.parquet"]


def test_one_clip_that_cannot_be_written_does_not_stop_the_others(affcli: Command, tmp_path: Path) -> None:
    write_table(tmp_path, clip("a_valence", [0, 0.5], [0, 0.5], [0, 40_000]))
    write_table(tmp_path, clip("b", [0, 0.5], [0, 0.5], [0, 40_000]))
    done = affcli("export-labels", tmp_path, "-o", tmp_path / "out", "--format", "arff")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines() == [
        f"affcli: {tmp_path}/out: arff, valence -1:1, arousal -1:1",
        f"affcli: {tmp_path}/a_valence.affect.parquet: clip 'a_valence' ends in the name of a dimension, expected "
        "a name that files of one dimension can bear, as readers take such an end away; rename it, or write both "
        "dimensions and a column of clips in one file (--columns clip=NAME,...)",
        f"affcli: 2 clips: 1 made, 1 failed ({tmp_path}/a_valence.affect.parquet)",
    ]
    made = [path.relative_to(tmp_path / "out") for path in sorted((tmp_path / "out").rglob("*.*"))]
    assert [*map(str, made)] == ["arousal/b.arff", "valence/b.arff"]


def test_standard_input_and_output(affcli: Command) -> None:
    text = "clip,frame,valence,arousal\na_1,0,0.5,0\n"
    done = affcli("export-labels", "-", "-o", "-", "--format", "csv", "--range", "0:10", input=text)
    assert (done.returncode, done.stdout) == (0, "clip,frame,valence,arousal\na_1,0,7.5,5.0\n")
    assert done.stderr == "affcli: standard output: 1 clip as csv, valence 0:10, arousal 0:10\n"


# What is lost is said


def test_what_a_format_cannot_hold_is_said(tmp_path: Path) -> None:
    write_table(tmp_path, ONE)
    std = clip("v_2", [0, 0.25], [NAN, 0.5], [0, 1])
    columns = std.columns() | {"valence_std": np.array([0.1, 0.1]), "arousal_std": np.array([0.1, 0.1])}
    path = tmp_path / "v_2.affect.parquet"
    tables.write(path, AFFECT, columns, recipe=recipes.recipe("predict", {}), inputs=[], facts={})

    def said(name: str, out: str, *rest: object) -> list[str]:
        found = run("export-labels", tmp_path, "-o", tmp_path / out, "--format", name, *rest)
        return [line.removeprefix("affcli: ") for line in found.splitlines()][:-1]

    predicted = "predictions, not labels, which the files do not say: v_2"
    left_out = "expressions; action units; standard deviations"
    halves = "2 frames have valence or arousal alone, and are written as not annotated"
    place = f"{tmp_path}/o: "
    assert said("affwild2-va", "o") == [
        *(predicted, f"left out of affwild2-va: {left_out}", halves, f"{place}affwild2-va, valence -1:1, arousal -1:1")
    ]
    with pytest.raises(InputError, match="clip 'v_2' has labels of frame 1, but none of frame 0, expected labels of f"):
        raise invoke_failure(tmp_path)
    assert said("affwild2-expr", "e")[:2] == [
        "left out, without expressions: v_2",
        "left out of affwild2-expr: action units; valence and arousal",
    ]
    assert said("affwild2-au", "u")[:3] == [
        "left out, without action units of these 12: v_2",
        "left out of affwild2-au: expressions; action units AU20; valence and arousal",
        "nowhere annotated, written as -1: AU2, AU4, AU6, AU7, AU10, AU12, AU15, AU23, AU24, AU25, AU26",
    ]
    assert said("csv", "tables/c.csv") == [predicted, "left out of csv: action units"]
    columns_asked = ("--columns", "clip=c,time=t,valence=v", "--range", "0:9", "--time-unit", "frame")
    lines = run("export-labels", tmp_path, "-o", tmp_path / "tables/r.csv", "--format", "ratings", *columns_asked)
    assert lines.splitlines()[1:] == [
        "affcli: left out of ratings: expressions; action units; standard deviations; arousal",
        f"affcli: {tmp_path}/tables/r.csv: 2 clips as ratings, valence 0:9",
    ]
    assert said("omg", "tables/o.csv") == [
        *(predicted, f"left out of omg: {left_out}", "labels vary within v_1, v_2: the mean of each clip is written")
    ]


def invoke_failure(folder: Path) -> InputError:
    """The failure of the one clip that afew-va cannot hold."""
    from affcli.labels.afew_va import SCALES
    from affcli.labels.writing import afew_va_text

    (affect,) = [one for one in read_affect(folder) if one.clip == "v_2"]
    with pytest.raises(InputError) as caught:
        afew_va_text(affect, SCALES)
    return caught.value


def test_clips_with_nothing_to_write_are_left_out(tmp_path: Path) -> None:
    write_table(tmp_path, clip("a", [NAN, NAN], [NAN, NAN], [0, 1]))
    command = ("export-labels", tmp_path, "-o", tmp_path / "o", "--format")
    with pytest.raises(
        InputError, match="has no valence and arousal in any of 1 clip, expected labels for affwild2-va"
    ):
        invoke(*command, "affwild2-va")
    write_table(tmp_path, clip("b", [0.5, NAN], [NAN, NAN], [0, 1]))
    assert run(*command, "arff").splitlines()[:2] == [
        "affcli: left out, without valence and arousal: a",
        "affcli: no file of arousal, which is nowhere annotated: b",
    ]
    assert [path.name for path in (tmp_path / "o").rglob("*")] == ["valence", "b.arff"]
    with pytest.raises(InputError, match="has no arousal in any of 2 clips, expected labels for csv"):
        invoke(*command, "csv", "--columns", "time=t,arousal=a")


def test_class_other_is_no_class_of_2020(tmp_path: Path) -> None:
    write_table(tmp_path, ONE)
    command = ("export-labels", tmp_path, "-o", tmp_path / "o", "--format", "affwild2-expr", "--classes", 7)
    done = invoke(*command)
    assert done.exit_code == 3
    assert "clip 'v_1': has frames of class Other, expected the classes Neutral, Anger, " in done.stderr
    assert not (tmp_path / "o").exists()


# Times


def test_clips_without_times_need_them_told(tmp_path: Path, write_faces: Callable[..., Path]) -> None:
    write_table(tmp_path, clip("a", [0.5, 1], [0, 1]))
    command = ("export-labels", tmp_path, "-o", tmp_path / "o", "--format", "arff")
    with pytest.raises(InputError, match="tells no times of the frames of a, and arff has times, expected --times DIR"):
        invoke(*command)
    run(*command, "--rate", "30000/1001")
    ends = "'a',0,0.5\n'a',0.033367,1.0\n"
    assert (tmp_path / "o/valence/a.arff").read_text().endswith(ends)
    done = invoke(*command, "--times", tmp_path / "faces", "--force")
    assert (done.exit_code, "has no table of clip 'a'" in done.stderr) == (3, True)
    write_faces(tmp_path / "faces", "a", np.zeros((3, 2, 2, 3), np.uint8), np.ones(3, np.bool_))
    done = invoke(*command, "--times", tmp_path / "faces", "--force")
    assert "a.faces.parquet: has 3 frames, expected 2, as " in done.stderr
    assert "a.affect.parquet has of clip 'a'" in done.stderr
    assert done.exit_code == 3
    write_faces(tmp_path / "faces", "a", np.zeros((2, 2, 2, 3), np.uint8), np.ones(2, np.bool_))
    run(*command, "--times", tmp_path / "faces", "--force")
    assert (tmp_path / "o/valence/a.arff").read_text().endswith("'a',0,0.5\n'a',0.04,1.0\n")
    write_table(tmp_path, clip("a", [0.5, 1], [0, 1], [0, 40_000]))
    with pytest.raises(UsageError, match="--rate: has no use: every clip has its times"):
        invoke(*command, "--rate", "25", "--force")


def test_texts_refuse_clips_without_times() -> None:
    layout = Layout(UNIT, {"time": "t", "valence": "v"})
    with pytest.raises(ValueError, match="clip a has no times"):
        arff_text(clip("a", [0], [0]), layout, "valence")


# Options


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["affwild2-va", "--range", "0:1"], "--range: has no meaning here: affwild2-va has its scale by definition"),
        (["abaw-mtl", "--range", "0:1"], "--range: has no meaning here: abaw-mtl has its scale by definition"),
        (["affwild2-va", "--classes", "7"], "--classes: has no meaning here: only affwild2-expr has classes to choose"),
        (["abaw-mtl", "--classes", "0"], "--classes: has no meaning here: only affwild2-expr has classes to choose"),
        (["arff", "--drop-other"], "--drop-other: has no meaning here: only affwild2-expr has classes to choose"),
        (["csv", "--units", "0"], "--units: has no meaning here: only affwild2-au has action units to choose"),
        (["arff", "--rate", ""], "--rate : is no frame rate"),
        (["arff", "--range", f"0:1{'0' * 400}"], "expected LOW:HIGH"),
        (["affwild2-expr", "--classes", "0"], "--classes 0: is no such number, expected 7 or 8; correct it"),
        (["affwild2-expr", "--drop-other"], "--drop-other: has no meaning here: only --classes 7 has no class Other"),
        (["affwild2-au", "--units", "13"], "--units 13: is no such number, expected 8 or 12"),
        (["arff", "--units", "8"], "--units: has no meaning here: only affwild2-au has action units to choose"),
        (["arff", "--columns", "time=t"], "--columns: has no meaning here: arff has columns of its own"),
        (["omg", "--separator", "tab"], "--separator: has no meaning here"),
        (["omg", "--times", "x"], "--times: has no meaning here: omg has no times"),
        (["afew-va", "--every", "1"], "--every: has no meaning here: afew-va has no times"),
        (["ratings"], "--range: is missing: files of ratings have no common scale"),
        (["arff", "--range", "1:0"], "--range 1:0: has '1:0', expected LOW:HIGH"),
        (["arff", "--resample", "linear"], "--resample: has no meaning here: without --every, every frame has a row"),
        (["arff", "--times", "x", "--rate", "25"], "--rate: stands beside --times, expected one of them"),
        (["arff", "--rate", "29.97"], "--rate 29.97: is a rounded 30000/1001"),
        (["csv", "--rate", "25"], "--rate: has no meaning here: csv counts frames unless --columns or --time-unit"),
        (
            ["csv", "--time-unit", "frame", "--times", "x"],
            "--times: has no meaning here: frames are counted, not timed",
        ),
        (["csv", "--time-unit", "frame", "--every", "1"], "--every: has no meaning here: rows are frames"),
        (["csv", "--columns", ""], "--columns : has '', expected some of clip, time"),
        (["csv", "--columns", "valence=V"], "--columns valence=V: names no column of times, expected time=NAME"),
        (["csv", "--columns", "time=1,valence=2"], "has names that no line of names can have"),
        (
            ["csv", "--columns", "time=a,valence=A"],
            "has names that no line of names can have, expected different names",
        ),
        (["csv", "--columns", "time=t;,valence=v"], "has names that no line of names can have"),
        (["csv", "--columns", "time=t,valence=v,value=w"], "names no column of values, or too many"),
        (["csv", "--columns", "time=t,valence=v"], "is one file, and --columns has no column of clips"),
    ],
)
def test_options_that_do_not_fit_are_refused(tmp_path: Path, arguments: list[str], said: str) -> None:
    write_table(tmp_path, ONE)
    out = {"abaw-mtl": "o.txt", "omg": "o.csv", "csv": "o.csv"}.get(arguments[0], "o")
    with pytest.raises(UsageError) as caught:
        invoke("export-labels", tmp_path, "-o", tmp_path / out, "--format", *arguments)
    assert said in str(caught.value)
    assert not (tmp_path / out).exists()


@pytest.mark.parametrize("separator", ["semicolon", "tab"])
def test_csv_of_another_separator_is_read_back(tmp_path: Path, labels: Path, separator: str) -> None:
    invoke("export-labels", labels, "-o", tmp_path / "csv", "--format", "csv", "--separator", separator)
    assert invoke("import-labels", tmp_path / "csv", tmp_path / "back", "--format", "csv").exit_code == 0
    for one, other in zip(read_affect(labels), read_affect(tmp_path / "back"), strict=True):
        np.testing.assert_array_equal(one.valence, other.valence)
        np.testing.assert_array_equal(one.arousal, other.arousal)


@pytest.mark.parametrize("name", ["affwild2-va", "abaw-mtl", "omg", "csv"])
def test_what_is_no_label_is_written_as_none(tmp_path: Path, name: str) -> None:
    """Below -1 is not annotated, as import-labels reads it, and above 1 is an error: nothing is made a value of."""
    path = tmp_path / "v_1.txt"
    path.write_text("valence,arousal\n0.5,0.25\n-3,0.1\n-5,-5\n")
    ending = ".csv" if name in ("omg", "csv") else ".txt" if name == "abaw-mtl" else ""
    run("import-labels", path, tmp_path / "labels")
    for out, labels in (("one", path), ("two", tmp_path / "labels")):
        run("export-labels", labels, "-o", tmp_path / f"{out}{ending}", "--format", name)
    one, two = (
        [file.read_bytes() for file in ([folder] if folder.is_file() else sorted(folder.iterdir()))]
        for folder in (tmp_path / f"one{ending}", tmp_path / f"two{ending}")
    )
    assert one == two and b"-3" not in b"".join(one)
    path.write_text("valence,arousal\n0.5,1.7\n")
    with pytest.raises(InputError, match=r"line 2: arousal is 1\.7, expected -1 to 1"):
        invoke("export-labels", path, "-o", tmp_path / f"three{ending}", "--format", name)
