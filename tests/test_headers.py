"""Headers of tables: what is refused in them, and what a directory of tables yields."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from affcli import arrays, headers, tables
from affcli.errors import InputError, SchemaError
from affcli.schemas import AFFECT, AUDIO, FACES, FEATURES, WINDOWS

Write = Callable[..., Path]


@pytest.fixture
def features(tmp_path: Path, write_features: Write) -> Path:
    return write_features(tmp_path, "a", np.arange(12).reshape(4, 3))


def stamp(path: Path, content: bytes) -> None:
    """Put other bytes in place of a table's header."""
    pq.write_table(pq.read_table(path).replace_schema_metadata({headers.METADATA_KEY: content}), path)


def restamp(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a table's header in place."""
    content = json.loads(pq.read_metadata(path).metadata[headers.METADATA_KEY])
    change(content)
    stamp(path, json.dumps(content).encode())


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b"{}", b"null", b"[" * 100_000, b'{"schema": "faces"}'])
def test_a_header_that_is_none_is_refused(features: Path, content: bytes) -> None:
    stamp(features, content)
    with pytest.raises(SchemaError, match=r"a\.hog\.parquet: its header is damaged"):
        headers.read_header(features)


@pytest.mark.parametrize(
    ("change", "lacks"),
    [
        (lambda c: c.update(version="1"), "schema and version"),
        (lambda c: c.update(version=True), "schema and version"),
        (lambda c: c.update(schema=["features"]), "schema and version"),
        (lambda c: c.pop("recipe"), "recipe"),
        (lambda c: c.update(recipe=[]), "recipe"),
        (lambda c: c.update(inputs=[1]), "inputs"),
        (lambda c: c.pop("facts"), "facts"),
        (lambda c: c.update(inputs=None, facts=3), "inputs and no facts"),
        (lambda c: c.pop("array"), "account of its array"),
        (lambda c: c["array"].pop("shape"), "account of its array"),
        (lambda c: c["array"].update(shape=[]), "account of its array"),
        (lambda c: c["array"].update(shape=["4", "3"]), "account of its array"),
        (lambda c: c["array"].pop("dtype"), "account of its array"),
        (lambda c: c["array"].pop("sha256"), "account of its array"),
    ],
)
def test_a_header_that_lacks_a_part_is_refused(
    features: Path, change: Callable[[dict[str, Any]], object], lacks: str
) -> None:
    restamp(features, change)
    with pytest.raises(SchemaError, match=rf"its header is damaged \(no {lacks}\), expected .*; make it again"):
        headers.read_header(features)


def test_a_newer_header_may_say_other_things(features: Path) -> None:
    restamp(features, lambda content: (content.clear(), content.update(schema="features", version=99)))
    with pytest.raises(SchemaError, match=r"version 99.*upgrade affcli"):
        headers.read_header(features)


def test_a_table_must_state_the_facts_of_its_kind(features: Path, write_labels: Write) -> None:
    restamp(features, lambda content: content["facts"].pop("width"))
    with pytest.raises(SchemaError, match=r"a\.hog\.parquet: does not say its width, expected the facts of a features"):
        tables.read(features, FEATURES)
    labels = write_labels(features.parent, "a", np.zeros((4, 2)))
    assert tables.read(labels, AFFECT).header.facts == {}  # predictions have no facts of labels
    assert [schema.name for schema in (FACES, AUDIO, FEATURES, AFFECT, WINDOWS) if not schema.required_facts] == [
        "affect"
    ]


def test_find_yields_what_cannot_be_read_without_a_header(features: Path, write_features: Write) -> None:
    folder = features.parent
    for clip in ("b", "c"):
        write_features(folder, clip, np.zeros((2, 3)))
    (folder / "b.hog.parquet").write_bytes(b"PAR1")
    stamp(folder / "c.hog.parquet", b"[]")
    found = headers.find(folder, FEATURES)
    assert [(path.name, header is None) for path, header in found] == [
        ("a.hog.parquet", False),
        ("b.hog.parquet", True),
        ("c.hog.parquet", True),
    ]
    for path, header in found:
        if header is None:
            with pytest.raises((InputError, SchemaError), match=r"[bc]\.hog\.parquet: "):
                tables.read(path, FEATURES)


def test_find_passes_over_hidden_files_directories_and_broken_tables_of_another_kind(features: Path) -> None:
    folder = features.parent
    (folder / ".b.hog.parquet").write_bytes(b"PAR1")
    (folder / "._a.hog.parquet").write_bytes(b"PAR1")
    (folder / "a.audio.parquet").write_bytes(b"PAR1")
    (folder / "spark.parquet").mkdir()
    assert [path for path, _ in headers.find(folder, FEATURES)] == [features]
    assert [path.name for path, _ in headers.find(folder, AUDIO)] == ["a.audio.parquet"]


def test_find_refuses_a_lone_table_of_another_kind(features: Path) -> None:
    with pytest.raises(SchemaError, match="is a table of features, expected a table of audio"):
        headers.find(features, AUDIO)


def test_an_array_with_other_numbers_is_found_by_its_digest(features: Path) -> None:
    tables.verify_array(features, tables.read_header(features))
    file = arrays.array_path(features)
    np.save(file, np.arange(12, dtype=np.float32).reshape(4, 3) + 1)
    tables.read(features, FEATURES).array()  # of the right shape
    with pytest.raises(SchemaError, match=r"a\.hog\.npy: is not the array that a\.hog\.parquet was written with"):
        tables.verify_array(features, tables.read_header(features))
