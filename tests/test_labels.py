"""Label files: what is read, what is refused and with which line and advice, and back to CSV."""

from __future__ import annotations

import io
import logging
from pathlib import Path

import numpy as np
import pytest

from affcli import recipes, tables
from affcli.errors import InputError, SchemaError
from affcli.labels import csv, lines
from affcli.labels.affect import Affect, distinct, from_table
from affcli.labels.affwild2 import write_labels
from affcli.labels.files import text_files
from affcli.labels.read import holds_tables, read_affect, read_stream
from affcli.schemas import AFFECT

NAN = float("nan")
RECIPE = recipes.recipe("import-labels", {})


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def affect(clip: str, valence: list[float], arousal: list[float] | None = None) -> Affect:
    return Affect(clip, np.array(valence), np.array(valence if arousal is None else arousal))


def write_table(path: Path, *clips: Affect) -> Path:
    columns = [clip.columns() for clip in clips]
    joined = {name: np.concatenate([one[name] for one in columns]) for name in columns[0]}
    tables.write(path, AFFECT, joined, recipe=RECIPE, inputs=[], facts={})
    return path


def parse(text: str | bytes, stem: str = "a", *, affwild2_only: bool = False) -> list[Affect]:
    content = text if isinstance(text, bytes) else text.encode()
    return csv.parse(content, f"{stem}.csv", stem, affwild2_only=affwild2_only)


def assert_equal(found: list[Affect], wanted: list[Affect]) -> None:
    assert [one.clip for one in found] == [one.clip for one in wanted]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one.valence, other.valence)
        np.testing.assert_array_equal(one.arousal, other.arousal)
        assert (one.expression is None) == (other.expression is None)
        np.testing.assert_array_equal(one.expression, other.expression)


def test_affwild2_line_k_is_frame_k_minus_one_and_minus_five_is_not_annotated(tmp_path: Path) -> None:
    path = write(tmp_path / "12-24-1920x1080_left.txt", "valence,arousal\n0.1,0.2\n-5,-5\n-5.0,-5.0\n-1,1\n0,0\n")
    (found,) = read_affect(path)
    assert_equal([found], [affect("12-24-1920x1080_left", [0.1, NAN, NAN, -1, 0], [0.2, NAN, NAN, 1, 0])])
    assert found.valid.tolist() == [True, False, False, True, True]
    assert not found.named


def test_a_table_may_take_frames_out_by_its_column_valid(tmp_path: Path) -> None:
    columns = affect("a", [0.1, 0.2, 0.3], [0.4, 0.5, NAN]).columns()
    columns["valid"] = np.array([True, False, False])
    path = tmp_path / "a.affect.parquet"
    tables.write(path, AFFECT, columns, recipe=RECIPE, inputs=[], facts={})
    assert_equal(read_affect(path), [affect("a", [0.1, NAN, 0.3], [0.4, NAN, NAN])])


def test_a_table_cannot_make_a_frame_valid_that_has_no_values(tmp_path: Path) -> None:
    columns = affect("a", [0.1, 0.2, NAN], [0.4, NAN, 0.5]).columns()
    columns["valid"] = np.array([True, True, False])
    path = tmp_path / "a.affect.parquet"
    tables.write(path, AFFECT, columns, recipe=RECIPE, inputs=[], facts={})
    with pytest.raises(
        SchemaError, match=r"a\.affect\.parquet: row 1 is valid without valence or arousal, expected both"
    ):
        read_affect(path)


def test_a_frame_is_valid_only_where_both_are_known() -> None:
    (found,) = parse("valence,arousal\n-5,0.3\n0.3,-5\n,\n0.1,0.1\n")
    assert found.valid.tolist() == [False, False, False, True]
    assert found.arousal[0] == 0.3


