"""What a concordance is made of: Lin's parts by hand and by torchmetrics, and CCC against lag."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from affcli.decomposition import LagCurve, decompose
from affcli.metrics import Moments, ccc

GOLDEN = Path(__file__).parent / "golden"
PAIRS = json.loads((GOLDEN / "ccc_audmetric.json").read_text())["cases"]
FOREIGN = json.loads((GOLDEN / "torchmetrics.json").read_text())["cases"]


def curves(n: int, seed: int = 0) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    """A slow truth, and a prediction that is smaller, higher and noisy: (n,) each."""
    random = np.random.default_rng(seed)
    truth = np.cumsum(random.normal(0, 0.05, n))
    return truth, 0.5 * truth + 0.1 + random.normal(0, 0.02, n)


def test_by_hand() -> None:
    """Means 1/2 and 1; variances 1/6 and 1/24; covariance 1/12."""
    parts = decompose(Moments.from_arrays([0.0, 0.5, 1.0], [0.75, 1.0, 1.25]))
    assert parts.correlation == 1.0 and parts.scale == 2.0
    assert parts.shift == pytest.approx(-0.5 / math.sqrt(1 / 12), rel=1e-15)
    assert parts.accuracy == pytest.approx(2 / (2 + 1 / 2 + 0.25 * 12), rel=1e-15)
    assert parts.ccc == pytest.approx((2 / 12) / (1 / 6 + 1 / 24 + 1 / 4), rel=1e-15)


@pytest.mark.parametrize("name", PAIRS)
def test_the_parts_make_the_whole(name: str) -> None:
    moments = Moments.from_arrays(PAIRS[name]["truth"], PAIRS[name]["prediction"])
    parts = decompose(moments)
    assert (parts.ccc, parts.correlation) == (moments.ccc(), moments.pcc())
    assert parts.ccc == pytest.approx(parts.correlation * parts.accuracy, rel=1e-14)
    assert parts.accuracy == pytest.approx(2 / (parts.scale + 1 / parts.scale + parts.shift**2), rel=1e-14)


@pytest.mark.parametrize("name", FOREIGN)
def test_torchmetrics_agrees(name: str) -> None:
    """Sample moments leave correlation and scale as they are, and make of the shift squared (n - 1) / n of it."""
    pair, other = PAIRS[name], FOREIGN[name]
    moments = Moments.from_arrays(pair["truth"], pair["prediction"])
    parts, n = decompose(moments), moments.count
    shift_squared = parts.shift**2 * (n - 1) / n
    of_sample_moments = 2 * parts.correlation / (parts.scale + 1 / parts.scale + shift_squared)
    # torchmetrics' own rounding shows at an offset of 1000.
    assert of_sample_moments == pytest.approx(other["ccc_of_sample_moments"], rel=1e-8)
    assert parts.correlation == pytest.approx(other["pcc"], rel=1e-8)
    assert (moments.mse(), moments.mae()) == pytest.approx((other["mse"], other["mae"]), rel=1e-8)


def test_merged_clips_have_the_parts_of_the_whole() -> None:
    truth, said = curves(100)
    merged = Moments.from_arrays(truth[:30], said[:30]) + Moments.from_arrays(truth[30:], said[30:])
    assert decompose(merged) == decompose(Moments.from_arrays(truth, said))


def test_signs_and_sizes_say_what_is_wrong() -> None:
    truth, _ = curves(200)
    apart = truth.std()
    small = decompose(Moments.from_arrays(truth, truth / 4))
    assert small.scale == 4.0 and small.correlation == pytest.approx(1, abs=1e-12)
    high = decompose(Moments.from_arrays(truth, truth + 0.25))
    assert high.scale == pytest.approx(1, abs=1e-12) and high.shift == pytest.approx(-0.25 / apart, rel=1e-10)
    against = decompose(Moments.from_arrays(truth, -truth))
    assert against.correlation == -1 and against.scale == 1 and against.accuracy > 0 > against.ccc


def test_constant_sequences() -> None:
    for truth in ([], [0.2, 0.2]):
        assert all(math.isnan(part) for part in vars(decompose(Moments.from_arrays(truth, truth))).values())
    for said, shift in ((0.5, math.nan), (0.25, math.inf), (0.75, -math.inf)):
        parts = decompose(Moments.from_arrays([0.0, 1.0], [said] * 2))
        assert (parts.ccc, parts.correlation, parts.accuracy, parts.scale) == (0, 0, 0, math.inf)
        assert parts.shift == pytest.approx(shift, nan_ok=True)


def test_sizes_far_apart() -> None:
    parts = decompose(Moments.from_arrays([0.0, 1e130], [0.0, 1e-130]))
    assert (parts.ccc, parts.correlation) == (1e-260, 1.0)
    assert (parts.accuracy, parts.scale) == pytest.approx((1e-260, 1e260), rel=1e-15, abs=0)
    assert parts.shift == pytest.approx(1e130, rel=1e-15)
    beyond = decompose(Moments.from_arrays([0.0, 1e139], [1.0, 1.0 + 1e-15]))
    assert beyond.scale == pytest.approx(1e139 / np.spacing(1.0) / 5, rel=1e-12)
    tiny = decompose(Moments.from_arrays([0.0, 1.0], [0.0, 1e-200]))
    assert (tiny.scale, tiny.correlation) == (1e200, 1.0)


def test_lags_are_slices_of_the_curves() -> None:
    truth, said = curves(40)
    curve = LagCurve.from_arrays(truth, said, 3)
    assert curve.lags == range(-3, 4)
    for lag, found in zip(curve.lags, curve.ccc(), strict=True):
        expected = ccc(truth[: 40 - lag], said[lag:]) if lag >= 0 else ccc(truth[-lag:], said[:lag])
        assert found == expected
    assert [moments.count for moments in curve.moments] == [37, 38, 39, 40, 39, 38, 37]


@pytest.mark.parametrize("late", [-4, 0, 3])
def test_the_best_lag_is_how_late_the_prediction_is(late: int) -> None:
    truth, _ = curves(200)
    curve = LagCurve.from_arrays(truth, np.roll(truth, late), 6)
    assert curve.best() == late
    assert curve.ccc()[6 + late] == 1.0


def test_frames_without_a_value_pair_with_none() -> None:
    truth, said = curves(30)
    truth[[3, 4, 20]] = np.nan
    said[[4, 9]] = np.nan
    curve = LagCurve.from_arrays(truth, said, 2)
    for lag, found in zip(curve.lags, curve.moments, strict=True):
        pairs = [(truth[i], said[i + lag]) for i in range(30) if 0 <= i + lag < 30]
        pairs = [pair for pair in pairs if not np.isnan(pair).any()]
        assert found == Moments.from_arrays(*np.transpose(pairs))


def test_clips_are_shifted_apart_and_joined() -> None:
    ones, others = curves(30, 1), curves(50, 2)
    joined = LagCurve.from_arrays(*ones, 2) + LagCurve.from_arrays(*others, 2)
    truth = np.concatenate([ones[0][:28], others[0][:48]])
    assert joined.ccc()[4] == ccc(truth, np.concatenate([ones[1][2:], others[1][2:]]))
    with pytest.raises(ValueError, match="5 and 3 lags"):
        joined + LagCurve.from_arrays(*ones, 1)


def test_lags_beyond_a_clip_and_ties() -> None:
    short = LagCurve.from_arrays([0.0, 1.0], [0.0, 1.0], 4)
    assert [moments.count for moments in short.moments] == [0, 0, 0, 1, 2, 1, 0, 0, 0]
    assert short.best() == 0
    assert LagCurve.from_arrays([0.5] * 4, [0.0, 1, 0, 1], 1).best() is None
    wave = [0.0, 1.0] * 6
    assert LagCurve.from_arrays(wave, wave[::-1], 3).best() == -1  # 1 and 3 are as good
    assert LagCurve.from_arrays([], [], 1).best() is None


def test_curves_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="furthest=-1"):
        LagCurve.from_arrays([0.0], [0.0], -1)
    with pytest.raises(ValueError, match=r"\(2,\) and \(1,\)"):
        LagCurve.from_arrays([0.0, 1.0], [0.0], 1)
    with pytest.raises(ValueError, match="holds inf"):
        LagCurve.from_arrays([0.0, math.inf], [0.0, 1.0], 1)
