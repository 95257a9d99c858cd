"""Synthetic clips: repeatable to the bit, labelled exactly, and read back at the very times they state."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.resources
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from affcli.clock import to_microseconds
from affcli.errors import AssetError
from affcli.media.write import write_video
from affcli.synthetic import face
from affcli.synthetic.clip import ClipPlan, SyntheticClip, synthesise
from affcli.synthetic.landmarks import EXPRESSIONS, MIDLINE, PAIRS, SHAPES

SMALL = ClipPlan(seconds=0.4, width=96, height=64)

DIGEST_PROGRAM = """
import hashlib
from fractions import Fraction
from affcli.synthetic.clip import ClipPlan, synthesise
clip = synthesise(ClipPlan(seconds=0.4, width=96, height=64, seed=7, subject=3))
digest = hashlib.sha256(clip.waveform.tobytes() + clip.valence.tobytes() + clip.arousal.tobytes())
for frame in clip.frames():
    digest.update(frame.tobytes())
print(digest.hexdigest())
"""


def small(**changes: Any) -> ClipPlan:
    return dataclasses.replace(SMALL, **changes)


def write(path: Path, clip: SyntheticClip, sound_start: Fraction = Fraction(0)) -> Path:
    write_video(
        path,
        clip.frames(),
        clip.pts,
        clip.time_base,
        rate=clip.plan.rate,
        waveform=clip.waveform,
        sample_rate=clip.sample_rate,
        sound_start=sound_start,
    )
    return path


def packet_times(path: Path) -> list[int]:
    """Presentation times of the video packets in microseconds, in order."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.time_base is not None
        packets = [packet.pts for packet in container.demux(stream) if packet.pts is not None]
        return [to_microseconds(pts, stream.time_base) for pts in sorted(packets)]


def read_sound(path: Path) -> tuple[float, NDArray[np.float32]]:
    """Time of the first decoded sample in seconds, and all samples (samples,)."""
    with av.open(str(path)) as container:
        decoded = list(container.decode(audio=0))
        assert decoded[0].time is not None
        return decoded[0].time, np.concatenate([frame.to_ndarray()[0] for frame in decoded])


def grey_frames(count: int, side: int = 64) -> Iterator[NDArray[np.uint8]]:
    for level in range(count):
        yield np.full((side, side, 3), 10 * level, np.uint8)


def test_every_process_makes_the_same_clip() -> None:
    other = subprocess.run(
        [sys.executable, "-c", DIGEST_PROGRAM], capture_output=True, text=True, check=True
    ).stdout.strip()
    list(synthesise(small(seed=1, subject=1)).frames())  # what came before must not matter
    clip = synthesise(small(seed=7, subject=3))
    assert clip.waveform is not None
    digest = hashlib.sha256(clip.waveform.tobytes() + clip.valence.tobytes() + clip.arousal.tobytes())
    for frame in clip.frames():
        digest.update(frame.tobytes())
    assert digest.hexdigest() == other


def test_shapes_types_and_ranges() -> None:
    clip = synthesise(ClipPlan(seconds=30, seed=2))
    n = 750
    assert clip.time_us.shape == (n,) and clip.time_us.dtype == np.int64
    for curve in (clip.valence, clip.arousal):
        assert curve.shape == (n,) and curve.dtype == np.float64
        assert np.abs(curve).max() <= 1 and curve.std() > 0.2
    assert clip.waveform is not None
    assert clip.waveform.shape == (30 * clip.sample_rate,) and clip.waveform.dtype == np.float32
    assert 0.1 < np.abs(clip.waveform).max() <= 1
    assert clip.present.all()
    assert set(clip.expression) == set(EXPRESSIONS)
    frame = next(clip.frames())
    assert frame.shape == (240, 320, 3) and frame.dtype == np.uint8


def test_frames_can_be_drawn_again() -> None:
    clip = synthesise(small())
    first, second = list(clip.frames()), list(clip.frames())
    assert len(first) == 10
    np.testing.assert_array_equal(first, second)


