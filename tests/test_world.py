"""Several processes make the steps that one would make of the same batches."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from test_resume import CPU, NETWORK, SETS, clips
from test_tasks import AUGMENTED, SEES, begin
from torch import Tensor, nn

from affcli.configs import Training
from affcli.errors import UsageError
from affcli.models.recurrent import Inside
from affcli.models.v2p import Norm, V2p
from affcli.training.data import WindowedClips, fit_standardisation
from affcli.training.fit import Epoch, Fit, new_model
from affcli.training.optimisation import check
from affcli.training.state import packed, unpacked
from affcli.training.tasks import AFFECT
from affcli.training.world import ALONE, World, join

STEADY = dataclasses.replace(NETWORK, dropout=0.0)  # each process draws its own masks
SGD = Training(optimizer="sgd", lr=0.05, batch=5, epochs=2)
CONFIGS = {
    "mse": SGD,
    "l1": dataclasses.replace(SGD, loss="l1", accumulate=2),
    "ccc": dataclasses.replace(SGD, loss="ccc", batch=7),
    "mixed": dataclasses.replace(SGD, loss="0.5*mse+ccc", ccc_moments="mixed", clip=0.1),
    "window": dataclasses.replace(SGD, loss="ccc", ccc_over="window", ema=0.9),
    "tail": dataclasses.replace(SGD, loss="ccc", batch=17),  # 18 windows: the last batch is one, for two processes
}


def some() -> WindowedClips:
    """Windows of which some are short, and some frames have no label."""
    whole = clips(range(3))
    whole.clips[1].labelled[20:31] = False
    made = WindowedClips(whole.clips, whole.clip, whole.start, np.where(whole.start == 40, 9, whole.length))
    return made.with_labels().standardised(fit_standardisation(made))


def trained(config: Training, world: World = ALONE) -> tuple[list[Epoch], dict[str, Tensor]]:
    train = some()
    val = clips(range(3, 6)).standardised(train.standardisation)  # type: ignore[arg-type]
    model = new_model("gru-face", SETS, STEADY, 0)
    epochs = list(Fit(model, train, val, config, CPU, world=world))
    return epochs, model.state_dict()


def joined(rank: int, size: int, port: int) -> World:
    """The world of a process that was started as torchrun does, with a store that its parent keeps."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "TORCHELASTIC_USE_AGENT_STORE": "True"}
    os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)}
    torch.set_num_threads(1)
    world = join(CPU)
    assert (world.rank, world.size) == (rank, size)
    return world


def spawned(work: Callable[..., None], size: int, folder: Path) -> None:
    """Run `work(rank, size, port, folder)` in so many processes."""
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    torch.multiprocessing.spawn(work, (size, store.port, folder), nprocs=size)


def one_of_three(rank: int, size: int, port: int, folder: Path) -> None:
    """Train unbroken, and broken off after the second epoch."""
    world = joined(rank, size, port)
    train = some()
    val = clips(range(3, 6)).standardised(train.standardisation)  # type: ignore[arg-type]
    config = dataclasses.replace(CONFIGS["ccc"], epochs=5)
    model = new_model("gru-face", SETS, NETWORK, 0)
    fit = Fit(model, train, val, config, CPU, world=world)
    for _ in itertools.islice(fit, 2):
        pass
    kept, tensors = packed({"weights": dict(model.state_dict()), "fit": fit.state()})
    epochs = list(fit)
    resumed = new_model("gru-face", SETS, NETWORK, 1)
    state = unpacked(kept, tensors)
    resumed.load_state_dict(state["weights"])
    again = list(Fit(resumed, train, val, config, CPU, state=state["fit"], world=world))
    assert again == epochs
    same = all(torch.equal(one, model.state_dict()[name]) for name, one in resumed.state_dict().items())
    (folder / f"{rank}.txt").write_text(f"{len(epochs)} {same}")
    torch.distributed.destroy_process_group()


def test_three_processes_that_were_broken_off_go_on_to_the_same_bits(tmp_path: Path) -> None:
    spawned(one_of_three, 3, tmp_path)
    assert [(tmp_path / f"{rank}.txt").read_text() for rank in range(3)] == ["3 True"] * 3


def values(count: int, seed: int) -> Tensor:
    """What a normalisation of three channels reads, (count, 3, 1, 1, 1), far from a mean of 0."""
    return torch.randn(count, 3, 1, 1, 1, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) + 4


SHARES = {"some": (5, 3), "none": (4, 0), "one each": (1, 1), "one": (0, 1)}  # values of each process
DTYPES = {"single": torch.float32, "double": torch.float64}


