"""The scores of expressions, action units and multi-task predictions for people, made from their JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from affcli.cli.score_tables import Grid, choices, figure, how_drawn, interval, signed

LABELS = {
    "f1": "mean F1",
    "score_2020": "score of 2020",
    "ccc": "mean CCC",
    "ccc_valence": "CCC valence",
    "ccc_arousal": "CCC arousal",
    "f1_expression": "F1 expressions",
    "f1_action_units": "F1 action units",
}
PARTS = {"by_class": "class", "by_unit": "action unit"}
TASKS = ("va", "expr", "au")


def grids(report: Mapping[str, Any], heads: Sequence[str]) -> list[Grid]:
    """The tables of one report, the headline first."""
    rows: list[tuple[str, ...]] = [
        (label(name), figure(report["concatenated"][name]), figure(report["mean_over_clips"][name])) for name in heads
    ]
    found = [Grid(("", "all frames", "mean over clips"), rows, (*_counts(report), *choices([report])))]
    key = next((key for key in PARTS if key in report["concatenated"]), None)
    if key:
        found.append(_classes(report) if key == "by_class" else _units(report))
    if "intervals" in report:
        found.append(_intervals(report["intervals"], heads, key))
    for name, parts in (("by", report.get("by", {}).get("groups")), ("faces", report.get("faces"))):
        if parts:
            header = (report["by"]["column"] if name == "by" else "face", f"frames{_which(report)}", *map(label, heads))
            found.append(Grid(header, [_part(group, part, heads) for group, part in parts.items()]))
    if "per_clip" in report:
        found.append(_per_clip(report, heads))
    return found


def heads_of(report: Mapping[str, Any]) -> tuple[str, ...]:
    """The figures of a report that are over all classes, the headline first."""
    return tuple(name for name in report["mean_over_clips"] if name != "clips")


def comparison(systems: Sequence[Mapping[str, Any]], heads: Sequence[str]) -> Grid:
    """Several predictions side by side, a row for each."""
    rows = [
        (one["predictions"], *(figure(one["concatenated"][name]) for name in heads), _coverage(one)) for one in systems
    ]
    header = ("predictions", *map(label, heads), f"coverage{_which(systems[0])}")
    # Compared are scores over the same frames.
    return Grid(header, rows, (*_counts(systems[0], coverage=False), *choices(systems)))


def differences(found: Mapping[str, Any], heads: Sequence[str]) -> Grid:
    """How far each of several predictions is from the first, with its interval and p-value."""
    rows: list[tuple[str, ...]] = [
        (
            one["predictions"] if row == 0 else "",
            name,
            signed(value["estimate"]),
            interval(value),
            "-" if value["p"] is None else f"{value['p']:.4f}",
        )
        for one in found["each"]
        for row, (name, value) in enumerate(_flat(one, heads))
    ]
    header = ("predictions", "", f"less {found['against']}", f"{found['level']:g} % interval", f"p ({found['test']})")
    return Grid(header, rows, (how_drawn(found),))


def label(name: str) -> str:
    """What a figure is called above or beside it."""
    return LABELS.get(name, name)


def _flat(figures: Mapping[str, Any], heads: Sequence[str]) -> list[tuple[str, Any]]:
    parts: Mapping[str, Any] = next((figures[key] for key in PARTS if key in figures), {})
    return [(label(name), figures[name]) for name in heads] + [(f"F1 {name}", one) for name, one in parts.items()]


def _counts(report: Mapping[str, Any], *, coverage: bool = True) -> tuple[str, ...]:
    told = []
    for task, part in _tasks(report):
        if part:
            line = f"clips: {part['clips']}, frames: {part['frames']}"
            line += f", coverage: {part['coverage']:.2%}" if coverage else ""
            line += f", classes: {len(part['classes'])} ({part['classes_from']})" if "classes" in part else ""
            told.append(f"{task}: {line}" if task else line)
    return tuple(told)


def _tasks(counts: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any] | None]]:
    """What is counted of each task, None where there is nothing of it; of a lone one under no name."""
    return [("", counts)] if "frames" in counts else [(task, counts.get(task)) for task in TASKS]


def _which(report: Mapping[str, Any]) -> str:
    """What a heading adds over a cell with a number for each task."""
    return "" if "frames" in report else f" ({' / '.join(TASKS)})"


def _coverage(report: Mapping[str, Any]) -> str:
    return " / ".join(f"{part['coverage']:.2%}" if part else "-" for _, part in _tasks(report))


def _frames(counts: Mapping[str, Any]) -> str:
    return " / ".join(str(part["frames"]) if part else "-" for _, part in _tasks(counts))


def _classes(report: Mapping[str, Any]) -> Grid:
    """F1 of each class, and how often it was predicted as each."""
    rows = [
        (f"{number} {name}", figure(report["concatenated"]["by_class"][name]), *map(str, counts))
        for number, (name, counts) in enumerate(zip(report["classes"], report["confusion"], strict=True))
    ]
    numbers = map(str, range(len(rows)))
    return Grid(("class", "F1", *numbers), rows, ("rows: the true class, columns: the predicted one",))


def _units(report: Mapping[str, Any]) -> Grid:
    rows: list[tuple[str, ...]] = []
    for name, f1 in report["concatenated"]["by_unit"].items():
        (_, false), (missed, hit) = report["confusion"][name]
        rows.append((name, figure(f1), str(hit + missed), str(hit), str(false)))
    return Grid(("action unit", "F1", "present", "found", "false alarms"), rows)


def _intervals(found: Mapping[str, Any], heads: Sequence[str], key: str | None) -> Grid:
    chosen = {name: found[name] for name in (*heads, *([key] if key else []))}
    return Grid(("", "interval"), [(name, interval(one)) for name, one in _flat(chosen, heads)], (how_drawn(found),))


def _part(name: str, part: Mapping[str, Any] | None, heads: Sequence[str]) -> tuple[str, ...]:
    if part is None:
        return (name, "0", *["-"] * len(heads))
    return (name, _frames(part), *(figure(part["concatenated"][head]) for head in heads))


def _per_clip(report: Mapping[str, Any], heads: Sequence[str]) -> Grid:
    clips = report["per_clip"]
    rows = [(clip, _frames(one), *(figure(one[name]) for name in heads)) for clip, one in clips.items()]
    notes = [
        f"{word}: " + ", ".join(f"{clip} {figure(clips[clip][heads[0]])}" for clip in names)
        for word, names in (("worst", report["worst"]), ("best", report["best"]))
        if names
    ]
    return Grid(("clip", f"frames{_which(report)}", *map(label, heads)), rows, tuple(notes))
