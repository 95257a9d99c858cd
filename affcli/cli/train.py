"""affcli train"""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import typer

from affcli import configs
from affcli.cli.fields import with_fields
from affcli.cli.options import DEVICE, ENCODER, FORCE, configure
from affcli.cli.progress import Line, say
from affcli.errors import InputError, UsageError
from affcli.models import MODELS, inputs_of

if TYPE_CHECKING:
    from affcli.cli.windowed import Index
    from affcli.training.checkpoint import Checkpoint
    from affcli.training.data import WindowedClips
    from affcli.training.description import Description
    from affcli.training.estimate import Estimate
    from affcli.training.fit import Epoch
    from affcli.windows import FeatureSet, Part

log = logging.getLogger(__name__)

WINDOWS = typer.Argument(..., metavar="WINDOWS", help="Windows table with labels, as affcli window writes it.")
OUT = typer.Option(..., "--out", "-o", metavar="RUN", help="Directory for the checkpoint; made where it is missing.")
MODEL = typer.Option(
    "gru-fusion", "--model", help=f"Network: {', '.join(MODELS)}.", autocompletion=lambda: list(MODELS)
)


@with_fields(configs.Training)
def train(
    windows: Path = WINDOWS,
    out: Path = OUT,
    model: str = MODEL,
    encoder: list[str] = ENCODER,
    device: Literal["auto", "cpu", "cuda", "mps"] = DEVICE,
    dry_run: bool = typer.Option(False, "--dry-run", help="Only say how large the training will be; write nothing."),
    force: bool = FORCE,
    **settings: Any,
) -> None:
    """Fit a network to labelled windows and keep the epoch that predicts the validation clips best.

    After every epoch the validation clips are predicted as a whole and scored: CCC over all their annotated frames,
    mean of valence and arousal. Writes RUN/best.safetensors (weights and standardisation), RUN/best.json (what they
    are) and RUN/metrics.jsonl (one line per epoch, with the learning rate of its last step).
    """
    from affcli import recipes
    from affcli.cli.windowed import read_windows
    from affcli.models.device import pick
    from affcli.training import checkpoint, description
    from affcli.training.data import fit_standardisation
    from affcli.training.estimate import estimate
    from affcli.training.fit import fit, new_model
    from affcli.training.optimisation import check

    config = configure(configs.Training, settings)
    where = pick(device)
    check(config, where)
    index = read_windows(windows)
    sets = inputs_of(model, _chosen(index, encoder))
    network = MODELS[model].config()
    recipe = recipes.recipe(
        "train",
        {"model": model, "encoders": list(sets), "network": recipes.plain(network), **recipes.plain(config)},
        parents=[index.recipe],
    )
    inputs = [recipes.source(windows)]
    if dry_run:
        fitted = _data(index, list(sets), "train")
        _say_size(estimate(new_model(model, sets, network, config.seed), fitted, config), fitted, config)
        return
    if not force and (kept := description.keep(out, recipe, inputs)):
        say(f"{out}: up to date, {_score(kept)}")
        return
    fitted, held_out = _data(index, list(sets), "train"), _data(index, list(sets), "val")
    checkpoint.prepare(out)
    standardisation = fit_standardisation(fitted)
    untrained = description.Description(
        model=model,
        config=recipes.plain(network),
        features=sets,
        windows=configs.Windows(index.facts.length, index.facts.overlap),
        validation={},
        epoch=0,
        finished=False,
        inputs=inputs,
        recipe=recipe,
    )
    net = new_model(model, sets, network, config.seed)
    run = _Run(checkpoint.Checkpoint(out, untrained, net, standardisation))
    fitted, held_out = fitted.standardised(standardisation), held_out.standardised(standardisation)
    try:
        for epoch in fit(net, fitted, held_out, config, where, run.show):
            run.end_of_epoch(epoch)
    finally:
        run.line.clear()
    run.close()


