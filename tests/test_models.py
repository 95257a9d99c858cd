"""Networks: what every registered one must do, and what is particular to GRU fusion."""

from __future__ import annotations

import dataclasses
import functools
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from affcli import recipes
from affcli.configs import BilstmFusion, M3tIdentity, Sighted, Windows
from affcli.configs import GruFusion as Config
from affcli.errors import SchemaError, UsageError
from affcli.models import MODELS, inputs_of, sees
from affcli.models.gru_fusion import GruFusion, Norm, Settle
from affcli.models.m3t import M3t
from affcli.training import checkpoint
from affcli.training.data import Standardisation
from affcli.training.description import Description
from affcli.training.fit import new_model
from affcli.windows import FeatureSet

torch.set_num_threads(1)


@dataclass(frozen=True)
class Set:
    width: int
    modality: str


SETS = {"mel": Set(6, "audio"), "hog": Set(9, "face"), "openface": Set(7, "pose")}
ACTIONS = {"tcae": Set(5, "face")}  # for the network that takes two sets of faces
SMALL = {"channels": (4, 5, 6, 7, 8), "visual_units": 4, "audio_units": 3, "scorer_units": 3, "fusion_units": 4}
NAMES = list(MODELS)
OF_AFFECT = [name for name in NAMES if MODELS[name].config is not M3tIdentity]
OF_FEATURES = [name for name in NAMES if not sees(MODELS[name].settings())]


def build(name: str, seed: int = 0) -> tuple[nn.Module, dict[str, Set]]:
    """A network, small enough for a test, and what it reads."""
    torch.manual_seed(seed)
    config = MODELS[name].settings()
    fields = {field.name for field in dataclasses.fields(config)}
    if isinstance(config, Sighted):
        config = dataclasses.replace(config, **{key: value for key, value in SMALL.items() if key in fields})
    taken = inputs_of(name, {**SETS, **ACTIONS} if getattr(config, "static", "") == "emotion-tcae" else SETS, config)
    taken = {**taken, **({"clip": Set(0, "video")} if sees(config) else {})}
    return MODELS[name].resolve()({key: one for key, one in taken.items() if one.width}, config), taken


def inputs(taken: dict[str, Set], b: int, t: int) -> dict[str, Tensor]:
    """Features, b first and then t; and clips, if any, likewise: their frames are where each takes them from."""
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.randn(b, t, one.width, generator=generator)
        if one.width
        else torch.rand(b, t, 3, 112, 112, generator=generator) * 2 - 1
        for name, one in taken.items()
    }


def said(model: nn.Module, features: dict[str, Tensor], inside: Tensor) -> Tensor:
    """What a network says: clips go in as (b, 3, t, h, w)."""
    return model({key: one.transpose(1, 2) if key == "clip" else one for key, one in features.items()}, inside)


def all_inside(b: int, t: int) -> Tensor:
    return torch.ones(b, t, dtype=torch.bool)


@pytest.mark.parametrize("name", OF_AFFECT)
@pytest.mark.parametrize(("b", "t"), [(3, 5), (1, 5), (3, 1), (1, 1)])
@pytest.mark.parametrize("training", [True, False])
def test_output_is_valence_and_arousal_of_every_frame(name: str, b: int, t: int, training: bool) -> None:
    model, taken = build(name)
    affect = said(model.train(training), inputs(taken, b, t), all_inside(b, t))
    assert affect.shape == (b, t, 2 + getattr(MODELS[name].settings(), "expressions", 0))
    assert affect.dtype == torch.float32
    assert affect.isfinite().all() and (isinstance(model, M3t) or (affect.abs() <= 1).all())


