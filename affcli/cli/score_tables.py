"""The scores of `affcli score` for people: tables on the terminal, as LaTeX and as Markdown, made from its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FIGURES = ("valence", "arousal", "mean")
USUAL = {"missing": "error", "align": None, "mask": "joint"}
DIRECTIONS = (
    "scale: sd(truth) / sd(predictions); above 1 the predictions move too little",
    "shift: (mean truth - mean predictions) / sqrt(sd(truth) sd(predictions)); above 0 they are too low",
)  # of the parts of a decomposition
LATEX = {ord(mark): f"\\{mark}" for mark in "&%$#_{}"} | {
    ord("\\"): r"\textbackslash{}",
    ord("~"): r"\textasciitilde{}",
    ord("^"): r"\textasciicircum{}",
}


@dataclass(frozen=True)
class Grid:
    """One table of text, the line to be said above it, and those below it."""

    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: tuple[str, ...] = ()
    title: str = ""


def grids(report: Mapping[str, Any], metrics: Sequence[str]) -> list[Grid]:
    """The tables of one report, the headline first."""
    overall = Grid(
        ("", *FIGURES, "mean over clips"),
        [
            (name.upper(), *_cells(report["concatenated"][name]), figure(report["mean_over_clips"][name]["mean"]))
            for name in metrics
        ],
        (
            f"clips: {report['clips']}, frames: {report['frames']}, coverage: {report['coverage']:.2%}",
            *choices([report]),
        ),
    )
    found = [overall]
    if "intervals" in report:
        found.append(_intervals(report["intervals"], metrics))
    if "decomposition" in report:
        found.append(_decomposition(report["decomposition"]))
    for title, parts in (("by", report.get("by", {}).get("groups")), ("faces", report.get("faces"))):
        if parts:
            found.append(_parts(report["by"]["column"] if title == "by" else "face", parts, metrics))
    if "lag" in report:
        found.append(_lag(report["lag"]))
    if "per_clip" in report:
        found.append(_per_clip(report, metrics))
    return found


def comparison(systems: Sequence[Mapping[str, Any]], metrics: Sequence[str]) -> Grid:
    """Several predictions side by side, a row for each and metric."""
    rows: list[tuple[str, ...]] = [
        (
            one["predictions"] if row == 0 else "",
            name.upper(),
            *_cells(one["concatenated"][name]),
            f"{one['coverage']:.2%}" if row == 0 else "",
        )
        for one in systems
        for row, name in enumerate(metrics)
    ]
    count = f"clips: {systems[0]['clips']}, frames: {systems[0]['frames']}"  # compared over the same ones
    return Grid(("predictions", "", *FIGURES, "coverage"), rows, (count, *choices(systems)))


def choices(reports: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """How frames and values were chosen where that is not as by default, as a line below a table; else nothing."""
    first = reports[0]
    told = [f"{name}: {first[name]}" for name, usual in USUAL.items() if first.get(name, usual) != usual]
    # Predictions that are tables have no scale to be converted from.
    scales = {side: scale for one in reports for side, scale in one.get("scales", {}).items()}
    told += [f"range: {', '.join(f'{side} {scale}' for side, scale in sorted(scales.items()))}"] if scales else []
    if "clipped" in first:
        told.append(f"clip: values cut off at -1 and 1: {', '.join(str(one['clipped']) for one in reports)}")
    return ("; ".join(told),) if told else ()


def differences(found: Mapping[str, Any], metrics: Sequence[str]) -> Grid:
    """How far each of several predictions is from the first, with its interval and p-value."""
    rows: list[tuple[str, ...]] = [
        (
            one["predictions"] if row == 0 and key == FIGURES[0] else "",
            f"{name.upper()} {key}",
            signed(one[name][key]["estimate"]),
            interval(one[name][key]),
            "-" if one[name][key]["p"] is None else f"{one[name][key]['p']:.4f}",
        )
        for one in found["each"]
        for row, name in enumerate(metrics)
        for key in FIGURES
    ]
    header = ("predictions", "", f"less {found['against']}", f"{found['level']:g} % interval", f"p ({found['test']})")
    return Grid(header, rows, (how_drawn(found),))


def how_drawn(found: Mapping[str, Any]) -> str:
    """How intervals were drawn, as a line below them."""
    drawn = f"{found['method']}, {found['resamples']} resamples of {found['of']}, seed {found['seed']}"
    return f"{found['level']:g} % intervals ({drawn})"


def text(grid: Grid, form: str) -> str:
    """A grid as `latex` or `markdown`, its title above and its notes below."""
    if form == "markdown":
        lines = [f"{grid.title}\n"] if grid.title else []
        lines += [_markdown(grid.header), "|" + "|".join([" --- "] * len(grid.header)) + "|"]
        lines += [_markdown(row) for row in grid.rows]
        return "\n".join([*lines, "", *(f"{note}\n" for note in grid.notes)])
    lines = [f"% {grid.title}"] if grid.title else []
    lines += [rf"\begin{{tabular}}{{l{'r' * (len(grid.header) - 1)}}}", r"\hline", _latex(grid.header), r"\hline"]
    lines += [_latex(row) for row in grid.rows]
    return "\n".join([*lines, r"\hline", r"\end{tabular}", *(f"% {note}" for note in grid.notes), ""])


def show(grid: Grid) -> None:
    """Print a grid on the terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if grid.title:
        print(grid.title)
    made = Table(*grid.header)
    for row in grid.rows:
        made.add_row(*(Text(cell, overflow="fold") for cell in row))
    Console(highlight=False).print(made)
    for note in grid.notes:
        print(note)


