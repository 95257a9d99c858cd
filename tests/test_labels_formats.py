"""The label files of other data sets, whole, broken, and off their scales.  Every file is made up here."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from affcli.errors import InputError
from affcli.labels.afew_va import read_afew_va
from affcli.labels.foreign import ClipLabel, TimedLabels
from affcli.labels.formats import FORMATS, detect, files_of, read_foreign
from affcli.labels.multitask import HEADER, UNITS, read_multitask
from affcli.labels.omg import read_omg
from affcli.labels.ratings import dimension_of, joined, read_ratings
from affcli.labels.read import read_text
from affcli.labels.scales import UNIT, Scale
from affcli.labels.sheets import read_arff, read_sheet

NAN = float("nan")
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file below the test's directory: `write("valence/a.csv", text)`."""

    def make(name: str, text: str | bytes) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return make


def same(found: object, wanted: object) -> None:
    np.testing.assert_array_equal(found, wanted)


# Scales


def test_a_scale_is_brought_to_its_middle_and_its_ends() -> None:
    assert [Scale(-10, 10).to_affect(v) for v in (-10, -3, 0, 10)] == [-1, -0.3, 0, 1]
    assert [Scale(0, 1).to_affect(v) for v in (0, 0.25, 0.5, 1)] == [-1, -0.5, 0, 1]
    assert [Scale(0, 100).to_affect(v) for v in (0, 75, 100)] == [-1, 0.5, 1]
    assert [Scale(1, 9).to_affect(v) for v in (1, 5, 9)] == [-1, 0, 1]
    values = np.random.default_rng(0).uniform(-1, 1, 100).tolist()
    assert [Scale(-1, 1).to_affect(v) for v in values] == values
    assert np.isnan(Scale(0, 1).to_affect(NAN))
    for value in (-0.01, 1.01, float("inf"), -5):
        with pytest.raises(ValueError, match="is not in 0:1"):
            Scale(0, 1).to_affect(value)


def test_rounding_does_not_leave_the_scale() -> None:
    for low, high in np.random.default_rng(1).uniform(-9, 9, (500, 2)):
        scale = Scale(min(low, high), max(low, high))
        assert -1 <= scale.to_affect(scale.low) <= scale.to_affect(scale.high) <= 1


# abaw-mtl

NONE = ",".join(["-1"] * 12)


def mtl_line(image: str, valence: object = 0.5, arousal: object = -0.25, expression: int = 4, units: str = "") -> str:
    return f"{image},{valence},{arousal},{expression},{units or ','.join('010000000001')}\n"


def test_multitask_labels_are_clips_of_numbered_frames(write: Write) -> None:
    text = (
        f"{HEADER}\n"
        + mtl_line("b_left/00003.jpg", -5, -5, -1, NONE)
        + mtl_line("a/00012.jpg")
        + mtl_line("a/00002.jpg", "-5.0", "-5.0", 7)
        + mtl_line("b_left/00001.jpg", 1, -1, -1, NONE)
    )
    for ends in (text, text.replace("\n", "\r\n"), text.replace("\n", "\r"), "\ufeff" + text):
        a, b = read_multitask(write("train.txt", ends))
        assert (a.clip, b.clip) == ("a", "b_left")
        whole = a.affect()
        assert len(whole) == 12
        same(whole.valence, [NAN] * 11 + [0.5])
        same(whole.arousal, [NAN] * 11 + [-0.25])
        same(whole.expression, [-1, 7, *[-1] * 9, 4])
        assert tuple(whole.action_units) == UNITS
        same(whole.action_units["au2"], [-1, 1, *[-1] * 9, 1])
        same(whole.action_units["au1"], [-1, 0, *[-1] * 9, 0])
        same(b.affect().valence, [1, NAN, NAN])
        same(b.affect().action_units["au26"], [-1, -1, -1])


