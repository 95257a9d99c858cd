"""How `affcli score` prints what it found, in each of its forms."""

from __future__ import annotations

import dataclasses
import json
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from affcli.cli.score_report import Asked


def write(result: dict[str, Any], asked: Asked, form: str) -> None:
    """Print the scores as `json`, `table`, `latex` or `markdown`."""
    if form == "json":
        print(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False))
        return
    from affcli.cli import score_tables, score_task_tables

    systems = result.get("systems")
    made: ModuleType = score_tables
    names = asked.metrics
    if asked.task != "va":
        made, names = score_task_tables, score_task_tables.heads_of((systems or [result])[0])
    grids = []
    if systems:
        grids = [made.comparison(systems, names), made.differences(result["differences"], names)]
    for one in systems or [result]:
        # What the comparison says already is not said again.
        each = made.grids(one, names)[1 if systems else 0 :]
        grids += [dataclasses.replace(grid, title=one["predictions"]) for grid in each] if systems else each
    for grid in grids:
        if form == "table":
            score_tables.show(grid)
        else:
            print(score_tables.text(grid, form))
    for one in systems or [result]:
        _print_recipe(one["predictions_recipe"], one["predictions"] if systems else "predictions", form)


def _print_recipe(recipe: Any, name: str, form: str) -> None:
    """Print how predictions were made: in LaTeX as comments, in Markdown a line for each way."""
    from affcli import recipes

    made = recipe if isinstance(recipe, list) else [recipe] * (recipe is not None)
    for number, one in enumerate(made):
        head = f"{name} made by" if number == 0 else "others by"
        steps = recipes.outline(one) if number == 0 else [recipes.apart(one, made[0])]
        if form == "markdown":
            print(f"{head} {'; '.join(line.strip() for line in steps)}\n")
            continue
        lines = "\n".join([head, *(f"  {line}" for line in steps)]).splitlines()
        print("\n".join(f"% {line}" if form == "latex" else line for line in lines))