def test_values_below_the_scale_other_than_minus_five_are_announced(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        (found,) = parse("valence,arousal\n-5,-5\n-1.02,0.3\n0,0\n")
    assert np.isnan(found.valence[:2]).all()
    assert caplog.messages == [
        "a.csv: valence below -1 is taken as not annotated in 1 of 3 frames (first: clip 'a', frame 1, -1.02)"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "clip,frame,valence,arousal\na,0,0.5,-0.5\na,1,,\nb,0,0.25,1\n",
        "clip,frame,valence,arousal\r\na,0,0.5,-0.5\r\na,1,,\r\nb,0,0.25,1\r\n",
        "\ufeff Clip , FRAME,Valence,arousal \na,0,0.5,-0.5\na,1,,\nb,0,0.25,1",
        "clip,frame,valence,arousal\na,0,0.5,-0.5\na,1,,\nb,0,0.25,1\n\n\n",
        "clip,frame,valence,arousal\na,0, 0.5 ,-.5\na,1, , \nb,0,2.5e-1,+1.\n",
        'time,arousal,who,valence,frame,clip\n0.0,-0.5,"x,y",0.5,0,a\n0.1,,,,1,a\n0.2,1,"say ""hi""",0.25,0,"b"\n',
    ],
    ids=["plain", "CRLF", "BOM and blanks in the header", "empty lines at the end", "odd numbers", "other columns"],
)
def test_csv_dialects(text: str) -> None:
    found = parse(text)
    assert_equal(found, [affect("a", [0.5, NAN], [-0.5, NAN]), affect("b", [0.25], [1])])
    assert all(one.named for one in found)


@pytest.mark.parametrize("mark", [";", "\t"])
def test_semicolons_and_tabs_part_cells_where_no_comma_is_in_the_file(mark: str) -> None:
    text = "clip,frame,valence,arousal\na,0,0.5,-0.5\na,1,,\nb,0,0.25,1\n".replace(",", mark)
    assert_equal(parse(text), [affect("a", [0.5, NAN], [-0.5, NAN]), affect("b", [0.25], [1])])
    with pytest.raises(InputError, match="is separated by"):
        parse(text.replace("0.5", "0,5"))
    with pytest.raises(InputError, match="is separated by"):
        parse(text.replace("a", '"a"'))


def test_a_csv_of_expressions_is_told_as_one() -> None:
    with pytest.raises(InputError, match=r"is a CSV of expressions.*score --task expr and submit --task expr read it"):
        parse("clip,frame,expression\na,0,3\n")


def test_csv_without_clip_is_named_after_its_file(tmp_path: Path) -> None:
    (found,) = read_affect(write(tmp_path / "talk.one.csv", "frame,valence,arousal\n0,0,0\n"))
    assert (found.clip, found.named, len(found)) == ("talk.one", False, 1)


