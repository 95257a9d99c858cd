"""Whether somebody speaks: Silero VAD (Silero Team 2024, version 6.2), through the network that its package carries.

The network reads 32 ms of sound at a time with the 4 ms before them, and remembers what it heard from one such block to
the next, so the whole waveform is read once from its start; blocks of it are computed together.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from affcli import weights
from affcli.faces.runtime import open_session
from affcli.features import Setup, settings
from affcli.features.contours import Contour, middles, spans
from affcli.features.views import TimedSound

SAMPLE_RATE = 16_000  # Hz
BLOCK = 512  # samples for each probability
_CONTEXT = 64  # samples before a block that are read with it
_MEMORY = (1, 1, 128)  # shape of the network's two states
_BLOCKS_AT_ONCE = 512  # 16 s; on one thread more are no faster


class Speech:
    """The voice detector.  Raises AssetError where the package silero-vad is missing or carries another network."""

    def __init__(self) -> None:
        network = weights.load("silero-vad")
        self.weights = {network.name: network.sha256}
        # On one thread of the CPU: a memory that goes from block to block leaves a second one nothing to do.
        self._session = open_session(network.content)

    def at(self, sound: TimedSound) -> NDArray[np.float32]:
        """Probability of speech in the middle of each frame's period: (n,) float32, 0 where there is no sound.

        Raises SchemaError where the waveform does not have 16,000 samples per second.
        """
        return self.contour(sound).at(middles(sound))

    def contour(self, sound: TimedSound) -> Contour:
        """Probability of speech in every 512 samples from the first, (m,) float32; the last may be a part of that.

        Raises SchemaError where the waveform does not have 16,000 samples per second.
        """
        sound.require_rate(SAMPLE_RATE)
        count = -(-len(sound.waveform) // BLOCK)
        probabilities = np.empty(count, np.float32)
        hidden, cell = np.zeros(_MEMORY, np.float32), np.zeros(_MEMORY, np.float32)
        for start in range(0, count, _BLOCKS_AT_ONCE):
            stop = min(start + _BLOCKS_AT_ONCE, count)
            stretch = sound.between(start * BLOCK - _CONTEXT, stop * BLOCK)
            blocks = np.lib.stride_tricks.sliding_window_view(stretch, _CONTEXT + BLOCK)[::BLOCK]
            probabilities[start:stop], hidden, cell = self._session.run(
                ["speech_probs", "hn", "cn"], {"input": np.ascontiguousarray(blocks), "h": hidden, "c": cell}
            )
        return Contour(probabilities, BLOCK, len(sound.waveform))


class SileroVad:
    """Probability of speech in the middle of each frame's period, and its mean around it: (n, 2) float32, 0 to 1."""

    def __init__(self, config: settings.SileroVad, _setup: Setup) -> None:
        self.config = config
        self._speech = Speech()
        self.weights = self._speech.weights

    def __call__(self, sound: TimedSound) -> Iterator[NDArray[np.float32]]:
        """Raises SchemaError where the waveform does not have 16,000 samples per second."""
        contour = self._speech.contour(sound)
        around = contour.means(spans(sound, self.config.window))
        yield np.stack([contour.at(middles(sound)), around.astype(np.float32)], axis=1)
