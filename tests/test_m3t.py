"""M3T: its parameters, what it computes, what padding and freezing leave alone, and the released names."""

from __future__ import annotations

import copy
import itertools
import math

import pytest
import torch
from torch import Tensor, nn

from affcli.configs import M3t as Config
from affcli.configs import M3tIdentity
from affcli.errors import SchemaError, UsageError
from affcli.models import gru
from affcli.models.heads import Attention, Bigru
from affcli.models.m3t import WIDTHS, M3t, build_identity, folded
from affcli.models.m3t_names import from_released, released_name, to_released
from affcli.models.recurrent import Inside

torch.set_num_threads(1)

AV = {"streams": "audio-visual", "static": "emotion-tcae"}
SMALL = {
    "channels": (3, 4, 5, 6, 7),
    "visual_units": 6,
    "audio_units": 5,
    "scorer_units": 3,
    "fusion_units": 4,
}
SETTINGS = [
    {"streams": "audio"},
    {"static": "none"},
    {"static": "emotion"},
    {"static": "emotion-tcae"},
    {**AV, "static": "none"},
    {**AV, "fusion": "attention"},
    {**AV, "fusion": "unbounded-attention"},
]


def named(settings: dict[str, object]) -> str:
    return "-".join(str(value) for value in settings.values())


def small(seed: int = 0, **settings: object) -> M3t:
    torch.manual_seed(seed)
    network = M3t(Config(**SMALL, **settings))
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm3d):
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.2, 2)
    return network


def inputs(network: M3t, b: int, t: int, seed: int = 1) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    shapes = {name: (b, t, width) for name, width in WIDTHS.items()} | {"clip": (b, 3, t, 112, 112)}
    return {name: torch.rand(shapes[name], generator=random) * 2 - 1 for name in network.reads}


def whole(b: int, t: int) -> Tensor:
    return torch.ones(b, t, dtype=torch.bool)


def parameters(network: nn.Module) -> int:
    return sum(values.numel() for values in network.parameters() if values.requires_grad)


@pytest.mark.parametrize(
    ("settings", "two", "nine"),
    [
        ({"streams": "audio"}, 2_018_050, 2_019_849),
        ({"static": "emotion"}, 42_301_826, 42_305_417),
        ({"static": "emotion-tcae"}, 41_515_394, 41_518_985),
        ({**AV, "static": "emotion"}, 54_161_794, 54_165_385),
        ({**AV, "static": "emotion", "fusion": "attention"}, 53_575_556, 53_579_147),
        ({**AV, "static": "emotion", "fusion": "unbounded-attention"}, 53_575_556, 53_579_147),
    ],
    ids=lambda value: named(value) if isinstance(value, dict) else str(value),
)
def test_parameters_are_the_published_ones(settings: dict[str, object], two: int, nine: int) -> None:
    with torch.device("meta"):
        assert parameters(M3t(Config(**settings))) == two
        assert parameters(M3t(Config(**settings, expressions=7))) == nine


def test_parameters_of_each_part_are_the_published_ones() -> None:
    with torch.device("meta"):
        both = M3t(Config(**AV, fusion="attention"))
        side = M3t(Config(**AV, fusion="concatenation"))
        assert parameters(build_identity({}, M3tIdentity())) == 12_508_008
    assert parameters(both.visual.valence) == 9_449_472
    assert parameters(both.visual.arousal) == 8_663_040
    assert parameters(both.audio) == 1_886_208
    assert parameters(both.projection) == 1_049_088
    assert parameters(both.attention.audio) == parameters(both.attention.visual) == 493_056 + 257
    assert parameters(both.fusion.gru) == 7_876_608
    assert parameters(side.fusion.gru) == 9_449_472


@pytest.mark.parametrize("settings", SETTINGS, ids=named)
@pytest.mark.parametrize("expressions", [0, 7])
def test_any_length_and_batch_gives_a_row_for_each_frame(settings: dict[str, object], expressions: int) -> None:
    network = small(**settings, expressions=expressions)
    for (b, t), training in itertools.product([(1, 1), (1, 4), (2, 1), (2, 3)], [False, True]):
        made = network.train(training)(inputs(network, b, t), whole(b, t))
        assert made.shape == (b, t, 9 if expressions else 2)
        assert torch.isfinite(made).all()
        made.sum().backward()
    assert all(values.grad is not None for values in network.parameters())


def plain_head(head: nn.Module, x: Tensor) -> Tensor:
    """By PyTorch's own GRU of as many layers, made anew."""
    mine = head.gru
    cell = nn.GRU(mine.input_size, mine.hidden_size, mine.num_layers, batch_first=True, bidirectional=True)
    cell.load_state_dict(mine.state_dict())
    states = cell(x)[0]
    if head.fc is None:
        return states
    if isinstance(head.fc, nn.Linear):
        return states @ head.fc.weight.T + head.fc.bias
    first, _, last = head.fc
    return (states @ first.weight.T + first.bias).clamp(min=0) @ last.weight.T + last.bias


