"""What several networks come to together: a line for each, means with their intervals, out-of-fold predictions."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from affcli import configs
from affcli.cli.record import SCORES, TOLD
from affcli.cli.settings import toml

if TYPE_CHECKING:
    from affcli.cli.one_run import Job
    from affcli.cli.plan import Group, Planned
    from affcli.cli.windowed import Index

RUNS, SUMMARY, OUT_OF_FOLD = "runs.csv", "summary.json", "oof"


def write_runs(out: Path, planned: list[Planned], groups: Sequence[Group], failed: Mapping[str, str]) -> None:
    """Write RUN/runs.csv: a line for each network that has ended, in the order in which they were planned."""
    from affcli.files import replacing

    varied = list(groups[0].varied)
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    every = {name for group in groups for done in group.ended.values() for name in done.description.validation}
    told_of = [*SCORES, *(name for name in TOLD if name in every)]
    table.writerow(["run", *varied, "fold", "seed", "epoch", "epochs", *told_of, "failed"])
    for one in planned:
        done = groups[one.point].ended.get(one)
        if done is None and one.name not in failed:
            continue
        settings = [groups[one.point].varied[name] for name in varied]
        told = [_shown(value) for value in settings]
        known: Mapping[str, float] = done.description.validation if done else {}
        scores = [known.get(name, "") for name in told_of]
        epochs = [done.description.epoch, done.epochs] if done else ["", ""]
        table.writerow([one.name, *told, one.fold or "", one.seed, *epochs, *scores, failed.get(one.name, "")])
    with replacing(out / RUNS) as file:
        file.write(text.getvalue().encode())


def summarise_all(job: Job, index: Index, groups: list[Group], folds: list[list[str]]) -> None:
    """Write and print the mean scores of each point, and its out-of-fold predictions where there are folds."""
    from affcli.files import replacing
    from affcli.training.summary import LEVEL, summarise

    told = []
    for group in groups:
        if not group.ended:
            continue
        entry: dict[str, Any] = {"directory": group.out.relative_to(job.out).as_posix(), "settings": dict(group.varied)}
        entry |= {"runs": len(group.ended)}
        entry |= {name: dataclasses.asdict(summarise(_independent(group, name))) for name in SCORES}
        if folds and len(group.ended) == len(folds) * group.choice.runs.seeds:
            entry["out_of_fold"] = _out_of_fold(job, index, group, folds)
        told.append(entry)
    with replacing(job.out / SUMMARY) as file:
        file.write((json.dumps({"level": LEVEL, "points": told}, allow_nan=False, indent=1) + "\n").encode())
    if told:
        _print(told)


def _independent(group: Group, name: str) -> list[float]:
    """The scores of a point that an interval is made of: of each fold the mean over its seeds, or of each seed.

    Networks of one fold differ less than folds do: counted one by one they would make the interval too narrow.
    """
    by_fold: dict[int, list[float]] = {}
    for one, done in group.ended.items():
        by_fold.setdefault(one.fold, []).append(done.description.validation[name])
    return by_fold[0] if 0 in by_fold else [sum(scores) / len(scores) for scores in by_fold.values()]


def _out_of_fold(job: Job, index: Index, group: Group, folds: list[list[str]]) -> dict[str, float]:
    """Write what the networks that have not seen a clip say of it, on average over seeds; the CCC of all clips."""
    from affcli import tables
    from affcli.cli.ensemble import BATCH, BATCH_SEEN, Ensemble, recipe_of, runs_of
    from affcli.cli.to_predict import work_of
    from affcli.clips import table_path
    from affcli.metrics import Moments
    from affcli.models.device import pick
    from affcli.schemas import AFFECT

    totals, frames, config = [Moments(), Moments()], 0, configs.Prediction()
    for number, clips in enumerate(folds, start=1):
        fitted = [one.job for one in group.ended if one.fold == number]
        runs = runs_of([one.out for one in fitted], config)
        work = work_of([job.windows], runs, crops=fitted[0].crops)
        recipe = recipe_of(runs, work, config)
        most = BATCH_SEEN if fitted[0].crops else BATCH
        network = Ensemble(runs, config, min(group.choice.training.batch, most), pick(job.device))
        for clip in work.clips:
            if clip.name not in clips:
                continue
            files, truth = clip.files(), index.labels(clip.name)
            affect = network.predict(clip, files)
            path = table_path(group.out / OUT_OF_FOLD, clip.name, "affect")
            tables.write(path, AFFECT, affect.columns(), recipe=recipe, inputs=files.sources(), facts={})
            valid = truth.valid
            frames += int(valid.sum())
            totals[0] += Moments.from_arrays(truth.valence[valid], affect.valence[valid])
            totals[1] += Moments.from_arrays(truth.arousal[valid], affect.arousal[valid])
    valence, arousal = (total.ccc() for total in totals)
    return {"valence": valence, "arousal": arousal, "mean": (valence + arousal) / 2, "frames": frames}


def _print(told: list[dict[str, Any]]) -> None:
    """A table of the points, the best first: means over folds or seeds, and half of the 95 % interval of the last."""
    from rich.console import Console
    from rich.table import Column, Table

    searched, folds = bool(told[0]["settings"]), any("out_of_fold" in entry for entry in told)
    columns = [Column("in"), Column("settings", overflow="fold")] if searched else []
    several = told[0]["mean"]["n"] > 1
    figures = ["runs", *SCORES[:-1], "mean (95 %)" if several else "mean", *["out of fold"] * folds]
    table = Table(*columns, *(Column(name, no_wrap=True) for name in figures))
    for entry in sorted(told, key=lambda entry: -entry["mean"]["mean"]):
        settings = ", ".join(f"{name.rpartition('.')[2]} {_shown(value)}" for name, value in entry["settings"].items())
        scores = [f"{entry[name]['mean']:.3f}" for name in SCORES]
        if (low := entry["mean"]["low"]) is not None:
            scores[-1] += f" \u00b1 {entry['mean']['mean'] - low:.3f}"
        scores += [f"{entry['out_of_fold']['mean']:.3f}" if "out_of_fold" in entry else ""] * folds
        table.add_row(*[entry["directory"], settings] * searched, str(entry["runs"]), *scores)
    Console(highlight=False).print(table)


def _shown(value: object) -> str:
    return value if isinstance(value, str) else toml(value)
