"""One trained network, or several, that predict a clip."""

from __future__ import annotations

import dataclasses
import functools
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affcli.configs import M3tIdentity, Prediction
from affcli.errors import UsageError
from affcli.models import sees

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affcli.cli.to_predict import Clip, Files, Work
    from affcli.labels.affect import Affect
    from affcli.recipes import Recipe
    from affcli.smoothing import Smoothing
    from affcli.training.checkpoint import Checkpoint
    from affcli.training.data import ClipData

log = logging.getLogger(__name__)

BATCH, BATCH_SEEN = 256, 16  # windows at a time, of networks that read features alone and of those that see


def runs_of(paths: list[Path], config: Prediction) -> list[Checkpoint]:
    """The checkpoints of one or more runs.

    Raises InputError and SchemaError as `checkpoint.load` does, UsageError where several are asked for and there is
    only one, one comes twice or tells people apart, or its validation CCC is to count and it has none; with `--smooth
    auto` as `tuned` does.
    """
    from affcli.smoothing import AUTO
    from affcli.training.checkpoint import load
    from affcli.training.description import DESCRIPTIONS

    default = Prediction()
    asked = [f"--ensemble {config.ensemble}"] * (config.ensemble != default.ensemble) + ["--std"] * config.std
    if asked and len(paths) == 1:
        raise UsageError(
            asked[0], f"is given with one run, {paths[0]}", expected="several", advice="name the others: --with RUN"
        )
    runs: list[Checkpoint] = []
    for path in paths:
        named = path.name in DESCRIPTIONS
        checkpoint = load(path.parent, path.stem) if named else load(path)
        if isinstance(checkpoint.description.network, M3tIdentity):
            raise UsageError(
                path,
                f"is a {checkpoint.description.model}, which tells people apart",
                expected="a run of a network of valence and arousal",
                advice="train one that begins with it: affcli train --init-backbone",
            )
        for other in runs:
            if other.description.tensors == checkpoint.description.tensors:
                raise UsageError(
                    f"--with {path}",
                    f"is the same network as {other.path}",
                    expected="each network once",
                    advice="leave it out",
                )
        if config.smooth == AUTO:
            tuned(checkpoint)
        if config.ensemble == "weighted":
            _check_scored(checkpoint)
        if not checkpoint.description.finished:
            which = "last" if checkpoint.state else "best"
            log.warning("%s: its training was broken off; this is its %s epoch until then", path, which)
        runs.append(checkpoint)
    return runs


def tuned(run: Checkpoint) -> dict[str, Smoothing]:
    """What `--smooth auto` is for a run: the smoothing that its training found best, by dimension.

    Raises UsageError where it found none because it was broken off or did not look for one: curves that are not
    smoothed must not pass for curves that need no smoothing.  Raises SchemaError where the checkpoint garbles it.
    """
    from affcli.smoothing import AUTO, parse
    from affcli.training.description import BEST, damaged, description_path

    known = run.description
    if not known.finished or not known.smooth:
        why = "did not look for one" if known.finished else "was broken off before it looked for one"
        first = "" if known.finished else "end the training with affcli train --resume, or "
        raise UsageError(
            f"--smooth {AUTO}",
            f"asks for the smoothing that is best for {run.path}, whose training {why}",
            expected="a finished training of this affcli",
            advice=f"{first}name a smoothing, such as --smooth mean:2s, or none",
        )
    try:
        return parse(str(known.smooth))
    except UsageError as error:
        path = description_path(run.path, BEST)
        raise damaged(path, f"its smoothing, '{known.smooth}', {error.found}", error.expected) from error


def recipe_of(runs: list[Checkpoint], work: Work, config: Prediction) -> Recipe:
    """How the predictions are made; a setting that has its default is not named.

    What there is of each run is a list where there are several.  So is the smoothing of `--smooth auto`, of each run
    before they are averaged; one that is not a list is of their mean.
    """
    from affcli import recipes
    from affcli.labels.affect import DIMENSIONS
    from affcli.smoothing import AUTO, canonical
    from affcli.training.description import tensors_name

    default = Prediction()
    changed = {name: value for name, value in recipes.plain(config).items() if value != getattr(default, name)}
    if config.smooth == AUTO:
        each = [canonical(tuned(run)) for run in runs]
        for run, smoothing in zip(runs, each, strict=True):
            log.info("%s: smoothing by its validation clips: %s", run.path, smoothing)
        # Where nothing is smoothed, the predictions are those without the option, and so is their recipe.
        del changed["smooth"]
        changed |= {"smooth": each[0] if len(each) == 1 else each} if set(each) != {default.smooth} else {}
    columns = [
        {"model": one.description.model, **recipes.plain(plan)} for one, plan in zip(runs, work.plans, strict=True)
    ]
    if len(runs) == 1:
        made, weights = columns[0], {tensors_name(runs[0].description): runs[0].description.tensors}
    else:
        made = {name: [column[name] for column in columns] for name in columns[0]} | {"ensemble": config.ensemble}
        described = [one.description for one in runs]
        weights = {f"{i}/{tensors_name(one)}": one.tensors for i, one in enumerate(described, start=1)}
        if config.ensemble == "weighted":
            _warn_of_useless(runs)
            made |= {f"{name}_shares": _shares(runs)[:, column].tolist() for column, name in enumerate(DIMENSIONS)}
    parents = [one.description.recipe for one in runs]
    return recipes.recipe("predict", made | changed, weights=weights, parents=parents + work.foreign)


def _check_scored(run: Checkpoint) -> None:
    """Raise UsageError where a run has no validation CCC: it was imported without labelled val clips."""
    from affcli.labels.affect import DIMENSIONS

    if absent := [name for name in DIMENSIONS if name not in run.description.validation]:
        raise UsageError(
            "--ensemble weighted",
            f"{run.path} has no validation CCC of {' and '.join(absent)} to count by",
            expected="runs that were scored on validation clips",
            advice="choose --ensemble mean or centred, or import it again with windows that hold labelled val clips",
        )


