"""Fixtures that several test modules share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

# Tests run side by side; threads of several processes that wait for the same cores only slow each other down.
os.environ.setdefault("OMP_NUM_THREADS", "1")

collect_ignore = ["golden/make_keras.py", "golden/make_torchmetrics.py"]  # import what only making their files needs

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def affcli() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the real command: `affcli("score", "--ccc", preds, truth)`; extra keywords go to subprocess.run."""

    def run(*arguments: object, **keywords: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "affcli", *map(str, arguments)]
        plain = {**os.environ, "COLUMNS": "120", "NO_COLOR": "1"}
        return subprocess.run(command, capture_output=True, text=True, env=plain, check=False, **keywords)

    return run


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory, empty at first, for what the tests of a module make once and copy."""
    return tmp_path_factory.mktemp("made")


@pytest.fixture
def shared_media() -> Path:
    """Real clips that are not part of the project."""
    folder = SHARED / "media"
    if not folder.is_dir():
        pytest.skip("needs the real clips of ../shared/media")
    return folder


@pytest.fixture
def write_features() -> Callable[..., Path]:
    """Write the features of a clip: `write_features(folder, "c1", vectors)`; by default face features named "hog"."""
    from affcli import recipes, tables
    from affcli.schemas import FEATURES

    def write(
        folder: Path,
        clip: str,
        vectors: NDArray[np.float32],
        encoder: str = "hog",
        modality: str = "face",
        valid: NDArray[np.bool_] | None = None,
        period_us: int = 40_000,
        **settings: object,
    ) -> Path:
        n, width = vectors.shape
        path = folder / f"{clip}.{encoder}.parquet"
        columns = {
            "clip": np.full(n, clip, dtype=object),
            "frame": np.arange(n, dtype=np.int32),
            "time_us": np.arange(n, dtype=np.int64) * period_us,
            "valid": np.ones(n, np.bool_) if valid is None else valid,
        }
        recipe = recipes.recipe("embed", {"encoder": encoder, **settings})
        facts = {"encoder": encoder, "modality": modality, "width": width}
        tables.write(path, FEATURES, columns, recipe=recipe, inputs=[], facts=facts, array=vectors.astype(np.float32))
        return path

    return write


@pytest.fixture
def write_labels() -> Callable[..., Path]:
    """Write the labels of a clip: `write_labels(folder, "c1", affect)`, (n, 2) with NaN where not annotated."""
    from affcli import recipes, tables
    from affcli.labels.affect import Affect
    from affcli.schemas import AFFECT

    def write(folder: Path, clip: str, affect: NDArray[np.float64], **settings: object) -> Path:
        path = folder / f"{clip}.affect.parquet"
        columns = Affect(clip, affect[:, 0], affect[:, 1]).columns()
        recipe = recipes.recipe("import-labels", settings)
        tables.write(path, AFFECT, columns, recipe=recipe, inputs=[], facts={})
        return path

    return write


@pytest.fixture
def write_faces() -> Callable[..., Path]:
    """Write the faces of a clip: `write_faces(folder, "c1", crops, valid)`, (n, s, s, 3); as JPEG with `jpeg=True`."""
    from affcli import recipes, tables
    from affcli.faces.crops import encode_jpeg
    from affcli.schemas import FACES

    def write(
        folder: Path, clip: str, crops: NDArray[np.uint8], valid: NDArray[np.bool_], *, jpeg: bool = False
    ) -> Path:
        n = len(crops)
        path = folder / f"{clip}.faces.parquet"
        columns = {column.name: np.full(n, np.nan) for column in FACES.columns if column.null} | {
            "clip": np.full(n, clip, dtype=object),
            "frame": np.arange(n, dtype=np.int32),
            "time_us": np.arange(n, dtype=np.int64) * 40_000,
            "valid": valid,
            "how": np.where(valid, "detected", "absent").astype(object),
            "ambiguous": np.zeros(n, np.bool_),
            "corrupt": np.zeros(n, np.bool_),
        }
        array = np.where(valid[:, None, None, None], crops, 0).astype(np.uint8)
        if jpeg:
            files = [
                encode_jpeg(crop) if here else np.zeros(0, np.uint8) for crop, here in zip(crops, valid, strict=True)
            ]
            array, columns["jpeg_end"] = np.concatenate(files), np.cumsum([len(file) for file in files])
        facts = dict.fromkeys(name for name, _ in FACES.facts) | {"format": "jpeg" if jpeg else "npy"}
        recipe = recipes.recipe("extract-faces", {"template": "arcface-112", "size": 0})
        tables.write(path, FACES, columns, recipe=recipe, inputs=[], facts=facts, array=array)
        return path

    return write


@pytest.fixture(scope="session")
def real_crops() -> NDArray[np.uint8]:
    """Twelve pictures (12, 112, 112, 3) of a face that moves, cut from the photograph of scikit-image."""
    from skimage.data import astronaut

    return np.stack([astronaut()[40 + i : 152 + i, 160 + 2 * i : 272 + 2 * i] for i in range(12)])
