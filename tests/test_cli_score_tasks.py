"""affcli score beyond valence and arousal: expressions, action units, multi-task, submissions, foreign scales."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import invoke
from numpy.typing import NDArray

from affcli import recipes, tables
from affcli.classification import action_units_2020, action_units_f1
from affcli.errors import AffcliError, InputError, UsageError
from affcli.labels.affect import EXPRESSIONS, Affect
from affcli.labels.categories import ACTION_UNIT_HEADERS
from affcli.labels.read import holds_tables, read_affect, read_stream
from affcli.labels.scales import Scale
from affcli.metrics import ccc
from affcli.schemas import AFFECT, WINDOWS
from affcli.scoring.classes import class_figures, score_classes

GOLDEN = json.loads((Path(__file__).parent / "golden" / "classification.json").read_text())["cases"]
UNITS = ACTION_UNIT_HEADERS[1]
EXPR8, EXPR7, AU12 = ",".join(EXPRESSIONS), ",".join(EXPRESSIONS[:7]), ",".join(UNITS).upper()
MTL = "image,valence,arousal,expression,aus"


def scored(*arguments: object) -> dict[str, Any]:
    """What `affcli score` says as JSON; it ends well."""
    done = invoke("score", *arguments)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout))


def refused(*arguments: object, status: int = 3) -> str:
    """The message of what is refused with this status."""
    with pytest.raises(AffcliError) as caught:
        invoke("score", *arguments)
    assert caught.value.status == status
    return str(caught.value)


def lines(path: Path, header: str, rows: list[object]) -> Path:
    """A text file of a header and a line for each row, which may be a sequence of cells."""
    path.parent.mkdir(exist_ok=True)
    cells = [",".join(map(str, row)) if isinstance(row, tuple | list | np.ndarray) else str(row) for row in rows]
    path.write_text("\n".join([header, *cells]) + "\n")
    return path


def pictures(clip: str, values: Any, first: int = 1) -> list[object]:
    """The rows of a submission: picture and values."""
    return [
        (f"{clip}/{number:05d}.jpg", *(np.atleast_1d(value).tolist())) for number, value in enumerate(values, first)
    ]


def write_table(path: Path, **columns: Any) -> Path:
    count = len(next(iter(columns.values())))
    blank = np.full(count, np.nan)
    classes = {name: np.asarray(values, np.int8) for name, values in columns.items() if name not in ("valence",)}
    expression = classes.pop("expression", None)
    valence = np.asarray(columns.get("valence", blank), np.float64)
    affect = Affect(path.name.split(".")[0], valence, valence, expression=expression, action_units=classes)
    tables.write(path, AFFECT, affect.columns(), recipe=recipes.recipe("predict", {}), inputs=[], facts={})
    return path


@pytest.mark.parametrize("case", [c for c in GOLDEN if c["classes"] in (7, 8)], ids=lambda c: str(len(c["truth"])))
def test_expressions_are_those_of_scikit_learn(tmp_path: Path, case: dict[str, Any]) -> None:
    header = EXPR8 if case["classes"] == 8 else EXPR7
    gt, preds = lines(tmp_path / "gt.txt", header, case["truth"]), lines(tmp_path / "p.txt", header, case["prediction"])
    found = scored(preds, gt)
    assert (found["task"], found["frames"], found["coverage"]) == ("expr", len(case["truth"]), 1.0)
    assert found["confusion"] == case["counts"]
    assert found["concatenated"]["f1"] == pytest.approx(case["macro_f1"], abs=1e-15)
    assert found["concatenated"]["accuracy"] == case["accuracy"]
    assert list(found["concatenated"]["by_class"].values()) == pytest.approx(case["f1"], abs=1e-15)
    assert (found["classes"], found["classes_from"]) == (header.split(","), "the ground truth's header")
    old = scored(preds, gt, "--formula", "2020")["concatenated"]
    assert old["score_2020"] == pytest.approx(0.67 * case["macro_f1"] + 0.33 * case["accuracy"], abs=1e-15)
    assert next(iter(old)) == "score_2020"


def test_action_units_are_those_of_scikit_learn(tmp_path: Path) -> None:
    case = next(c for c in GOLDEN if len(c["truth"]) == 50)
    never = next(c for c in GOLDEN if len(c["truth"]) == 20)
    truth, guess = np.zeros((50, 12), np.int64), np.zeros((50, 12), np.int64)
    truth[:, 0], guess[:, 0] = case["truth"], case["prediction"]
    guess[:20, 1] = 1 - np.array(never["prediction"])  # false alarms of a unit that is never present
    gt, preds = lines(tmp_path / "gt.txt", AU12, list(truth)), lines(tmp_path / "p.txt", AU12, list(guess))
    found = scored(preds, gt)
    assert found["task"] == "au"
    assert found["concatenated"]["by_unit"] == {name.upper(): 0.0 for name in UNITS} | {"AU1": case["f1"][1]}
    assert found["concatenated"]["f1"] == pytest.approx(case["f1"][1] / 12, abs=1e-15)
    assert found["confusion"]["AU1"] == case["counts"]
    accuracy = (truth == guess).mean()
    assert found["concatenated"]["accuracy"] == pytest.approx(accuracy, abs=1e-15)
    old = scored(preds, gt, "--formula", "2020")["concatenated"]["score_2020"]
    assert old == pytest.approx(0.5 * case["f1"][1] / 12 + 0.5 * accuracy, abs=1e-15)


def random_classes(seed: int = 0, clips: int = 12, frames: int = 40) -> dict[str, tuple[NDArray[Any], NDArray[Any]]]:
    """True and predicted expressions of clips c00, c01, ...; one frame of each is not annotated."""
    random = np.random.default_rng(seed)
    made = {}
    for clip in range(clips):
        truth = random.integers(0, 8, frames)
        guess = np.where(random.random(frames) < 0.6, truth, random.integers(0, 8, frames))
        truth[3] = -1
        made[f"c{clip:02d}"] = truth, guess
    return made


@pytest.fixture
def expressions(tmp_path: Path) -> tuple[Path, Path, dict[str, tuple[NDArray[Any], NDArray[Any]]]]:
    """Directories of label files, predictions before the truth, and what they hold."""
    made = random_classes()
    for clip, (truth, guess) in made.items():
        lines(tmp_path / "gt" / f"{clip}.txt", EXPR8, list(truth))
        lines(tmp_path / "preds" / f"{clip}.txt", EXPR8, list(guess))
    return tmp_path / "preds", tmp_path / "gt", made


def test_every_form_of_expressions_scores_alike(tmp_path: Path, expressions: Any) -> None:
    preds, gt, made = expressions
    want = scored(preds, gt)
    assert (want["clips"], want["frames"]) == (12, 12 * 39)
    submitted = lines(
        tmp_path / "sub.txt", f"image_location,{EXPR8}", [r for clip in made for r in pictures(clip, made[clip][1])]
    )
    rows = [(clip, frame, value) for clip in made for frame, value in enumerate(made[clip][1])]
    csv = lines(tmp_path / "p.csv", "clip,frame,expression", list(rows))
    folder = tmp_path / "tables"
    for clip in made:
        write_table(folder / f"{clip}.affect.parquet", expression=made[clip][1])
    for other in (submitted, csv, folder):
        found = scored(other, gt, "--task", "expr")
        assert {**found, "predictions_recipe": None} == want
    piped = invoke("score", "--task", "expr", csv, csv).stdout
    assert json.loads(piped)["classes_from"] == "affect tables, CSV and multi-task labels have eight"
    assert scored(submitted, submitted)["concatenated"]["accuracy"] == 1.0


def test_the_first_line_of_csv_in_a_directory_tells_the_task(tmp_path: Path) -> None:
    folder = tmp_path / "csv"
    for clip in ("a", "b"):
        lines(folder / f"{clip}.csv", "frame,expression", [(0, 1), (1, 2)])
    assert scored(folder, folder)["task"] == "expr"
    affect = lines(tmp_path / "va" / "a.csv", "frame,valence,arousal", [(0, 0.1, 0.2), (1, 0.2, 0.1)]).parent
    assert "is of the task expr, expected va" in refused(affect, folder, status=2)


def test_expressions_from_a_pipe(affcli: Callable[..., Any], tmp_path: Path) -> None:
    gt = lines(tmp_path / "a.txt", EXPR8, [0, 1, 2])
    done = affcli("score", "-", gt, input="clip,frame,expression\na,0,0\na,1,1\na,2,3\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["concatenated"]["accuracy"] == pytest.approx(2 / 3)
    done = affcli("score", "--task", "au", "-", gt, input="frame,au1\n0,1\n")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)


def test_a_column_of_classes_alone(tmp_path: Path) -> None:
    gt = lines(tmp_path / "a.txt", EXPR8, [0, 1, 2, -1])
    assert scored(lines(tmp_path / "p.csv", "expression", [0, 1, 2, -1]), gt)["frames"] == 3
    assert "line 3: is empty, expected a frame; write -1" in refused(
        lines(tmp_path / "q.csv", "expression", [0, "", 2, 1]), gt
    )
    assert "line 3: expression is '9'" in refused(lines(tmp_path / "r.csv", "frame,expression", [(0, 1), (1, 9)]), gt)
    assert "has no column expression" in refused(lines(tmp_path / "s.csv", "frame,valence", [(0, 1)]), gt)


def test_intervals_differences_groups_and_clips(tmp_path: Path, expressions: Any) -> None:
    preds, gt, made = expressions
    found = scored(preds, gt, "--ci", 90, "--resamples", 300, "--per-clip")
    assert found == scored(preds, gt, "--ci", 90, "--resamples", 300, "--per-clip")
    for key in ("f1", "accuracy"):
        assert found["intervals"][key]["low"] < found["concatenated"][key] < found["intervals"][key]["high"]
    assert list(found["intervals"]["by_class"]) == list(EXPRESSIONS)
    order = sorted(made, key=lambda clip: found["per_clip"][clip]["f1"])
    assert (found["worst"], found["best"]) == (order[:5], order[::-1][:5])
    assert found["mean_over_clips"]["f1"] == pytest.approx(np.mean([c["f1"] for c in found["per_clip"].values()]))

    worse = tmp_path / "worse"
    for clip, (_, guess) in made.items():
        lines(worse / f"{clip}.txt", EXPR8, list((guess + (np.arange(40) % 2)) % 8))
    both = scored(preds, worse, preds, gt, "--resamples", 300)
    assert both["systems"][1] == {"predictions": str(worse), **scored(worse, gt)}
    less, same = both["differences"]["each"]
    apart = both["systems"][1]["concatenated"]["f1"] - both["systems"][0]["concatenated"]["f1"]
    assert less["f1"]["estimate"] == pytest.approx(apart, abs=1e-15)
    assert less["f1"]["low"] < apart < less["f1"]["high"] < 0 < less["f1"]["p"] < 0.05
    assert same["f1"] == {"estimate": 0.0, "low": 0.0, "high": 0.0, "p": 1.0}

    clips = {clip: {"split": "val" if clip < "c04" else "train", "subject": f"p{clip[1:] < '06'}"} for clip in made}
    columns = {column.name: np.zeros(0, np.int32) for column in WINDOWS.columns}
    columns |= {"clip": np.zeros(0, object), "split": np.zeros(0, object)}
    facts = {"length": 8, "overlap": 0, "features": {}, "clips": clips}
    windows = tmp_path / "windows.parquet"
    tables.write(windows, WINDOWS, columns, recipe=recipes.recipe("window", {}), inputs=[], facts=facts)
    groups = scored(preds, gt, "--by", "split", "--windows", windows, "--ci", 95, "--resamples", 100)
    assert {n: (g["clips"], g["frames"]) for n, g in groups["by"]["groups"].items()} == {
        "train": (8, 8 * 39),
        "val": (4, 4 * 39),
    }
    assert groups["intervals"]["of"] == "subjects"
    assert "tells no split of 12 annotated clips" in refused(
        preds, gt, "--by", "split", "--windows", _empty_windows(tmp_path)
    )


def _empty_windows(folder: Path) -> Path:
    columns = {column.name: np.zeros(0, np.int32) for column in WINDOWS.columns}
    columns |= {"clip": np.zeros(0, object), "split": np.zeros(0, object)}
    facts: dict[str, Any] = {"length": 8, "overlap": 0, "features": {}, "clips": {}}
    path = folder / "none.parquet"
    tables.write(path, WINDOWS, columns, recipe=recipes.recipe("window", {}), inputs=[], facts=facts)
    return path


def test_tables_for_people_and_papers(tmp_path: Path, expressions: Any) -> None:
    preds, gt, made = expressions
    shown = invoke("score", preds, gt, "--table", "--per-clip", "--ci", 95, "--resamples", 100).stdout
    assert "clips: 12, frames: 468, coverage: 100.00%, classes: 8 (the ground truth's header)" in shown
    assert "│ 0 Neutral   │" in shown
    assert "…" not in shown
    assert "worst: " in shown
    markdown = invoke("score", preds, preds, gt, "--markdown", "--resamples", 100).stdout
    assert markdown.startswith("| predictions | mean F1 | accuracy | coverage |\n")
    assert "| F1 Other | +0.0000 | 0.0000 to 0.0000 | 1.0000 |" in markdown
    rows = [r for clip in made for r in pictures(clip, np.ones((40, 12), int))]
    units = lines(tmp_path / "au.txt", f"image_location,{AU12}", rows)
    assert r"AU26 & 1.0000 & 480 & 480 & 0 \\" in invoke("score", units, units, "--latex").stdout


def test_frames_with_and_without_a_face(tmp_path: Path, write_faces: Callable[..., Path]) -> None:
    gt = lines(tmp_path / "gt" / "a.txt", EXPR8, [0, 1, 2, 3, 4, 5]).parent
    preds = lines(tmp_path / "p" / "a.txt", EXPR8, [0, 1, 2, 0, 0, 0]).parent
    write_faces(tmp_path, "a", np.zeros((6, 8, 8, 3), np.uint8), np.arange(6) < 3)
    found = scored(preds, gt, "--faces", tmp_path)["faces"]
    assert (found["with"]["frames"], found["with"]["concatenated"]["accuracy"]) == (3, 1.0)
    assert (found["without"]["frames"], found["without"]["concatenated"]["accuracy"]) == (3, 0.0)
    rows = pictures("a", [0, 1, 2, 3])  # names no more frames than these, of the six there are
    part = lines(tmp_path / "sub.txt", f"image_location,{EXPR8}", rows)
    assert scored(preds, part, "--faces", tmp_path)["faces"]["without"]["frames"] == 1


@pytest.mark.parametrize(("missing", "right"), [("hold", 3), ("interpolate", 4), ("zero", 4)])
def test_missing_classes_are_an_error_or_filled(tmp_path: Path, missing: str, right: int) -> None:
    gt = lines(tmp_path / "a.txt", EXPR8, [2, 2, 0, 5, 5])
    preds = lines(tmp_path / "p.txt", EXPR8, [2, 2, -1, -1, 5])
    assert "p.txt: 2 of 5 annotated frames have no prediction (first: clip 'a', frame 2)" in refused(preds, gt)
    found = scored(preds, gt, "--missing", missing)
    assert (found["coverage"], found["frames"], found["missing"]) == (0.6, 5, missing)
    assert found["concatenated"]["accuracy"] == right / 5  # hold makes 2 2, interpolate 2 5, zero 0 0
    nothing = lines(tmp_path / "q.txt", EXPR8, [-1] * 5)
    if missing != "zero":
        assert "has no prediction at all" in refused(nothing, gt, "--missing", missing)


def test_lengths_must_agree_or_be_aligned(tmp_path: Path) -> None:
    gt, preds = lines(tmp_path / "a.txt", EXPR8, [0, 1, 2, 3]), lines(tmp_path / "p.txt", EXPR8, [0, 1, 2])
    assert "clip 'p' has 3 frames, expected 4 as in" in refused(preds, gt, status=4)
    assert scored(preds, gt, "--align", "crop")["frames"] == 3
    assert scored(preds, gt, "--align", "pad", "--missing", "hold")["coverage"] == 0.75


def test_classes_of_the_list(tmp_path: Path) -> None:
    seven = lines(tmp_path / "a.txt", EXPR7, [0, 1, 2, 6])
    eight = lines(tmp_path / "p.txt", EXPR8, [0, 1, 2, 7])
    assert "clip 'p' has class 7 in frame 3, expected 0 to 6" in refused(eight, seven)
    longer = scored(eight, seven, "--classes", "8")
    assert (longer["classes_from"], len(longer["classes"])) == ("--classes", 8)
    assert longer["concatenated"]["f1"] == 3 / 8
    assert scored(seven, lines(tmp_path / "b.txt", EXPR8, [0, 1, 2, 6]))["concatenated"]["f1"] == 0.5
    mixed = tmp_path / "mixed"
    lines(mixed / "a.txt", EXPR7, [1])
    lines(mixed / "b.txt", EXPR8, [1])
    assert "b.txt: names 8 expressions, expected 7" in refused(mixed, mixed)


def test_each_unit_counts_its_own_frames(tmp_path: Path) -> None:
    truth, guess = np.ones((4, 12), int), np.ones((4, 12), int)
    truth[0, 0], guess[0, 0] = -1, 0  # not annotated: no mistake
    truth[3] = -1
    gt, preds = lines(tmp_path / "a.txt", AU12, list(truth)), lines(tmp_path / "p.txt", AU12, list(guess))
    found = scored(preds, gt)
    assert (found["concatenated"]["f1"], found["frames"]) == (1.0, 3)
    assert found["confusion"]["AU1"] == [[0, 0], [0, 2]]
    one = write_table(tmp_path / "a.affect.parquet", au1=[1, 1, 1, 1])
    assert scored(preds, one, "--task", "au")["concatenated"]["by_unit"] == {"AU1": 6 / 7}
    assert "clip 'a' has no action unit AU2, AU4, AU6, AU7, AU10 and 6 more" in refused(one, gt)
    assert "clip 'a' has no expression" in refused(one, lines(tmp_path / "e.txt", EXPR8, [0] * 4))
    assert "has no annotated expression" in refused(one, one, "--task", "expr")


def multitask(path: Path, clips: dict[str, tuple[Any, ...]], step: int = 1) -> Path:
    """Multi-task labels: valence (and half of it as arousal), expression, units; every `step`-th frame is named."""
    rows: list[object] = []
    for clip, (valence, expression, units) in clips.items():
        for frame in range(0, len(valence), step):
            cells = (valence[frame], valence[frame] / 2 if valence[frame] >= -1 else -5, expression[frame])
            rows.append((f"{clip}/{frame + 1:05d}.jpg", *cells, *units[frame]))
    return lines(path, MTL, rows)


def multitask_clips() -> tuple[dict[str, tuple[Any, ...]], dict[str, tuple[Any, ...]]]:
    """Two clips, true and predicted: the frames that are annotated differ from task to task."""
    random = np.random.default_rng(4)
    truth, guess = {}, {}
    for clip in ("a", "b"):
        valence, units = random.uniform(-1, 1, 20), random.integers(0, 2, (20, 12))
        expression = random.integers(0, 8, 20)
        guess[clip] = (valence * 0.8, np.where(np.arange(20) % 3, expression, 0), np.where(units, units, units[::-1]))
        valence, expression, units = valence.copy(), expression.copy(), units.copy()
        valence[:2], expression[4:9], units[11:] = -5, -1, -1
        truth[clip] = (valence, expression, units)
    return truth, guess


def test_multi_task_is_the_sum_of_its_parts(tmp_path: Path) -> None:
    truth, guess = multitask_clips()
    gt, preds = multitask(tmp_path / "gt.txt", truth, step=2), multitask(tmp_path / "p.txt", guess)
    found = scored(preds, gt, "--per-clip", "--ci", 95, "--resamples", 100)
    assert (found["task"], found["clips"]) == ("mtl", 2)
    assert {name: found[name]["frames"] for name in ("va", "expr", "au")} == {"va": 18, "expr": 14, "au": 12}
    score = found["concatenated"]
    true = np.concatenate([truth[c][0][2::2] for c in truth])
    said = np.concatenate([guess[c][0][2::2] for c in guess])
    assert score["ccc_valence"] == ccc(true, said)
    parts = {task: scored(preds, gt, "--task", task)["concatenated"] for task in ("va", "expr", "au")}
    assert score["ccc"] == parts["va"]["ccc"]["mean"]
    assert (score["f1_expression"], score["f1_action_units"]) == (parts["expr"]["f1"], parts["au"]["f1"])
    assert score["score"] == pytest.approx(score["ccc"] + parts["expr"]["f1"] + parts["au"]["f1"], abs=1e-15)
    low, high = (found["intervals"]["score"][end] for end in ("low", "high"))
    assert low <= score["score"] <= high
    assert found["per_clip"]["a"]["expr"] == {"clips": 1, "frames": 7, "coverage": 1.0}
    folder = tmp_path / "tables"
    for clip, (valence, expression, units) in guess.items():
        columns = {name: units[:, place] for place, name in enumerate(UNITS)}
        write_table(folder / f"{clip}.affect.parquet", valence=valence, expression=expression, **columns)
    again = scored(folder, gt)
    assert again["concatenated"]["f1_expression"] == score["f1_expression"]
    assert again["concatenated"]["ccc_valence"] == score["ccc_valence"]
    shown = invoke("score", preds, preds, gt, "--markdown", "--resamples", 100, "--per-clip").stdout
    assert "| predictions | score | mean CCC |" in shown
    assert "| coverage (va / expr / au) |" in shown.splitlines()[0]
    assert "| 100.00% / 100.00% / 100.00% |" in shown
    assert "\nva: clips: 2, frames: 18\n\nexpr: clips: 2, frames: 14\n" in shown
    assert "\n95 % intervals (percentile, 100 resamples of clips, seed 0)\n" in shown


def test_differences_of_multi_task_scores_are_those_of_the_scores(tmp_path: Path) -> None:
    truth, guess = multitask_clips()
    gt, preds = multitask(tmp_path / "gt.txt", truth), multitask(tmp_path / "p.txt", guess)
    other = multitask(tmp_path / "q.txt", {c: (v / 2, e, u) for c, (v, e, u) in guess.items()})
    found = scored(preds, other, gt, "--resamples", 100)
    one, two = (system["concatenated"] for system in found["systems"])
    for name, value in one.items():
        assert found["differences"]["each"][0][name]["estimate"] == pytest.approx(two[name] - value, abs=1e-12)


def test_a_clip_without_a_task_is_left_out_of_that_part(tmp_path: Path) -> None:
    truth, guess = multitask_clips()
    truth["b"] = (np.full(20, -5.0), truth["b"][1], truth["b"][2])
    gt, preds = multitask(tmp_path / "gt.txt", truth), multitask(tmp_path / "p.txt", guess)
    found = scored(preds, gt, "--per-clip")
    assert (found["va"]["clips"], found["expr"]["clips"]) == (1, 2)
    assert found["per_clip"]["b"]["va"] is None
    assert found["per_clip"]["b"]["score"] is None
    assert (found["worst"], found["best"], found["mean_over_clips"]["clips"]) == ([], [], 1)
    shown = invoke("score", preds, gt, "--per-clip", "--markdown").stdout
    assert "| clip | frames (va / expr / au) | score |" in shown
    assert "| b | - / 15 / 11 |" in shown


VA = "image_location,valence,arousal"


def test_a_submission_is_scored_as_the_frames_that_it_names(tmp_path: Path) -> None:
    curve = np.sin(np.arange(10)) * 0.5
    gt = lines(tmp_path / "gt" / "a.txt", "valence,arousal", [(v, v / 2) for v in curve]).parent
    whole = lines(tmp_path / "s.txt", VA, pictures("a", [(v, v / 2) for v in curve]))
    found = scored("--ccc", whole, gt)
    assert (found["concatenated"]["ccc"]["mean"], found["coverage"], found["frames"]) == (1.0, 1.0, 10)
    swapped = lines(tmp_path / "t.txt", "image_location,arousal,valence", pictures("a", [(v / 2, v) for v in curve]))
    assert scored("--ccc", swapped, gt)["concatenated"] == found["concatenated"]
    short = lines(tmp_path / "u.txt", VA, pictures("a", [(v, v / 2) for v in curve[:8]]))
    assert "2 of 10 annotated frames have no prediction (first: clip 'a', frame 8)" in refused(short, gt)
    held = scored("--ccc", short, gt, "--missing", "hold")
    assert (held["coverage"], held["frames"]) == (0.8, 10)
    late = lines(tmp_path / "v.txt", VA, pictures("a", [(v, v / 2) for v in curve[2:]], first=3))
    assert "2 of 10 annotated frames have no prediction (first: clip 'a', frame 0)" in refused(late, gt)
    longer = lines(tmp_path / "w.txt", VA, pictures("a", [(0.1, 0.1)] * 12))
    assert "clip 'a' has 12 frames, expected 10" in refused(longer, gt, status=4)
    assert scored("--mae", whole, short)["frames"] == 8  # as ground truth, what it does not name is not annotated


@pytest.mark.parametrize(
    ("header", "row", "message"),
    [
        (VA, "a/00002.jpg,0.5", "line 3: has 1 value, expected 2"),
        (VA, "a/00002.jpg,", "line 3: has 0 values, expected 2"),
        (VA, "a/00002.jpg,0.5,1.5", "line 3: arousal is '1.5', expected -1 to 1, or -5"),
        (VA, "a/00002.jpg,nan,0", "line 3: valence is 'nan'"),
        (VA, "a/00001.jpg,0,0", "line 3: names a/00001.jpg again, expected each picture once; mend the row, or"),
        (VA, "00002.jpg,0,0", "line 3: names no picture"),
        (f"image_location,{EXPR7}", "a/00002.jpg,7", "line 3: expression is '7', expected a whole number, 0 to 6"),
        (f"image_location,{EXPR8}", "a/00002.jpg,1.5", "line 3: expression is '1.5'"),
        ("image_location,AU1,AU2", "a/00002.jpg,1,2", "line 3: au2 is '2', expected a whole number, 0 to 1"),
        ("image_location,pain", "a/00002.jpg,1", "begins with 'image_location,pain'"),
    ],
)
def test_a_submission_that_is_not_in_order_is_refused(tmp_path: Path, header: str, row: str, message: str) -> None:
    good = ",".join(["a/00001.jpg", *["0"] * (2 if header == VA or "AU" in header else 1)])
    path = lines(tmp_path / "s.txt", header, [good, row])
    assert message in refused(path, path)


def test_tasks_that_do_not_agree_are_refused(tmp_path: Path) -> None:
    expr, units = lines(tmp_path / "e.txt", EXPR8, [0]), lines(tmp_path / "u.txt", AU12, [[0] * 12])
    submitted = lines(tmp_path / "s.txt", VA, pictures("a", [(0, 0)]))
    with pytest.raises(UsageError, match=r"u\.txt: is of the task au, expected expr, as .*e\.txt is"):
        invoke("score", expr, units)
    assert "s.txt: is of the task va, expected one of the task expr" in refused(submitted, expr, "--task", "expr")
    affect = lines(tmp_path / "v" / "a.txt", "valence,arousal", [(0.5, 0.5)])
    with pytest.raises(UsageError, match="is of the task va, expected expr"):
        invoke("score", expr, affect.parent)
    everything = multitask(tmp_path / "m.txt", {"a": ([0.5], [3], [[1] * 12])})
    assert "concatenated" in scored("--mae", everything, affect)  # multi-task labels are of any task
    assert "task" not in scored("--mae", affect, everything)
    both = lines(tmp_path / "b.csv", "clip,frame,valence,arousal,expression", [("a", 0, 0.5, 0.5, 3)])
    assert "task" not in scored("--mae", both, both)
    assert scored(both, everything, "--task", "expr")["concatenated"]["accuracy"] == 1.0
    assert scored(lines(tmp_path / "c.csv", "frame,expression", [(0, 3)]), both)["task"] == "expr"
    assert "e.txt: is of the task expr, expected one of the task va" in refused(submitted, expr, "--task", "va")
    table = write_table(tmp_path / "a.csv.affect.parquet", expression=[0])
    assert (
        "b.csv: holds nothing of the task mtl that is known, expected affect tables, or multi-task labels"
        in refused(both, table, "--task", "mtl")
    )


@pytest.mark.parametrize("option", ["--ccc", "--sagr", "--decompose", "--mask=each", "--lag=1", "--min-ccc=0.1"])
def test_options_of_valence_and_arousal_have_no_meaning_elsewhere(tmp_path: Path, option: str) -> None:
    expr = lines(tmp_path / "e.txt", EXPR8, [0])
    with pytest.raises(UsageError) as caught:
        invoke("score", expr, expr, option)
    name = option.partition("=")[0]
    assert str(caught.value).startswith(f"{name}: has no meaning for the task expr, expected the task va; leave it out")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--task", "va", "--classes", "7"), "--classes: has no meaning for the task va, expected the task expr"),
        (("--task", "va", "--formula", "2020"), "--formula: has no meaning for the task va, expected the task expr or"),
        (("--task", "mtl", "--formula", "2020"), "--formula: has no meaning for the task mtl"),
        (("--task", "au", "--range", "0:1"), "--range: has no meaning for the task au"),
        (("--range", "1:0"), "--range 1:0: is no scale of a side"),
        (("--range", "valence=0:1"), "--range valence=0:1: is no scale of a side, expected LOW:HIGH for both"),
        (("--range", "0:1", "--range", "gt=0:1"), "--range gt=0:1: is the second of gt"),
    ],
)
def test_other_options_that_make_no_sense(tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    csv = lines(tmp_path / "a.csv", "frame,valence,arousal", [(0, 0, 0)])
    with pytest.raises(UsageError) as caught:
        invoke("score", csv, csv, *words)
    assert str(caught.value).startswith(message)


def test_foreign_scales_are_converted_where_told(tmp_path: Path) -> None:
    head = "frame,valence,arousal"
    ten = lines(tmp_path / "ten.csv", head, [(0, -5, 10), (1, 2, -10), (2, "", 3)])
    unit = lines(tmp_path / "unit.csv", head, [(0, 0.25, 1), (1, 0.6, 0), (2, 0.5, 0.65)])
    plain = lines(tmp_path / "plain.csv", head, [(0, -0.5, 1), (1, 0.2, -1), (2, 0, 0.3)])
    found = scored("--mae", unit, ten, "--range", "gt=-10:10", "--range", "preds=0:1")
    assert found["scales"] == {"preds": "0:1", "gt": "-10:10"}
    assert (found["frames"], found["concatenated"]["mae"]["mean"]) == (2, pytest.approx(0, abs=1e-15))
    assert "scales" not in scored("--mae", plain, plain)
    assert scored("--mae", plain, ten, "--range", "gt=-10:10")["scales"] == {"gt": "-10:10"}
    assert scored("--mae", ten, ten, "--range", "-10:10")["frames"] == 2
    off = lines(tmp_path / "off.csv", head, [(0, 0, 0), (1, 0, 10.5), (2, 0, 0)])
    message = refused(off, ten, "--range", "-10:10")
    assert "off.csv: 1 value is off the scale (first: line 3: arousal is 10.5)" in message
    assert "expected -10 to 10, or nothing where not predicted; --clip cuts" in message
    message = refused(ten, off, "--range", "-10:10")
    assert "off.csv, line 3: arousal is 10.5, expected -10 to 10; mend the value" in message
    marked = lines(tmp_path / "marked.csv", head, [(0, 0.5, 1), (1, -5, -5), (2, 0, 0.5)])
    assert scored("--mae", unit, marked, "--range", "0:1")["frames"] == 2
    below = lines(tmp_path / "below.csv", head, [(0, 0.5, 1), (1, -0.1, 0), (2, 0, 0.5)])
    assert "valence is -0.1, expected 0 to 1, or -5 where not annotated" in refused(unit, below, "--range", "0:1")


def test_a_range_of_tables_alone_is_refused(tmp_path: Path) -> None:
    table = write_table(tmp_path / "a.affect.parquet", valence=[0.1, 0.5, 0.2])
    csv = lines(tmp_path / "a.csv", "frame,valence,arousal", [(0, 0, 0), (1, 10, 10), (2, 1, 1)])
    submitted = lines(tmp_path / "s.txt", VA, pictures("a", [(0, 0), (0.5, 0.5), (0.2, 0.1)]))
    for preds, gt, words in ((table, table, "0:1"), (table, csv, "preds=0:1"), (submitted, table, "0:1")):
        with pytest.raises(UsageError, match="changes nothing, expected text with valence and arousal"):
            invoke("score", preds, gt, "--range", words)
    both = scored("--mae", table, csv, csv, "--range", "0:10", "--resamples", 100)
    assert [one["scales"] for one in both["systems"]] == [{"gt": "0:10"}, {"preds": "0:10", "gt": "0:10"}]


def test_a_range_of_what_is_piped(affcli: Callable[..., Any], tmp_path: Path) -> None:
    gt = lines(tmp_path / "a.csv", "frame,valence,arousal", [(0, 0.5, 0), (1, 0, 1)])
    done = affcli(
        "score", "--mae", "-", gt, "--range", "preds=0:100", input="frame,valence,arousal\n0,75,50\n1,50,100\n"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["concatenated"]["mae"]["mean"] == 0.0


def test_a_named_pipe_is_read_once(tmp_path: Path) -> None:
    gt = lines(tmp_path / "gt.csv", "frame,valence,arousal", [(0, 0.5, 0), (1, 0, 1)])
    pipe = tmp_path / "preds"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(gt.read_bytes(),), daemon=True)
    writer.start()
    assert scored("--ccc", pipe, gt)["concatenated"]["ccc"]["mean"] == 1.0
    writer.join(timeout=10)
    assert not writer.is_alive()


HEAD = "clip,frame,valence,arousal\n"


@pytest.mark.parametrize(
    ("rows", "scale", "beyond", "valence", "arousal"),
    [
        ("-5,1\n,0.5\n", None, False, [np.nan, np.nan], [1, 0.5]),
        ("-5,10\n,0\n", Scale(-10, 10), False, [-0.5, np.nan], [1, 0]),
        ("-5,0.5\n1,0\n", Scale(0, 1), False, [np.nan, 1], [0, -1]),
        ("-1.2,1.5\n-5,-5\n", None, True, [-1.2, np.nan], [1.5, np.nan]),
        ("-12,1\n-5,11\n", Scale(-10, 10), True, [-1.2, -0.5], [0.1, 1.1]),
        ("-5,1.5\n-0.5,1\n", Scale(0, 1), True, [np.nan, -2], [2, 1]),
    ],
)
def test_what_numbers_of_text_mean(
    rows: str, scale: Scale | None, beyond: bool, valence: list[float], arousal: list[float]
) -> None:
    text = HEAD + "".join(f"a,{frame},{row}\n" for frame, row in enumerate(rows.splitlines()))
    for content in (text, text.replace("a,0", '"a","0"').replace("a,1", "a, 1")):  # fast, and line by line
        (clip,) = read_stream(io.BytesIO(content.encode()), scale=scale, beyond=beyond)
        np.testing.assert_allclose(clip.valence, valence, atol=1e-15)
        np.testing.assert_allclose(clip.arousal, arousal, atol=1e-15)


@pytest.mark.parametrize(
    ("row", "scale", "beyond", "message"),
    [
        ("0,1.01", None, False, "arousal is 1.01, expected -1 to 1"),
        ("0,1e400", None, True, "arousal is 1e400, expected a finite number"),
        ("-1e400,0", Scale(-10, 10), True, "valence is -1e400, expected a finite number"),
        ("-5,0", Scale(-2, 2), False, "valence is -5, expected -2 to 2; mend the value"),
        ("-1,0", Scale(0, 10), False, "valence is -1, expected 0 to 10, or -5 where not annotated"),
        ("-1.2,0", Scale(-1, 1), False, "valence is -1.2, expected -1 to 1, or -5 where not annotated"),
    ],
)
def test_numbers_that_are_refused(row: str, scale: Scale | None, beyond: bool, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_stream(io.BytesIO(f"{HEAD}a,0,0,0\na,1,{row}\n".encode()), scale=scale, beyond=beyond)
    assert str(caught.value).startswith(f"standard input, line 3: {message}")


def test_scale_is_that_of_text_and_not_of_tables(tmp_path: Path) -> None:
    table = write_table(tmp_path / "a.affect.parquet", valence=[0.5, -1])
    (clip,) = read_affect(table, scale=Scale(0, 1), beyond=True)
    assert clip.valence.tolist() == [0.5, -1]
    folder = lines(tmp_path / "texts" / "a.txt", "valence,arousal", [(0.75, 0), (-5, -5)]).parent
    (clip,) = read_affect(folder, scale=Scale(0, 1))
    np.testing.assert_array_equal(clip.valence, [0.5, np.nan])
    assert (clip.named, holds_tables(tmp_path), holds_tables(folder)) == (True, True, False)


def test_counts_of_shards_add_up_to_the_whole() -> None:
    made = random_classes(clips=6)
    sides = [
        [
            Affect(c, np.full(40, np.nan), np.full(40, np.nan), expression=np.asarray(made[c][side], np.int8))
            for c in made
        ]
        for side in (0, 1)
    ]
    whole = score_classes("expr", *sides)
    parts = [score_classes("expr", sides[0][at], sides[1][at]) for at in (slice(0, 2), slice(2, 6))]
    joined = parts[0].confusion("expression") + parts[1].confusion("expression")
    assert joined == whole.confusion("expression")
    assert whole.figures()[0] == pytest.approx(joined.macro_f1(), abs=1e-15)
    together = class_figures(sum(part.sums().sum(axis=0, keepdims=True) for part in parts), "expr")
    assert together[0].tolist() == whole.figures()


def test_systems_over_other_frames_are_not_compared(tmp_path: Path) -> None:
    gt = lines(tmp_path / "a.txt", EXPR8, [0, 1, 2, 3])
    whole, part = lines(tmp_path / "p.txt", EXPR8, [0, 1, 2, 2]), lines(tmp_path / "q.txt", EXPR8, [0, 1, 2])
    assert "q.txt: was not scored over the same frames as" in refused(whole, part, gt, "--align", "crop")
    truth, guess = multitask_clips()
    folder = [tmp_path / name for name in ("gt", "one", "two")]
    for path, clips, length in zip(folder, (truth, guess, guess), (20, 20, 10), strict=True):
        for clip, (valence, expression, units) in clips.items():
            columns = {name: units[:length, place] for place, name in enumerate(UNITS)}
            known = np.where(valence < -1, np.nan, valence)[:length]
            write_table(path / f"{clip}.affect.parquet", valence=known, expression=expression[:length], **columns)
    words = ("--task", "mtl", "--align", "crop", "--resamples", 100)
    assert "two: was not scored over the same frames" in refused(folder[1], folder[2], folder[0], *words)
    assert scored(folder[1], folder[1], folder[0], *words)["differences"]["each"][0]["score"]["p"] == 1.0


def test_figures_are_those_of_the_measures_of_the_challenges() -> None:
    made = random_classes(clips=3)
    blank = np.full(40, np.nan)
    truth, guess = (
        [Affect(c, blank, blank, expression=np.asarray(made[c][side], np.int8)) for c in made] for side in (0, 1)
    )
    one = score_classes("expr", truth, guess, formula="2020")
    whole = one.confusion("expression")
    assert one.figures()[:3] == pytest.approx([whole.expression_2020(), whole.macro_f1(), whole.accuracy()], abs=1e-15)
    sides = [
        [
            Affect(
                c, blank, blank, action_units={n: np.asarray(made[c][side] > k, np.int8) for k, n in enumerate(UNITS)}
            )
            for c in made
        ]
        for side in (0, 1)
    ]
    units = score_classes("au", *sides, formula="2020")
    each = [units.confusion(name) for name in UNITS]
    assert units.figures()[:2] == pytest.approx([action_units_2020(each), action_units_f1(each)], abs=1e-15)
