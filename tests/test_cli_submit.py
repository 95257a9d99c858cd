"""affcli submit and affcli lint-submission, as typed."""

from __future__ import annotations

import ast
import inspect
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from affcli import recipes, tables
from affcli.cli.lint_submission import lint_submission
from affcli.labels import submissions
from affcli.labels.affect import EXPRESSIONS, Affect
from affcli.labels.categories import ACTION_UNIT_HEADERS
from affcli.labels.submissions.advice import ADVICE
from affcli.labels.submissions.cells import _SAID
from affcli.schemas import AFFECT

Command = Callable[..., "subprocess.CompletedProcess[str]"]
VA = "image_location,valence,arousal"
EXPR = f"image_location,{','.join(EXPRESSIONS)}"
AU = f"image_location,{','.join(ACTION_UNIT_HEADERS[1]).upper()}"
MTL = "image,valence,arousal,expression,aus"
FRAMES = 20


@pytest.fixture
def preds(tmp_path: Path) -> Path:
    """Affect tables of two people of one video, with everything that a network may predict."""
    rng = np.random.default_rng(7)
    for clip in ("v1_left", "v1_right"):
        valence, arousal = rng.uniform(-1, 1, (2, FRAMES))
        affect = Affect(
            clip,
            valence,
            arousal,
            expression=rng.integers(0, 8, FRAMES).astype(np.int8),
            action_units={name: rng.integers(0, 2, FRAMES).astype(np.int8) for name in ACTION_UNIT_HEADERS[1]},
        )
        path = tmp_path / "preds" / f"{clip}.affect.parquet"
        tables.write(path, AFFECT, affect.columns(), recipe=recipes.recipe("predict", {}), inputs=[], facts={})
    return tmp_path / "preds"


def write_sample(path: Path, header: str, frames: int = FRAMES) -> Path:
    rows = [f"{clip}/{n:05d}.jpg," for clip in ("v1_right", "v1_left") for n in range(1, frames + 1)]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.mark.parametrize(("task", "header"), [("va", VA), ("expr", EXPR), ("au", AU), ("mtl", MTL)])
def test_what_submit_writes_lints_clean(affcli: Command, tmp_path: Path, preds: Path, task: str, header: str) -> None:
    sample, out = write_sample(tmp_path / "sample.txt", header), tmp_path / "new" / "predictions.txt"
    done = affcli("submit", preds, "--sample", sample, "-o", out, "--task", task)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    first, *rows = out.read_text().splitlines()
    assert (first, len(rows)) == (header, 2 * FRAMES)
    table = tables.read(preds / "v1_right.affect.parquet", AFFECT)
    names = {"va": ("valence", "arousal"), "expr": ("expression",), "au": ACTION_UNIT_HEADERS[1]}.get(task)
    names = names or ("valence", "arousal", "expression", *ACTION_UNIT_HEADERS[1])
    assert rows[2].split(",")[0] == "v1_right/00003.jpg"
    assert [float(cell) for cell in rows[2].split(",")[1:]] == [table.column(name)[2] for name in names]
    done = affcli("lint-submission", out, "--sample", sample, "--reference", preds)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    again = tmp_path / "again.txt"  # the task is what the sample says
    assert affcli("submit", preds, "--sample", sample, "-o", again).returncode == 0
    assert again.read_bytes() == out.read_bytes()


def test_csv_on_stdin_and_filling(affcli: Command, tmp_path: Path) -> None:
    sample, out = tmp_path / "s.txt", tmp_path / "p.txt"
    sample.write_text(f"{VA}\nx/00001.jpg\nx/00002.jpg\nx/00003.jpg\n")
    rows = "clip,frame,valence,arousal\nx,0,0.5,0\nx,1,,\nx,2,0.25,1\n"
    done = affcli("submit", "-", "--sample", sample, "-o", out, input=rows)
    assert done.returncode == 3
    assert "1 of 3 frames that are asked for have no prediction (first: clip 'x', frame 1)" in done.stderr
    assert not out.exists()
    done = affcli("submit", "-", "--sample", sample, "-o", out, "--missing", "interpolate", "--digits", 3, input=rows)
    assert done.returncode == 0
    assert done.stderr == "affcli: 1 of 3 rows had no prediction and are filled in (interpolate)\n"
    assert out.read_text() == f"{VA}\nx/00001.jpg,0.500,0.000\nx/00002.jpg,0.375,0.500\nx/00003.jpg,0.250,1.000\n"


