"""Every table that affcli reads or writes: columns, types, units, meaning, version.

The Arrow schemas, the checks at write and at read, the manual page affcli-tables(5) and `affcli info` are
derived from what is said here.  A version goes up when an older reader would misread a newer file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Column:
    """One column: Arrow type by name, unit ("" where it has none), meaning, and whether it may be null.

    `since` is the version of the table that brought it; a table of an earlier version is read as if it held `before`
    in every row.  An `optional` column, which may be null, can be left out of a table: it is then read as null in every
    row.  Optional columns stand after all others.  They need no new version: a reader that does not know one refuses
    the table for it, and a table without them is the same as ever.
    """

    name: str
    type: str
    unit: str
    doc: str
    null: bool = False
    since: int = 1
    before: Any = None
    optional: bool = False


@dataclass(frozen=True)
class Array:
    """The .npy beside a table: shape in letters, dtype, and whether item i belongs to row i.

    Where the column `ends` is not null, the array is one of bytes instead, and the column says where each row's end.
    """

    shape: str
    dtype: str
    doc: str
    by_row: bool = True
    ends: str = ""


@dataclass(frozen=True)
class Schema:
    """One kind of table."""

    name: str
    version: int
    doc: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    array: Array | None = None
    facts: tuple[tuple[str, str], ...] = ()  # what the metadata says of the clip: name, meaning
    optional_facts: bool = False  # a table may lack some of them

    @property
    def by_frame(self) -> bool:
        """Whether row i is decoded frame i of one clip."""
        return self.key == ("clip", "frame")

    @property
    def required_facts(self) -> tuple[str, ...]:
        """The facts that a table of this kind cannot lack."""
        return () if self.optional_facts else tuple(name for name, _ in self.facts)


DIMENSIONS = ("valence", "arousal")
# The classes of the Aff-Wild2 challenges by number; those of 2020 have no Other.
EXPRESSIONS = ("Neutral", "Anger", "Disgust", "Fear", "Happiness", "Sadness", "Surprise", "Other")
# Every action unit of the two lists of the Aff-Wild2 challenges, as the Facial Action Coding System names it (Ekman and
# Friesen 1978); each is a column of affect tables, null where nobody annotated it.
ACTION_UNITS = {
    "au1": "inner brow raiser", "au2": "outer brow raiser", "au4": "brow lowerer", "au6": "cheek raiser",
    "au7": "lid tightener", "au10": "upper lip raiser", "au12": "lip corner puller", "au15": "lip corner depressor",
    "au20": "lip stretcher", "au23": "lip tightener", "au24": "lip pressor", "au25": "lips part", "au26": "jaw drop",
}  # fmt: skip
LANDMARKS = ("right_eye", "left_eye", "nose", "right_mouth", "left_mouth")  # the person's own right and left


def _key(time_null: bool = False) -> tuple[Column, ...]:
    return (
        Column("clip", "string", "", "name of the clip: the video's file name without its ending"),
        Column("frame", "int32", "", "decoded frame, from 0; equals the row number within the clip"),
        Column("time_us", "int64", "us", "presentation time of the frame on the container's clock", time_null),
    )


_BOX = tuple(
    Column(name, "float32", "px", f"{doc} of the face box, upright picture", True)
    for name, doc in (("x1", "left"), ("y1", "top"), ("x2", "right"), ("y2", "bottom"))
)
_LANDMARKS = tuple(
    Column(f"{point}_{axis}", "float32", "px", f"{point.replace('_', ' ')}, {axis}", True)
    for point in LANDMARKS
    for axis in "xy"
)
_VIDEO_FACTS = (
    ("width", "px, upright picture; null where only crops are known"),
    ("height", "px, upright picture; null where only crops are known"),
    ("rate", "frames per second as an exact fraction, null where the frame rate varies"),
    ("decode_errors", "packets that could not be decoded"),
    ("stated_frames", "frames that the container states; 0 where it does not"),
    ("partial", "the video breaks off before its stated end"),
)

FACES = Schema(
    "faces",
    2,
    "One person's face in every decoded frame of a clip.",
    ("clip", "frame"),
    (
        *_key(),
        Column("valid", "bool", "", "the person's face is in this frame"),
        *_BOX,
        *_LANDMARKS,
        Column("score", "float32", "", "detector's score, 0 to 1; null where interpolated", True),
        Column(
            "confidence",
            "float32",
            "",
            "0 to 1: the score; between detections the lower of the two; half of it where ambiguous",
            True,
            since=2,
        ),
        Column("track", "int32", "", "unbroken track the face belongs to", True),
        Column("how", "string", "", "detected, interpolated, imported or absent"),
        Column("ambiguous", "bool", "", "may be another person: two faces overlap here", since=2, before=False),
        Column("corrupt", "bool", "", "the decoder marked this frame as damaged"),
        Column("jpeg_end", "int64", "bytes", "where this frame's JPEG ends in the array; null in NPY", True, since=2),
    ),
    Array(
        "n, s, s, 3",
        "uint8",
        "aligned crops, RGB, zeros where not valid; or their JPEG files, end to end",
        ends="jpeg_end",
    ),
    (
        *_VIDEO_FACTS,
        ("faces", "rows with valid = true"),
        (
            "person",
            "main, left, right, not-left, not-right, the number of a person's first track, or imported",
        ),
        ("format", "what the array holds: npy, pictures by row, or jpeg, bytes"),
    ),
)

TRACKS = Schema(
    "tracks",
    1,
    "Every face that was found in a video, so that another person can be chosen without looking for faces again.",
    ("clip", "frame", "track"),
    (
        *_key(),
        Column(
            "track",
            "int32",
            "",
            "unbroken track the face belongs to; null in the one row of a frame without faces",
            True,
        ),
        Column("person", "int32", "", "tracks of one number are one person", True),
        *_BOX,
        *_LANDMARKS,
        Column("score", "float32", "", "detector's score, 0 to 1", True),
        Column("ambiguous", "bool", "", "may be another person: two faces overlap here"),
        Column("corrupt", "bool", "", "the decoder marked this frame as damaged"),
    ),
    None,
    (*_VIDEO_FACTS, ("frames", "decoded frames")),
)

AUDIO = Schema(
    "audio",
    2,
    "Where in the waveform each decoded frame of a clip is.",
    ("clip", "frame"),
    (
        *_key(),
        Column("valid", "bool", "", "sound exists at this frame's time, and the track is not silent"),
        Column("sample", "int64", "samples", "index of the waveform sample nearest the frame's time"),
        Column(
            "speech",
            "float32",
            "",
            "probability that somebody speaks in the middle of the frame's period, 0 to 1; null without --vad",
            True,
            since=2,
        ),
    ),
    Array("samples", "int16", "waveform, mono, full scale 32768", by_row=False),
    (
        ("sample_rate", "Hz"),
        ("start_us", "time of the first sample on the container's clock, us"),
        ("rate", "frames per second as an exact fraction, null where the frame rate varies"),
        ("sound", "present, silent (every sample is zero) or none (no sound track, or one without a sample)"),
        ("partial", "the video breaks off before its stated end"),
    ),
)

FEATURES = Schema(
    "features",
    1,
    "One vector for every decoded frame of a clip.",
    ("clip", "frame"),
    (
        *_key(),
        Column("valid", "bool", "", "the vector describes something; where false it is zeros"),
    ),
    Array("n, d", "float32", "one vector per frame"),
    (
        ("encoder", "name of the encoder"),
        ("modality", "face, audio or pose"),
        ("width", "numbers per vector"),
    ),
)

AFFECT = Schema(
    "affect",
    2,
    "Valence and arousal of every frame, and expression and action units where known: labels and predictions alike.",
    ("clip", "frame"),
    (
        *_key(time_null=True),
        Column("valid", "bool", "", "valence and arousal are both known"),
        Column("valence", "float64", "", "negative to positive, -1 to 1; null where not annotated", True),
        Column("arousal", "float64", "", "passive to active, -1 to 1; null where not annotated", True),
        *(
            Column(
                f"{name}_std",
                "float64",
                "",
                f"standard deviation of {name} over several networks; null without",
                True,
                since=2,
            )
            for name in ("valence", "arousal")
        ),
        Column(
            "expression",
            "int8",
            "",
            f"{', '.join(f'{i} {name}' for i, name in enumerate(EXPRESSIONS))}; null where not annotated",
            True,
            optional=True,
        ),
        *(
            Column(name, "int8", "", f"{doc}: 1 present, 0 absent; null where not annotated", True, optional=True)
            for name, doc in ACTION_UNITS.items()
        ),
    ),
    None,
    (
        ("annotated", "labels only: rows with valid = true"),
        ("format", "labels only: what they were imported from, as import-labels --format names it"),
        ("expressions", "labels only, where expressions were imported: rows that have one"),
        ("action_units", "labels only, where action units were imported: rows that have any"),
    ),
    optional_facts=True,
)

WINDOWS = Schema(
    "windows",
    1,
    "An index of windows over one or several feature sets of the same clips; the arrays stay where they are.",
    ("clip", "start"),
    (
        Column("clip", "string", "", "name of the clip"),
        Column("start", "int32", "frames", "first frame of the window"),
        Column("length", "int32", "frames", "frames in the window; a clip shorter than the plan has one short window"),
        Column("split", "string", "", "train, val or test"),
        Column("with_data", "int32", "frames", "frames that every feature set describes"),
        Column("with_labels", "int32", "frames", "frames with valence and arousal"),
    ),
    None,
    (
        ("length", "window length that was asked for, frames"),
        ("overlap", "overlap that was asked for, frames"),
        ("features", "feature sets: name to width, modality and recipe"),
        ("clips", "clip to frames, split, subject, and its feature and label files by relative path and digest"),
    ),
)

SCHEMAS = {schema.name: schema for schema in (FACES, TRACKS, AUDIO, FEATURES, AFFECT, WINDOWS)}
