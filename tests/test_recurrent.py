"""Layers that are computed by hand on a CPU: what they give is what PyTorch's modules give."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from affcli.configs import GruFusion as Config
from affcli.models import activation, affine, gru, recurrent
from affcli.models.activation import Dropout, Slope
from affcli.models.affine import Dense, is_ours, product
from affcli.models.gru_fusion import GruFusion
from affcli.models.recurrent import Inside, Recurrent, dense

torch.set_num_threads(1)


@pytest.fixture(params=["onednn", "blas"])
def means(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products by oneDNN, where it is there, and by PyTorch's own."""
    if request.param == "blas":
        monkeypatch.setattr(affine, "_has_onednn", lambda: False)
    elif not affine._has_onednn():
        pytest.skip("this build of PyTorch has no oneDNN")


def cell(d: int, h: int, bidirectional: bool = False, dtype: torch.dtype = torch.float32) -> nn.GRU:
    torch.manual_seed(0)
    return nn.GRU(d, h, batch_first=True, bidirectional=bidirectional, dtype=dtype)


def numbers(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def passes(module: nn.Module, layer: Callable[[Tensor], Tensor], x: Tensor) -> list[Tensor]:
    """Output, and the gradients of the input and all weights, of a sum with unequal parts."""
    x = x.clone().requires_grad_()
    made = layer(x)
    weights = numbers(*made.shape, dtype=made.dtype, seed=2)
    return [made.detach(), *torch.autograd.grad((made * weights).sum(), [x, *module.parameters()])]


def assert_close(ours: list[Tensor], theirs: list[Tensor], tolerance: float) -> None:
    for one, other in zip(ours, theirs, strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype
        assert float((one - other).abs().max()) <= tolerance * max(1, float(other.abs().max()))


@pytest.mark.usefixtures("means")
@pytest.mark.parametrize(("b", "t", "d", "h"), [(1, 1, 1, 1), (3, 1, 4, 2), (1, 6, 3, 5), (16, 15, 40, 32)])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_gru_is_that_of_pytorch(b: int, t: int, d: int, h: int, bidirectional: bool) -> None:
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-14)):
        layer, x = cell(d, h, bidirectional, dtype), numbers(b, t, d, dtype=dtype)
        ours = passes(layer, lambda x, layer=layer: gru.states(layer, x), x)
        assert_close(ours, passes(layer, lambda x, layer=layer: layer(x)[0], x), tolerance)


@pytest.mark.usefixtures("means")
def test_a_wide_gru_is_as_far_from_the_truth_as_that_of_pytorch() -> None:
    torch.manual_seed(0)
    layer, x = Recurrent(2048, 64, Config()).cell, numbers(16, 15, 2048)
    exact = copy.deepcopy(layer).double()
    truth = passes(exact, lambda x: exact(x)[0], x.double())
    ours, theirs = (passes(layer, each, x) for each in (lambda x: gru.states(layer, x), lambda x: layer(x)[0]))
    for one, other, true in zip(ours, theirs, truth, strict=True):
        error, allowed = (float((values - true).square().mean().sqrt()) for values in (one, other))
        assert error <= 3 * allowed  # oneDNN adds 2,048 numbers in longer chains than MKL
    assert float((ours[0] - truth[0]).square().mean().sqrt()) < 1e-6


@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradients_of_a_gru_are_the_slopes_of_its_values(bidirectional: bool) -> None:
    layer, x = cell(3, 2, bidirectional, torch.float64), numbers(2, 4, 3, dtype=torch.float64).requires_grad_()
    names = list(dict(layer.named_parameters()))

    def values(x: Tensor, *weights: Tensor) -> Tensor:
        held = copy.copy(layer)
        held._parameters = {**layer._parameters, **dict(zip(names, weights, strict=True))}
        return gru.states(held, x)

    assert torch.autograd.gradcheck(values, (x, *layer.parameters()))