def plain(network: M3t, given: dict[str, Tensor]) -> Tensor:
    """The network in the words of the paper, with V2P's vectors as they come."""
    made: list[Tensor] = []
    if network.visual is not None:
        b, t = given["clip"].shape[0], given["clip"].shape[2]
        valence, arousal = network.visual.backbone(given["clip"], Inside(whole(b, t)))
        if network.config.static != "none":
            valence = torch.cat([valence, given["emotion"]], 2)
            arousal = torch.cat([arousal, given["emotion" if network.config.static == "emotion" else "tcae"]], 2)
        made = [plain_head(network.visual.valence, valence), plain_head(network.visual.arousal, arousal)]
        if network.audio is None:
            return torch.cat(made, 2)
    audio = plain_head(network.audio, given["audio"])
    if network.visual is None:
        return audio
    video = torch.cat(made, 2) @ network.projection.weight.T + network.projection.bias
    if network.attention is None:
        return plain_head(network.fusion, torch.cat([audio, video], 2))
    scores = [plain_head(network.attention.audio, audio), plain_head(network.attention.visual, video)]
    if network.config.fusion == "attention":
        scores = [1 / (1 + torch.exp(-score)) for score in scores]
    share = torch.exp(scores[0]) / (torch.exp(scores[0]) + torch.exp(scores[1]))
    return plain_head(network.fusion, share * audio + (1 - share) * video)


@pytest.mark.parametrize("settings", SETTINGS, ids=named)
@pytest.mark.parametrize("learning", [False, True])
def test_it_is_the_network_of_the_paper(settings: dict[str, object], learning: bool) -> None:
    network = small(**settings, expressions=7).eval()
    given = inputs(network, 2, 4)
    with torch.set_grad_enabled(learning):  # with gradients, GRUs are computed by hand
        made = network(given, whole(2, 4))
    with torch.no_grad():
        torch.testing.assert_close(made.detach(), plain(network, given), atol=1e-5, rtol=1e-5)


def test_expressions_are_outputs_of_valence_and_come_first() -> None:
    network = small(static="none", expressions=7).eval()
    given = inputs(network, 1, 3)
    before = network(given, whole(1, 3))
    network.visual.arousal.fc[2].bias.data += 1
    assert torch.equal(network(given, whole(1, 3)) != before, torch.arange(9).expand(1, 3, 9) == 8)
    network.visual.valence.fc[2].bias.data[0] += 1
    assert (network(given, whole(1, 3)) != before)[0, 0].tolist() == [True] + [False] * 7 + [True]


def test_outputs_are_not_bounded() -> None:
    network = small(streams="audio").eval()
    network.audio.fc[2].bias.data = torch.tensor([5.0, -5.0])
    made = network(inputs(network, 1, 2), whole(1, 2))
    assert (made[..., 0] > 3).all() and (made[..., 1] < -3).all()


@pytest.mark.parametrize("settings", SETTINGS, ids=named)
@pytest.mark.parametrize("training", [False, True])
def test_padding_reaches_no_frame(settings: dict[str, object], training: bool) -> None:
    network = small(**settings).train(training)
    inside = torch.tensor([[True] * 4, [True, True, False, False]])
    given = inputs(network, 2, 4)
    other = {name: x.clone() for name, x in given.items()}
    for name, x in other.items():
        (x[1, :, 2:] if name == "clip" else x[1, 2:]).fill_(8)
    made = copy.deepcopy(network)(given, inside)
    assert torch.equal(made, copy.deepcopy(network)(other, inside))
    assert not made[1, 2:].any()
    if not training:
        alone = {name: x[1:, :, :2] if name == "clip" else x[1:, :2] for name, x in given.items()}
        torch.testing.assert_close(made[1:, :2], network(alone, whole(1, 2)), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(
            made[:1], network({n: x[:1] for n, x in given.items()}, whole(1, 4)), atol=1e-5, rtol=0
        )


def test_attention_is_bounded_as_published_and_unbounded_where_asked() -> None:
    frames = Inside(whole(1, 2))
    one, two = torch.ones(1, 2, 4), -torch.ones(1, 2, 4)
    for bounded, least in ((True, 1 / (1 + math.e)), (False, 0.0)):
        torch.manual_seed(0)
        attention = Attention(4, 3, bounded)
        attention.audio.fc.bias.data.fill_(200.0)
        attention.visual.fc.bias.data.fill_(-200.0)
        weights = attention.weights(one, two, frames)
        torch.testing.assert_close(weights, torch.tensor([1 - least, least]).expand(1, 2, 2), atol=1e-6, rtol=0)
        torch.testing.assert_close(attention(one, two, frames), one * (1 - 2 * least), atol=1e-6, rtol=0)


def test_frozen_encoders_do_not_move() -> None:
    network = small(**AV, fusion="attention")
    network.freeze_encoders()
    network.train()
    optimizer = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=0.01, weight_decay=0.1)
    before = copy.deepcopy(network.state_dict())
    for seed in (1, 2):
        network(inputs(network, 2, 3, seed), whole(2, 3)).square().sum().backward()
        optimizer.step()
    for name, tensor in network.state_dict().items():
        frozen = name.startswith(("visual.", "audio."))
        assert torch.equal(tensor, before[name]) == frozen, name
    assert not any(module.training for module in network.visual.modules())
    assert network.fusion.training and network.training
    network.freeze_encoders(False)
    network(inputs(network, 2, 3), whole(2, 3)).sum().backward()
    assert all(values.grad is not None for values in network.parameters())
    name = "visual.backbone.shared.0.norm.running_mean"
    assert not torch.equal(network.state_dict()[name], before[name])