def normalised(shares: tuple[int, ...], dtype: torch.dtype, world: World = ALONE) -> dict[str, Tensor]:
    """Two steps of a normalisation: what it gives and learns, and its gradients, of a process or of one for all."""
    norm = Norm(3).to(dtype)
    norm.weight.data += torch.arange(3) / 2
    norm.bias.data -= 1
    world.join_model(norm)
    mine = range(len(shares)) if world.size == 1 else [world.rank]
    found = {}
    for step in range(2):
        x = torch.cat([values(shares[rank], 10 * step + rank) for rank in mine]).to(dtype).requires_grad_()
        made = norm(x)
        (made**3 / 8).sum().backward()
        found |= {f"made {step}": made.detach(), f"gradient {step}": x.grad}
    world.mean_gradients(norm)
    found |= {name: one.grad * world.size for name, one in norm.named_parameters()}
    return found | {name: one.clone() for name, one in norm.named_buffers()}


LENGTHS = [4, 2, 3]  # frames of three windows of video
GIVEN = {"both": [[0, 1], [2]], "first": [[0, 1, 2], []]}  # which of them each of two processes is given


def seen(given: list[int], world: World = ALONE) -> dict[str, Tensor]:
    """A step of a small V2P on some windows, or on a blank one: its output, gradients and statistics."""
    torch.manual_seed(0)
    network = V2p((3, 4, 4, 5, 6)).double().train()
    world.join_model(network)
    clip = torch.randn(3, 3, 4, 112, 112, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    parts = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    lengths = torch.tensor([LENGTHS[one] for one in given] or [0])
    t = max(int(lengths.max()), 1)
    valence, arousal = network(clip[given or [0], :, :t], Inside(torch.arange(t) < lengths[:, None]))
    chosen = parts[given or [0], :t]
    ((valence**2 + arousal) * chosen).sum().backward()
    world.mean_gradients(network)
    found = {f"valence {one}": valence[row].detach() for row, one in enumerate(given)}
    found |= {f"arousal {one}": arousal[row].detach() for row, one in enumerate(given)}
    found |= {name: one.grad * world.size for name, one in network.named_parameters()}
    return found | {name: one.clone() for name, one in network.named_buffers()}


SEEN_BY_BOTH = {"frames": {}, "all": {"expression_over": "all"}, "parts": {"accumulate": 2}, "tail": {"batch": 14}}


def sees(more: dict[str, object], world: World = ALONE) -> tuple[list[Epoch], dict[str, Tensor]]:
    """A training of a network that sees and learns expressions and action units too; 15 windows an epoch."""
    config = dataclasses.replace(AUGMENTED, optimizer="sgd", momentum=0.0, epochs=1, **{"batch": 7, **more})  # type: ignore[arg-type]
    fit, model = begin(config, SEES, world=world)
    return list(fit), model.state_dict()


def one_of_two(rank: int, size: int, port: int, folder: Path) -> None:
    world = joined(rank, size, port)
    found = {name: trained(config, world) for name, config in CONFIGS.items()}
    found |= {f"sees {name}": sees(more, world) for name, more in SEEN_BY_BOTH.items()}  # type: ignore[arg-type]
    model = new_model("gru-face", SETS, STEADY, 0)
    val = clips(range(1))
    found["one clip"] = AFFECT.scores(model, val, 3, CPU, world)  # type: ignore[assignment]
    x = torch.tensor([1.0 + rank], requires_grad=True)
    (world.total(x) ** 2).backward()  # of each process: d (x0 + x1)^2 / dx, twice
    found["gradient"] = x.grad  # type: ignore[assignment]
    found["gathered"] = world.gathered(torch.tensor([rank], dtype=torch.uint8))  # type: ignore[assignment]
    for name, shares in SHARES.items():
        found |= {f"{name} {kind}": normalised(shares, dtype, world) for kind, dtype in DTYPES.items()}  # type: ignore[misc]
    for name, given in GIVEN.items():
        found[name] = seen(given[rank], world)  # type: ignore[assignment]
    torch.save(found, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """What each of two processes over gloo found."""
    folder = tmp_path_factory.mktemp("world")
    spawned(one_of_two, 2, folder)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in (0, 1)]  # written just above


@pytest.mark.parametrize("name", [*CONFIGS, *(f"sees {name}" for name in SEEN_BY_BOTH)])
def test_two_processes_train_as_one(ranks: list[dict[str, object]], name: str) -> None:
    epochs, weights = trained(CONFIGS[name]) if name in CONFIGS else sees(SEEN_BY_BOTH[name.removeprefix("sees ")])
    for found, same in (rank[name] for rank in ranks):  # type: ignore[misc]
        for one, other in zip(epochs, found, strict=True):
            assert one.to_json() == pytest.approx(other.to_json(), abs=1e-5)
        assert weights.keys() == same.keys()
        for key, values in weights.items():
            assert torch.allclose(values.float(), same[key].float(), rtol=0, atol=1e-5), key
    (_, first), (_, second) = (rank[name] for rank in ranks)  # type: ignore[misc]
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_clip_is_validated_by_one_process_only(ranks: list[dict[str, object]]) -> None:
    wanted = AFFECT.scores(new_model("gru-face", SETS, STEADY, 0), clips(range(1)), 3, CPU, ALONE)
    assert ranks[0]["one clip"] == ranks[1]["one clip"] == pytest.approx(wanted, abs=1e-6)


def test_gradients_of_a_sum_are_summed(ranks: list[dict[str, object]]) -> None:
    assert [float(rank["gradient"]) for rank in ranks] == [12, 12]  # type: ignore[arg-type]
    assert [[int(one) for one in rank["gathered"]] for rank in ranks] == [[0, 1], [0, 1]]  # type: ignore[attr-defined]


def test_compiling_does_not_go_with_several_processes() -> None:
    with pytest.raises(UsageError, match="--compile: does not go with --devices 2"):
        check(Training(compile=True), CPU, processes=2)


@pytest.mark.parametrize("name", SHARES)
@pytest.mark.parametrize("kind", DTYPES)
def test_video_is_normalised_over_the_values_of_all_processes(
    ranks: list[dict[str, dict[str, Tensor]]], name: str, kind: str
) -> None:
    whole, tolerance = normalised(SHARES[name], DTYPES[kind]), {"single": 1e-5, "double": 1e-12}[kind]
    found = [rank[f"{name} {kind}"] for rank in ranks]
    assert int(whole["num_batches_tracked"]) == (0 if name == "one" else 2)  # one value has no variance
    for key, expected in whole.items():
        apart = key.startswith(("made", "gradient"))
        for same in [torch.cat([one[key] for one in found])] if apart else [one[key] for one in found]:
            torch.testing.assert_close(same, expected, rtol=tolerance, atol=tolerance, msg=lambda m, k=key: f"{k}: {m}")


@pytest.mark.parametrize("name", GIVEN)
def test_two_processes_see_video_as_one(ranks: list[dict[str, dict[str, Tensor]]], name: str) -> None:
    whole = seen([0, 1, 2])
    for rank in ranks:
        for key, same in rank[name].items():
            expected = whole[key][: len(same)] if key.startswith(("valence ", "arousal ")) else whole[key]
            torch.testing.assert_close(same, expected, rtol=1e-9, atol=1e-9, msg=lambda m, k=key: f"{k}: {m}")
    assert {key for rank in ranks for key in rank[name]} == whole.keys()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_summed_over_one_process_video_is_normalised_as_pytorch_does(dtype: torch.dtype) -> None:
    x = torch.randn(2, 3, 4, 5, 6, generator=torch.Generator().manual_seed(0)).to(dtype) + 1
    x = x.contiguous(memory_format=torch.channels_last_3d)
    norm, plain = Norm(3), nn.BatchNorm3d(3)
    norm.total = torch.clone
    found = []
    for one in (norm, plain):
        read = x.clone().requires_grad_()
        made = one(read)
        made.float().pow(3).sum().backward()
        assert made.is_contiguous(memory_format=torch.channels_last_3d) and made.dtype == dtype
        found.append((made, read.grad, *(weight.grad for weight in one.parameters()), *one.buffers()))
    tolerance = 1e-5 if dtype == torch.float32 else 0.02  # bfloat16 keeps 8 bits
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def test_a_frozen_normalisation_and_one_process_alone_sum_nothing() -> None:
    def refuse(_: Tensor) -> Tensor:
        raise AssertionError("summed over processes")

    norm, x = Norm(3), values(4, 0).float()
    plain = nn.BatchNorm3d(3)
    ALONE.join_model(norm)
    assert norm.total is None and torch.equal(norm(x), plain(x))
    norm.total = refuse
    assert torch.equal(norm.eval()(x), plain.eval()(x))
    with pytest.raises(AssertionError, match="summed"):
        norm.train()(x)
