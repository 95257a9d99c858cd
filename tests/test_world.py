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
from torch import Tensor

from affcli.configs import Training
from affcli.errors import UsageError
from affcli.training.data import WindowedClips, fit_standardisation
from affcli.training.fit import Epoch, Fit, new_model, validate
from affcli.training.optimisation import check
from affcli.training.state import packed, unpacked
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


def one_of_two(rank: int, size: int, port: int, folder: Path) -> None:
    world = joined(rank, size, port)
    found = {name: trained(config, world) for name, config in CONFIGS.items()}
    model = new_model("gru-face", SETS, STEADY, 0)
    val = clips(range(1))
    found["one clip"] = validate(model, val, 3, CPU, world)  # type: ignore[assignment]
    x = torch.tensor([1.0 + rank], requires_grad=True)
    (world.total(x) ** 2).backward()  # of each process: d (x0 + x1)^2 / dx, twice
    found["gradient"] = x.grad  # type: ignore[assignment]
    found["gathered"] = world.gathered(torch.tensor([rank], dtype=torch.uint8))  # type: ignore[assignment]
    torch.save(found, folder / f"{rank}.pt")
    torch.distributed.destroy_process_group()


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """What each of two processes over gloo found."""
    folder = tmp_path_factory.mktemp("world")
    spawned(one_of_two, 2, folder)
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in (0, 1)]  # written just above


@pytest.mark.parametrize("name", CONFIGS)
def test_two_processes_train_as_one(ranks: list[dict[str, object]], name: str) -> None:
    epochs, weights = trained(CONFIGS[name])
    for found, same in (rank[name] for rank in ranks):  # type: ignore[misc]
        for one, other in zip(epochs, found, strict=True):
            assert one.to_json() == pytest.approx(other.to_json(), abs=1e-5)
        assert weights.keys() == same.keys()
        for key, values in weights.items():
            assert torch.allclose(values.float(), same[key].float(), rtol=0, atol=1e-5), key
    (_, first), (_, second) = (rank[name] for rank in ranks)  # type: ignore[misc]
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_clip_is_validated_by_one_process_only(ranks: list[dict[str, object]]) -> None:
    wanted = validate(new_model("gru-face", SETS, STEADY, 0), clips(range(1)), 3, CPU)
    assert ranks[0]["one clip"] == ranks[1]["one clip"] == pytest.approx(wanted, abs=1e-6)


def test_gradients_of_a_sum_are_summed(ranks: list[dict[str, object]]) -> None:
    assert [float(rank["gradient"]) for rank in ranks] == [12, 12]  # type: ignore[arg-type]
    assert [[int(one) for one in rank["gathered"]] for rank in ranks] == [[0, 1], [0, 1]]  # type: ignore[attr-defined]


def test_compiling_does_not_go_with_several_processes() -> None:
    with pytest.raises(UsageError, match="--compile: does not go with --devices 2"):
        check(Training(compile=True), CPU, processes=2)
