"""Challenge submissions: what samples ask for, what predictions answer, and what the linter finds."""

from __future__ import annotations

import dataclasses
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from affcli.errors import InputError, SchemaError, UsageError
from affcli.labels.affect import EXPRESSIONS, Affect
from affcli.labels.categories import ACTION_UNIT_HEADERS, read_action_units, read_expressions
from affcli.labels.filling import filled
from affcli.labels.read import read_text
from affcli.labels.submissions.advice import advice_of
from affcli.labels.submissions.answers import Counts, answer_clips, answer_sample
from affcli.labels.submissions.evidence import overwhelming
from affcli.labels.submissions.form import Form, default_form, form_of
from affcli.labels.submissions.lint import lint, lint_files
from affcli.labels.submissions.rows import Finding
from affcli.labels.submissions.sample import Sample, Wanted, read_sample, read_wanted
from affcli.labels.submissions.text import lines_of, split_first
from affcli.labels.submissions.write import Written, clip_path, write_files

VA = "image_location,valence,arousal"
EXPR = f"image_location,{','.join(EXPRESSIONS)}"
AU = f"image_location,{','.join(ACTION_UNIT_HEADERS[1]).upper()}"
MTL = "image,valence,arousal,expression,aus"
CLIPS = {"10-60": 40, "video5_left": 30, "video5_right": 25}


def write_sample(path: Path, header: str, clips: dict[str, int], ending: str = "") -> Path:
    rows = [f"{clip}/{number:05d}.jpg{ending}" for clip, count in clips.items() for number in range(1, count + 1)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def write_submission(path: Path, sample: Sample, values: NDArray[np.float64], digits: int | None = None) -> None:
    write_files(path, [Written(path, sample.form, values, sample.pictures, digits)], force=True)


def write_clip(path: Path, form: Form, values: NDArray[np.float64]) -> None:
    write_files(path, [Written(path, form, values)], force=True)


def curves(seed: int, frames: int) -> NDArray[np.float64]:
    """Slow curves, (frames, 2), within [-1, 1], unlike each other."""
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(size=(frames, 2)), axis=0)
    scaled: NDArray[np.float64] = 0.9 * walk / np.abs(walk).max(axis=0)
    return scaled


def predictions(clips: dict[str, int] = CLIPS) -> list[Affect]:
    made = []
    for seed, (clip, frames) in enumerate(clips.items()):
        valence, arousal = curves(seed, frames).T
        rng = np.random.default_rng(seed)
        units = {name: rng.integers(0, 2, frames).astype(np.int8) for name in ACTION_UNIT_HEADERS[1]}
        expression = rng.integers(0, 8, frames).astype(np.int8)
        made.append(Affect(clip, valence, arousal, source="preds", expression=expression, action_units=units))
    return made


def two(valence: list[float], **more: object) -> Affect:
    return Affect("c", np.array(valence), np.array(valence), source="preds", **more)  # type: ignore[arg-type]


# samples


@pytest.mark.parametrize("ending", ["", ",", ",0,0", ",-5,-5,"])
def test_what_stands_behind_a_picture_of_the_sample_means_nothing(tmp_path: Path, ending: str) -> None:
    sample = read_sample(write_sample(tmp_path / "s.txt", VA, {"b": 2, "a_left": 1}, ending))
    assert (sample.form.task, sample.form.header, sample.form.columns) == ("va", VA, ("valence", "arousal"))
    assert sample.pictures.to_pylist() == ["b/00001.jpg", "b/00002.jpg", "a_left/00001.jpg"]
    assert sample.clips == ("b", "a_left")
    assert (sample.place.tolist(), sample.frame.tolist(), sample.lines.tolist()) == ([0, 0, 1], [0, 1, 0], [2, 3, 4])


def test_a_sample_may_have_crlf_a_bom_and_no_last_line_end(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_bytes(b"\xef\xbb\xbf" + f"{VA}\r\nx/00003.jpg,\r\nx/00001.jpg,".encode())
    sample = read_sample(path)
    assert (sample.form.header, sample.pictures.to_pylist()) == (VA, ["x/00003.jpg", "x/00001.jpg"])
    assert sample.frame.tolist() == [2, 0]


def test_the_first_line_says_task_and_columns() -> None:
    assert form_of(EXPR, "s", pictures=True).highest == 7
    assert form_of(",".join(EXPRESSIONS[:7]), "s", pictures=False).highest == 6
    assert form_of(AU, "s", pictures=True).columns == ACTION_UNIT_HEADERS[1]
    assert form_of("image_location,arousal,valence", "s", pictures=True).columns == ("arousal", "valence")
    several = ("valence", "arousal", "expression", *ACTION_UNIT_HEADERS[1])
    for header in (MTL, f"image_location,{','.join(several)}", f"{MTL},"):
        form = form_of(header, "s", pictures=True)
        assert (form.task, form.columns, form.numbers, form.highest, form.header) == ("mtl", several, 2, 7, header)
    for header in ("image,valence,arousal,aus", "image_location", "image_location,AU1,AU1", "x,Anger"):
        with pytest.raises(InputError, match=r"begins with .* expected image_location,valence,arousal"):
            form_of(header, "s", pictures=True)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("a/00001.jpg\na/x.jpg", r"line 3: names no picture: 'a/x.jpg'"),
        ("a/00000.jpg", r"line 2: names no picture: 'a/00000.jpg'"),
        ("a/00001.jpg,0,0\na/00002.jpg\na/00001.jpg", r"line 4: names a/00001.jpg again"),
        ("a/00001.jpg\nb/00001.jpg\nx/a/1.jpg", r"line 4: names x/a/1.jpg again"),
        ("a/99999999.jpg", r"line 2: names no picture: 'a/99999999.jpg'"),
        ("\n", r"a header and nothing else"),
    ],
)
def test_a_sample_that_is_none_is_refused_with_its_line(tmp_path: Path, rows: str, message: str) -> None:
    path = tmp_path / "s.txt"
    path.write_text(f"{VA}\n{rows}\n")
    with pytest.raises(InputError, match=message):
        read_sample(path)


def test_a_row_takes_less_room_than_its_text_as_strings_would(tmp_path: Path) -> None:
    rows = 40_000
    path = write_sample(tmp_path / "s.txt", VA, {"10-60-1280x720_left": rows}, ",0.123456789,-0.987654321")
    tracemalloc.start()
    try:
        sample = read_sample(path)
        lint(path, sample)
        assert tracemalloc.get_traced_memory()[1] < 200 * rows  # Arrow's own, two texts of 26 and 24 bytes, is not seen
    finally:
        tracemalloc.stop()


def test_lines_are_those_that_python_splits() -> None:
    rng = np.random.default_rng(1)
    for seed in range(200):
        parts = rng.choice([b"a", b",b", b" ", b"\n", b"\r\n", b"\r", "é".encode(), b"c" * seed], rng.integers(1, 30))
        text = (b"x" + b"".join(parts)).decode()
        expected = text.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n").split("\n")
        found = [line for block in lines_of(text.encode(), "s", "text") for line in block.to_pylist()]
        assert found == expected
        before, behind, marked = split_first(pa.array(found, pa.large_string()))
        assert [*zip(before.to_pylist(), behind.to_pylist(), strict=True)] == [
            line.partition(",")[::2] for line in found
        ]
        assert marked.tolist() == ["," in line for line in found]


