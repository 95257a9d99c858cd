"""affcli predict with networks that see crops: what they need, what they write, and how windows are cut."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from commands import invoke, run
from numpy.typing import NDArray

from affcli import recipes, tables
from affcli.cli import ensemble, to_predict
from affcli.configs import Windows
from affcli.errors import InputError, SchemaError, UsageError
from affcli.headers import Header
from affcli.labels.affect import Affect
from affcli.labels.read import read_affect
from affcli.models import MODELS
from affcli.models.inference import ready
from affcli.prediction import classes, outputs, present
from affcli.schemas import AFFECT, FACES
from affcli.training.checkpoint import Checkpoint, load
from affcli.training.crops import ClipCrops
from affcli.training.data import ClipData, WindowedClips
from affcli.training.sight import Sight
from affcli.windows import cut, cut_apart

torch.set_num_threads(1)

Write = Callable[..., Path]
FRAMES = {"a": 20, "b": 21, "c": 5}
SMALL = ["channels=4,5,6,7,8", "visual_units=4", "order=bgr", "missing=previous"]
RUNS = {  # model, and settings
    "eyes": ("m3t-visual", []),
    "emotion": ("m3t-visual.emotion", []),
    "classes": ("m3t-visual", ["expressions=7", "action_units=au1,au12"]),
    "others": ("m3t-visual", ["expressions=8", "action_units=au12,au25"]),
}
UNIT_NAMES = ("au1", "au12", "au25")


def pictures(clip: str, n: int) -> NDArray[np.uint8]:
    """Crops (n, 112, 112, 3) with a patch that moves."""
    found = np.random.default_rng(ord(clip)).integers(0, 60, (n, 112, 112, 3)).astype(np.uint8)
    for frame in range(n):
        found[frame, 10 : 40 + frame, 20 : 60 + frame] += np.array([150, 90, 20], np.uint8)
    return found


def write_all_labels(path: Path, clip: str, affect: NDArray[np.float64]) -> None:
    """Valence, arousal, expressions 0 to 6 and three action units of a clip."""
    frames = np.arange(len(affect))
    units = {name: (frames // (i + 2) % 2).astype(np.int8) for i, name in enumerate(UNIT_NAMES)}
    one = Affect(clip, affect[:, 0], affect[:, 1], expression=(frames % 7).astype(np.int8), action_units=units)
    recipe = recipes.recipe("import-labels", {})
    tables.write(path / f"{clip}.affect.parquet", AFFECT, one.columns(), recipe=recipe, inputs=[], facts={})


@pytest.fixture
def data(tmp_path: Path, made: Path, write_features: Write, write_faces: Write) -> Path:
    """Three clips with faces, features and labels; windows of 8 frames; the runs, and hears, which sees nothing."""
    if not list(made.iterdir()):
        rng = np.random.default_rng(0)
        for i, (clip, n) in enumerate(FRAMES.items()):
            t = np.arange(n)
            affect = 0.7 * np.stack([np.sin(t / 4 + i), np.cos(t / 3 + i)], axis=-1)
            write_faces(made / "faces", clip, pictures(clip, n), t % 6 != 2)
            write_features(made / "features", clip, affect @ [[1, 0, 2], [0, 1, -1]] + rng.normal(0, 0.1, (n, 3)))
            write_features(made / "features", clip, affect + rng.normal(0, 0.3, (n, 2)), "mel", "audio")
            write_all_labels(made / "labels", clip, affect)
        (made / "val.txt").write_text("b\n")
        cutting = ["--length", 8, "--overlap", 2, "--val", made / "val.txt"]
        run("window", made / "features", "--labels", made / "labels", "-o", made / "w.parquet", *cutting)
        options = ["--epochs", 1, "--lr", 0.01, "--batch", 4, "--per-clip", 0, "--device", "cpu"]
        run("train", made / "w.parquet", "-o", made / "hears", "--model", "gru-audio", *options)
        for name, (model, settings) in RUNS.items():
            pairs = [word for pair in [*SMALL, *settings] for word in ("--set", pair)]
            run("train", made / "w.parquet", "-o", made / name, "--model", model, "--crops", made / "faces",
                *pairs, *options)  # fmt: skip
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def predict(data: Path, out: str, *options: object, name: str = "eyes", source: str = "", crops: str = "faces") -> Path:
    sources = [data / source] if source else []
    seen = ["--crops", data / crops] if crops else []
    run("predict", data / name, *sources, *seen, "-o", data / out, "--device", "cpu", *options)
    return data / out


def read(folder: Path, clip: str = "a") -> Affect:
    (found,) = read_affect(folder / f"{clip}.affect.parquet")
    return found


def curves(folder: Path, clip: str = "a") -> NDArray[np.float64]:
    found = read(folder, clip)
    return np.stack([found.valence, found.arousal], axis=-1)


def header(folder: Path, clip: str = "a") -> Header:
    return tables.read_header(folder / f"{clip}.affect.parquet")


def alike(one: Path, other: Path, clips: str = "abc") -> bool:
    return all(
        (one / f"{c}.affect.parquet").read_bytes() == (other / f"{c}.affect.parquet").read_bytes() for c in clips
    )


def said(
    data: Path, name: str, clip: str, cuts: tuple[NDArray[np.int32], NDArray[np.int32]]
) -> tuple[Checkpoint, NDArray[np.float64]]:
    """A run, and all that its network says of a clip by its crops, said window by window: (n, K)."""
    checkpoint, n = load(data / name), FRAMES[clip]
    faces = tables.read(data / f"faces/{clip}.faces.parquet", FACES)
    crops = ClipCrops(clip, faces.array(), faces.column("valid"))
    one = ClipData(clip, {}, {}, np.zeros((n, 2)), np.zeros(n, np.bool_), crops)
    which = np.zeros(len(cuts[0]), np.int64)
    windows = WindowedClips([one], which, *cuts, sight=Sight(112, 112, order="bgr", missing="previous"))
    return checkpoint, outputs(checkpoint.model, windows.batches(1), n, torch.device("cpu"))


def test_a_network_that_reads_no_features_needs_crops_alone(data: Path) -> None:
    found = predict(data, "p")
    for clip, n in FRAMES.items():
        _, wanted = said(data, "eyes", clip, cut(n, 8, 2))
        assert curves(found, clip) == pytest.approx(np.clip(wanted, -1, 1), abs=1e-5)
        times = read(found, clip).time_us
        assert times is not None and times.tolist() == [frame * 40_000 for frame in range(n)]
        assert read(found, clip).expression is None and not read(found, clip).action_units
        assert header(found, clip).inputs == [recipes.source(data / f"faces/{clip}.faces.parquet")]
    assert header(found).recipe["config"] == {"model": "m3t-visual", "length": 8, "overlap": 2}
    assert [one["step"] for one in header(found).recipe["parents"]] == ["train"]
    again = ["predict", data / "eyes", "--crops", data / "faces", "-o", found]
    assert "3 up to date" in run(*again)
    assert alike(found, predict(data, "same"))
    one = predict(data, "one", crops="faces/b.faces.parquet")
    assert [path.name for path in one.iterdir()] == ["b.affect.parquet"] and alike(found, one, "b")


def test_a_windows_table_says_the_clips_and_their_windows(data: Path) -> None:
    found = predict(data, "val", "--split", "val", source="w.parquet")
    assert [path.name for path in found.iterdir()] == ["b.affect.parquet"]
    assert alike(found, predict(data, "p"), "b")
    run(
        "window",
        data / "features",
        "--labels",
        data / "labels",
        "-o",
        data / "x.parquet",
        "--length",
        8,
        "--overlap",
        0,
    )
    other = predict(data, "other", source="x.parquet")
    assert curves(other) == pytest.approx(said(data, "eyes", "a", cut(20, 8, 0))[1], abs=1e-5)
    # With another overlap only the length of its windows counts, and so nothing is said of theirs.
    half = ["predict", data / "eyes", data / "x.parquet", "--crops", data / "faces", "-o", data / "half"]
    assert "otherwise than in the training" not in run(*half, "--overlap", "half")
    assert alike(data / "half", predict(data, "also", "--overlap", "half"))


def test_windows_that_lie_in_fewer_frames_than_there_are_crops(data: Path) -> None:
    labels = read_affect(data / "labels/b.affect.parquet")[0]
    write_all_labels(data / "labels", "b", np.stack([labels.valence, labels.arousal], axis=-1)[:20])
    options = ["--length", 8, "--overlap", 2, "--mismatch", "crop", "--tolerance", 1]
    run("window", data / "features", "--labels", data / "labels", "-o", data / "x.parquet", *options)
    found = predict(data, "p", source="x.parquet")
    assert curves(found, "b").shape == (20, 2)
    assert header(found, "b").inputs[0]["frames"] == "the first 20"


@pytest.mark.parametrize("overlap", ["half", "none"])
def test_how_windows_overlap(data: Path, overlap: str) -> None:
    found = predict(data, overlap, "--overlap", overlap)
    for clip, n in FRAMES.items():
        cuts = cut_apart(n, 8) if overlap == "none" else cut(n, 8, 4)
        assert curves(found, clip) == pytest.approx(said(data, "eyes", clip, cuts)[1], abs=1e-5)
    assert header(found).recipe["config"] == {"model": "m3t-visual", "length": 8, "overlap": overlap}
    assert np.abs(curves(found) - curves(predict(data, "p"))).max() > 1e-4


def test_half_of_windows_that_cannot_be_halved() -> None:
    starts = {length: to_predict._cutter(Windows(length, 0), "half")(9)[0].tolist() for length in (1, 2, 5, 9)}
    assert starts == {1: list(range(9)), 2: list(range(8)), 5: [0, 2, 4], 9: [0]}


def test_classes_and_presence_by_hand() -> None:
    low, high = np.log([[0.6, 0.3, 0.1], [0.5, 0.25, 0.25]]), np.log([[0.2, 0.8], [0.4, 0.6]])
    assert classes([low]).tolist() == [0, 0]
    assert classes([low + 100, high - 5]).tolist() == [1, 0]  # means .4, .55, .05 and .45, .425, .125
    assert classes([low]).dtype == present([low[:, 0]]).dtype == np.int8
    assert present([np.array([-1.0, 0, 2]), np.array([0.5, 0, -1])]).tolist() == [0, 0, 1]
    assert classes([np.array([[1000.0, -1000, 999]])]).tolist() == [0]


def test_an_action_unit_that_no_table_has_a_column_for() -> None:
    entry = MODELS["m3t-visual"]
    with pytest.raises(UsageError, match="action_units au99: is unknown, expected some of au1, au2"):
        entry.resolve()({}, entry.config(action_units=("au1", "au99")))


def test_windows_one_after_the_other() -> None:
    assert [part.tolist() for part in cut_apart(17, 8)] == [[0, 8, 16], [8, 8, 1]]
    assert [part.tolist() for part in cut_apart(16, 8)] == [[0, 8], [8, 8]]
    assert [part.tolist() for part in cut_apart(3, 8)] == [[0], [3]]
    assert [len(part) for part in cut_apart(0, 8)] == [0, 0]


def test_features_and_crops_together(data: Path) -> None:
    found = predict(data, "p", name="emotion", source="features")
    for clip in FRAMES:
        names = [f"{clip}.hog.parquet", f"{clip}.faces.parquet"]
        assert [one["name"] for one in header(found, clip).inputs] == names
    by_windows = predict(data, "w", name="emotion", source="w.parquet")
    assert curves(found) == pytest.approx(curves(by_windows), abs=1e-6)


def test_a_clip_without_faces_does_not_stop_the_others(data: Path) -> None:
    (data / "faces/a.faces.parquet").unlink()
    done = invoke("predict", data / "emotion", data / "features", "--crops", data / "faces", "-o", data / "p")
    assert done.exit_code == InputError.status
    assert f"{data / 'faces'}: holds no crops of clip 'a', expected a.faces.parquet" in done.stderr
    assert sorted(path.name for path in (data / "p").iterdir()) == ["b.affect.parquet", "c.affect.parquet"]


def test_features_and_crops_of_other_frames(data: Path, write_features: Write, write_faces: Write) -> None:
    write_faces(data / "faces", "a", pictures("a", 22), np.ones(22, np.bool_))
    write_features(data / "features", "c", np.zeros((5, 3)), period_us=33_000)
    done = invoke("predict", data / "emotion", data / "features", "--crops", data / "faces", "-o", data / "p")
    features, faces = data / "features", data / "faces"
    advice = "make features and crops again from the same video"
    wrong = f"{faces}/a.faces.parquet: 22 frames of clip 'a', expected 20 as in {features}/a.hog.parquet; {advice}"
    assert wrong in done.stderr
    wrong = f"{faces}/c.faces.parquet: frame times of clip 'c' differ, expected those of {features}/c.hog.parquet"
    assert wrong in done.stderr
    assert [path.name for path in (data / "p").iterdir()] == ["b.affect.parquet"]


def test_expressions_and_action_units(data: Path) -> None:
    found = predict(data, "p", name="classes")
    for clip, n in FRAMES.items():
        _, wanted = said(data, "classes", clip, cut(n, 8, 2))
        assert wanted.shape == (n, 7 + 2 + 2)
        one = read(found, clip)
        assert one.expression is not None and one.expression.tolist() == wanted[:, :7].argmax(axis=1).tolist()
        assert sorted(one.action_units) == ["au1", "au12"]
        for name, column in (("au1", 7), ("au12", 8)):
            assert one.action_units[name].tolist() == (wanted[:, column] > 0).tolist()
        assert curves(found, clip) == pytest.approx(np.clip(wanted[:, -2:], -1, 1), abs=1e-5)
    whole = predict(data, "p.parquet", name="classes")
    assert [read(found, clip).expression.tolist() for clip in "abc"] == [  # type: ignore[union-attr]
        one.expression.tolist() for one in read_affect(whole) if one.expression is not None
    ]
    printed = invoke("predict", data / "classes", "--crops", data / "faces", "-o", "-", "--device", "cpu")
    rows = list(csv.DictReader(io.StringIO(printed.stdout)))
    assert list(rows[0]) == ["clip", "frame", "valence", "arousal", "expression"]
    assert [int(row["expression"]) for row in rows if row["clip"] == "a"] == read(found).expression.tolist()  # type: ignore[union-attr]


def test_expressions_and_action_units_of_several_runs(data: Path) -> None:
    with_ = ["--with", data / "others", "--with", data / "hears"]
    found = read(predict(data, "p", *with_, name="classes", source="features"))
    one, other = (said(data, name, "a", cut(20, 8, 2))[1] for name in ("classes", "others"))
    odds = [np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True) for logits in (one[:, :7], other[:, :8])]
    mean = np.pad(odds[0], ((0, 0), (0, 1))) + odds[1]
    assert found.expression is not None and found.expression.tolist() == mean.argmax(axis=1).tolist()
    units = {"au1": one[:, 7], "au12": (one[:, 8] + other[:, 8]) / 2, "au25": other[:, 9]}
    assert sorted(found.action_units) == sorted(units)
    for name, logits in units.items():
        assert found.action_units[name].tolist() == (logits > 0).tolist()


def test_runs_that_see_and_runs_that_do_not(data: Path) -> None:
    hears = predict(data, "p1", name="hears", source="features", crops="")
    eyes, emotion = predict(data, "p2"), predict(data, "p3", name="emotion", source="features")
    together = ["--with", data / "eyes", "--with", data / "emotion"]
    every = predict(data, "p", *together, name="hears", source="features")
    for clip in FRAMES:
        wanted = (curves(hears, clip) + curves(eyes, clip) + curves(emotion, clip)) / 3
        assert curves(every, clip) == pytest.approx(wanted, abs=1e-6)
    names = ["a.mel.parquet", "a.hog.parquet", "a.faces.parquet"]
    assert [one["name"] for one in header(every).inputs] == names
    assert read(every).expression is None


def test_shorter_numbers_are_close_and_in_the_recipe(data: Path) -> None:
    exact = predict(data, "exact", "--precision", "fp32")
    assert alike(exact, predict(data, "p"))
    for name, source, crops in (("eyes", "", "faces"), ("hears", "features", "")):
        exact = predict(data, f"exact-{name}", name=name, source=source, crops=crops)
        short = predict(data, f"short-{name}", "--precision", "bf16", name=name, source=source, crops=crops)
        assert header(short).recipe["config"]["precision"] == "bf16"
        assert "precision" not in header(exact).recipe["config"]
        difference = np.abs(curves(short) - curves(exact)).max()
        assert 0 < difference < 0.05
        again = predict(data, f"again-{name}", "--precision", "bf16", name=name, source=source, crops=crops)
        assert alike(short, again)


def test_networks_of_m3t_are_folded_on_a_cpu(data: Path) -> None:
    network = load(data / "eyes").model
    one = ready(network, torch.device("cpu"))
    assert not any("backbone" in name for name, _ in one.named_parameters())
    assert any("backbone" in name for name, _ in network.named_parameters()) and not network.training
    hears = load(data / "hears").model
    assert ready(hears, torch.device("cpu")) is hears


def test_how_many_windows_go_at_a_time(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    really = WindowedClips.batches

    def batches(self: WindowedClips, size: int, order: None = None) -> object:
        sizes.append(size)
        return really(self, size, order)

    monkeypatch.setattr(WindowedClips, "batches", batches)
    together = ["--with", data / "hears"]
    predict(data, "p", *together, source="features", crops="faces")
    assert sizes == [ensemble.BATCH_SEEN, ensemble.BATCH] * 3 == [16, 256] * 3
    sizes.clear()
    predict(data, "q", *together, "--batch", 5, source="features")
    assert sizes == [5] * 6


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("eyes", [], "eyes: is a m3t-visual, which sees crops, and there is no --crops, expected --crops DIR"),
        ("hears", ["features", "--crops", "faces"], "--crops .*faces: is of no use to gru-audio, which sees nothing"),
        ("emotion", ["--crops", "faces"], "emotion: reads hog features, and there are none, expected a windows table"),
        ("hears", [], "hears: reads mel features, and there are none"),
        ("eyes", ["features", "--crops", "faces"], "features: is of no use to m3t-visual, which reads no features"),
        ("eyes", ["--crops", "faces", "--split", "val"], "--split val: needs a windows table"),
    ],
)
def test_what_does_not_go_together(data: Path, name: str, arguments: list[str], message: str) -> None:
    given = [data / one if one in ("features", "faces") else one for one in arguments]
    with pytest.raises(UsageError, match=message):
        invoke("predict", data / name, *given, "-o", data / "p")
    assert not (data / "p").exists()


def restamp(path: Path, **config: object) -> None:
    """Have a faces table say that it was made otherwise."""
    table = tables.read(path, FACES)
    columns = {column.name: table.column(column.name) for column in FACES.columns}
    recipe = {**table.header.recipe, "config": {**table.header.recipe["config"], **config}}
    array = np.array(table.array())
    tables.write(path, FACES, columns, recipe=recipe, inputs=[], facts=table.header.facts, array=array)


@pytest.mark.parametrize("source", ["", "w.parquet"])
def test_crops_made_otherwise_are_used_when_that_is_asked_for(data: Path, source: str) -> None:
    before = predict(data, "before")
    for clip in FRAMES:
        restamp(data / f"faces/{clip}.faces.parquet", template="m3t-128")
    with pytest.raises(
        SchemaError, match=r"a\.faces\.parquet: its crops were made otherwise .*template.*--force-recipe"
    ):
        predict(data, "p", source=source)
    more = [data / source] * bool(source)
    again = ["--crops", data / "faces", "--with", data / "classes", "--force-recipe"]
    told = run("predict", data / "eyes", *more, "-o", data / "p", *again)
    assert told.count("its crops were made otherwise than those of the training (config.template") == 1
    made = header(data / "p").recipe["parents"]
    assert [one["step"] for one in made] == ["train", "train", "extract-faces"]
    assert made[2]["config"]["template"] == "m3t-128"
    forced = predict(data, "forced", "--force-recipe", source=source)
    assert curves(forced).tolist() == curves(before).tolist()


def test_crops_of_another_size_are_refused_all_the_same(data: Path, write_faces: Write) -> None:
    for clip, n in FRAMES.items():
        large = np.zeros((n, 128, 128, 3), np.uint8)
        write_faces(data / "large", clip, large, np.ones(n, np.bool_))
    with pytest.raises(SchemaError, match=r"its crops are 128 x 128 px, expected 112 x 112 px as in the training"):
        predict(data, "p", "--force-recipe", crops="large")


def test_a_clip_in_which_nothing_is_seen_is_named(data: Path, write_faces: Write) -> None:
    write_faces(data / "faces", "c", pictures("c", 5), np.zeros(5, np.bool_))
    told = run("predict", data / "eyes", "--crops", data / "faces", "-o", data / "p")
    assert "clip c: no crops describe any of its frames; its predictions mean nothing" in told
    assert told.count("mean nothing") == 1


def test_a_network_that_tells_people_apart_predicts_no_affect(data: Path) -> None:
    path = data / "eyes/best.json"
    content = json.loads(path.read_text())
    config = {"classes": 3, "channels": [4, 5, 6, 7, 8], "identity_units": 4}
    entry = MODELS["v2p-identity"]
    network = entry.resolve()({}, entry.config(classes=3, channels=(4, 5, 6, 7, 8), identity_units=4))
    tensors = safetensors.torch.save({f"model.{name}": one for name, one in network.state_dict().items()})
    (data / "eyes/best.safetensors").write_bytes(tensors)
    content |= {"model": "v2p-identity", "config": config, "tensors": hashlib.sha256(tensors).hexdigest()}
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match="eyes: is a v2p-identity, which tells people apart"):
        predict(data, "p")


def test_predictions_of_folds_are_those_of_the_networks_that_have_not_seen_a_clip(data: Path) -> None:
    pairs = [word for pair in [*SMALL, "expressions=7"] for word in ("--set", pair)]
    options = ["--epochs", 1, "--lr", 0.01, "--batch", 4, "--per-clip", 0, "--device", "cpu", *pairs]
    crops = ["--crops", data / "faces"]
    run("train", data / "w.parquet", "-o", data / "cv", "--model", "m3t-visual", "--folds", 3, *crops, *options)
    folds = {}
    for number in (1, 2, 3):
        known = json.loads((data / f"cv/fold-{number}/best.json").read_text())
        assert known["crops"]["side"] == 112
        predict(data, f"p{number}", "--batch", 4, name=f"cv/fold-{number}", source="w.parquet")
    for clip in FRAMES:
        oof = (data / f"cv/oof/{clip}.affect.parquet").read_bytes()
        of = [n for n in (1, 2, 3) if (data / f"p{n}/{clip}.affect.parquet").read_bytes() == oof]
        assert len(of) == 1
        folds[clip] = of[0]
    assert sorted(folds.values()) == [1, 2, 3]
    assert read(data / "cv/oof").expression is not None
    (point,) = json.loads((data / "cv/summary.json").read_text())["points"]
    assert point["out_of_fold"]["frames"] == sum(FRAMES.values())


def test_crops_of_other_frames_than_the_windows_are_of(data: Path, write_faces: Write) -> None:
    windows = [data / "w.parquet", "--crops", data / "faces"]
    write_faces(data / "faces", "b", pictures("b", 22), np.ones(22, bool))
    found = invoke("predict", data / "eyes", *windows, "-o", data / "p")
    wanted = "b.faces.parquet: 22 frames of clip 'b', expected 21, as the features have that its windows were cut from"
    assert (found.exit_code, "3 clips: 2 made, 1 failed" in found.stderr) == (3, True) and wanted in found.stderr
    with pytest.raises(SchemaError, match="22 frames of clip 'b', expected 21"):
        run("train", *windows, "-o", data / "new", "--per-clip", 0, "--model", "m3t-visual")
    # A network that reads features, too, is given both at the same times.
    write_faces(data / "faces", "b", pictures("b", 21), np.ones(21, bool))
    table = tables.read(data / "faces/b.faces.parquet", FACES)
    columns = {one.name: table.column(one.name) for one in FACES.columns} | {"time_us": 2 * table.column("time_us")}
    made: dict[str, Any] = {
        "recipe": table.header.recipe,
        "inputs": [],
        "facts": table.header.facts,
        "array": np.array(table.array()),
    }
    tables.write(table.path, FACES, columns, **made)
    found = invoke("predict", data / "emotion", *windows, "-o", data / "q")
    wanted = f"frame times of clip 'b' differ, expected those of {data / 'features/b.hog.parquet'}"
    assert found.exit_code == 3 and wanted in found.stderr
    with pytest.raises(SchemaError, match="frame times of clip 'b' differ"):
        run("train", *windows, "-o", data / "new", "--per-clip", 0, "--model", "m3t-visual.emotion")


@pytest.mark.parametrize("source", ["features", "w.parquet"])
def test_the_crops_of_one_clip_are_predicted_alone(data: Path, source: str) -> None:
    found = predict(data, "one", name="emotion", source=source, crops="faces/b.faces.parquet")
    assert [path.name for path in found.iterdir()] == ["b.affect.parquet"]
    assert alike(found, predict(data, "all", name="emotion", source=source), "b")
    with pytest.raises(InputError, match=r"a\.faces\.parquet: is of clip 'a', which is none of those to predict \(b\)"):
        predict(data, "none", "--split", "val", source="w.parquet", crops="faces/a.faces.parquet")
