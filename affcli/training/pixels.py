"""Batches of video as bytes, and what makes a network's input of them on the device where the network is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from affcli.training.data import Batch

MIDDLE = 127.5  # of the 256 values of a pixel, and half of their range (M3T)


@dataclass(frozen=True, eq=False)
class PixelBatch:
    """b windows of t frames, cut and not yet flipped, ordered, scaled and filled."""

    windows: Batch  # features of flipped crops where a window is flipped and they are known
    pixels: NDArray[np.uint8]  # (b, t, h, h, 3) RGB; zeros where no face is shown
    visible: NDArray[np.bool_]  # (b, t): a face is shown
    flipped: NDArray[np.bool_]  # (b,): left and right are to be changed
    holes: NDArray[np.int64]  # (b, 4): top, left, height and width of what is cut out, px once flipped
    bgr: bool  # channels are to be changed
    filling: float  # what stands in frames without a face, once scaled


def finished(batch: PixelBatch, device: torch.device) -> Tensor:
    """The network's input, (b, 3, t, h, h) float32 in channels_last_3d, to the bit what `VideoWindows.gather` gives."""
    video = torch.from_numpy(batch.pixels).to(device).permute(0, 4, 1, 2, 3)
    flipped = torch.from_numpy(np.flatnonzero(batch.flipped)).to(device)
    video = video.index_copy(0, flipped, video[flipped].flip(4)) if len(flipped) else video
    video = (video.flip(1) if batch.bgr else video).to(torch.float32, memory_format=torch.channels_last_3d)
    middle = torch.tensor(MIDDLE, device=device)  # by a plain number, CUDA would multiply with its rounded reciprocal
    video = video.sub_(middle).div_(middle)
    inside = torch.from_numpy(batch.windows.inside).to(device)[:, None, :, None, None]
    visible = torch.from_numpy(batch.visible).to(device)[:, None, :, None, None]
    video.masked_fill_(~visible, batch.filling)
    top, left, height, width = torch.from_numpy(batch.holes).to(device)[:, :, None, None].unbind(1)
    place = torch.arange(video.shape[-1], device=device)
    rows, columns = place[None, :, None], place[None, None, :]
    hole = (rows >= top) & (rows < top + height) & (columns >= left) & (columns < left + width)
    return video.masked_fill_(~inside | hole[:, None, None], 0)