def test_one_stream_has_nothing_to_freeze() -> None:
    with pytest.raises(UsageError, match="audio-visual"):
        small(streams="audio").freeze_encoders()


def test_initial_weights_of_grus() -> None:
    torch.manual_seed(0)
    made = Bigru(80, 48)
    bound = math.sqrt(6 / (80 + 48))
    for name, values in made.named_parameters():
        if "weight_ih" in name:  # the second layer too, though its own input is 96 wide
            assert values.abs().max() <= bound
            assert abs(values.std().item() / (bound / math.sqrt(3)) - 1) < 0.03
        elif "weight_hh" in name:
            for gate in values.detach().split(48):
                torch.testing.assert_close(gate @ gate.T, torch.eye(48), atol=1e-5, rtol=0)
        else:
            assert not values.any()
    assert made.weight_ih_l1.shape == (144, 96)


def test_grus_learn_as_pytorchs_own_do(monkeypatch: pytest.MonkeyPatch) -> None:
    network, x = Bigru(7, 5).double(), torch.randn(3, 6, 7, dtype=torch.float64)
    frames, parts = Inside(whole(3, 6)), torch.randn(3, 6, 10, dtype=torch.float64)
    made = []
    for faster in (True, False):
        monkeypatch.setattr(gru, "is_faster", lambda *_, faster=faster: faster)
        states = network.run(x, frames)
        made.append([states, *torch.autograd.grad((states * parts).sum(), list(network.parameters()))])
    for ours, theirs in zip(*made, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("settings", SETTINGS, ids=named)
def test_folded_is_the_same_network(settings: dict[str, object]) -> None:
    network = small(**settings)
    given, inside = inputs(network, 2, 3), torch.tensor([[True] * 3, [True, True, False]])
    quick = folded(network)
    assert network.training and not quick.training
    with torch.no_grad():
        expected = network.eval()(given, inside)
        torch.testing.assert_close(quick(given, inside), expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(folded(network, torch.bfloat16)(given, inside), expected, atol=0.02, rtol=0.02)


def test_autocast_trains() -> None:
    network = small(**AV)
    given = inputs(network, 2, 3)
    expected = copy.deepcopy(network)(given, whole(2, 3))
    with torch.autocast("cpu", torch.bfloat16):
        made = network(given, whole(2, 3))
    torch.testing.assert_close(made.float(), expected, atol=0.05, rtol=0.05)
    made.float().sum().backward()
    assert all(values.grad is not None and torch.isfinite(values.grad).all() for values in network.parameters())


def test_windows_of_nothing_but_padding_are_passed_over() -> None:
    network = small(**AV, fusion="attention")
    given, none = inputs(network, 2, 3), torch.zeros(2, 3, dtype=torch.bool)
    for training in (False, True):
        assert not network.train(training)(given, none).any()
    some = torch.tensor([[True] * 3, [False] * 3])
    with torch.autocast("cpu", torch.bfloat16):
        made = network(given, some)
    made.float().sum().backward()
    assert made[0].any() and not made[1].any()
    assert all(torch.isfinite(values.grad).all() for values in network.parameters())


def test_equal_seeds_give_equal_bytes() -> None:
    one, same = small(**AV), small(**AV)
    given = inputs(one, 2, 3)
    made = []
    for network in (one, same):
        out = network(given, whole(2, 3))
        out.square().sum().backward()
        made.append([out, *(values.grad for values in network.parameters())])
    assert all(torch.equal(a, b) for a, b in zip(*made, strict=True))


def test_missing_and_misshapen_inputs_are_refused() -> None:
    network = small(**AV)
    given = inputs(network, 1, 2)
    assert network.reads == ("clip", "emotion", "tcae", "audio")
    with pytest.raises(SchemaError, match=r"tcae: is missing, expected \(1, 2, 256\)"):
        network({name: x for name, x in given.items() if name != "tcae"}, whole(1, 2))
    with pytest.raises(SchemaError, match=r"tcae: is of shape \(1, 2, 268\)"):
        network({**given, "tcae": torch.zeros(1, 2, 268)}, whole(1, 2))
    with pytest.raises(SchemaError, match="clip"):
        network({**given, "clip": torch.zeros(1, 3, 2, 96, 96)}, whole(1, 2))


@pytest.mark.parametrize(
    "settings", [{"crop": 150}, {"streams": "video"}, {"static": "senet"}, {"fusion": "sum"}, {"channels": (1, 2)}]
)
def test_unknown_words_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=next(iter(settings))):
        M3t(Config(**settings))
    with pytest.raises(UsageError, match="average"):
        build_identity({}, M3tIdentity(average="both"))


def test_released_names() -> None:
    pairs = {
        "visual.backbone.shared.2.conv.weight": "visual.shared.8.weight",
        "visual.backbone.valence.1.norm.running_var": "visual.v_private.4.running_var",
        "visual.backbone.arousal.1.conv.bias": "visual.a_private.3.bias",
        "visual.arousal.gru.weight_ih_l1_reverse": "visual.gru_a.gru.weight_ih_l1_reverse",
        "visual.valence.fc.2.bias": "visual.gru_v.fc.2.bias",
        "audio.gru.bias_hh_l0": "audio.gru.bias_hh_l0",
        "projection.weight": "att_fuse.proj_v.weight",
        "attention.audio.fc.weight": "att_fuse.scorer_a.fc.weight",
        "attention.visual.gru.weight_ih_l0": "att_fuse.scorer_v.gru.weight_ih_l0",
        "fusion.fc.0.weight": "fusion.fc.0.weight",
        "v2p.3.conv.weight": "visual.v2p.12.weight",
        "v2p.4.norm.bias": "visual.v2p.16.bias",
        "fc.2.bias": "visual.fc.2.bias",
    }
    assert {name: released_name(name) for name in pairs} == pairs


@pytest.mark.parametrize("settings", [*SETTINGS, None], ids=lambda value: named(value) if value else "identity")
def test_a_released_state_is_read_as_it_was_written(settings: dict[str, object] | None) -> None:
    one, other = (
        small(seed, **settings)
        if settings
        else build_identity({}, M3tIdentity(classes=5, channels=SMALL["channels"], identity_units=4))
        for seed in (0, 1)
    )
    released = to_released(one)
    assert len(released) == len(one.state_dict())
    other.load_state_dict(from_released(other, released, "best.ckpt"))
    assert all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


def test_a_projection_of_unknown_name_goes_by_its_shape() -> None:
    network = small(**AV)
    released = to_released(network)
    for tensor in ("weight", "bias"):
        released[f"proj.{tensor}"] = released.pop(f"att_fuse.proj_v.{tensor}")
    taken = from_released(network, released, "best.ckpt")
    assert torch.equal(taken["projection.weight"], network.projection.weight)
    assert torch.equal(taken["projection.bias"], network.projection.bias)


def test_weights_for_bgr_read_rgb() -> None:
    network = small(static="none").eval()
    given = inputs(network, 1, 2)
    expected = network(given, whole(1, 2))
    turned = copy.deepcopy(network)
    turned.load_state_dict(from_released(network, to_released(network), "best.ckpt", to_rgb=True))
    made = turned({"clip": given["clip"].flip(1)}, whole(1, 2))
    torch.testing.assert_close(made, expected, atol=1e-6, rtol=1e-6)
    assert (turned(given, whole(1, 2)) - expected).abs().max() > 1e-4


def test_missing_extra_and_misshapen_tensors_are_listed() -> None:
    network = small(streams="audio")
    released = to_released(network)
    with pytest.raises(SchemaError, match=r"best\.ckpt: lacks audio\.fc\.0\.bias \(5,\)"):
        from_released(network, {n: x for n, x in released.items() if n != "audio.fc.0.bias"}, "best.ckpt")
    with pytest.raises(SchemaError, match=r"best\.ckpt: also has head\.weight \(2, 3\)"):
        from_released(network, {**released, "head.weight": torch.zeros(2, 3)}, "best.ckpt")
    with pytest.raises(SchemaError, match=r"another shape audio\.fc\.2\.bias \(9,\) for \(2,\)"):
        from_released(network, {**released, "audio.fc.2.bias": torch.zeros(9)}, "best.ckpt")
