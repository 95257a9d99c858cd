"""affcli window"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer

from affcli import configs
from affcli.cli.options import ENCODER, FORCE, SEED, configure, setting
from affcli.cli.progress import say
from affcli.errors import AffcliError, InputError, UsageError, some

if TYPE_CHECKING:
    from affcli.cli.featuresets import FeatureFile
    from affcli.labels.affect import Affect
    from affcli.windows import Clip, Facts, File, Part

log = logging.getLogger(__name__)

FEATURES = typer.Argument(
    ..., metavar="FEATURES", help="Directories and tables of features; every encoder in them is a feature set."
)
OUT = typer.Option(..., "--out", "-o", help="The windows table to write (.parquet).")
LABELS = typer.Option(
    None, "--labels", help="Affect tables: a directory or one file. A clip without labels is a test clip."
)
VAL = typer.Option(
    None,
    "--val",
    help="The validation clips, in place of --val-share: a file that lists them, one a line, or a directory of their "
    "label files.",
)
TEST = typer.Option(None, "--test", help="The test clips: a file that lists them, or a directory of their label files.")
SUBJECTS = typer.Option(
    None,
    "--subjects",
    help="Who is seen in each clip: a CSV with the columns clip,subject. A line may also name a video, for all of its "
    "people. --val-share then holds out whole subjects.",
)
MISMATCH = typer.Option(
    "error",
    "--mismatch",
    help="A clip that lacks one of the feature sets, whose features and labels have different numbers of frames, or "
    "whose files are broken: stop there (error), or go on without it (drop). Where labels differ from the frames by no "
    "more than --tolerance, crop leaves out the frames past the shorter one; pad keeps all frames and takes those past "
    "the labels as not annotated; all else stops there.",
)
TOLERANCE = typer.Option(
    1,
    "--tolerance",
    min=0,
    help="How many label rows more or fewer than frames --mismatch crop or pad allows (frames).",
)


def window(
    features: list[Path] = FEATURES,
    out: Path = OUT,
    labels: Path | None = LABELS,
    length: int = setting(configs.Windows, "length", min=1),
    overlap: int = setting(configs.Windows, "overlap", min=0),
    val_share: float = setting(configs.Split, "val_share", min=0, max=1),
    seed: int = setting(configs.Split, "seed", **SEED),
    val: Path | None = VAL,
    test: Path | None = TEST,
    subjects: Path | None = SUBJECTS,
    encoder: list[str] = ENCODER,
    mismatch: Literal["error", "drop", "crop", "pad"] = MISMATCH,
    tolerance: int = TOLERANCE,
    force: bool = FORCE,
) -> None:
    """Cut clips into windows for training and prediction: an index over features and labels.

    Windows of --length frames start every length - overlap frames, and one more ends at the clip's last frame, so
    that every frame is in a window. The features stay where they are: the index names them by relative path and
    digest. Clips are split into train, val and test, never windows; the random choice of --val-share keeps the two
    people of one video together, and with --subjects the clips of a person too.
    """
    from affcli import recipes, tables, windows
    from affcli.cli.clip_lists import listed, listed_subjects
    from affcli.cli.featuresets import feature_set, find_features, find_labels
    from affcli.cli.mismatches import usable
    from affcli.schemas import WINDOWS
    from affcli.scoring import ALIGN

    share = configure(configs.Split, locals())
    _check(out, length, overlap, share, (val, test) if labels is None else ())
    # Arrays are verified now: what is missing, foreign or damaged is not said when a training is under way.
    every = find_features(features, encoder, verify=True)
    found = every.features
    known = find_labels(labels) if labels else {}
    clips = usable(every, known, mismatch, tolerance)
    if labels:
        _check_labelled(labels, list(clips), known)
    labelled = [clip for clip in clips if clip in known]
    seen = listed_subjects(subjects, every.clips, list(clips)) if subjects else None
    parts: dict[str, Part] = dict.fromkeys(clips, "test")
    chosen = listed(val, every.clips, mismatch), listed(test, every.clips, mismatch)
    if val and chosen[0]:
        _check_val(val, sorted(chosen[0] & clips.keys()), labelled)
    parts |= _split(labelled, *chosen, share, seen)
    if subjects and seen:
        _tell_divided(subjects, labelled, parts, seen)
    sets = {name: feature_set(files) for name, files in found.items()}
    facts = windows.Facts(length, overlap, sets, _clips(out, clips, parts, found, known, seen or {}))
    annotation = known[labelled[0]].recipe if labelled else None
    told = {"subjects": "listed"} if subjects else {}
    aligned = {"mismatch": mismatch, "tolerance": tolerance} if mismatch in ALIGN else {}
    held_out = {"val": "listed"} if val else {"val_share": val_share, "seed": seed}
    recipe = recipes.recipe(
        "window",
        {"length": length, "overlap": overlap, **held_out, "test": "listed" if test else "none", **told, **aligned},
        parents=[one.recipe for one in sets.values()] + ([annotation] if annotation else []),
    )
    inputs = _inputs(facts, [path for path in (val, test, subjects) if path and path.is_file()])
    if not force and _same_facts(out, facts) and tables.keep(out, WINDOWS, recipe, inputs):
        say(f"{out}: up to date")
        return
    columns = windows.index(
        facts,
        {clip: [files[clip].first(n).valid for files in found.values()] for clip, n in clips.items()},
        {clip: known[clip].resized(clips[clip]).valid for clip in labelled},
    )
    tables.write(out, WINDOWS, columns, recipe=recipe, inputs=inputs, facts=facts.to_json())
    sizes = ", ".join(f"{list(parts.values()).count(part)} {part}" for part in ("train", "val", "test"))
    people = f" of {len(set(seen.values()))} subjects" if seen else ""
    say(f"{out}: {len(columns['start'])} windows of {len(clips)} clips{people} ({sizes}), features {', '.join(found)}")


def _check(out: Path, length: int, overlap: int, share: configs.Split, unusable: Iterable[Path | None]) -> None:
    if overlap >= length:
        raise UsageError(
            f"--overlap {overlap}",
            f"does not fit windows of {length} frames",
            expected=f"at most {length - 1}",
            advice="make --overlap smaller or --length larger",
        )
    if share.val_share >= 1:
        raise UsageError(
            f"--val-share {share.val_share:g}",
            "leaves no clip to train on",
            expected="less than 1",
            advice="to score every clip, predict them all: affcli predict",
        )
    if out.suffix != ".parquet":
        raise UsageError(
            f"--out {out}",
            "is no Parquet file name",
            expected="a name that ends in .parquet",
            advice="write, for instance, -o windows.parquet",
        )
    for path in unusable:
        if path:
            raise UsageError(
                path,
                "lists clips to hold out, but there are no labels",
                expected="--labels beside --val or --test",
                advice="add --labels, or leave the list out",
            )


def _check_labelled(path: Path, clips: list[str], labels: dict[str, Affect]) -> None:
    """Say which clips have no labels; raise InputError where that is all of them."""
    without = [clip for clip in clips if clip not in labels]
    if len(without) == len(clips):
        raise InputError(
            path,
            f"has labels of {some(sorted(labels))}, and of no clip that has features",
            expected=f"labels of clips such as {some(clips)}",
            advice="check that features and labels are of the same videos",
        )
    if without:
        log.warning("%s: has no labels of %s: test clips", path, some(without))


def _check_val(path: Path, listed: list[str], labelled: list[str]) -> None:
    """Say which clips of --val cannot validate, since they have no labels; raise InputError where none of them can."""
    without = [clip for clip in listed if clip not in labelled]
    if without and len(without) == len(listed):
        raise InputError(
            path,
            f"names no clip with labels, but {some(without)}",
            expected="validation clips with labels",
            advice="import their labels too: affcli import-labels",
        )
    if without:
        log.warning("%s: names clips without labels, which are test clips, not val: %s", path, some(without))


def _split(
    clips: list[str],
    val: set[str] | None,
    test: set[str] | None,
    share: configs.Split,
    subjects: dict[str, str] | None,
) -> dict[str, Part]:
    """Each clip's part: as listed, and what no list names by the seeded share."""
    from affcli import windows

    if both := sorted((val or set()) & (test or set())):
        raise InputError(
            "--val and --test",
            f"both name {some(both)}",
            expected="each clip in one list",
            advice="take the clip out of one of them",
        )
    rest = [clip for clip in clips if clip not in (test or ())]
    parts = windows.split(rest, 0 if val is not None else share.val_share, share.seed, subjects)
    if subjects and val is None and share.val_share > 0 and len(rest) > 1 and "val" not in parts.values():
        log.warning("no clip is held out: all %d hang together by a video or a subject that they share", len(rest))
    parts |= {clip: "val" for clip in rest if clip in (val or ())}
    parts = {clip: parts.get(clip, "test") for clip in clips}
    for video, people in windows.by_video(clips).items():
        if len({parts[clip] for clip in people}) > 1:
            told = ", ".join(f"{clip} {parts[clip]}" for clip in people)
            log.warning("%s: its two people are in different parts (%s), though they hear the same sound", video, told)
    return parts


