"""What affcli score says of its two sides: values off the scale, what lacks, what is left out, how it was chosen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from commands import invoke

from affcli import recipes, tables
from affcli.errors import AffcliError, InputError, SchemaError, UsageError
from affcli.labels.affect import Affect
from affcli.schemas import AFFECT

HEADER = "clip,frame,valence,arousal\n"
GOOD = HEADER + "a,0,0.1,0.2\na,1,0.3,0.4\na,2,0.5,0.1\nb,0,0.5,0.1\nb,1,-0.5,0.2\n"
QUICK = ("--ccc", "--resamples", 100)


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def write_table(path: Path, step: str = "predict", **columns: list[float]) -> Path:
    nowhere = [np.nan] * len(next(iter(columns.values())))
    valence, arousal = (np.array(columns.get(name, nowhere)) for name in ("valence", "arousal"))
    made = Affect(path.name.split(".")[0], valence, arousal).columns()
    tables.write(path, AFFECT, made, recipe=recipes.recipe(step, {}), inputs=[], facts={})
    return path


def scored(*arguments: object) -> tuple[dict[str, Any], str]:
    """What is said as JSON, and on stderr."""
    done = invoke("score", *arguments)
    assert done.exit_code == 0, done.output
    return dict(json.loads(done.stdout)), done.stderr


@pytest.fixture
def gt(tmp_path: Path) -> Path:
    return write(tmp_path / "gt.csv", GOOD)


@pytest.mark.parametrize("value", ["1.5", "-1.5"])
def test_predictions_past_either_end_are_refused_or_cut_off(tmp_path: Path, gt: Path, value: str) -> None:
    preds = write(tmp_path / "p.csv", GOOD.replace("b,1,-0.5,0.2", f"b,1,-0.5,{value}").replace("0.3,0.4", "0.3,1.25"))
    first = "p.csv: 2 values are off the scale (first: line 3: arousal is 1.25), expected -1 to 1, or -5 where"
    with pytest.raises(InputError) as caught:
        invoke("score", "--ccc", preds, gt)
    assert first in str(caught.value)
    assert caught.value.advice.startswith("--clip cuts them off at -1 and 1; ")
    assert "--range preds=LOW:HIGH" in caught.value.advice
    found, said = scored("--mae", preds, gt, "--clip")
    assert found["clipped"] == 2
    assert found["concatenated"]["mae"]["arousal"] == pytest.approx((0.6 + abs(float(value) / 1.5 - 0.2)) / 5)
    assert said == f"affcli: {preds}: 2 values outside of -1 to 1 cut off (first: line 3: arousal is 1.25)\n"
    shown = invoke("score", "--mae", preds, gt, "--clip", "--markdown").stdout
    assert "\nclip: values cut off at -1 and 1: 2\n" in shown
    both = invoke("score", "--mae", preds, gt, gt, "--clip", "--markdown", "--resamples", 100).stdout
    assert "\nclip: values cut off at -1 and 1: 2, 0\n" in both


def test_of_directories_the_file_is_named(tmp_path: Path) -> None:
    for name, last in (("a", "0.2"), ("b", "-1.2"), ("c", "7")):
        write(tmp_path / "p" / f"{name}.txt", f"valence,arousal\n0.1,0.1\n0.2,{last}\n")
        write(tmp_path / "gt" / f"{name}.txt", "valence,arousal\n0.1,0.1\n0.2,0.2\n")
    with pytest.raises(InputError) as caught:
        invoke("score", "--ccc", tmp_path / "p", tmp_path / "gt")
    assert f"2 values are off the scale (first: {tmp_path / 'p' / 'b.txt'}, line 3: arousal is -1.2)" in str(
        caught.value
    )
    with pytest.raises(UsageError, match="--clip: changes nothing"):
        table = write_table(tmp_path / "a.affect.parquet", valence=[0.1], arousal=[0.1])
        invoke("score", "--ccc", table, table, "--clip")
    with pytest.raises(UsageError, match="--clip: has no meaning for the task expr"):
        invoke("score", table, table, "--task", "expr", "--clip")


def test_ends_of_a_scale_are_within_it(tmp_path: Path) -> None:
    """Whatever rounding makes of them."""
    for low, high in ((0.1, 0.7), (-0.3, 0.1), (1, 7.3)):
        preds = write(tmp_path / "p.csv", HEADER + f"a,0,{low},{high}\na,1,{high},{low}\n")
        gt = write(tmp_path / "gt.csv", HEADER + "a,0,-1,1\na,1,1,-1\n")
        assert scored("--mae", preds, gt, "--range", f"preds={low}:{high}")[0]["concatenated"]["mae"]["mean"] < 1e-15


def test_a_scale_of_the_ground_truth_is_asked_for(tmp_path: Path, gt: Path) -> None:
    wrong = write(tmp_path / "w.csv", GOOD.replace("0.3,0.4", "0.3,4"))
    with pytest.raises(InputError, match=r"w.csv, line 3: arousal is 4, expected -1 to 1; .*--range gt=LOW:HIGH"):
        invoke("score", "--ccc", gt, wrong)
    for side in ((gt, wrong), (wrong, gt)):
        write(wrong, GOOD.replace("0.3,0.4", "0.3,1e400"))
        with pytest.raises(InputError, match="arousal is 1e400, expected a finite number; mend the value, or leave"):
            invoke("score", "--ccc", *side)


def test_valence_alone(tmp_path: Path, gt: Path) -> None:
    lone = write(tmp_path / "v.csv", HEADER + "a,0,0.1,\na,1,0.3,\na,2,0.5,\nb,0,0.5,\nb,1,-0.5,\n")
    with pytest.raises(InputError, match=r"v.csv: has no frame annotated in both dimensions: 5 frames have valence al"):
        invoke("score", "--ccc", gt, lone)
    found, said = scored("--ccc", gt, lone, "--mask", "each")
    assert found["concatenated"]["ccc"] == {"valence": 1.0, "arousal": None, "mean": None}
    nowhere = "affcli: arousal is nowhere annotated: its scores, and the means of both dimensions, are undefined\n"
    assert said == nowhere
    assert scored(*QUICK, gt, gt, lone, "--mask", "each")[1].count(nowhere) == 1
    done = invoke("score", "--ccc", gt, lone, "--mask", "each", "--min-ccc", 0.5)
    assert done.exit_code == 6
    assert "CCC undefined is below --min-ccc 0.5: arousal is nowhere annotated\n" in done.stderr


def test_labels_in_directories_below(tmp_path: Path) -> None:
    """README's scores of out-of-fold predictions against Train_Set and Validation_Set."""
    for name, folder in (("a", "Train_Set"), ("b", "Validation_Set")):
        write_table(tmp_path / "oof" / f"{name}.affect.parquet", valence=[0.1, 0.3], arousal=[0.2, 0.1])
        write(tmp_path / "labels" / folder / f"{name}.txt", "valence,arousal\n0.1,0.2\n0.3,0.1\n")
        write(tmp_path / "expr" / folder / f"{name}.csv", "frame,expression\n0,3\n1,2\n")
    assert scored("--ccc", tmp_path / "oof", tmp_path / "labels")[0]["concatenated"]["ccc"]["mean"] == 1.0
    found, _ = scored(tmp_path / "expr", tmp_path / "expr")
    assert (found["task"], found["clips"]) == ("expr", 2)


