"""From a table and its array to what an encoder reads."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from affcli.features.contract import Reads
    from affcli.tables import Table


def view_of(table: Table, reads: Reads, flip: bool = False) -> Any:
    """A clip as an encoder reads it: TimedCrops for crops and film, with `flip` mirrored; TimedLandmarks or TimedSound.

    Raises InputError and SchemaError where the array beside the table is not what the table says.
    """
    from affcli.features import views

    times, valid, facts = table.column("time_us"), table.column("valid"), table.header.facts
    if reads == "audio":
        rate = Fraction(facts["rate"]) if facts["rate"] else None
        return views.TimedSound(table.array(), facts["sample_rate"], facts["start_us"], times, rate, valid)
    if reads == "landmarks":
        return _landmarks(table)
    from affcli.faces.crops import open_crops

    crops = open_crops(table)
    return views.TimedCrops(views.Mirrored(crops) if flip else crops, times, valid, _tracks(table))


def _tracks(table: Table) -> NDArray[np.int64]:
    """The track of each frame, -1 where it has none."""
    import numpy as np

    return np.nan_to_num(table.column("track").astype(np.float64), nan=-1).astype(np.int64)


def _landmarks(table: Table) -> Any:
    import numpy as np

    from affcli.features.views import TimedLandmarks
    from affcli.schemas import LANDMARKS

    facts = table.header.facts
    points = [np.stack([table.column(f"{point}_{axis}") for axis in "xy"], axis=-1) for point in LANDMARKS]
    boxes = [table.column(side) for side in ("x1", "y1", "x2", "y2")]
    picture = (facts["width"], facts["height"]) if facts["width"] and facts["height"] else None
    return TimedLandmarks(
        np.stack(points, axis=1).astype(np.float32),
        np.stack(boxes, axis=-1).astype(np.float32),
        picture,
        table.column("time_us"),
        table.column("valid"),
        _tracks(table),
    )