class _Run:
    """What a training leaves behind, epoch by epoch, and what it shows."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint  # described as of the best epoch so far
        self.history: list[Epoch] = []
        self.line = Line()

    def show(self, done: int, total: int) -> None:
        """Say how far the epoch at hand is."""
        known = self.checkpoint.description
        best = f", best mean CCC {known.validation['mean']:.3f} (epoch {known.epoch})" if known.epoch else ""
        self.line.show(f"epoch {len(self.history) + 1}: {done} of {total} windows{best}")

    def end_of_epoch(self, epoch: Epoch) -> None:
        """Save the metrics and, where they are the best, the weights."""
        from affcli.training.checkpoint import save
        from affcli.training.description import save_metrics

        self.history.append(epoch)
        if epoch.improved:
            scores = {"valence": epoch.valence, "arousal": epoch.arousal, "mean": epoch.mean}
            best = dataclasses.replace(self.checkpoint.description, epoch=epoch.number, validation=scores)
            self.checkpoint = save(dataclasses.replace(self.checkpoint, description=best))
        save_metrics(self.checkpoint.path, (one.to_json() for one in self.history))
        text = f"epoch {epoch.number}: loss {epoch.train_loss:.4f}, {_ccc(epoch.valence, epoch.arousal, epoch.mean)}"
        self.line.show(text)
        log.info("%s", text)

    def close(self) -> None:
        """Mark the checkpoint as finished and say how good it is."""
        from affcli.training.description import describe

        finished = dataclasses.replace(self.checkpoint.description, finished=True)
        describe(self.checkpoint.path, finished)
        say(f"{self.checkpoint.path}: {_score(finished)} of {len(self.history)}")


def _say_size(size: Estimate, windows: WindowedClips, config: configs.Training) -> None:
    """Print how large a training is."""
    longest = int(windows.length.max())
    for name, vectors in windows.clips[0].features.items():
        print(f"{name}: {size.part} x {longest} x {vectors.shape[1]} (windows, frames, numbers)")
    print(f"output: {size.part} x {longest} x 2")
    print(f"parameters: {size.parameters}")
    print(f"windows per epoch: {size.windows}, of {len(windows.clips)} clips")
    print(f"steps per epoch: {size.steps}, {size.steps * config.epochs} at most")
    print(
        f"memory: about {(size.state_bytes + size.batch_bytes) / 1e6:.1f} MB, "
        f"{size.state_bytes / 1e6:.1f} for the network and its optimiser and {size.batch_bytes / 1e6:.1f} for a pass"
    )


def _ccc(valence: float, arousal: float, mean: float) -> str:
    return f"CCC valence {valence:.3f}, arousal {arousal:.3f}, mean {mean:.3f}"


def _score(description: Description) -> str:
    return f"{_ccc(**description.validation)} at epoch {description.epoch}"


def _chosen(index: Index, encoders: list[str]) -> dict[str, FeatureSet]:
    """The feature sets of the windows, or those of them that --encoder names."""
    for name in encoders:
        if name not in index.facts.features:
            raise UsageError(
                f"--encoder {name}",
                f"is no feature set of {index.path}",
                expected=f"one of {', '.join(index.facts.features)}",
                advice="check the name, or cut windows with these features too",
            )
    return {name: one for name, one in index.facts.features.items() if not encoders or name in encoders}


def _data(index: Index, encoders: list[str], part: Part) -> WindowedClips:
    """The windows of one part of the clips; of training clips, those with labels.

    Raises InputError where there are none.
    """
    import numpy as np

    from affcli.cli.windowed import clip_data
    from affcli.training.data import WindowedClips

    clips = [clip for clip in index.windows if index.facts.clips[clip].split == part]
    if not any(one.labels for one in index.facts.clips.values()):
        raise InputError(
            index.path, "has no labels", expected="labelled windows", advice="cut them again: affcli window --labels"
        )
    if not clips:
        advice = {
            "train": "hold out fewer: affcli window --val-share, --val, --test",
            "val": "hold out at least one of two or more clips: affcli window --val-share 0.2, or --val FILE",
        }[part]
        raise InputError(index.path, f"has no {part} clip", expected="train and val clips", advice=advice)
    windows = WindowedClips(
        [clip_data(clip, index.features(clip, encoders), index.labels(clip)) for clip in clips],
        np.repeat(np.arange(len(clips)), [len(index.windows[clip][0]) for clip in clips]),
        np.concatenate([index.windows[clip][0] for clip in clips]),
        np.concatenate([index.windows[clip][1] for clip in clips]),
    )
    if not windows.labelled.any():
        raise InputError(
            index.path,
            f"no frame of its {len(clips)} {part} clips is annotated",
            expected="some frames with valence and arousal",
            advice="check the labels, or split the clips otherwise",
        )
    return windows if part == "val" else windows.with_labels()
