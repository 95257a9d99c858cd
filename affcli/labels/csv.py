"""CSV with valence and arousal: `clip,frame,valence,arousal`, without `clip`, or one line per frame; or `expression`.

Arrow reads what is in order, fast; at the first doubt the file is read again line by line, and that reading is the one
that decides: it returns the same clips or says which line is wrong.
"""

from __future__ import annotations

import csv
import dataclasses
import math
import re
from collections.abc import Iterable
from typing import TextIO

import numpy as np
import pyarrow as pa
import pyarrow.csv

from affcli.clips import clip_runs
from affcli.errors import InputError
from affcli.labels import affwild2, lines
from affcli.labels.affect import DIMENSIONS, EXPRESSIONS, UNKNOWN, Affect
from affcli.labels.lines import COLUMNS, EXPECT_CLASSES, EXPECTED, EXPRESSION, NUMBER, Layout
from affcli.labels.scales import PLAIN, Reading


def parse(
    content: bytes,
    source: str,
    stem: str,
    *,
    affwild2_only: bool = False,
    affect: bool = True,
    expressions: bool = False,
    reading: Reading = PLAIN,
) -> list[Affect]:
    """The clips of one CSV or Aff-Wild2 text file, in its order.

    `source` names the file in messages and `stem` the clip of a file without a column `clip`.  Columns may be in any
    order, and others stand among them; semicolons or tabs may part them where neither comma nor quote is in the file;
    an empty cell is not annotated, and `reading` tells what numbers mean.  With `expressions`, a column `expression` is
    read too, the number of a class in EXPRESSIONS; without, it is one of the others.  Without `affect`, that column
    must be there, and valence and arousal are among the others: NaN.  Raises InputError with the line and what to do
    about it.
    """
    # Plain ASCII, as nearly all files are, need not become a string of many megabytes to be known for text.
    content = content if affwild2_only else _with_commas(content)
    plain = content.isascii() and b"\0" not in content and not content[:1].isspace()
    first = content[: content.find(b"\n") + 1 or None] if plain else content
    header = _header(lines.decode(first, source, EXPECTED if affect else EXPECT_CLASSES), source)
    if affwild2_only:
        affwild2.require_header(source, header)
    layout = _layout(header, source, affect=affect, expressions=expressions)
    found = _parse_fast(content, layout, source, stem, reading)
    if found is None:
        text = lines.decode(content, source)
        if affect:
            _refuse_decimal_commas(text, layout, source)
        found = list(lines.parse(text, layout, source, stem, reading))
    return [affwild2.mark(clip) if reading.plain else _converted(clip, reading) for clip in found]


def _with_commas(content: bytes) -> bytes:
    """CSV with semicolons or tabs, as its first line says, with commas; where commas or quotes are in it, as it is."""
    first = content[: content.find(b"\n") + 1 or None]
    marks = [mark for mark in (b";", b"\t") if mark in first.strip()]
    if len(marks) != 1 or b"," in content or b'"' in content:
        return content
    return content.replace(marks[0], b",")


def write_csv(stream: TextIO, clips: Iterable[Affect]) -> None:
    """Write `clip,frame,valence,arousal`: floats as short as they can be read back exactly, empty = not annotated.

    Where clips have standard deviations, `valence_std,arousal_std` follow; where they have expressions, `expression`,
    the number of the class.
    """
    clips = list(clips)
    names = [*DIMENSIONS, *(f"{name}_std" for name in DIMENSIONS if any(affect.std is not None for affect in clips))]
    classes = any(affect.expression is not None for affect in clips)
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("clip", "frame", *names, *[EXPRESSION] * classes))
    for affect in clips:
        columns = affect.columns()
        cells = [["" if math.isnan(value) else value for value in columns[name].tolist()] for name in names]
        if classes:
            known = [UNKNOWN] * len(affect) if affect.expression is None else affect.expression.tolist()
            cells.append(["" if number == UNKNOWN else number for number in known])
        writer.writerows((affect.clip, frame, *row) for frame, row in enumerate(zip(*cells, strict=True)))


def _converted(affect: Affect, reading: Reading) -> Affect:
    valence, arousal = (reading.to_affect(getattr(affect, name)) for name in DIMENSIONS)
    return dataclasses.replace(affect, valence=valence, arousal=arousal)


def _header(text: str, source: str) -> list[str]:
    """The column names of the first line, in lower case and without blanks around them."""
    line = re.split(r"[\r\n]", text, maxsplit=1)[0]
    try:
        cells = next(csv.reader([line]), [])
    except csv.Error as error:
        raise InputError(
            source, f"has a first line that is no CSV ({error})", expected=EXPECTED, advice="name another file"
        ) from error
    return [cell.strip().lower() for cell in cells]


