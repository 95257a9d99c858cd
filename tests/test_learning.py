"""Learning that is really there: a signal in time that no model of single frames finds, and labels that are missing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from affcli import metrics
from affcli.configs import GruFusion, M3t, Training
from affcli.prediction import predict
from affcli.training.crops import ClipCrops
from affcli.training.data import ClipData, WindowedClips, fit_standardisation
from affcli.training.fit import Fit, new_model
from affcli.training.sight import Sight
from affcli.windows import FeatureSet, cut

torch.set_num_threads(1)
CPU = torch.device("cpu")

FRAMES, WIDTH = 600, 6
LAG, SPAN = 6, 5  # frames from a feature to the end of what it does to the labels
KEPT = 0.9  # of a feature from frame to frame: what is now tells something of what was
NOISE = 0.04  # standard deviation, in the labels; these have .2
TRAIN, VAL, TEST = range(12), range(100, 103), range(200, 203)  # clips


def clip(seed: int, dropped: float = 0.0) -> ClipData:
    """Six features that mix two random curves, and labels that follow the mean of each, 6 to 10 frames earlier.

    A share `dropped` of the frames is not annotated.
    """
    rng = np.random.default_rng(seed)
    steps, noise = rng.normal(0, 1, (FRAMES + 100, 2)), rng.normal(0, 1, (FRAMES, WIDTH))
    curves = np.zeros((FRAMES + 100, 2))
    for frame in range(1, len(curves)):  # variance 1
        curves[frame] = KEPT * curves[frame - 1] + np.sqrt(1 - KEPT**2) * steps[frame]
    earlier = np.mean([np.roll(curves, LAG + k, axis=0) for k in range(SPAN)], axis=0)[100:]
    labels = np.clip(0.35 * np.tanh(earlier / 0.6) + rng.normal(0, NOISE, (FRAMES, 2)), -1, 1)
    mixed = 10 + 3 * curves[100:] @ np.random.default_rng(99).normal(0, 1, (2, WIDTH)) + 0.3 * noise
    labelled = rng.random(FRAMES) >= dropped
    every = np.ones(FRAMES, np.bool_)
    hidden = np.where(labelled[:, None], labels, np.nan)
    return ClipData(str(seed), {"hog": mixed.astype(np.float32)}, {"hog": every}, hidden, labelled)


def windowed(clips: list[ClipData]) -> WindowedClips:
    starts, lengths = cut(FRAMES, 90, 45)
    many = len(clips)
    return WindowedClips(clips, np.repeat(np.arange(many), len(starts)), np.tile(starts, many), np.tile(lengths, many))


def learnt(seed: int = 0, dropped: float = 0.0) -> tuple[float, float]:
    """CCC of valence and arousal on test clips, of a small GRU; labels of train and val clips may be missing."""
    train = windowed([clip(one, dropped) for one in TRAIN]).with_labels()
    val, test = (windowed(clips) for clips in ([clip(one, dropped) for one in VAL], [clip(one) for one in TEST]))
    scale = fit_standardisation(train)
    config = GruFusion(face_units=(48,), head_units=32, dropout=0.0)
    settings = Training(loss="ccc", optimizer="adam", lr=0.01, schedule="onecycle", batch=8, epochs=24, seed=seed)
    model = new_model("gru-face", {"hog": FeatureSet(WIDTH, "face", {})}, config, seed)
    for epoch in Fit(model, train.standardised(scale), val.standardised(scale), settings, CPU):
        if epoch.improved:
            best = {name: values.clone() for name, values in model.state_dict().items()}
    model.load_state_dict(best)
    found = predict(model, test.standardised(scale).batches(64), test.frames, CPU)
    return metrics.ccc(test.labels[:, 0], found[:, 0]), metrics.ccc(test.labels[:, 1], found[:, 1])


@pytest.fixture(scope="module")
def of_all_labels() -> tuple[float, float]:
    return learnt()


def frames(clips: range) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features (n, d), standardised as those of the train clips, with a column of ones, and labels (n, 2)."""
    data = [clip(one) for one in clips]
    scale = fit_standardisation(windowed([clip(one) for one in TRAIN]))
    features = np.concatenate([one.features["hog"] for one in data])
    rows = (features - scale.mean["hog"]) / scale.std["hog"]
    return np.column_stack([rows, np.ones(len(rows))]), np.concatenate([one.labels for one in data])


@pytest.mark.parametrize("ridge", [0.0, 1.0, 100.0])
def test_a_linear_model_of_frames_misses_the_signal(ridge: float) -> None:
    features, labels = frames(TRAIN)
    penalty = ridge * np.diag([1.0] * WIDTH + [0.0])
    weights = np.linalg.solve(features.T @ features + penalty, features.T @ labels)
    features, truth = frames(TEST)
    found = features @ weights
    for column in (0, 1):
        assert 0.2 < metrics.ccc(truth[:, column], found[:, column]) < 0.6
        # Least squares shrink a curve; stretched as one may, its CCC would not exceed the correlation.
        assert metrics.pcc(truth[:, column], found[:, column]) < 0.6


def test_a_gru_finds_the_signal(of_all_labels: tuple[float, float]) -> None:
    assert min(of_all_labels) > 0.9


def test_three_tenths_of_the_labels_are_hardly_missed(of_all_labels: tuple[float, float]) -> None:
    part = learnt(dropped=0.3)
    for with_all, without in zip(of_all_labels, part, strict=True):
        assert abs(with_all - without) < 0.03
    assert part != of_all_labels


def seen_clips(seeds: range) -> WindowedClips:
    """Clips of 64 frames: valence is how bright a noisy crop was above four frames ago, arousal how bright below."""
    clips = []
    for seed in seeds:
        rng = np.random.default_rng(seed)
        walks = np.cumsum(rng.normal(0, 0.15, (80, 2)), axis=0)
        shown = 0.8 * np.sin(walks + rng.uniform(0, 6, 2))
        pictures = rng.normal(128, 25, (80, 112, 112, 3))
        pictures[:, :56] += 60 * shown[:, 0, None, None, None]
        pictures[:, 56:] += 60 * shown[:, 1, None, None, None]
        crops = np.clip(pictures[4:68], 0, 255).astype(np.uint8)
        whole = np.ones(64, np.bool_)
        clips.append(ClipData(f"c{seed}", {}, {}, shown[:64], whole, crops=ClipCrops(f"c{seed}", crops, whole)))
    starts, lengths = cut(64, 16, 8)
    which = np.repeat(np.arange(len(clips)), len(starts))
    windows = WindowedClips(clips, which, np.tile(starts, len(clips)), np.tile(lengths, len(clips)))
    return windows.seeing(Sight(112))


def test_a_network_that_sees_learns_what_pictures_show() -> None:
    network = M3t(channels=(6, 8, 8, 12, 12), visual_units=12)
    settings = Training(loss="ccc", optimizer="adam", lr=5e-3, batch=8, epochs=8, schedule="cosine", seed=0)
    model = new_model("m3t-visual", {}, network, 0)
    scores = [epoch.scores for epoch in Fit(model, seen_clips(range(6)), seen_clips(range(6, 8)), settings, CPU)]
    assert max(one["valence"] for one in scores) > 0.7 and max(one["arousal"] for one in scores) > 0.7
