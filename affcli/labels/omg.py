"""Labels of OMG-Emotion: a CSV for all videos, a line per utterance; arousal from 0 to 1, valence from -1 to 1.

The columns are `link,start,end,video,utterance,arousal,valence,EmotionMaxVote`.  Each utterance is a video file of its
own there, `<video>/<utterance>.mp4`, and so is a clip here: `<video>_<utterance>`, without ending, since names such as
`utterance_1` come in many videos.  What raters say of the whole utterance is the label of every frame of it; the
emotion by votes, which has other classes, is not read.
Barros et al., "The OMG-Emotion Behavior Dataset", 2018, https://arxiv.org/abs/1803.05434.
"""

from __future__ import annotations

from pathlib import Path

from affcli.errors import InputError
from affcli.labels.affect import DIMENSIONS
from affcli.labels.foreign import ClipLabel
from affcli.labels.scales import Scale, Scales, read_value
from affcli.labels.sheets import read_sheet

SCALES = {"valence": Scale(-1.0, 1.0), "arousal": Scale(0.0, 1.0)}
_COLUMNS = ("video", "utterance", *DIMENSIONS)


def is_omg(first_line: str) -> bool:
    """Whether a file that begins with this line holds labels of OMG-Emotion."""
    return {*_COLUMNS, "link"} <= {cell.strip().lower() for cell in first_line.split(",")}


def read_omg(path: Path, scales: Scales = SCALES) -> list[ClipLabel]:
    """The utterances of a file, in its order.  Raises InputError, with the line, where it is not in order."""
    sheet = read_sheet(path)
    header = [name.lower() for name in sheet.header]
    if missing := [name for name in _COLUMNS if header.count(name) != 1]:
        raise InputError(
            path,
            f"has {header.count(missing[0]) or 'no'} columns {missing[0]} (line 1: '{','.join(sheet.header)[:80]}')",
            expected=f"one each of {', '.join(_COLUMNS)}, as OMG-Emotion has",
            advice="name a file of utterances' labels, or choose another --format",
        )
    place = {name: header.index(name) for name in _COLUMNS}
    seen: dict[str, int] = {}
    made = []
    for line, cells in sheet.rows:
        video, utterance = cells[place["video"]], cells[place["utterance"]]
        if not video or not utterance:
            raise InputError(
                sheet.where(line), "names no utterance", expected="a video and an utterance", advice="fill in the cell"
            )
        clip = f"{video}_{Path(utterance).stem}"
        if (other := seen.setdefault(clip, line)) != line:
            raise InputError(
                sheet.where(line), f"is of the utterance of line {other}", expected="each once", advice="keep one line"
            )
        values = {name: read_value(cells[place[name]], name, scales, sheet.where(line)) for name in DIMENSIONS}
        made.append(ClipLabel(clip, path, values["valence"], values["arousal"]))
    return made
