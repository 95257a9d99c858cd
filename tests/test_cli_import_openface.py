"""OpenFace's CSV files, read and as import-openface is typed."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from affcli import tables
from affcli.errors import InputError
from affcli.features import openface
from affcli.media.write import write_video
from affcli.schemas import FEATURES

Command = Callable[..., "subprocess.CompletedProcess[str]"]
Write = Callable[..., Path]

UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
# The header as RecorderCSV.cpp of OpenFace 2 writes it, group by group.
NAMES = [
    *("frame", "face_id", "timestamp", "confidence", "success"),
    *("gaze_0_x", "gaze_0_y", "gaze_0_z", "gaze_1_x", "gaze_1_y", "gaze_1_z", "gaze_angle_x", "gaze_angle_y"),
    *(f"eye_lmk_{axis}_{i}" for axis in "xyXYZ" for i in range(56)),
    *("pose_Tx", "pose_Ty", "pose_Tz", "pose_Rx", "pose_Ry", "pose_Rz"),
    *(f"{axis}_{i}" for axis in "xyXYZ" for i in range(68)),
    *("p_scale", "p_rx", "p_ry", "p_rz", "p_tx", "p_ty", *(f"p_{i}" for i in range(34))),
    *(f"AU{unit:02d}_r" for unit in UNITS),
    *(f"AU{unit:02d}_c" for unit in sorted((*UNITS, 28))),
]
FEW = [*NAMES[:5], "pose_Tx", "pose_Ty", "pose_Tz", "pose_Rx", "pose_Ry", "pose_Rz", "AU01_r"]

Row = dict[str, float]


def row(frame: int, face: int = 0, success: int = 1, confidence: float = 0.98, **values: float) -> Row:
    known = {"frame": frame, "face_id": face, "timestamp": (frame - 1) / 25, "confidence": confidence}
    return known | {"success": success} | values


def sheet(rows: list[Row], names: list[str] = NAMES, between: str = ", ") -> str:
    """A CSV; cells that `rows` do not name are numbers of their own."""
    lines = [between.join(names)]
    for cells in rows:
        other = {name: f"{cells['frame'] + i / 8:.3f}" for i, name in enumerate(names)}
        lines.append(between.join(f"{cells[name]:g}" if name in cells else other[name] for name in names))
    return "\n".join(lines) + "\n"


def parse(text: str) -> openface.Rows:
    return openface.parse(text.encode(), "x.csv")


def test_the_714_columns() -> None:
    assert [name for group in openface.GROUPS.values() for name in group] == NAMES
    assert [len(group) for group in openface.GROUPS.values()] == [5, 8, 112, 168, 6, 136, 204, 40, 17, 18]
    assert len(NAMES) == 714
    assert openface.groups(tuple(NAMES))["shape"] == 40
    assert openface.groups(tuple(FEW)) == {"bookkeeping": 5, "pose": 6, "au_intensity": ["AU01_r"]}


@pytest.mark.parametrize("change", [(", ", ","), ("\n", "\r\n"), ("\n", "\r"), ("frame,", "\ufeffframe,"), ("", "")])
def test_rows(change: tuple[str, str]) -> None:
    rows = parse(
        sheet([row(1), row(2), row(4)]).replace(*change) if change[0] else sheet([row(1), row(2), row(4)])[:-1]
    )
    vectors, valid = openface.vectors(rows, 0, 5, list(range(714)))
    assert valid.tolist() == [True, True, False, True, False]
    assert vectors[3, :6] == pytest.approx([4, 0, 0.12, 0.98, 1, 4 + 5 / 8])
    assert vectors[1, -1] == pytest.approx(2 + 713 / 8)
    assert not vectors[2].any() and vectors.dtype == np.float32 and vectors.shape == (5, 714)


def test_rows_without_a_face_and_without_numbers() -> None:
    rows = parse(sheet([row(1), row(2, success=0), row(3, x_0=np.nan), row(4, p_3=np.inf), row(5)]))
    assert openface.vectors(rows, 0, 5, [5])[1].tolist() == [True, False, False, False, True]
    text = sheet([row(1), row(2)]).replace(", 91.125", ", -nan(ind)")
    assert parse(text).usable.tolist() == [True, False]


def test_files_of_openface_1_know_one_face() -> None:
    names = [name for name in FEW if name != "face_id"]
    rows = parse(sheet([row(1), row(2)], names))
    assert rows.faces == [0] and rows.values.shape == (2, 11)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"x.csv, line 1: names no column frame, timestamp, confidence, success \(''\)"),
        ("valence,arousal\n0,0\n", r"x.csv, line 1: names no column frame, timestamp, confidence, success \('valence"),
        ("face, confidence, pose_Tx\n0, 1, 2\n", "x.csv, line 1: is OpenFace's table of single pictures"),
        (sheet([row(1)]).partition("\n")[2], "x.csv, line 1: names no column frame"),
        (sheet([row(1)], [*FEW, "valence"]), "x.csv, line 1: names columns that OpenFace does not write: 'valence'"),
        (sheet([row(1)], [*FEW, "AU01_r"]), "x.csv, line 1: names AU01_r twice"),
        (sheet([row(1)], NAMES[:5]), "x.csv, line 1: names nothing that was measured"),
        (sheet([]), "x.csv: holds a header and no row"),
        (
            sheet([row(1), row(2)], FEW) + "3, 0, 0.08",
            "x.csv, line 4: has 3 cells, expected 12 as in line 1; run OpenF",
        ),
        (sheet([row(1)], FEW) + "\n" + sheet([row(2)], FEW), "x.csv, line 3: is empty, expected 12"),
        (sheet([row(1), row(2)], FEW).replace("2.625", "left"), "x.csv, line 3: pose_Tx is 'left', expected a number"),
        (sheet([row(1), row(2)], FEW).replace("2.625", ""), "x.csv, line 3: pose_Tx is '', expected a number"),
        (sheet([row(1), row(0)], FEW), "x.csv, line 3: frame is 0, expected a whole number, 1 to 1000000"),
        (sheet([row(1), row(1.5)], FEW), "x.csv, line 3: frame is 1.5"),  # type: ignore[arg-type]
        (sheet([row(1), row(2, success=3)], FEW), "x.csv, line 3: success is 3, expected 0 or 1"),
        (sheet([row(1), row(2), row(1), row(1, 1)], FEW), "x.csv, line 4: frame 1 comes again for face 0, expected"),
        ("PK\3\4\0\0\xff\n", "x.csv, line 1: names no column frame"),
    ],
)
def test_what_openface_did_not_write(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        parse(text)


def two_people() -> list[Row]:
    """Face 7 on the right and long; face 2 on the left; face 5 between them, for one frame."""
    rows = [row(k, 7, pose_Tx=50.0) for k in range(1, 9)] + [row(k, 2, pose_Tx=-30.0) for k in range(4, 7)]
    rows += [row(k, 2, success=0, pose_Tx=900.0) for k in range(7, 9)]
    return [*rows, row(5, 5, pose_Tx=-99.0), row(9, 2, confidence=0.5, pose_Tx=999.0)]


def test_which_face() -> None:
    rows = parse(sheet(two_people(), FEW))
    assert rows.faces == [2, 5, 7]
    wanted = {"main": 7, "left": 2, "right": 7, "5": 5}
    assert {name: openface.choose_face(rows, name) for name in wanted} == wanted
    with pytest.raises(InputError, match=r"x\.csv: shows no face 3, expected one of 2, 5, 7; choose another --face"):
        openface.choose_face(rows, "3")
    alone = parse(sheet([row(1)], FEW))
    with pytest.raises(InputError, match=r"shows one face, expected two to tell the left one"):
        openface.choose_face(alone, "left")
    apart = parse(sheet([row(1, 0), row(2, 1)], FEW))
    with pytest.raises(InputError, match=r"shows faces 0 and 1 in no frame together"):
        openface.choose_face(apart, "right")
    nowhere = parse(sheet([row(1, 0), row(1, 1)], [*NAMES[:5], "AU01_r"]))
    with pytest.raises(InputError, match="does not say where the faces are"):
        openface.choose_face(nowhere, "right")


def test_landmarks_tell_left_from_right_where_they_are_known() -> None:
    places = {0: 400.0, 1: 100.0}
    rows = [row(k, face, **{f"x_{i}": x for i in range(68)}) for k in (1, 2) for face, x in places.items()]
    assert [openface.choose_face(parse(sheet(rows)), side) for side in ("left", "right")] == [1, 0]


def test_times_of_the_csv() -> None:
    rows = parse(sheet([row(3), row(4), row(7), row(7, 1)], FEW))
    assert openface.times(rows, 7).tolist() == [0, 40_000, 80_000, 120_000, 160_000, 200_000, 240_000]
    still = parse(sheet([row(1), row(2, timestamp=0.0)], FEW))
    with pytest.raises(InputError, match=r"x\.csv, line 3: timestamp 0 of frame 2 is not after the one before"):
        openface.times(still, 2)


def test_a_long_video_is_read_in_a_few_seconds() -> None:
    text = sheet([row(1)])
    line = text.splitlines()[1].partition(",")[2]
    content = (text + "".join(f"{k},{line}\n" for k in range(2, 5001))).encode()
    start = time.monotonic()
    assert openface.parse(content, "x.csv").values.shape == (5000, 714)
    assert time.monotonic() - start < 5  # a tenth of that on a quiet machine


def write_csv(path: Path, rows: list[Row], names: list[str] = FEW) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(sheet(rows, names))
    return path


def test_files_become_features(affcli: Command, tmp_path: Path) -> None:
    source, out = tmp_path / "csv", tmp_path / "out"
    write_csv(source / "a.csv", [row(1), row(3)], NAMES)
    write_csv(source / "b.csv", [row(k, face) for k in (1, 2) for face in (0, 1)], NAMES)
    done = affcli("import-openface", source, out)
    assert (done.returncode, done.stdout) == (0, "")
    warned = f"affcli: {source}/b.csv: shows 2 faces; took face 0, the main one (--face)"
    assert done.stderr.splitlines() == [warned, "affcli: 2 clips: 2 made"]
    table = tables.read(out / "a.openface.parquet", FEATURES)
    assert table.header.facts == {"encoder": "openface", "modality": "pose", "width": 709}
    assert table.array().shape == (3, 709) and table.array().dtype == np.float32
    assert table.column("time_us").tolist() == [0, 40_000, 80_000]
    assert table.column("valid").tolist() == [True, False, True]
    measured = np.array(table.array())
    assert table.header.recipe["config"]["times"] == "timestamps"
    assert affcli("import-openface", source, out).stderr == "affcli: 2 clips: 2 up to date\n"

    done = affcli("import-openface", source, out, "--columns", "all", "-q")
    whole = tables.read(out / "a.openface.parquet", FEATURES)
    assert whole.array().shape == (3, 714)
    assert (whole.array()[:, 5:] == measured).all()
    assert whole.array()[0, 0] == 1  # the frame's number


def test_left_and_right_are_clips_of_their_own(affcli: Command, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", two_people())
    for face in ("left", "right", "main", "5"):
        assert affcli("import-openface", path, tmp_path / "out", "--face", face, "-q").returncode == 0
    names = ["a.openface.parquet", "a_left.openface.parquet", "a_right.openface.parquet"]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.parquet")) == names
    left, right, chosen = (
        tables.read(tmp_path / "out" / f"{clip}.openface.parquet", FEATURES) for clip in ("a_left", "a_right", "a")
    )
    assert np.flatnonzero(left.column("valid")).tolist() == [3, 4, 5, 8]
    assert np.flatnonzero(right.column("valid")).tolist() == list(range(8))
    assert np.flatnonzero(chosen.column("valid")).tolist() == [4]  # --face 5 came last and replaced main
    assert left.header.recipe == right.header.recipe == chosen.header.recipe  # they may be trained on together
    done = affcli("import-openface", path, tmp_path / "out", "--face", "middle")
    assert (done.returncode, "--face middle: is no face, expected main, left, right" in done.stderr) == (2, True)


def test_times_of_the_video_and_of_a_rate(affcli: Command, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [row(1), row(2), row(3)])
    times_ms = [0, 40, 100, 120]
    pictures = [np.zeros((32, 32, 3), np.uint8)] * 4
    write_video(tmp_path / "a.mp4", pictures, times_ms, Fraction(1, 1000), rate=Fraction(25))
    assert affcli("import-openface", path, tmp_path / "out", "--videos", tmp_path / "a.mp4", "-q").returncode == 0
    table = tables.read(tmp_path / "out/a.openface.parquet", FEATURES)
    assert (np.diff(table.column("time_us")) == [40_000, 60_000, 20_000]).all()
    assert table.column("valid").tolist() == [True, True, True, False]
    assert affcli("import-openface", path, tmp_path / "out", "--rate", "30000/1001", "-q").returncode == 0
    assert tables.read(tmp_path / "out/a.openface.parquet", FEATURES).column("time_us").tolist() == [0, 33_367, 66_733]
    write_csv(path, [row(1), row(5)])
    done = affcli("import-openface", path, tmp_path / "out", "--videos", tmp_path / "a.mp4")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert (
        f"a.csv: is frame 5, counted from 1, expected at most 4, the decoded frames of {tmp_path}/a.mp4" in done.stderr
    )


def test_one_bad_file_does_not_stop_the_others(affcli: Command, tmp_path: Path) -> None:
    source = tmp_path / "csv"
    write_csv(source / "a.csv", [row(1)])
    write_csv(source / "b.csv", [row(1)], [*FEW[:-1], "AU02_r"])
    write_csv(source / "c.csv", [row(1)], [*FEW[:-2], *FEW[:-3:-1]])
    (source / "d.csv").write_text("valence,arousal\n")
    write_csv(source / "e.csv", [row(1, success=0)])
    done = affcli("import-openface", source, tmp_path / "out")
    assert done.returncode == 3
    said = done.stderr.splitlines()
    alike = f"expected the 12 columns of {source}/a.csv; run OpenFace with the same options on every video"
    assert said[0] == f"affcli: {source}/b.csv: lacks AU01_r and has AU02_r besides, {alike}"
    assert said[1] == f"affcli: {source}/c.csv: has its columns in another order, {alike}"
    assert said[2].startswith(f"affcli: {source}/d.csv, line 1: names no column frame")
    assert said[3] == f"affcli: {source}/e.csv: no face in any frame: every vector is zeros"
    assert said[4].startswith("affcli: 5 clips: 2 made, 3 failed")


def test_nothing_to_import(affcli: Command, tmp_path: Path) -> None:
    done = affcli("import-openface", tmp_path, tmp_path / "out")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "holds no CSV, expected files that end in .csv" in done.stderr
    assert affcli("import-openface", tmp_path / "none.csv", tmp_path / "out").returncode == 3


def test_gru_pose_trains_on_them(affcli: Command, tmp_path: Path, write_labels: Write) -> None:
    rng = np.random.default_rng(0)
    for clip in "abc":
        affect = np.sin(np.arange(30)[:, None] / 5 + rng.random(2) * 6)
        rows = [row(k + 1, pose_Rx=a, pose_Ry=b) for k, (a, b) in enumerate(affect)]
        write_csv(tmp_path / "csv" / f"{clip}.csv", rows, NAMES)
        write_labels(tmp_path / "labels", clip, affect)
    (tmp_path / "val.txt").write_text("c\n")
    windows, out = tmp_path / "w.parquet", tmp_path / "out"
    for words in (
        ("import-openface", tmp_path / "csv", out),
        ("window", out, "--labels", tmp_path / "labels", "-o", windows, "--val", tmp_path / "val.txt"),
        ("train", windows, "-o", tmp_path / "run", "--model", "gru-pose", "--epochs", 2, "--device", "cpu"),
        ("predict", tmp_path / "run", windows, "--split", "val", "-o", tmp_path / "preds"),
    ):
        done = affcli(*words)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "preds" / "c.affect.parquet").exists()
