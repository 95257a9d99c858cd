"""Tracks of people's faces as they lie on disk, from which `v2p-identity` learns to tell the people apart."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affcli import configs, recipes
from affcli.cli.clip_lists import listed_subjects
from affcli.cli.crop_files import CropFile, CropFiles, find_crops
from affcli.errors import InputError, SchemaError, UsageError, some

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affcli.cli.beginnings import Begun
    from affcli.cli.choice import Choice
    from affcli.cli.one_run import Job
    from affcli.cli.windowed import Beside
    from affcli.training.crops import Frames
    from affcli.training.data import ClipData, WindowedClips
    from affcli.training.tasks import Identity
    from affcli.windows import FeatureSet

    _Tracks = dict[str, tuple[CropFiles, str]]  # by name below the person's directory: where a track is, and its clip

log = logging.getLogger(__name__)

VAL_SHARE = 0.1  # of each person's tracks, at least one of them, are held out
VAL_SEED = 0  # one for all trainings: networks of other seeds are compared on the same tracks
OPEN = 256  # files of crops that are open at a time: there may be more tracks than a process may have files


@dataclass(frozen=True, eq=False)
class PeoplePrepared:
    """A job to tell people apart whose tracks were looked at."""

    job: Job
    tracks: dict[str, dict[str, CropFile]]  # by person and clip, both in order of name
    recipe: recipes.Recipe
    inputs: list[dict[str, str]]
    beside: Beside
    begun: Begun

    @property
    def sets(self) -> dict[str, FeatureSet]:
        """The feature sets that the network reads: none."""
        return {}

    @property
    def plan(self) -> configs.Windows:
        """How tracks are cut."""
        return configs.Windows(self.job.choice.network.frames, 0)

    @property
    def people(self) -> tuple[str, ...]:
        """Who each class is."""
        return tuple(self.tracks)

    @property
    def task(self) -> Identity:
        """What the network is trained for: to tell whom each track shows."""
        from affcli.training.tasks import Identity

        number = {person: place for place, person in enumerate(self.people)}
        return Identity(*(tuple(number[person] for person, _, _ in self._of(held)) for held in (False, True)))

    def parts(self) -> tuple[WindowedClips, WindowedClips]:
        """The windows of the tracks to learn from, and those of the tracks that are held out, which share no frame.

        Raises InputError and SchemaError where crops are missing, or are not what their table says.
        """
        from affcli.cli.one_run import seeing
        from affcli.training.starts import valid_windows
        from affcli.training.tracks import apart

        training = self.job.choice.training
        train, val = (
            valid_windows([_clip_data(*one) for one in self._of(held)], self.plan.length, training.missing_share)
            for held in (False, True)
        )
        return seeing(train if training.per_clip else apart(train), self), seeing(apart(val), self)

    def _of(self, held: bool) -> Iterator[tuple[str, str, CropFile]]:
        """Person, clip and crops of the tracks that are held out, or of the others."""
        for person, tracks in self.tracks.items():
            for clip, file in tracks.items():
                if (clip in self._held[person]) == held:
                    yield person, clip, file

    @functools.cached_property
    def _held(self) -> dict[str, set[str]]:
        from affcli.training.tracks import held_out

        return held_out({person: list(tracks) for person, tracks in self.tracks.items()}, VAL_SHARE, VAL_SEED)


def check_people(people: Path | None, choice: Choice) -> None:
    """Raise UsageError where `--people` is of no use to the network."""
    if people and not isinstance(choice.network, configs.M3tIdentity):
        raise UsageError(
            f"--people {people}",
            f"is of no use to --model {choice.model}",
            expected="--model v2p-identity, which tells people apart",
            advice="leave it out, or change --model",
        )


def prepare_people(job: Job) -> PeoplePrepared:
    """Look at the tracks that a job is to learn people from.

    Raises UsageError where an option is of no use here or the people are not as many as the classes, InputError and
    SchemaError where there are no tracks, a person has fewer than two, or crops are not of one size and made alike.
    """
    from affcli.cli.beginnings import read_begun
    from affcli.cli.windowed import Beside

    choice = job.choice
    _refuse_options(job)
    found = _by_person(job.windows, job.people)
    if len(found) != choice.network.classes:
        raise UsageError(
            f"--set classes={choice.network.classes}",
            f"does not fit the {len(found)} people of {job.people or job.windows}",
            expected="a class for each person",
            advice=f"--set classes={len(found)}" if len(found) > 1 else "bring the tracks of other people, too",
        )
    crops = next(iter(next(iter(found.values())).values()))[0]
    tracks = _usable(job, found)
    beside = Beside(crops)
    begun = read_begun(job, {}, crops)
    settings = {
        "model": choice.model,
        "network": recipes.plain(choice.network),
        **recipes.plain(choice.training),
        "val_share": VAL_SHARE,
        **({"devices": choice.devices} if choice.devices > 1 else {}),
    }
    recipe = recipes.recipe("train", settings, weights=begun.weights, parents=[*beside.recipes, *begun.recipes])
    inputs = [{**file.source(), "person": person} for person, files in tracks.items() for file in files.values()]
    return PeoplePrepared(job, tracks, recipe, inputs, beside, begun)


def _refuse_options(job: Job) -> None:
    """Raise UsageError where an option was given that is of windows."""
    given = {
        "--encoder": " ".join(job.choice.encoders),
        "--crops": job.crops,
        "--flip-features": job.flipped,
    }
    for option, value in given.items():
        if value:
            raise UsageError(
                f"{option} {value}",
                f"is of no use to --model {job.choice.model}, which reads the crops of its tracks alone",
                expected="the directory of tracks as the only input",
                advice="leave it out",
            )


def _by_person(source: Path, people: Path | None) -> dict[str, _Tracks]:
    """The tracks of each person, both in order of name.

    Raises InputError where there are none or it is not said whom they show, SchemaError where they are not alike.
    """
    if people:
        crops = find_crops(source)
        shown = listed_subjects(people, crops.clips, crops.clips, what="person", lack="crops")
        names = sorted(set(shown.values()))
        return {name: {clip: (crops, clip) for clip in crops.clips if shown[clip] == name} for name in names}
    if not source.is_dir():
        raise InputError(
            source,
            "is a file" if source.exists() else "does not exist",
            expected="a directory of face tracks, in it a directory for each person",
            advice="check the path",
        )
    if loose := sorted(source.glob("[!.]*.parquet")):
        raise InputError(
            source,
            f"has tables beside the directories of people, such as {loose[0].name}: whom they show is not said",
            expected="a directory for each person, or all tables in one and --people FILE.csv",
            advice="move them, or list clips and people in a CSV file, and name it: --people FILE.csv",
        )
    folders = sorted(one for one in source.iterdir() if one.is_dir() and not one.name.startswith("."))
    if not folders:
        raise InputError(
            source,
            "holds no directory",
            expected="a directory for each person, in it the person's faces tables",
            advice="make the tables: affcli extract-faces VIDEOS TRACKS/PERSON",
        )
    found = {folder.name: _below(folder) for folder in folders}
    every = [crops for tracks in found.values() for crops, _ in tracks.values()]
    for crops in dict.fromkeys(every):
        _check_alike(crops, every[0])
    return found


def _below(folder: Path) -> _Tracks:
    """The tracks of one person, in a directory and all below it, such as one for each video.

    Raises InputError where there is none.
    """
    holding = sorted({path.parent for path in folder.rglob("[!.]*.faces.parquet")})
    tracks: _Tracks = {}
    for one in holding or [folder]:
        crops = find_crops(one)
        tracks |= {(one.relative_to(folder) / clip).as_posix(): (crops, clip) for clip in crops.clips}
    return tracks


def _check_alike(crops: CropFiles, first: CropFiles) -> None:
    """Raise SchemaError where a person's crops are not as those of the first person."""
    expected, advice = f"as those of {first.source}", "make all alike: affcli extract-faces --force"
    if crops.side != first.side:
        found = f"has crops of {crops.side} x {crops.side} px"
        raise SchemaError(crops.source, found, expected=f"{first.side} x {first.side} px {expected}", advice=advice)
    if changed := recipes.differences(crops.recipe, first.recipe):
        raise SchemaError(
            crops.source, f"has crops that were made otherwise ({some(changed)})", expected=expected, advice=advice
        )


