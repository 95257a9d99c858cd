"""The arrays beside tables (NPY): written as they grow, opened without being loaded."""

from __future__ import annotations

import contextlib
import errno
import tempfile
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from affcli.errors import InputError, SchemaError
from affcli.files import explained
from affcli.recipes import digest


def array_path(path: Path) -> Path:
    """Where the array of the table at `path` stands."""
    return path.with_suffix(".npy")


class ArrayFile:
    """An .npy that grows: NumPy pads the header so that the first axis can be filled in at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self._count = 0
        self._item: tuple[int, ...] = ()
        self._dtype = np.dtype(np.uint8)

    def append(self, items: NDArray[Any]) -> None:
        if self._file is None:
            self._item, self._dtype = items.shape[1:], items.dtype
            self._file = self.path.open("wb")
            self._write_header()
        if items.shape[1:] != self._item:
            raise ValueError(f"items of shape {items.shape[1:]} after items of shape {self._item}")
        self._file.write(np.ascontiguousarray(items).data)
        self._count += len(items)

    def _write_header(self) -> None:
        assert self._file is not None
        np.lib.format.write_array_header_1_0(
            self._file,
            {
                "descr": np.lib.format.dtype_to_descr(self._dtype),
                "fortran_order": False,
                "shape": (self._count, *self._item),
            },
        )

    def close(self) -> dict[str, Any]:
        """Fill in the count; return shape, dtype and digest."""
        if self._file is None:
            raise ValueError("an array without items: append an empty one of the right shape first")
        self._file.seek(0)
        self._write_header()
        self._file.close()
        return {
            "shape": [self._count, *self._item],
            "dtype": str(self._dtype),
            "sha256": digest(self.path),
        }

    def discard(self) -> None:
        if self._file is not None:
            # A full disk fails once more when the rest is flushed; the file goes away in any case.
            with contextlib.suppress(OSError):
                self._file.close()
            self.path.unlink(missing_ok=True)


class Spool:
    """Items of one shape put aside on disk, beside the table they are for, in a file without a name.

    It is gone with the process.
    """

    def __init__(self, path: Path) -> None:
        self._path = path  # the table they are for: a full disk is its failure
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115, closed by `close`
        self._count = 0
        self._shape: tuple[int, ...] = ()
        self._dtype = np.dtype(np.uint8)

    def append(self, item: NDArray[Any]) -> int:
        """Put an item aside; return its place.  Raises OutputError where it cannot be written."""
        self._shape, self._dtype = item.shape, item.dtype
        with explained(self._path):
            self._file.write(np.ascontiguousarray(item).data)
        self._count += 1
        return self._count - 1

    def __getitem__(self, place: int) -> NDArray[Any]:
        """The item at a place."""
        size = int(np.prod(self._shape)) * self._dtype.itemsize
        with explained(self._path):  # what is still to be written is written now
            if self._file.tell() != place * size:
                self._file.seek(place * size)
        return np.frombuffer(self._file.read(size), self._dtype).reshape(self._shape)

    def close(self) -> None:
        with contextlib.suppress(OSError):  # a full disk fails once more when the rest is flushed
            self._file.close()


def open_array(path: Path, described: dict[str, Any] | None) -> NDArray[Any]:
    """The array beside the table at `path`, memory-mapped and read-only.

    Raises InputError where it is missing or no array, SchemaError where it is not what the table says.
    """
    file = array_path(path)
    advice = f"it does not belong to {path.name}: make both again"
    try:
        found = np.lib.format.open_memmap(file, mode="r")
    except FileNotFoundError as error:
        raise InputError(file, "is missing", expected=f"the array of {path.name}", advice="make both again") from error
    except PermissionError as error:
        raise InputError(file, "must not be read", advice="mend its permissions") from error
    except OSError as error:
        why = error.strerror or str(error)
        full = error.errno in (errno.EMFILE, errno.ENFILE)
        advice = "raise the limit: ulimit -n 65536" if full else "check the disk, or make both again"
        raise InputError(
            file, f"cannot be opened ({why})", expected=f"the array of {path.name}", advice=advice
        ) from error
    except ValueError as error:
        problem = "holds Python objects" if "object" in str(error) else "cannot be read as an NPY array"
        kind = SchemaError if "object" in str(error) else InputError
        raise kind(file, problem, expected=f"the array of {path.name}", advice=advice) from error
    if file.stat().st_size != found.offset + found.nbytes:
        raise InputError(file, "goes on after its array", expected=f"the array of {path.name}", advice=advice)
    wanted = described or {}
    if list(found.shape) != wanted.get("shape") or str(found.dtype) != wanted.get("dtype"):
        raise SchemaError(
            file,
            f"holds {found.dtype} {found.shape}",
            expected=f"{wanted.get('dtype')} {tuple(wanted.get('shape', ()))} as {path.name} says",
            advice=advice,
        )
    return found