def test_multitask_labels_on_the_frames_of_the_video(write: Write) -> None:
    (labels,) = read_multitask(write("a.txt", f"{HEADER}\n" + mtl_line("a/00003.jpg")))
    times = np.array([0, 40_000, 90_000, 130_000])
    whole = labels.affect(times)
    same(whole.valence, [NAN, NAN, 0.5, NAN])
    same(whole.time_us, times)
    with pytest.raises(
        InputError, match=r"a.txt: labels frame 2 of clip 'a', expected frames 0 to 1, as its video has"
    ):
        labels.affect(times[:2])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("a/00002.jpg,0,0,0\n", "line 3: has 4 cells, expected 16"),
        (mtl_line("a/00002.jpg", valence=1.5), "line 3: valence is '1.5', expected -1 to 1, or -5"),
        (mtl_line("a/00002.jpg", arousal=-3), "line 3: arousal is '-3', expected -1 to 1, or -5"),
        (mtl_line("a/00002.jpg", arousal="nan"), "line 3: arousal is 'nan'"),
        (mtl_line("a/00002.jpg", expression=8), "line 3: the expression is '8', expected 0 to 7, or -1"),
        (mtl_line("a/00002.jpg", units="2" + ",0" * 11), "line 3: AU1 is '2', expected 0 or 1, or -1"),
        (mtl_line("a/00000.jpg"), "line 3: the picture is 'a/00000.jpg', expected CLIP/NUMBER.jpg, counted from 00001"),
        (mtl_line("00002.jpg"), "line 3: the picture is '00002.jpg'"),
        (mtl_line("../a/00002.jpg"), "line 3: the picture is '../a/00002.jpg'"),
        (mtl_line("a/00001.jpg"), "line 3: is of the picture of line 2, expected each once"),
        ("\n" + mtl_line("a/00002.jpg"), "line 3: has 1 cell, expected 16"),
    ],
)
def test_broken_multitask_labels_say_the_line(write: Write, line: str, said: str) -> None:
    path = write("a.txt", f"{HEADER}\n" + mtl_line("a/00001.jpg") + line)
    with pytest.raises(InputError) as error:
        read_multitask(path)
    assert str(error.value).startswith(f"{path}, {said}")


def test_a_file_of_another_kind_is_no_multitask_labels(write: Write) -> None:
    with pytest.raises(InputError, match=r"begins with 'valence,arousal', expected image,valence"):
        read_multitask(write("a.txt", "valence,arousal\n0,0\n"))
    with pytest.raises(InputError, match="holds a header and nothing else"):
        read_multitask(write("a.txt", HEADER + "\n"))


def test_whoever_needs_one_line_per_frame_says_where_multitask_labels_go(write: Write) -> None:
    with pytest.raises(InputError, match="affcli import-labels makes affect tables of multi-task labels"):
        read_text(write("a.txt", f"{HEADER}\n{mtl_line('a/00001.jpg')}"))


# afew-va


def afew(frames: object) -> str:
    return json.dumps({"video_id": "001", "actor": "x", "frames": frames})


def test_afew_va_is_a_clip_with_gaps(write: Write) -> None:
    frames = {
        "00000": {"landmarks": [[1, 2]], "valence": 10.0, "arousal": -10},
        "00002": {"landmarks": [], "valence": -3, "arousal": 5.0},
    }
    labels = read_afew_va(write("001.json", afew(frames)))
    assert labels.clip == "001"
    same(labels.affect().valence, [1, NAN, -0.3])
    same(labels.affect().arousal, [-1, NAN, 0.5])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"frames": {\n"00000": x}}', ", line 2: is no JSON (Expecting value)"),
        (afew({"00000": {"valence": 11, "arousal": 0}}), ", frame '00000': valence is 11, expected -10 to 10"),
        (afew({"00000": {"valence": 1}}), ", frame '00000': arousal is null, expected a number"),
        (afew({"00000": {"valence": True, "arousal": 0}}), ", frame '00000': valence is true, expected a number"),
        (afew({"00000": {"valence": NAN, "arousal": 0}}), ", frame '00000': valence is NaN, expected a number"),
        (afew({"00000": [1, 2]}), ", frame '00000': valence is null"),
        (afew({"00001": {"valence": 1, "arousal": 0}}), ": counts its frames from 1, expected frame 00000 first"),
        (afew({"x": {"valence": 1, "arousal": 0}}), ": has a frame 'x'"),
        (afew({key: {"valence": 1, "arousal": 0} for key in ("0", "00")}), ": has frame 0 twice"),
        ('{"frames": {"0": {"valence": 1, "valence": 2}}}', ": holds 'valence' twice"),
        (afew({}), ": has no frames"),
        ("[1, 2]", ": has no frames"),
        ("[" * 100_000, ": is nested too deeply"),
        ("", ": is empty"),
    ],
)
def test_broken_afew_va_says_where(write: Write, text: str, said: str) -> None:
    path = write("001.json", text)
    with pytest.raises(InputError) as error:
        read_afew_va(path)
    assert str(error.value).startswith(f"{path}{said}")


