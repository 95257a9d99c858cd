"""What a table says of itself, read without its rows: the metadata key `affcli`, one JSON object.

It holds schema, version, recipe, inputs, facts and, where an array stands beside the table, that array's shape, dtype
and SHA-256.  Anybody can write a Parquet file, so nothing in it is taken on trust.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from affcli.errors import InputError, SchemaError
from affcli.recipes import Recipe
from affcli.schemas import SCHEMAS, Schema

METADATA_KEY = b"affcli"
_FIRST = {  # what makes tables of a kind
    "faces": ", or make them: affcli extract-faces",
    "audio": ", or make them: affcli extract-audio",
    "features": ", or make them: affcli embed",
    "affect": ", or make them: affcli import-labels, or predict",
}


@dataclass(frozen=True)
class Header:
    """What a table says of itself."""

    schema: Schema
    recipe: Recipe
    inputs: list[dict[str, str]]
    facts: dict[str, Any]
    array: dict[str, Any] | None  # shape, dtype, sha256
    version: int  # of the file; the schema is today's

    def to_json(self) -> dict[str, Any]:
        """The metadata as plain values, in the order people want to read it."""
        described = {"schema": self.schema.name, "version": self.version, "facts": self.facts}
        if self.array is not None:
            described["array"] = self.array
        return described | {"inputs": self.inputs, "recipe": self.recipe}


class _ForeignError(SchemaError):
    """A whole table, which another program or a newer affcli wrote."""


def read_header(path: Path) -> Header:
    """What the table at `path` says of itself.

    Raises InputError where it is missing or no Parquet, SchemaError where affcli did not write it, a newer affcli
    did, or what it says is damaged.
    """
    try:
        metadata = pq.read_metadata(path).metadata or {}
    except (OSError, pa.ArrowException) as error:
        raise unreadable(path) from error
    if METADATA_KEY not in metadata:
        raise _ForeignError(
            path,
            "is a Parquet file of another program",
            expected="a table written by affcli",
            advice="if it holds labels or predictions, write them as CSV with the columns clip,frame,valence,arousal",
        )
    try:
        content = json.loads(metadata[METADATA_KEY])
    except (ValueError, RecursionError) as error:
        raise _damaged(path, "no JSON") from error
    name, version = (content.get("schema"), content.get("version")) if isinstance(content, dict) else (None, None)
    if not isinstance(name, str) or type(version) is not int:
        raise _damaged(path, "no schema and version")
    schema = SCHEMAS.get(name)
    if schema is None or version > schema.version:
        raise _ForeignError(
            path,
            f"is table '{name}' version {version}",
            expected="a kind and version that this affcli knows",
            advice="upgrade affcli",
        )
    if missing := [key for key, whole in _parts(content, schema).items() if not whole]:
        raise _damaged(path, f"no {' and no '.join(missing)}")
    return Header(schema, content["recipe"], content["inputs"], content["facts"], content.get("array"), version)


def read_kind(path: Path, schema: Schema) -> Header:
    """What a table of one kind says of itself.

    Raises InputError and SchemaError as `read_header` does, and SchemaError where it is of another kind.
    """
    header = read_header(path)
    if header.schema != schema:
        raise SchemaError(
            path,
            f"is a table of {header.schema.name}",
            expected=f"a table of {schema.name}",
            advice="check the order of the arguments",
        )
    return header


def _parts(content: dict[str, Any], schema: Schema) -> dict[str, bool]:
    """The parts of a header of this affcli's version, and whether each is what it should be."""
    recipe, inputs, facts, array = (content.get(key) for key in ("recipe", "inputs", "facts", "array"))
    return {
        "recipe": isinstance(recipe, dict),
        "inputs": isinstance(inputs, list) and all(isinstance(one, dict) for one in inputs),
        "facts": isinstance(facts, dict),
        "account of its array": array is None if schema.array is None else _describes_array(array),
    }


def _describes_array(content: Any) -> bool:
    if not isinstance(content, dict):
        return False
    shape, kinds = content.get("shape"), (content.get("dtype"), content.get("sha256"))
    lengths = isinstance(shape, list) and len(shape) > 0 and all(type(one) is int for one in shape)
    return lengths and all(isinstance(one, str) for one in kinds)


def _damaged(path: Path, found: str) -> SchemaError:
    return SchemaError(
        path,
        f"its header is damaged ({found})",
        expected="a header as affcli writes it",
        advice="make it again from its source",
    )


def unreadable(path: Path) -> InputError:
    """What to say of a file that Parquet's reader refuses."""
    try:
        if path.is_dir():
            return InputError(path, "is a directory", expected="a Parquet file", advice="name a file in it")
        path.open("rb").close()
    except FileNotFoundError:
        return InputError(path, "does not exist", advice="check the path")
    except OSError as error:
        return InputError(path, f"cannot be read ({error.strerror})", advice="mend its permissions")
    advice = "make it again from its source"
    if path.suffix != ".parquet":
        advice = "make a table of it first (a video: affcli extract-faces or extract-audio; labels: import-labels)"
    return InputError(path, "cannot be read as Parquet", expected="a whole Parquet file", advice=advice)


def find(path: Path, schema: Schema) -> list[tuple[Path, Header | None]]:
    """The tables of one kind: `path` itself, or those in the directory `path`, by name.

    A file of the directory that cannot be read comes without a header, so that one broken file does not stop a run:
    `tables.read` says what is wrong with it.  Hidden files, foreign, newer and other tables of a directory are passed
    over.  Raises InputError where there is none, and for a lone file as `read_kind` does.
    """
    if not path.is_dir():
        return [(path, read_kind(path, schema))]
    found: list[tuple[Path, Header | None]] = []
    for file in sorted(path.glob("[!.]*.parquet")):
        if file.is_dir():
            continue
        try:
            header = read_header(file)
        except _ForeignError:
            continue
        except (InputError, SchemaError):
            # Only its name tells what it was: a broken table of another kind is another step's concern.
            named = file.stem.rpartition(".")[2]
            if named == schema.name or named not in SCHEMAS:
                found.append((file, None))
        else:
            if header.schema == schema:
                found.append((file, header))
    if not found:
        raise InputError(
            path,
            f"holds no table of {schema.name}",
            expected=f"files that end in .parquet and hold {schema.doc[0].lower()}{schema.doc[1:-1]}",
            advice=f"check the directory{_FIRST.get(schema.name, '')}",
        )
    return found
