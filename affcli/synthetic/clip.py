"""One synthetic clip: a plan, its curves of valence and arousal, and the frames and voice that follow them.

Everything is drawn from the plan's seed, each part from a stream of its own: the same plan gives the same
clip bit for bit (on processors that OpenCV treats alike), and a plan that differs only in `sound`, `absent`
or `width` keeps the curves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np
from numpy.typing import NDArray

from affcli.clock import MICROSECONDS, to_microseconds
from affcli.synthetic import voice
from affcli.synthetic.curves import AffectCurves, random_affect, random_walk, sample
from affcli.synthetic.face import Face, load_face
from affcli.synthetic.subject import Subject, pseudo_person

VARIABLE_TIME_BASE = Fraction(1, 90_000)  # the clock of broadcast and of many phones
LARGEST_SHIFT = 0.35  # of a frame's period, either way, at variable rate: neighbours stay apart and in order
LARGEST_RATE = 1000  # frames per second; more would crowd the clock of variable rate
LARGEST_TIMESCALE = 1_000_000  # ticks per second; containers keep 31 bits of it
SMALLEST_SIDE = 64  # pixels; a face in a smaller frame shows no expression


@dataclass(frozen=True)
class ClipPlan:
    """What clip to make. Raises ValueError for a plan that cannot be carried out.

    `seconds`: length. `rate`: frames per second (the mean rate when `variable_rate`). `width`, `height`:
    pixels, even. `seed`: curves, movement, speech and background. `subject`: which pseudo-person; 0 has the
    photograph's own shape. `absent`: from when to when (seconds) nobody is in the picture; voice and labels
    go on. `sound`: with a voice.
    """

    seconds: float = 12.0
    rate: Fraction = Fraction(25)
    width: int = 320
    height: int = 240
    seed: int = 0
    subject: int = 0
    absent: tuple[float, float] | None = None
    sound: bool = True
    variable_rate: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.seconds < float("inf"):
            raise ValueError(f"seconds is {self.seconds}, expected a positive number")
        if not 0 < self.rate <= LARGEST_RATE or self.rate.numerator > LARGEST_TIMESCALE:
            raise ValueError(
                f"rate is {self.rate}, expected up to {LARGEST_RATE}, a ratio of short numbers as 30000/1001"
            )
        if self.frame_count < 1:
            raise ValueError(f"{self.seconds} s at {self.rate} frames per second hold no frame; make the clip longer")
        for name, side in (("width", self.width), ("height", self.height)):
            if side < SMALLEST_SIDE or side % 2:
                raise ValueError(f"{name} is {side}, expected an even number of at least {SMALLEST_SIDE} pixels")
        for name, number in (("seed", self.seed), ("subject", self.subject)):
            if number < 0:
                raise ValueError(f"{name} is {number}, expected 0 or more")
        if self.absent is not None and not 0 <= self.absent[0] < self.absent[1] <= self.seconds:
            raise ValueError(f"absent is {self.absent}, expected (start, end) in seconds within the clip, start first")

    @property
    def frame_count(self) -> int:
        """How many frames the clip has: the whole number nearest to seconds times rate."""
        return round(Fraction(self.seconds) * self.rate)


@dataclass(frozen=True, eq=False)
class SyntheticClip:
    """A clip of n frames with its labels and its voice; `frames` draws the pictures one at a time.

    `pts` (n,) int64 are presentation times in units of `time_base` seconds, and `time_us` (n,) int64 the
    same in whole microseconds: what a reader of the written file gets. `valence`, `arousal` (n,) float64 in
    (-1, 1). `present` (n,) bool: somebody is in the picture. `waveform` (samples,) float32 at
    `sample_rate`, or None without sound. `expression`: weight (n,) float64 of each facial movement.
    `placement` (n, 2, 3) float64: affine map from pixels of the portrait to pixels of the frame.
    """

    plan: ClipPlan
    pts: NDArray[np.int64]
    time_base: Fraction
    time_us: NDArray[np.int64]
    valence: NDArray[np.float64]
    arousal: NDArray[np.float64]
    present: NDArray[np.bool_]
    waveform: NDArray[np.float32] | None
    sample_rate: int
    expression: Mapping[str, NDArray[np.float64]]
    placement: NDArray[np.float64]

    def frames(self) -> Iterator[NDArray[np.uint8]]:
        """Draw the frames in order, each (h, w, 3) uint8 RGB."""
        stage = _Stage(self.plan)
        portrait = pseudo_person(self.plan.subject).portrait(load_face())
        for frame, now_us in enumerate(self.time_us.tolist()):
            picture = stage.background(now_us / MICROSECONDS)
            if self.present[frame]:
                weights = {name: float(weight[frame]) for name, weight in self.expression.items()}
                picture = _lay_over(picture, portrait.render(weights), self.placement[frame])
            yield stage.develop(picture, now_us / MICROSECONDS)


def synthesise(plan: ClipPlan) -> SyntheticClip:
    """Make the clip of a plan. Raises AssetError when the photograph is missing.

    Curves, movement and voice are made here (memory: about 0.2 GB for a minute of voice), frames only when
    asked for.
    """
    face = load_face()
    subject = pseudo_person(plan.subject)
    pts, time_base = _presentation_times(plan)
    time_us = np.array([to_microseconds(tick, time_base) for tick in pts.tolist()], dtype=np.int64)
    times = time_us / MICROSECONDS

    affect = random_affect(plan.seconds, _stream(plan, "affect"))
    syllables = voice.plan_speech(plan.seconds, affect, _stream(plan, "speech"))
    waveform = None
    if plan.sound:
        waveform = voice.speak(plan.seconds, syllables, affect, subject.pitch, _stream(plan, "voice"))
    talking = sample(voice.mouth_opening(plan.seconds, syllables), times, voice.CONTOUR_RATE)

    valence, arousal = affect.valence_at(times), affect.arousal_at(times)
    start, end = plan.absent or (0.0, 0.0)
    return SyntheticClip(
        plan=plan,
        pts=pts,
        time_base=time_base,
        time_us=time_us,
        valence=valence,
        arousal=arousal,
        present=(times < start) | (times >= end),
        waveform=waveform,
        sample_rate=voice.SAMPLE_RATE,
        expression=subject.express(valence, arousal, talking, _blinks(plan, times)),
        placement=_placements(plan, face, subject, times, affect),
    )


def _stream(plan: ClipPlan, part: str) -> np.random.Generator:
    """Random numbers for one part of the clip, so that leaving a part out does not change the others."""
    return np.random.default_rng([plan.seed, *part.encode()])


def _presentation_times(plan: ClipPlan) -> tuple[NDArray[np.int64], Fraction]:
    """Presentation times (n,) int64 from 0, and the time base they count."""
    frames = np.arange(plan.frame_count, dtype=np.int64)
    if not plan.variable_rate:
        return frames, Fraction(1) / plan.rate
    shifts = _stream(plan, "timing").uniform(-LARGEST_SHIFT, LARGEST_SHIFT, len(frames))
    pts = np.round((frames + shifts) / float(plan.rate * VARIABLE_TIME_BASE)).astype(np.int64)
    return pts - pts[0], VARIABLE_TIME_BASE


def _blinks(plan: ClipPlan, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far blinks close the eyes, (n,) float64 in [0, 1]: one every few seconds, each about 0.15 s."""
    rng = _stream(plan, "blinks")
    closed = np.zeros(len(times))
    middle = rng.uniform(0.5, 3.0)
    while middle < plan.seconds:
        closed = np.maximum(closed, np.exp(-0.5 * ((times - middle) / 0.06) ** 2))
        middle += rng.uniform(1.5, 5.0)
    return closed