# answers


def test_rows_come_in_the_order_of_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "s.txt"
    path.write_text(f"{VA}\nb/00002.jpg\na/00003.jpg\nb/00001.jpg\n")
    ramp = np.array([0.1, 0.2, 0.3])
    clips = [Affect("a", ramp, -ramp), Affect("b", ramp + 0.5, ramp), Affect("c", ramp, ramp)]
    values, counts = answer_sample(read_sample(path), clips)
    np.testing.assert_array_equal(values, [[0.7, 0.2], [0.3, -0.3], [0.6, 0.1]])
    assert counts == Counts(0, 0, 0, 0)


@pytest.mark.parametrize(
    ("missing", "numbers", "classes"),
    [
        ("hold", [1, 1, 1, 1, 1, 5, 5], [1, 1, 1, 1, 1, 5, 5]),
        ("interpolate", [1, 1, 2, 3, 4, 5, 5], [1, 1, 1, 1, 5, 5, 5]),
        ("zero", [0, 1, 0, 0, 0, 5, 0], [0, 1, 0, 0, 0, 5, 0]),
    ],
)
def test_filling(missing: str, numbers: list[float], classes: list[float]) -> None:
    values = np.array([np.nan, 1, np.nan, np.nan, np.nan, 5, np.nan])
    assert filled(values, missing, classes=False).tolist() == numbers
    assert filled(values, missing, classes=True).tolist() == classes


def test_filling_is_that_of_scores() -> None:
    from affcli.scoring import score

    truth, hole = curves(3, 50)[:, 0], curves(4, 50)[:, 0]
    hole[[0, 1, 7, 20, 21, 22, 49]] = np.nan
    for missing in ("hold", "interpolate", "zero"):
        whole = two(filled(hole, missing, classes=False).tolist())
        plain, answered = score([two(truth)], [two(hole)], missing=missing), score([two(truth)], [whole])  # type: ignore[arg-type]
        assert plain.concatenated("ccc") == answered.concatenated("ccc")


def test_frames_without_prediction_are_counted(tmp_path: Path) -> None:
    sample = read_sample(write_sample(tmp_path / "s.txt", VA, {"c": 3}))
    hole = two([0.5, np.nan, np.nan, 0.2])
    with pytest.raises(InputError, match=r"preds: 2 of 3 frames .* no prediction \(first: clip 'c', frame 1\)"):
        answer_sample(sample, [hole])
    values, counts = answer_sample(sample, [hole], "interpolate")  # frame 3, which no row asks for, helps
    np.testing.assert_allclose(values[:, 0], [0.5, 0.4, 0.3], rtol=1e-15)
    assert counts.filled == 2
    with pytest.raises(InputError, match=r"clip 'c' has no prediction at all, expected something to hold"):
        answer_sample(sample, [two([np.nan] * 3), dataclasses.replace(hole, clip="d")], "hold")
    with pytest.raises(InputError, match="preds: tells no valence or arousal in any frame"):
        answer_sample(sample, [two([np.nan] * 3)], "zero")
    with pytest.raises(UsageError, match="missing=drop"):
        answer_sample(sample, [hole], "drop")


def test_values_past_the_scale_are_clipped_and_counted(tmp_path: Path) -> None:
    sample = read_sample(write_sample(tmp_path / "s.txt", VA, {"c": 3}))
    values, counts = answer_sample(sample, [two([1.25, -1.0, -1.5])])
    assert (values[:, 0].tolist(), counts.clipped) == ([1.0, -1.0, -1.0], 4)


def test_clips_that_lack_or_are_too_short_are_named_with_both_counts(tmp_path: Path) -> None:
    sample = read_sample(write_sample(tmp_path / "s.txt", VA, {"c": 3, "d_left": 4}))
    with pytest.raises(InputError, match=r"preds: lacks 1 of 2 clips: d_left \(0 of 4 frames\), .*\(predicted: c\)"):
        answer_sample(sample, [two([0.1] * 3)])
    short = Affect("d_left", np.zeros(3), np.zeros(3), source="d.csv")
    with pytest.raises(
        SchemaError, match=r"d.csv: clip 'd_left' has 3 frames, expected 4, as .*s.txt asks for; .*--miss"
    ):
        answer_sample(sample, [two([0.1] * 3), short])


@pytest.mark.parametrize(("missing", "end"), [("hold", 0.3), ("interpolate", 0.3), ("zero", 0.0)])
def test_frames_past_the_end_of_predictions_are_filled_in(tmp_path: Path, missing: str, end: float) -> None:
    sample = read_sample(write_sample(tmp_path / "s.txt", MTL, {"c": 5}))
    expression = np.array([4, 2, 3], np.int8)
    units = dict.fromkeys(ACTION_UNIT_HEADERS[1], np.ones(3, np.int8))
    short = two([0.1, np.nan, 0.3], expression=expression, action_units=units)
    values, counts = answer_sample(sample, [short], missing)
    assert values[3:, 0].tolist() == [end, end]
    assert values[3:, 2].tolist() == [3 * (missing != "zero")] * 2
    assert counts == Counts(filled=3, clipped=0, past=2, clips_past=1)
    form = default_form("va")
    _, counts = answer_clips(
        [Wanted("c", form, 4), Wanted("d", form)], [short, Affect("d", np.zeros(2), np.zeros(2))], "s", missing
    )
    assert counts == Counts(filled=2, clipped=0, past=1, clips_past=1)


def test_classes_that_were_not_predicted_are_asked_for(tmp_path: Path) -> None:
    units = read_sample(write_sample(tmp_path / "au.txt", AU, {"c": 2}))
    faces = read_sample(write_sample(tmp_path / "expr.txt", EXPR.removesuffix(",Other"), {"c": 2}))
    with pytest.raises(InputError, match=r"clip 'c' has no au1, au2, au4, au6, au7 and 7 more"):
        answer_sample(units, [two([0.1, 0.2])])
    with pytest.raises(InputError, match=r"clip 'c' has no expression"):
        answer_sample(faces, [two([0.1, 0.2])])
    with pytest.raises(InputError, match=r"clip 'c' has class 7 in frame 1, expected 0 to 6"):
        answer_sample(faces, [two([0.1, 0.2], expression=np.array([6, 7], np.int8))])
    values, counts = answer_sample(faces, [two([0.1, 0.2], expression=np.array([-1, 3], np.int8))], "hold")
    assert (values.tolist(), counts.filled) == ([[3.0], [3.0]], 1)


# files


