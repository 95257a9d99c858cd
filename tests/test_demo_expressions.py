"""The expression labels of the demo's clips: by rule, from their valence and arousal."""

from __future__ import annotations

import numpy as np

from affcli.labels.affect import EXPRESSIONS
from affcli.synthetic.clip import synthesise
from affcli.synthetic.curves import quadrant_expression
from affcli.synthetic.dataset import demo_clips


def test_each_quadrant_has_its_expression() -> None:
    valence = np.array([0.5, -0.5, -0.5, 0.5, 1.0, -1.0])
    arousal = np.array([0.5, 0.5, -0.5, -0.5, 0.05, -0.05])
    found = quadrant_expression(valence, arousal)
    assert found.dtype == np.int8
    assert [EXPRESSIONS[number] for number in found] == [
        *("Happiness", "Anger", "Sadness", "Neutral"),
        *("Happiness", "Sadness"),
    ]


def test_near_the_axes_nobody_could_tell() -> None:
    valence = np.array([0.049, -0.049, 0.5, 0.5, 0.0, np.nan, 0.5])
    arousal = np.array([0.5, -0.5, 0.049, -0.049, 0.0, 0.5, np.nan])
    assert quadrant_expression(valence, arousal).tolist() == [-1] * 7


def test_the_demo_shows_all_four_in_its_training_clips_and_has_undecided_frames() -> None:
    found = []
    for clip in demo_clips(quick=True):
        if clip.split == "train":
            made = synthesise(clip.plan)
            found.append(quadrant_expression(made.valence, made.arousal))
    numbers, counts = np.unique(np.concatenate(found), return_counts=True)
    assert numbers.tolist() == [-1, 0, 1, 4, 5]
    assert counts.min() > 50