def _placements(
    plan: ClipPlan, face: Face, subject: Subject, times: NDArray[np.float64], affect: AffectCurves
) -> NDArray[np.float64]:
    """Affine maps from portrait to frame, (n, 2, 3) float64: the head sways, the livelier when aroused."""
    rng = _stream(plan, "movement")
    liveliness = 1 + 0.4 * affect.arousal_at(times)

    def sway(persistence: float, deviation: float) -> NDArray[np.float64]:
        return sample(random_walk(plan.seconds, rng, persistence=persistence, deviation=deviation), times)

    # Distances in parts of the frame's height, or of what counts as height in a narrow frame.
    extent = min(plan.height, 0.75 * plan.width)
    middle_x = plan.width / 2 + extent * liveliness * sway(0.8, 0.021)
    middle_y = plan.height / 2 + extent * liveliness * sway(0.8, 0.015)
    roll = np.deg2rad(liveliness * sway(0.9, 3.5))
    shear = liveliness * sway(0.9, 0.03)
    scale = 0.235 * extent / face.eye_distance * (1 + sway(1.5, 0.03))

    placement = np.empty((len(times), 2, 3))
    placement[:, 0, 0] = scale * np.cos(roll)
    placement[:, 0, 1] = scale * (shear - np.sin(roll))
    placement[:, 1, 0] = scale * np.sin(roll)
    placement[:, 1, 1] = scale * np.cos(roll)
    if subject.mirrored:
        placement[:, :, 0] *= -1
    placement[:, :, 2] = np.column_stack([middle_x, middle_y]) - placement[:, :, :2] @ np.array(face.centre)
    return placement