def test_numbers_read_back_exactly_and_have_no_exponent(tmp_path: Path) -> None:
    sample = read_sample(write_sample(tmp_path / "s.txt", VA, {"c": 3}))
    values = np.array([[1 / 3, -1e-7], [-0.0, 5e-324], [1.0, -0.004]])
    write_submission(tmp_path / "p.txt", sample, values)
    rows = [line.split(",") for line in (tmp_path / "p.txt").read_text().splitlines()]
    assert rows[0] == VA.split(",")
    assert rows[1] == ["c/00001.jpg", "0.3333333333333333", "-0.0000001"]
    assert rows[2][1] == "0.0"
    assert [[float(cell) for cell in row[1:]] for row in rows[1:]] == values.tolist()
    assert "e" not in "".join(cell for row in rows[1:] for cell in row[1:])
    write_submission(tmp_path / "p.txt", sample, values, digits=2)
    lines = ["c/00001.jpg,0.33,0.00", "c/00002.jpg,0.00,0.00", "c/00003.jpg,1.00,0.00"]
    assert (tmp_path / "p.txt").read_text() == "\n".join([VA, *lines]) + "\n"


def test_a_file_of_each_clip_is_laid_out_like_its_labels(tmp_path: Path) -> None:
    first = predictions()[0]
    for task in ("va", "expr", "au"):
        form = default_form(task)
        answers, _ = answer_clips([Wanted(first.clip, form)], [first], "preds")
        write_clip(clip_path(tmp_path / task, first.clip), form, answers[0])
    [read] = read_text(tmp_path / "va" / "10-60.txt")
    np.testing.assert_array_equal(read.valence, first.valence)
    np.testing.assert_array_equal(read.arousal, first.arousal)
    assert first.expression is not None
    np.testing.assert_array_equal(read_expressions(tmp_path / "expr" / "10-60.txt"), first.expression)
    units = read_action_units(tmp_path / "au" / "10-60.txt")
    assert list(units) == list(first.action_units)
    assert all((units[name] == first.action_units[name]).all() for name in units)


def test_wanted_clips_come_from_a_list_or_a_directory(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("video5_left,12\n\na\r\nb\t3\n")
    listed = read_wanted(tmp_path / "list.txt", "va")
    assert [(one.clip, one.frames) for one in listed] == [("a", None), ("b", 3), ("video5_left", 12)]
    (tmp_path / "set" / "Test").mkdir(parents=True)
    (tmp_path / "set" / "Test" / "x.txt").write_text(",".join(EXPRESSIONS[:7]) + "\n0\n0\n\n")
    [like] = read_wanted(tmp_path / "set", "expr")
    assert (like.clip, like.frames, like.form.highest) == ("x", 2, 6)
    with pytest.raises(InputError, match=r"x.txt: is of the task expr .* expected one of the task va"):
        read_wanted(tmp_path / "set", "va")
    (tmp_path / "list.txt").write_text("a\nb,many\n")
    with pytest.raises(InputError, match=r"line 2: is 'b,many', expected lines such as"):
        read_wanted(tmp_path / "list.txt", "va")
    (tmp_path / "list.txt").write_text("a\na,3\n")
    with pytest.raises(InputError, match=r"line 2: is 'a,3' again"):
        read_wanted(tmp_path / "list.txt", "va")


# the linter

Lint = Callable[..., list[Finding]]


@pytest.fixture
def linted(tmp_path: Path) -> Lint:
    """Findings in what `submit` writes of `predictions()` after `edit` of its lines, or of its bytes."""

    def run(
        edit: Callable[[list[str]], list[str]] = list,
        header: str = VA,
        raw: Callable[[bytes], bytes] = bytes,
        reference: list[Affect] | None = None,
    ) -> list[Finding]:
        sample = read_sample(write_sample(tmp_path / "s.txt", header, CLIPS, ","))
        values, *_ = answer_sample(sample, predictions())
        write_submission(tmp_path / "p.txt", sample, values)
        lines = (tmp_path / "p.txt").read_text().splitlines()
        (tmp_path / "p.txt").write_bytes(raw(("\n".join(edit(lines)) + "\n").encode()))
        return lint(tmp_path / "p.txt", sample, reference)

    return run


def kinds(findings: list[Finding]) -> list[tuple[str, int, int]]:
    return [(one.kind, one.line, one.count) for one in findings]


@pytest.mark.parametrize("header", [VA, EXPR, AU, MTL])
def test_what_submit_writes_is_clean(linted: Lint, header: str) -> None:
    assert linted(header=header) == []
    assert linted(header=header, raw=lambda content: content[:-1]) == []


@pytest.mark.parametrize("header", [VA, EXPR, AU, MTL])
def test_and_agrees_with_where_it_comes_from(linted: Lint, header: str) -> None:
    assert linted(header=header, reference=predictions()) == []


def with_line(number: int, line: str) -> Callable[[list[str]], list[str]]:
    """Line `number`, from 1, replaced."""
    return lambda lines: [*lines[: number - 1], line, *lines[number:]]


ALL_LOST = [("header", 1, 1), ("cells", 2, 95), ("extra-rows", 2, 95), ("missing-rows", 2, 95)]


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (with_line(1, "image_location,arousal,valence"), [("header", 1, 1)]),
        (with_line(1, EXPR), [("task", 1, 1)]),
        (lambda lines: lines[1:], [("header", 1, 1)]),
        (lambda lines: [*lines[:50], "", *lines[50:]], [("blank-lines", 51, 1)]),
        (lambda lines: [lines[0], *(f"{line}," for line in lines[1:])], [("trailing-comma", 2, 95)]),
        (with_line(9, "10-60/00008.jpg,0.1"), [("cells", 9, 1)]),
        (with_line(9, "10-60/00008.jpg,0.1,0.2,0.3"), [("cells", 9, 1)]),
        (with_line(9, "10-60/00008.jpg"), [("cells", 9, 1)]),
        (lambda lines: lines[:1], [("missing-rows", 2, 95)]),
        (with_line(9, "10-60/00008.jpg,,0.2"), [("not-a-number", 9, 1)]),
        (with_line(9, "10-60/00008.jpg,0_1,0.2"), [("not-a-number", 9, 1)]),
        (with_line(9, "10-60/00008.jpg,nan,-inf"), [("not-finite", 9, 2)]),
        (with_line(9, "10-60/00008.jpg,1e400,0.2"), [("not-finite", 9, 1)]),
        (with_line(9, "10-60/00008.jpg,-5,-5"), [("out-of-range", 9, 2)]),
        (with_line(9, "10-60/00008.jpg,1.0000001,0"), [("out-of-range", 9, 1)]),
        (lambda lines: lines[:-1], [("truncated", 96, 1)]),
        (lambda lines: lines[:60], [("truncated", 61, 36)]),
        (lambda lines: [*lines[:9], *lines[10:]], [("missing-rows", 10, 1)]),
        (lambda lines: [*lines[:39], *lines[41:]], [("missing-rows", 40, 2)]),
        (lambda lines: [lines[0], *lines[2:]], [("missing-rows", 2, 1)]),
        (lambda lines: [*lines, "x/00001.jpg,0,0"], [("extra-rows", 97, 1)]),
        (lambda lines: [*lines, lines[-1]], [("duplicate-rows", 97, 1)]),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], [("order", 2, 2)]),
        (with_line(9, "10-60/8.jpg,0.1,0.2"), [("extra-rows", 9, 1), ("missing-rows", 9, 1)]),
        (lambda lines: [line.replace(",", ";") for line in lines], [("separator", 1, 96)]),
        (lambda lines: [line.replace(",", "\t") for line in lines], [("separator", 1, 96)]),
        (
            lambda lines: [line.replace(",", ";").replace(".", ",").replace(",jpg", ".jpg") for line in lines],
            [("separator", 1, 96), ("decimal-comma", 2, 95)],
        ),
        (with_line(9, "10-60/00008.jpg,0,1,-0,25"), [("decimal-comma", 9, 1)]),
        (with_line(9, '10-60/00008.jpg,"0,1","-0,25"'), [("decimal-comma", 9, 1)]),
        (lambda lines: [line.replace(",", " ") for line in lines], ALL_LOST),
        (lambda lines: [f"./{line}" for line in lines], [("header", 1, 1), *ALL_LOST[2:]]),
    ],
)
def test_findings_of_lines(
    linted: Lint, edit: Callable[[list[str]], list[str]], found: list[tuple[str, int, int]]
) -> None:
    assert kinds(linted(edit)) == found


