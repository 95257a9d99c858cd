"""V2P: what it computes is what the layers say, frame for frame and pixel for pixel."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from affcli.errors import SchemaError
from affcli.models import folded, v2p
from affcli.models.folded import Folded
from affcli.models.recurrent import Inside
from affcli.models.v2p import Identity, V2p, load_identity

torch.set_num_threads(1)

SMALL = (4, 5, 6, 7, 8)


def clip(b: int, t: int, seed: int = 1) -> Tensor:
    return torch.rand(b, 3, t, 112, 112, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def whole(b: int, t: int) -> Inside:
    return Inside(torch.ones(b, t, dtype=torch.bool))


def lived(network: nn.Module) -> nn.Module:
    """With weights and statistics of normalisations as training leaves them, some weights below 0."""
    random = torch.Generator().manual_seed(3)
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm3d):
            norm.weight.data.normal_(0, 1, generator=random)
            norm.bias.data.normal_(0, 0.5, generator=random)
            norm.running_mean.normal_(0, 0.3, generator=random)
            norm.running_var.uniform_(0.2, 2, generator=random)
    for conv in network.modules():
        if isinstance(conv, nn.Conv3d):
            conv.bias.data.normal_(0, 0.2, generator=random)
    return network


def small(seed: int = 0) -> V2p:
    torch.manual_seed(seed)
    return lived(V2p(SMALL))


def literal(stages: nn.Sequential, x: Tensor, first: bool, training: bool = False) -> list[Tensor]:
    """Each stage's output by the plain functions in the plain order: convolution, normalisation, ReLU, pool."""
    made = []
    for k, stage in enumerate(stages):
        conv, norm = stage.conv, stage.norm
        stride = (1, 2, 2) if first and k == 0 else 1
        x = functional.conv3d(x, conv.weight, conv.bias, stride, (1, 0, 0))
        mean, variance = (None, None) if training else (norm.running_mean, norm.running_var)
        x = functional.relu(functional.batch_norm(x, mean, variance, norm.weight, norm.bias, training, 0.1, 1e-5))
        if stage.pool is not None:
            x = functional.max_pool3d(x, (1, 2, 2), (1, 2, 2))
        made.append(x)
    return made


def literal_v2p(network: V2p, x: Tensor, training: bool = False) -> tuple[Tensor, Tensor]:
    x = literal(network.shared, x, True, training)[-1]
    valence, arousal = (literal(one, x, False, training)[-1] for one in (network.valence, network.arousal))
    return valence[..., 0, 0].transpose(1, 2), arousal[..., 0, 0].transpose(1, 2)


def test_stages_have_the_published_shapes_and_parameters() -> None:
    network = V2p()
    shapes = [tuple(x.shape[1:]) for x in literal(network.shared, clip(1, 2), True)]
    assert shapes == [(64, 2, 27, 27), (128, 2, 12, 12), (256, 2, 5, 5)]
    last = literal(network.valence, torch.zeros(1, 256, 2, 5, 5), False)
    assert [tuple(x.shape[1:]) for x in last] == [(512, 2, 3, 3), (512, 2, 1, 1)]
    counts = [
        tuple(sum(p.numel() for p in part.parameters()) for part in (stage.conv, stage.norm))
        for stage in (*network.shared, *network.valence)
    ]
    assert counts == [(5_248, 128), (221_312, 256), (884_992, 512), (3_539_456, 1_024), (7_078_400, 1_024)]
    valence, arousal = network.eval()(clip(1, 2), whole(1, 2))
    assert valence.shape == arousal.shape == (1, 2, 512)


def test_modules_stand_in_the_order_of_the_published_layers_and_valence_before_arousal() -> None:
    kinds = {v2p.Conv: "conv", v2p.Norm: "norm", nn.ReLU: "relu", nn.MaxPool3d: "pool"}
    named = [(name.split(".")[0], kinds[type(one)]) for name, one in V2p(SMALL).named_modules() if type(one) in kinds]
    pooled, plain = ["conv", "norm", "relu", "pool"], ["conv", "norm", "relu"]
    assert [kind for part, kind in named if part == "shared"] == pooled * 3
    assert named[12:] == [(part, kind) for part in ("valence", "arousal") for kind in plain * 2]


