"""The work of extract-audio on the sound of one video: its waveform on the clock of the frames."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from affcli import clock, recipes, tables
from affcli.cli.extraction import Tally
from affcli.cli.frame_clock import FrameClock, decoded_clock, known_clock, made_clock
from affcli.cli.workers import Report
from affcli.clips import table_path
from affcli.configs import Audio
from affcli.errors import InputError
from affcli.files import explained
from affcli.media.audio import Sound, read_sound
from affcli.media.soundtrack import MEAN, sound_only
from affcli.recipes import Recipe
from affcli.schemas import AUDIO

if TYPE_CHECKING:
    from affcli.features.speech import Speech

log = logging.getLogger(__name__)

_WORTH_SAYING_US = 1_000_000  # by which sound may begin later, or end sooner or later, than the pictures
_TOO_LOUD = 0.001  # share of samples at full scale from which a recording is called clipped


@dataclass(frozen=True)
class Order:
    """What is wanted of every video."""

    out: Path
    config: Audio
    keep_partial: bool
    force: bool
    several: bool  # jobs


@dataclass(frozen=True)
class SoundJob:
    """Clips of one video that hear the same sound."""

    path: Path  # the video, or sound without pictures
    stem: str
    clips: tuple[str, ...]
    stand_in: Path | None = None  # a sound file in place of the video's own track
    missing: InputError | None = None  # what is wrong with that file

    def __str__(self) -> str:
        return str(self.path)


def work(order: Order, _shared: bool, job: SoundJob, report: Report) -> Tally:
    """Make what is missing of the clips."""
    if job.missing:
        raise job.missing
    video = recipes.source(job.path)
    inputs = [video, *([recipes.source(job.stand_in)] if job.stand_in else [])]
    # A rate is for sound alone: where there are pictures it changes nothing, and is in no recipe.
    alone = bool(order.config.rate) and sound_only(job.path)
    config = order.config if alone else dataclasses.replace(order.config, rate="")
    recipe = recipes.recipe("extract-audio", config, weights=_speech().weights if config.vad else None)
    todo = _todo(order, job, recipe, inputs)
    if todo:
        times = None if alone else _clock(order, job, video, report)
        with contextlib.ExitStack() as opened:
            writers = [
                opened.enter_context(
                    tables.Writer(table_path(order.out, name, AUDIO.name), AUDIO, recipe=recipe, inputs=inputs)
                )
                for name in todo
            ]
            columns, facts = _write(config, job, times, writers)
            for name, writer in zip(todo, writers, strict=True):
                writer.finish({"clip": [name] * len(columns["frame"]), **columns}, facts)
    return Tally(len(todo), len(job.clips) - len(todo))


def _todo(order: Order, job: SoundJob, recipe: Recipe, inputs: list[dict[str, str]]) -> list[str]:
    """The clips whose tables are not there yet, made this way."""
    unless = "" if order.keep_partial else "partial"
    paths = {name: table_path(order.out, name, AUDIO.name) for name in job.clips}
    return [name for name, path in paths.items() if order.force or not tables.keep(path, AUDIO, recipe, inputs, unless)]


def _clock(order: Order, job: SoundJob, video: dict[str, str], report: Report) -> FrameClock:
    """The clock of the video's frames.

    Raises InputError where there are no pictures, and as decoding them does.
    """
    known = known_clock(order.out, job.stem, list(job.clips), video, order.keep_partial)
    if known is not None:
        if order.several:  # for a lone one, who watches the progress would have to open the video
            report(len(known.time_us))
        return known
    if sound_only(job.path):
        raise InputError(
            job.path,
            "holds sound without pictures",
            expected="a video",
            advice="say how many frames per second its rows stand for: --rate 30",
        )
    return decoded_clock(job.path, order.keep_partial, report)


def _write(
    config: Audio, job: SoundJob, times: FrameClock | None, writers: list[tables.Writer]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write the waveform; the columns of the table but for the clip's name, and its facts."""
    source = job.stand_in or job.path
    with contextlib.ExitStack() as opened:
        kept = opened.enter_context(_Kept(writers[0].path)) if config.vad else None

        def take(piece: NDArray[np.int16]) -> None:
            for writer in writers:
                writer.append(piece)
            if kept is not None:
                kept.append(piece)

        channel = MEAN if config.channel == "mean" else int(config.channel)
        sound = read_sound(source, config.sample_rate, take, track=config.track, channel=channel)
        take(np.zeros(0, np.int16))  # an array stands beside every table, of a clip without sound too
        times = times or made_clock(source, sound.samples if sound else 0, config.sample_rate, Fraction(config.rate))
        start_us = _start(config, job, times, sound)
        sample = clock.sample_index(times.time_us, start_us, config.sample_rate)
        kind = "none" if sound is None or not sound.samples else "silent" if sound.silent else "present"
        valid = sound.exists(sample) if sound and kind == "present" else np.zeros(len(sample), np.bool_)
        _say(source, sound, kind, times, start_us)
        columns = {
            "frame": np.arange(len(times.time_us), dtype=np.int32),
            "time_us": times.time_us,
            "valid": valid,
            "sample": sample,
            "speech": np.full(len(sample), np.nan, np.float32),
        }
        if kept is not None:
            columns["speech"] = _probabilities(kept.waveform(), config.sample_rate, start_us, times, valid)
    return columns, {
        "sample_rate": config.sample_rate,
        "start_us": start_us,
        "rate": str(times.rate) if times.rate else None,
        "sound": kind,
        "partial": times.partial,
    }


