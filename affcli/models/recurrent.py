"""Recurrent and dense layers as Keras makes them, and the frames of a batch that are no padding.

Initial weights are Keras's: Glorot uniform kernels over the whole of a layer's gates (Glorot and Bengio 2010: bound
sqrt(6 / (width + gates * units))), an orthogonal recurrent kernel over all gates at once, zero biases, and 1 for the
forget gate's bias of an LSTM (Jozefowicz et al. 2015).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from affcli.configs import GruFusion as Config
from affcli.models import gru
from affcli.models.affine import Dense, is_ours


class Inside:
    """The n frames of (b, t) that are inside their windows: a batch of windows (b, t, d) <-> its frames (n, d).

    `inside` is (b, t) bool, in each window true up to its end.  Where nothing is padded, nothing is copied.
    """

    def __init__(self, inside: Tensor) -> None:
        self.shape = inside.shape
        self._rows: Tensor | None = None
        self.lengths: Tensor | None = None  # (b,) int64 on the CPU; None where all windows are whole
        if not bool(inside.all()):
            self._rows = inside.flatten().nonzero().squeeze(1)
            self.lengths = inside.sum(1).cpu()

    def gather(self, x: Tensor) -> Tensor:
        """(b, t, d) to (n, d)."""
        frames = x.flatten(0, 1)
        return frames if self._rows is None else frames.index_select(0, self._rows)

    def scatter(self, rows: Tensor) -> Tensor:
        """(n, d) to (b, t, d), 0 where padded."""
        b, t = self.shape
        if self._rows is not None:
            rows = rows.new_zeros(b * t, rows.shape[-1]).index_copy(0, self._rows, rows)
        return rows.view(b, t, rows.shape[-1])


def dense(width: int, units: int) -> Dense:
    """A dense layer, (..., width) to (..., units)."""
    layer = Dense(width, units)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class Recurrent(nn.Module):
    """One GRU or LSTM layer, (b, t, width) to (b, t, `self.width`); twice `units` where it is bidirectional.

    GRUs have two biases per gate, as in Keras (reset_after) and PyTorch.  LSTMs have one in Keras and two, which are
    added, in PyTorch: the second stays at 0 and is not trained, for a step would count twice.
    """

    def __init__(self, width: int, units: int, config: Config) -> None:
        super().__init__()
        kind = nn.LSTM if config.cell == "lstm" else nn.GRU
        self.cell = kind(width, units, batch_first=True, bidirectional=config.bidirectional)
        self.width = units * (1 + config.bidirectional)
        for name, values in self.cell.named_parameters():
            if name.startswith("weight_ih"):
                nn.init.xavier_uniform_(values)
            elif name.startswith("weight_hh"):
                nn.init.orthogonal_(values)
            else:
                nn.init.zeros_(values)
            if config.cell == "lstm" and name.startswith("bias_ih"):
                nn.init.ones_(values[units : 2 * units])  # gates: input, forget, cell, output
            if config.cell == "lstm" and name.startswith("bias_hh"):
                values.requires_grad_(False)

    def forward(self, x: Tensor, inside: Inside) -> Tensor:
        # Looking back only, padding at the end reaches no frame before it.
        if inside.lengths is None or not self.cell.bidirectional:
            # PyTorch's LSTM is oneDNN's own layer on a CPU; narrow ones are not to be beaten step by step.
            if isinstance(self.cell, nn.GRU) and is_ours(x) and gru.is_faster(self.cell, x):
                return gru.states(self.cell, x)
            states: Tensor = self.cell(x)[0]
            return states
        # Packing refuses empty windows; whatever one frame of them gives is never gathered.
        lengths = inside.lengths.clamp(min=1)
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        padded: Tensor = pad_packed_sequence(self.cell(packed)[0], batch_first=True, total_length=x.shape[1])[0]
        return padded
