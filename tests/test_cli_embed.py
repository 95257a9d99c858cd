"""affcli embed, as typed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np

from affcli import recipes, tables
from affcli.schemas import AUDIO

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def write_audio(folder: Path, clip: str) -> Path:
    """Ten frames at 25 frames per second, with a tone under them."""
    path, n, rate = folder / f"{clip}.audio.parquet", 10, 16_000
    columns = {
        "clip": np.full(n, clip, dtype=object),
        "frame": np.arange(n),
        "time_us": np.arange(n) * 40_000,
        "valid": np.ones(n, bool),
        "sample": np.arange(n) * 640,
    }
    facts = {"sample_rate": rate, "start_us": 0, "rate": "25", "sound": "present", "partial": False}
    wave = (8000 * np.sin(np.arange(n * 640) / 5)).astype(np.int16)
    recipe = recipes.recipe("extract-audio", {"sample_rate": rate})
    tables.write(path, AUDIO, columns, recipe=recipe, inputs=[], facts=facts, array=wave)
    return path


def test_a_broken_table_does_not_stop_the_others(affcli: Command, tmp_path: Path) -> None:
    source, out = tmp_path / "in", tmp_path / "out"
    for clip in ("a", "b", "c"):
        write_audio(source, clip)
    broken = source / "b.audio.parquet"
    broken.write_bytes(broken.read_bytes()[:-50])
    done = affcli("embed", source, out, "--encoder", "logmel-stack")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.splitlines() == [
        f"affcli: {broken}: cannot be read as Parquet, expected a whole Parquet file; make it again from its source",
        f"affcli: 3 clips: 2 made, 1 failed ({broken})",
    ]
    assert sorted(path.name for path in out.glob("*.parquet")) == ["a.logmel-stack.parquet", "c.logmel-stack.parquet"]
