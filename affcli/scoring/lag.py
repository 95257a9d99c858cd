"""CCC against lag: how late predictions are, or the annotators who are to be predicted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from affcli.decomposition import at_lag
from affcli.errors import InputError
from affcli.labels.affect import DIMENSIONS, Affect
from affcli.metrics import Moments
from affcli.scoring.pairs import aligned, matched, require_known, require_predictions


def ccc_at_lags(
    truth: Sequence[Affect],
    prediction: Sequence[Affect],
    lags: Sequence[float],
    *,
    missing: str = "error",
    align: str | None = None,
    mask: str = "joint",
) -> list[dict[str, float]]:
    """CCC over all frames of all clips, with every prediction moved by each of the `lags`, in seconds.

    At lag s the truth of time t meets the prediction of time t + s: the best lag is above 0 where the prediction comes
    too late, below 0 where the truth does.  Seconds become whole frames by each clip's own median frame period; what is
    moved past an end of its clip is left out.  The other arguments are those of `score`.  Figures are NaN where
    undefined.  Raises InputError where neither side of a clip tells times, and as `score` does.
    """
    require_known(missing=missing, align=align, mask=mask)
    matches = matched(list(truth), list(prediction), mask)
    pairs = aligned(matches, align, mask)
    if missing == "error":
        require_predictions(pairs)
    sums = [dict.fromkeys(DIMENSIONS, Moments()) for _ in lags]
    for pair, sides in zip(pairs, matches, strict=True):
        period, guess = _period(*sides), pair.predictions(missing)
        for name in DIMENSIONS:
            known = np.where(pair.compared(name), getattr(pair.truth, name), np.nan)
            for place, lag in enumerate(lags):
                sums[place][name] += at_lag(known, guess[name], _frames(lag, period, len(known)))
    curve = []
    for lag, both in zip(lags, sums, strict=True):
        figures = {name: moments.ccc() for name, moments in both.items()}
        curve.append({"seconds": lag, **figures, "mean": sum(figures.values()) / len(figures)})
    return curve


def _frames(lag: float, period: float, count: int) -> int:
    """Seconds in frames, `count` at most, which is past every end."""
    return round(min(max(lag / period, -count), count))


def _period(truth: Affect, prediction: Affect) -> float:
    """The median time from a frame to the next, seconds; of a lone frame that of the clock, so that any lag is past."""
    times = prediction.time_us if truth.time_us is None else truth.time_us
    if times is None:
        raise InputError(
            truth.source or "ground truth",
            f"clip '{truth.clip}' has no times of its frames, nor has it in {prediction.source or 'its predictions'}",
            expected="affect tables with times on either side (text has none), or --times",
            advice="name by --times DIR the directory of the clips' faces or audio tables, or leave out --lag",
        )
    return float(np.median(np.diff(times)) if len(times) > 1 else 1) / 1e6