def test_columns_that_changed_places_are_to_be_put_back_with_their_values(linted: Lint) -> None:
    turned = with_line(1, "image_location,arousal,valence")
    [finding] = linted(turned)
    reorder = "put the columns in the order of the sample, the values with them"
    assert f"if the values stand as the header says, {reorder}; if they stand as the sample" in advice_of(finding)
    [finding] = linted(turned, reference=predictions())
    assert advice_of(finding).startswith("copy the first line of the sample alone: the values stand in its order")
    swap = cells_changed(lambda cells: cells.__setitem__(slice(None), cells[:, ::-1].copy()))
    finding, swapped = linted(lambda lines: turned(swap(lines)), reference=predictions())
    assert (advice_of(finding), swapped.kind) == (reorder, "swapped")
    [finding] = linted(with_line(1, "image_location,Valence,arousal"))
    assert advice_of(finding) == "copy the first line of the sample"


@pytest.mark.parametrize("header", [VA, EXPR, AU, MTL])
@pytest.mark.parametrize("other", [VA, EXPR, AU, MTL])
def test_of_a_submission_of_another_task_the_cells_are_not_looked_at(tmp_path: Path, header: str, other: str) -> None:
    sample = read_sample(write_sample(tmp_path / "s.txt", header, CLIPS, ","))
    theirs = read_sample(write_sample(tmp_path / "o.txt", other, CLIPS))
    write_submission(tmp_path / "p.txt", theirs, answer_sample(theirs, predictions())[0])
    found = lint(tmp_path / "p.txt", sample, predictions())
    assert kinds(found) == [("task", 1, 1)] * (theirs.form.task != sample.form.task)
    for finding in found:
        assert finding.message.startswith(f"the file is a submission of the task {theirs.form.task} ('image")
    short = (tmp_path / "p.txt").read_text().splitlines()[:-2]
    (tmp_path / "p.txt").write_text("\n".join(short) + "\n")
    found = lint(tmp_path / "p.txt", sample, predictions())
    assert kinds(found)[-1] == ("truncated", 95, 2)  # the rows are


def test_missing_last_frames_are_told_by_clip(linted: Lint) -> None:
    [finding] = linted(lambda lines: [*lines[:40], *lines[41:]])
    assert finding.message == (
        "one row of the sample lacks (first: '10-60/00040.jpg', line 41 of the sample); the last frame of 1 clip lacks:"
        " 10-60"
    )


@pytest.mark.parametrize(
    ("picture", "hint"),
    [
        ("10-60/8.jpg", "(first: '10-60/8.jpg', which the sample writes '10-60/00008.jpg')"),
        ("crops\\10-60\\00008.PNG", "which the sample writes '10-60/00008.jpg')"),
        ("10-60/00000.jpg", "(first: '10-60/00000.jpg', whose numbers begin at 00001)"),
        ("00008.jpg", "(first: '00008.jpg', expected such as '10-60/00001.jpg')"),
        ("10-61/00008.jpg", "(first: '10-61/00008.jpg')"),
    ],
)
def test_a_picture_that_is_written_otherwise_is_told(linted: Lint, picture: str, hint: str) -> None:
    extra, lacking = linted(with_line(9, f"{picture},0.1,0.2"))
    assert (extra.kind, lacking.kind) == ("extra-rows", "missing-rows")
    assert extra.message.endswith(hint)


def test_what_is_no_file_of_text_is_refused(tmp_path: Path) -> None:
    sample = read_sample(write_sample(tmp_path / "s.txt", VA, CLIPS))
    with pytest.raises(InputError, match=r"none.txt: does not exist; check the path"):
        lint(tmp_path / "none.txt", sample)
    with pytest.raises(InputError, match=r"is a directory, expected a submission in one file; name the file"):
        lint(tmp_path, sample)
    (tmp_path / "p.txt").write_bytes(f"{VA}\n10-60/00001.jpg,0,0\n".encode("utf-16"))
    with pytest.raises(InputError, match=r"is no UTF-8 text \(byte 0x00 in line 1\)"):
        lint(tmp_path / "p.txt", sample)
    with pytest.raises(InputError, match=r"is a directory, expected the organisers' sample file"):
        read_sample(tmp_path)


def test_findings_of_bytes(linted: Lint) -> None:
    found = linted(raw=lambda content: b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"))
    assert kinds(found) == [("byte-order-mark", 1, 1), ("line-endings", 1, 96)]
    with pytest.raises(InputError, match="is empty"):
        linted(raw=lambda _: b"")


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        ("3.0", [("not-an-integer", 9, 1)]),
        ("2.5", [("not-an-integer", 9, 1)]),
        ("8", [("out-of-range", 9, 1)]),
        ("-1", [("out-of-range", 9, 1)]),
        ("Anger", [("not-a-number", 9, 1)]),
        ("nan", [("not-finite", 9, 1)]),
    ],
)
def test_findings_of_classes(linted: Lint, cell: str, found: list[tuple[str, int, int]]) -> None:
    findings = linted(with_line(9, f"10-60/00008.jpg,{cell}"), EXPR)
    assert kinds(findings) == found
    if findings[0].kind != "out-of-range":
        assert advice_of(findings[0]) == "write the number of the class, such as 3"


def test_findings_of_action_units(linted: Lint) -> None:
    row = "10-60/00008.jpg," + ",".join(["2", *["1"] * 11])
    assert kinds(linted(with_line(9, row), AU)) == [("out-of-range", 9, 1)]
    for cell in ("0.7", "0.0", "x", "nan"):
        [finding] = linted(with_line(9, f"10-60/00008.jpg,{cell}" + ",1" * 11), AU)
        assert advice_of(finding) == "write 0 (absent) or 1 (present)"
    assert kinds(linted(with_line(9, row[:-2]), AU)) == [("cells", 9, 1), ("out-of-range", 9, 1)]

    def without_au2(lines: list[str]) -> list[str]:
        cells = [line.split(",") for line in lines[1:]]
        return [lines[0], *(",".join([*row[:2], "0", *row[3:]]) for row in cells)]

    [finding] = linted(without_au2, AU)
    assert (finding.kind, finding.line, finding.count) == ("one-class", 2, 95)
    assert finding.message == "au2 is 0 in every row"