def test_times_of_text_for_lags(tmp_path: Path, gt: Path, write_faces: Callable[..., Path]) -> None:
    preds = write(tmp_path / "p.csv", GOOD)
    with pytest.raises(
        InputError, match=r"gt.csv: clip 'a' has no times of its frames, nor has it in .*p.csv, .*--tim"
    ):
        invoke("score", "--ccc", preds, gt, "--lag", 0.04)
    for clip, count in (("a", 3), ("b", 2)):
        write_faces(tmp_path / "out", clip, np.zeros((count, 8, 8, 3), np.uint8), np.ones(count, bool))
    found, _ = scored("--ccc", preds, gt, "--lag", 0.04, "--times", tmp_path / "out")
    assert found["lag"]["best"] == {"valence": 0, "arousal": 0, "mean": 0}
    lone = write(tmp_path / "lone.csv", "frame,valence,arousal\n0,0.1,0.2\n1,0.3,0.4\n2,0.5,0.1\n")
    named = write(tmp_path / "named.csv", HEADER + "a,0,0.1,0.2\na,1,0.3,0.4\na,2,0.5,0.1\n")
    assert scored("--ccc", named, lone, "--lag", 0.04, "--times", tmp_path / "out")[0]["lag"]["best"]["mean"] == 0
    with pytest.raises(InputError, match="has no table of clip 'a'"):
        invoke("score", "--ccc", preds, gt, "--lag", 0.04, "--times", tmp_path)