# omg

OMG = "link,start,end,video,utterance,arousal,valence,EmotionMaxVote\n"


def test_omg_is_a_clip_for_each_utterance(write: Write) -> None:
    text = (
        OMG + "https://x/?v=1,0.5,3.2,v1,utterance_1.mp4,0.75,-0.5,4\nhttps://x/?v=1,3.2,9,v1,utterance_2.mp4,0,1,3\n"
    )
    first, second = read_omg(write("train.csv", text))
    assert (first.clip, first.valence, first.arousal) == ("v1_utterance_1", -0.5, 0.5)
    assert (second.clip, second.valence, second.arousal) == ("v1_utterance_2", 1, -1)
    whole = first.affect(np.array([0, 40_000, 80_000]))
    same(whole.valence, [-0.5] * 3)
    same(whole.arousal, [0.5] * 3)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("l,0,1,v1,utterance_2.mp4,-0.1,0,1", ", line 3: arousal is -0.1, expected 0 to 1"),
        ("l,0,1,v1,utterance_2.mp4,0.5,1.1,1", ", line 3: valence is 1.1, expected -1 to 1"),
        ("l,0,1,v1,utterance_2.mp4,x,1,1", ", line 3: arousal is 'x', expected a number"),
        ("l,0,1,v1,utterance_1.mp4,0,1,1", ", line 3: is of the utterance of line 2"),
        ("l,0,1,,utterance_1.mp4,0,1,1", ", line 3: names no utterance"),
        ("l,0,1", ", line 3: has 3 cells, expected 8 as in line 1"),
    ],
)
def test_broken_omg_says_the_line(write: Write, row: str, said: str) -> None:
    path = write("train.csv", f"{OMG}l,0,1,v1,utterance_1.mp4,0.5,0,1\n{row}\n")
    with pytest.raises(InputError) as error:
        read_omg(path)
    assert str(error.value).startswith(f"{path}{said}")


def test_numbers_that_no_float_holds_are_no_values(write: Write) -> None:
    for digits, said in ((400, ", frame '00000': valence is 1000"), (5000, ": holds a number that cannot be read")):
        path = write("001.json", f'{{"frames": {{"00000": {{"valence": 1{"0" * digits}, "arousal": 0}}}}}}')
        with pytest.raises(InputError) as error:
            read_afew_va(path)
        assert str(error.value).startswith(f"{path}{said}")


def test_omg_without_a_column(write: Write) -> None:
    with pytest.raises(
        InputError, match=r"has no columns utterance .*, expected one each of video, utterance, valence"
    ):
        read_omg(write("a.csv", "link,video,valence,arousal\nl,v,0,0\n"))


# ratings, arff, csv


def one(path: Path, scales: dict[str, Scale] = UNIT, **options: object) -> TimedLabels:
    (labels,) = read_ratings(read_sheet(path), scales, **options)  # type: ignore[arg-type]
    return labels


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_csv_of_avec_with_its_separators(write: Write, separator: str) -> None:
    rows = ["name,timestamp,arousal,valence,liking", "'Train_1',0.0,0.5,-0.25,0", "'Train_1',0.1,?,1,0"]
    labels = one(write("x.csv", "\r\n".join(rows).replace(",", separator) + "\r\n"))
    assert labels.clip == "Train_1"
    assert labels.tracks["valence"].at.tolist() == [0, 100_000]
    same(labels.tracks["valence"].values, [-0.25, 1])
    same(labels.tracks["arousal"].values, [0.5, NAN])


