"""affcli probe"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import typer

from affcli.cli.options import VIDEOS
from affcli.cli.progress import progress
from affcli.cli.runs import Run
from affcli.errors import InputError, UsageError, some

if TYPE_CHECKING:
    from affcli.media.find import Labelled, Matches, Source
    from affcli.media.probe import Ledger

    Row: TypeAlias = dict[str, str | int | float | bool | None]

LABELS = typer.Option(
    None,
    "--labels",
    help="Compare with the rows of these label files: a directory of .txt, .csv and .affect.parquet, searched to its "
    "depths, or one file. X, X_left and X_right are labels of video X.",
)
TOLERANCE = typer.Option(
    0, "--tolerance", min=0, help="How many label rows more or fewer than frames are no failure (frames)."
)
FORMATS = {"table": "A table for people.", "csv": "CSV.", "json": "One JSON object per line."}


def probe(
    videos: list[Path] = VIDEOS,
    labels: Path | None = LABELS,
    tolerance: int = TOLERANCE,
    table: bool = typer.Option(False, "--table", help=f"{FORMATS['table']} The default on a terminal."),
    as_csv: bool = typer.Option(False, "--csv", help=f"{FORMATS['csv']} The default elsewhere."),
    as_json: bool = typer.Option(False, "--json", help=FORMATS["json"]),
) -> None:
    """Decode every frame and say what is there: frames, times, sound, and whether the labels fit.

    Writes a row for each video to stdout, or for each label file of a video: decoded frames, the container's own count
    and the label rows, side by side; time base and frame rate (constant or variable); rotation; where the sound
    begins, against the first frame, and how long it lasts. Units stand in the names of the columns. A video that
    breaks off is shown as far as it goes (partial).

    label_rows_more is label rows less frames. rotation_deg turns the stored picture counter-clockwise to be upright.
    audio is none, silent (every sample is zero), present or broken; audio_offset_ms is from the first frame to the
    first sample, audio_overhang_ms from the end of the last frame to the end of the sound: below 0 where the sound is
    earlier. The table shows the columns that fit into 80 characters.

    Ends with status 3 where label rows and frames differ by more than --tolerance, where a label file names no video,
    and where a video or its sound breaks off or cannot be decoded; all others are shown nonetheless.
    """
    from affcli.media.find import match_labels, sources

    chosen = [name for name, asked in zip(FORMATS, (table, as_csv, as_json), strict=True) if asked]
    if len(chosen) > 1:
        raise UsageError(
            " and ".join(f"--{name}" for name in chosen), "are both given", expected="one of them", advice="choose one"
        )
    found = sources(videos)
    run = Run(len(found))
    known = _label_rows(run, labels) if labels else {}
    matches = match_labels(found, known)
    if labels and matches.without_video:
        with run.report():
            raise InputError(
                labels,
                f"has labels of {some(matches.without_video)}, whose videos are not there",
                expected="a video for each label file",
                advice="name their videos too, or only the directory of these videos' labels",
            )
    rows = _rows(run, found, matches, known, tolerance)
    form = chosen[0] if chosen else "table" if sys.stdout.isatty() else "csv"
    if form == "table":
        _print_table(list(rows), labelled=labels is not None)
    else:
        # On a terminal, lines would run into the progress bar.
        _print_lines(list(rows) if sys.stdout.isatty() else rows, form)
    run.leave()


def _label_rows(run: Run, path: Path) -> dict[str, tuple[Path, int | None]]:
    """Every label file below `path`, by the clip it is of, and how many rows it has; None where it cannot be read."""
    from affcli.labels.files import label_stems
    from affcli.labels.read import read_affect

    found: dict[str, tuple[Path, int | None]] = {}
    for stem, file in label_stems(path).items():
        unread: dict[str, tuple[Path, int | None]] = {stem: (file, None)}
        with run.report():
            clips = read_affect(file)
            unread = {}
            for one in clips:
                name = one.clip if one.named else stem  # a CSV may tell its clips itself
                other, _ = found.setdefault(name, (file, len(one)))
                if other != file:
                    raise InputError(
                        file,
                        f"clip '{name}' is in {other} too",
                        expected="each clip once",
                        advice="rename one of them, or leave one out",
                    )
        found |= unread
    return found


def _rows(
    run: Run,
    found: list[Source],
    matches: Matches,
    known: Mapping[str, tuple[Path, int | None]],
    tolerance: int,
) -> Iterator[Row]:
    """The rows of each video; what is wrong with it is reported."""
    from affcli.media.probe import probe
    from affcli.media.video import open_video

    for source in progress(found, "probe", "clip", len(found)):
        with run.report():
            video = open_video(source.path, keep_partial=True)
            ledger = probe(video, progress(video.frames(), source.clip, "frame", video.expected_frames))
            if ledger.sound_failure:
                with run.report():
                    raise ledger.sound_failure
            if ledger.partial:
                with run.report():
                    raise InputError(
                        source.path,
                        f"ends after {ledger.decoded} frames",
                        expected="a whole video",
                        advice="copy it again",
                    )
            people = matches.of(source)
            for one in people:
                file, count = known[one.clip]
                with run.report():
                    _compare(ledger, file, count, tolerance)
                yield _row(one.clip, ledger, one, file, count)
            if not people:
                yield _row(source.clip, ledger)


def _compare(ledger: Ledger, labels: Path, count: int | None, tolerance: int) -> None:
    """Raise InputError where a label file has too many or too few rows for its video."""
    if count is None or abs(count - ledger.decoded) <= tolerance:
        return
    more = f", or up to {tolerance} more or fewer" if tolerance else ""
    raise InputError(
        labels,
        f"has {count} rows",
        expected=f"{ledger.decoded}, the frames of {ledger.path}{more}",
        advice="check that they are of this file, or allow for it: --tolerance here, --mismatch crop in affcli window",
    )


def _row(
    clip: str, ledger: Ledger, labelled: Labelled | None = None, file: Path | None = None, count: int | None = None
) -> Row:
    """One row as plain values; units stand in the names, None is what is not known."""

    def seconds(us: int | None) -> float | None:
        return None if us is None else us / 1_000_000

    def milliseconds(us: int | None) -> float | None:
        return None if us is None else us / 1000

    sound = ledger.sound
    return {
        "clip": clip,
        "video": str(ledger.path),
        "labels": None if file is None else str(file),
        "person": labelled.person if labelled else None,
        "frames": ledger.decoded,
        "stated_frames": ledger.stated_frames,
        "label_rows": count,
        "label_rows_more": None if count is None else count - ledger.decoded,
        "partial": ledger.partial,
        "decode_errors": ledger.decode_errors,
        "corrupt_frames": ledger.corrupt,
        "first_s": seconds(ledger.first_us),
        "last_s": seconds(ledger.last_us),
        "duration_s": seconds(ledger.duration_us),
        "stated_duration_s": seconds(ledger.stated_duration_us),
        "time_base_s": str(ledger.time_base),
        "rate_fps": str(ledger.rate) if ledger.rate else None,
        "stated_rate_fps": str(ledger.stated_rate) if ledger.stated_rate else None,
        "variable_rate": ledger.rate is None,
        "shortest_gap_ms": milliseconds(ledger.shortest_us),
        "longest_gap_ms": milliseconds(ledger.longest_us),
        "width_px": ledger.width,
        "height_px": ledger.height,
        "size_changes": ledger.size_changes,
        "rotation_deg": ledger.rotation,
        "codec": ledger.codec,
        "pixel_format": ledger.pixel_format,
        "audio": ledger.sound_kind,
        "audio_offset_ms": milliseconds(ledger.sound_offset_us),
        "audio_length_s": seconds(sound.end_us - sound.start_us) if sound else None,
        "audio_overhang_ms": milliseconds(ledger.sound_overhang_us),
        "audio_rate_hz": sound.sample_rate if sound else None,
        "audio_channels": sound.channels if sound else None,
        "audio_decode_errors": sound.decode_errors if sound else None,
    }


def _print_lines(rows: Iterable[Row], form: str) -> None:
    """CSV with a header, or JSON; line by line, as the rows come."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    for number, row in enumerate(rows):
        if form == "json":
            print(json.dumps(row, ensure_ascii=False, allow_nan=False), flush=True)
            continue
        if number == 0:
            writer.writerow(row)
        writer.writerow(str(cell).lower() if isinstance(cell, bool) else cell for cell in row.values())
        sys.stdout.flush()


