"""Scoring: the headline and its neighbours, and every way in which truth and predictions fail to fit."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import logging
import math
import operator
import pickle
from typing import Any

import numpy as np
import pytest

from affcli.errors import InputError, SchemaError, UsageError
from affcli.labels.affect import Affect
from affcli.labels.filling import filled
from affcli.metrics import METRICS, ccc, mse
from affcli.scoring import restricted, score
from affcli.scoring.classes import score_classes
from affcli.scoring.lag import ccc_at_lags
from affcli.scoring.multitask import score_multitask

NAN = float("nan")
ALL = list(METRICS)


def clip(name: str, valence: list[float], arousal: list[float] | None = None, **extra: object) -> Affect:
    made = Affect(name, np.array(valence, dtype=float), np.array(valence if arousal is None else arousal, dtype=float))
    return dataclasses.replace(made, **extra)  # type: ignore[arg-type]


def two_clips() -> tuple[list[Affect], list[Affect]]:
    """Clips on two levels: concatenated they agree far better than one by one."""
    truth = [clip("a", [0.5, 0.6, 0.5, 0.7]), clip("b", [-0.5, -0.6, -0.4, -0.5])]
    guess = [clip("a", [0.6, 0.5, 0.6, 0.6]), clip("b", [-0.4, -0.5, -0.5, -0.6])]
    return truth, guess


def test_concatenated_is_not_the_mean_over_clips() -> None:
    truth, guess = two_clips()
    scores = score(truth, guess)
    every = [np.concatenate([one.valence for one in side]) for side in (truth, guess)]
    assert scores.concatenated("ccc")["valence"] == ccc(*every)
    assert scores.mean_over_clips("ccc")["valence"] == np.mean(
        [ccc(t.valence, g.valence) for t, g in zip(truth, guess, strict=True)]
    )
    assert scores.concatenated("ccc")["mean"] > 0.9
    assert scores.mean_over_clips("ccc")["mean"] < 0.5
    assert scores.mean_over_clips("ccc")["clips"] == 2


def test_the_mean_is_that_of_valence_and_arousal() -> None:
    scores = score([clip("a", [0, 1], [0, 1])], [clip("a", [0, 1], [1, 0])])
    assert scores.concatenated("ccc") == {"valence": 1.0, "arousal": -1.0, "mean": 0.0}


def test_frames_lacking_either_label_are_left_out() -> None:
    """Joint: a -5 left in, or a frame kept for one dimension, would change both figures."""
    truth = [clip("a", [0.1, NAN, 0.3, 0.5], [0.1, 0.9, NAN, 0.2])]
    scores = score(truth, [clip("a", [0.1, 1, -1, 0.4], [0.2, -1, 1, 0.2])])
    assert scores.frames == 2
    assert scores.concatenated("mse")["valence"] == mse([0.1, 0.5], [0.1, 0.4])
    assert scores.coverage == 1.0


def test_order_and_grouping_of_clips_do_not_matter() -> None:
    generator = np.random.default_rng(5)
    truth = [clip(f"c{i}", generator.uniform(-1, 1, 40).tolist()) for i in range(9)]
    guess = [clip(t.clip, np.clip(t.valence + generator.normal(0, 0.2, 40), -1, 1).tolist()) for t in truth]
    whole = [[clip("x", np.concatenate([one.valence for one in side]).tolist())] for side in (truth, guess)]
    one = score(*whole)
    for name in METRICS:
        assert score(truth, guess).concatenated(name) == one.concatenated(name)
        assert score(truth[::-1], guess).concatenated(name) == one.concatenated(name)


def test_missing_predictions_are_an_error_that_counts_them() -> None:
    truth = [clip("a", [0.1, 0.2, NAN, 0.3]), clip("b", [0.1, 0.2])]
    guess = [clip("a", [0.1, NAN, NAN, NAN], source="p.csv"), clip("b", [NAN, 0.1], [0.1, 0.1])]
    with pytest.raises(InputError) as caught:
        score(truth, guess)
    assert "p.csv: 3 of 5 annotated frames have no prediction (first: clip 'a', frame 1)" in str(caught.value)
    assert "--missing hold, interpolate or zero" in caught.value.advice
    assert "swapped" not in caught.value.advice


def test_swapped_arguments_are_suspected() -> None:
    """Labels with gaps as predictions, and a truth without any gap."""
    with pytest.raises(InputError, match="were the arguments swapped"):
        score([clip("a", [0.1, 0.2])], [clip("a", [0.1, NAN])])


@pytest.mark.parametrize(
    ("missing", "filled"),
    [
        ("hold", [0.2, 0.2, 0.2, 0.2, 0.8, 0.8]),
        ("interpolate", [0.2, 0.2, 0.4, 0.6, 0.8, 0.8]),
        ("zero", [0.0, 0.2, 0.0, 0.0, 0.8, 0.0]),
    ],
)
def test_missing_predictions_are_filled_as_asked(missing: str, filled: list[float]) -> None:
    truth = np.linspace(-0.5, 0.5, 6).tolist()
    scores = score([clip("a", truth)], [clip("a", [NAN, 0.2, NAN, NAN, 0.8, NAN])], missing=missing)
    assert scores.coverage == pytest.approx(2 / 6)
    assert scores.frames == 6
    assert scores.concatenated("mse")["valence"] == pytest.approx(mse(truth, filled), abs=1e-15)
    assert scores.to_json(["mse"])["missing"] == missing


def test_only_the_dimension_that_lacks_a_value_is_filled() -> None:
    scores = score([clip("a", [0.5, 0.5])], [clip("a", [0.5, 0.5], [0.5, NAN])], missing="zero")
    assert scores.concatenated("mae") == {"valence": 0.0, "arousal": 0.25, "mean": 0.125}
    assert scores.coverage == 0.5


def test_a_clip_without_any_prediction_cannot_be_held() -> None:
    truth, guess = [clip("a", [0.1, 0.2])], [clip("a", [NAN, NAN])]
    for missing in ("hold", "interpolate"):
        with pytest.raises(InputError, match=f"no prediction at all, expected something to {missing}"):
            score(truth, guess, missing=missing)
    assert score(truth, guess, missing="zero").coverage == 0.0


def test_lengths_must_agree() -> None:
    truth = [clip("a", [0.1] * 5, source="gt/a.txt"), clip("b", [0.1, 0.2])]
    guess = [clip("a", [0.1] * 4, source="p/a.csv"), clip("b", [0.1, 0.2, 0.3])]
    with pytest.raises(SchemaError) as caught:
        score(truth, guess)
    assert str(caught.value).startswith("p/a.csv: clip 'a' has 4 frames (and 1 other clip), expected 5 as in gt/a.txt")
    assert "--align" in caught.value.advice


def test_crop_leaves_out_the_rest_and_says_so_in_the_coverage() -> None:
    truth = [clip("a", [0.1, 0.2, 0.3, 0.4])]
    scores = score(truth, [clip("a", [0.1, 0.2, 0.3])], align="crop")
    assert (scores.frames, scores.coverage) == (3, 0.75)
    assert score(truth, [clip("a", [0.1, 0.2, 0.3, 0.4, 0.5])], align="crop").coverage == 1.0


def test_pad_takes_the_rest_as_not_predicted() -> None:
    truth = [clip("a", [0.1, 0.2, 0.4])]
    with pytest.raises(InputError, match="1 of 3 annotated frames have no prediction"):
        score(truth, [clip("a", [0.1, 0.2])], align="pad")
    scores = score(truth, [clip("a", [0.1, 0.2])], align="pad", missing="hold")
    assert scores.frames == 3
    assert scores.concatenated("mae")["mean"] == pytest.approx(0.2 / 3)
    assert score(truth, [clip("a", [0.1, 0.2, 0.4, 0.9])], align="pad").frames == 3


def test_clips_without_prediction_are_named() -> None:
    truth = [clip(name, [0.1, 0.2]) for name in "abcdefgh"]
    with pytest.raises(InputError, match=r"lacks 7 of 8 clips: b, c, d, e, f and 2 more"):
        score(truth, [clip("a", [0.1, 0.2])])
    with pytest.raises(
        InputError, match=r"no clip in common .*\(predicted: x, y\), expected clips a, b, c, d, e and 3"
    ):
        score(truth, [clip("x", [0.1, 0.2]), clip("y", [0.1, 0.2])])


def test_clips_predicted_but_not_in_the_truth_are_left_out_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        scores = score([clip("a", [0.1, 0.2])], [clip("a", [0.1, 0.2]), clip("z", [0.1])])
    assert len(scores.clips) == 1
    assert caplog.messages == ["predictions: predicted clips that are not in the ground truth are left out: z"]


def test_two_lone_files_are_compared_whatever_they_are_called(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert score([clip("gt", [0, 1], named=False)], [clip("preds", [0, 1], named=False)]).frames == 2
        assert score([clip("talk", [0, 1], named=False)], [clip("talk", [0, 1])]).frames == 2
    assert not caplog.messages
    with caplog.at_level(logging.WARNING):
        assert score([clip("gt", [0, 1], named=False)], [clip("talk", [0, 1])]).frames == 2
    assert caplog.messages == ["clip 'talk' is compared with clip 'gt'"]
    with pytest.raises(InputError, match="no clip in common"):
        score([clip("gt", [0, 1])], [clip("talk", [0, 1])])
    with pytest.raises(InputError, match="no clip in common"):
        score([clip("gt", [0, 1], named=False)], [clip("x", [0, 1], named=False), clip("y", [0, 1])])


def test_a_truth_without_annotation_is_refused() -> None:
    for truth in ([], [clip("a", [NAN, NAN], source="gt/a.txt")]):
        with pytest.raises(InputError, match="has no annotated frame"):
            score(truth, [clip("a", [0.1, 0.2])])
    with pytest.raises(InputError, match=r"dimensions: 2 frames have valence alone, .*; --mask each"):
        score([clip("a", [0.2, 0.1], [NAN, NAN])], [clip("a", [0.1, 0.2])])
    with pytest.raises(InputError, match="dimensions: 1 frame has valence alone and 1 frame has arousal alone, "):
        score([clip("a", [NAN, 0.1], [0.1, NAN])], [clip("a", [0.1, 0.2])])
    with pytest.raises(InputError, match="no annotated frame within the length"):
        score([clip("a", [NAN, 0.1])], [clip("a", [0.1])], align="crop")


def test_clips_without_annotation_need_no_prediction() -> None:
    scores = score([clip("a", [0.1, 0.2]), clip("b", [NAN])], [clip("a", [0.1, 0.2])])
    assert [one.clip for one in scores.clips] == ["a"]


def test_constant_truth_is_undefined_and_named() -> None:
    truth = [clip("a", [0.2] * 50), clip("b", [0.1, 0.5])]
    guess = [clip("a", [0.2] * 50), clip("b", [0.1, 0.4])]
    scores = score(truth, guess)
    assert scores.undefined("ccc") == ["a"]
    assert scores.undefined("rmse") == []
    assert scores.mean_over_clips("ccc") == {**scores.clips[1].figures("ccc"), "clips": 1}
    lone = score(truth[:1], guess[:1])
    assert math.isnan(lone.concatenated("ccc")["mean"])
    plain = lone.to_json(ALL, per_clip=True)
    assert plain["concatenated"]["ccc"] == {"valence": None, "arousal": None, "mean": None}
    assert plain["mean_over_clips"]["ccc"]["clips"] == 0
    json.dumps(plain, allow_nan=False)


def test_constant_prediction_scores_zero() -> None:
    truth, _ = two_clips()
    scores = score(truth, [clip("a", [0.2] * 4), clip("b", [0.2] * 4)])
    assert scores.concatenated("ccc")["mean"] == 0.0


def test_two_clips_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="clip 'a' comes twice"):
        score([clip("a", [0.1, 0.2])], [clip("a", [0.1, 0.2]), clip("a", [0.1, 0.2])])


def test_unknown_choices_are_refused() -> None:
    truth, guess = two_clips()
    with pytest.raises(UsageError, match="missing=drop"):
        score(truth, guess, missing="drop")
    with pytest.raises(UsageError, match="align=stretch"):
        score(truth, guess, align="stretch")
    with pytest.raises(UsageError, match="mask=both"):
        score(truth, guess, mask="both")
    with pytest.raises(UsageError, match="missing=drop: is unknown, expected error, hold, interpolate, zero"):
        ccc_at_lags(truth, guess, [0.0], missing="drop")
    truth, guess = shards_of()
    for name, value in (("missing", "drop"), ("align", "stretch"), ("formula", "2022")):
        with pytest.raises(UsageError, match=f"{name}={value}"):
            score_classes("expr", truth, guess, **{name: value})
    with pytest.raises(UsageError, match="task=va: is unknown, expected expr, au"):
        score_classes("va", truth, guess)
    with pytest.raises(ValueError, match="missing=error, expected one of hold, interpolate, zero"):
        filled(np.array([NAN, 1.0]), "error")


def test_each_dimension_counts_where_it_is_annotated() -> None:
    truth = [clip("a", [0.1, NAN, 0.3, 0.5], [0.1, 0.9, NAN, 0.2])]
    guess = [clip("a", [0.1, NAN, -1, 0.4], [0.2, -1, NAN, 0.2])]
    scores = score(truth, guess, mask="each")  # what is not annotated need not be predicted
    assert (scores.frames, scores.coverage) == (4, 1.0)
    assert scores.concatenated("mse")["valence"] == mse([0.1, 0.3, 0.5], [0.1, -1, 0.4])
    assert scores.concatenated("mse")["arousal"] == mse([0.1, 0.9, 0.2], [0.2, -1, 0.2])
    with pytest.raises(InputError, match="1 of 4 annotated frames have no prediction"):
        score(truth, [clip("a", [0.1, NAN, -1, 0.4], [0.2, NAN, NAN, 0.2])], mask="each")
    filled = score(truth, [clip("a", [0.1, NAN, -1, 0.4], [0.2, NAN, NAN, 0.2])], mask="each", missing="hold")
    assert filled.coverage == 0.75
    assert filled.concatenated("mse")["arousal"] == mse([0.1, 0.9, 0.2], [0.2, 0.2, 0.2])


def test_one_dimension_alone_leaves_the_other_undefined() -> None:
    scores = score([clip("a", [0.1, 0.5], [NAN, NAN])], [clip("a", [0.1, 0.5])], mask="each")
    assert scores.concatenated("ccc")["valence"] == 1.0
    assert math.isnan(scores.concatenated("ccc")["arousal"])
    assert scores.undefined("ccc") == ["a"]


def test_worst_clips_first() -> None:
    truth = [clip(name, [0.0, 0.5]) for name in "abc"]
    guess = [clip("a", [0.1, 0.6]), clip("b", [0.0, 0.5]), clip("c", [0.5, 0.0])]
    assert [name for name, _ in score(truth, guess).ranked("ccc")] == ["c", "a", "b"]
    assert [name for name, _ in score(truth, guess).ranked("mae")] == ["c", "a", "b"]


def test_scores_of_some_clips_are_those_of_these_clips_alone() -> None:
    truth, guess = two_clips()
    part = score(truth, guess).of({"b"})
    assert part is not None
    assert part.concatenated("ccc") == score(truth[1:], guess[1:]).concatenated("ccc")
    assert score(truth, guess).of({"z"}) is None


def test_restricted_truth_is_annotated_only_there() -> None:
    truth, guess = two_clips()
    kept = restricted(truth, {"a": np.array([True, False, True, True])})
    assert [one.valid.sum() for one in kept] == [3, 0]
    assert score(kept, guess).frames == 3
    with pytest.raises(SchemaError, match="clip 'a' has 4 frames, expected 3"):
        restricted(truth, {"a": np.ones(3, bool)})


def test_a_lag_pairs_the_truth_with_later_predictions() -> None:
    times = np.arange(5) * 100_000
    truth = [clip("a", [0.0, 0.1, 0.5, 0.2, 0.3], time_us=times)]
    guess = [clip("a", [0.9, 0.0, 0.1, NAN, 0.2])]
    curve = ccc_at_lags(truth, guess, [-0.1, 0.0, 0.1, 9.0], missing="hold")
    assert curve[1]["valence"] == ccc([0.0, 0.1, 0.5, 0.2, 0.3], [0.9, 0.0, 0.1, 0.1, 0.2])
    assert curve[2]["valence"] == ccc([0.0, 0.1, 0.5, 0.2], [0.0, 0.1, 0.1, 0.2])
    assert curve[0]["valence"] == ccc([0.1, 0.5, 0.2, 0.3], [0.9, 0.0, 0.1, 0.1])
    assert math.isnan(curve[3]["mean"])
    with pytest.raises(InputError, match="1 of 5 annotated frames"):
        ccc_at_lags(truth, guess, [0.0])
    far = ccc_at_lags(truth, guess, [-1e308, 1e308], missing="hold")
    assert all(math.isnan(one["mean"]) for one in far)
    lone = clip("b", [0.4], time_us=np.zeros(1, np.int64))
    both = ccc_at_lags([*truth, lone], [*guess, lone], [0.0, 0.1], missing="hold")
    assert both[0]["valence"] == ccc([0.0, 0.1, 0.5, 0.2, 0.3, 0.4], [0.9, 0.0, 0.1, 0.1, 0.2, 0.4])
    assert both[1] == curve[2]  # a clip of one frame has none to be moved to
    with pytest.raises(InputError, match="no times"):
        ccc_at_lags([clip("a", [0.1, 0.2])], [clip("a", [0.1, 0.2])], [0.0])


def shards_of(seed: int = 7) -> tuple[list[Affect], list[Affect]]:
    """Clips of all tasks; of the last ones, units are annotated that are nowhere in the first."""
    random = np.random.default_rng(seed)
    sides: tuple[list[Affect], list[Affect]] = ([], [])
    for number in range(6):
        n = 40 + number
        known = random.random(n) < 0.9
        for side, noise in zip(sides, (0.0, 0.3), strict=True):
            values = np.random.default_rng(number).uniform(-0.7, 0.7, (2, n)) + random.uniform(-noise, noise, (2, n))
            expression = random.integers(0, 8, n).astype(np.int8)
            units = {name: random.integers(0, 2, n).astype(np.int8) for name in ("au1", "au12")}
            if side is sides[0]:
                values[:, ~known], expression[~known] = NAN, -1
                units = units if number > 3 else {"au1": units["au1"]}
            side.append(clip(f"c{number}", *map(np.ndarray.tolist, values), expression=expression, action_units=units))
    return sides


def same(one: Any, other: Any) -> bool:
    """Whether scores tell the same of all clips, to the last bit, in whatever order they have them."""
    if hasattr(one, "concatenated"):
        figures = [(s.concatenated(n), s.mean_over_clips(n)) for s in (one, other) for n in METRICS]
        return figures[: len(METRICS)] == figures[len(METRICS) :] and (one.frames, one.coverage) == (
            other.frames,
            other.coverage,
        )
    return bool(one.figures() == other.figures() and one.counts() == other.counts())


@pytest.mark.parametrize(
    "scorer",
    [
        score,
        functools.partial(score, mask="each"),
        functools.partial(score_classes, "expr"),
        functools.partial(score_classes, "au", formula="2020"),
        score_multitask,
    ],
)
def test_scores_of_shards_joined_are_those_of_the_whole_to_the_last_bit(scorer: Any) -> None:
    truth, guess = shards_of()
    whole = scorer(truth, guess)
    for cuts in ((0, 3, 6), (0, 1, 2, 3, 4, 5, 6), (0, 5, 6)):
        # From other processes, by pickle.
        parts = [pickle.loads(pickle.dumps(scorer(truth[i:j], guess[i:j]))) for i, j in itertools.pairwise(cuts)]
        assert functools.reduce(operator.add, parts) == whole
        for seed in range(5):
            order = np.random.default_rng(seed).permutation(len(parts))
            assert same(functools.reduce(operator.add, [parts[i] for i in order]), whole)
    with pytest.raises(InputError, match=r"shards: have c0, c1, c2, c3, c4 and 1 more in common"):
        whole + whole
    with pytest.raises(UsageError, match="shards: were scored with missing error and zero"):
        scorer(truth[:3], guess[:3]) + scorer(truth[3:], guess[3:], missing="zero")
