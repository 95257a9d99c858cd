"""What trainings are given to see: crops, and features of flipped crops, for the networks that take them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from affcli.errors import UsageError
from affcli.models import sees

if TYPE_CHECKING:
    from affcli.cli.one_run import Job
    from affcli.cli.windowed import Beside
    from affcli.windows import FeatureSet


def shared(jobs: Sequence[Job]) -> list[Job]:
    """The jobs of one command, each without the crops and features of flipped crops that are for others of them."""
    seen = [sees(one.choice.network) for one in jobs]
    both = [
        saw and getattr(one.choice.network, "static", "none") != "none" for one, saw in zip(jobs, seen, strict=True)
    ]
    return [
        dataclasses.replace(
            one,
            crops=one.crops if saw or not any(seen) else None,
            flipped=one.flipped if static or not any(both) else None,
        )
        for one, saw, static in zip(jobs, seen, both, strict=True)
    ]


def beside_of(job: Job, sets: Mapping[str, FeatureSet]) -> Beside:
    """What a job's clips are given beside their features.

    Raises UsageError where crops are needed and not given, or the other way round.
    """
    from affcli.cli.crop_files import find_crops, find_flipped
    from affcli.cli.windowed import Beside

    check_sight(job, sets)
    pictured = {name: one for name, one in sets.items() if one.modality != "audio"}
    return Beside(
        find_crops(job.crops) if job.crops else None,
        find_flipped(job.flipped, pictured) if job.flipped else None,
        getattr(job.choice.network, "action_units", ()),
    )


def check_sight(job: Job, sets: Mapping[str, FeatureSet]) -> None:
    """Raise UsageError where crops are needed and not given, or the other way round."""
    model, network = job.choice.model, job.choice.network
    if sees(network) != (job.crops is not None):
        raise UsageError(
            f"--model {model}",
            "sees crops, and there is no --crops"
            if sees(network)
            else f"sees nothing, and there is --crops {job.crops}",
            expected="--crops DIR, the faces that affcli extract-faces made" if sees(network) else "no --crops",
            advice="add it" if sees(network) else "leave it out",
        )
    if job.flipped and not (job.crops and any(one.modality != "audio" for one in sets.values())):
        raise UsageError(
            f"--flip-features {job.flipped}",
            f"is of no use to --model {model}, which reads no features of crops beside them",
            expected="a network that does, such as m3t-visual.emotion",
            advice="leave it out",
        )
