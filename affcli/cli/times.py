"""Where imported clips have the times of their frames from: their videos, or a constant rate that the user states."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from affcli.cli.progress import progress
from affcli.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affcli.media.find import Source

VIDEOS = typer.Option(
    None,
    "--videos",
    metavar="PATH",
    help="Directory of the videos, or one video: its decoded frames tell the times. Clips NAME_left and NAME_right "
    "belong to the video NAME.",
)
RATE = typer.Option(
    None, "--rate", metavar="FPS", help="In place of --videos: frames per second, constant and exact, as 30000/1001."
)

_MOST_FRAMES = 1_000_000  # where no video tells their number: nine hours, and a name that is a date is none
_FASTEST = 1000  # frames per second


@dataclass(frozen=True)
class Timeline:
    """The n frames of a clip."""

    time_us: NDArray[np.int64]  # (n,)
    corrupt: NDArray[np.bool_]  # (n,): the decoder marked the frame as damaged
    rate: Fraction | None  # frames per second where every time agrees with it
    decode_errors: int = 0
    stated_frames: int = 0
    partial: bool = False

    @property
    def facts(self) -> dict[str, Any]:
        """What a table says of them."""
        return {
            "rate": str(self.rate) if self.rate else None,
            "decode_errors": self.decode_errors,
            "stated_frames": self.stated_frames,
            "partial": self.partial,
        }


class Times:
    """The times of the frames of many clips.

    Raises UsageError where both videos and a rate are given, and where the rate is no exact one.
    """

    def __init__(self, videos: Path | None, rate: str | None, *, keep_partial: bool = False) -> None:
        if videos and rate:
            raise UsageError("--rate", "stands beside --videos", expected="one of them", advice="leave one out")
        self._rate = exact_rate(rate) if rate else None
        self._keep_partial = keep_partial
        self._place = videos
        self._sources: list[Source] = []
        self._decoded: dict[Path, Timeline] = {}
        if videos:
            from affcli.media.find import sources

            self._sources = sources([videos])

    @property
    def config(self) -> dict[str, str]:
        """What a recipe says of them; nothing where neither videos nor a rate is given."""
        return {"times": "videos" if self._place else f"{self._rate} per second"} if self else {}

    def __bool__(self) -> bool:
        return self._place is not None or self._rate is not None

    def inputs(self, clip: str, subject: Path) -> list[dict[str, str]]:
        """The video of a clip as one of a table's inputs.

        Raises InputError, saying it of `subject`, where there is none.
        """
        from affcli import recipes

        return [recipes.source(self._video(clip, subject))] if self._place else []

    def timeline(self, clip: str, last: int, subject: Path, frames: int | None = None) -> Timeline:
        """The frames of a clip of which number `last`, counted from 1, is named by `subject`.

        At a constant rate there are `frames` of them, else `last`.  Raises InputError where there are fewer than
        `last`, and where the video cannot be decoded.
        """
        if self._place:
            video = self._video(clip, subject)
            found, there = self._decode(video), f"the decoded frames of {video}"
        elif (frames or last) > _MOST_FRAMES:
            raise InputError(
                subject,
                f"is frame {frames or last}",
                expected=f"at most {_MOST_FRAMES} frames",
                advice="name it by its frame number",
            )
        else:
            found, there = self._constant(frames or last), "as --frames says"
        if last > len(found.time_us):
            raise InputError(
                subject,
                f"is frame {last}, counted from 1",
                expected=f"at most {len(found.time_us)}, {there}",
                advice="check that it belongs to this clip, and that its frames are counted from 1",
            )
        return found

    def _constant(self, count: int) -> Timeline:
        import numpy as np

        from affcli import clock

        assert self._rate is not None
        return Timeline(clock.frame_times(count, self._rate), np.zeros(count, np.bool_), self._rate)

    def _video(self, clip: str, subject: Path) -> Path:
        from affcli.media.find import match_labels

        for match in match_labels(self._sources, [clip]).labelled:
            return match.source.path
        names = dict.fromkeys([clip, re.sub(r"_(left|right)$", "", clip)])
        raise InputError(
            subject,
            f"has no video in {self._place}",
            expected=f"a video named {' or '.join(names)}",
            advice="add the video, or give the frame rate with --rate where it is known to be constant",
        )

    def _decode(self, path: Path) -> Timeline:
        import numpy as np

        from affcli.media.video import open_video

        if path not in self._decoded:
            video = open_video(path, keep_partial=self._keep_partial)
            frames = progress(video.frames(), path.stem, "frame", video.expected_frames)
            seen = [(frame.time_us, frame.corrupt) for frame in frames]
            times = np.array([time_us for time_us, _ in seen], np.int64)
            self._decoded[path] = Timeline(
                times,
                np.array([corrupt for _, corrupt in seen], np.bool_),
                video.constant_rate(times),
                video.decode_errors,
                video.stated_frames,
                video.partial,
            )
        return self._decoded[path]


def exact_rate(text: str) -> Fraction:
    """A frame rate as typed: 25, 12.5, 30000/1001.

    Raises UsageError for what is none, and for the rounded names of NTSC's rates: 29.97 is 0.3 ms off after 5 minutes.
    """
    whole = re.fullmatch(r"\d{1,9}(\.\d{1,9}|/\d{1,9})?", text, re.ASCII)
    rate = Fraction(text) if whole and not re.search(r"/0+$", text) else Fraction(0)
    if not 0 < rate <= _FASTEST:
        raise UsageError(
            f"--rate {text}",
            "is no frame rate",
            expected=f"a number above 0, at most {_FASTEST}, or a fraction such as 30000/1001",
            advice="correct it",
        )
    ntsc = Fraction(round(rate * 1001 / 1000) * 1000, 1001)
    if "." in text and rate.denominator > 1 and ntsc > 0 and abs(rate - ntsc) < Fraction(1, 100):
        raise UsageError(f"--rate {text}", f"is a rounded {ntsc}", expected="an exact rate", advice=f"write {ntsc}")
    return rate