def test_a_file_for_each_dimension(write: Write) -> None:
    text = "name,timestamp,value\n'train_1',0,0.5\n'train_1',0.04,0.25\n"
    arousal = one(write("arousal/train_1.csv", text))
    valence = one(write("valence/train_1.csv", text.replace("0.5", "-0.5")))
    assert (list(arousal.tracks), list(valence.tracks)) == (["arousal"], ["valence"])
    (whole,) = joined([arousal, valence])
    made = whole.affect(np.array([7_000, 47_000]), "nearest", 0)  # the clock of the ratings begins with the first frame
    same(made.valence, [-0.5, 0.25])
    same(made.arousal, [0.5, 0.25])
    assert list(whole.paths) == ["valence", "arousal"]
    with pytest.raises(InputError, match=r"has arousal of clip 'train_1', and so has .*arousal/train_1.csv"):
        joined([arousal, arousal])


def test_the_end_of_a_name_tells_the_dimension() -> None:
    assert dimension_of(Path("/x/P16_arousal.csv")) == ("arousal", "P16")
    assert dimension_of(Path("/x/P16-Valence.csv")) == ("valence", "P16")
    assert dimension_of(Path("/x/Valence/P16.csv")) == ("valence", "P16")
    assert dimension_of(Path("/x/P16.csv")) == ("", "P16")
    assert dimension_of(Path("/x/_valence.csv")) == ("", "_valence")


def test_a_value_of_no_told_dimension_is_refused(write: Write) -> None:
    with pytest.raises(InputError, match="does not say whether it holds valence or arousal"):
        one(write("a.csv", "time,rating\n0,50\n"), {"valence": Scale(0, 100)})
    with pytest.raises(InputError, match=r"has no ratings \(its columns are 'time,FM1,FM2'\)"):
        one(write("a.csv", "time,FM1,FM2\n0,50,3\n"))


def test_interval_ratings_from_0_to_100(write: Write) -> None:
    path = write("ID1_valence.csv", "time,rating\n0,50\n0.5,100\n1,0\n")
    labels = one(path, {"valence": Scale(0, 100)})
    assert labels.clip == "ID1"
    made = labels.affect(np.array([0, 250_000, 500_000, 750_000, 1_000_000, 1_250_000]), "linear", 0)
    same(made.valence, [0, 0.5, 1, 0, -1, NAN])
    same(made.arousal, [NAN] * 6)
    with pytest.raises(InputError, match=r"line 2: valence is 50, expected -1 to 1; .*--range valence=LOW:HIGH"):
        one(path)
    with pytest.raises(InputError, match="has a column of valence, whose scale is not told"):
        one(path, {"arousal": Scale(0, 100)})


def test_columns_by_name_and_by_number(write: Write) -> None:
    path = write("a.csv", "Time;V;A;who\n0;1;2;x\n1500;3;4;x\n")
    named = {"time": "time", "valence": "V", "arousal": "a", "clip": "who"}
    labels = one(path, dict.fromkeys(UNIT, Scale(0, 4)), columns=named, unit="ms")
    assert (labels.clip, labels.tracks["arousal"].at.tolist()) == ("x", [0, 1_500_000])
    same(labels.tracks["valence"].values, [-0.5, 0.5])
    bare = write("b.csv", "0;1;2\n1500;3;4\n")
    (found,) = read_foreign(bare, "csv", dict.fromkeys(UNIT, Scale(0, 4)), columns={"time": "1", "valence": "3"})
    assert isinstance(found, TimedLabels)
    same(found.tracks["valence"].values, [0, 1])
    with pytest.raises(InputError, match=r"has 3 columns, expected column 4, as --columns valence=4 says"):
        read_foreign(bare, "csv", UNIT, columns={"time": "1", "valence": "4"})
    with pytest.raises(InputError, match=r"has no column B \(its columns are 'Time,V,A,who'\)"):
        one(path, columns={"time": "time", "valence": "B"})


def test_a_value_column_without_a_name_is_what_the_directory_says(write: Write) -> None:
    path = write("arousal/x.csv", "'Train_01';0.0;0.5\n'Train_01';0.1;-1\n")
    (found,) = read_foreign(path, "ratings", UNIT, columns={"clip": "1", "time": "2", "value": "3"})
    assert isinstance(found, TimedLabels)
    assert (found.clip, list(found.tracks)) == ("Train_01", ["arousal"])
    same(found.tracks["arousal"].values, [0.5, -1])
    elsewhere = write("other/x.csv", "0.0;0.5\n")
    with pytest.raises(InputError, match=r"does not say whether it holds valence or arousal \(it has no header\)"):
        read_foreign(elsewhere, "ratings", UNIT, columns={"time": "1", "value": "2"})