def test_absence_shows_the_background_only() -> None:
    plan = small(absent=(0.1, 0.25))
    clip = synthesise(plan)
    whole = synthesise(small())
    np.testing.assert_array_equal(np.flatnonzero(~clip.present), [3, 4, 5, 6])
    np.testing.assert_array_equal(clip.valence, whole.valence)
    for frame, (drawn, complete) in enumerate(zip(clip.frames(), whole.frames(), strict=True)):
        middle = np.s_[20:44, 36:60]
        difference = np.abs(drawn[middle].astype(int) - complete[middle]).mean()
        assert (difference == 0) == clip.present[frame]


def test_sound_changes_neither_labels_nor_frames() -> None:
    loud, silent = synthesise(small()), synthesise(small(sound=False))
    assert silent.waveform is None
    np.testing.assert_array_equal(loud.arousal, silent.arousal)
    np.testing.assert_array_equal(list(loud.frames()), list(silent.frames()))


def test_valence_moves_the_mouth_and_arousal_the_brows_and_lids() -> None:
    clip = synthesise(ClipPlan(seconds=20, seed=4, sound=False))
    mouth = clip.expression["smile"] - clip.expression["frown"]
    assert np.corrcoef(mouth, clip.valence)[0, 1] > 0.99
    assert np.corrcoef(clip.expression["brow_raise"], np.maximum(0, clip.arousal))[0, 1] > 0.99
    calm = clip.arousal < 0
    lids = clip.expression["lid_close"]
    assert np.median(lids[calm]) > 0.05 > np.median(lids[~calm])


@pytest.mark.parametrize(
    ("movement", "landmark", "direction"),
    [
        ("smile", "right_mouth_corner", -1),
        ("frown", "right_mouth_corner", +1),
        ("brow_raise", "left_brow_middle", -1),
        ("brow_knit", "left_brow_inner", +1),
        ("jaw_drop", "chin", +1),
    ],
)
def test_movements_take_landmarks_where_the_table_says(movement: str, landmark: str, direction: int) -> None:
    side, _, name = landmark.partition("_")
    place = PAIRS[name][side == "left"] if side in ("right", "left") else MIDLINE[landmark]
    column = round((place[0] - face.CROP_LEFT) * face.ENLARGEMENT)
    row = round((place[1] - face.CROP_TOP) * face.ENLARGEMENT)
    wanted = EXPRESSIONS[movement][landmark if landmark in MIDLINE else name][1] * face.ENLARGEMENT
    displacement = face.load_face().fields[movement][row, column, 1]
    assert displacement == pytest.approx(wanted, abs=0.4)
    assert np.sign(displacement) == direction


def test_loudness_follows_arousal() -> None:
    clip = synthesise(ClipPlan(seconds=40, seed=5))
    assert clip.waveform is not None
    power = np.array([np.mean(part**2) for part in np.array_split(clip.waveform, 40)])
    arousal = np.array([part.mean() for part in np.array_split(clip.arousal, 40)])
    assert np.corrcoef(10 * np.log10(power), arousal)[0, 1] > 0.6


@pytest.mark.parametrize(
    "plan",
    [
        small(),
        small(rate=Fraction(30000, 1001)),
        small(rate=Fraction(24000, 1001), sound=False),
        small(rate=Fraction(128), sound=False),
        small(variable_rate=True),
        small(rate=Fraction(30000, 1001), variable_rate=True, sound=False),
    ],
    ids=["25", "ntsc", "film", "128", "variable", "variable-ntsc"],
)
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_reader_gets_the_stated_times(tmp_path: Path, plan: ClipPlan, suffix: str) -> None:
    clip = synthesise(plan)
    assert packet_times(write(tmp_path / f"clip{suffix}", clip)) == clip.time_us.tolist()
    assert len(np.unique(np.diff(clip.time_us))) > 2 or not plan.variable_rate


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_equal_clips_give_equal_files(tmp_path: Path, suffix: str) -> None:
    files = [write(tmp_path / f"{name}{suffix}", synthesise(small())) for name in ("a", "b")]
    assert files[0].read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("start", [Fraction(0), Fraction(1, 3)])
def test_sound_is_heard_when_it_should_be(tmp_path: Path, start: Fraction, suffix: str) -> None:
    click = np.zeros(44_100, np.float32)
    click[22_050:22_070] = 0.9
    path = tmp_path / f"late{suffix}"
    write_video(
        path,
        grey_frames(10),
        range(10),
        Fraction(1, 25),
        rate=Fraction(25),
        waveform=click,
        sound_start=start,
    )
    begins, samples = read_sound(path)
    heard = begins + np.abs(samples).argmax() / 44_100
    assert heard == pytest.approx(float(start) + 0.5, abs=2e-3)
    assert begins >= float(start) - 1025 / 44_100  # the encoder's run-up is one packet
    assert packet_times(path) == [40_000 * frame for frame in range(10)]