BAD = {
    "": ("is empty", ""),
    "\n\n": ("is empty", ""),
    "valence,arousal\n": ("holds a header and nothing else", ""),
    "frame;valence;arousal\n0;0,1;0,1\n": ("is separated by semicolons", "commas"),
    "frame\tvalence\tarousal\n0\t0,1\t0,1\n": ("is separated by tabs", "commas"),
    "0.1,0.2\n0.3,0.4\n": ("begins with numbers ('0.1,0.2')", "put the line valence,arousal at the top"),
    "frame,valence\n0,1\n": ("has no column arousal (line 1: 'frame,valence')", "name its columns"),
    "valence,arousal,valence\n": ("has two columns valence", "remove one"),
    "clip,valence,arousal\na,0,0\n": ("has a column clip and no column frame", "number each clip's frames"),
    "valence,arousal\n0,0\n0\n": ("line 3: has 1 cell, expected 2", "complete or remove"),
    "valence,arousal\n0,0\n0,0,0\n": ("line 3: has 3 cells, expected 2", "complete or remove"),
    "valence,arousal\n0,0\n\n0,0\n": ("line 3: is empty", "write a comma"),
    "valence,arousal\n0,0\n0,abc\n": ("line 3: arousal is 'abc'", "leave the cell empty"),
    "valence,arousal\nnan,0\n": ("line 2: valence is 'nan'", "leave the cell empty"),
    "valence,arousal\n0,inf\n": ("line 2: arousal is 'inf'", ""),
    "valence,arousal\n1e400,0\n": ("line 2: valence is 1e400, expected a finite number", "mend the value, or leave"),
    "valence,arousal\n-1e400,0\n": ("line 2: valence is -1e400, expected a finite number", ""),
    "valence,arousal\n0,0\n7,0\n": ("line 3: valence is 7, expected -1 to 1", "--range gt=LOW:HIGH of affcli score"),
    "valence,arousal\n0_1,0\n": ("line 2: valence is '0_1'", ""),
    "frame,valence,arousal\n1,0,0\n2,0,0\n": ("line 2: frames of clip 'a' begin at 1", "subtract 1"),
    "clip,frame,valence,arousal\na,1,0,0\nb,1,0,0\n": (
        "line 2: frames of clip 'a' begin at 1",
        "subtract 1 from every",
    ),
    "clip,frame,valence,arousal\na,0,0,0\nb,1,0,0\n": (
        "line 3: frames of clip 'b' begin at 1",
        "write the line b,0,, for a frame without values, or, if its frames are counted from 1, subtract 1",
    ),
    "frame,valence,arousal\n0,0,0\n0,0,0\n": ("line 3: frame 0 comes twice", "one line per frame"),
    "frame,valence,arousal\n0,0,0\n2,0,0\n": ("line 3: frame 2 where frame 1 is due", "empty cells"),
    "frame,valence,arousal\n0,0,0\n1,0,0\n0,0,0\n": ("line 4: frame 0 where frame 2 is due", "sort"),
    "frame,valence,arousal\n0.0,0,0\n": ("line 2: frame is '0.0'", "0, 1, 2"),
    "clip,frame,valence,arousal\na,0,0,0\nb,0,0,0\na,1,0,0\n": ("line 4: clip 'a' comes again", "sort"),
    "clip,frame,valence,arousal\na,0,0,0\n,1,0,0\n": ("line 3: names no clip", "fill in"),
    'who,valence,arousal\n"two\nlines",0,0\nx,0,2\n': ("line 4: arousal is 2", ""),
    "image_location,valence,arousal\n1/00001.jpg,0,0\n": ("names its frames by pictures", "number - 1"),
    "image,valence,arousal,expression,aus\n1/00001.jpg,0,0,1,0,0,1\n": ("names its frames by pictures", ""),
    "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise\n1\n": ("holds expression labels", "VA_Set"),
    "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n1\n": ("expression labels", "by --expressions"),
    "AU1,AU2,AU4,AU6\n0,0,1,1\n": ("holds action unit labels", "VA_Set"),
    "AU1,AU2\n0,0\n": ("holds action unit labels", "affcli import-labels takes this one by --action-units"),
}


@pytest.mark.parametrize("text", BAD)
def test_malformed_text_is_refused_with_line_and_advice(text: str) -> None:
    found, advice = BAD[text]
    with pytest.raises(InputError) as caught:
        parse(text)
    message = str(caught.value)
    assert message.startswith("a.csv")
    assert found in message
    assert advice in caught.value.advice
    assert "\n" not in message


@pytest.mark.parametrize("content", [b"\xff\xfev\0a\0", b"valence,arousal\n0,\xe9\n", b"valence,arousal\n0,\0\n"])
def test_undecodable_text_is_refused(content: bytes) -> None:
    with pytest.raises(InputError, match=r"a\.csv: is no UTF-8 text \(byte 0x.. in line [12]\)"):
        parse(content)


