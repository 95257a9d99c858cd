"""Expression and action unit labels: what is read, what is refused, and how they travel in tables and CSV."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import recipes, tables
from affcli.errors import InputError, SchemaError
from affcli.labels import csv
from affcli.labels.affect import ACTION_UNITS, EXPRESSIONS, Affect, from_table
from affcli.labels.categories import (
    read_action_units,
    read_expressions,
    with_categories,
    write_expressions,
)
from affcli.labels.files import label_stems
from affcli.labels.read import read_affect, read_text
from affcli.schemas import AFFECT

TEXT = (".txt",)
EIGHT = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other"
SEVEN = EIGHT.removesuffix(",Other")
UNITS_8 = "AU1,AU2,AU4,AU6,AU12,AU15,AU20,AU25"
UNITS_12 = "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26"


def write(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def int8(*values: int) -> NDArray[np.int8]:
    return np.array(values, np.int8)


def write_table(path: Path, columns: dict[str, NDArray[np.generic]]) -> Path:
    tables.write(path, AFFECT, columns, recipe=recipes.recipe("import-labels", {}), inputs=[], facts={})
    return path


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (f"{EIGHT}\n0\n7\n-1\n7\n", [0, 7, -1, 7]),
        (f"{SEVEN}\n6\n", [6]),
        (f"\ufeff{SEVEN.upper().replace(',', ' , ')}\r\n 6 \r\n-1\r\n\r\n", [6, -1]),
        (f"{SEVEN}\r0\r1", [0, 1]),
    ],
    ids=["eight classes", "seven classes", "BOM, CRLF, blanks, empty lines at the end", "CR"],
)
def test_expressions(tmp_path: Path, text: str, wanted: list[int]) -> None:
    found = read_expressions(write(tmp_path / "a.txt", text))
    assert found.dtype == np.int8
    assert found.tolist() == wanted


def test_action_units_of_both_lists(tmp_path: Path) -> None:
    eight = read_action_units(write(tmp_path / "8.txt", f"{UNITS_8}\n0,1,0,1,-1,0,1,1\n1,1,1,1,1,1,1,1\n"))
    assert {name: values.tolist() for name, values in eight.items()} == {
        "au1": [0, 1], "au2": [1, 1], "au4": [0, 1], "au6": [1, 1],
        "au12": [-1, 1], "au15": [0, 1], "au20": [1, 1], "au25": [1, 1],
    }  # fmt: skip
    twelve = read_action_units(write(tmp_path / "12.txt", f"{UNITS_12}\n" + ",".join("0" * 11) + ",1\n"))
    assert list(twelve) == UNITS_12.lower().split(",")
    assert [int(values[0]) for values in twelve.values()] == [0] * 11 + [1]
    assert eight.keys() | twelve.keys() == ACTION_UNITS.keys()
    assert all(values.dtype == np.int8 for values in (*eight.values(), *twelve.values()))


BAD_EXPRESSIONS = {
    "": "a.txt: is empty, expected Neutral,Anger",
    b"\xff\xfe": "is no UTF-8 text (byte 0xff in line 1)",
    f"{EIGHT}\n": "holds a header and nothing else",
    "valence,arousal\n0,0\n": "begins with 'valence,arousal', expected Neutral,Anger",
    f"{UNITS_8}\n0,0,0,0,0,0,0,0\n": "begins with 'AU1,AU2",
    "1\n2\n": "begins with '1'",
    "Anger,Neutral,Disgust,Fear,Happiness,Sadness,Surprise\n0\n": "begins with 'Anger,Neutral",
    f"{EIGHT}\n0\n8\n": "line 3: the class is '8', expected 0 to 7, or -1 where not annotated",
    f"{SEVEN}\n7\n": "line 2: the class is '7', expected 0 to 6, or -1",
    f"{EIGHT}\n-2\n": "line 2: the class is '-2'",
    f"{EIGHT}\n-5\n": "line 2: the class is '-5'",
    f"{EIGHT}\n1.0\n": "line 2: the class is '1.0'",
    f"{EIGHT}\nHappiness\n": "line 2: the class is 'Happiness'",
    f"{EIGHT}\n0\n\n0\n": "line 3: is empty, expected a frame",
    f"{EIGHT}\n0\n0,1\n": "line 3: has 2 cells, expected 1; complete",
}


@pytest.mark.parametrize("text", BAD_EXPRESSIONS)
def test_files_that_are_none_of_expressions_are_refused(tmp_path: Path, text: str | bytes) -> None:
    path = write(tmp_path / "a.txt", text)
    with pytest.raises(InputError) as caught:
        read_expressions(path)
    assert str(caught.value).startswith(str(path))
    assert BAD_EXPRESSIONS[text] in str(caught.value)


BAD_ACTION_UNITS = {
    f"{EIGHT}\n0\n": "begins with 'Neutral,",
    "AU1,AU2,AU5\n0,0,0\n": "begins with 'AU1,AU2,AU5', expected AU1,AU2,AU4,AU6,AU12,",
    f"{UNITS_8},AU26\n0,0,0,0,0,0,0,0,0\n": f"begins with '{UNITS_8},AU26'",
    f"{UNITS_8}\n0,0,0,0,0,0,0,0\n0,0,0,0,0,0,0\n": "line 3: has 7 cells, expected 8 as in line 1",
    f"{UNITS_8}\n0,0,0,0,2,0,0,0\n": "line 2: AU12 is '2', expected 0 or 1, or -1 where not annotated",
    f"{UNITS_8}\n0,0,0,0,0,0,0,\n": "line 2: AU25 is ''",
}


@pytest.mark.parametrize("text", BAD_ACTION_UNITS)
def test_files_that_are_none_of_action_units_are_refused(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "a.txt", text)
    with pytest.raises(InputError) as caught:
        read_action_units(path)
    assert str(caught.value).startswith(str(path))
    assert BAD_ACTION_UNITS[text] in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for read in (read_expressions, read_action_units, label_stems):
        with pytest.raises(InputError, match=r"none\.txt: does not exist"):
            read(tmp_path / "none.txt")


def test_a_file_that_was_written_reads_the_same(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    write_expressions(path, int8(0, -1, 7))
    assert path.read_text() == f"{EIGHT}\n0\n-1\n7\n"
    assert read_expressions(path).tolist() == [0, -1, 7]


def test_files_are_found_by_clip_at_any_depth(tmp_path: Path) -> None:
    one = write(tmp_path / "EXPR" / "Train_Set" / "video1_left.txt", "")
    two = write(tmp_path / "EXPR" / "b.TXT", "")
    write(tmp_path / "EXPR" / ".hidden" / "b.txt", "")
    write(tmp_path / "EXPR" / "._b.txt", "")
    write(tmp_path / "EXPR" / "readme.md", "")
    assert label_stems(tmp_path / "EXPR", TEXT) == {"video1_left": one, "b": two}
    assert label_stems(two, TEXT) == {"b": two}
    again = write(tmp_path / "EXPR" / "Validation_Set" / "b.txt", "")
    with pytest.raises(InputError, match="are both labels of 'b'") as caught:
        label_stems(tmp_path / "EXPR", TEXT)
    assert str(again) in str(caught.value) and str(two) in str(caught.value)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no label file, nor do its directories, expected files that end in"):
        label_stems(tmp_path / "empty", TEXT)


def test_a_clip_with_all_its_labels(tmp_path: Path) -> None:
    va = Affect("a", np.array([0.5, np.nan]), np.array([0.25, np.nan]), source="a.csv")
    faces = write(tmp_path / "e" / "a.txt", f"{SEVEN}\n4\n-1\n")
    units = write(tmp_path / "u" / "a.txt", f"{UNITS_8}\n0,0,0,0,1,0,0,1\n-1,-1,-1,-1,-1,-1,-1,-1\n")
    found = with_categories("a", va, faces, units)
    assert (found.valence is va.valence, found.source) == (True, "a.csv")
    assert found.expression is not None and found.expression.tolist() == [4, -1]
    assert found.action_units["au12"].tolist() == [1, -1]
    unchanged = with_categories("a", va)
    assert (unchanged.expression, dict(unchanged.action_units)) == (None, {})


def test_a_clip_without_valence_and_arousal_has_them_nowhere(tmp_path: Path) -> None:
    faces = write(tmp_path / "a.txt", f"{SEVEN}\n4\n-1\n")
    found = with_categories("a", None, faces)
    assert np.isnan([found.valence, found.arousal]).all() and found.valence.shape == (2,)
    assert (found.clip, found.source, found.valid.tolist()) == ("a", str(faces), [False, False])


def test_sources_of_other_lengths_are_both_named(tmp_path: Path) -> None:
    va = Affect("a", np.zeros(3), np.zeros(3), source="VA/a.txt")
    faces = write(tmp_path / "e" / "a.txt", f"{SEVEN}\n4\n-1\n")
    units = write(tmp_path / "u" / "a.txt", f"{UNITS_8}\n0,0,0,0,1,0,0,1\n")
    with pytest.raises(InputError) as caught:
        with_categories("a", va, faces)
    assert str(caught.value).startswith(f"{faces}: has 2 lines of frames, expected 3, as VA/a.txt has;")
    with pytest.raises(InputError) as caught:
        with_categories("a", None, faces, units)
    assert str(caught.value).startswith(f"{units}: has 1 lines of frames, expected 2, as {faces} has;")


def test_expressions_come_from_one_source(tmp_path: Path) -> None:
    own = Affect("a", np.zeros(1), np.zeros(1), source="a.csv", expression=int8(3))
    faces = write(tmp_path / "a.txt", f"{SEVEN}\n4\n")
    with pytest.raises(InputError, match=r"a\.txt: tells the expressions of clip 'a', and so does a\.csv"):
        with_categories("a", own, faces)
    kept = with_categories("a", own).expression
    assert kept is not None and kept.tolist() == [3]


def test_a_table_holds_what_there_is_and_gives_it_back(tmp_path: Path) -> None:
    affect = Affect("a", np.zeros(3), np.zeros(3), expression=int8(7, -1, 0), action_units={"au26": int8(1, 0, -1)})
    path = write_table(tmp_path / "a.affect.parquet", affect.columns())
    table = tables.read(path, AFFECT)
    assert table.data.column_names[-2:] == ["expression", "au26"]
    assert table.data.column("expression").to_pylist() == [7, None, 0]
    (found,) = read_affect(path)
    assert found.expression is not None
    assert found.expression.dtype == found.action_units["au26"].dtype == np.int8
    assert found.expression.tolist() == [7, -1, 0]
    assert list(found.action_units) == ["au26"]
    assert found.action_units["au26"].tolist() == [1, 0, -1]


def test_a_table_without_them_is_as_it_was(tmp_path: Path) -> None:
    path = write_table(tmp_path / "a.affect.parquet", Affect("a", np.zeros(2), np.zeros(2)).columns())
    assert tables.read(path, AFFECT).data.column_names == [
        "clip", "frame", "time_us", "valid", "valence", "arousal", "valence_std", "arousal_std",
    ]  # fmt: skip
    (found,) = read_affect(path)
    assert (found.expression, dict(found.action_units)) == (None, {})


def test_clips_of_one_table_keep_their_own(tmp_path: Path) -> None:
    one = Affect("a", np.zeros(2), np.zeros(2), expression=int8(1, 2)).columns()
    two = Affect("b", np.zeros(1), np.zeros(1), expression=int8(-1)).columns()
    path = write_table(tmp_path / "t.parquet", {name: np.concatenate([one[name], two[name]]) for name in one})
    assert [
        clip.expression.tolist() for clip in from_table(tables.read(path, AFFECT)) if clip.expression is not None
    ] == [
        [1, 2],
        [-1],
    ]


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("expression", 8, "expression is 8 in row 1, expected 0 to 7, or null where not annotated"),
        ("expression", -1, "expression is -1 in row 1, expected 0 to 7"),
        ("au12", 2, "au12 is 2 in row 1, expected 0 or 1, or null where not annotated"),
        ("au1", -1, "au1 is -1 in row 1"),
    ],
)
@pytest.mark.parametrize("other", [np.nan, 0], ids=["beside null", "beside a number"])
def test_a_table_with_what_there_is_not_is_refused(
    tmp_path: Path, column: str, value: int, said: str, other: float
) -> None:
    columns = Affect("a", np.zeros(2), np.zeros(2)).columns() | {column: np.array([other, value])}
    with pytest.raises(SchemaError, match=said):
        read_affect(write_table(tmp_path / "a.affect.parquet", columns))


def test_an_action_unit_that_has_no_column_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="action units AU1, expected au1, au2"):
        Affect("a", np.zeros(1), np.zeros(1), action_units={"AU1": int8(1)}).columns()


def test_resized() -> None:
    affect = Affect("a", np.zeros(2), np.zeros(2), expression=int8(3, 4), action_units={"au1": int8(0, 1)})
    longer, shorter = affect.resized(4), affect.resized(1)
    assert longer.expression is not None and shorter.expression is not None
    assert (longer.expression.tolist(), shorter.expression.tolist()) == ([3, 4, -1, -1], [3])
    assert longer.action_units["au1"].tolist() == [0, 1, -1, -1]
    assert {longer.expression.dtype, longer.action_units["au1"].dtype} == {np.dtype(np.int8)}
    plain = Affect("a", np.zeros(2), np.zeros(2)).resized(3)
    assert (plain.expression, dict(plain.action_units)) == (None, {})


def test_csv_with_expressions(tmp_path: Path) -> None:
    text = "clip,frame,valence,arousal,expression\na,0,0.5,0.5,4\na,1,,,\nb,0,-5,-5,-1\nb,1,0,0,7\n"
    one, two = read_text(write(tmp_path / "x.csv", text))
    assert one.expression is not None and two.expression is not None
    assert one.expression.dtype == two.expression.dtype == np.int8
    assert (one.expression.tolist(), two.expression.tolist()) == ([4, -1], [-1, 7])
    (bare,) = read_text(write(tmp_path / "y.csv", "expression,valence,arousal\n2,0,0\n"))
    assert bare.expression is not None and bare.expression.tolist() == [2]
    (none,) = read_text(write(tmp_path / "z.csv", "valence,arousal\n0,0\n"))
    assert none.expression is None


@pytest.mark.parametrize("cell", ["8", "-2", "1.0", "happy", "300"])
def test_csv_with_another_expression_is_refused_with_its_line(tmp_path: Path, cell: str) -> None:
    path = write(tmp_path / "x.csv", f"valence,arousal,expression\n0,0,1\n0,0,{cell}\n")
    with pytest.raises(InputError) as caught:
        read_text(path)
    said = f"{path}, line 3: expression is '{cell}', expected 0 to 7, or nothing where not annotated; write the number"
    assert str(caught.value).startswith(said)
    assert "4 Happiness" in caught.value.advice


def test_a_column_expression_of_predictions_may_be_anything(tmp_path: Path) -> None:
    """As ever: what is scored is valence and arousal, and other columns stand among them."""
    (found,) = read_affect(write(tmp_path / "x.csv", "valence,arousal,expression,expression\n0.5,0,happy,1\n"))
    assert (found.valence.tolist(), found.expression) == ([0.5], None)
    with pytest.raises(InputError, match="has two columns expression"):
        read_text(tmp_path / "x.csv")


def test_csv_round_trip(tmp_path: Path) -> None:
    clips = [
        Affect("a", np.array([0.5, np.nan]), np.zeros(2), std=np.full((2, 2), 0.25), expression=int8(4, -1)),
        Affect("b", np.zeros(1), np.zeros(1)),
    ]
    stream = io.StringIO()
    csv.write_csv(stream, clips)
    assert stream.getvalue() == (
        "clip,frame,valence,arousal,valence_std,arousal_std,expression\n"
        "a,0,0.5,0.0,0.25,0.25,4\na,1,,0.0,0.25,0.25,\nb,0,0.0,0.0,,,\n"
    )
    one, two = read_text(write(tmp_path / "x.csv", stream.getvalue()))
    assert one.expression is not None and two.expression is not None
    assert (one.expression.tolist(), two.expression.tolist()) == ([4, -1], [-1])


def test_the_manual_names_the_classes_in_their_order() -> None:
    (doc,) = (column.doc for column in AFFECT.columns if column.name == "expression")
    assert doc.startswith(", ".join(f"{i} {name}" for i, name in enumerate(EXPRESSIONS)))
    assert len(EXPRESSIONS) == 8 and EXPRESSIONS[4] == "Happiness"
