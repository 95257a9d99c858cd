"""The runs that a training begins with: --init, --init-visual, --init-audio and --init-backbone."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affcli import recipes
from affcli.errors import SchemaError, UsageError, some
from affcli.models import MODELS

if TYPE_CHECKING:
    from affcli.cli.choice import Choice
    from affcli.cli.crop_files import CropFiles
    from affcli.cli.one_run import Job, Prepared
    from affcli.cli.people import PeoplePrepared
    from affcli.training.checkpoint import Checkpoint
    from affcli.training.data import Standardisation, WindowedClips
    from affcli.windows import FeatureSet


log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Begun:
    """What a network begins with: checkpoints by the part that they are for."""

    runs: Mapping[str, Checkpoint] = field(default_factory=dict)

    @property
    def recipes(self) -> list[recipes.Recipe]:
        """How they were made."""
        return [one.description.recipe for one in self.runs.values()]

    @property
    def weights(self) -> dict[str, str]:
        """The digests of their tensors, by part."""
        return {f"init {part}": one.description.tensors for part, one in self.runs.items()}

    def give(self, network: Any, config: Any) -> None:
        """Give `network` their weights.  Raises as `training.stages.begin` does."""
        from affcli.training.stages import Trained, begin

        for part, one in self.runs.items():
            trained = Trained(str(one.path), one.description.network, one.model.state_dict())
            begin(network, config, part, trained)

    def standardisation(self, fitted: Standardisation) -> Standardisation:
        """`fitted`, but for the features that a run already reads in its own way."""
        from affcli.training.data import Standardisation

        mean, std = dict(fitted.mean), dict(fitted.std)
        for one in self.runs.values():
            mean |= {name: values for name, values in one.standardisation.mean.items() if name in mean}
            std |= {name: values for name, values in one.standardisation.std.items() if name in std}
        return Standardisation(mean, std)


def network_of(made: Prepared | PeoplePrepared, train: WindowedClips) -> tuple[Any, Standardisation]:
    """The network that a training begins with, on the CPU, and how it reads its features.  Raises as `Begun.give`."""
    from affcli.training.data import fit_standardisation
    from affcli.training.fit import new_model

    choice = made.job.choice
    network = new_model(choice.model, made.sets, choice.network, choice.training.seed)
    made.begun.give(network, choice.network)
    return network, made.begun.standardisation(fit_standardisation(train))


def read_begun(job: Job, sets: Mapping[str, FeatureSet], crops: CropFiles | None) -> Begun:
    """The runs that a job names, which must be of features and crops that are made as those at hand.

    Raises UsageError where the stage or the model needs a run that is not named, InputError and SchemaError as
    `checkpoint.load` does, and SchemaError where features or crops were made otherwise.
    """
    from affcli.training.checkpoint import load
    from affcli.training.stages import Trained, check

    check_begun(job.choice)
    here = job.out.resolve()
    for part, run in job.choice.init.items():
        if Path(run).resolve() == here:
            raise UsageError(
                f"{option(part)} {run}",
                "is RUN itself, which this training replaces",
                expected="another directory",
                advice="choose another RUN",
            )
    runs = {part: load(Path(run)) for part, run in job.choice.init.items()}
    for part, one in runs.items():
        check(job.choice.network, part, Trained(str(one.path), one.description.network, {}))
        _check_inputs(one, part, sets, crops)
        if not one.description.finished:
            log.warning("%s: its training was broken off; this one begins with its best epoch until then", one.path)
    return Begun(runs)


def option(part: str) -> str:
    """The option that names the run of a part."""
    return "--init" if part == "whole" else f"--init-{part}"


def check_begun(choice: Choice) -> None:
    """Raise UsageError where the stage or the model needs a run that is not named."""
    entry = MODELS[choice.model]
    if choice.training.stage == "fuse" and getattr(choice.network, "streams", "") != "audio-visual":
        raise UsageError(
            "--stage fuse",
            f"is of a network of two streams, and --model {choice.model} has one",
            expected="such a network, as m3t-concat",
            advice="leave it out, or change --model",
        )
    needed = ["visual", "audio"] if choice.training.stage == "fuse" and "whole" not in choice.init else []
    needed += ["backbone"] if entry.backbone and "whole" not in choice.init else []
    if missing := [f"--init-{part}" for part in needed if part not in choice.init]:
        why = "--stage fuse" if choice.training.stage == "fuse" else f"--model {choice.model}"
        raise UsageError(
            why,
            f"begins with networks that are trained before, and there is no {' and no '.join(missing)}",
            expected=" and ".join(f"{one} RUN" for one in missing),
            advice="train them first, then name them"
            + (": affcli train --model v2p-identity" if "--init-backbone" in missing else ""),
        )


def _check_inputs(run: Checkpoint, part: str, sets: Mapping[str, FeatureSet], crops: CropFiles | None) -> None:
    """Raise SchemaError where a run was trained on features or crops that were made otherwise than those at hand.

    A backbone comes from other videos: of its crops, only where the face is in them has to be the same.
    """
    known = run.description
    if foreign := [name for name in known.features if name not in sets]:
        raise SchemaError(
            run.path,
            f"reads {some(foreign)} features",
            expected=f"those that this network reads: {', '.join(sets) or 'none'}",
            advice="train both on the same features, with the same --set static, from windows that hold them",
        )
    made = {f"{name} features": (one.recipe, sets[name].recipe) for name, one in known.features.items()}
    if known.crops and crops:
        made["crops"] = (known.crops.recipe, crops.recipe)
        if part == "backbone":
            made["crops"] = _placed(known.crops.recipe), _placed(crops.recipe)
    for what, (theirs, ours) in made.items():
        if changed := recipes.differences(theirs, ours):
            raise SchemaError(
                run.path,
                f"was trained on {what} that were made otherwise ({some(changed)})",
                expected="the same recipe as that of the windows and crops at hand",
                advice="train it again on these, or make these as it had them",
            )


def _placed(recipe: recipes.Recipe) -> recipes.Recipe:
    """Where crops of a recipe have the face."""
    return {name: recipe["config"].get(name) for name in ("template", "size")}