def _start(config: Audio, job: SoundJob, times: FrameClock, sound: Sound | None) -> int:
    """Time of the first sample on the clock of the frames, us."""
    first_us = int(times.time_us[0])
    if job.stand_in:
        # Its own clock says nothing of the video's.
        return first_us + round(config.audio_offset * clock.MICROSECONDS)
    # With no sample, and with sound that makes the clock, times are counted from the first frame.
    return sound.start_us if sound and sound.samples and not config.rate else first_us


def _say(path: Path, sound: Sound | None, kind: str, times: FrameClock, start_us: int) -> None:
    """Everything about the sound that its user should know."""
    if sound is None:
        log.warning("%s: no sound track", path)
        return
    if kind == "none":
        log.warning("%s: the sound track is empty: it has no sample", path)
    if kind == "silent":
        log.warning("%s: the sound track is silent: every sample is zero", path)
    if sound.decode_errors:
        log.warning("%s: %d audio packets could not be decoded", path, sound.decode_errors)
    if sound.wild:
        log.warning("%s: %d samples are no numbers or infinite: taken as 0 or full scale", path, sound.wild)
    if sound.clipped:
        share = sound.clipped / sound.samples
        level = logging.WARNING if share >= _TOO_LOUD else logging.INFO
        log.log(level, "%s: %d samples (%.2g %%) are at full scale: clipped", path, sound.clipped, 100 * share)
    if sound.holes:
        missing = sum(after - first for first, after in sound.holes) / sound.sample_rate
        log.warning("%s: %.2f s of the sound are missing, in %d places", path, missing, len(sound.holes))
    if sound.cut:
        log.warning(
            "%s: %.2f s of the sound are left out: there was sound at their times already",
            path,
            sound.cut / sound.sample_rate,
        )
    if not sound.samples:
        return
    late_us = start_us - int(times.time_us[0])
    over_us = start_us + clock.to_microseconds(sound.samples, Fraction(1, sound.sample_rate)) - times.end_us
    if late_us > _WORTH_SAYING_US:
        log.warning("%s: the sound begins %.1f s after the first frame", path, late_us / 1e6)
    if abs(over_us) > _WORTH_SAYING_US:
        how = "goes on for %.1f s after" if over_us > 0 else "ends %.1f s before the end of"
        log.warning(f"%s: the sound {how} the last frame", path, abs(over_us) / 1e6)


class _Kept:
    """The waveform once more, in a file without a name, for what reads all of it before the table is written."""

    def __init__(self, path: Path) -> None:
        self._path = path  # the table it is for: a full disk is its failure

    def __enter__(self) -> _Kept:
        with explained(self._path):
            self._file = tempfile.TemporaryFile(dir=self._path.parent)
        self._samples = 0
        return self

    def append(self, piece: NDArray[np.int16]) -> None:
        with explained(self._path):
            self._file.write(piece.data)
        self._samples += len(piece)

    def waveform(self) -> NDArray[np.int16]:
        """All of it, mapped into memory."""
        with explained(self._path):
            self._file.flush()
        if not self._samples:
            return np.zeros(0, np.int16)
        return np.memmap(self._file, np.int16, "r", shape=(self._samples,))

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):  # a full disk fails once more when the rest is flushed
            self._file.close()


def _probabilities(
    waveform: NDArray[np.int16], sample_rate: int, start_us: int, times: FrameClock, valid: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Probability of speech in the middle of each frame's period, (n,) float32; 0 where there is no sound."""
    from affcli.features.views import TimedSound

    view = TimedSound(waveform, sample_rate, start_us, times.time_us, times.rate, valid)
    found = _speech().at(view)
    found[~valid] = 0
    return found


@functools.cache
def _speech() -> Speech:
    """One voice detector for all videos of a process."""
    from affcli.features.speech import Speech

    return Speech()