def test_pictures_may_begin_late(tmp_path: Path) -> None:
    path = tmp_path / "late.mp4"
    waveform = np.zeros(4410, np.float32)
    write_video(path, grey_frames(3), [1, 5, 6], Fraction(1, 8), rate=Fraction(8), waveform=waveform)
    assert packet_times(path) == [125_000, 625_000, 750_000]
    assert read_sound(path)[0] == 0


def test_pixels_survive(tmp_path: Path) -> None:
    path = tmp_path / "grey.mp4"
    write_video(path, grey_frames(10), range(10), Fraction(1, 25), rate=Fraction(25))
    with av.open(str(path)) as container:
        assert not container.streams.audio
        levels = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)]
    np.testing.assert_allclose(levels, 10 * np.arange(10), atol=2)


@pytest.mark.parametrize("interruption", [KeyboardInterrupt, RuntimeError])
def test_nothing_half_written_remains(tmp_path: Path, interruption: type[BaseException]) -> None:
    def broken() -> Iterator[NDArray[np.uint8]]:
        yield from grey_frames(3)
        raise interruption

    path = tmp_path / "clip.mp4"
    path.write_bytes(b"what was there")
    with pytest.raises(interruption):
        write_video(path, broken(), range(10), Fraction(1, 25), rate=Fraction(25))
    assert path.read_bytes() == b"what was there"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("pts", "frames", "start", "message"),
    [
        ([], 0, 0, "pts"),
        ([0, 2, 2], 3, 0, "pts"),
        ([-1, 0], 2, 0, "pts"),
        ([0, 1, 2], 2, 0, "fewer than the 3 pts"),
        ([0, 1], 3, 0, "more than the 2 pts"),
        ([0, 1], 0, 0, "none given"),
        ([0, 1], 2, -1, "sound_start"),
    ],
)
def test_arguments_that_do_not_fit(tmp_path: Path, pts: list[int], frames: int, start: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        write_video(
            tmp_path / "x.mp4",
            grey_frames(frames),
            pts,
            Fraction(1, 25),
            rate=Fraction(25),
            sound_start=Fraction(start),
        )
    assert not list(tmp_path.iterdir())


def test_pictures_that_do_not_fit(tmp_path: Path) -> None:
    wrong: list[tuple[list[Any], str]] = [
        (list(grey_frames(2, 63)), "both sides even"),
        ([*grey_frames(1, 64), *grey_frames(1, 66)], r"frame 1 has shape \(66, 66, 3\)"),
        ([np.zeros((64, 64, 3))] * 2, "expected uint8"),
    ]
    for pictures, message in wrong:
        with pytest.raises(ValueError, match=message):
            write_video(tmp_path / "x.mp4", pictures, [0, 1], Fraction(1, 25), rate=Fraction(25))


@pytest.mark.parametrize(
    "wrong",
    [
        {"seconds": 0.0},
        {"seconds": float("nan")},
        {"seconds": 0.01},
        {"rate": Fraction(0)},
        {"rate": Fraction(-25)},
        {"rate": Fraction(1001)},
        {"rate": Fraction(23.976)},
        {"width": 321},
        {"height": 62},
        {"seed": -1},
        {"subject": -1},
        {"absent": (2.0, 1.0)},
        {"absent": (-1.0, 1.0)},
        {"absent": (11.0, 13.0)},
    ],
    ids=str,
)
def test_plans_that_cannot_be_carried_out(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is|hold no frame"):
        ClipPlan(**wrong)


def test_a_missing_photograph_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(importlib.resources, "files", lambda _package: tmp_path)
    with pytest.raises(AssetError, match=r"astronaut\.png: not found .*pip install"):
        face.read_photograph()


def test_tables_name_only_known_landmarks() -> None:
    for movement in (*EXPRESSIONS.values(), *SHAPES.values()):
        assert set(movement) <= set(MIDLINE) | set(PAIRS)