@pytest.mark.parametrize("name", NAMES)
def test_gradient_reaches_every_parameter(name: str) -> None:
    model, taken = build(name)
    said(model.train(), inputs(taken, 4, 6), all_inside(4, 6)).square().sum().backward()
    trained = {key: p for key, p in model.named_parameters() if p.requires_grad}
    dead = [key for key, p in trained.items() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not dead


@pytest.mark.parametrize("name", OF_AFFECT)
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
                outputs.append(said(model.train(training), features, inside)[inside])
            assert torch.equal(*outputs)
        alone = said(model.eval(), short, all_inside(3, 5))
        padded = said(model, long, inside)
    assert torch.allclose(padded[1, :5], alone[1], atol=1e-6)
    assert (padded[1, 5:] == 0).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("training", [True, False])
def test_a_window_without_any_frame_inside_changes_nothing(name: str, training: bool) -> None:
    model, taken = build(name)
    features, inside = inputs(taken, 3, 6), all_inside(3, 6)
    inside[2] = False
    two = {key: values[:2] for key, values in features.items()}
    outputs = []
    for one, frames in ((features, inside), (two, all_inside(2, 6))):
        torch.manual_seed(2)
        with torch.no_grad():
            outputs.append(said(model.train(training), one, frames)[:2])
    assert torch.allclose(*outputs, atol=1e-5)


@pytest.mark.parametrize("name", OF_AFFECT)
def test_only_bidirectional_networks_look_ahead(name: str) -> None:
    model, taken = build(name)
    features = inputs(taken, 2, 6)
    other = {key: values.clone() for key, values in features.items()}
    for values in other.values():
        values[:, 5] += 1
    with torch.no_grad():
        one, two = (said(model.eval(), x, all_inside(2, 6))[:, :5] for x in (features, other))
    assert torch.equal(one, two) == (name in OF_FEATURES and not name.startswith(("bilstm", "m3t")))


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_builds_the_same_network(name: str) -> None:
    one, other, third = build(name)[0], build(name)[0], build(name, seed=1)[0]
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), third.parameters(), strict=True))


AUDIO, EXPNET, FACEPOSE = Set(168, "audio"), Set(2048, "face"), Set(714, "pose")


ALL = {"audio": AUDIO, "expnet": EXPNET, "facepose": FACEPOSE}


@pytest.mark.parametrize(
    ("name", "trainable", "with_statistics"),
    [
        ("gru-audio", 156_610, 156_994),
        ("gru-expnet", 2_233_666, 2_234_818),
        ("gru-fusion", 2_494_466, 2_496_386),
        ("bilstm-fusion", 7_185_154, 7_188_610),
    ],
)
def test_parameter_counts_at_the_widths_of_the_paper(name: str, trainable: int, with_statistics: int) -> None:
    model = MODELS[name].resolve()(inputs_of(name, ALL), MODELS[name].config())
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == trainable
    statistics = [b.numel() for key, b in model.named_buffers() if not key.endswith("num_batches_tracked")]
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


def test_initial_weights_of_an_lstm_are_those_of_keras() -> None:
    torch.manual_seed(0)
    cell = GruFusion({"mel": AUDIO}, BilstmFusion()).branches[0].layers[0].cell
    values = {name: p.detach() for name, p in cell.named_parameters()}
    limit = math.sqrt(6 / (168 + 4 * 128))
    for way in ("", "_reverse"):
        kernel, recurrent = values[f"weight_ih_l0{way}"], values[f"weight_hh_l0{way}"]
        assert 0.99 * limit < kernel.abs().max() <= limit
        assert torch.allclose(recurrent.T @ recurrent, torch.eye(128), atol=1e-5)
        forget = torch.zeros(4, 128)
        forget[1] = 1
        assert torch.equal(values[f"bias_ih_l0{way}"], forget.flatten())
        assert (values[f"bias_hh_l0{way}"] == 0).all()
    assert not torch.equal(values["weight_ih_l0"], values["weight_ih_l0_reverse"])


def test_the_second_bias_of_an_lstm_is_not_trained() -> None:
    model = GruFusion({"mel": Set(3, "audio")}, BilstmFusion(audio_units=(4,)))
    fixed = [name for name, p in model.named_parameters() if not p.requires_grad]
    assert fixed == [f"branches.0.layers.0.cell.bias_hh_l0{way}" for way in ("", "_reverse")]


