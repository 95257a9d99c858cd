"""Makes statistics.json: intervals and a permutation test by SciPy, a foreign implementation, of synthetic clips.

SciPy resamples an index of clips, by the draws of NumPy's generator that affcli makes, too; the concordance of each
resample is worked out by NumPy from all its frames.
Run by hand: python tests/golden/make_statistics.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import scipy
from scipy import stats

TARGET = Path(__file__).with_name("statistics.json")
CLIPS, FEW, FRAMES = 20, 9, 12


def ccc(truth: np.ndarray, prediction: np.ndarray) -> np.ndarray:
    """Concordance over the last axis, population moments."""
    t, p = truth - truth.mean(-1, keepdims=True), prediction - prediction.mean(-1, keepdims=True)
    apart = truth.mean(-1) - prediction.mean(-1)
    return 2 * (t * p).mean(-1) / ((t**2).mean(-1) + (p**2).mean(-1) + apart**2)


def main() -> None:
    random = np.random.default_rng(22)
    middle = random.normal(0, 0.3, (CLIPS, 1))
    truth = (middle + random.normal(0, 0.2, (CLIPS, FRAMES))).round(3)
    a = (0.7 * truth + 0.1 + random.normal(0, 0.15, truth.shape)).round(3)
    b = (0.5 * truth + random.normal(0, 0.05, (CLIPS, 1)) + random.normal(0, 0.2, truth.shape)).round(3)

    def of_clips(index: np.ndarray, axis: int) -> np.ndarray:
        index = np.moveaxis(index, axis, -1)
        return ccc(truth[index].reshape(*index.shape[:-1], -1), a[index].reshape(*index.shape[:-1], -1))

    intervals = {}
    for method in ("percentile", "BCa"):
        found = stats.bootstrap(
            (np.arange(CLIPS),), of_clips, n_resamples=10_000, batch=2000, method=method, rng=np.random.default_rng(1)
        )
        intervals[method.lower()] = [float(found.confidence_interval.low), float(found.confidence_interval.high)]

    # Systems are swapped with their clip: each sample is the place of a clip, in a's half or in b's.
    halves = np.concatenate([a[:FEW], b[:FEW]])

    def difference(of_a: np.ndarray, of_b: np.ndarray) -> float:
        whole = truth[:FEW].ravel()
        return float(ccc(whole, halves[of_a].ravel()) - ccc(whole, halves[of_b].ravel()))

    tested = stats.permutation_test(
        (np.arange(FEW), np.arange(FEW) + FEW), difference, permutation_type="samples", n_resamples=np.inf
    )
    content = {
        "about": f"SciPy {scipy.__version__}: 10,000 resamples of seed 1; all swaps of {FEW} clips",
        "truth": truth.tolist(),
        "a": a.tolist(),
        "b": b.tolist(),
        "intervals": intervals,
        "few": FEW,
        "difference": float(tested.statistic),
        # SciPy doubles the smaller one-sided p-value, which is the same: swapping every clip turns the sign.
        "p": float(tested.pvalue),
    }
    TARGET.write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
