"""Smoothing over time."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.ndimage
import scipy.signal
from numpy.typing import NDArray

from affcli import smoothing
from affcli.errors import UsageError
from affcli.smoothing import METHODS, Smoothing, canonical, parse, smooth, smooth_both

EVERY = sorted(METHODS)
INNER = slice(20, -20)  # where no window reaches beyond an end


def noise(n: int = 200, seed: int = 0) -> NDArray[np.float64]:
    return np.random.default_rng(seed).uniform(-1, 1, n)


def at_25(n: int) -> NDArray[np.int64]:
    return np.arange(n, dtype=np.int64) * 40_000


def by(text: str, values: NDArray[np.float64], time_us: NDArray[np.int64] | None = None) -> NDArray[np.float64]:
    return smooth(values, at_25(len(values)) if time_us is None else time_us, parse(text)["valence"])


def test_by_hand() -> None:
    values = np.array([0, 3, 9, 6, 0], np.float64)
    assert by("mean:3", values).tolist() == [1.5, 4, 6, 5, 3]
    assert by("median:3", values).tolist() == [1.5, 3, 6, 6, 3]
    falls = np.exp(-2)  # one frame away is one half window away: two standard deviations
    assert by("gaussian:3", values)[[0, 2]] == pytest.approx(
        [3 * falls / (1 + falls), (9 + 9 * falls) / (1 + 2 * falls)], abs=1e-14
    )
    # Windows have the variances 2.25, 14, 6, 14 and 9, so the noise is 9.05: beyond it are the frames 1 and 3.
    assert by("wiener:3", values) == pytest.approx([1.5, 4 - 4.95 / 14, 6, 5 + 4.95 / 14, 3], abs=1e-14)


def test_wiener_of_three_frames_has_these_variances() -> None:
    values = [0, 3, 9, 6, 0]
    found = [np.var(values[max(0, i - 1) : i + 2]) for i in range(5)]
    assert found == pytest.approx([2.25, 14, 6, 14, 9], abs=1e-14)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 10])
@pytest.mark.parametrize("method", EVERY)
@pytest.mark.parametrize("window", ["2s", "7", "0.01s", "1", "3600s"])
def test_every_frame_of_a_short_clip_gets_a_finite_value(method: str, window: str, n: int) -> None:
    found = by(f"{method}:{window}", noise(n))
    assert found.shape == (n,) and np.isfinite(found).all()
    if window in ("0.01s", "1"):
        assert found.tolist() == noise(n).tolist()


@pytest.mark.parametrize("method", EVERY)
def test_seconds_are_frames_where_the_rate_is_constant(method: str) -> None:
    # 0.24 s reach three frames of 0.04 s to either side, and 0.28 s no further.
    frames = by(f"{method}:7", noise())
    assert by(f"{method}:0.24s", noise()) == pytest.approx(frames, abs=1e-12)
    if method != "gaussian":  # its weights are wider by as much as the window is
        assert by(f"{method}:0.28s", noise()) == pytest.approx(frames, abs=1e-12)


def test_inside_a_clip_the_methods_are_those_of_scipy() -> None:
    values = noise()
    assert by("mean:15", values)[INNER] == pytest.approx(scipy.ndimage.uniform_filter1d(values, 15)[INNER], abs=1e-14)
    assert by("median:15", values).tolist()[INNER] == scipy.signal.medfilt(values, 15).tolist()[INNER]
    gauss = scipy.ndimage.gaussian_filter1d(values, 3.5, truncate=2)  # radius round(2 x 3.5) = 7
    assert by("gaussian:15", values)[INNER] == pytest.approx(gauss[INNER], abs=1e-14)
    savgol = scipy.signal.savgol_filter(values, 15, 2)
    assert by("savgol:15", values)[INNER] == pytest.approx(savgol[INNER], abs=1e-13)
    variances = [np.var(values[max(0, i - 7) : i + 8]) for i in range(len(values))]
    wiener = scipy.signal.wiener(values, 15, noise=np.mean(variances))
    assert by("wiener:15", values)[INNER] == pytest.approx(wiener[INNER], abs=1e-12)


@pytest.mark.parametrize("method", EVERY)
def test_a_constant_stays_and_zeros_are_no_nan(method: str) -> None:
    times = np.cumsum(np.random.default_rng(1).integers(1, 90_000, 60))
    assert by(f"{method}:1s", np.zeros(60), times).tolist() == [0] * 60
    assert by(f"{method}:1s", np.full(60, 0.3), times) == pytest.approx(np.full(60, 0.3), abs=1e-13)


def test_a_parabola_passes_savgol_at_any_times_ends_included() -> None:
    times = np.cumsum(np.random.default_rng(2).integers(1, 90_000, 80))
    t = times / times[-1]
    values = 0.2 + t - 1.5 * t**2
    assert by("savgol:1s", values, times) == pytest.approx(values, abs=1e-12)
    assert np.abs(by("mean:1s", values, times) - values).max() > 0.01


def test_savgol_where_times_crowd_is_a_line() -> None:
    times = np.array([0, 1, 2, 1_500_000_000, 1_500_000_001, 1_500_000_002])
    found = by("savgol:3600s", np.array([0, 1, 2, 7, 9, 8], np.float64), times)
    assert found == pytest.approx([1, 1, 1, 8, 8, 8], abs=1e-6)


def test_savgol_in_a_window_far_longer_than_the_clip_is_one_parabola() -> None:
    values = noise(12)
    t = np.arange(12) / 11
    assert by("savgol:3600s", values) == pytest.approx(np.polyval(np.polyfit(t, values, 2), t), abs=1e-12)


def test_seconds_are_those_of_the_frames_where_the_rate_varies() -> None:
    # Ten frames a second, then one frame a second: a window of a second holds up to eleven frames, then one.
    times = np.array([*range(0, 2_000_000, 100_000), *range(3_000_000, 8_000_000, 1_000_000)])
    values = noise(len(times))
    found = by("mean:1s", values, times)
    assert found[10] == pytest.approx(values[5:16].mean(), abs=1e-15)
    assert found[19] == pytest.approx(values[14:20].mean(), abs=1e-15)
    assert found[20:].tolist() == values[20:].tolist()
    assert by("mean:11", values, times)[21] != found[21]


@pytest.mark.parametrize("method", EVERY)
@pytest.mark.parametrize("window", ["2s", "7"])
def test_no_frames_are_no_frames(method: str, window: str) -> None:
    assert by(f"{method}:{window}", np.zeros(0)).shape == (0,)


def test_both_dimensions_each_in_its_way() -> None:
    affect, time_us = np.stack([noise(), noise(seed=1)], axis=-1), at_25(200)
    before = affect.copy()
    found = smooth_both(affect, time_us, parse("valence=mean:1s,arousal=median:15"))
    assert found[:, 0].tolist() == by("mean:1s", noise()).tolist()
    assert found[:, 1].tolist() == by("median:15", noise(seed=1)).tolist()
    one = smooth_both(affect, time_us, parse("arousal=mean:1s"))
    assert one[:, 0].tolist() == noise().tolist() and one[:, 1].tolist() == by("mean:1s", noise(seed=1)).tolist()
    assert smooth_both(affect, time_us, {}).tolist() == affect.tolist() == before.tolist()


@pytest.mark.parametrize("method", EVERY)
def test_pieces_of_the_work_and_shifted_times_change_nothing(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    times = np.cumsum(np.random.default_rng(3).integers(20_000, 60_000, 150))
    whole = by(f"{method}:0.9s", noise(150), times)
    assert by(f"{method}:0.9s", noise(150), times + 10**12).tolist() == whole.tolist()
    monkeypatch.setattr(smoothing, "_CELLS_AT_ONCE", 64)
    assert by(f"{method}:0.9s", noise(150), times).tolist() == whole.tolist()
    backwards = by(f"{method}:0.9s", noise(150)[::-1], times[-1] - times[::-1])[::-1]
    assert backwards == pytest.approx(whole, abs=1e-12)  # centred: the past weighs as the future does


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("none", {}),
        ("mean:2s", {"valence": "mean:2s", "arousal": "mean:2s"}),
        ("mean:2.0s", {"valence": "mean:2s", "arousal": "mean:2s"}),
        ("wiener:35", {"valence": "wiener:35", "arousal": "wiener:35"}),
        ("arousal=median:0.5s", {"arousal": "median:0.5s"}),
        ("arousal=savgol:9, valence=gaussian:.25s", {"valence": "gaussian:0.25s", "arousal": "savgol:9"}),
        ("mean:0.00001s", {"valence": "mean:0.00001s", "arousal": "mean:0.00001s"}),
        ("valence=none,arousal=none", {}),
    ],
)
def test_what_can_be_asked_for(text: str, wanted: dict[str, str]) -> None:
    found = parse(text)
    assert {name: str(one) for name, one in found.items()} == wanted
    assert parse(canonical(found)) == found


def test_what_means_the_same_is_written_the_same() -> None:
    assert canonical(parse("arousal=mean:2.0s,valence=mean:2s")) == "mean:2s"
    assert canonical(parse("arousal=mean:4s, valence=mean:2s")) == "valence=mean:2s,arousal=mean:4s"
    assert canonical(parse("valence=none")) == "none"
    assert str(Smoothing("mean", 0.5, "s")) == "mean:0.5s"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "--smooth : is not what it takes, expected none, auto, or METHOD:2s"),
        ("mean", "--smooth mean: is not what it takes"),
        ("mean:-2s", "is not what it takes"),
        ("mean:2m", "is not what it takes"),
        ("mean:nan", "is not what it takes"),
        ("auto", "is not what it takes"),
        ("box:2s", "names 'box', which is no method, expected one of mean, median, gaussian, savgol, wiener"),
        ("mean:0s", "has a window of 0s, expected more than 0, at most 3600"),
        ("mean:3601s", "has a window of 3601s"),
        ("mean:4", "has a window of 4 frames, expected an odd number of frames, or seconds such as 2s"),
        ("mean:2.5", "has a window of 2.5 frames"),
        ("mean:1e9", "is not what it takes"),
        ("mood=mean:2s", "names 'mood', which is no dimension"),
        ("valence=mean:2s,valence=mean:3s", "names valence twice, expected each of valence and arousal at most once"),
        ("valence=mean:2s,mean:3s", "names 'mean:3s', which is no dimension"),
        ("valence=", "is not what it takes, expected none, or METHOD:2s"),
        ("valence=auto", "is not what it takes, expected none, or METHOD:2s"),
    ],
)
def test_what_cannot_be_asked_for(text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(text)
    assert message in str(error.value)