def _layout(header: list[str], source: str, *, affect: bool = True, expressions: bool = False) -> Layout:
    if affect:
        affwild2.refuse_other_tasks(source, header)
    needed, expected = (DIMENSIONS, EXPECTED) if affect else ((EXPRESSION,), EXPECT_CLASSES)
    if any(name not in header for name in needed):
        found, advice = _unknown(header, needed)
        raise InputError(source, found, expected=expected, advice=advice)
    known = COLUMNS if affect else tuple(name for name in COLUMNS if name not in DIMENSIONS)
    known = (*known, EXPRESSION) if expressions or not affect else known
    for name in known:
        if header.count(name) > 1:
            raise InputError(source, f"has two columns {name}", expected=expected, advice="rename or remove one")
    if "clip" in header and "frame" not in header:
        raise InputError(
            source,
            "has a column clip and no column frame",
            expected=expected,
            advice="number each clip's frames from 0",
        )
    return Layout(len(header), {name: header.index(name) for name in known if name in header})


def _unknown(header: list[str], needed: tuple[str, ...]) -> tuple[str, str]:
    """What is wrong with a first line that names not all that is `needed`, and what to do."""
    first = ",".join(header)[:80]
    for mark, word in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and mark in header[0]:
            return f"is separated by {word}", "separate its cells with commas, and write decimals with a point"
    if all(NUMBER.fullmatch(cell) for cell in header):
        return f"begins with numbers ('{first}')", f"put the line {','.join(needed)} at the top"
    if EXPRESSION in header and EXPRESSION not in needed:
        return "is a CSV of expressions", "affcli score --task expr and submit --task expr read it"
    missing = " and no column ".join(name for name in needed if name not in header)
    return f"has no column {missing} (line 1: '{first}')", "name its columns in line 1"


def _refuse_decimal_commas(text: str, layout: Layout, source: str) -> None:
    """Raise InputError where the first frame has decimal commas, in quotes or as a cell too many for each dimension."""
    line = next(iter(text.splitlines()[1:2]), "")
    quoted = re.search(r'"[+-]?\d+,\d+"', line, re.ASCII)
    cells = line.split(",")
    bare = len(cells) == layout.width + len(DIMENSIONS) and all(re.fullmatch(r"-?\d+", c.strip()) for c in cells[-4:])
    if quoted or bare:
        raise InputError(
            f"{source}, line 2",
            f"has decimal commas ('{line[:40]}')",
            expected="decimals with a point, such as 0.5",
            advice="write the numbers with a point",
        )


def _parse_fast(
    content: bytes, layout: Layout, source: str, stem: str, reading: Reading = PLAIN
) -> list[Affect] | None:
    """The clips of a file in which everything is in order, else None."""
    end = len(content)
    while end and content[end - 1] in b"\r\n":
        end -= 1
    types = {"clip": pa.dictionary(pa.int32(), pa.string()), "frame": pa.int64(), EXPRESSION: pa.int8()}
    try:
        table = pyarrow.csv.read_csv(
            pa.py_buffer(content).slice(0, end),
            read_options=pyarrow.csv.ReadOptions(column_names=layout.names, skip_rows=1, block_size=1 << 22),
            # An empty line becomes a frame without values, which is told from a written one below.
            parse_options=pyarrow.csv.ParseOptions(ignore_empty_lines=False),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types={name: types.get(name, pa.float64()) for name in layout.position},
                include_columns=list(layout.position),
                null_values=[""],
            ),
        )
    except pa.ArrowException:
        return None
    count = table.num_rows
    read = [name for name in DIMENSIONS if name in layout.position]
    empty = any(table.column(name).null_count for name in read or [EXPRESSION]) and "frame" not in layout.position
    if empty and any(ends in content[:end] for ends in (b"\n\n", b"\n\r", b"\r\r")):
        return None
    values = {} if read else dict.fromkeys(DIMENSIONS, np.full(count, np.nan))
    for name in read:
        values[name] = table.column(name).to_numpy()
        if reading.count_sound(values[name]) + table.column(name).null_count != count:
            return None
    classes = None
    if EXPRESSION in layout.position:
        classes = table.column(EXPRESSION).fill_null(UNKNOWN).to_numpy()
        if ((classes < UNKNOWN) | (classes >= len(EXPRESSIONS))).any():
            return None
    runs = [(stem, 0, count)]
    if "clip" in layout.position:
        clips = table.column("clip").unify_dictionaries().combine_chunks()
        if clips.null_count:
            return None
        names = clips.dictionary.to_pylist()
        runs = [(names[int(code)].strip(), *rest) for code, *rest in clip_runs(clips.indices.to_numpy())]
    if not count or len({clip for clip, *_ in runs} | {""}) != len(runs) + 1:
        return None
    if "frame" in layout.position:
        if table.column("frame").null_count:
            return None
        frames = table.column("frame").to_numpy()
        due = np.arange(max(stop - start for _, start, stop in runs))
        if any((frames[start:stop] != due[: stop - start]).any() for _, start, stop in runs):
            return None
    named = "clip" in layout.position
    return [
        Affect(
            clip,
            values["valence"][start:stop],
            values["arousal"][start:stop],
            source=source,
            named=named,
            expression=None if classes is None else classes[start:stop],
        )
        for clip, start, stop in runs
    ]
