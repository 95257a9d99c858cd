"""What each row of a challenge submission says, as its first line tells."""

from __future__ import annotations

from dataclasses import dataclass

from affcli.errors import InputError
from affcli.labels.affect import DIMENSIONS, EXPRESSIONS
from affcli.labels.categories import ACTION_UNIT_HEADERS
from affcli.labels.multitask import HEADER as MULTITASK
from affcli.schemas import ACTION_UNITS

_SEVERAL = tuple(MULTITASK.split(",")[1:])
_CLASSES = tuple(name.lower() for name in EXPRESSIONS)


@dataclass(frozen=True)
class Form:
    """What each row of a submission says: the task, the first line, and the columns of affect tables, in its order.

    A row of expressions has one column, `expression`, whose highest number is `highest`; of action units it is 1.  A
    row of several tasks has valence and arousal first, then the expression, then the action units.
    """

    task: str
    header: str
    columns: tuple[str, ...]
    highest: int = 1

    @property
    def numbers(self) -> int:
        """How many of the columns, which are the first, are valence or arousal; the others are classes."""
        return sum(name in DIMENSIONS for name in self.columns)

    def highest_of(self, column: str) -> int:
        """The highest class of `expression`, or of an action unit."""
        return self.highest if column == "expression" else 1


def default_form(task: str) -> Form:
    """The form of label files since ABAW3: eight expressions, twelve action units."""
    if task == "va":
        return Form(task, ",".join(DIMENSIONS), DIMENSIONS)
    if task == "expr":
        return Form(task, ",".join(EXPRESSIONS), ("expression",), len(EXPRESSIONS) - 1)
    if task == "mtl":
        return form_of(MULTITASK, MULTITASK, pictures=True)
    return Form(task, ",".join(ACTION_UNIT_HEADERS[1]).upper(), ACTION_UNIT_HEADERS[1])


def form_of(header: str, source: str, *, pictures: bool) -> Form:
    """The form that a first line tells, with or without a first column of pictures.

    Raises InputError where it is that of no task.
    """
    cells = [cell.strip().lower() for cell in header.rstrip(" ,").split(",")]
    names = tuple(cells[1:] if pictures else cells)
    if sorted(names) == sorted(DIMENSIONS):
        return Form("va", header, names)
    if names in (_CLASSES, _CLASSES[:7]):
        return Form("expr", header, ("expression",), len(names) - 1)
    if pictures and names in (_SEVERAL, (*DIMENSIONS, "expression", *ACTION_UNIT_HEADERS[1])):
        columns = (*DIMENSIONS, "expression", *ACTION_UNIT_HEADERS[1])
        return Form("mtl", header, columns, len(EXPRESSIONS) - 1)
    if names and set(names) <= ACTION_UNITS.keys() and len(set(names)) == len(names):
        return Form("au", header, names)
    image = "image_location," if pictures else ""
    raise InputError(
        source,
        f"begins with '{header[:80]}'",
        expected=f"{image}valence,arousal or {image}{','.join(EXPRESSIONS[:2])},... or {image}AU1,AU2,..."
        + (f" or {MULTITASK}" if pictures else ""),
        advice="take the sample of one of these tasks, as the organisers gave it",
    )


def require_task(form: Form, task: str, source: str) -> None:
    """Raise InputError where the form of the file `source` is of another task."""
    if form.task != task:
        raise InputError(
            source,
            f"is of the task {form.task} ('{form.header[:60]}')",
            expected=f"one of the task {task}",
            advice=f"name that task's sample, or say --task {form.task}",
        )