@pytest.mark.parametrize(("variance", "correction"), [("population", 0), ("sample", 1)])
def test_batch_statistics_are_of_the_frames_inside(variance: str, correction: int) -> None:
    torch.manual_seed(0)
    model = GruFusion({"openface": Set(2, "pose")}, Config(norm_variance=variance))
    inside = torch.tensor([[True, True, True], [True, False, False]])
    features = torch.randn(2, 3, 2)
    model.train()({"openface": features}, inside)
    branch = model.branches[0]
    layer = branch.layers[0](features)[inside]  # 4 frames
    norm = branch.settle[0].norm
    assert torch.allclose(norm.running_mean, layer.mean(0), atol=1e-6)  # the first batch counts whole
    assert torch.allclose(norm.running_var, layer.var(0, correction=correction), atol=1e-6)
    model({"openface": 2 * features}, inside)  # the backward pass of one batch, after the statistics of another
    model({"openface": features}, inside).sum().backward()
    twice = branch.layers[0](2 * features)[inside]
    expected = (2 * layer.var(0, correction=correction) + twice.var(0, correction=correction)) / 3
    assert torch.allclose(norm.running_var, expected, atol=1e-6)


def test_running_statistics_are_a_plain_mean_and_then_move_slowly() -> None:
    model = GruFusion({"openface": Set(2, "pose")}, Config())
    settle = model.branches[0].settle[0]
    for value in range(150):
        settle.train()(torch.full((6, 128), float(value)))
        if value == 98:
            assert settle.norm.running_mean[0] == pytest.approx(49, rel=1e-4)  # mean of 0 .. 98
    expected = 49.5
    for value in range(100, 150):
        expected += 0.01 * (value - expected)
    assert settle.norm.running_mean[0] == pytest.approx(expected, rel=1e-4)


def test_a_loaded_state_counts_its_batches_on() -> None:
    """A training that is resumed in the middle of the plain mean ends as one that is not."""
    build_one = functools.partial(GruFusion, {"openface": Set(2, "pose")}, Config(norm_warmup=4))
    whole, first, second = build_one(), build_one(), build_one()
    first.load_state_dict(whole.state_dict())
    batches = [torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(i)) for i in range(6)]
    for i, batch in enumerate(batches):
        if i == 3:
            second.load_state_dict(first.state_dict())
        for model in (whole, first if i < 3 else second):
            torch.manual_seed(i)
            model.train()({"openface": batch}, all_inside(2, 3))
    assert all(torch.equal(a, b) for a, b in zip(whole.buffers(), second.buffers(), strict=True))


def test_what_the_paper_leaves_open_is_a_setting() -> None:
    sets = {"openface": Set(3, "pose")}
    assert not any(name.startswith("norm") for name in GruFusion(sets, Config()).state_dict())
    config = Config(
        head_norm=True, slope="shared", initial_slope=0.25, norm_momentum=0.9, norm_epsilon=1e-5, norm_warmup=0
    )
    model = GruFusion(sets, config)
    assert model.norm.running_mean.shape == (64,)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm1d)]
    slopes = [module for module in model.modules() if isinstance(module, nn.PReLU)]
    assert len(norms) == len(slopes) == 3
    assert {norm.eps for norm in norms} == {1e-5}
    assert all(slope.weight.tolist() == [0.25] for slope in slopes)
    norms[0].train()(torch.full((4, 128), 2.0))
    assert torch.allclose(norms[0].running_mean, torch.tensor(0.2))  # a tenth of the way from 0


def test_the_order_of_normalisation_and_prelu() -> None:
    rows = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    after, before = (Settle(4, Config(norm_order=order, dropout=0)).train() for order in ("prelu-norm", "norm-prelu"))
    assert torch.allclose(after(rows).mean(0), torch.zeros(4), atol=1e-6)
    assert torch.allclose(before(rows), torch.relu(rows.sub(rows.mean(0)) / (rows.var(0, correction=0) + 1e-3).sqrt()))
    sets = {"openface": Set(3, "pose")}
    head = {}
    for order in ("prelu-norm", "norm-prelu"):
        torch.manual_seed(0)
        model = GruFusion(sets, Config(norm_order=order, head_norm=True, dropout=0)).train()
        seen: list[Tensor] = []
        model.affect.register_forward_hook(lambda _, given, __, seen=seen: seen.append(given[0].detach()))
        model({"openface": torch.randn(2, 5, 3)}, all_inside(2, 5))
        head[order] = seen[0]
    assert torch.allclose(head["prelu-norm"].mean(0), torch.zeros(64), atol=1e-5)
    assert (head["norm-prelu"] >= 0).all()


