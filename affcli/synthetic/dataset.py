"""The labelled clips of `affcli demo`: three sets of made-up people, none of whom is in two sets."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from affcli.synthetic.clip import ClipPlan


@dataclass(frozen=True)
class DemoClip:
    """One clip to make: its name, the set it belongs to (train, val or test), and its plan."""

    name: str
    split: str
    plan: ClipPlan


def demo_clips(quick: bool) -> list[DemoClip]:
    """The clips of the demo; `quick` gives fewer and shorter ones.

    Frame rates differ, one clip has a variable rate and one a stretch without a face, as real collections do.
    """
    people = {"train": 6, "val": 2, "test": 3} if quick else {"train": 12, "val": 3, "test": 5}
    seconds = 8.0 if quick else 20.0
    rates = (Fraction(25), Fraction(30_000, 1001), Fraction(24_000, 1001), Fraction(30))
    clips: list[DemoClip] = []
    for split, count in people.items():
        for number in range(count):
            person = len(clips)
            plan = ClipPlan(
                seconds=seconds,
                rate=rates[person % len(rates)],
                seed=person,
                subject=person,
                absent=(0.4 * seconds, 0.5 * seconds) if number == 1 else None,
                variable_rate=number == 2,
            )
            clips.append(DemoClip(f"{split}-{number + 1:02d}", split, plan))
    return clips