def test_rate_stands_for_times(write: Write) -> None:
    path = write("a.csv", "valence,arousal\n0,0\n0.5,0.5\n1,1\n")
    with pytest.raises(InputError, match="has no column of times"):
        one(path)
    assert one(path, rate=Fraction(30000, 1001)).tracks["valence"].at.tolist() == [0, 33_367, 66_733]


def test_an_empty_line_does_not_move_the_values_behind_it(write: Write) -> None:
    for name, text in (("a.csv", "value\n0\n\n1\n"), ("b.csv", "valence,arousal\n0,0\n,\n1,1\n")):
        with pytest.raises(InputError, match=r", line 3: is empty, expected a value in every row, since --rate counts"):
            one(write(f"valence/{name}", text), rate=Fraction(25))
    # At the end of a file, and where rows have times of their own, it does no harm.
    assert len(one(write("valence/c.csv", "value\n0\n1\n\n\n"), rate=Fraction(25)).tracks["valence"].at) == 2
    assert one(write("d.csv", "time,valence\n0,0\n,\n1,1\n")).tracks["valence"].at.tolist() == [0, 1_000_000]


def test_empty_lines_before_the_header(write: Write) -> None:
    path = write("a.csv", "\n\ntime;valence\n0;0.5\n1\n")
    with pytest.raises(InputError, match=r"line 5: has 1 cell, expected 2 as in line 3"):
        one(path)
    path.write_text("\n\ntime;valence\n0;0.5\n")
    same(one(path).tracks["valence"].values, [0.5])


@pytest.mark.parametrize("columns", [None, {"time": "1", "valence": "2"}])
def test_a_file_of_separators_alone_is_refused(write: Write, columns: dict[str, str] | None) -> None:
    path = write("a.csv", ",,\n,,\n")
    with pytest.raises(InputError, match=r"a\.csv: holds empty cells alone"):
        read_foreign(path, "ratings", UNIT, columns=columns)


def test_times_are_rounded_as_they_are_written(write: Write) -> None:
    random = np.random.default_rng(5)
    digits = [f"{random.integers(10**6)}.{random.integers(10**9):09d}" for _ in range(500)]
    # On both sides of a half, nearer to it than floats can tell.
    digits += [f"{2**29 + i}.0000005" + end for i in range(50) for end in ("", "0000000000001")]
    digits += [f"{2**29 + i}.0000004999999999999" for i in range(50, 99)]
    cells = sorted(set(digits), key=Fraction)
    wanted = [math.floor(Fraction(cell) * 10**6 + Fraction(1, 2)) for cell in cells]
    kept = [i for i in range(len(cells)) if i == 0 or wanted[i] != wanted[i - 1]]
    rows = "".join(f"{cells[i]},0\n" for i in kept)
    found = one(write("a.csv", f"time,valence\n{rows}")).tracks["valence"].at.tolist()
    assert found == [wanted[i] for i in kept]


def test_time_units(write: Write) -> None:
    path = write("a.csv", "time,valence\n0,0\n1.0000005,0\n2,0\n")
    assert one(path, unit="s").tracks["valence"].at.tolist() == [0, 1_000_001, 2_000_000]
    assert one(path, unit="ms").tracks["valence"].at.tolist() == [0, 1_000, 2_000]
    assert one(path, unit="us").tracks["valence"].at.tolist() == [0, 1, 2]
    with pytest.raises(InputError, match=r"line 3: the time is '1.0000005', expected the number of a frame, from 0"):
        one(path, unit="frame", columns={"time": "time", "valence": "valence"})


