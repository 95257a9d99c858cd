"""Trainings one after the other, each of which may begin with those before it: M3T's streams, then their fusion.

A file names the stages, in their order, each as a configuration of its own; what stands above them is common to all:

    [training]
    batch = 32

    [stages.visual]
    model = "m3t-visual.emotion"

    [stages.audio]
    model = "m3t-audio"

    [stages.fuse]
    model = "m3t-concat"
    init = { visual = "visual", audio = "audio" }
    training = { stage = "fuse", epochs = 3 }

    [stages.end-to-end]
    model = "m3t-concat"
    init = { whole = "fuse" }
    training = { lr = 1e-5, schedule = "milestones", milestones = "2,4" }

Every stage is a run, RUN/NAME.  What is there is kept, and a stage that was broken off goes on.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affcli.cli.choice import Choice, check_parts, chosen, parsed, used
from affcli.cli.one_run import Job, fit_one
from affcli.cli.record import say_done
from affcli.cli.sighted import shared
from affcli.clips import file_name
from affcli.errors import UsageError

if TYPE_CHECKING:
    from affcli.training.world import World

STAGES = "stages.toml"  # in RUN, a copy of the file
_COMMON = ("encoders", "preset", "training", "network", "devices")  # what may stand above the stages
_ADVICE = "take its directory away to begin this stage again; --force begins all of them again; or choose another RUN"


def stages_of(
    path: Path, typed: Mapping[str, Any], pairs: Iterable[str], out: Path, job: Callable[[Path, Choice], Job]
) -> dict[str, Job]:
    """The trainings that a file names, by stage; options that were typed go before what it says, in every stage.

    `job` makes one of a directory below `out` and a choice.  Raises InputError where the file cannot be read,
    UsageError where it says what there is not.
    """
    content = parsed(path)
    stages = content.pop("stages", None)
    if not isinstance(stages, dict) or not stages or not all(isinstance(one, dict) for one in stages.values()):
        raise UsageError(
            path,
            "names no stages",
            expected="a table [stages.NAME] for each",
            advice="write, for instance, [stages.audio] and below it model = 'm3t-audio'",
        )
    if foreign := [name for name in content if name not in _COMMON]:
        raise UsageError(
            f"{path}: {foreign[0]}",
            "cannot be common to all stages",
            expected=f"one of {', '.join(_COMMON)}",
            advice="write it below a stage",
        )
    jobs: dict[str, Job] = {}
    for name, stage in stages.items():
        where = f"{path}: [stages.{file_name(name)}]"
        whole = {**content, **stage, "training": {**content.get("training", {}), **stage.get("training", {})}}
        whole["network"] = {**content.get("network", {}), **stage.get("network", {})}
        check_parts(whole, where)
        if "model" not in whole or "runs" in whole:
            raise UsageError(
                where,
                "names no model" if "model" not in whole else "asks for several networks",
                expected="one network, such as model = 'm3t-audio'",
                advice="correct it",
            )
        choice = chosen(typed, pairs, whole, where, whole["model"])
        init = {part: str(jobs[run].out if run in jobs else _there(run, where)) for part, run in choice.init.items()}
        jobs[name] = job(out / name, dataclasses.replace(choice, init=init))
    used(typed, (one.choice for one in jobs.values()))
    return dict(zip(jobs, shared(list(jobs.values())), strict=True))


def _there(run: str, where: str) -> str:
    """A run that is no stage of the file.  Raises UsageError where it is not there either."""
    if not Path(run).is_dir():
        raise UsageError(
            f"{where} init",
            f"names '{run}'",
            expected="a stage above this one, or the directory of a run",
            advice="correct it, or change the order of the stages",
        )
    return run


def fit_stages(out: Path, path: Path, jobs: Mapping[str, Job], world: World) -> None:
    """Fit the stages one after the other, and say what each came to.  Raises as `fit_one` does."""
    from affcli.files import explained, held, replacing

    with contextlib.ExitStack() as stack:
        if world.rank == 0:
            with explained(out):
                out.mkdir(parents=True, exist_ok=True)
            stack.enter_context(held(out))
            if path != out / STAGES:
                content = path.read_bytes()
                with replacing(out / STAGES) as file:
                    file.write(content)
        for job in jobs.values():
            say_done(job, fit_one(dataclasses.replace(job, advice=_ADVICE), world))