@pytest.mark.parametrize(("b", "t"), [(1, 1), (2, 1), (1, 2), (2, 5)])
def test_eval_is_the_literal_network(b: int, t: int) -> None:
    network, x = small().eval(), clip(b, t)
    with torch.no_grad():
        for ours, theirs in zip(network(x, whole(b, t)), literal_v2p(network, x), strict=True):
            assert ours.shape == (b, t, SMALL[-1])
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_training_is_the_literal_network_with_the_same_gradients_and_statistics() -> None:
    network, x = small().double().train(), clip(2, 3).double()
    plain = copy.deepcopy(network)
    made, expected = network(x, whole(2, 3)), literal_v2p(plain, x, training=True)
    parts = torch.randn(2, *made[0].shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    for ours, theirs in zip(made, expected, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)
    for values in (made, expected):
        (values[0] * parts[0] + values[1] * parts[1]).sum().backward()
    for (name, ours), theirs in zip(network.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(
            ours.grad, theirs.grad, atol=1e-8, rtol=1e-8, msg=lambda m, name=name: f"{name}: {m}"
        )
    first = functional.conv3d(x, plain.shared[0].conv.weight, plain.shared[0].conv.bias, (1, 2, 2), (1, 0, 0))
    mean = 0.9 * plain.shared[0].norm.running_mean + 0.1 * first.mean((0, 2, 3, 4))
    torch.testing.assert_close(network.shared[0].norm.running_mean, mean, atol=1e-9, rtol=1e-9)


def test_an_output_depends_on_eleven_frames_and_105_pixels() -> None:
    torch.manual_seed(0)
    network = V2p(SMALL).eval()
    for conv in network.modules():
        if isinstance(conv, nn.Conv3d):  # all above 0, so that ReLU stops nothing
            conv.weight.data.abs_()
    ramp = torch.arange(112.0).expand(112, 112) / 200
    rising = (ramp + ramp.t()).expand(1, 3, 15, 112, 112)  # whose maxima are at the last pixels
    for branch, name in enumerate(("valence", "arousal")):
        reached = torch.zeros(15, 112, 112, dtype=torch.bool)
        for x in (clip(1, 15).abs(), rising.clone(), rising.flip(3, 4)):
            x.requires_grad_()
            plain = literal(getattr(network, name), literal(network.shared, x, True)[-1], False)[-1]
            (grad,) = torch.autograd.grad(plain[0, :, 7].sum(), x)
            reached |= grad[0].abs().sum(0) > 0
            (same,) = torch.autograd.grad(network(x, whole(1, 15))[branch][0, 7].sum(), x)
            torch.testing.assert_close(same, grad, atol=1e-5, rtol=1e-4)
        assert reached.sum((1, 2)).nonzero().flatten().tolist() == list(range(2, 13))
        for others in ((0, 2), (0, 1)):
            pixels = reached.sum(others).nonzero().flatten()
            assert (pixels.min(), pixels.max()) == (0, 104)


def test_the_last_seven_pixels_change_no_bit() -> None:
    network, x = small().eval(), clip(1, 3)
    other = x.clone()
    other[..., 105:, :] = 9
    other[..., 105:] = 9
    with torch.no_grad():
        for ours, theirs in zip(network(x, whole(1, 3)), network(other, whole(1, 3)), strict=True):
            assert torch.equal(ours, theirs)
        cut = literal_v2p(network, x[..., :105, :105])
        for one, same in zip(cut, literal_v2p(network, x), strict=True):
            torch.testing.assert_close(one, same, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("training", [False, True])
def test_frames_of_the_padding_reach_no_other(training: bool) -> None:
    network = small().double().train(training)
    inside = torch.tensor([[True] * 5, [True] * 2 + [False] * 3])
    x = clip(2, 5).double()
    other = x.clone()
    other[1, :, 2:] = 7
    made = copy.deepcopy(network)(x, Inside(inside))
    for ours, theirs in zip(made, copy.deepcopy(network)(other, Inside(inside)), strict=True):
        assert torch.equal(ours, theirs)
        assert not ours[1, 2:].any()
    if not training:
        for ours, alone in zip(made, literal_v2p(network, x[1:, :, :2]), strict=True):
            torch.testing.assert_close(ours[1:, :2], alone, atol=1e-9, rtol=1e-9)


def test_batch_statistics_are_of_the_frames_inside() -> None:
    network = V2p(SMALL).double().train()
    inside = torch.tensor([[True, True, True], [True, False, False]])
    x = clip(2, 3).double()
    first = network.shared[0].conv
    made = [functional.conv3d(one, first.weight, first.bias, (1, 2, 2), (1, 0, 0)) for one in (x[:1], x[1:, :, :1])]
    values = torch.cat([one.transpose(0, 1).flatten(1) for one in made], dim=1)
    network(x, Inside(inside))
    norm = network.shared[0].norm
    torch.testing.assert_close(norm.running_mean, 0.1 * values.mean(1), atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(norm.running_var, 0.9 + 0.1 * values.var(1), atol=1e-9, rtol=1e-9)


def test_a_single_frame_trains_with_the_running_statistics_where_it_has_none() -> None:
    network = small().train()
    last = network.valence[1].norm
    before = last.running_mean.clone()
    valence, _ = network(clip(1, 1), whole(1, 1))
    valence.sum().backward()
    assert torch.equal(last.running_mean, before)
    assert torch.isfinite(valence).all()
    assert not torch.equal(network.shared[0].norm.running_mean, small().shared[0].norm.running_mean)


@pytest.mark.parametrize("packed", [True, False])
def test_folded_is_the_literal_network(packed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = small().eval(), clip(2, 4)
    if not packed:
        monkeypatch.setattr(folded, "_has_packing", lambda: False)
    made = Folded(network)
    with torch.no_grad():
        for ours, theirs in zip(made(x, whole(2, 4)), literal_v2p(network, x), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
        for ours, theirs in zip(made(x[:1, :, :1], whole(1, 1)), literal_v2p(network, x[:1, :, :1]), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert not list(made.parameters())


def test_folded_knows_padding_and_bfloat16() -> None:
    network, x = small().eval(), clip(2, 4)
    inside = Inside(torch.tensor([[True] * 4, [True] + [False] * 3]))
    with torch.no_grad():
        expected = network(x, inside)
        for ours, theirs in zip(Folded(network)(x, inside), expected, strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
            assert not ours[1, 1:].any()
        for ours, theirs in zip(Folded(network, torch.bfloat16)(x, inside), expected, strict=True):
            assert ours.dtype == torch.float32
            assert (ours - theirs).abs().max() < 0.03 * theirs.abs().max()
            assert not torch.equal(ours, theirs)


def test_folded_keeps_the_weights_it_was_made_of() -> None:
    network, x = small().eval(), clip(1, 2)
    made = Folded(network)
    before = made(x, whole(1, 2))[0]
    for values in network.parameters():
        values.data.zero_()
    assert torch.equal(made(x, whole(1, 2))[0], before)
    assert before.any()


def test_initial_weights() -> None:
    torch.manual_seed(0)
    for conv in V2p().modules():
        if isinstance(conv, nn.Conv3d):
            std = math.sqrt(2 / (27 * conv.out_channels))
            many = conv.weight.numel()
            assert abs(conv.weight.std().item() / std - 1) < 4 / math.sqrt(2 * many)
            assert abs(conv.weight.mean().item()) < 4 * std / math.sqrt(many)
            assert not conv.bias.any()
        if isinstance(conv, nn.BatchNorm3d):
            assert (conv.weight == 1).all() and not conv.bias.any()
            assert (conv.eps, conv.momentum) == (1e-5, 0.1)


def test_equal_seeds_give_equal_networks() -> None:
    one, same, other = small().state_dict(), small().state_dict(), small(1).state_dict()
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["shared.0.conv.weight"], other["shared.0.conv.weight"])


@pytest.mark.parametrize("average", ["logits", "features"])
def test_identity_averages_over_the_frames_inside(average: str) -> None:
    torch.manual_seed(0)
    network = lived(Identity(6, SMALL, 5, average)).eval()
    x, inside = clip(2, 3), torch.tensor([[True] * 3, [True, True, False]])
    with torch.no_grad():
        for k, t in ((0, 3), (1, 2)):
            vectors = literal(network.v2p, x[k : k + 1, :, :t], True)[-1][..., 0, 0].transpose(1, 2)
            expected = network.fc(vectors).mean(1) if average == "logits" else network.fc(vectors.mean(1))
            torch.testing.assert_close(network({"clip": x}, inside)[k : k + 1], expected, atol=1e-5, rtol=1e-5)


def test_a_backbone_begins_with_what_identities_taught() -> None:
    torch.manual_seed(0)
    taught, backbone = lived(Identity(6, SMALL, 5)), V2p(SMALL)
    taught.v2p[4].norm.num_batches_tracked.fill_(17)
    load_identity(backbone, taught.state_dict())
    for k, stage in enumerate(taught.v2p):
        for copied in [backbone.shared[k]] if k < 3 else [backbone.valence[k - 3], backbone.arousal[k - 3]]:
            for name, tensor in stage.state_dict().items():
                assert torch.equal(copied.state_dict()[name], tensor), (k, name)
    assert backbone.arousal[1].norm.num_batches_tracked == 17
    x = clip(1, 2)
    with torch.no_grad():
        valence, arousal = backbone.eval()(x, whole(1, 2))
        assert torch.equal(valence, arousal)
        expected = literal(taught.v2p, x, True)[-1][..., 0, 0].transpose(1, 2)
        torch.testing.assert_close(valence, expected, atol=1e-5, rtol=1e-5)
    # Two branches, not one that both share.
    backbone.valence[0].conv.weight.data.zero_()
    assert backbone.arousal[0].conv.weight.any()


def test_another_identity_network_is_refused_and_changes_nothing() -> None:
    backbone = small()
    before = copy.deepcopy(backbone.state_dict())
    with pytest.raises(SchemaError, match=r"valence\.1\.conv\.weight.* 7 more"):
        load_identity(backbone, Identity(6, (4, 5, 6, 7, 9), 5).state_dict())
    with pytest.raises(SchemaError, match=r"shared\.0\.conv\.weight"):
        load_identity(backbone, {})
    assert all(torch.equal(before[name], tensor) for name, tensor in backbone.state_dict().items())


@pytest.mark.parametrize("shape", [(1, 3, 2, 96, 96), (1, 1, 2, 112, 112), (1, 3, 3, 112, 112), (3, 2, 112, 112)])
def test_clips_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(SchemaError, match="112"):
        small()(torch.zeros(shape), whole(1, 2))
    with pytest.raises(SchemaError, match="at least 1"):
        small()(torch.zeros(1, 3, 0, 112, 112), whole(1, 0))
