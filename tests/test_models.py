"""Networks: what every registered one must do, and what is particular to GRU fusion."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from affcli.configs import GruFusion as Config
from affcli.errors import SchemaError, UsageError
from affcli.models import MODELS, inputs_of
from affcli.models.gru_fusion import GruFusion

torch.set_num_threads(1)


@dataclass(frozen=True)
class Set:
    width: int
    modality: str


SETS = {"mel": Set(6, "audio"), "hog": Set(9, "face"), "openface": Set(7, "pose")}


def build(name: str, seed: int = 0) -> tuple[nn.Module, dict[str, Set]]:
    torch.manual_seed(seed)
    taken = inputs_of(name, SETS)
    return MODELS[name].resolve()(taken, MODELS[name].config()), taken


def inputs(taken: dict[str, Set], b: int, t: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return {name: torch.randn(b, t, one.width, generator=generator) for name, one in taken.items()}


def all_inside(b: int, t: int) -> Tensor:
    return torch.ones(b, t, dtype=torch.bool)


@pytest.mark.parametrize("name", list(MODELS))
@pytest.mark.parametrize(("b", "t"), [(3, 5), (1, 5), (3, 1), (1, 1)])
@pytest.mark.parametrize("training", [True, False])
def test_output_is_valence_and_arousal_of_every_frame(name: str, b: int, t: int, training: bool) -> None:
    model, taken = build(name)
    affect = model.train(training)(inputs(taken, b, t), all_inside(b, t))
    assert affect.shape == (b, t, 2)
    assert affect.dtype == torch.float32
    assert affect.isfinite().all() and (affect.abs() <= 1).all()


@pytest.mark.parametrize("name", list(MODELS))
def test_gradient_reaches_every_parameter(name: str) -> None:
    model, taken = build(name)
    model.train()(inputs(taken, 4, 6), all_inside(4, 6)).square().sum().backward()
    dead = [key for key, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not dead


@pytest.mark.parametrize("name", list(MODELS))
def test_padding_reaches_no_other_frame(name: str) -> None:
    model, taken = build(name)
    long = inputs(taken, 3, 8)
    inside = all_inside(3, 8)
    inside[1, 5:] = False
    other = {key: values.clone() for key, values in long.items()}
    for values in other.values():
        values[1, 5:] = 1e3
    short = {key: values[:, :5] for key, values in long.items()}
    with torch.no_grad():
        for training in (True, False):  # in training, the statistics of a batch must not see the padding either
            outputs = []
            for features in (long, other):
                torch.manual_seed(2)
                outputs.append(model.train(training)(features, inside)[inside])
            assert torch.equal(*outputs)
        alone = model.eval()(short, all_inside(3, 5))
        padded = model(long, inside)
    assert torch.allclose(padded[:, :5], alone, atol=1e-6)


@pytest.mark.parametrize("name", list(MODELS))
def test_the_same_seed_builds_the_same_network(name: str) -> None:
    one, other, third = build(name)[0], build(name)[0], build(name, seed=1)[0]
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), third.parameters(), strict=True))


AUDIO, EXPNET, FACEPOSE = Set(168, "audio"), Set(2048, "face"), Set(714, "pose")


@pytest.mark.parametrize(
    ("sets", "trainable", "with_statistics"),
    [
        ({"audio": AUDIO}, 156_610, 156_994),
        ({"expnet": EXPNET}, 2_233_666, 2_234_818),
        ({"audio": AUDIO, "expnet": EXPNET, "facepose": FACEPOSE}, 2_494_466, 2_496_386),
    ],
)
def test_parameter_counts_at_the_widths_of_the_paper(
    sets: dict[str, Set], trainable: int, with_statistics: int
) -> None:
    model = GruFusion(sets, Config())
    assert sum(p.numel() for p in model.parameters()) == trainable
    statistics = [b.numel() for name, b in model.named_buffers() if not name.endswith("num_batches_tracked")]
    assert trainable + sum(statistics) == with_statistics


def test_initial_weights_are_those_of_keras() -> None:
    torch.manual_seed(0)
    model = GruFusion({"expnet": EXPNET}, Config())
    kernel, recurrent, *biases = (p.detach() for p in model.branches[0].layers[0].cell.parameters())
    limit = math.sqrt(6 / (2048 + 3 * 256))  # Glorot: fans in and out of the whole kernel, three gates
    assert kernel.abs().max() <= limit
    assert float(kernel.std()) == pytest.approx(limit / math.sqrt(3), rel=0.01)
    assert torch.allclose(recurrent.T @ recurrent, torch.eye(256), atol=1e-5)
    assert all((bias == 0).all() for bias in [*biases, model.hidden.bias, model.affect.bias])
    assert (model.slope.weight == 0).all() and model.slope.weight.shape == (64,)


def test_batch_statistics_are_of_the_frames_inside() -> None:
    torch.manual_seed(0)
    model = GruFusion({"openface": Set(2, "pose")}, Config())
    inside = torch.tensor([[True, True, True], [True, False, False]])
    features = torch.randn(2, 3, 2)
    model.train()({"openface": features}, inside)
    branch = model.branches[0]
    layer = branch.layers[0](features)[inside]  # 4 frames
    norm = branch.settle[0].norm
    assert torch.allclose(norm.running_mean, layer.mean(0), atol=1e-6)  # the first batch counts whole
    assert torch.allclose(norm.running_var, layer.var(0), atol=1e-6)


def test_running_statistics_are_a_plain_mean_and_then_move_slowly() -> None:
    model = GruFusion({"openface": Set(2, "pose")}, Config())
    settle = model.branches[0].settle[0]
    for value in range(150):
        settle.train()(torch.full((2, 3, 128), float(value)), all_inside(2, 3))
        if value == 98:
            assert settle.norm.running_mean[0] == pytest.approx(49, rel=1e-4)  # mean of 0 .. 98
    expected = 49.5
    for value in range(100, 150):
        expected += 0.01 * (value - expected)
    assert settle.norm.running_mean[0] == pytest.approx(expected, rel=1e-4)


def test_a_model_takes_the_sets_of_its_modality() -> None:
    assert list(inputs_of("gru-fusion", SETS)) == ["hog", "mel", "openface"]
    assert inputs_of("gru-audio", SETS) == {"mel": SETS["mel"]}
    assert inputs_of("gru-face", SETS) == {"hog": SETS["hog"]}
    assert inputs_of("gru-pose", SETS) == {"openface": SETS["openface"]}


def test_sets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match=r"no audio features among hog \(face\)"):
        inputs_of("gru-audio", {"hog": SETS["hog"]})
    with pytest.raises(UsageError, match="choose with --encoder hog"):
        inputs_of("gru-face", {**SETS, "resnet": Set(3, "face")})
    with pytest.raises(UsageError, match="did you mean 'gru-audio'"):
        inputs_of("gru-audo", SETS)
    with pytest.raises(SchemaError, match="modality 'smell'"):
        inputs_of("gru-fusion", {"nose": Set(3, "smell")})
