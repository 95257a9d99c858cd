"""How far annotators agree, as a table for people."""

from __future__ import annotations

from typing import Any


def print_agreement(report: dict[str, Any]) -> None:
    """Print the report of `affcli gold`."""
    from rich.console import Console
    from rich.table import Table

    console, names = Console(highlight=False), [*report["annotators"]]
    for dimension, found in report["agreement"].items():
        weighted = any("weight" in one for one in report["annotators"].values())
        delayed = any(one["delay"] for one in report["annotators"].values())
        table = Table(f"CCC, {dimension}", *names, "mean", *["delay (s)"] * delayed, *["weight"] * weighted)
        for k, (name, one) in enumerate(report["annotators"].items()):
            row = [_figure(value) if i != k else "" for i, value in enumerate(found["ccc"][k])]
            more = [f"{one['delay']:g}"] * delayed
            more += [_figure(one["weight"][dimension])] if weighted else []
            table.add_row(name, *row, _figure(one["ccc"][dimension]), *more)
        console.print(table)
        before = report["mean_ccc_before_delay"][dimension]
        told = f" ({_figure(before)} before delays were taken off)" if delayed else ""
        print(
            f"mean CCC: {_figure(found['mean_ccc'])}{told}, Cronbach's alpha: {_figure(found['cronbach_alpha'])}",
            end="",
        )
        print(f" over {found['frames_of_all']} frames that all rated")
    print(f"clips: {report['clips']}, frames: {report['frames']}, annotated: {report['annotated']}")


def _figure(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