@pytest.mark.parametrize("frozen", range(5))
def test_what_is_not_trained_gets_no_gradient_and_the_rest_the_same(frozen: int) -> None:
    layer, x = cell(4, 3, dtype=torch.float64), numbers(2, 5, 4, dtype=torch.float64).requires_grad_()
    leaves = [x, *layer.parameters()]
    leaves[frozen].requires_grad_(False)
    gradients = []
    for made in (gru.states(layer, x), layer(x)[0]):
        made.square().sum().backward()
        gradients.append([leaf.grad for leaf in leaves])
        for leaf in leaves:
            leaf.grad = None
    for place, (ours, theirs) in enumerate(zip(*gradients, strict=True)):
        assert (ours is None) == (theirs is None) == (place == frozen)
        assert ours is None or torch.allclose(ours, theirs, rtol=0, atol=1e-13)


def test_gradients_that_are_one_number_for_all_and_inputs_that_are_no_block() -> None:
    layer, x = cell(4, 3), numbers(5, 2, 4).transpose(0, 1).requires_grad_()
    ours, theirs = (
        torch.autograd.grad(made.sum(), [x, *layer.parameters()]) for made in (gru.states(layer, x), layer(x)[0])
    )
    assert_close(list(ours), list(theirs), 1e-6)


def test_a_gru_gives_equal_bytes_and_keeps_what_it_is_given() -> None:
    layer, x = cell(24, 16), numbers(8, 15, 24)
    before = [values.clone() for values in (x, *layer.parameters())]
    runs = [passes(layer, lambda x: gru.states(layer, x), x) for _ in range(2)]
    assert all(torch.equal(one, other) for one, other in zip(*runs, strict=True))
    assert all(torch.equal(one, other) for one, other in zip(before, (x, *layer.parameters()), strict=True))


def test_saturated_gates_stay_numbers() -> None:
    layer, x = cell(3, 4), 1e4 * numbers(2, 6, 3)
    ours = passes(layer, lambda x: gru.states(layer, x), x)
    assert all(values.isfinite().all() for values in ours)
    assert_close(ours[:1], [layer(x)[0].detach()], 1e-6)


