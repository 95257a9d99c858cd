"""affcli encoders, and encoders that other packages bring."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import tables
from affcli.features import ENCODERS
from affcli.schemas import FEATURES

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "encoder"
Affcli = Callable[..., subprocess.CompletedProcess[str]]


def install(folder: Path, entry: str = "") -> dict[str, str]:
    """Put the example package into a folder as pip lays it out; return the environment that finds it."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = project["entry-points"]["affcli.encoders"]
    shutil.copy(EXAMPLE / "affcli_mean_colour.py", folder)
    info = folder / f"affcli_mean_colour-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n", encoding="utf-8"
    )
    lines = "".join(f"{name} = {entry or target}\n" for name, target in points.items())
    (info / "entry_points.txt").write_text(f"[affcli.encoders]\n{lines}", encoding="utf-8")
    return {**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "120", "NO_COLOR": "1"}


def run(env: dict[str, str], *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "affcli", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def test_every_encoder_is_listed_with_width_licence_source_and_state(affcli: Affcli) -> None:
    done = affcli("encoders")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["NAME", "READS", "BRANCH", "WIDTH", "LICENCE", "STATE", "SOURCE"]
    assert [line.split()[0] for line in lines[1 : 1 + len(list(ENCODERS))]] == list(ENCODERS)
    for name, line in zip(ENCODERS, lines[1:], strict=False):
        entry = ENCODERS[name]
        assert entry.licence in line
        assert entry.source in line
        assert str(entry.width or "its own") in line


def test_json_is_one_object_per_line(affcli: Affcli) -> None:
    rows = [json.loads(line) for line in affcli("encoders", "--json").stdout.splitlines()]
    hog = next(row for row in rows if row["name"] == "hog")
    assert (hog["reads"], hog["branch"], hog["width"], hog["state"]) == ("crops", "face", 1296, "ready")
    assert hog["settings"]["cell"] == {
        "default": 16, "meaning": "side of a cell", "unit": "px", "least": 1, "most": None, "choices": None,
        "source": None,
    }  # fmt: skip


def test_one_encoder_is_shown_with_its_settings(affcli: Affcli) -> None:
    done = affcli("encoders", "hog")
    assert done.returncode == 0
    assert "--cell 16\n      side of a cell (px)\n" in done.stdout


def test_an_unknown_encoder_is_status_2(affcli: Affcli) -> None:
    done = affcli("encoders", "hug")
    assert done.returncode == 2
    assert "hug: is no encoder" in done.stderr
    assert "did you mean 'hog'?" in done.stderr


def test_another_packages_encoder_is_listed_and_used(
    tmp_path: Path, write_faces: Callable[..., Path], real_crops: NDArray[np.uint8]
) -> None:
    env = install(tmp_path)
    listed = run(env, "encoders")
    assert listed.returncode == 0, listed.stderr
    assert "mean-colour" in listed.stdout
    valid = np.arange(12) != 5
    write_faces(tmp_path, "c1", real_crops, valid)
    done = run(env, "embed", tmp_path, tmp_path / "out", "--encoder", "mean-colour", "--set", "grid=2")
    assert done.returncode == 0, done.stderr
    table = tables.read(tmp_path / "out" / "c1.mean-colour.parquet", FEATURES)
    cells = real_crops.reshape(12, 2, 56, 2, 56, 3).mean(axis=(2, 4)) / 255
    assert np.abs(table.array()[valid] - cells.reshape(12, 12)[valid]).max() < 1e-5
    assert not table.array()[5].any()
    config = table.header.recipe["config"]
    assert config == {"encoder": "mean-colour", "grid": 2, "package": "affcli-mean-colour 0.1.0"}
    assert run(env, "embed", tmp_path, tmp_path / "out", "--encoder", "mean-colour", "--set", "grid=0").stderr == (
        "affcli: --grid 0: is not what it takes, expected a whole number of at least 1, such as 1; "
        "correct it, or leave the option out\n"
    )


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ("affcli_mean_colour:GONE", "AttributeError"),
        ("no_such_module:ENTRY", "ModuleNotFoundError"),
        ("affcli_mean_colour:MeanColour", "is of type type, expected an instance of affcli.features.contract."),
    ],
)
def test_a_broken_package_is_status_5_and_the_others_are_listed(tmp_path: Path, entry: str, said: str) -> None:
    env = install(tmp_path, entry)
    listed = run(env, "encoders")
    assert listed.returncode == 5
    assert "hog" in listed.stdout
    assert "encoder 'mean-colour' of affcli-mean-colour 0.1.0" in listed.stderr
    assert said in listed.stderr
    assert run(env, "embed", tmp_path, tmp_path, "--encoder", "mean-colour").returncode == 5