@pytest.mark.parametrize("place", ["file", "-"])
def test_values_past_the_scale_are_clipped_with_a_warning(affcli: Command, tmp_path: Path, place: str) -> None:
    sample, out = tmp_path / "s.txt", tmp_path / "p.txt"
    sample.write_text(f"{VA}\nx/00001.jpg\nx/00002.jpg\n")
    rows = "clip,frame,valence,arousal\nx,0,1.25,0\nx,1,-1.5,1\n"
    (tmp_path / "file").write_text(rows)
    done = affcli("submit", tmp_path / "file" if place == "file" else "-", "--sample", sample, "-o", out, input=rows)
    assert (done.returncode, done.stderr) == (0, "affcli: 2 values are past -1 or 1, clipped\n")
    assert out.read_text() == f"{VA}\nx/00001.jpg,1.0,0.0\nx/00002.jpg,-1.0,1.0\n"


def test_what_labels_write_where_nobody_annotated_is_no_prediction(affcli: Command, tmp_path: Path) -> None:
    sample, out = tmp_path / "s.txt", tmp_path / "p.txt"
    sample.write_text(f"{VA}\nx/00001.jpg\nx/00002.jpg\n")
    rows = "clip,frame,valence,arousal\nx,0,0.25,0\nx,1,-5,-5\n"
    done = affcli("submit", "-", "--sample", sample, "-o", out, input=rows)
    assert (done.returncode, "1 of 2 frames that are asked for have no prediction" in done.stderr) == (3, True)


def test_expressions_of_one_csv(affcli: Command, tmp_path: Path) -> None:
    sample, csv, out = tmp_path / "s.txt", tmp_path / "x.csv", tmp_path / "p.txt"
    sample.write_text(f"{EXPR}\nx/00001.jpg,\nx/00002.jpg,\n")
    csv.write_text("frame,valence,arousal,expression\n0,,,4\n1,,,0\n")
    done = affcli("submit", csv, "--sample", sample, "-o", out)
    assert (done.returncode, done.stderr) == (0, "")
    assert out.read_text() == f"{EXPR}\nx/00001.jpg,4\nx/00002.jpg,0\n"


@pytest.mark.parametrize("missing", ["error", "zero"])
def test_expressions_are_no_valence(affcli: Command, tmp_path: Path, missing: str) -> None:
    nothing = np.full(FRAMES, np.nan)
    for clip in ("v1_left", "v1_right"):
        columns = Affect(clip, nothing, nothing, expression=np.zeros(FRAMES, np.int8)).columns()
        path = tmp_path / "preds" / f"{clip}.affect.parquet"
        tables.write(path, AFFECT, columns, recipe=recipes.recipe("predict", {}), inputs=[], facts={})
    sample, out = write_sample(tmp_path / "sample.txt", VA), tmp_path / "out.txt"
    for words in (("--sample", sample), ("--layout", "files")):
        done = affcli("submit", tmp_path / "preds", *words, "-o", out, "--missing", missing)
        assert (done.returncode, out.exists()) == (3, False)
        assert "preds: tells no valence or arousal in any frame (it has expressions: --task expr)" in done.stderr


def test_a_file_of_each_clip(affcli: Command, tmp_path: Path, preds: Path) -> None:
    done = affcli("submit", preds, "--layout", "files", "-o", tmp_path / "all")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == ["v1_left.txt", "v1_right.txt"]
    assert len((tmp_path / "all" / "v1_left.txt").read_text().splitlines()) == 1 + FRAMES
    (tmp_path / "list.txt").write_text("v1_left,18\n")
    arguments = ("submit", preds, "--layout", "files", "--sample", tmp_path / "list.txt", "--task", "expr")
    done = affcli(*arguments, "-o", tmp_path / "some")
    assert done.returncode == 0
    assert "frames past those that" in done.stderr
    assert [path.name for path in (tmp_path / "some").iterdir()] == ["v1_left.txt"]
    expression = tables.read(preds / "v1_left.affect.parquet", AFFECT).column("expression")[:18]
    lines = (tmp_path / "some" / "v1_left.txt").read_text().splitlines()
    assert lines == [",".join(EXPRESSIONS), *(str(int(one)) for one in expression)]