def test_a_second_derivative_is_refused_and_not_wrong() -> None:
    layer, x = cell(3, 2), numbers(1, 2, 3).requires_grad_()
    (slope,) = torch.autograd.grad(gru.states(layer, x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slope.sum().backward()


def watched(monkeypatch: pytest.MonkeyPatch, **config: Any) -> tuple[Recurrent, list[str]]:
    """A layer, and a list that says who computed each pass."""
    torch.manual_seed(0)
    layer = Recurrent(6, 4, Config(**config))
    calls: list[str] = []
    states = gru.states
    monkeypatch.setattr(gru, "states", lambda *given: calls.append("ours") or states(*given))
    layer.cell.register_forward_hook(lambda *_: calls.append("pytorch's"))
    return layer, calls


def whole(x: Tensor) -> Inside:
    return Inside(torch.ones(x.shape[:2], dtype=torch.bool))


def test_who_computes_a_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, calls = watched(monkeypatch)
    small, large = numbers(3, 5, 6), numbers(1024, 2, 6)
    layer(small, whole(small))
    with torch.no_grad():
        layer(small, whole(small))
        layer(large, whole(large))
    with torch.inference_mode():
        layer(large, whole(large))
    with torch.autocast("cpu", torch.bfloat16):
        layer(small, whole(small))
    assert calls == ["ours", "pytorch's", "ours", "ours", "pytorch's"]


def test_both_ways_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for config in ({}, {"bidirectional": True}):
        layer, calls = watched(monkeypatch, **config)
        x = numbers(3, 5, 6)
        trained = layer(x, whole(x))
        with torch.no_grad():
            assert torch.allclose(layer(x, whole(x)), trained.detach(), rtol=0, atol=1e-6)
        assert calls[-2:] == ["ours", "pytorch's"]
        monkeypatch.undo()


def test_padding_reaches_no_frame_of_a_layer_that_looks_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, _ = watched(monkeypatch, bidirectional=True)
    x, inside = numbers(2, 5, 6), torch.ones(2, 5, dtype=torch.bool)
    inside[1, 3:] = False
    padded = layer(x, Inside(inside))
    assert torch.allclose(padded[1, :3], layer(x[1:, :3], whole(x[1:, :3]))[0], rtol=0, atol=1e-6)
    assert torch.allclose(padded[0], layer(x[:1], whole(x[:1]))[0], rtol=0, atol=1e-6)


def test_an_lstm_is_left_to_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    layer, calls = watched(monkeypatch, cell="lstm")
    x = numbers(3, 5, 6)
    layer(x, whole(x))
    assert calls == ["pytorch's"]


NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


def test_names_of_weights_are_those_of_pytorch() -> None:
    names = [f"cell.{kind}_l0{way}" for way in ("", "_reverse") for kind in NAMES]
    assert list(Recurrent(3, 2, Config(bidirectional=True)).state_dict()) == names
    assert list(dense(3, 2).state_dict()) == ["weight", "bias"]
    assert list(Slope(3).state_dict()) == ["weight"]


@pytest.mark.filterwarnings("ignore")  # of torch.jit, which is to go
def test_where_layers_are_computed_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.ones(2, 3)
    assert is_ours(x) and is_ours(x.double())
    assert not is_ours(x.half()) and not is_ours(x.int()) and not is_ours(x[:0]) and not is_ours(x.to("meta"))
    with torch.autocast("cpu", torch.bfloat16):
        assert not is_ours(x)
    seen: list[bool] = []
    torch.jit.trace(lambda x: (seen.append(is_ours(x)), x + 1)[1], x, check_trace=False)
    assert seen == [False]
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    assert not is_ours(x)


@pytest.mark.usefixtures("means")
@pytest.mark.parametrize(("n", "d", "m"), [(1, 1, 1), (5, 1, 3), (1, 7, 2), (33, 130, 65)])
@pytest.mark.parametrize(("left", "right"), list(itertools.product([False, True], repeat=2)))
def test_products_of_transposed_matrices_and_of_slices(n: int, d: int, m: int, left: bool, right: bool) -> None:
    x = numbers(d, n).t() if left else numbers(n, 2, d)[:, 0]
    weight, bias = numbers(d, m, seed=2).t() if right else numbers(m, d, seed=2), numbers(m, seed=3)
    exact = x.double() @ weight.double().t()
    assert torch.allclose(product(x, weight).double(), exact, rtol=0, atol=2e-5)
    for one in (bias, numbers(2 * m, seed=3)[::2]):
        assert torch.allclose(product(x, weight, one).double(), exact + one, rtol=0, atol=2e-5)


def test_an_operator_that_takes_or_gives_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def other(*_: object) -> Tensor:
        raise TypeError("another signature")

    for operator in (other, lambda x, weight, _: torch.zeros(len(x), len(weight))):
        monkeypatch.setattr(affine, "_onednn", operator)
        assert not affine._has_onednn.__wrapped__()
        monkeypatch.undo()


@pytest.mark.usefixtures("means")
def test_a_dense_layer_is_that_of_pytorch() -> None:
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float64, 1e-14)):
        torch.manual_seed(0)
        ours, theirs = Dense(40, 7, dtype=dtype), nn.Linear(40, 7, dtype=dtype)
        theirs.load_state_dict(ours.state_dict())
        x = numbers(30, 40, dtype=dtype)
        assert_close(passes(ours, ours, x), passes(theirs, theirs, x), tolerance)
    assert ours(x[:0]).shape == (0, 7) and ours(x.view(5, 6, 40)).shape == (5, 6, 7)