def cells_changed(change: Callable[[NDArray[np.object_]], None]) -> Callable[[list[str]], list[str]]:
    """`change` is given the cells behind the pictures, (95, 2), as text."""

    def edit(lines: list[str]) -> list[str]:
        pictures = [line.split(",")[0] for line in lines[1:]]
        cells = np.array([line.split(",")[1:] for line in lines[1:]], dtype=object)
        change(cells)
        return [lines[0], *(",".join([picture, *row]) for picture, row in zip(pictures, cells, strict=True))]

    return edit


def test_constant_curves(linted: Lint) -> None:
    def change(cells: NDArray[np.object_]) -> None:
        cells[40:70, 1] = "0.25"

    [finding] = linted(cells_changed(change))
    assert (finding.kind, finding.line, finding.count) == ("constant", 42, 1)
    assert finding.message == "clips whose arousal never changes: video5_left"


@pytest.mark.parametrize("rows", [1, 12])
def test_a_repeated_last_line_is_padding(linted: Lint, rows: int) -> None:
    def change(cells: NDArray[np.object_]) -> None:
        cells[70 - rows : 70] = cells[69 - rows]

    [finding] = linted(cells_changed(change))
    assert (finding.kind, finding.line, finding.count) == ("padding", 72 - rows, rows)
    assert finding.message.endswith(": video5_left")


def test_rounded_curves_are_not_padded(linted: Lint) -> None:
    def change(cells: NDArray[np.object_]) -> None:
        cells[45:49] = cells[45]
        cells[66:70] = cells[66]

    assert linted(cells_changed(change)) == []


def test_gaps_that_are_filled_in_backwards(linted: Lint) -> None:
    def fill(weights: slice) -> Callable[[list[str]], list[str]]:
        def change(cells: NDArray[np.object_]) -> None:
            for column in (0, 1):
                before, after = float(cells[49, column]), float(cells[55, column])
                between = np.linspace(before, after, 7)[1:-1][weights]
                cells[50:55, column] = [repr(value) for value in between.tolist()]

        return cells_changed(change)

    assert linted(fill(slice(None))) == []
    [finding] = linted(fill(slice(None, None, -1)))
    assert (finding.kind, finding.line, finding.count) == ("reversed-interpolation", 52, 2)
    assert finding.message.endswith(": video5_left")


def test_swapped_columns(linted: Lint) -> None:
    def change(cells: NDArray[np.object_]) -> None:
        cells[:] = cells[:, ::-1].copy()

    assert linted(cells_changed(change)) == []  # nothing tells without a reference
    assert kinds(linted(cells_changed(change), reference=predictions())) == [("swapped", 2, 95)]


def test_curves_that_are_turned_round(linted: Lint) -> None:
    def change(cells: NDArray[np.object_]) -> None:
        cells[40:70] = cells[40:70][::-1].copy()
        cells[70:] = np.vectorize(lambda cell: repr(-float(cell)), otypes=[object])(cells[70:])

    found = linted(cells_changed(change), reference=predictions())
    assert kinds(found) == [("reversed", 42, 1), ("opposite", 72, 1)]
    assert [one.message.rsplit(": ", 1)[1] for one in found] == ["video5_left", "video5_right"]


def test_argmin_for_argmax_is_below_chance(linted: Lint) -> None:
    def change(cells: NDArray[np.object_]) -> None:
        # Any class but the most probable one, and not always the same instead of it.
        cells[:, 0] = [str((int(cell) + 1 + i % 7) % 8) for i, cell in enumerate(cells[:, 0])]

    [finding] = linted(cells_changed(change), EXPR, reference=predictions())
    assert (finding.kind, finding.line, finding.count) == ("below-chance", 2, 95)
    assert finding.message.startswith("0.0% of the classes")
    assert finding.message.endswith("by chance: is it argmin for argmax?")


def test_a_reference_of_other_clips_or_tasks_is_refused(linted: Lint) -> None:
    with pytest.raises(InputError, match=r"preds: has no clip in common with the sample \(c\)"):
        linted(reference=[two([0.1, 0.2])])
    bare = [Affect(one.clip, one.valence, one.arousal) for one in predictions()]
    with pytest.raises(UsageError, match="says no expression in any row"):
        linted(header=EXPR, reference=bare)
    with pytest.raises(UsageError, match="says no au1, au2, au4, au6, au7 and 7 more in any row"):
        linted(header=AU, reference=bare)


# several tasks in one file


def test_a_row_of_several_tasks_has_sixteen_cells(tmp_path: Path) -> None:
    sample = read_sample(write_sample(tmp_path / "s.txt", MTL, {"c": 2}, ","))
    units = {name: np.array([i % 2, 1], np.int8) for i, name in enumerate(ACTION_UNIT_HEADERS[1])}
    clip = two([0.25, 1.5], expression=np.array([7, 0], np.int8), action_units=units)
    values, counts = answer_sample(sample, [clip])
    write_submission(tmp_path / "p.txt", sample, values)
    rows = ["c/00001.jpg,0.25,0.25,7,0,1,0,1,0,1,0,1,0,1,0,1", "c/00002.jpg,1.0,1.0,0" + ",1" * 12]
    assert (tmp_path / "p.txt").read_text().splitlines() == [MTL, *rows]
    assert counts.clipped == 2
    assert lint(tmp_path / "p.txt", sample) == []


def test_a_row_of_several_tasks_is_filled_in_where_any_of_them_lacks(tmp_path: Path) -> None:
    sample = read_sample(write_sample(tmp_path / "s.txt", MTL, {"c": 3}))
    units = {name: np.array([0, 1, 1], np.int8) for name in ACTION_UNIT_HEADERS[1]}
    units["au2"] = np.array([-1, -1, 1], np.int8)
    clip = two([0.0, 0.5, 1.0], expression=np.array([1, -1, 3], np.int8), action_units=units)
    with pytest.raises(InputError, match=r"2 of 3 frames that are asked for have no prediction \(first: clip 'c', fr"):
        answer_sample(sample, [clip])
    values, counts = answer_sample(sample, [clip], "interpolate")
    assert (values[:, 2].tolist(), values[:, 4].tolist(), counts.filled) == ([1, 1, 3], [1, 1, 1], 2)
    assert values[:, 0].tolist() == [0.0, 0.5, 1.0]
    never = two([0.0, 0.5, 1.0], expression=np.full(3, -1, np.int8), action_units=units)
    with pytest.raises(InputError, match=r"clip 'c' has no prediction of expression at all"):
        answer_sample(sample, [never], "hold")


