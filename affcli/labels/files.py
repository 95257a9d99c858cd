"""Label files in directories: which there are, of one kind each, and by the clip they are of; nothing is read."""

from __future__ import annotations

from pathlib import Path

from affcli.errors import InputError, some

TABLE = ".affect.parquet"
TEXTS = (".txt", ".csv")


def files_below(path: Path, endings: tuple[str, ...]) -> list[Path]:
    """The files in the directory `path` and all below it whose names end so, in any case, by path; no hidden ones."""
    return [
        file
        for file in sorted(path.rglob("*"))
        if file.name.lower().endswith(endings)
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
        and not file.is_dir()
    ]


def label_stems(path: Path, endings: tuple[str, ...] = (*TEXTS, TABLE)) -> dict[str, Path]:
    """The label files in the directory `path` and all below it, or the file `path` itself, by stem.

    What is hidden is passed over.  Raises InputError where there is none, or two have one stem.
    """
    if not path.is_dir():
        if not path.exists():
            raise InputError(path, "does not exist", expected="a directory of label files", advice="check the path")
        return {_stem(path): path}
    found = _by_stem(files_below(path, endings))
    if not found:
        raise InputError(
            path,
            "holds no label file, nor do its directories",
            expected=f"files that end in {' or '.join(endings)}",
            advice="check the directory",
        )
    return found


def text_files(path: Path) -> list[Path]:
    """The label files to import: `path` itself, or the .txt and .csv files of the directory `path`, by name.

    Raises InputError where there is none.
    """
    if not path.is_dir():
        return [path]
    files = [file for kind in TEXTS for file in _ending(path, kind)]
    if not files:
        raise _nothing(path, TEXTS)
    return sorted(files)


def held(path: Path) -> dict[str, list[Path]]:
    """The label files and tables of a directory, or where it has none itself, of all below it, by name, of each kind.

    The kinds are TABLE and TEXTS; those without a file are left out.
    """
    kinds = {kind: _ending(path, kind) for kind in (TABLE, *TEXTS)}
    if not any(kinds.values()):
        for file in files_below(path, (TABLE, *TEXTS)):
            kinds[TABLE if file.name.lower().endswith(TABLE) else file.suffix.lower()].append(file)
    return {kind: files for kind, files in kinds.items() if files}


def affect_files(path: Path) -> list[Path]:
    """The files of the one kind that a directory holds, as `held` tells; or the file `path` itself.

    Raises InputError where there is none, where kinds are mixed, or where two files below it have one stem.
    """
    if not path.is_dir():
        return [path]
    found = held(path)
    if not found:
        raise _nothing(path, (TABLE, *TEXTS))
    if len(found) > 1:
        raise InputError(
            path,
            f"holds {' and '.join(f'{len(files)} {kind}' for kind, files in found.items())} files",
            expected="files of one kind",
            advice="move one kind elsewhere, or name a single file",
        )
    (files,) = found.values()
    return [*_by_stem(files).values()]


def _ending(path: Path, kind: str) -> list[Path]:
    """The visible files of a directory that end in `kind`, by name."""
    return [file for file in sorted(path.glob(f"*{kind}")) if not file.name.startswith(".")]


def _nothing(path: Path, kinds: tuple[str, ...]) -> InputError:
    """What to say of a directory without files of any of the `kinds`; they may be one level deeper."""
    folders = [file for file in sorted(path.iterdir()) if file.is_dir() and not file.name.startswith(".")]
    deeper = [folder.name for folder in folders if any(_ending(folder, kind) for kind in kinds)]
    advice = f"name one of its directories: {some(deeper)}" if deeper else "check the directory"
    return InputError(path, "holds no labels or predictions", expected=f"{' or '.join(kinds)} files", advice=advice)


def _stem(file: Path) -> str:
    return file.name[: -len(TABLE)] if file.name.lower().endswith(TABLE) else file.stem


def _by_stem(files: list[Path]) -> dict[str, Path]:
    """Label files by stem.  Raises InputError where two have one."""
    found: dict[str, Path] = {}
    for file in files:
        other = found.setdefault(_stem(file), file)
        if other != file:
            raise InputError(
                file,
                f"and {other} are both labels of '{_stem(file)}'",
                expected="one label file for each name",
                advice="name the directory of one kind of labels alone",
            )
    return found