def test_a_txt_must_be_a_label_file() -> None:
    with pytest.raises(InputError, match="begins with 'arousal,valence'"):
        parse("arousal,valence\n0,0\n", affwild2_only=True)
    with pytest.raises(InputError, match=r"begins with .*ending \.csv"):
        parse("frame,valence,arousal\n0,0,0\n", affwild2_only=True)


def test_fast_and_strict_reading_agree() -> None:
    """What Arrow accepts, the reading by line accepts too, with the same values."""
    generator = np.random.default_rng(3)
    cells = ["0.5", "-1", "1", "-5", "", " 0.25 ", ".5", "1e-3", '"0.1"', '""', "-0", "nan", "2", "x", "+0.5"]
    heads = ["valence,arousal", "frame,valence,arousal", "clip,frame,valence,arousal", "x,valence,y,arousal"]
    heads += ["frame,valence,arousal,expression", "expression,valence,arousal"]
    classes = ["0", "7", "-1", "", " 3 ", "8", "-2", "1.0", '"2"', "+1", "x", "300"]
    fast_count = classes_count = 0
    for _ in range(2000):
        head = str(generator.choice(heads))
        rows = [head]
        for frame in range(int(generator.integers(0, 4))):
            known = {"clip": "a", "frame": str(frame), "x": '"q,r"', "y": "é"}
            known["expression"] = str(generator.choice(classes))
            rows.append(",".join(known.get(name, str(generator.choice(cells))) for name in head.split(",")))
        text = str(generator.choice(["\n", "\r\n"])).join(rows)
        layout = csv._layout(head.split(","), "a.csv", expressions=True)
        fast = csv._parse_fast(text.encode(), layout, "a.csv", "a")
        if fast is not None:
            assert_equal(fast, list(lines.parse(text, layout, "a.csv", "a")))
            fast_count += 1
            classes_count += fast[0].expression is not None
    assert fast_count > 300 and classes_count > 50


def test_csv_round_trip_is_exact() -> None:
    generator = np.random.default_rng(4)
    clips = [
        affect("a", [0.1, NAN, -1.0, 1.0, 1e-300], [1 / 3, 0.5, NAN, -0.0, 2 / 3]),
        affect('odd, "name"', generator.uniform(-1, 1, 200).tolist()),
    ]
    stream = io.StringIO()
    csv.write_csv(stream, clips)
    text = stream.getvalue()
    assert text.startswith("clip,frame,valence,arousal\na,0,0.1,0.3333333333333333\na,1,,0.5\na,2,-1.0,\n")
    assert "nan" not in text
    assert_equal(parse(text), clips)


def test_label_file_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    write_labels(path, np.array([0.1, NAN, 0.3]), np.array([1 / 3, 0.5, -1.0]))
    assert path.read_text() == "valence,arousal\n0.1,0.3333333333333333\n-5,-5\n0.3,-1.0\n"
    assert_equal(read_affect(path), [affect("a", [0.1, NAN, 0.3], [1 / 3, NAN, -1.0])])


def test_table_round_trip(tmp_path: Path) -> None:
    timed = Affect("b", np.array([0.5, NAN]), np.array([0.25, 0.25]), np.array([0, 40_000]))
    path = write_table(tmp_path / "x.affect.parquet", affect("a", [0.1, 0.2]))
    both = write_table(tmp_path / "both.parquet", affect("a", [0.1]), affect("b", [NAN]))
    timed_path = write_table(tmp_path / "timed.affect.parquet", timed)
    (found,) = read_affect(path)
    assert (found.clip, found.time_us, found.recipe, found.source) == ("a", None, RECIPE, str(path))
    assert_equal(read_affect(both), [affect("a", [0.1]), affect("b", [NAN])])
    (found,) = read_affect(timed_path)
    assert found.time_us is not None
    assert found.time_us.tolist() == [0, 40_000]
    assert tables.read(timed_path, AFFECT).column("valid").tolist() == [True, False]


