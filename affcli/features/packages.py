"""Packages that encoders need and affcli itself does not bring: whether they are here, and in which version."""

from __future__ import annotations

import functools
import importlib.util

from affcli.features.contract import EncoderEntry


def absent(entry: EncoderEntry) -> list[str]:
    """The modules that an encoder needs and that are not installed."""
    return [name for name in entry.packages if not _here(name)]


def remedy(entry: EncoderEntry, missing: list[str]) -> str:
    """What installs them."""
    return f"pip install 'affcli[{entry.extra}]'" if entry.extra else f"pip install {' '.join(missing)}"


@functools.cache
def version(module: str) -> str:
    """The version of the package that an installed module is of; "" where it does not say."""
    from importlib import metadata  # costs 10 ms, which few commands need to spend

    top = module.partition(".")[0]
    try:
        return metadata.version(top)
    except metadata.PackageNotFoundError:  # pip knows it by another name, as scikit-image is skimage
        names = sorted(set(metadata.packages_distributions().get(top, ())))
        return ", ".join(f"{name} {metadata.version(name)}" for name in names)


def _here(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of the package that a dotted name is in
        return False
