"""What networks are trained for: terms of the loss over parts of a batch, scores; networks that see or are frozen."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from affcli.configs import M3t, Training
from affcli.training.crops import ClipCrops
from affcli.training.data import ClipData, WindowedClips, fit_standardisation
from affcli.training.estimate import estimate
from affcli.training.feed import Feed
from affcli.training.fit import Fit, new_model
from affcli.training.optimisation import Optimisation
from affcli.training.sight import Sight
from affcli.training.starts import valid_windows
from affcli.training.state import packed, unpacked
from affcli.training.tasks import Affect, task_of
from affcli.training.world import ALONE, World
from affcli.windows import FeatureSet, cut

torch.set_num_threads(1)
CPU = torch.device("cpu")
FRAMES, SIDE = 40, 116
SETS = {"hog": FeatureSet(5, "face", {}), "mel": FeatureSet(4, "audio", {})}
SMALL = {"channels": (2, 3, 3, 4, 4), "visual_units": 3, "audio_units": 3, "fusion_units": 3}
SEES = M3t(static="emotion", expressions=7, action_units=("au1", "au2"), missing="previous", order="bgr", **SMALL)  # type: ignore[arg-type]


def clip(i: int, encoders: tuple[str, ...] = ("hog",)) -> ClipData:
    """Forty frames, one without a face; expressions in a third of them, none in those of clip 1; two action units."""
    rng = np.random.default_rng(i)
    t = np.arange(FRAMES)
    affect = 0.7 * np.stack([np.sin(t / 9 + i), np.cos(t / 7 + i)], axis=-1)
    expression = np.where((t % 3 == 0) & (i != 1), rng.integers(0, 7, FRAMES), -1).astype(np.int8)
    units = np.where(t[:, None] > 10 * i, rng.integers(0, 2, (FRAMES, 2)), -1).astype(np.int8)
    vectors = {name: rng.normal(size=(FRAMES, SETS[name].width)).astype(np.float32) for name in encoders}
    whole = np.ones(FRAMES, np.bool_)
    return ClipData(
        f"c{i}",
        vectors,
        dict.fromkeys(encoders, whole),
        affect,
        whole,
        crops=ClipCrops(f"c{i}", rng.integers(0, 256, (FRAMES, SIDE, SIDE, 3), dtype=np.uint8), t != 5),
        flipped={"hog": -vectors["hog"]} if "hog" in vectors else {},
        expression=expression,
        action_units=units,
    )


def windows(clips: list[ClipData]) -> WindowedClips:
    starts, lengths = cut(FRAMES, 8, 4)
    which = np.repeat(np.arange(len(clips)), len(starts))
    return WindowedClips(clips, which, np.tile(starts, len(clips)), np.tile(lengths, len(clips)))


class Frames(nn.Module):
    """A linear network, frame by frame, that remembers how many windows it was given at a time."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(5, outputs)
        self.given: list[int] = []

    def forward(self, inputs: Mapping[str, Tensor], inside: Tensor) -> Tensor:
        self.given.append(len(inside))
        said: Tensor = self.layer(inputs["hog"])
        return said


@pytest.mark.parametrize("over", ["annotated", "all"])
def test_gradients_of_parts_add_up_with_expressions_and_action_units(over: str) -> None:
    """Of the parts, one has no expression at all, and another no action unit."""
    config = Training(expression_over=over, expression_weight=0.8, optimizer="sgd", momentum=0.0, lr=0.5)
    task, train = Affect(7, 2), windows([clip(i) for i in range(4)])
    counts = task.counts(train, config)
    assert counts.shape == (len(train), 3) and counts[:, 0].all()
    found = []
    for parts in (1, 4):
        torch.manual_seed(0)
        model = Frames(11)
        optimisation = Optimisation(model, config, CPU, 1, task=task)
        each = np.array_split(np.arange(len(train)), parts)
        loss = optimisation.step([train.gather(one) for one in each], np.stack([counts[one].sum(0) for one in each]))
        found.append((float(loss), *(one.detach().clone() for one in model.parameters())))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


def test_a_term_of_which_nothing_is_annotated_is_0() -> None:
    config, found = Training(optimizer="sgd", momentum=0.0), []
    train = windows([dataclasses.replace(clip(i), expression=None, action_units=None) for i in range(2)])
    for task in (Affect(7, 2), Affect()):
        torch.manual_seed(0)
        model, counts = Frames(11), task.counts(train, config)
        assert counts[:, 0].all() and not counts[:, 1:].any()
        optimisation = Optimisation(model, config, CPU, 1, task=task)
        found.append(float(optimisation.step([train.gather(np.arange(9))], counts[:9].sum(0, keepdims=True))))
    assert found[0] == found[1] > 0


def test_expressions_and_action_units_are_scored_where_they_are_annotated() -> None:
    class Says(nn.Module):
        """Class 2 everywhere; the first action unit, never the second."""

        def forward(self, inputs: Mapping[str, Tensor], inside: Tensor) -> Tensor:
            said = torch.tensor([0, 0, 1.0, 1, -1, 0, 0]).repeat(*inside.shape, 1)
            said[..., -2:] = inputs["hog"][..., :2]
            return said

    one = clip(0)
    expression, units = np.full(FRAMES, -1, np.int8), np.full((FRAMES, 2), -1, np.int8)
    expression[:5] = [2, 2, 2, 0, 1]
    units[:4, 0] = [1, 1, 0, 0]
    clips = [dataclasses.replace(one, expression=expression, action_units=units), clip(1)]
    clips[1] = dataclasses.replace(clips[1], expression=None, action_units=None)
    scores = Affect(3, 2).scores(Says(), windows(clips), 4, CPU, ALONE)
    assert scores["expression_accuracy"] == pytest.approx(3 / 5)
    assert scores["expression_f1"] == pytest.approx((6 / 8 + 0 + 0) / 3)
    assert scores["au_f1"] == pytest.approx(4 / 6)  # nothing is known of the second
    bare = [dataclasses.replace(one, expression=None, action_units=None) for one in clips]
    assert set(Affect(3, 2).scores(Says(), windows(bare), 4, CPU, ALONE)) == {"valence", "arousal", "mean"}
    none = {"expression": np.full(FRAMES, -1, np.int8), "action_units": np.full((FRAMES, 2), -1, np.int8)}
    silent = [dataclasses.replace(one, **none) for one in clips]  # type: ignore[arg-type]
    assert set(Affect(3, 2).scores(Says(), windows(silent), 4, CPU, ALONE)) == {"valence", "arousal", "mean"}