def test_too_few_frames_end_with_status_4(affcli: Command, tmp_path: Path, preds: Path) -> None:
    sample, out = write_sample(tmp_path / "sample.txt", VA, FRAMES + 1), tmp_path / "p.txt"
    out.write_text("before\n")
    done = affcli("submit", preds, "--sample", sample, "-o", out, "--force")
    assert done.returncode == 4
    assert "clip 'v1_right' has 20 frames (and 1 other clip too few), expected 21, as" in done.stderr
    assert "; predict every decoded frame: affcli probe tells how many there are; or --missing hold, " in done.stderr
    assert out.read_text() == "before\n"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_missing_fills_frames_past_the_end_and_says_how_many(affcli: Command, tmp_path: Path, preds: Path) -> None:
    sample, out = write_sample(tmp_path / "sample.txt", VA, FRAMES + 3), tmp_path / "p.txt"
    done = affcli("submit", preds, "--sample", sample, "-o", out, "--missing", "hold")
    said = "6 of 46 rows had no prediction and are filled in (hold); 6 of them, of 2 clips, lie past the end of the pre"
    assert (done.returncode, said in done.stderr) == (0, True)
    rows = [line.partition(",")[2] for line in out.read_text().splitlines()]
    assert rows[1 + FRAMES : 4 + FRAMES] == [rows[FRAMES]] * 3


