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
    if form == "table" and not systems:
        _print_recipe(result["predictions_recipe"])


def _print_recipe(recipe: Any) -> None:
    from affcli import recipes

    made = recipe if isinstance(recipe, list) else [recipe] * (recipe is not None)
    for number, one in enumerate(made):
        lines = recipes.outline(one) if number == 0 else [recipes.apart(one, made[0])]
        print("predictions made by" if number == 0 else "others by")
        print("\n".join(f"  {line}" for line in lines))