def _lay_over(
    background: NDArray[np.float32], picture: NDArray[np.uint8], placement: NDArray[np.float64]
) -> NDArray[np.float32]:
    """A picture (.., .., 4) with opacity, placed over a background (h, w, 3) of levels 0 to 255."""
    height, width = background.shape[:2]
    placed = cv2.warpAffine(picture, placement, (width, height), flags=cv2.INTER_LINEAR).astype(np.float32)
    opacity = placed[..., 3] / 255
    blend = cv2.blendLinear(np.ascontiguousarray(placed[..., :3]), background, opacity, 1 - opacity)
    return np.asarray(blend, dtype=np.float32)


class _Stage:
    """What surrounds the face: a blurred wall that drifts past, flickering light, and the camera's grain."""

    GRAIN_ROOM = 64  # pixels by which the grain can be moved, to look new in every frame

    def __init__(self, plan: ClipPlan) -> None:
        rng = _stream(plan, "stage")
        self._height, self._width = plan.height, plan.width
        self._phases = rng.uniform(0, 2 * np.pi, 2)
        base = rng.uniform(60, 190, 3)
        blotches = base + rng.uniform(-40, 40, (16, max(1, 16 * plan.width // plan.height), 3))
        wall = cv2.resize(blotches.astype(np.float32), (2 * plan.width, 2 * plan.height), interpolation=cv2.INTER_CUBIC)
        self._wall = np.clip(wall, 0, 255)
        grain_size = (plan.height + self.GRAIN_ROOM, plan.width + self.GRAIN_ROOM, 3)
        self._grain = 3 * rng.standard_normal(grain_size, dtype=np.float32)
        self._grain_shifts = rng.spawn(1)[0]

    def background(self, seconds: float) -> NDArray[np.float32]:
        """The wall behind the face at a time: (h, w, 3) float32, levels 0 to 255."""
        across = 0.5 + 0.45 * np.sin(0.25 * seconds + self._phases[0])
        down = 0.5 + 0.45 * np.sin(0.17 * seconds + self._phases[1])
        top, left = int(self._height * down), int(self._width * across)
        return np.ascontiguousarray(self._wall[top : top + self._height, left : left + self._width])

    def develop(self, picture: NDArray[np.float32], seconds: float) -> NDArray[np.uint8]:
        """A picture as the camera takes it, (h, w, 3) uint8: with flicker, and new grain at every call."""
        top, left = self._grain_shifts.integers(self.GRAIN_ROOM, size=2)
        grainy = picture + self._grain[top : top + self._height, left : left + self._width]
        grainy *= 1 + 0.02 * np.sin(1.3 * seconds)
        return np.clip(grainy, 0, 255, out=grainy).astype(np.uint8)
