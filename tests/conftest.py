"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def affcli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real command: `affcli("score", "--ccc", preds, truth)`; extra keywords go to subprocess.run."""

    def run(*arguments: object, **keywords: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "affcli", *map(str, arguments)]
        plain = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1"}
        return subprocess.run(command, capture_output=True, text=True, env=plain, check=False, **keywords)

    return run


@pytest.fixture
def shared_media() -> Path:
    """Real clips that are not part of the project."""
    folder = SHARED / "media"
    if not folder.is_dir():
        pytest.skip("needs the real clips of ../shared/media")
    return folder