@pytest.mark.parametrize("slopes", [1, 6])
def test_prelu_is_that_of_pytorch(slopes: int) -> None:
    ours, theirs = (kind(slopes, init=0.25, dtype=torch.float64) for kind in (Slope, nn.PReLU))
    x = numbers(50, 6, dtype=torch.float64)
    x[0] = torch.tensor([0.0, -0.0, 1e-300, -1e-300, torch.inf, 1e9])
    found, wanted = passes(ours, ours, x), passes(theirs, theirs, x)
    assert torch.equal(found[0], wanted[0])
    assert_close(
        [values.nan_to_num(posinf=1) for values in found], [values.nan_to_num(posinf=1) for values in wanted], 1e-14
    )
    single = Slope(slopes)
    assert torch.equal(single(x.float()), torch.prelu(x.float(), single.weight))
    assert ours(x[:0]).shape == (0, 6)


def test_prelu_that_begins_at_0_lets_through_exactly_what_is_above() -> None:
    x = numbers(40, 5).requires_grad_()
    grad = numbers(40, 5, seed=2)
    (made,) = torch.autograd.grad(Slope(5, init=0.0)(x), x, grad)
    assert torch.equal(made, torch.where(x > 0, grad, 0))


@pytest.mark.parametrize("p", [0.25, 0.1, 0.9, 1e-3])
def test_dropout_drops_that_share_and_keeps_the_mean(p: float) -> None:
    torch.manual_seed(0)
    x = torch.ones(1001, 401, requires_grad=True)
    made = Dropout(p)(x)
    kept = made > 0
    n = x.numel()
    deviation = (p * (1 - p) / n) ** 0.5
    assert abs(float((~kept).double().mean()) - p) < 4 * deviation + 2**-17
    assert made[kept].unique().tolist() == pytest.approx([1 / (1 - p)], rel=1e-4)
    # Neither numbers of one draw of 64 bits nor neighbours in a column know of each other.
    flat = kept.double().flatten() - (1 - p)
    for lag in (1, 2, 3, 4, 401):
        assert abs(float((flat[lag:] * flat[:-lag]).mean())) < 5 * p * (1 - p) / n**0.5
    made.sum().backward()
    assert torch.equal(x.grad, made)  # of ones: what is kept, times its factor


def test_dropout_is_seeded_and_done_in_training_alone() -> None:
    x, drop = numbers(7, 3), Dropout(0.5)
    made = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        made.append(drop(x))
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])
    assert drop.eval()(x) is x
    assert torch.equal(Dropout(0.0)(x), x) and torch.equal(Dropout(1.0)(x), torch.zeros(7, 3))
    assert Dropout(1e-9)(x).isfinite().all() and torch.equal(Dropout(1 - 1e-9)(x), torch.zeros(7, 3))
    assert Dropout(0.5)(x[:0]).shape == (0, 3)


@dataclass(frozen=True)
class Set:
    width: int
    modality: str


@pytest.mark.parametrize("padded", [False, True])
def test_a_network_trains_as_one_of_pytorch_s_layers(padded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    sets = {"mel": Set(12, "audio"), "hog": Set(30, "face"), "openface": Set(9, "pose")}
    torch.manual_seed(0)
    ours = GruFusion(sets, Config(dropout=0, initial_slope=0.1)).double().train()
    theirs = copy.deepcopy(ours)
    features = {name: numbers(8, 15, one.width, dtype=torch.float64) for name, one in sets.items()}
    inside = torch.ones(8, 15, dtype=torch.bool)
    inside[3, 6:] = not padded
    made = [ours(features, inside)]
    for module in (affine, activation, recurrent):
        monkeypatch.setattr(module, "is_ours", lambda _: False)
    made.append(theirs(features, inside))
    assert torch.allclose(made[0].detach(), made[1].detach(), rtol=0, atol=1e-12)
    for one in made:
        one.square().sum().backward()
    for name, weights in ours.named_parameters():
        wanted = theirs.get_parameter(name).grad
        assert torch.allclose(weights.grad, wanted, rtol=0, atol=1e-12 * max(1, float(wanted.abs().max()))), name
