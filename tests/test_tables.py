"""Tables and arrays: whole or absent, checked, stamped, equal bytes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from affcli import arrays, recipes, tables
from affcli.clips import clip_runs, table_path
from affcli.errors import InputError, OutputError, SchemaError
from affcli.schemas import AFFECT, AUDIO, FEATURES, SCHEMAS

RECIPE = recipes.recipe("embed", {"encoder": "toy"})
INPUTS = [{"name": "a.faces.parquet", "sha256": "0" * 64}]


def columns(n: int, clip: str = "a") -> dict[str, Any]:
    return {
        "clip": np.full(n, clip, dtype=object),
        "frame": np.arange(n),
        "time_us": np.arange(n) * 40_000,
        "valid": np.ones(n, bool),
    }


def write_features(path: Path, n: int = 4, d: int = 3, **overrides: Any) -> None:
    tables.write(
        path,
        FEATURES,
        columns(n) | overrides,
        recipe=RECIPE,
        inputs=INPUTS,
        facts={"encoder": "toy", "modality": "face", "width": d},
        array=np.arange(n * d, dtype=np.float32).reshape(n, d),
    )


@pytest.fixture
def features(tmp_path: Path) -> Path:
    path = tmp_path / "a.toy.parquet"
    write_features(path)
    return path


def test_a_table_comes_back_as_it_was_written(features: Path) -> None:
    table = tables.read(features, FEATURES)
    assert table.clip == "a"
    assert table.column("time_us").tolist() == [0, 40_000, 80_000, 120_000]
    assert table.header.recipe == RECIPE
    assert table.header.inputs == INPUTS
    assert table.array().tolist() == np.arange(12).reshape(4, 3).tolist()
    assert not table.array().flags.writeable


def test_units_and_meanings_are_inside_the_file(features: Path) -> None:
    field = pq.read_schema(features).field("time_us")
    assert field.metadata[b"unit"] == b"us"
    assert b"presentation time" in field.metadata[b"doc"]


def test_equal_inputs_give_equal_bytes(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        write_features(tmp_path / folder / "a.toy.parquet")
    for name in ("a.toy.parquet", "a.toy.npy"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_the_recorded_digest_is_the_array_files(features: Path) -> None:
    described = tables.read_header(features).array
    assert described is not None
    assert described["sha256"] == recipes.digest(arrays.array_path(features))


def affect(n: int, **others: Any) -> dict[str, Any]:
    """The columns of an affect table that it cannot lack, and others."""
    nothing = {name: np.full(n, np.nan) for name in ("valence", "arousal", "valence_std", "arousal_std")}
    return columns(n) | nothing | others


def test_an_optional_column_that_is_not_there_is_not_written_and_reads_as_null(tmp_path: Path) -> None:
    path = tmp_path / "a.affect.parquet"
    tables.write(path, AFFECT, affect(3), recipe=RECIPE, inputs=[], facts={})
    assert pq.read_schema(path).names == [column.name for column in AFFECT.columns if not column.optional]
    table = tables.read(path, AFFECT)
    assert np.isnan(table.column("expression")).tolist() == [True] * 3
    with pytest.raises(KeyError, match="no_column"):
        table.column("no_column")


def test_an_optional_column_that_is_there_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "a.affect.parquet"
    classes = {"au26": np.array([1, 0, 1], np.int8), "expression": np.array([7, np.nan, 0])}
    tables.write(path, AFFECT, affect(3, **classes), recipe=RECIPE, inputs=[], facts={})
    field = pq.read_schema(path).field("expression")
    assert (field.type, field.nullable) == (pa.int8(), True)
    assert field.metadata[b"doc"].startswith(b"0 Neutral, 1 Anger")
    table = tables.read(path, AFFECT)
    assert table.data.column_names[-2:] == ["expression", "au26"]  # as the schema orders them
    assert table.data.column("expression").to_pylist() == [7, None, 0]
    assert table.column("au26").tolist() == [1, 0, 1]
    assert np.isnan(table.column("au1")).all()


def test_optional_columns_may_be_null_and_stand_last() -> None:
    for schema in SCHEMAS.values():
        optional = [column.optional for column in schema.columns]
        assert optional == sorted(optional), schema.name
        assert all(column.null for column in schema.columns if column.optional), schema.name


@pytest.mark.parametrize(
    ("name", "kind"), [("expression", pa.int64()), ("au3", pa.int8())], ids=["another type", "unknown"]
)
def test_a_column_that_is_not_quite_an_optional_one_is_refused(tmp_path: Path, name: str, kind: pa.DataType) -> None:
    path = tmp_path / "a.affect.parquet"
    tables.write(path, AFFECT, affect(2), recipe=RECIPE, inputs=[], facts={})
    table = pq.read_table(path)
    pq.write_table(table.append_column(name, pa.array([1, 0], kind)), path)
    with pytest.raises(SchemaError, match=f"columns .*{name} {kind}, expected"):
        tables.read(path, AFFECT)


def test_only_optional_columns_may_be_missing(tmp_path: Path) -> None:
    path = tmp_path / "a.affect.parquet"
    tables.write(path, AFFECT, affect(2), recipe=RECIPE, inputs=[], facts={})
    pq.write_table(pq.read_table(path).drop_columns(["arousal_std"]), path)
    with pytest.raises(SchemaError, match=r"columns clip string.*valence_std double, expected"):
        tables.read(path, AFFECT)


def test_nan_becomes_null_and_comes_back_as_nan(tmp_path: Path) -> None:
    path = tmp_path / "a.affect.parquet"
    values = columns(2) | {"valence": np.array([0.5, np.nan]), "arousal": np.array([-0.5, np.nan])}
    values |= {"valence_std": np.full(2, np.nan), "arousal_std": np.full(2, np.nan)}
    values["time_us"] = np.array([None, None], dtype=object)
    tables.write(path, AFFECT, values, recipe=RECIPE, inputs=[], facts={})
    assert pq.read_table(path)["valence"].to_pylist() == [0.5, None]
    assert np.isnan(tables.read(path, AFFECT).column("valence")[1])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"frame": np.array([0, 1, 3, 4])}, "frames of clip a are not 0, 1, 2"),
        ({"time_us": np.array([0, 40, 40, 80])}, "times of clip a do not increase"),
        ({"valid": np.array([True, None, True, True], dtype=object)}, "column valid has nulls"),
    ],
)
def test_rules_are_checked_and_nothing_is_left(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        write_features(tmp_path / "a.toy.parquet", **changed)
    assert list(tmp_path.iterdir()) == []


def test_rows_and_items_must_agree(tmp_path: Path) -> None:
    with (
        pytest.raises(SchemaError, match="4 rows beside an array of 3 items"),
        tables.Writer(tmp_path / "a.toy.parquet", FEATURES, recipe=RECIPE, inputs=[]) as writer,
    ):
        writer.append(np.zeros((3, 2), np.float32))
        writer.finish(columns(4), {})
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_writer_leaves_the_old_table(features: Path) -> None:
    before = {path.name: path.read_bytes() for path in features.parent.iterdir()}
    with (
        pytest.raises(KeyboardInterrupt),
        tables.Writer(features, FEATURES, recipe=RECIPE, inputs=[]) as writer,
    ):
        writer.append(np.zeros((2, 2), np.float32))
        raise KeyboardInterrupt
    assert {path.name: path.read_bytes() for path in features.parent.iterdir()} == before


def test_a_second_process_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.toy.parquet"
    with tables.Writer(path, FEATURES, recipe=RECIPE, inputs=[]) as first:
        first.append(np.ones((4, 2), np.float32))
        with pytest.raises(OutputError, match="is being written by another process"):
            tables.Writer(path, FEATURES, recipe=RECIPE, inputs=[])
        first.finish(columns(4), {"encoder": "toy", "modality": "face", "width": 2})
    assert (tables.read(path, FEATURES).array() == 1).all()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.toy.npy", "a.toy.parquet"]


def test_what_a_killed_run_left_is_overwritten_or_removed(features: Path) -> None:
    left = [features.with_name(f".{name}.tmp") for name in (features.name, arrays.array_path(features).name)]
    for file in left:
        file.write_bytes(b"half")
    assert tables.keep(features, FEATURES, RECIPE, INPUTS)
    assert not any(file.exists() for file in left)
    left[0].write_bytes(b"half")
    write_features(features)
    assert tables.read(features, FEATURES).clip == "a"
    assert not left[0].exists()


def test_a_fact_can_forbid_keeping(features: Path) -> None:
    assert tables.keep(features, FEATURES, RECIPE, INPUTS, unless="partial")
    assert not tables.keep(features, FEATURES, RECIPE, INPUTS, unless="width")


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq, "write_table", full)
    with pytest.raises(OutputError, match=r"a\.toy\.parquet: cannot be written \(No space left on device\)"):
        write_features(tmp_path / "a.toy.parquet")
    assert list(tmp_path.iterdir()) == []


def test_keep_wants_the_same_recipe_inputs_and_array(features: Path) -> None:
    assert tables.keep(features, FEATURES, RECIPE, INPUTS)
    assert not tables.keep(features, FEATURES, recipes.recipe("embed", {"encoder": "other"}), INPUTS)
    assert not tables.keep(features, FEATURES, RECIPE, [{"name": "b", "sha256": "1"}])
    arrays.array_path(features).unlink()
    assert not tables.keep(features, FEATURES, RECIPE, INPUTS)


def test_keep_touches_the_table_after_its_array(features: Path) -> None:
    old = 1_000_000_000
    for path in (features, arrays.array_path(features)):
        os.utime(path, (old, old))
    assert tables.keep(features, FEATURES, RECIPE, INPUTS)
    assert old < arrays.array_path(features).stat().st_mtime <= features.stat().st_mtime


def break_parquet(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def make_foreign(path: Path) -> None:
    pq.write_table(pa.table({"x": [1]}), path)


def make_newer(path: Path) -> None:
    table = pq.read_table(path)
    metadata = table.schema.metadata[tables.METADATA_KEY].replace(b'"version":1', b'"version":99')
    pq.write_table(table.replace_schema_metadata({tables.METADATA_KEY: metadata}), path)


def change_shape(path: Path) -> None:
    np.save(arrays.array_path(path), np.zeros((4, 9), np.float32))


def make_objects(path: Path) -> None:
    np.save(arrays.array_path(path), np.array([{"a": 1}], dtype=object))


def cut_array(path: Path) -> None:
    file = arrays.array_path(path)
    file.write_bytes(file.read_bytes()[:-8])


def lengthen_array(path: Path) -> None:
    file = arrays.array_path(path)
    file.write_bytes(file.read_bytes() + b"more")


@pytest.mark.parametrize(
    ("damage", "kind", "message"),
    [
        (Path.unlink, InputError, "does not exist"),
        (break_parquet, InputError, "cannot be read as Parquet"),
        (make_foreign, SchemaError, "Parquet file of another program"),
        (make_newer, SchemaError, "version 99.*upgrade affcli"),
        (change_shape, SchemaError, r"a\.toy\.npy: holds float32 \(4, 9\), expected float32 \(4, 3\)"),
        (make_objects, SchemaError, "holds Python objects"),
        (cut_array, InputError, "cannot be read as an NPY array"),
        (lengthen_array, InputError, "goes on after its array"),
    ],
)
def test_damage_is_told_apart(
    features: Path, damage: Callable[[Path], None], kind: type[Exception], message: str
) -> None:
    damage(features)
    with pytest.raises(kind, match=message):
        tables.read(features, FEATURES).array()


def test_a_table_of_another_kind_is_refused(features: Path) -> None:
    with pytest.raises(SchemaError, match="is a table of features, expected a table of audio"):
        tables.read(features, AUDIO)


def test_find_passes_over_other_tables(features: Path) -> None:
    make_foreign(features.parent / "foreign.parquet")
    assert [path for path, _ in tables.find(features.parent, FEATURES)] == [features]
    with pytest.raises(InputError, match="holds no table of audio"):
        tables.find(features.parent, AUDIO)


@pytest.mark.parametrize("clip", ["../escape", "/etc/passwd", "", ".hidden", "-flag", "a\nb", "x" * 201])
def test_a_clip_must_not_choose_its_own_place(tmp_path: Path, clip: str) -> None:
    with pytest.raises(InputError, match="cannot be a name of files"):
        table_path(tmp_path, clip, "faces")


def test_ordinary_names_are_clips(tmp_path: Path) -> None:
    for clip in ("12-24-1920x1080_left", "video10_1", "Größe 2 (final)", "a.b", "What's up"):
        assert table_path(tmp_path, clip, "faces").parent == tmp_path


def test_clip_runs() -> None:
    clips = np.array(["a", "a", "b", "a"], dtype=object)
    assert list(clip_runs(clips)) == [("a", 0, 2), ("b", 2, 3), ("a", 3, 4)]
    assert list(clip_runs(clips[:0])) == []


def test_a_full_table_of_open_files_is_told_from_a_broken_array(
    tmp_path: Path, write_features: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tables.read(write_features(tmp_path, "a", np.zeros((3, 2), np.float32)), FEATURES)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(np.lib.format, "open_memmap", full)
    with pytest.raises(InputError, match=r"a.hog.npy: cannot be opened .Too many open files.*ulimit -n"):
        table.array()