@pytest.mark.parametrize(
    ("place", "cell", "kind", "message"),
    [
        (1, "-5", "out-of-range", "(first: valence is '-5', which labels write where nobody annotated"),
        (3, "8", "out-of-range", "cells outside 0 to 7 (first: expression is '8')"),
        (3, "0.5", "not-an-integer", "(first: expression is '0.5')"),
        (4, "2", "out-of-range", "cells outside 0 to 1 (first: au1 is '2')"),
        (15, "nan", "not-finite", "(first: au26 is 'nan')"),
        (15, "x", "not-a-number", "(first: au26 is 'x')"),
    ],
)
def test_findings_of_several_tasks(linted: Lint, place: int, cell: str, kind: str, message: str) -> None:
    def edit(lines: list[str]) -> list[str]:
        cells = lines[8].split(",")
        cells[place] = cell
        return [*lines[:8], ",".join(cells), *lines[9:]]

    [finding] = linted(edit, MTL)
    assert (finding.kind, finding.line, finding.count) == (kind, 9, 1)
    assert message in finding.message


def test_curves_and_classes_of_several_tasks_are_looked_at(linted: Lint) -> None:
    def edit(lines: list[str]) -> list[str]:
        cells = [line.split(",") for line in lines[1:]]
        rows = [[row[0], row[2], row[1], str((int(row[3]) + 1) % 8), *row[4:]] for row in cells]
        return [lines[0], *map(",".join, rows)]

    assert kinds(linted(edit, MTL, reference=predictions())) == [("swapped", 2, 95), ("class-order", 2, 95)]


# the reference

MANY = {f"v{i}": 200 for i in range(12)}


