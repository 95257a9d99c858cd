"""Time of M3T's visual network for one clip of 32 frames: ours, and the network as the paper's code computes it.

    python tests/benchmarks/m3t.py [--rounds 9] [--threads 1] [--batch 1] [--memory]

The literal one is plain PyTorch modules in the order of the text, in float32.  All contestants have the same weights
and take turns; shown are the medians of the CPU time of all threads, and of the ratios within a round, of the literal
network's forward pass (or forward and backward) to ours.  --memory trains one batch of 8 clips instead, bfloat16, and
shows the largest resident memory of the process.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from affcli.configs import M3t as Config
from affcli.models.m3t import M3t, folded

FRAMES = 32


def stage(width_in: int, width: int, stride: int = 1, pools: bool = False) -> list[nn.Module]:
    layers = [
        nn.Conv3d(width_in, width, 3, (1, stride, stride), (1, 0, 0)),
        nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
    ]
    return [*layers, nn.MaxPool3d((1, 2, 2))] if pools else layers


class Literal(nn.Module):
    """The visual network, features of the emotion network in both branches: clip and features to (b, t, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Sequential(*stage(3, 64, 2, True), *stage(64, 128, 1, True), *stage(128, 256, 1, True))
        self.valence = nn.Sequential(*stage(256, 512), *stage(512, 512))
        self.arousal = nn.Sequential(*stage(256, 512), *stage(512, 512))
        self.grus = nn.ModuleList(nn.GRU(1024, 512, 2, batch_first=True, bidirectional=True) for _ in range(2))
        self.dense = nn.ModuleList(
            nn.Sequential(nn.Linear(1024, 512), nn.ReLU(inplace=True), nn.Linear(512, 1)) for _ in range(2)
        )

    def forward(self, clip: Tensor, emotion: Tensor) -> Tensor:
        x = self.shared(clip)
        made = []
        for branch, gru, dense in zip((self.valence, self.arousal), self.grus, self.dense, strict=True):
            vector = branch(x).squeeze(-1).squeeze(-1).transpose(1, 2)
            made.append(dense(gru(torch.cat([vector, emotion], dim=-1))[0]))
        return torch.cat(made, dim=-1)


def literal_of(network: M3t) -> Literal:
    """With the weights of ours, whose order of tensors but for the GRUs' place is the same."""
    made = Literal()
    assert network.visual is not None
    visual = network.visual
    for mine, theirs in ((made.shared, visual.backbone.shared), (made.valence, visual.backbone.valence)):
        mine.load_state_dict(dict(zip(mine.state_dict(), theirs.state_dict().values(), strict=True)))
    made.arousal.load_state_dict(
        dict(zip(made.arousal.state_dict(), visual.backbone.arousal.state_dict().values(), strict=True))
    )
    for k, head in enumerate((visual.valence, visual.arousal)):
        made.grus[k].load_state_dict(head.gru.state_dict())
        made.dense[k].load_state_dict(head.fc.state_dict())
    return made


def train(network: nn.Module, *inputs: object, bf16: bool) -> Callable[[], None]:
    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            made = network(*inputs)
        made.float().square().mean().backward()
        network.zero_grad(set_to_none=True)

    return step


def forward(network: nn.Module, *inputs: object) -> Callable[[], None]:
    def run() -> None:
        with torch.inference_mode():
            network(*inputs)

    return run


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=9)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--batch", type=int, default=1)
    options.add_argument("--memory", action="store_true")
    given = options.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    batch = 8 if given.memory else given.batch
    network = M3t(Config(static="emotion"))
    clip, emotion = torch.rand(batch, 3, FRAMES, 112, 112) * 2 - 1, torch.randn(batch, FRAMES, 512)
    inputs, inside = {"clip": clip, "emotion": emotion}, torch.ones(batch, FRAMES, dtype=torch.bool)
    if given.memory:
        optimizer = torch.optim.Adam(network.parameters(), weight_decay=1e-4)
        for _ in range(2):
            with torch.autocast("cpu", torch.bfloat16):
                made = network(inputs, inside)
            made.float().square().mean().backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
        print(f"8 clips of {FRAMES} frames, forward, backward and Adam, bfloat16: {peak:.2f} GiB at most")
        return
    literal = literal_of(network)
    learning, literal_learning = network, literal_of(network).train()
    predicting, literal = M3t(Config(static="emotion")).eval(), literal.eval()
    predicting.load_state_dict(network.state_dict())
    contestants = {
        "forward, literal float32": forward(literal, clip, emotion),
        "forward, ours float32": forward(folded(predicting), inputs, inside),
        "forward, ours bfloat16": forward(folded(predicting, torch.bfloat16), inputs, inside),
        "training, literal float32": train(literal_learning, clip, emotion, bf16=False),
        "training, ours float32": train(learning, inputs, inside, bf16=False),
        "training, ours bfloat16": train(learning, inputs, inside, bf16=True),
    }
    with torch.inference_mode():
        off = (folded(predicting)(inputs, inside) - literal(clip, emotion)).abs().max()
        near = (folded(predicting, torch.bfloat16)(inputs, inside) - literal(clip, emotion)).abs().max()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for lap in range(given.rounds + 1):
        for name, run in contestants.items():
            begun = time.process_time()
            run()
            if lap:  # the first one warms up
                times[name].append((time.process_time() - begun) / batch * 1e3)
    print(
        f"torch {torch.__version__}, {given.threads} threads, load {os.getloadavg()[0]:.1f}, off {off:.1e} {near:.1e}"
    )
    for name, each in times.items():
        base = times[f"{name.split(',')[0]}, literal float32"]
        ratio = statistics.median(b / e for b, e in zip(base, each, strict=True))
        print(f"{name:28} {statistics.median(each):7.1f} ms a clip   {ratio:5.2f}x")


if __name__ == "__main__":
    main()