def test_table_is_known_by_its_content_too(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.affect.parquet", affect("a", [0.1]))
    assert_equal(read_affect(path.rename(tmp_path / "preds")), [affect("a", [0.1])])


def test_table_out_of_range_is_refused(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.affect.parquet", affect("a", [0.1, -5.0]))
    with pytest.raises(SchemaError, match=r"valence is -5\.0 in row 1, expected -1 to 1, or null"):
        read_affect(path)


def test_table_with_one_clip_twice_is_refused(tmp_path: Path) -> None:
    path = write_table(tmp_path / "x.parquet", affect("a", [0.1]), affect("b", [0.1]), affect("a", [0.1]))
    with pytest.raises(InputError, match="clip 'a' comes twice in this file"):
        from_table(tables.read(path, AFFECT))


def test_directory_of_one_kind(tmp_path: Path) -> None:
    write(tmp_path / "b.csv", "valence,arousal\n0,0\n")
    write(tmp_path / "a.csv", "frame,valence,arousal\n0,1,1\n")
    write(tmp_path / "._a.csv", b"\0\5\x16\7")  # what a Mac leaves on foreign disks
    write(tmp_path / "notes.md", "no labels")
    found = read_affect(tmp_path)
    assert [one.clip for one in found] == ["a", "b"]
    assert all(one.named for one in found)


def test_directory_of_two_kinds_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "valence,arousal\n0,0\n")
    write(tmp_path / "b.txt", "valence,arousal\n0,0\n")
    with pytest.raises(InputError, match=r"holds 1 \.txt and 1 \.csv files, expected files of one kind"):
        read_affect(tmp_path)
    assert [path.name for path in text_files(tmp_path)] == ["a.csv", "b.txt"]


def test_directory_without_labels_is_searched_below(tmp_path: Path) -> None:
    write(tmp_path / "Train_Set" / "a.txt", "valence,arousal\n0,0\n")
    write(tmp_path / "Validation_Set" / "b.txt", "valence,arousal\n0,0\n")
    write(tmp_path / ".old" / "c.txt", "valence,arousal\n0,0\n")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="name one of its directories: Train_Set, Validation_Set"):
        text_files(tmp_path)
    for read in (read_affect, text_files):
        with pytest.raises(InputError, match="holds no labels or predictions"):
            read(tmp_path / "empty")
    assert [(one.clip, one.named) for one in read_affect(tmp_path)] == [("a", True), ("b", True)]
    assert not holds_tables(tmp_path)
    write(tmp_path / "Validation_Set" / "a.txt", "valence,arousal\n0,0\n")
    with pytest.raises(InputError, match=r"Validation_Set/a\.txt: and .*Train_Set/a\.txt are both labels of 'a'"):
        read_affect(tmp_path)
    write(tmp_path / "d.txt", "valence,arousal\n0,0\n")  # what it holds itself goes first
    assert [one.clip for one in read_affect(tmp_path)] == ["d"]


def test_one_clip_in_two_files_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "x.csv", "clip,frame,valence,arousal\na,0,0,0\n")
    write(tmp_path / "y.csv", "clip,frame,valence,arousal\na,0,0,0\n")
    with pytest.raises(InputError, match=r"y\.csv: clip 'a' is in .*x\.csv too"):
        read_affect(tmp_path)
    with pytest.raises(InputError, match="comes twice"):
        distinct([affect("a", [0]), affect("a", [0])])


def test_missing_path_and_stream(tmp_path: Path) -> None:
    for name in ("x.csv", "x.txt", "x.affect.parquet", "x"):
        with pytest.raises(InputError, match="does not exist"):
            read_affect(tmp_path / name)
    (found,) = read_stream(io.BytesIO(b"valence,arousal\n0.5,0\n"))
    assert (found.clip, found.named, found.valence.tolist()) == ("-", False, [0.5])
    with pytest.raises(InputError, match="standard input, line 2: has 1 cell"):
        read_stream(io.BytesIO(b"valence,arousal\n0.5\n"))
