"""affcli embed"""

from __future__ import annotations

import functools
import glob
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from affcli.cli import settings
from affcli.cli.extraction import Tally, work_through
from affcli.cli.options import DEVICE, FORCE, OUT
from affcli.cli.runs import Run
from affcli.cli.workers import Report, machine
from affcli.errors import AssetError, InputError, SchemaError, UsageError
from affcli.features import ENCODERS, Setup
from affcli.features.choice import Choice, find
from affcli.features.packages import absent, remedy, version

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from affcli.tables import Table

log = logging.getLogger(__name__)


@settings.with_settings
def embed(
    source: Path = typer.Argument(..., metavar="IN", help="Directory of faces or audio tables, or one table."),
    out: Path = OUT,
    encoder: str = typer.Option(
        ...,
        "--encoder",
        metavar="NAME[:ARGUMENT]",
        help="Encoder: a name that `affcli encoders` lists, with the file, directory or network that it wants.",
        autocompletion=lambda: [*ENCODERS, *ENCODERS.added],
    ),
    name: str = typer.Option(
        "",
        "--name",
        help="What the features are called, OUT/<clip>.NAME.parquet; if not given, as the encoder: onnx-emo for "
        "onnx:nets/emo.onnx.",
    ),
    flip: bool = typer.Option(
        False,
        "--flip",
        help="Mirror the crops, left to right, before the encoder reads them: for features of flipped video. They "
        "belong in an OUT of their own: windows would take them for features beside the others.",
    ),
    device: str = DEVICE,
    half: bool = typer.Option(False, "--half", help="Half precision, where the encoder says that this is safe."),
    batch: int = typer.Option(
        0, "--batch", min=0, help="Crops at a time; 0 for 4 on a CPU, elsewhere as many as fit, 256 at most."
    ),
    workers: int = typer.Option(
        0, "--workers", min=0, max=256, help="Clips that are worked on at a time; 0 for the cores of a CPU, else 1."
    ),
    threads: int = typer.Option(
        0, "--threads", min=0, max=256, help="Threads for each clip; 0 for the cores that are left, 1 for whole clips."
    ),
    online: bool = typer.Option(False, "--online", help="Let the encoder's library fetch weights that are not here."),
    pairs: list[str] = typer.Option(
        [], "--set", metavar="NAME=VALUE", help="A setting of the encoder, one of another package too; repeatable."
    ),
    force: bool = FORCE,
    **given: Any,
) -> None:
    """Turn faces or audio into one vector per frame.

    Writes OUT/<clip>.<encoder>.parquet and OUT/<clip>.<encoder>.npy, (frames, width) float32. A frame without the face,
    or without sound, has valid = false and a vector of zeros. `affcli encoders` lists the encoders, `affcli encoders
    NAME` the settings of one.
    """
    from affcli import schemas, tables

    choice = find(encoder)
    if half and not choice.entry.half:
        raise UsageError(
            "--half", f"is not safe for {choice.name}", expected="full precision", advice="leave the option out"
        )
    if flip and choice.entry.reads in ("audio", "landmarks"):
        raise UsageError(
            "--flip",
            f"is nothing to {choice.name}, which reads {choice.entry.reads} and no pictures",
            expected="an encoder of crops or film",
            advice="leave the option out",
        )
    config = settings.parse(choice.name, given, pairs)
    computed_on = _device(device, choice)
    on_cpu = computed_on == "cpu"
    called = _called(name, choice)
    pooled = choice.entry.reads == "crops" and on_cpu
    setup = Setup(choice.argument, computed_on, half, 1 if pooled else threads or 1, online)
    _opened(choice, config, setup)  # weights that are missing are no clip's fault
    schema = schemas.AUDIO if choice.entry.reads == "audio" else schemas.FACES
    jobs = [Job(path, header) for path, header in tables.find(source, schema)]
    count = min(workers or (machine() if on_cpu else 1), len(jobs))
    shared = (threads or max(1, machine() // max(1, count))) if pooled else 1
    order = Order(out, called, choice, config, setup, flip, batch, shared, force)
    if not force:
        _check_place(order)
    run = Run(len(jobs))
    frames = functools.partial(_rows, jobs)
    work_through(f"embed {called}", jobs, functools.partial(_work, order), count, run, frames)


@dataclass(frozen=True)
class Job:
    """One table to be read."""

    path: Path
    header: Any  # None where it cannot be read: reading it says why

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class Order:
    """What is wanted of every table."""

    out: Path
    called: str
    choice: Choice
    config: Any
    setup: Setup
    flip: bool  # mirror the crops first
    batch: int
    threads: int  # that share the crops of one clip
    force: bool


def _called(name: str, choice: Choice) -> str:
    """The name of the feature set.  Raises UsageError where files of another kind have that name."""
    from affcli.clips import file_name
    from affcli.schemas import SCHEMAS

    called = name or choice.set_name
    if called in SCHEMAS or (called in ENCODERS and called != choice.name):
        whose = "the encoder of that name gives" if called in ENCODERS else f"tables of {called} have"
        raise UsageError(f"--name {called}", f"is the name that {whose}", expected="another name", advice="choose one")
    try:
        return file_name(called)
    except InputError as error:
        raise UsageError(f"--name {called}", error.found, expected=error.expected, advice="choose another") from error


def _device(name: str, choice: Choice) -> str:
    """Where an encoder computes.  Raises UsageError where that is not to be had."""
    if choice.entry.engine == "torch":
        from affcli.models.device import pick

        return str(pick(name))
    if choice.entry.engine == "onnx":
        from affcli.faces.runtime import pick_device

        return pick_device(name)
    if name not in ("auto", "cpu"):
        raise UsageError(f"--device {name}", f"is nothing to {choice.name}", expected="cpu", advice="leave it out")
    return "cpu"


@functools.cache
def _opened(choice: Choice, config: Any, setup: Setup) -> Any:
    """The encoder; one in each process.

    Raises AssetError where a package that it needs is missing, or another package's encoder is not where it should be.
    """
    if missing := absent(choice.entry):
        raise AssetError(
            f"the package {missing[0]}",
            "is not installed",
            expected=f"what {choice.name} is computed with",
            advice=f"run: {remedy(choice.entry, missing)}",
        )
    try:
        made = choice.entry.resolve()
    except (ImportError, AttributeError, ValueError) as error:
        if not (package := ENCODERS.origin(choice.name)):
            raise
        raise AssetError(
            f"encoder '{choice.name}' of {package}",
            f"cannot be loaded ({type(error).__name__}: {error})",
            expected=f"{choice.entry.load} to be there",
            advice="reinstall that package, or tell whoever wrote it",
        ) from error
    encoder = made(config, setup)
    if not isinstance(getattr(encoder, "weights", None), dict):
        raise AssetError(
            f"encoder '{choice.name}' of {ENCODERS.origin(choice.name) or 'affcli'}",
            "has no attribute 'weights'",
            expected="a mapping of the names of its files of weights to their SHA-256, {} for none",
            advice="tell whoever wrote it",
        )
    return encoder


def _check_place(order: Order) -> None:
    """Raise SchemaError where features of flipped crops would take the place of others, or others theirs."""
    from affcli.headers import read_kind
    from affcli.schemas import FEATURES

    flip = _settings(order, _opened(order.choice, order.config, order.setup)).get("flip")
    for path in sorted(order.out.glob(f"[!.]*.{glob.escape(order.called)}.parquet")):
        try:
            header = read_kind(path, FEATURES)
        except (InputError, SchemaError):
            continue  # damaged or foreign: no features that could be lost
        made = header.recipe.get("config")
        if header.facts.get("encoder") == order.called and isinstance(made, dict) and made.get("flip") != flip:
            kinds = ("flipped crops", "crops as they are")
            raise SchemaError(
                path,
                f"holds features of {kinds[order.flip]}",
                expected=f"those of {kinds[not order.flip]}, or no features of that name",
                advice="choose another OUT or another --name, or replace them with --force",
            )


def _settings(order: Order, encoder: Any) -> dict[str, Any]:
    """What the recipe says of the encoder and of what it is given."""
    from affcli import recipes

    # A file beside the weights may have settings too: those that were used are the encoder's own.
    made = {"encoder": order.choice.recipe_name, **recipes.plain(getattr(encoder, "config", order.config))}
    if order.flip:
        made["flip"] = True
    if order.setup.half:
        made["half"] = True
    if package := ENCODERS.origin(order.choice.name):
        made["package"] = package
    if order.choice.entry.packages:  # what they compute changes with their version
        made["packages"] = {name: version(name) for name in order.choice.entry.packages}
    return made


def _work(order: Order, _shared: bool, job: Job, report: Report) -> Tally:
    """Make the features of one table, unless they stand there already."""
    from affcli import recipes, schemas, tables
    from affcli.clips import table_path

    entry, encoder = order.choice.entry, _opened(order.choice, order.config, order.setup)
    table = tables.read(job.path, schemas.AUDIO if entry.reads == "audio" else schemas.FACES)
    made = _settings(order, encoder)
    recipe = recipes.recipe("embed", made, weights=encoder.weights, parents=[table.header.recipe])
    target = table_path(order.out, table.clip, order.called)
    inputs = [recipes.source(job.path)]
    if not order.force and tables.keep(target, schemas.FEATURES, recipe, inputs):
        return Tally(0, 1)
    tables.verify_array(job.path, table.header)
    if not table.column("valid").any():
        what = "sound" if entry.reads == "audio" else "face"
        log.warning("%s: no %s in any frame: every vector is zeros", job.path, what)
    with tables.Writer(target, schemas.FEATURES, recipe=recipe, inputs=inputs) as writer:
        for vectors in _named(order, job, _vectors(order, encoder, table)):
            writer.append(vectors)
            width = vectors.shape[1]
            report(len(vectors))
        columns = {name: table.column(name) for name in ("clip", "frame", "time_us", "valid")}
        writer.finish(columns, {"encoder": order.called, "modality": entry.modality, "width": width})
    return Tally(1, 0)


def _named(order: Order, job: Job, batches: Iterator[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
    """The batches; what an encoder says of what it was given names the file that it came from."""
    try:
        yield from batches
    except SchemaError as error:
        if Path(error.subject).exists():
            raise
        whose = ENCODERS.origin(order.choice.name)
        encoder = f"the encoder {order.choice.name}{f' of {whose}' if whose else ''}"
        subject = f"{job.path}: {error.subject.replace('the encoder', encoder)}"
        raise SchemaError(subject, error.found, expected=error.expected, advice=error.advice) from error


def _vectors(order: Order, encoder: Any, table: Table) -> Iterator[NDArray[np.float32]]:
    from affcli.cli.views import view_of
    from affcli.features.encode import default_batch, encode_clip, encode_crops

    view = view_of(table, order.choice.entry.reads, order.flip)
    if order.choice.entry.reads != "crops":
        return encode_clip(encoder, view)
    return encode_crops(encoder, view, order.batch or default_batch(order.setup.device), order.threads)


def _rows(jobs: list[Job]) -> int:
    """Frames of all tables."""
    import pyarrow.parquet as pq

    return sum(pq.read_metadata(job.path).num_rows for job in jobs if job.header)