ENTRY = """from dataclasses import dataclass
import numpy as np
from affcli.features import EncoderEntry, Setup


@dataclass(frozen=True)
class Config:
    SETTING


class Ones:
    def __init__(self, config, setup):
        self.config, self.weights = config, {}

    def __call__(self, crops):
        return np.ones((len(crops), 2), np.float32)


ENTRY = EncoderEntry("MODULE:Ones", "ones", "here", "MIT", width=2, config=Config, OTHER)
"""


def write_package(
    folder: Path, setting: str = "a: int = 1", module: str = "own", other: str = "extra=''"
) -> dict[str, str]:
    code = ENTRY.replace("SETTING", setting).replace("MODULE", module).replace("OTHER", other)
    (folder / "own.py").write_text(code, encoding="utf-8")
    return install(folder, "own:ENTRY")


def test_a_package_that_an_encoder_needs_is_known_by_its_module(
    tmp_path: Path, write_faces: Callable[..., Path], real_crops: NDArray[np.uint8]
) -> None:
    env = write_package(tmp_path, other="packages=('skimage',)")
    write_faces(tmp_path, "c1", real_crops, np.ones(12, bool))
    done = run(env, "embed", tmp_path, tmp_path, "--encoder", "mean-colour")
    assert done.returncode == 0, done.stderr
    recipe = tables.read(tmp_path / "c1.mean-colour.parquet", FEATURES).header.recipe
    assert recipe["config"]["packages"]["skimage"].startswith("scikit-image ")


@pytest.mark.parametrize("package", ["no_such_module", "no_such.module"])
def test_a_package_that_is_missing_is_said_with_what_installs_it(tmp_path: Path, package: str) -> None:
    env = write_package(tmp_path, other=f"packages=({package!r},)")
    assert f"pip install {package}" in run(env, "encoders").stdout
    done = run(env, "embed", tmp_path, tmp_path, "--encoder", "mean-colour")
    assert done.returncode == 5
    assert f"the package {package}: is not installed" in done.stderr
    assert f"run: pip install {package}\n" in done.stderr


def test_an_encoder_whose_code_is_not_there_is_status_5(tmp_path: Path) -> None:
    done = run(write_package(tmp_path, module="gone"), "embed", tmp_path, tmp_path, "--encoder", "mean-colour")
    assert done.returncode == 5
    assert "encoder 'mean-colour' of affcli-mean-colour 0.1.0: cannot be loaded (ModuleNotFoundError" in done.stderr


@pytest.mark.parametrize("setting", ["a: int", "a: dict = None", "a: int | str = 1"])
def test_a_setting_that_is_no_option_is_status_5_and_the_others_are_listed(tmp_path: Path, setting: str) -> None:
    env = write_package(tmp_path, setting=setting)
    listed = run(env, "encoders", "--json")
    assert listed.returncode == 5
    assert '"hog"' in listed.stdout
    assert "setting 'a' of own.Config: cannot be an option" in listed.stderr
    done = run(env, "embed", tmp_path, tmp_path, "--encoder", "mean-colour", "--set", "a=1")
    assert done.returncode == 5


def test_weights_that_nobody_knows_do_not_hide_the_other_encoders(tmp_path: Path) -> None:
    listed = run(write_package(tmp_path, other="weights='mine'"), "encoders")
    assert listed.returncode == 5
    assert "hog" in listed.stdout
    assert "mine: is no set of weights" in listed.stderr
