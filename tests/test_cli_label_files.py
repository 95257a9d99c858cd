"""affcli import-labels and export-labels: what stands in the way, times for plain labels, and how failures are told."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import invoke, run
from test_cli_import_labels import affect, read, write_times

from affcli import recipes, tables
from affcli.errors import UsageError
from affcli.schemas import AFFECT

HEADER = "clip,frame,valence,arousal\n"
SEVEN = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise"
UNITS = "AU1,AU2,AU4,AU6,AU7,AU10,AU12,AU15,AU23,AU24,AU25,AU26"


def labels(path: Path, value: float, *clips: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(HEADER + "".join(f"{clip},{frame},{value},{value}\n" for clip in clips for frame in range(2)))
    return path


def test_labels_of_another_file_are_not_replaced_unless_asked(tmp_path: Path) -> None:
    out = tmp_path / "out"
    truth, predicted = labels(tmp_path / "gt.csv", 0.5, *"abc"), labels(tmp_path / "preds.csv", 0.25, *"abc")
    run("import-labels", truth, out)
    done = invoke("import-labels", predicted, out)
    first, others, totals = done.stderr.splitlines()
    assert done.exit_code == 3
    assert first == (
        f"affcli: {out}/a.affect.parquet, made of gt.csv: preds.csv, which is asked for now, holds something else, "
        "expected the file that it was made of; choose another directory, or replace what is there with --force"
    )
    assert others == "affcli: a: the same of 2 more: b, c"
    assert totals == "affcli: 3 clips: 3 failed (a, b, c)"
    assert affect(out, "a") == [[0.5, 0.5]] * 2
    assert run("import-labels", labels(tmp_path / "elsewhere" / "gt.csv", 0.5, *"abc"), out).endswith("3 up to date\n")
    assert run("import-labels", predicted, out, "--force") == "affcli: 3 clips: 3 made\n"
    assert affect(out, "a") == [[0.25, 0.25]] * 2


def test_ratings_of_another_file_are_not_replaced_either(tmp_path: Path) -> None:
    out, times = tmp_path / "out", tmp_path / "times"
    write_times(times, "a", [0, 40_000])
    options = ("--format", "csv", "--time-unit", "s", "--times", times)
    for name, value in (("one.csv", 0.5), ("two.csv", 0.25)):
        (tmp_path / name).write_text(f"clip,time,valence,arousal\na,0,{value},0\na,0.04,{value},0\n")
    run("import-labels", tmp_path / "one.csv", out, *options)
    done = invoke("import-labels", tmp_path / "two.csv", out, *options)
    assert (done.exit_code, "made of one.csv: two.csv, which is asked for" in done.stderr) == (4, True)
    (tmp_path / "one.csv").write_text("clip,time,valence,arousal\na,0,1,0\na,0.04,1,0\n")
    said = run("import-labels", tmp_path / "one.csv", out, *options)
    assert f"{out}: made anew, since the files of these names hold something else now: a\n" in said


def test_tables_of_other_steps_are_not_replaced(tmp_path: Path) -> None:
    source, out = labels(tmp_path / "gt.csv", 0.5, "a"), tmp_path / "preds"
    run("import-labels", source, tmp_path / "out")
    table = tables.read(tmp_path / "out" / "a.affect.parquet", AFFECT)
    columns = {name: table.column(name) for name in table.data.column_names}
    path = out / "a.affect.parquet"
    tables.write(path, AFFECT, columns, recipe=recipes.recipe("predict", {}), inputs=[], facts={})
    done = invoke("import-labels", source, out, "--force")
    assert (done.exit_code, "a.affect.parquet: was written by the step 'predict'" in done.stderr) == (4, True)


def test_plain_labels_get_the_times_of_frames(tmp_path: Path) -> None:
    folder, out, times = tmp_path / "labels", tmp_path / "out", tmp_path / "times"
    labels(folder / "more.csv", 0.5, "b")
    (folder / "a.txt").write_text("valence,arousal\n0.5,0.5\n-5,-5\n1,1\n")
    write_times(times, "a", [0, 30_000, 90_000])
    write_times(times, "b", [0, 50_000])
    run("import-labels", folder, out, "--times", times)
    assert read(out, "a").data.column("time_us").to_pylist() == [0, 30_000, 90_000]
    assert read(out, "b").data.column("time_us").to_pylist() == [0, 50_000]
    header = read(out, "a").header
    assert header.recipe["config"]["frames"] == "of the video"
    assert [(one["name"], one.get("holds")) for one in header.inputs] == [("a.txt", None), ("a.audio.parquet", "times")]
    assert run("import-labels", folder, out, "--times", times) == "affcli: 2 clips: 2 up to date\n"

    write_times(times, "a", [0, 30_000])
    done = invoke("import-labels", folder, out, "--times", times)
    assert f"{times}/a.audio.parquet: has 2 frames, expected 3, as {folder}/a.txt has of clip 'a'" in done.stderr
    assert (done.exit_code, "2 clips: 1 up to date, 1 failed" in done.stderr) == (3, True)
    (times / "b.audio.parquet").unlink()
    done = invoke("import-labels", folder / "more.csv", out, "--times", times)
    assert f"{times}: has no table of clip 'b'" in done.stderr


def test_expressions_alone_get_the_times_of_frames(tmp_path: Path) -> None:
    folder, times = tmp_path / "expr", tmp_path / "times"
    folder.mkdir()
    (folder / "a.txt").write_text(f"{SEVEN}\n1\n2\n")
    write_times(times, "a", [0, 50_000])
    run("import-labels", folder, tmp_path / "out", "--expressions", folder, "--times", times)
    assert read(tmp_path / "out", "a").data.column("time_us").to_pylist() == [0, 50_000]


def test_a_column_of_times_beside_times_of_frames_needs_a_format(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time,valence,arousal\n0,0,0\n")
    with pytest.raises(
        UsageError, match=r"--times: has no meaning here: .*a.csv has a column of times, and no --format"
    ):
        invoke("import-labels", tmp_path / "a.csv", tmp_path / "out", "--times", tmp_path)


def test_files_of_other_formats_beside_text_are_told(tmp_path: Path) -> None:
    labels(tmp_path / "in" / "more.csv", 0.5, "b")
    (tmp_path / "in" / "m.json").write_text("{}")
    said = run("import-labels", tmp_path / "in", tmp_path / "out")
    assert f"{tmp_path}/in: not read beside text files: m.json (--format afew-va reads them)" in said


def test_two_files_of_one_clip_that_fail_are_one_clip(tmp_path: Path) -> None:
    for dimension in ("valence", "arousal"):
        for clip in ("a", "b"):
            path = tmp_path / "in" / dimension / f"{clip}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("time,value\n0,7\n")
    options = ("--format", "ratings", "--range", "-1:1", "--times", tmp_path)
    done = invoke("import-labels", tmp_path / "in", tmp_path / "out", *options)
    assert "affcli: 2 clips: 2 failed (" in done.stderr


def test_a_wrong_directory_of_expressions_is_told_once(tmp_path: Path) -> None:
    for clip in "abc":
        for kind, text in (("va", "valence,arousal\n0,0\n"), ("au", f"{UNITS}\n{','.join('0' * 12)}\n")):
            path = tmp_path / kind / f"{clip}.txt"
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
    done = invoke("import-labels", tmp_path / "va", tmp_path / "out", "--expressions", tmp_path / "au")
    first, others, totals = done.stderr.splitlines()
    assert first.startswith(f"affcli: {tmp_path}/au/a.txt: begins with 'AU1,AU2,")
    assert others == f"affcli: {tmp_path}/au/a.txt: the same of 2 more: {tmp_path}/au/b.txt, {tmp_path}/au/c.txt"
    assert totals.startswith("affcli: 3 clips: 3 failed (")


def test_class_other_of_every_clip_is_told_once(tmp_path: Path) -> None:
    rows = "".join(f"{clip},0,0,0,7\n" for clip in "abc")
    (tmp_path / "l.csv").write_text(f"clip,frame,valence,arousal,expression\n{rows}")
    done = invoke(
        "export-labels", tmp_path / "l.csv", "-o", tmp_path / "o", "--format", "affwild2-expr", "--classes", 7
    )
    assert done.stderr.count("class Other") == 1
    assert "l.csv, clip 'a': the same of 2 more: " in done.stderr


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("affwild2-va", "expected as DIR, with --format aff-wild2 or without any"),
        ("affwild2-expr", "expected by --expressions DIR, without --format"),
        ("affwild2-au", "expected by --action-units DIR, without --format"),
        ("x", "is no format, expected one of aff-wild2, abaw-mtl, "),
    ],
)
def test_import_labels_names_the_words_of_export_labels(name: str, found: str) -> None:
    with pytest.raises(UsageError) as wrong:
        invoke("import-labels", "in", "out", "--format", name)
    assert (f"--format {name}: " in str(wrong.value), found in str(wrong.value)) == (True, True)


def test_export_labels_names_its_words_for_that_of_import_labels() -> None:
    with pytest.raises(UsageError, match="expected one of affwild2-va, affwild2-expr, affwild2-au; choose one"):
        invoke("export-labels", "in", "-o", "out", "--format", "aff-wild2")
    with pytest.raises(UsageError, match=r"is no format, expected one of affwild2-va, .*, csv"):
        invoke("export-labels", "in", "-o", "out", "--format", "x")


def test_the_scale_of_what_is_read_is_told_alone(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("time,rating\n0,50\n0.04,100\n")
    write_times(tmp_path / "times", "a", [0, 40_000])
    options = ("--format", "ratings", "--columns", "time=time,valence=rating", "--times", tmp_path / "times")
    said = run("import-labels", tmp_path / "a.csv", tmp_path / "out", *options, "--range", "0:100")
    assert f"affcli: {tmp_path}/a.csv: values of valence 0:100 become -1:1\n" in said
    with pytest.raises(UsageError, match=r"--range 0,5:1,5: .*; write decimals with a point"):
        invoke("import-labels", tmp_path / "a.csv", tmp_path / "out", *options, "--range", "0,5:1,5")
