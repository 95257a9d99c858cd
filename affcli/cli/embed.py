"""affcli embed"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from affcli.cli.options import FORCE, OUT
from affcli.cli.progress import progress
from affcli.cli.runs import Run
from affcli.features import ENCODERS, EncoderEntry, Setup

if TYPE_CHECKING:
    from affcli.tables import Table, Writer

log = logging.getLogger(__name__)


def embed(
    source: Path = typer.Argument(..., metavar="IN", help="Directory of faces or audio tables, or one table."),
    out: Path = OUT,
    encoder: str = typer.Option(
        ..., "--encoder", help=f"Encoder: {', '.join(ENCODERS)}.", autocompletion=lambda: list(ENCODERS)
    ),
    force: bool = FORCE,
) -> None:
    """Turn faces or audio into one vector per frame.

    Writes OUT/<clip>.<encoder>.parquet and OUT/<clip>.<encoder>.npy, (frames, width) float32. A frame without the face,
    or without sound, has valid = false and a vector of zeros.
    """
    entry = ENCODERS[encoder]
    from affcli import recipes, schemas, tables
    from affcli.clips import table_path

    schema = schemas.AUDIO if entry.reads == "audio" else schemas.FACES
    config = entry.config()
    encode: Any = entry.resolve()(config, Setup())
    found = tables.find(source, schema)
    run = Run(len(found))
    for path, _ in progress(found, f"embed {encoder}", "clip", len(found)):
        with run.clip():
            table = tables.read(path, schema)
            recipe = recipes.recipe(
                "embed",
                {"encoder": encoder, **recipes.plain(config)},
                weights=encode.weights,
                parents=[table.header.recipe],
            )
            target = table_path(out, table.clip, encoder)
            inputs = [recipes.source(path)]
            if not force and tables.keep(target, schemas.FEATURES, recipe, inputs):
                run.keep()
                continue
            tables.verify_array(path, table.header)
            if not table.column("valid").any():
                log.warning("%s: no %s in any frame: every vector is zeros", path, entry.modality)
            with tables.Writer(target, schemas.FEATURES, recipe=recipe, inputs=inputs) as writer:
                _embed(table, encoder, entry, encode, writer)
    run.close()


def _embed(table: Table, encoder: str, entry: EncoderEntry, encode: Any, writer: Writer) -> None:
    from affcli.cli.views import view_of
    from affcli.features.encode import default_batch, encode_clip, encode_crops

    view = view_of(table, entry.reads)
    batches = encode_crops(encode, view, default_batch("cpu")) if entry.reads == "crops" else encode_clip(encode, view)
    for batch in batches:
        writer.append(batch)
        width = batch.shape[1]
    columns = {name: table.column(name) for name in ("clip", "frame", "time_us", "valid")}
    writer.finish(columns, {"encoder": encoder, "modality": entry.modality, "width": width})
