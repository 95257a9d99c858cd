"""The smoothing that validation clips ask for."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from affcli import metrics
from affcli.smoothing import parse, smooth
from affcli.training.tuning import LADDER, TIE, Curves, tune


def clip(
    prediction: NDArray[np.floating],
    truth: NDArray[np.floating],
    labelled: NDArray[np.bool_] | None = None,
    period: int = 40_000,
) -> Curves:
    n = len(truth)
    every = np.ones(n, np.bool_) if labelled is None else labelled
    return Curves(prediction, truth, every, np.arange(n, dtype=np.int64) * period)


def noisy(seed: int, n: int, noise: tuple[float, float]) -> Curves:
    """Slow curves around a level of the clip's own, and white noise on what is said of them."""
    rng = np.random.default_rng(seed)
    t = np.arange(n)[:, None] / 25
    truth = 0.4 * np.sin(t / rng.uniform(1, 3, 2) + rng.uniform(0, 6, 2)) + rng.uniform(-0.4, 0.4, 2)
    return clip(truth + rng.normal(0, 1, (n, 2)) * noise, truth)


def test_the_ladder_begins_with_the_lightest() -> None:
    assert [str(one) for one in LADDER[:4]] == ["median:0.25s", "gaussian:0.25s", "mean:0.25s", "median:0.5s"]
    assert len({str(one) for one in LADDER}) == len(LADDER) == 21
    assert str(LADDER[-1]) == "mean:16s"
    # Of equal windows, white noise is left by a median most and by a mean least.
    rng = np.random.default_rng(0)
    noise, time_us = rng.normal(0, 1, 20_000), np.arange(20_000, dtype=np.int64) * 40_000
    left = [smooth(noise, time_us, one).var() for one in LADDER]
    assert left == sorted(left, reverse=True)


def test_the_best_of_the_ladder_is_found_for_each_dimension() -> None:
    clips = [noisy(seed, n, (0.2, 0.6)) for seed, n in enumerate((300, 700, 40))]
    found = parse(tune(clips))
    assert found["valence"] != found["arousal"]
    for column, name in enumerate(("valence", "arousal")):
        truth = np.concatenate([one.truth[:, column] for one in clips])
        plain = metrics.ccc(truth, np.concatenate([one.prediction[:, column] for one in clips]))
        scores = {
            str(how): metrics.ccc(
                truth, np.concatenate([smooth(one.prediction[:, column], one.time_us, how) for one in clips])
            )
            for how in LADDER
        }
        best = max(scores.values())
        assert best > plain + 0.01
        assert str(found[name]) == next(how for how, score in scores.items() if score >= best - TIE)


def test_only_what_is_helped_is_smoothed() -> None:
    valence = tune([noisy(0, 500, (0.5, 0.0))])
    assert valence.startswith("valence=") and "arousal" not in valence
    arousal = tune([noisy(0, 500, (0.0, 0.5))])
    assert arousal.startswith("arousal=") and "valence" not in arousal
    assert tune([noisy(0, 500, (0.0, 0.0))]) == "none"


def test_what_is_best_for_both_is_said_once() -> None:
    one = noisy(0, 500, (0.5, 0.0))
    twice = clip(one.prediction[:, [0, 0]], one.truth[:, [0, 0]])
    assert tune([twice]) == tune([one]).removeprefix("valence=")


def test_clips_are_smoothed_apart_and_their_order_does_not_matter() -> None:
    # Levels jump from clip to clip, and a clip of 2 s, all of one level, is best smoothed as a whole.
    rng = np.random.default_rng(0)
    truth = [np.full((50, 2), (-1) ** i * 0.5) for i in range(10)]
    clips = [clip(one + rng.normal(0, 0.3, one.shape), one) for one in truth]
    assert tune(clips) == tune(clips[::-1])
    assert {how.window for how in parse(tune(clips)).values()} == {4}  # reaches over all 2 s from each of the frames
    joined = clip(np.concatenate([one.prediction for one in clips]), np.concatenate(truth))
    assert parse(tune([joined]))["valence"].window <= 1


def test_of_equals_the_lightest_is_taken() -> None:
    # Clips of two frames that err to either side: the middle of both is right, for a median as for a mean.
    truth = [np.full((2, 2), level) for level in (-0.5, 0.0, 0.5)]
    error = np.array([[0.2, 0.2], [-0.2, -0.2]])
    assert tune([clip(one + error, one) for one in truth]) == "median:0.25s"


@pytest.mark.parametrize(("error", "wanted"), [(0.002, "none"), (0.05, "median:0.25s")])
def test_a_gain_that_no_paper_would_show_is_none(error: float, wanted: str) -> None:
    truth = [np.full((2, 2), level) for level in (-0.5, 0.0, 0.5)]
    apart = np.array([[error, error], [-error, -error]])
    clips = [clip(one + apart, one) for one in truth]
    t, p = np.concatenate([one.truth for one in clips]), np.concatenate([one.prediction for one in clips])
    assert metrics.ccc(t[:, 0], p[:, 0]) < 1
    assert (1 - metrics.ccc(t[:, 0], p[:, 0]) < TIE) == (wanted == "none")
    assert tune(clips) == wanted


def test_windows_are_of_time_and_not_of_frames() -> None:
    one = noisy(1, 600, (0.5, 0.5))
    slow = dataclasses.replace(one, time_us=one.time_us * 4)
    windows = [{name: how.window for name, how in parse(tune([each])).items()} for each in (one, slow)]
    assert windows[1] == {name: 4 * window for name, window in windows[0].items()}


def test_frames_without_labels_are_smoothed_over_and_not_scored() -> None:
    one = noisy(2, 400, (0.4, 0.4))
    labelled = np.arange(400) % 3 == 0
    hidden = np.where(labelled[:, None], one.truth, np.nan)
    part = tune([dataclasses.replace(one, truth=hidden, labelled=labelled)])
    assert part == tune([dataclasses.replace(one, labelled=labelled)])
    wild = np.where(labelled[:, None], one.prediction, 100)  # they are in the windows of the others
    assert tune([dataclasses.replace(one, prediction=wild, labelled=labelled)]) == "none" != part
    idle = dataclasses.replace(one, labelled=np.zeros(400, np.bool_))
    assert tune([one, idle]) == tune([one])


def test_where_no_concordance_is_defined_nothing_is_smoothed() -> None:
    one = noisy(0, 100, (0.5, 0.5))
    assert tune([]) == "none"
    assert tune([dataclasses.replace(one, labelled=np.zeros(100, np.bool_))]) == "none"
    assert tune([dataclasses.replace(one, truth=np.full((100, 2), 0.1))]) == "none"
    assert tune([dataclasses.replace(one, prediction=np.full((100, 2), 0.1))]) == "none"  # a CCC of 0, whatever is done


def test_single_precision_will_do_and_nothing_is_changed() -> None:
    one = noisy(3, 300, (0.4, 0.4))
    single = dataclasses.replace(one, prediction=one.prediction.astype(np.float32), truth=one.truth.astype(np.float32))
    before = single.prediction.copy()
    assert tune([single]) == tune([one])
    assert (single.prediction == before).all()


def test_a_prediction_that_is_no_number_is_refused() -> None:
    one = noisy(0, 100, (0.5, 0.5))
    one.prediction[5, 1] = np.nan
    with pytest.raises(ValueError, match="holds nan at index 5"):
        tune([one])