def _usable(job: Job, found: dict[str, _Tracks]) -> dict[str, dict[str, CropFile]]:
    """The tracks that hold a window; what tracks do not is said.  Raises InputError where a person has fewer than two.

    One track has to be held out, and one to be learnt from.
    """
    from affcli.training.starts import starts_in

    frames, missing = job.choice.network.frames, job.choice.training.missing_share
    tracks: dict[str, dict[str, CropFile]] = {}
    short: list[str] = []
    for person, held in found.items():
        files = {name: crops.of(clip) for name, (crops, clip) in held.items()}
        tracks[person] = {clip: one for clip, one in files.items() if len(starts_in(one.valid, frames, missing))}
        short += [f"{person}/{clip}" for clip in files if clip not in tracks[person]]
    source, rule = job.windows, f"{frames} frames in a row with a face"
    if short:
        log.warning("%s: %s: nowhere %s: left out", source, some(short), rule)
    if few := [f"{person} ({len(clips)})" for person, clips in tracks.items() if len(clips) < 2]:
        raise InputError(
            source,
            f"has fewer than two tracks of {some(few)}",
            expected=f"two or more of each person, with {rule}: one is held out",
            advice=f"bring more, take these people out, or take shorter clips: --set frames={max(1, frames // 2)}",
        )
    return tracks


def _clip_data(person: str, clip: str, file: CropFile) -> ClipData:
    """A track as training takes it.  Raises InputError and SchemaError where its crops are not what its table says."""
    import numpy as np

    from affcli.training.crops import ClipCrops
    from affcli.training.data import ClipData

    name, n = f"{person}/{clip}", len(file.valid)
    crops = ClipCrops(name, _OnDemand(file), file.valid)
    return ClipData(name, {}, {}, np.zeros((n, 2)), np.ones(n, np.bool_), crops=crops, time_us=file.time_us)


class _OnDemand:
    """The crops of a track, opened when they are asked for.

    Opened once at first, to find out before any training what is wrong with them.
    """

    def __init__(self, file: CropFile) -> None:
        self._file = file
        self.shape: tuple[int, ...] = _opened(file).shape

    def __getitem__(self, which: Any) -> NDArray[np.uint8]:
        return _opened(self._file)[which]


@functools.lru_cache(OPEN)
def _opened(file: CropFile) -> Frames:
    return dataclasses.replace(file).frames  # of a copy: `file` would keep them open