def likely(seed: int, right: float) -> list[Affect]:
    """Predictions of MANY clips that agree with those of `seed` as well as those of networks do."""
    rng = np.random.default_rng(seed)
    made = []
    for clip, frames in MANY.items():
        both = np.random.default_rng(1000 + int(clip[1:]))
        truth, noise = np.cumsum(both.normal(size=(frames, 2)), axis=0), np.cumsum(rng.normal(size=(frames, 2)), axis=0)
        curve = 0.5 * truth / np.abs(truth).max(axis=0) + (1 - right) * noise / np.abs(noise).max(axis=0)
        classes = np.repeat(both.integers(0, 8, frames // 5), 5)
        units = np.repeat(both.integers(0, 2, (frames // 5, 12)), 5, axis=0)
        wrong, flipped = rng.random(frames) > right, rng.random((frames, 12)) > right
        said = np.where(wrong, rng.integers(0, 8, frames), classes).astype(np.int8)
        units = np.where(flipped, rng.integers(0, 2, (frames, 12)), units).astype(np.int8)
        named = dict(zip(ACTION_UNIT_HEADERS[1], units.T, strict=True))
        valence, arousal = 0.5 * curve.T
        made.append(Affect(clip, valence, arousal, source="preds", expression=said, action_units=named))
    return made


@pytest.fixture
def beside(tmp_path: Path) -> Callable[..., list[Finding]]:
    """Findings in predictions that agree well with a reference, after `change` of their values."""

    def run(header: str, change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> list[Finding]:
        sample = read_sample(write_sample(tmp_path / "s.txt", header, MANY))
        values, *_ = answer_sample(sample, likely(1, 0.6))
        write_submission(tmp_path / "p.txt", sample, change(values))
        return lint(tmp_path / "p.txt", sample, likely(2, 1.0))

    return run


def by_clip(change: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Callable[..., NDArray[np.float64]]:
    return lambda values: np.concatenate([change(clip) for clip in np.split(values, len(MANY))])


@pytest.mark.parametrize("header", [VA, EXPR, AU, MTL])
def test_nothing_is_said_of_predictions_that_agree_as_well_as_networks_do(beside: Lint, header: str) -> None:
    assert beside(header, lambda values: values) == []


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda values: values[:, ::-1], "swapped", "valence and arousal seem to be swapped: correlation"),
        (by_clip(lambda clip: clip[::-1]), "reversed", "the curves of 12 clips run backwards in time"),
        (lambda values: values * [1, -1], "opposite", "arousal seems to have the opposite sign: mean correlation"),
    ],
)
def test_curves_of_many_clips(
    beside: Lint, change: Callable[[NDArray[np.float64]], NDArray[np.float64]], kind: str, message: str
) -> None:
    [finding] = beside(VA, change)
    assert (finding.kind, finding.line) == (kind, 2)
    assert finding.message.startswith(message)


def few(clips: int, frames: int = 500) -> tuple[list[Affect], NDArray[np.float64], NDArray[np.float64]]:
    """A reference, and curves (rows, 2) and expressions (rows, 1) that agree with it well: about .92, and 72 %."""
    reference, said, classes = [], [], []
    for seed in range(clips):
        rng = np.random.default_rng(seed)
        truth, noise = curves(seed, frames), rng.normal(size=(frames, 2))
        smooth = np.stack([np.convolve(column, np.ones(15) / 15, "same") for column in noise.T], axis=1)
        true = np.repeat(rng.permutation(7), -(-frames // 7))[:frames].astype(np.int8)  # runs of some 70 frames
        reference.append(Affect(f"v{seed}", truth[:, 0], truth[:, 1], source="labels", expression=true))
        said.append(np.clip(0.8 * truth + 0.45 * smooth, -1, 1))
        classes.append(np.where(rng.random(frames) < 0.3, rng.integers(0, 8, frames), true)[:, None])
    return reference, np.concatenate(said), np.concatenate(classes)


def beside_few(
    path: Path, header: str, values: NDArray[np.float64], reference: list[Affect]
) -> tuple[list[Finding], list[str]]:
    """Findings in `values`, by the rows of a sample of what the reference has, and what it is too small to tell."""
    sample = read_sample(write_sample(path / "s.txt", header, {one.clip: len(one) for one in reference}))
    write_submission(path / "p.txt", sample, values)
    notes: list[str] = []
    return lint(path / "p.txt", sample, reference, notes.append), notes


@pytest.mark.parametrize("clips", [3, 4, 5, 8, 9])
@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda values: values, []),
        (lambda values: values[:, ::-1], ["swapped"]),
        (lambda values: -values, ["opposite", "opposite"]),
        (lambda values: values[::-1], ["reversed"]),
    ],
)
def test_a_few_clips_tell_where_they_agree_far_better_the_other_way(
    tmp_path: Path, clips: int, change: Callable[[NDArray[np.float64]], NDArray[np.float64]], found: list[str]
) -> None:
    reference, values, _ = few(clips)
    turned = np.concatenate([change(clip) for clip in np.split(values, clips)])
    findings, notes = beside_few(tmp_path, VA, turned, reference)
    assert ([one.kind for one in findings], notes) == (found, [])


@pytest.mark.parametrize("clips", [3, 5, 8])
def test_a_few_clips_tell_the_order_of_classes(tmp_path: Path, clips: int) -> None:
    reference, _, values = few(clips)
    assert beside_few(tmp_path, EXPR, values, reference) == ([], [])
    [finding], notes = beside_few(tmp_path, EXPR, (values + 1) % 8, reference)
    assert (finding.kind, notes) == ("class-order", [])
    assert "the classes seem to be moved on by 1: " in finding.message


def test_nothing_is_found_in_a_few_unrelated_random_walks(tmp_path: Path) -> None:
    for seed in range(60):
        clips = 3 + seed % 7
        rng = np.random.default_rng(seed)
        every = np.cumsum(rng.normal(size=(clips, 500, 4)), axis=1)
        every *= 0.9 / np.abs(every).max(axis=1, keepdims=True)
        reference = [Affect(f"v{i}", clip[:, 0], clip[:, 1], source="labels") for i, clip in enumerate(every)]
        findings, notes = beside_few(tmp_path, VA, np.concatenate(every)[:, 2:], reference)
        assert findings == []
        agreement = np.mean([np.corrcoef(clip.T)[[0, 1], [2, 3]].mean() for clip in every])
        assert [note[:43] for note in notes] == ["the reference hardly agrees with the submis"] * bool(agreement < 0.2)


@pytest.mark.parametrize("clips", [3, 9, 10, 40])
def test_more_clips_take_no_evidence_away(clips: int) -> None:
    """Gains of very different sizes are not alike enough for `clear`, and all of them are for the better."""
    other = np.full(clips, 0.95)
    as_is = np.where(np.arange(clips) % 5, 0.9, -0.9) if clips > 3 else np.full(clips, -0.9)
    as_is[:2] = -0.9
    gains = other - as_is
    assert overwhelming(as_is, other, [500] * clips, 2) == (gains.mean() >= 0.4)
    assert not overwhelming(as_is, other, [99] * clips, 2)


@pytest.mark.parametrize(("clips", "frames", "long"), [(1, 40, "0 clips"), (2, 500, "2 clips")])
def test_what_else_cannot_be_told_is_said_beside_a_finding(tmp_path: Path, clips: int, frames: int, long: str) -> None:
    reference, *_ = few(clips, frames)
    values = np.concatenate([np.stack([-one.valence, one.arousal], axis=1) for one in reference])
    values[:frames] = np.stack([reference[0].valence, reference[0].arousal], axis=1)[::-1]
    findings, notes = beside_few(tmp_path, VA, values, reference)
    assert "reversed" in {one.kind for one in findings}
    assert [note[:60] for note in notes] == [f"the reference has {long} of 100 frames or more of the submission"[:60]]
    assert "too few to tell more of swapped columns" in notes[0]


def test_rows_that_lack_a_cell_make_no_column_one_class(linted: Lint) -> None:
    def edit(lines: list[str]) -> list[str]:
        """Two of three rows lack a cell; the last of the others is 1."""
        return [lines[0], *(line[:-1] + "1" if n % 3 == 0 else line[:-2] for n, line in enumerate(lines[1:]))]

    assert kinds(linted(edit, header=MTL))[0][0] == "cells"
    assert "one-class" not in {one.kind for one in linted(edit, header=MTL)}


@pytest.mark.parametrize(("clips", "frames", "long"), [(1, 500, "1 clip"), (2, 500, "2 clips"), (3, 90, "0 clips")])
def test_a_reference_that_is_too_small_to_tell_is_told(tmp_path: Path, clips: int, frames: int, long: str) -> None:
    reference, values, classes = few(clips, frames)
    values = 0.5 * values + np.random.default_rng(0).uniform(-0.3, 0.3, values.shape)
    findings, [note] = beside_few(tmp_path, VA, values[:, ::-1], reference)
    assert findings == []
    assert note == (
        f"the reference has {long} of 100 frames or more of the submission: too few to tell swapped columns, curves "
        "that run backwards or opposite signs by, expected 3 of them, or 10 of 10 frames"
    )
    findings, [note] = beside_few(tmp_path, EXPR, (classes + 1) % 8, reference)
    assert findings == []
    said = rf"the reference has {long} of 100 frames or more, and \d+ runs of one class, of the submission: too few to"
    assert re.match(said, note)
    units = [
        Affect(one.clip, one.valence, one.arousal, action_units={name: np.zeros(len(one), np.int8) + i % 2})
        for one in reference
        for i, name in enumerate(ACTION_UNIT_HEADERS[1][:1])
    ]
    findings, [note] = beside_few(tmp_path, "image_location,AU1", np.arange(float(len(classes)))[:, None] % 2, units)
    assert findings == []
    assert note.startswith("the reference has at most 1 run")


AFFECTNET = [0, 6, 5, 4, 1, 2, 3, 7]  # the number that each class of the challenge has there


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        (lambda values: (values + 1) % 8, "class-order", "the classes seem to be moved on by 1: "),
        (lambda values: (values - 1) % 8, "class-order", "the classes seem to be moved back by 1: "),
        (lambda values: np.array(AFFECTNET)[values.astype(int)], "class-order", "seem to be in the order of AffectNet"),
    ],
)
def test_classes_in_another_order(
    beside: Lint, change: Callable[[NDArray[np.float64]], NDArray[np.float64]], kind: str, message: str
) -> None:
    [finding] = beside(EXPR, change)
    assert (finding.kind, finding.line, finding.count) == (kind, 2, 2400)
    assert message in finding.message


def test_any_other_numbering_of_the_very_reference_is_told(linted: Lint) -> None:
    def change(cells: NDArray[np.object_]) -> None:
        cells[:, 0] = [str([3, 0, 2, 1, 4, 7, 6, 5][int(cell)]) for cell in cells[:, 0]]

    [finding] = linted(cells_changed(change), EXPR, reference=predictions())
    assert (finding.kind, finding.count) == ("class-order", 95)
    assert "the classes seem to be numbered otherwise, 0 for 1, 1 for 3, 3 for 0, 5 for 7, 7 for 5: " in finding.message


@pytest.mark.parametrize("header", [VA, EXPR, AU])
def test_a_clip_from_last_to_first(linted: Lint, header: str) -> None:
    def change(cells: NDArray[np.object_]) -> None:
        cells[40:70] = cells[40:70][::-1].copy()

    [finding] = linted(cells_changed(change), header, reference=predictions())
    assert (finding.kind, finding.line, finding.count) == ("reversed", 42, 1)


def test_a_hill_from_last_to_first(tmp_path: Path) -> None:
    sample = read_sample(write_sample(tmp_path / "s.txt", VA, {"c": 40}))
    hill = np.sin(np.linspace(0.05, np.pi, 40))
    write_submission(tmp_path / "p.txt", sample, np.stack([hill[::-1], hill[::-1]], axis=1))
    [finding] = lint(tmp_path / "p.txt", sample, [two(hill.tolist())])
    assert finding.kind == "reversed"


def test_one_column_of_the_opposite_sign_in_few_clips(linted: Lint) -> None:
    def change(cells: NDArray[np.object_]) -> None:
        cells[:, 0] = [repr(-float(cell)) for cell in cells[:, 0]]

    [finding] = linted(cells_changed(change), reference=predictions())
    assert (finding.kind, finding.line, finding.count) == ("opposite", 2, 3)
    assert finding.message.startswith("valence seems to have the opposite sign: mean correlation with the reference ov")


def test_action_units_inverted_or_in_another_order(beside: Lint) -> None:
    [finding] = beside(AU, lambda values: 1 - values)
    assert (finding.kind, finding.line, finding.count) == ("inverted", 2, 12)
    [finding] = beside(AU, lambda values: np.where(np.arange(12) == 4, 1 - values, values))
    assert (finding.kind, finding.count) == ("inverted", 1)
    assert "0 for 1, by the reference (phi): au7 (-0." in finding.message
    # The order of 2020 first, then what it has not.
    old = [ACTION_UNIT_HEADERS[1].index(name) for name in ACTION_UNIT_HEADERS[0] if name != "au20"]
    rest = [place for place in range(12) if place not in old]
    [finding] = beside(AU, lambda values: values[:, [*old, *rest]])
    assert finding.kind == "column-order"
    assert "au7 holds au12 (0." in finding.message


@pytest.mark.parametrize("header", [VA, EXPR, AU])
@pytest.mark.parametrize(("rows", "said"), [(1, "1 row late"), (-1, "1 row early"), (3, "3 rows late")])
def test_rows_that_are_shifted(linted: Lint, header: str, rows: int, said: str) -> None:
    def change(cells: NDArray[np.object_]) -> None:
        clip = cells[40:70].copy()
        cells[40:70] = (
            np.concatenate([clip[:1]] * rows + [clip[: 30 - rows]]) if rows > 0 else clip[[*range(1, 30), 29]]
        )

    found = linted(cells_changed(change), header, reference=predictions())
    [finding] = [one for one in found if one.kind != "padding"]  # the last row is there twice
    assert (finding.kind, finding.line, finding.count) == ("shifted", 42, 1)
    assert finding.message == f"clips whose rows stand {said}, by the reference: video5_left"


@pytest.mark.parametrize("header", [VA, EXPR, AU, MTL])
def test_a_header_without_rows_is_one_finding_also_beside_a_reference(linted: Lint, header: str) -> None:
    assert kinds(linted(lambda lines: lines[:1], header, reference=predictions())) == [("missing-rows", 2, 95)]


def test_a_shift_is_told_where_the_first_row_of_its_clip_stands(linted: Lint) -> None:
    def edit(lines: list[str]) -> list[str]:
        rows = [line.split(",", 1) for line in lines[41:71]]
        moved = [f"{a},{b}" for (a, _), (_, b) in zip(rows[1:], rows[:-1], strict=True)]
        return [*lines[:41], *moved, *lines[71:]]  # the first row of the clip lacks

    found = linted(edit, reference=predictions())
    assert kinds(found) == [("missing-rows", 42, 1), ("shifted", 42, 1)]


# a file for each clip


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., list[Finding]]:
    """Findings in the files that `submit --layout files` writes of `predictions()`, after `edit` of the directory."""

    def run(
        edit: Callable[[Path], object] = lambda _: None, task: str = "va", reference: list[Affect] | None = None
    ) -> list[Finding]:
        wanted = [Wanted(clip, default_form(task), frames) for clip, frames in CLIPS.items()]
        answers, _ = answer_clips(wanted, predictions(), "list")
        for one, values in zip(wanted, answers, strict=True):
            write_clip(clip_path(tmp_path / "all", one.clip), one.form, values)
        edit(tmp_path / "all")
        return lint_files(tmp_path / "all", wanted, reference)

    return run