def test_a_file_that_is_there_is_only_replaced_with_force(affcli: Command, tmp_path: Path, preds: Path) -> None:
    sample, out, all_ = write_sample(tmp_path / "sample.txt", VA), tmp_path / "p.txt", tmp_path / "all"
    one = ("submit", preds, "--sample", sample, "-o", out)
    many = ("submit", preds, "--layout", "files", "-o", all_)
    assert affcli(*one).returncode == affcli(*many).returncode == 0
    for arguments, place in ((one, out), (many, all_)):
        done = affcli(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", f"affcli: {place}: up to date\n")
    whole, clip = out.read_bytes(), (all_ / "v1_right.txt").read_bytes()
    for other in (whole[:-1], whole + b"\n", b"mine\n"):
        out.write_bytes(other)
        done = affcli(*one)
        assert (done.returncode, out.read_bytes()) == (2, other)
        assert done.stderr == (
            f"affcli: --out {out}: is there already, expected no file of these names; choose another place, or replace "
            "what is there with --force\n"
        )
    assert (affcli(*one, "--force").returncode, out.read_bytes()) == (0, whole)
    (all_ / "v1_left.txt").unlink()
    (all_ / "v1_right.txt").write_text("mine\n")
    done = affcli(*many)
    assert (done.returncode, f"--out {all_}: holds v1_right.txt already, expected" in done.stderr) == (2, True)
    assert [path.name for path in all_.iterdir()] == ["v1_right.txt"]  # none is written where one is refused
    assert affcli(*many, "--force").returncode == 0
    assert (all_ / "v1_right.txt").read_bytes() == clip
    done = affcli("submit", all_ / "v1_left.txt", "--layout", "files", "-o", all_, "--force", "--digits", 1)
    assert (done.returncode, "v1_left.txt: is read, too, and would be lost, expected another place" in done.stderr) == (
        2,
        True,
    )


def test_predictions_are_what_score_reads(affcli: Command, tmp_path: Path, preds: Path) -> None:
    """Of every task: a directory of text files, CSV, a submission, multi-task labels."""
    for task, header in (("va", VA), ("expr", EXPR), ("au", AU), ("mtl", MTL)):
        sample, out = write_sample(tmp_path / f"{task}.txt", header), tmp_path / f"{task}_from_tables.txt"
        assert affcli("submit", preds, "--sample", sample, "-o", out).returncode == 0
        given = [out]
        if task != "mtl":
            assert affcli("submit", preds, "--layout", "files", "--task", task, "-o", tmp_path / task).returncode == 0
            given.append(tmp_path / task)
        if task == "expr":
            rows = [line.replace("/", ",").replace(".jpg", "").split(",") for line in out.read_text().splitlines()[1:]]
            sheet = tmp_path / "expr.csv"
            lines = [f"{clip},{int(number) - 1},{value}" for clip, number, value in rows]
            sheet.write_text("\n".join(["clip,frame,expression", *lines]) + "\n")
            given.append(sheet)
            done = affcli("submit", "-", "--sample", sample, "-o", tmp_path / "in.txt", input=sheet.read_text())
            assert (done.returncode, (tmp_path / "in.txt").read_bytes()) == (0, out.read_bytes())
        for i, path in enumerate(given):
            again = tmp_path / f"{task}_{i}_again.txt"
            done = affcli("submit", path, "--sample", sample, "-o", again)
            assert (done.returncode, done.stderr, again.read_bytes()) == (0, "", out.read_bytes())
    done = affcli("submit", tmp_path / "au", "--sample", tmp_path / "expr.txt", "-o", tmp_path / "no.txt")
    assert (
        done.returncode,
        "au: is of the task au, expected one of the task expr: affect tables, A" in done.stderr,
    ) == (
        3,
        True,
    )


def test_wrong_use_ends_with_status_2(affcli: Command, tmp_path: Path, preds: Path) -> None:
    sample = write_sample(tmp_path / "sample.txt", VA)
    before = sample.read_bytes()
    done = affcli("submit", preds, "-o", tmp_path / "p.txt")
    assert (done.returncode, "--sample: lacks" in done.stderr) == (2, True)
    done = affcli("submit", preds, "--sample", sample, "-o", sample)
    assert (done.returncode, "is what is read" in done.stderr) == (2, True)
    assert sample.read_bytes() == before
    done = affcli("submit", preds, "--layout", "files", "-o", tmp_path / "p", "--task", "mtl")
    assert (done.returncode, "--task mtl: has no file for each clip" in done.stderr) == (2, True)
    done = affcli("submit", preds, "--sample", sample, "-o", tmp_path / "p.txt", "--task", "au")
    assert (done.returncode, "is of the task va" in done.stderr) == (3, True)


def test_findings_end_with_status_4(affcli: Command, tmp_path: Path, preds: Path) -> None:
    sample, out = write_sample(tmp_path / "sample.txt", VA), tmp_path / "p.txt"
    assert affcli("submit", preds, "--sample", sample, "-o", out).returncode == 0
    first, *rows = out.read_text().splitlines()
    swapped = [",".join([row.split(",")[i] for i in (0, 2, 1)]) for row in rows]
    out.write_text("\n".join([first, *swapped[:-1]]) + "\n")
    done = affcli("lint-submission", out, "--sample", sample, "--reference", preds)
    assert (done.returncode, "too few to tell more of swapped columns" in done.stderr) == (4, True)
    lost, crossed = done.stdout.splitlines()
    assert lost.startswith(f"{out}:41: truncated (1): the file is cut off after 39 of 40 rows")
    assert crossed.startswith(f"{out}:2: swapped (39): valence and arousal seem to be swapped")
    done = affcli("lint-submission", out, "--sample", sample, "--json")
    assert done.returncode == 4
    report = json.loads(done.stdout)
    [finding] = report.pop("findings")
    assert report == {"file": "p.txt", "sample": "sample.txt", "task": "va", "rows": 40, "clean": False, "notes": []}
    assert (finding["kind"], finding["line"], finding["count"]) == ("truncated", 41, 1)


def test_a_directory_is_no_submission_in_one_file(affcli: Command, tmp_path: Path, preds: Path) -> None:
    done = affcli("lint-submission", preds, "--sample", write_sample(tmp_path / "sample.txt", VA))
    assert done.returncode == 3
    assert f"{preds}: is a directory, expected a submission in one file" in done.stderr


def test_a_directory_with_a_file_of_each_clip_is_looked_at(affcli: Command, tmp_path: Path, preds: Path) -> None:
    wanted = tmp_path / "list.txt"
    wanted.write_text(f"v1_left,{FRAMES}\nv1_right,{FRAMES}\n")
    for task in ("va", "expr", "au"):
        out = tmp_path / task
        arguments = ("--sample", wanted, "--task", task)
        assert affcli("submit", preds, "--layout", "files", "-o", out, *arguments).returncode == 0
        done = affcli("lint-submission", out, *arguments, "--reference", preds)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    short = tmp_path / "va" / "v1_right.txt"
    short.write_text("\n".join(short.read_text().splitlines()[:-1]) + "\n")
    done = affcli("lint-submission", tmp_path / "va", "--sample", wanted)
    assert (done.returncode, done.stderr) == (4, "")
    assert done.stdout == f"{short}:21: truncated (1): the file has 19 rows, expected 20; {ADVICE['truncated']}\n"
    done = affcli("lint-submission", tmp_path / "va", "--sample", tmp_path / "va", "--json")  # like itself it is
    report = json.loads(done.stdout)
    assert (done.returncode, report["task"], report["rows"], report["clean"]) == (0, "va", 39, True)
    done = affcli("lint-submission", short, "--sample", tmp_path / "va")
    assert (done.returncode, f"{short}: is one file, expected a directory" in done.stderr) == (3, True)
    done = affcli("lint-submission", tmp_path / "au", "--sample", tmp_path / "va", "--json")
    finding, extra = json.loads(done.stdout)["findings"]
    assert (finding["kind"], finding["file"], finding["line"]) == ("task", "v1_left.txt", 1)
    assert (extra["kind"], extra["file"]) == ("extra-rows", "v1_right.txt")
    assert finding["advice"] == ADVICE["task"]
    assert finding["message"].endswith("; so in 2 files")


def test_there_is_advice_for_every_kind_of_finding() -> None:
    texts = [path.read_text(encoding="utf-8") for path in Path(submissions.__path__[0]).glob("*.py")]
    literals = {
        node.value
        for text in texts
        for call in ast.walk(ast.parse(text))
        if isinstance(call, ast.Call) and getattr(call.func, "id", "") in {"Finding", "_some_clips"}
        for node in ast.walk(call.args[0])
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    kinds = literals | {kind for kind, _ in _SAID.values()}
    assert {"truncated", "reversed", "not-finite", "class-order"} <= kinds
    assert kinds == ADVICE.keys()
    page = inspect.getdoc(lint_submission) or ""
    assert [kind for kind in kinds if kind not in page] == []


def test_a_reference_that_is_too_small_is_told_on_stderr_and_in_json(
    affcli: Command, tmp_path: Path, preds: Path
) -> None:
    sample, out = write_sample(tmp_path / "sample.txt", VA), tmp_path / "p.txt"
    assert affcli("submit", preds, "--sample", sample, "-o", out).returncode == 0
    rng = np.random.default_rng(1)
    rows = [f"v1_left,{frame},{value:.3f},0.{frame:02d}" for frame, value in enumerate(rng.uniform(-1, 1, FRAMES))]
    (tmp_path / "gt.csv").write_text("\n".join(["clip,frame,valence,arousal", *rows]) + "\n")
    note = "the reference has 0 clips of 100 frames or more of the submission: too few to tell swapped columns, curves"
    done = affcli("lint-submission", out, "--sample", sample, "--reference", tmp_path / "gt.csv", "--json")
    assert (done.returncode, done.stderr.count("\n")) == (0, 1)
    assert done.stderr.startswith(f"affcli: {tmp_path / 'gt.csv'}: {note}")
    report = json.loads(done.stdout)
    assert (report["clean"], [one.startswith(note) for one in report["notes"]]) == (True, [True])


def test_a_reference_of_another_task_is_refused(affcli: Command, tmp_path: Path, preds: Path) -> None:
    sample, out = write_sample(tmp_path / "sample.txt", VA), tmp_path / "p.txt"
    assert affcli("submit", preds, "--sample", sample, "-o", out).returncode == 0
    assert affcli("submit", preds, "--layout", "files", "--task", "expr", "-o", tmp_path / "EX").returncode == 0
    done = affcli("lint-submission", out, "--sample", sample, "--reference", tmp_path / "EX")
    assert (done.returncode, "EX: is of the task expr, expected one of the task va" in done.stderr) == (3, True)
    assert "score" not in done.stderr


def test_labels_are_a_reference(affcli: Command, tmp_path: Path, preds: Path) -> None:
    sample, out = write_sample(tmp_path / "sample.txt", AU), tmp_path / "p.txt"
    assert affcli("submit", preds, "--sample", sample, "-o", out).returncode == 0
    assert affcli("submit", preds, "--layout", "files", "--task", "au", "-o", tmp_path / "AU_Set").returncode == 0
    first, *rows = out.read_text().splitlines()
    turned = [row.partition(",")[0] + "," + row.partition(",")[2].translate({48: "1", 49: "0"}) for row in rows]
    out.write_text("\n".join([first, *turned]) + "\n")
    done = affcli("lint-submission", out, "--sample", sample, "--reference", tmp_path / "AU_Set")
    assert (done.returncode, "too few to tell more of swapped or inverted units" in done.stderr) == (4, True)
    assert done.stdout.startswith(f"{out}:2: inverted (12): action units that seem to be inverted")