def _tell_divided(path: Path, clips: list[str], parts: dict[str, Part], subjects: dict[str, str]) -> None:
    """Warn of subjects that lists put in more than one part."""
    seen: dict[str, Counter[str]] = {}
    for clip in clips:
        seen.setdefault(subjects[clip], Counter())[parts[clip]] += 1
    divided = [
        f"{subject} ({', '.join(f'{count} {part}' for part, count in sorted(found.items()))})"
        for subject, found in sorted(seen.items())
        if len(found) > 1
    ]
    if divided:
        many = f"{len(divided)} subjects are" if len(divided) > 1 else "a subject is"
        log.warning("%s: %s in different parts, which are then not of different people: %s", path, many, some(divided))


def _clips(
    out: Path,
    frames: dict[str, int],
    parts: dict[str, Part],
    features: dict[str, dict[str, FeatureFile]],
    labels: dict[str, Affect],
    subjects: dict[str, str],
) -> dict[str, Clip]:
    """What the table at `out` will say of each clip: its files by path from there."""
    from affcli import recipes, windows

    digests: dict[Path, str] = {}

    def file(path: Path) -> File:
        if path not in digests:
            digests[path] = recipes.digest(path)
        # A link's own place counts: the array stands beside the link, not beside what it points to.
        place = path.parent.resolve() / path.name
        return windows.File(Path(os.path.relpath(place, out.parent.resolve())).as_posix(), digests[path])

    return {
        clip: windows.Clip(
            frames[clip],
            part,
            {name: file(files[clip].path) for name, files in features.items()},
            file(Path(labels[clip].source)) if clip in labels else None,
            len(next(iter(features.values()))[clip].valid),
            len(labels[clip]) if clip in labels else None,
            subjects.get(clip),
        )
        for clip, part in parts.items()
    }


def _inputs(facts: Facts, lists: list[Path]) -> list[dict[str, str]]:
    """Every file that was read, once."""
    from affcli import recipes

    files = {file for clip in facts.clips.values() for file in clip.features.values()}
    files |= {clip.labels for clip in facts.clips.values() if clip.labels}
    named = sorted((Path(file.path).name, file.sha256) for file in files)
    return [{"name": name, "sha256": digest} for name, digest in named] + [recipes.source(path) for path in lists]


def _same_facts(out: Path, facts: Facts) -> bool:
    """Whether the table at `out` names the same files in the same places: a digest alone does not tell of a move."""
    from affcli import tables

    try:
        return tables.read_header(out).facts == facts.to_json()
    except AffcliError:
        return False
