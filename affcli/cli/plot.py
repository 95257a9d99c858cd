"""Curves in the terminal, from the dots of Braille characters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # of a Braille cell: [column][row], from the top
_BLANK = 0x2800


def curve(values: Sequence[float], width: int, height: int) -> list[str]:
    """Lines that draw values from -1 (bottom) to 1 (top), `width` characters wide and `height` high.

    A column of dots shows the mean of its share of the values.
    """
    columns, rows = 2 * width, 4 * height
    cells = [[0] * width for _ in range(height)]
    for column in range(columns):
        start = column * len(values) // columns
        share = values[start : max(start + 1, (column + 1) * len(values) // columns)]
        mean = min(1.0, max(-1.0, sum(share) / len(share)))
        row = round((1 - mean) / 2 * (rows - 1))
        cells[row // 4][column // 2] |= _DOTS[column % 2][row % 4]
    return ["".join(chr(_BLANK + cell) for cell in line) for line in cells]


def panel(title: str, values: Sequence[float], seconds: float, width: int = 72, height: int = 5) -> str:
    """A curve with its scale and its length in seconds."""
    lines = curve(values, width, height)
    marks = {0: "+1", height // 2: " 0", height - 1: "-1"}
    body = [f"{marks.get(i, ''):>4} |{line}" for i, line in enumerate(lines)]
    return "\n".join([f"     {title}", *body, f"      0 s{f'{seconds:.1f} s':>{width - 3}}"])


def rising(rates: Sequence[float], losses: Sequence[float], width: int = 72, height: int = 8) -> str:
    """Losses over learning rates that rise by one factor from step to step: a logarithmic axis, with powers of ten.

    From the lowest loss up to half as much again above it as the highest one before it: what is above is drawn there,
    since a loss that runs away would leave the others flat.
    """
    low, high = min(losses), max(losses)
    before = max(losses[: list(losses).index(low) + 1])
    top = min(high, low + 1.5 * (before - low)) if before > low else high
    spread = (top - low) or 1.0
    drawn = curve([2 * (value - low) / spread - 1 for value in losses], width, height)
    marks = {0: f"{'>' if high > top else ''}{top:.3f}", height - 1: f"{low:.3f}"}
    lines = [f"{'':>8} loss in training (running mean) by learning rate"]
    lines += [f"{marks.get(i, ''):>8}|{line}" for i, line in enumerate(drawn)]
    first, last = math.log10(rates[0]), math.log10(rates[-1])
    axis = ""
    for power in range(math.ceil(first - 1e-9), math.floor(last + 1e-9) + 1):
        place = round((power - first) / ((last - first) or 1.0) * (width - 1))
        mark = f"1e{power}"
        if not axis or place > len(axis):
            axis = f"{axis:<{place}}{mark}"
    axis = axis or f"{rates[0]:.1e} to {rates[-1]:.1e}"
    return "\n".join([*lines, f"{'':>9}{axis}"])


def learning(epochs: Sequence[Mapping[str, float]], width: int = 72) -> str:
    """Loss and validation scores over the epochs of a training, as metrics.jsonl has them; each on its own scale."""
    titles = {
        "train_loss": "loss in training",
        "val_ccc_valence": "validation CCC of valence",
        "val_ccc_arousal": "validation CCC of arousal",
        "val_expression_f1": "validation F1 of expressions",
        "val_au_f1": "validation F1 of action units",
        "val_accuracy": "share of validation windows whose person is told",
    }
    lines = []
    for name, title in titles.items():
        if name not in epochs[0]:
            continue
        values = [epoch[name] for epoch in epochs]
        low, high = min(values), max(values)
        spread = (high - low) or 1.0
        drawn = curve([2 * (value - low) / spread - 1 for value in values], width, 4)
        marks = {0: f"{high:.3f}", 3: f"{low:.3f}"}
        lines += [f"{'':>8} {title}", *(f"{marks.get(i, ''):>8}|{line}" for i, line in enumerate(drawn))]
    first, last = f"epoch {epochs[0]['epoch']:.0f}", f"{epochs[-1]['epoch']:.0f}"
    return "\n".join([*lines, f"{'':>9}{first}{last:>{width - len(first)}}"])