def test_choices_that_are_not_usual_stand_below_the_table(tmp_path: Path, gt: Path) -> None:
    preds = write(tmp_path / "p.csv", "".join(GOOD.splitlines(True)[:-1]).replace("a,1,0.3,0.4", "a,1,,"))
    words = (preds, gt, "--align", "pad", "--missing", "hold", "--mask", "each", "--range", "-1:1")
    note = "missing: hold; align: pad; mask: each; range: gt -1:1, preds -1:1"
    for form, mark in (("--markdown", ""), ("--table", ""), ("--latex", "% ")):
        assert f"\n{mark}{note}\n" in invoke("score", "--mae", *words, form).stdout
    assert note in invoke("score", "--mae", preds, *words, "--markdown", "--resamples", 100).stdout
    assert "missing" not in invoke("score", "--ccc", gt, gt, "--markdown").stdout
    expr = write(tmp_path / "e.csv", "clip,frame,expression\na,0,3\na,1,2\n")
    note = "missing: zero; align: crop"
    shown = invoke("score", expr, expr, "--missing", "zero", "--align", "crop", "--markdown").stdout
    assert f"\n{note}\n" in shown
    assert note in invoke(
        "score", expr, expr, expr, "--missing", "zero", "--align", "crop", "--markdown", "--resamples", 100
    ).stdout  # fmt: skip


def test_directions_of_a_decomposition_are_said(gt: Path) -> None:
    shown = invoke("score", "--ccc", gt, gt, "--decompose", "--markdown").stdout
    assert "scale: sd(truth) / sd(predictions); above 1 the predictions move too little" in shown
    assert "shift: (mean truth - mean predictions) / sqrt(sd(truth) sd(predictions)); above 0 they are too low" in shown


def test_sides_that_tell_that_they_are_swapped(tmp_path: Path) -> None:
    guess = write_table(tmp_path / "p" / "a.affect.parquet", "smooth", valence=[0.1, 0.2], arousal=[0.1, 0.2])
    label = write_table(tmp_path / "gt" / "a.affect.parquet", "import-labels", valence=[0.1, 0.2], arousal=[0.1, 0.2])
    assert scored("--ccc", guess, label)[1] == ""
    said = scored("--ccc", label, guess)[1]
    swapped = "was made by import-labels, and the ground truth was made by smooth: were the arguments swapped?"
    assert f"{label} {swapped}" in said


def test_what_align_changes_is_said(tmp_path: Path, gt: Path) -> None:
    """Frames past the shorter one: of a past the predictions, of b past the ground truth."""
    preds = write(tmp_path / "p.csv", GOOD.replace("a,2,0.5,0.1\n", "") + "b,2,0,0\nb,3,0,0\n")
    assert scored("--mae", preds, gt, "--align", "crop")[1] == (
        f"affcli: {preds}: 3 frames of 2 clips are left out (--align crop)\n"
    )
    assert scored("--mae", preds, gt, "--align", "pad", "--missing", "hold")[1] == (
        f"affcli: {preds}: 1 frame of 1 clip is taken as not predicted (--align pad)\n"
        f"affcli: {preds}: 2 frames of 1 clip are taken as not annotated (--align pad)\n"
    )
    assert scored("--mae", gt, gt, "--align", "crop")[1] == ""


def test_tables_that_are_none_are_told_what_makes_them(tmp_path: Path, gt: Path) -> None:
    with pytest.raises(
        SchemaError, match=r"gt.csv: .*expected a windows table; name the table that affcli window wrote"
    ):
        invoke("score", "--ccc", gt, gt, "--by", "split", "--windows", gt)
    with pytest.raises(AffcliError, match=r"holds no faces of clip 'a', expected a\.faces.parquet; .*extract-faces"):
        invoke("score", "--ccc", gt, gt, "--faces", tmp_path)


def test_a_wrong_word_is_said_in_plain_words(affcli: Callable[..., Any], gt: Path) -> None:
    done = affcli("score", gt, gt, "--task", "exp")
    assert done.returncode == 2
    assert "Value error" not in done.stderr
    assert "'exp' is not one of 'va', 'expr', 'au', 'mtl'" in done.stderr
