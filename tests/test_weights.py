"""Where weights are found, and that nothing is read whose SHA-256 is not the recorded one."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

import pytest

from affcli import weights
from affcli.errors import AssetError, UsageError
from affcli.weights import WEIGHTS, Weights

PULLED = "scrfd-500m.buffalo-sc"


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AFFCLI_CACHE", str(tmp_path / "cache"))


def put(content: bytes) -> Path:
    path = weights.cached_path(PULLED)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_the_cache_is_ours_else_that_of_the_desktop_else_that_of_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    monkeypatch.setenv("AFFCLI_CACHE", "~/own")
    assert weights.cache() == Path("/home/me/own")
    monkeypatch.setenv("AFFCLI_CACHE", "here")
    assert weights.cache() == Path.cwd() / "here"
    monkeypatch.setenv("AFFCLI_CACHE", "")
    assert weights.cache() == Path("/xdg/affcli")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert weights.cache() == Path("/home/me/.cache/affcli")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert weights.cached_path(PULLED) == Path(f"/home/me/.cache/affcli/weights/{PULLED}/det_500m.onnx")


def test_weights_of_a_package_are_read_and_checked() -> None:
    found = weights.load("centerface")
    assert (found.name, Path(found.path).name) == ("centerface", "centerface.onnx")
    assert len(found.content) == WEIGHTS["centerface"].size
    assert found.sha256 == WEIGHTS["centerface"].sha256 == hashlib.sha256(weights.read("centerface")).hexdigest()


def test_weights_that_nobody_brought_say_what_to_type(tmp_path: Path) -> None:
    assert weights.find(PULLED) is None
    with pytest.raises(AssetError) as raised:
        weights.read(PULLED)
    assert str(raised.value) == (
        f"{PULLED}: is not in the cache, expected its weights in {tmp_path}/cache/weights/{PULLED}/det_500m.onnx; "
        f"run: affcli models pull {PULLED}"
    )


def test_damaged_weights_are_refused_at_every_read() -> None:
    path = put(b"no network")
    for _ in range(2):
        with pytest.raises(AssetError) as raised:
            weights.load(PULLED)
    found = hashlib.sha256(b"no network").hexdigest()[:12]
    assert str(raised.value) == (
        f"{path}: SHA-256 {found}..., expected 5e4447f50245...; run: affcli models pull {PULLED}"
    )


def test_right_weights_are_read_from_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256(b"network").hexdigest()
    monkeypatch.setitem(WEIGHTS._entries, PULLED, Weights(**{**vars(WEIGHTS[PULLED]), "sha256": digest}))
    path = put(b"network")
    assert weights.find(PULLED) == weights.path_of(PULLED) == path
    assert weights.load(PULLED) == weights.Loaded(PULLED, str(path), b"network", digest)


def test_a_directory_in_the_place_of_weights() -> None:
    weights.cached_path(PULLED).mkdir(parents=True)
    with pytest.raises(AssetError, match=rf"cannot be read \(Is a directory\).*run: affcli models pull {PULLED}"):
        weights.load(PULLED)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter every directory")
def test_a_cache_that_must_not_be_entered() -> None:
    folder = put(b"network").parent
    folder.chmod(0)
    try:
        with pytest.raises(AssetError, match=r"cannot be read \(Permission denied\)"):
            weights.load(PULLED)
    finally:
        folder.chmod(0o700)


def test_a_users_own_file_is_known_by_its_base_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(b"anything")
    digest = hashlib.sha256(b"anything").hexdigest()
    assert weights.load_file(str(path)) == weights.Loaded("mine.onnx", str(path), b"anything", digest)
    with pytest.raises(AssetError, match=r"none.onnx: does not exist, expected a file of weights; check the path"):
        weights.load_file(str(tmp_path / "none.onnx"))


def test_an_unknown_name_is_wrong_use() -> None:
    for ask in (weights.load, weights.find, weights.cached_path):
        with pytest.raises(UsageError, match=r"centrface: is no set of weights, expected one of .* mean 'centerface'"):
            ask("centrface")


@pytest.mark.parametrize("name", list(WEIGHTS))
def test_every_entry_is_whole(name: str) -> None:
    known = WEIGHTS[name]
    assert re.fullmatch(r"[0-9a-f]{64}", known.sha256)
    assert known.size > 0
    # A package has folders; the cache has one for each set of weights.
    assert known.package or known.file == Path(known.file).name
    assert known.source and known.paper and known.kind
    assert known.licence.name and known.licence.summary.endswith(".") and known.licence.url.startswith("https://")
    assert (known.package is None) != (known.url is None)
    if known.url is not None:
        assert re.fullmatch(r"[a-z0-9.-]+\.[a-z0-9-]+", name)  # architecture.tag
        assert known.url.startswith("https://")
        assert known.download > 0
    assert sum(WEIGHTS[other].sha256 == known.sha256 for other in WEIGHTS) == 1