def _intervals(found: Mapping[str, Any], metrics: Sequence[str]) -> Grid:
    rows = [(name.upper(), *(interval(found[name][key]) for key in FIGURES)) for name in metrics]
    return Grid(("", *FIGURES), rows, (how_drawn(found),))


def _decomposition(found: Mapping[str, Any]) -> Grid:
    names = tuple(found["valence"])
    rows = [(name, *(figure(part[key]) for key in names)) for name, part in found.items()]
    return Grid(("", *(name.upper() if name == "ccc" else name for name in names)), rows, DIRECTIONS)


def _parts(what: str, parts: Mapping[str, Any], metrics: Sequence[str]) -> Grid:
    rows: list[tuple[str, ...]] = []
    for name, part in parts.items():
        if part is None:
            rows.append((name, "0", *["-"] * (1 + len(FIGURES))))
            continue
        for row, metric in enumerate(metrics):
            first = (name, str(part["frames"])) if row == 0 else ("", "")
            rows.append((*first, metric.upper(), *_cells(part["concatenated"][metric])))
    return Grid((what, "frames", "", *FIGURES), rows)


def _lag(found: Mapping[str, Any]) -> Grid:
    rows = [(f"{one['seconds']:+.3g} s", *_cells(one)) for one in found["ccc"]]
    best = ", ".join(f"{key} {'-' if lag is None else f'{lag:+.3g} s'}" for key, lag in found["best"].items())
    return Grid(("lag", *(f"CCC {key}" for key in FIGURES)), rows, (f"best lag: {best}",))


def _per_clip(report: Mapping[str, Any], metrics: Sequence[str]) -> Grid:
    rows: list[tuple[str, ...]] = []
    for clip, figures in report["per_clip"].items():
        for row, name in enumerate(metrics):
            first = (clip, str(figures["frames"])) if row == 0 else ("", "")
            rows.append((*first, name.upper(), *_cells(figures[name])))
    notes = [
        f"{word}: " + ", ".join(f"{clip} {figure(report['per_clip'][clip][metrics[0]]['mean'])}" for clip in names)
        for word, names in (("worst", report["worst"]), ("best", report["best"]))
        if names
    ]
    return Grid(("clip", "frames", "", *FIGURES), rows, tuple(notes))


def _cells(figures: Mapping[str, float | None]) -> tuple[str, ...]:
    return tuple(figure(figures[key]) for key in FIGURES)


def figure(value: float | None) -> str:
    """A score with four decimals."""
    return "undefined" if value is None else f"{value:.4f}"


def signed(value: float | None) -> str:
    """A difference of scores, with its sign."""
    return "undefined" if value is None else f"{value:+.4f}"


def interval(found: Mapping[str, Any]) -> str:
    """Both ends of an interval."""
    return "-" if found["low"] is None else f"{found['low']:.4f} to {found['high']:.4f}"


def _markdown(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _latex(cells: Sequence[str]) -> str:
    return " & ".join(cell.translate(LATEX) for cell in cells) + r" \\"
