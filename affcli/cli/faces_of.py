"""The work of extract-faces on one video: its tracks, and the crops of the people that are wanted of it."""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from affcli import recipes, tables
from affcli.arrays import Spool
from affcli.cli.extraction import Clip, Job, Tally, clips_of
from affcli.cli.pipeline import ahead
from affcli.cli.workers import Report
from affcli.clips import table_path
from affcli.clock import MICROSECONDS
from affcli.configs import Faces, Tracks
from affcli.errors import InputError, SchemaError
from affcli.faces import open_detector
from affcli.faces.crops import encode_jpeg
from affcli.faces.detections import Detector
from affcli.faces.extract import (
    Cutting,
    Seen,
    collected,
    crops,
    face_columns,
    held_frames_fit,
    put_aside,
    replay,
    seen_by,
    settled,
    track_columns,
)
from affcli.faces.persons import persons
from affcli.faces.select import Person, choose, people
from affcli.faces.watch import Watch
from affcli.media.video import Frame, Video, open_video
from affcli.recipes import Recipe
from affcli.schemas import FACES, TRACKS

log = logging.getLogger(__name__)

_CROPS_AT_ONCE = 64
_WORTH_SAYING = 0.1  # share of the frames in which only other faces are seen
_USUAL_RATE = 30.0  # frames per second, where the container states none

Cut = Callable[[Person | None], Iterator[NDArray[np.uint8]]]  # the crops of one person, a frame each


@dataclass(frozen=True)
class Order:
    """What is wanted of every video."""

    out: Path
    tracks: Tracks
    faces: Faces
    recipe: Recipe  # of the tracks
    keep_partial: bool
    force: bool
    from_tracks: bool


@dataclass(frozen=True)
class _Known:
    """What is known of a video: who is in it, and how it decoded."""

    seen: Seen
    recipe: Recipe
    facts: dict[str, Any]
    people: list[Person]


def work(order: Order, shared: bool, job: Job, report: Report) -> Tally:
    """Make what is missing of one video's clips; `shared` says that other videos are worked on at the same time."""
    inputs = [recipes.source(job.path)]
    with contextlib.ExitStack() as opened:
        known = _read(order, job, inputs)
        video = open_video(job.path, keep_partial=order.keep_partial)
        if known is None:
            cut, seen = _look(order, job, video, opened, shared, report)
            known = _watched(order, job, video, seen, inputs)
        else:
            cut = _cut_again(order, job, video, len(known.seen.time_us), report)
        made = kept = 0
        for wanted in job.clips or _everybody(job, known):
            clip, person = _resolve(order, job, known, wanted)
            recipe = recipes.recipe("extract-faces", order.faces, parents=[known.recipe])
            path = table_path(order.out, clip.name, FACES.name)
            unless = "" if order.keep_partial else "partial"
            if not order.force and tables.keep(path, FACES, recipe, inputs, unless, {"person": clip.person}):
                kept += 1
                continue
            _say(job, known, clip, person)
            with tables.Writer(path, FACES, recipe=recipe, inputs=inputs) as writer:
                _write(order, writer, clip, person, known, cut)
            made += 1
    return Tally(made, kept)


def _read(order: Order, job: Job, inputs: list[dict[str, str]]) -> _Known | None:
    """What an earlier run found; None where it has to be found (again)."""
    path = table_path(order.out, job.stem, TRACKS.name)
    unless = "" if order.keep_partial else "partial"
    if not order.from_tracks and (order.force or not tables.keep(path, TRACKS, order.recipe, inputs, unless)):
        return None
    if not path.exists():
        raise InputError(
            path, "does not exist", expected=f"the tracks of {job.path}", advice="run once without --from-tracks"
        )
    table = tables.read(path, TRACKS)
    if table.header.inputs != inputs:
        raise SchemaError(
            path,
            f"was made of another file than {job.path}",
            expected="the tracks of this video",
            advice="leave --from-tracks out, or name the video that they are of",
        )
    facts = table.header.facts
    columns = {name: table.column(name) for name in table.data.column_names}
    made = table.header.recipe
    # What the tracks are was decided when they were found: with the settings of then.
    settings = {**recipes.plain(order.tracks), **made["config"]}
    hole_us = round(float(settings["interpolate_gap"]) * MICROSECONDS)
    seen = replay(columns, facts["width"], facts["height"], hole_us)
    return _known(seen, made, {name: facts[name] for name in facts if name != "frames"}, int(settings["min_track"]))


def _look(
    order: Order, job: Job, video: Video, opened: contextlib.ExitStack, shared: bool, report: Report
) -> tuple[Cut, Seen]:
    """Look at all frames of a video; the crops of all faces are put aside where memory allows."""
    cutting = Cutting.of(order.faces)
    watch = Watch(detector_of(order.tracks), order.tracks)
    frames = _counted(video.frames(), report)
    rate = float(video.rate or _USUAL_RATE)
    # Alone, a video has several cores to itself: decoding, looking and cutting go on side by side.
    decoded = frames if shared else ahead(frames)
    spool, places = None, None
    if held_frames_fit(cutting, order.tracks, rate, video.picture_bytes):
        path = table_path(order.out, job.stem, TRACKS.name)
        spool = opened.enter_context(contextlib.closing(Spool(path)))
        final = settled(decoded, watch, cutting.smoothing.reach)
        places = put_aside(final if shared else ahead(final), watch, cutting, spool)
    else:
        for frame in decoded:
            watch.look(frame)
        watch.finish()
    seen = seen_by(watch, persons(watch.tracks, watch.appearance, watch.times, order.tracks))
    if spool is None or places is None:
        return _cut_again(order, job, video, len(seen.time_us), report), seen
    return functools.partial(collected, len(seen.time_us), places, spool, cutting.empty), seen


