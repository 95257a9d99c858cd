"""The one loop in which encoders work: batches, memory, frames without a face or sound."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affcli.errors import SchemaError, is_out_of_memory
from affcli.features.views import TimedCrops, TimedLandmarks, TimedSound

# Crops in a batch: on a CPU larger ones fall out of its caches (CenterFace's trunk: 0.47 ms a crop in fours, 0.83 in
# batches of 32); on an accelerator the largest that fits, from this one downwards.
_CPU_BATCH = 4
_ACCELERATOR_BATCH = 256
_BLANK_ROWS = 1024  # rows of zeros at a time

CropEncoder = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
ClipEncoder = Callable[[Any], Iterable[NDArray[np.float32]]]


def default_batch(device: str) -> int:
    """Crops in a batch where the user names no number."""
    return _CPU_BATCH if device == "cpu" else _ACCELERATOR_BATCH


def encode_crops(encoder: CropEncoder, view: TimedCrops, batch: int, threads: int = 1) -> Iterator[NDArray[np.float32]]:
    """Vectors of a clip's crops, some rows at a time: (k, d) float32, zeros where the face is absent.

    Only valid crops are read and reach the encoder, `batch` at a time and in `threads` threads, so that `crops` may be
    a file of any length.  What comes out does not depend on either, but for the last digit of sums that torch takes in
    another order for another batch.  A batch that does not fit into the memory of the device is halved, and stays so.
    Raises SchemaError where a vector holds what is no finite number, or where there is not one for each crop.
    """
    present = np.flatnonzero(view.valid)
    if not len(present):
        yield from _blank(len(view.valid), _width(encoder, view))
        return
    written = 0
    width = 0
    for rows, vectors in _in_order(_Halving(encoder), view, present, batch, threads):
        if vectors.ndim != 2 or len(vectors) != len(rows) or vectors.shape[1] != (width or vectors.shape[1]):
            raise _miscounts(f"gave {vectors.shape} for {len(rows)} crops", f"({len(rows)}, {width or 'width'})")
        _check_finite(vectors, rows)
        width = vectors.shape[1]
        # The frames without a face before each stretch of frames with one, then that stretch.
        for part in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(rows) > 1) + 1):
            yield from _blank(int(rows[part[0]]) - written, width)
            yield vectors[part]
            written = int(rows[part[-1]]) + 1
    yield from _blank(len(view.valid) - written, width)


def encode_clip(encoder: ClipEncoder, view: TimedCrops | TimedLandmarks | TimedSound) -> Iterator[NDArray[np.float32]]:
    """Vectors of a whole clip by an encoder that wants to see all of it: (k, d) float32, zeros where not valid.

    Raises SchemaError where a vector holds what is no finite number, or where there is not one for each frame.
    """
    done, width = 0, 0
    for given in encoder(view):
        vectors = np.array(given, dtype=np.float32)
        if vectors.ndim != 2 or vectors.shape[1] != (width or vectors.shape[1]):
            raise _miscounts(f"gave {vectors.shape}", f"(rows, {width or 'width'})")
        width = vectors.shape[1]
        rows = np.arange(done, done + len(vectors))
        done += len(vectors)
        if done > len(view.valid):
            break
        vectors[~view.valid[rows]] = 0
        _check_finite(vectors, rows)
        yield vectors
    if done != len(view.valid):
        more = " or more" if done > len(view.valid) else ""
        raise _miscounts(f"gave {done} vectors{more}", f"{len(view.valid)}, one for each frame")


def _miscounts(found: str, expected: str) -> SchemaError:
    return SchemaError("the encoder", found, expected=expected, advice="tell whoever wrote it")


def _width(encoder: CropEncoder, view: TimedCrops) -> int:
    """Numbers in a vector, where there is no crop to tell it from."""
    return int(encoder(np.zeros((1, *view.crops.shape[1:]), np.uint8)).shape[1])


def _blank(count: int, width: int) -> Iterator[NDArray[np.float32]]:
    for start in range(0, count, _BLANK_ROWS):
        yield np.zeros((min(_BLANK_ROWS, count - start), width), np.float32)


def _check_finite(vectors: NDArray[np.float32], rows: NDArray[np.intp]) -> None:
    whole = np.isfinite(vectors).all(axis=1)
    if not whole.all():
        raise SchemaError(
            f"frame {rows[np.argmin(whole)]}",
            "is given a vector with NaN or infinity in it",
            expected="finite numbers",
            advice="check the encoder's weights and its preprocessing",
        )


@dataclass
class _Halving:
    """An encoder that is given less at a time once a batch was too much for its device."""

    encoder: CropEncoder
    most: int | None = None

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        if self.most is not None and len(crops) > self.most:
            return self._halved(crops)
        try:
            return np.asarray(self.encoder(crops), dtype=np.float32)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error) or len(crops) == 1:
                raise
        self.most = max(1, len(crops) // 2)
        return self._halved(crops)

    def _halved(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        middle = len(crops) // 2
        return np.concatenate([self(crops[:middle]), self(crops[middle:])])


def _in_order(
    encoder: CropEncoder, view: TimedCrops, present: NDArray[np.intp], batch: int, threads: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """Frames (k,) and their vectors (k, d), a few batches ahead of whoever takes them."""

    def work(rows: NDArray[np.intp]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        return rows, encoder(view.crops[rows])

    batches = (present[start : start + batch] for start in range(0, len(present), batch))
    if threads == 1:
        yield from map(work, batches)
        return
    waiting: deque[Future[tuple[NDArray[np.intp], NDArray[np.float32]]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for rows in batches:
                waiting.append(pool.submit(work, rows))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for unwanted in waiting:
                unwanted.cancel()