def test_no_more_windows_are_validated_at_a_time_than_are_trained() -> None:
    model, train = Frames(2), windows([clip(i) for i in range(3)])
    list(Fit(model, train, windows([clip(3)]), Training(batch=12, accumulate=4, epochs=1), CPU))
    assert max(model.given) == 3


def test_a_batch_in_parts_is_seen_as_the_whole() -> None:
    train = windows([clip(i) for i in range(2)]).seeing(Sight(SIDE))
    seen = []
    for accumulate in (1, 3):
        config = Training(batch=7, accumulate=accumulate, jitter=0.1, cutout=20)
        feed = Feed(train, config, Affect().counts(train, config))
        parts = [part.pixels for batch, _, _ in feed.batches(feed.order()) for part in batch]
        names = ("values", "flipped", "holes", "light")
        seen.append([np.concatenate([getattr(one, name) for one in parts]) for name in names])
    for whole, same in zip(*seen, strict=True):
        assert np.array_equal(whole, same)


def test_the_size_of_a_training_that_sees_is_that_of_a_few_windows_for_all() -> None:
    train = windows([clip(i) for i in range(3)]).seeing(Sight.of(SIDE, SEES))
    sizes = []
    for batch in (4, 12):
        model = new_model("m3t-visual", {"hog": SETS["hog"]}, SEES, 0)
        given: list[int] = []
        model.register_forward_pre_hook(lambda _, inputs, given=given: given.append(len(inputs[1])))
        sizes.append(estimate(model, train, Training(batch=batch)))
        assert given == [4] and sizes[-1].part == batch and sizes[-1].output == (batch, 8, 11)
    assert sizes[1].batch_bytes == 3 * sizes[0].batch_bytes


def begin(
    config: Training,
    network: M3t = SEES,
    kept: Mapping[str, Any] | None = None,
    frozen: bool = False,
    world: World = ALONE,
) -> tuple[Fit, nn.Module]:
    """A small network that sees; with `kept`, the weights and the state that it goes on with."""
    encoders = ("hog",) if network.streams == "visual" else ("hog", "mel")
    train, val = (windows([clip(i, encoders) for i in some]) for some in (range(3), range(3, 5)))
    scale, sight = fit_standardisation(train), Sight.of(SIDE, network)
    if config.per_clip:
        train = valid_windows(train.clips, 8, config.missing_share)
    model = new_model("m3t-visual", {name: SETS[name] for name in encoders}, network, 0)
    if frozen:
        model.freeze_encoders()  # type: ignore[operator]
    if kept:
        model.load_state_dict(kept["weights"])
    train, val = (one.standardised(scale).seeing(sight) for one in (train, val))
    state = kept["fit"] if kept else None
    return Fit(model, train, val, config, CPU, task=task_of(network), state=state, world=world), model


AUGMENTED = Training(
    loss="ccc", optimizer="adam", lr=0.01, weight_decay=1e-4, clip=1.0, batch=6, epochs=3, per_clip=5, cutout=16,
    jitter=0.2,
)  # fmt: skip


@pytest.mark.parametrize(
    "more",
    [
        {"ema": 0.9, "accumulate": 2, "precision": "bf16"},
        {"balance": "valence", "missing_share": 0.25, "schedule": "cyclic"},
        {"per_clip": 0, "schedule": "plateau", "plateau_patience": 0},
    ],
    ids=["half", "balanced", "cut"],
)
def test_a_network_that_sees_goes_on_to_the_same_bits(more: dict[str, Any]) -> None:
    config = dataclasses.replace(AUGMENTED, **more)
    fit, model = begin(config)
    unbroken = list(fit)
    first, other = begin(config)
    epochs = list(itertools.islice(first, 1))
    plain, tensors = packed({"weights": dict(other.state_dict()), "fit": first.state()})
    torch.manual_seed(99)
    second, resumed = begin(config, kept=unpacked(plain, tensors))
    assert epochs + list(second) == unbroken
    assert all(torch.equal(one, resumed.state_dict()[name]) for name, one in model.state_dict().items())


@pytest.mark.parametrize(
    "more",
    [
        {"optimizer": "adamw", "ema": 0.5},
        {"optimizer": "rmsprop", "precision": "bf16"},
        {"optimizer": "sgd", "accumulate": 2, "ema": 0.9},
    ],
    ids=lambda more: more["optimizer"],
)
def test_frozen_encoders_stay_whatever_trains(more: dict[str, Any]) -> None:
    network = dataclasses.replace(SEES, streams="audio-visual", fusion="attention")
    config = dataclasses.replace(AUGMENTED, weight_decay=0.5, epochs=2, **more)
    fit, model = begin(config, network, frozen=True)
    before = {name: values.clone() for name, values in model.state_dict().items()}
    for _ in fit:
        for name, values in model.state_dict().items():
            assert torch.equal(values, before[name]) == name.startswith(("visual.", "audio.")), name