def _cut_again(order: Order, job: Job, video: Video, n: int, report: Report) -> Cut:
    """Cut crops in a pass of its own, over the n frames that the tracks are of."""
    return lambda person: crops(
        _counted(_as_many(order, job, video.frames(), n), report), person, Cutting.of(order.faces)
    )


def _as_many(order: Order, job: Job, frames: Iterator[Frame], n: int) -> Iterator[Frame]:
    """The frames.  Raises SchemaError where they are not n: another version of FFmpeg decodes some videos otherwise."""
    count = 0
    for frame in frames:
        count += 1
        if count <= n:
            yield frame
    if count != n:
        raise SchemaError(
            table_path(order.out, job.stem, TRACKS.name),
            f"has the tracks of {n} frames",
            expected=f"those of the {count} frames that are decoded of {job.path}",
            advice="make them again with --force",
        )


def _watched(order: Order, job: Job, video: Video, seen: Seen, inputs: list[dict[str, str]]) -> _Known:
    """Write the tracks of a video that was looked at."""
    rate = video.constant_rate(seen.time_us)
    facts = {
        "width": seen.width,
        "height": seen.height,
        "rate": str(rate) if rate else None,
        "decode_errors": video.decode_errors,
        "stated_frames": video.stated_frames,
        "partial": video.partial,
    }
    path = table_path(order.out, job.stem, TRACKS.name)
    columns = track_columns(job.stem, seen)
    tables.write(
        path, TRACKS, columns, recipe=order.recipe, inputs=inputs, facts={**facts, "frames": len(seen.time_us)}
    )
    return _known(seen, order.recipe, facts, order.tracks.min_track)


def _known(seen: Seen, recipe: Recipe, facts: dict[str, Any], min_track: int) -> _Known:
    return _Known(seen, recipe, facts, people(seen.tracks, seen.person, seen.width, seen.height, min_track))


def _everybody(job: Job, known: _Known) -> list[Clip]:
    """A clip for every person, the main one first."""
    if not known.people:
        log.warning("%s: no face in any of %d frames: nobody to make a clip of", job.path, len(known.seen.time_us))
    return [clip for person in known.people for clip in clips_of(job.stem, str(person.number))]


def _resolve(order: Order, job: Job, known: _Known, clip: Clip) -> tuple[Clip, Person | None]:
    """The person that is meant, and the clip by its true name: a track's number stands for its person's first track."""
    person = choose(known.people, clip.person, known.seen.width)
    if not clip.person.isdigit():
        return clip, person
    if person is None:
        there = sorted(track.number for one in known.people for track in one.tracks)
        raise InputError(
            job.path,
            f"has no track {clip.person} of a person",
            expected=f"one of {', '.join(map(str, there))}" if there else "a face",
            advice=f"affcli info {table_path(order.out, job.stem, TRACKS.name)} lists them"
            if there
            else "leave it out",
        )
    return clips_of(job.stem, str(person.number))[0], person


def _say(job: Job, known: _Known, clip: Clip, person: Person | None) -> None:
    """Warn where a clip shows nobody, or where other faces are seen while its person is not."""
    n = len(known.seen.time_us)
    if person is None:
        who = {"left": "nobody on the left", "right": "nobody on the right"}.get(clip.person, "nobody else")
        log.warning("%s: %s in any of %d frames", job.path, who if known.people else "no face", n)
        return
    there, others = (_frames(known, people) for people in ([person], known.people))
    alone = int((others & ~there).sum())
    if alone >= _WORTH_SAYING * n and clip.person == "main":
        log.warning(
            "%s: the main person is in %d of %d frames; in %d more only other faces are (--subject all)",
            *(job.path, int(there.sum()), n, alone),
        )


def _frames(known: _Known, found: list[Person]) -> NDArray[np.bool_]:
    """(n,): frames in which one of the people is."""
    there = np.zeros(len(known.seen.time_us), np.bool_)
    for track in (track for person in found for track in person.tracks):
        there[track.first : track.last + 1] |= ~np.isnan(track.rows[:, 0])
    return there


def _write(order: Order, writer: tables.Writer, clip: Clip, person: Person | None, known: _Known, cut: Cut) -> None:
    """The table of one clip, and its crops."""
    columns = face_columns(clip.name, known.seen, person, Cutting.of(order.faces))
    packed = order.faces.format == "jpeg"
    items = zip(cut(person), columns["valid"], strict=True)
    sizes = [0]
    while batch := list(itertools.islice(items, _CROPS_AT_ONCE)):
        if packed:
            files = [encode_jpeg(crop) if valid else np.zeros(0, np.uint8) for crop, valid in batch]
            sizes += [len(file) for file in files]
            writer.append(np.concatenate(files))
        else:
            writer.append(np.stack([crop for crop, _ in batch]))
    if packed:
        columns["jpeg_end"] = np.cumsum(sizes)[1:]
    facts = {"faces": int(columns["valid"].sum()), "person": clip.person, "format": order.faces.format}
    writer.finish(columns, {**known.facts, **facts})


def _counted(frames: Iterator[Frame], report: Report) -> Iterator[Frame]:
    for frame in frames:
        yield frame
        report(1)


@functools.cache
def detector_of(config: Tracks) -> Detector:
    """One network for all videos of a process."""
    return open_detector(config.detector, config)