def test_frames_instead_of_times(write: Write) -> None:
    path = write("a.csv", "clip,frame,valence\nc,0,0\nc,3,1\n")
    with pytest.raises(InputError, match=r"has no column of times .*--time-unit frame where it counts frames"):
        one(path)
    made = one(path, unit="frame").by_frame().affect()
    assert made.clip == "c"
    same(made.valence, [0, NAN, NAN, 1])
    same(made.arousal, [NAN] * 4)
    with pytest.raises(InputError, match="counts the frames of clip 'b' from 1, expected 0 for the first frame"):
        one(write("b.csv", "frame,valence\n1,0\n2,1\n"), unit="frame")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("1,0,5", "line 3: arousal is 5, expected -1 to 1"),
        ("1,-5,-5", "line 3: valence is -5, expected -1 to 1"),
        ("1,1e400,0", "line 3: valence is '1e400', expected a number"),
        ("1,inf,0", "line 3: valence is 'inf', expected a number"),
        ("0,0,0", "line 3: is at 0, not after the line before, expected times of a clip that increase"),
        ("x,0,0", "line 3: the time is 'x', expected a number of s"),
        ("1e99,0,0", "line 3: the time is '1e99', expected a number of s"),
        ("1,0", "line 3: has 2 cells, expected 3 as in line 1"),
    ],
)
def test_broken_ratings_say_the_line(write: Write, row: str, said: str) -> None:
    path = write("a.csv", f"time,valence,arousal\n0,0,0\n{row}\n")
    with pytest.raises(InputError) as error:
        one(path)
    assert str(error.value).startswith(f"{path}, {said}")


def test_decimal_commas_are_told(write: Write) -> None:
    with pytest.raises(InputError, match=r"line 2: valence is '0,5', .*; write decimals with a point"):
        one(write("a.csv", "time;valence\n0;0,5\n"))
    with pytest.raises(InputError, match=r"line 2: the time is '0,5', .*; write decimals with a point"):
        one(write("a.csv", "time;valence\n0,5;0\n"))


def test_lines_of_arff_are_those_of_an_editor(write: Write) -> None:
    rows = "a,0,\x0b0\na,1,0,3\n"
    with pytest.raises(InputError, match=r"line 10: has 4 cells, expected 3 as in the lines of @attribute"):
        read_arff(write("arousal/a.arff", ARFF + rows))
    with pytest.raises(InputError, match=r"line 9: is 'a,0,1111.*expected a value for each attribute \(field larger"):
        read_arff(write("arousal/a.arff", f"{ARFF}a,0,{'1' * 200_000}\n"))


def test_a_column_for_each_annotator_is_chosen_by_name(write: Write) -> None:
    path = write("arousal/P16.csv", "time;FM1 ;FM2 ;FF1\n0;0.1;0.2;\n0.04;0.3;0.4;0.5\n")
    with pytest.raises(
        InputError, match=r"has no ratings \(its columns are 'time,FM1,FM2,FF1'\).*time=NAME,value=NAME$"
    ):
        one(path)
    for who, wanted in (("FM2", [0.2, 0.4]), ("FF1", [NAN, 0.5])):
        labels = one(path, columns={"time": "time", "value": who})
        assert (labels.clip, list(labels.tracks)) == ("P16", ["arousal"])
        same(labels.tracks["arousal"].values, wanted)


def test_files_as_avec_and_send_have_them(write: Write) -> None:
    head = "@attribute Instance_name string\n@attribute frameTime numeric\n@attribute GoldStandard numeric\n"
    for relation in ("GOLDSTANDARD", "GOLDSTANDARD_AROUSAL"):
        path = write("arousal/train_1.arff", f"@relation {relation}\n\n{head}\n\n@data\n\n\n'train_1',0.04,-0.25\n")
        (labels,) = read_foreign(path, "arff", UNIT)
        assert isinstance(labels, TimedLabels)
        assert (labels.clip, labels.tracks["arousal"].at.tolist()) == ("train_1", [40_000])
        same(labels.tracks["arousal"].values, [-0.25])
    target = write("target/target_1_1_normal.csv", "time, rating\n0.0,0.5\n0.5,0.75\n")
    columns = {"time": "time", "valence": "rating"}
    same(one(target, {"valence": Scale(0, 1)}, columns=columns).tracks["valence"].values, [0, 0.5])


ARFF = """% gold standard
@relation 'gold standard'

@attribute Instance_name string
@ATTRIBUTE 'frameTime' numeric
@attribute GoldStandard numeric

@data
"""


