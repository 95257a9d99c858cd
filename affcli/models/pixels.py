"""Bytes of crops to the input of a network that sees, on the device where the network is."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

MIDDLE = 127.5  # of the 256 values of a pixel, and half of their range (M3T)


class Pixels(Protocol):
    """b windows of t frames of h x h px, cut and not yet flipped, ordered, lit, scaled and filled."""

    @property
    def values(self) -> NDArray[np.uint8] | NDArray[np.int16]:
        """(b, t, h, h, 3) RGB."""

    @property
    def visible(self) -> NDArray[np.bool_]:
        """(b, t): a face is shown."""

    @property
    def flipped(self) -> NDArray[np.bool_]:
        """(b,): left and right are to be changed."""

    @property
    def holes(self) -> NDArray[np.int64]:
        """(b, 4): top, left, height and width of what is cut out, px once flipped."""

    @property
    def bgr(self) -> bool:
        """Channels are to be changed."""

    @property
    def filling(self) -> float:
        """What stands in frames without a face, once scaled."""

    @property
    def summed(self) -> int:
        """Pixels of the crop that each value is the sum of: 1 or 4."""

    @property
    def light(self) -> NDArray[np.float32] | None:
        """(b, 2): a factor f and what is added, a, on the scale of 0 to 255; None for 1 and 0."""


def finished(pixels: Pixels, inside: NDArray[np.bool_], device: torch.device) -> Tensor:
    """The network's input, (b, 3, t, h, h) float32 in channels_last_3d: (x - 127.5) / 127.5 of pixels x.

    A value that is a sum becomes the mean first, which float32 holds exactly.  With `light`, x is then f x + a, cut off
    at 0 and 255.  Frames in which no face is shown are `filling`; what is cut out, and frames that are not `inside`
    (b, t), are 0.
    """
    video = _window_by_window(pixels) if device.type == "cpu" else _at_once(pixels, device)
    # On a CPU by NumPy: PyTorch's threads would wait for each other after every hole.
    cut: Any = video.numpy() if device.type == "cpu" else video
    frames = cut.reshape(-1, *cut.shape[2:])
    frames[np.flatnonzero(~pixels.visible)] = pixels.filling
    for row in np.flatnonzero(pixels.holes[:, 2:].all(axis=1)).tolist():
        top, left, height, width = pixels.holes[row].tolist()
        cut[row, :, top : top + height, left : left + width] = 0
    frames[np.flatnonzero(~inside)] = 0
    return video.permute(0, 4, 1, 2, 3)


def _window_by_window(pixels: Pixels) -> Tensor:
    """Values flipped, ordered and scaled, (b, t, h, h, 3) float32, on a CPU: nothing is fetched into its cache twice.

    By NumPy, whose threads need not wait for each other after every window, and which asks for huge pages: to touch
    so much memory for the first time takes a fifth of the time.
    """
    b, t, h, _, _ = pixels.values.shape
    video = np.empty((b, t, h, h, 3), np.float32)
    scratch = np.empty((t, h, h * 3), pixels.values.dtype)
    for row, flipped in enumerate(pixels.flipped.tolist()):
        lines = pixels.values[row].reshape(t, h, h * 3)
        if flipped or pixels.bgr:
            order = np.arange(h * 3).reshape(h, 3)[:: -1 if flipped else 1, :: -1 if pixels.bgr else 1]
            # With `out` and "clip" NumPy copies straight to it: half the time of a new array.
            lines = np.take(lines, order.ravel(), 2, scratch, "clip")
        video[row] = lines.reshape(t, h, h, 3)
        light = None if pixels.light is None else pixels.light[row]
        _scale(video[row], np, pixels.summed, light, np.float32(MIDDLE))
    return torch.from_numpy(video)


def _at_once(pixels: Pixels, device: torch.device) -> Tensor:
    """The same on a GPU, which is to be asked for little."""
    values = torch.from_numpy(pixels.values).to(device)
    values = values.flip(4) if pixels.bgr else values
    rows = torch.from_numpy(np.flatnonzero(pixels.flipped)).to(device)
    video = (values.index_copy(0, rows, values[rows].flip(3)) if len(rows) else values).to(torch.float32)
    light = None
    if pixels.light is not None:
        light = torch.from_numpy(pixels.light.T).to(device)[:, :, None, None, None, None]
    # By a plain number, CUDA would multiply with its rounded reciprocal.
    _scale(video, torch, pixels.summed, light, torch.tensor(MIDDLE, device=device))
    return video


def _scale(values: Any, library: Any, summed: int, light: Any, middle: Any) -> None:
    """Sums to (x - 127.5) / 127.5 of pixels x, in place; the same steps for arrays of NumPy and tensors of PyTorch."""
    if summed > 1:
        values /= summed
    if light is not None:
        values *= light[0]
        values += light[1]
        library.clip(values, 0, 255, out=values)
    values -= middle
    values /= middle