def test_a_checkpoint_from_before_these_settings_is_loaded(tmp_path: Path) -> None:
    sets = {"openface": FeatureSet(3, "pose", {})}
    model = new_model("gru-pose", sets, Config(), 0)
    old = {"audio_units", "face_units", "pose_units", "head_units", "dropout", "norm_warmup"}
    config = {name: value for name, value in recipes.plain(Config()).items() if name in old}
    assert set(config) == old
    recipe = recipes.recipe("train", {})
    description = Description("gru-pose", config, sets, Windows(), {"mean": 0.1}, 1, True, [], recipe)
    standard = {"openface": np.ones(3, np.float32)}
    checkpoint.save(
        checkpoint.Checkpoint(
            tmp_path, description, model, Standardisation(standard, {"openface": np.ones(3, np.float32)})
        )
    )
    loaded = checkpoint.load(tmp_path)
    features = {"openface": torch.randn(2, 5, 3)}
    assert torch.equal(loaded.model(features, all_inside(2, 5)), model.eval()(features, all_inside(2, 5)))
    names = [f"branches.0.layers.{i}.{kind}" for i in range(2) for kind in ("weight", "bias")]
    assert set(names) <= set(loaded.model.state_dict())


def test_an_unknown_word_is_refused() -> None:
    with pytest.raises(UsageError, match="cell rnn: is unknown, expected gru or lstm"):
        GruFusion({"mel": AUDIO}, Config(cell="rnn"))


def test_a_model_takes_the_sets_of_its_modality() -> None:
    assert list(inputs_of("gru-fusion", SETS)) == ["hog", "mel", "openface"]
    assert inputs_of("gru-audio", SETS) == {"mel": SETS["mel"]}
    assert inputs_of("gru-face", SETS) == inputs_of("gru-expnet", SETS) == {"hog": SETS["hog"]}
    assert list(inputs_of("bilstm-fusion", SETS)) == ["hog", "mel", "openface"]
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


@pytest.mark.parametrize(("warmup", "momentum"), [(1000, 0.99), (100, 0.9), (20, 0.99)])
def test_running_statistics_are_a_plain_mean_as_long_as_they_warm_up(warmup: int, momentum: float) -> None:
    norm = Norm(3, Config(norm_warmup=warmup, norm_momentum=momentum))
    means = []
    for batch in range(warmup):
        frames = torch.randn(8, 3, generator=torch.Generator().manual_seed(batch)) + (10 if batch >= warmup / 2 else 0)
        norm(frames)
        means.append(frames.mean(0))
    assert norm.running_mean is not None
    assert norm.running_mean.tolist() == pytest.approx(torch.stack(means).mean(0).tolist(), abs=1e-4)
    before = norm.running_mean.clone()
    norm(torch.full((8, 3), 7.0))
    assert norm.running_mean.tolist() == pytest.approx((momentum * before + (1 - momentum) * 7).tolist(), abs=1e-5)


def test_a_compiled_normalisation_is_compiled_once() -> None:
    torch._dynamo.reset()
    settle = Settle(4, Config(dropout=0.0))
    compiled = torch.compile(settle, backend="eager")
    counts = []
    for _ in range(12):
        compiled(torch.randn(6, 4)).sum().backward()
        counts.append(sum(torch._dynamo.utils.counters["frames"].values()))
    assert counts[2] == counts[-1]
    torch._dynamo.reset()


@pytest.mark.parametrize("name", ["audio_units", "face_units", "pose_units"])
def test_a_branch_without_layers_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"{name}: names no layer"):
        GruFusion(SETS, Config(**{name: ()}))