def test_arff_is_read_as_csv_is(write: Write) -> None:
    path = write("arousal/train_1.arff", ARFF + "'train_1',0.00,0.5\n% rest\n'train_1',0.04,?\n'train_1',0.08,-1\n")
    (labels,) = read_foreign(path, "arff", UNIT)
    assert isinstance(labels, TimedLabels)
    assert (labels.clip, list(labels.tracks)) == ("train_1", ["arousal"])
    assert labels.tracks["arousal"].at.tolist() == [0, 40_000, 80_000]
    same(labels.tracks["arousal"].values, [0.5, NAN, -1])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (ARFF + "'a',0.00\n", ", line 9: has 2 cells, expected 3 as in the lines of @attribute"),
        (ARFF + "'a',0,0\n'a',0.04,1.2\n", ", line 10: arousal is 1.2, expected -1 to 1"),
        (ARFF + "{0 'a'}\n", ", line 9: is '{0 'a'}', expected a value for each attribute (sparse"),
        (ARFF.replace("@data", "@dat"), ", line 8: is '@dat', expected @relation"),
        (ARFF.replace("@data", ""), ": has no line @data"),
        ("@relation x\n@data\n1,2\n", ": has no line @attribute"),
        (ARFF, ": names columns and holds nothing else"),
    ],
)
def test_broken_arff_says_the_line(write: Write, text: str, said: str) -> None:
    path = write("arousal/a.arff", text)
    with pytest.raises(InputError) as error:
        read_ratings(read_arff(path), UNIT)
    assert str(error.value).startswith(f"{path}{said}")


# Which format


def test_formats_are_told_where_only_one_can_be_meant(write: Write, tmp_path: Path) -> None:
    assert detect(write("m/a.txt", HEADER + "\n")) == "abaw-mtl"
    assert detect(tmp_path / "m") == "abaw-mtl"
    assert detect(write("o/a.csv", "\ufeff" + OMG)) == "omg"
    assert detect(write("v/001/001.json", "{}")) == "afew-va"
    assert detect(tmp_path / "v") == "afew-va"
    assert detect(write("r/arousal/a.arff", "")) == "arff"
    assert detect(tmp_path / "r") == "arff"
    assert detect(write("w/a.txt", "valence,arousal\n")) == ""
    write("w/notes.json", "{}")
    assert detect(tmp_path / "w") == ""
    assert detect(write("t/a.csv", "name;timestamp;value\n")) == ""  # its scale is not told
    assert detect(tmp_path) == ""
    assert detect(tmp_path / "nothing.csv") == ""
    write("v/x.arff", "")
    assert detect(tmp_path / "v") == ""


def test_files_of_a_format(write: Write, tmp_path: Path) -> None:
    path = write("a/valence/x.arff", "")
    write("a/.hidden/x.arff", "")
    write("a/x.csv", "")
    assert files_of(tmp_path / "a", "arff") == [path]
    with pytest.raises(InputError, match=r"holds no labels of format afew-va, .*expected .json files"):
        files_of(tmp_path / "a", "afew-va")
    with pytest.raises(InputError, match="does not exist"):
        files_of(tmp_path / "b", "afew-va")


def test_every_format_reads_through_one_door(write: Write) -> None:
    texts = {
        "abaw-mtl": f"{HEADER}\n{mtl_line('a/00001.jpg')}",
        "afew-va": afew({"00000": {"valence": 1, "arousal": 0}}),
        "omg": OMG + "l,0,1,v1,utterance_1.mp4,0.5,0,1\n",
        "ratings": "time,valence,arousal\n0,0,0\n",
        "csv": "time,valence,arousal\n0,0,0\n",
        "arff": "@attribute time numeric\n@attribute valence numeric\n@data\n0,0\n",
    }
    assert texts.keys() == FORMATS.keys()
    for name, text in texts.items():
        path = write(f"{name}{FORMATS[name].endings[0]}", text)
        (labels,) = read_foreign(path, name, FORMATS[name].scales or UNIT)
        assert list(labels.paths.values()) == [path]
        assert labels.path == path
        assert isinstance(labels, ClipLabel) == (name == "omg")