@pytest.mark.parametrize("task", ["va", "expr", "au"])
def test_files_of_clips_are_clean(files: Lint, task: str) -> None:
    assert files(task=task) == []
    assert files(task=task, reference=predictions()) == []


def rewritten(name: str, change: Callable[[list[str]], list[str]]) -> Callable[[Path], object]:
    def edit(directory: Path) -> None:
        lines = (directory / f"{name}.txt").read_text().splitlines()
        (directory / f"{name}.txt").write_text("\n".join(change(lines)) + "\n")

    return edit


@pytest.mark.parametrize(
    ("edit", "found"),
    [
        (rewritten("10-60", lambda lines: lines[:-1]), ("truncated", 41, 1, "10-60.txt")),
        (rewritten("10-60", lambda lines: [*lines, lines[-2]]), ("extra-rows", 42, 1, "10-60.txt")),
        (rewritten("video5_left", lambda lines: lines[1:]), ("header", 1, 1, "video5_left.txt")),
        (rewritten("video5_left", lambda lines: lines[:1]), ("truncated", 2, 30, "video5_left.txt")),
        (rewritten("video5_left", with_line(9, "-5,-5")), ("out-of-range", 9, 2, "video5_left.txt")),
        (rewritten("video5_left", with_line(9, "0.1")), ("cells", 9, 1, "video5_left.txt")),
        (rewritten("video5_left", with_line(9, "0,5,0,25")), ("decimal-comma", 9, 1, "video5_left.txt")),
        (lambda directory: (directory / "video5_right.txt").unlink(), ("missing-files", 1, 1, "video5_right.txt")),
        (lambda directory: (directory / "x.txt").write_text("valence,arousal\n"), ("extra-files", 1, 1, "x.txt")),
        (lambda directory: (directory / "video5_right.txt").write_text(""), ("unreadable", 1, 1, "video5_right.txt")),
    ],
)
def test_findings_of_files(files: Lint, edit: Callable[[Path], object], found: tuple[str, int, int, str]) -> None:
    [finding] = files(edit)
    assert (finding.kind, finding.line, finding.count, finding.file) == found


def test_one_finding_of_a_kind_tells_the_first_file_and_how_many(files: Lint) -> None:
    def edit(directory: Path) -> None:
        for clip in ("10-60", "video5_right"):
            rewritten(clip, lambda lines: lines[:-2])(directory)

    [finding] = files(edit)
    assert (finding.file, finding.line, finding.count) == ("10-60.txt", 40, 4)
    assert finding.message == "the file has 38 rows, expected 40; so in 2 files"


def test_curves_of_files_are_told_by_their_file_and_line(files: Lint) -> None:
    def swap(lines: list[str]) -> list[str]:
        return [lines[0], *(",".join(reversed(line.split(","))) for line in lines[1:])]

    def edit(directory: Path) -> None:
        for clip in CLIPS:
            rewritten(clip, swap)(directory)
        rewritten("video5_right", lambda lines: [*lines[:20], *[lines[19]] * 6])(directory)

    padded, swapped = files(edit, reference=predictions())
    assert (padded.kind, padded.file, padded.line, padded.count) == ("padding", "video5_right.txt", 21, 6)
    assert (swapped.kind, swapped.file, swapped.line, swapped.count) == ("swapped", "10-60.txt", 2, 95)


def test_a_first_row_without_header_is_a_row_whatever_its_picture(tmp_path: Path) -> None:
    sample = read_sample(write_sample(tmp_path / "s.txt", VA, {"c": 2}))
    (tmp_path / "f.txt").write_text("d/00001.jpg,0.1,0.2\nd/00002.jpg,0.3,0.4\n")
    found = {finding.kind: finding for finding in lint(tmp_path / "f.txt", sample)}
    assert "the header lacks" in found["header"].message
    assert (found["extra-rows"].line, found["extra-rows"].count) == (1, 2)