def _print_table(rows: list[Row], *, labelled: bool) -> None:
    """What fits into 80 columns."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    counts = ["frames", "stated", *(["labels"] if labelled else [])]
    shown = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)
    shown.add_column("clip", overflow="fold", min_width=12)
    for name in (*counts, "time\nbase, s", "rate, fps", "sound\nat, ms", "sound\nfor, s"):
        shown.add_column(name, justify="right", no_wrap=True)
    shown.add_column("remarks")
    for row in rows:
        numbers = [row["frames"], row["stated_frames"], *([row["label_rows"]] if labelled else [])]
        rate = "variable" if row["variable_rate"] else row["rate_fps"]
        cells = [row["clip"], *numbers, row["time_base_s"], rate, *_sound(row), ", ".join(_remarks(row))]
        shown.add_row(*(Text(_plain(cell)) for cell in cells))
    if rows:
        Console(highlight=False).print(shown)


def _plain(cell: object) -> str:
    return "-" if cell is None else str(cell)


def _sound(row: Row) -> tuple[str, str]:
    """Where the sound begins, and how long it is."""
    if row["audio_length_s"] is None:
        return str(row["audio"]), "-"
    return f"{row['audio_offset_ms']:+.1f}", f"{row['audio_length_s']:.2f}"


def _remarks(row: Row) -> Iterator[str]:
    """What a reader should not overlook."""
    if row["label_rows_more"]:
        yield f"{row['label_rows_more']:+} label rows"
    if row["partial"]:
        yield "breaks off"
    if row["decode_errors"]:
        yield f"{row['decode_errors']} packets undecodable"
    if row["corrupt_frames"]:
        yield f"{row['corrupt_frames']} frames damaged"
    if row["size_changes"]:
        yield "changes its size"
    if row["variable_rate"]:
        yield f"{row['shortest_gap_ms']:.1f} to {row['longest_gap_ms']:.1f} ms apart"
    if row["rotation_deg"]:
        yield f"turned {row['rotation_deg']} deg"
    if row["audio"] == "silent":
        yield "silent sound"