def _warn_of_useless(runs: list[Checkpoint]) -> None:
    """Say which validation scores leave a weighted mean nothing to go by."""
    for name in ("valence", "arousal"):
        if not any(one.description.validation[name] > 0 for one in runs):
            log.warning("no run has a validation CCC of %s above 0: all count alike in it", name)


def _shares(runs: list[Checkpoint]) -> NDArray[np.float64]:
    """What each of m runs counts by its validation CCC, in valence and arousal: (m, 2)."""
    import numpy as np

    from affcli.labels.affect import DIMENSIONS
    from affcli.prediction import shares

    columns = [shares([one.description.validation[name] for one in runs]) for name in DIMENSIONS]
    return np.stack(columns, axis=-1)


@dataclass(frozen=True)
class Ensemble:
    """One network or several, and what is done with what they say."""

    runs: list[Checkpoint]
    config: Prediction
    batch: int | None  # windows at a time; by default BATCH, and BATCH_SEEN of a network that sees
    device: Any

    def predict(self, clip: Clip, files: Files) -> Affect:
        """Valence and arousal of one clip, and its expressions and action units where networks have them.

        A frame's expression is that of the highest probability (softmax) on average over the networks that have
        expressions, and it shows an action unit where the mean logit of those that have that one is above 0.  Networks
        count alike in both, and neither is smoothed.
        """
        import numpy as np

        from affcli.labels.affect import HIGH, LOW, Affect
        from affcli.smoothing import AUTO, parse, smooth_both

        data, time_us = files.data(clip.name), files.time_us
        said = [self._said(i, clip, data) for i in range(len(self.runs))]
        curves = [np.clip(one[:, -2:], LOW, HIGH) for one in said]
        if self.config.smooth == AUTO:
            curves = [smooth_both(one, time_us, tuned(run)) for one, run in zip(curves, self.runs, strict=True)]
        values, std = (curves[0], None) if len(curves) == 1 else self._combined(np.stack(curves))
        if self.config.smooth != AUTO:
            values = smooth_both(values, time_us, parse(self.config.smooth))
        values = np.clip(values, LOW, HIGH)
        return Affect(
            clip.name,
            values[:, 0],
            values[:, 1],
            time_us,
            std=std if self.config.std else None,
            expression=self._expression(said),
            action_units=self._action_units(said),
        )

    @functools.cached_property
    def _networks(self) -> list[Any]:
        """The networks, ready to predict, by run."""
        from affcli.models.inference import ready

        return [ready(run.model, self.device, self.config.precision) for run in self.runs]

    def _said(self, i: int, clip: Clip, data: ClipData) -> NDArray[np.float64]:
        """All that run `i` says of a clip of n frames: (n, K), valence and arousal last."""
        import numpy as np

        from affcli.prediction import outputs
        from affcli.training.data import WindowedClips
        from affcli.training.sight import Sight

        run = self.runs[i]
        encoders, network = run.description.features, run.description.network
        data = dataclasses.replace(
            data,
            features={name: data.features[name] for name in encoders},
            valid={name: data.valid[name] for name in encoders},
            crops=data.crops if sees(network) else None,
        )
        sight = None
        if data.crops:
            sight = Sight.of(data.crops.frames.shape[1], network)
        if not any(valid.any() for valid in [*data.valid.values(), *([data.crops.valid] if data.crops else [])]):
            whose = "its predictions mean" if len(self.runs) == 1 else f"the predictions of {run.path} mean"
            what = " or ".join(["features"] * bool(encoders) + ["crops"] * bool(data.crops))
            log.warning("clip %s: no %s describe any of its frames; %s nothing", clip.name, what, whose)
        starts, lengths = clip.windows[i](data.frames)
        which = np.zeros(len(starts), np.int64)
        windows = WindowedClips([data], which, starts, lengths, run.standardisation, sight)
        batches = windows.batches(self.batch or (BATCH_SEEN if sight else BATCH))
        return outputs(self._networks[i], batches, data.frames, self.device, self.config.overlap_weights)

    def _expression(self, said: list[NDArray[np.float64]]) -> NDArray[np.int8] | None:
        """The expression of each frame, (n,), by what the runs say, (n, K) each; None where none has any."""
        from affcli.prediction import classes

        counts = [getattr(run.description.network, "expressions", 0) for run in self.runs]
        logits = [one[:, :count] for one, count in zip(said, counts, strict=True) if count]
        return classes(logits) if logits else None

    def _action_units(self, said: list[NDArray[np.float64]]) -> dict[str, NDArray[np.int8]]:
        """Whether each frame shows each of the action units that the runs have: (n,) by name."""
        from affcli.prediction import present

        logits: dict[str, list[NDArray[np.float64]]] = {}
        for run, one in zip(self.runs, said, strict=True):
            names = getattr(run.description.network, "action_units", ())
            for name, column in zip(names, one[:, one.shape[1] - 2 - len(names) : -2].T, strict=True):
                logits.setdefault(name, []).append(column)
        return {name: present(columns) for name, columns in logits.items()}

    def _combined(self, curves: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation (n, 2) of the curves of m runs (m, n, 2)."""
        import numpy as np

        from affcli.prediction import centred, combine

        counts = np.full((len(curves), 2), 1 / len(curves))
        if self.config.ensemble == "weighted":
            counts = _shares(self.runs)
        if self.config.ensemble == "centred":
            curves = np.stack([centred(curves[..., column]) for column in (0, 1)], axis=-1)
        return combine(curves, counts)
