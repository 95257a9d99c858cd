"""affcli import-checkpoint: Keras's golden weights become runs that predict what Keras did (golden/make_keras.py)."""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from commands import invoke, run

from affcli import metrics, recipes
from affcli.errors import AffcliError, AssetError, InputError, SchemaError, UsageError
from affcli.labels.read import read_affect
from affcli.models import MODELS

torch.set_num_threads(1)

Write = Callable[..., Path]

GOLDEN = Path(__file__).parent / "golden"
ORDER = ["mel", "hog", "openface"]  # of Keras's concatenation
SETS = {"mel": ("audio", 8), "hog": ("face", 6), "openface": ("pose", 7), "wide": ("face", 9)}
CLIPS = ("a", "b", "c", "d")  # of 15 frames; d is the val clip
UNITS = [f"--set={one}" for one in ("audio_units=4,3", "face-units=5,4,3", "pose_units=4,3", "head_units=6")]
KERAS = ["--from", "keras", "--model", "gru-fusion", *(f"--encoder={name}" for name in ORDER), *UNITS]
IN_ORDER = [*KERAS, "--order", "mel,hog, openface"]


@pytest.fixture
def make(tmp_path: Path, write_features: Write, write_labels: Write) -> Callable[[str], Path]:
    """Clips a .. d with the golden features of a network and one set more, labels, windows, and weights as .npz."""

    def made(golden: str) -> Path:
        with np.load(GOLDEN / f"keras_{golden}_outputs.npz") as values:
            features = {name: values[f"features/{name}"] for name in ORDER}
        features["wide"] = np.zeros((4, 15, 9), np.float32)
        t = np.arange(15)
        for i, clip in enumerate(CLIPS):
            for name, (modality, _) in SETS.items():
                write_features(tmp_path / "features", clip, features[name][i], name, modality)
            affect = 0.7 * np.stack([np.sin(t / 3 + i), np.cos(t / 2 + i)], axis=-1)
            affect[::5] = np.nan
            write_labels(tmp_path / "labels", clip, affect)
        (tmp_path / "val.txt").write_text("d\n")
        windows = ["-o", tmp_path / "w.parquet", "--val", tmp_path / "val.txt"]
        run("window", tmp_path / "features", "--labels", tmp_path / "labels", *windows)
        (tmp_path / "w.npz").write_bytes((GOLDEN / "keras_gru.npz").read_bytes())
        return tmp_path

    return made


@pytest.fixture
def data(make: Callable[[str], Path]) -> Path:
    return make("gru")


def unpacked(name: str, folder: Path) -> Path:
    """A golden file that is kept compressed."""
    path = folder / name
    path.write_bytes(gzip.decompress((GOLDEN / f"{name}.gz").read_bytes()))
    return path


def description(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((path / "best.json").read_text())
    return content


def predicted(data: Path, run_: Path) -> np.ndarray[Any, Any]:
    """Valence and arousal of all clips, (4, 15, 2), as `affcli predict` writes them."""
    run("predict", run_, data / "w.parquet", "-o", data / "preds", "--force")
    affect = {one.clip: one for one in read_affect(data / "preds")}
    return np.stack([np.stack([affect[clip].valence, affect[clip].arousal], axis=-1) for clip in CLIPS])


@pytest.mark.parametrize(
    ("golden", "file", "options"),
    [
        ("gru", "keras_gru.npz", []),
        ("gru", "keras_gru.weights.h5", []),
        ("gru", "keras_old.h5", []),
        ("gru", "keras_whole.keras", []),
        ("bilstm", "keras_bilstm.weights.h5", ["--model", "bilstm-fusion"]),
        ("bilstm", "keras_bilstm.weights.h5", ["--set", "cell=lstm", "--set", "bidirectional=on"]),
        ("prelu_norm", "keras_prelu_norm.weights.h5", ["--set", "norm-order=prelu-norm"]),
    ],
)
def test_an_imported_network_predicts_what_keras_did(
    make: Callable[[str], Path], golden: str, file: str, options: list[str]
) -> None:
    data = make(golden)
    path = data / "w.npz"
    if file.endswith(".npz"):
        path.write_bytes((GOLDEN / file).read_bytes())
    else:
        pytest.importorskip("h5py")
        path = unpacked(file, data)
    plain = [*IN_ORDER, "--standardisation", "none", *options]
    run("import-checkpoint", path, data / "w.parquet", "-o", data / "run", *plain)
    with np.load(GOLDEN / f"keras_{golden}_outputs.npz") as values:
        assert np.abs(predicted(data, data / "run") - values["predicted"]).max() <= 1e-5


def test_the_checkpoint_says_what_it_is_and_how_it_was_made(data: Path) -> None:
    said = run("import-checkpoint", data / "w.npz", data / "w.parquet", "-o", data / "run", *IN_ORDER)
    best = description(data / "run")
    assert (best["model"], best["epoch"], best["finished"], best["smooth"]) == ("gru-fusion", 0, True, "")
    assert best["windows"] == {"length": 15, "overlap": 5}
    assert list(best["features"]) == ["hog", "mel", "openface"]
    assert best["config"]["face_units"] == [5, 4, 3] and best["config"]["dropout"] == 0.25
    assert set(best["versions"]) >= {"python", "numpy", "torch"}
    assert best["inputs"] == [recipes.source(data / "w.parquet"), recipes.source(data / "w.npz")]
    recipe = best["recipe"]
    assert (recipe["step"], recipe["parents"][0]["step"]) == ("import-checkpoint", "window")
    assert recipe["weights"] == {"w.npz": recipes.digest(data / "w.npz")}
    config = recipe["config"]
    assert (config["from"], config["order"], config["standardisation"]) == ("keras", ORDER, "windows")
    assert config["network"] == best["config"]

    truth = {one.clip: one for one in read_affect(data / "labels")}["d"]
    known = truth.valid
    affect = predicted(data, data / "run")[CLIPS.index("d")]
    scores = {
        "valence": metrics.ccc(truth.valence[known], affect[known, 0]),
        "arousal": metrics.ccc(truth.arousal[known], affect[known, 1]),
    }
    assert best["validation"] == pytest.approx({**scores, "mean": sum(scores.values()) / 2}, abs=1e-6)
    told = f"CCC valence {scores['valence']:.3f}, arousal {scores['arousal']:.3f}, mean "
    assert said.startswith(f"affcli: {data / 'run'}: gru-fusion of mel, hog, openface; {told}")


def standardisation(run_: Path) -> dict[str, np.ndarray[Any, Any]]:
    tensors = safetensors.numpy.load_file(run_ / "best.safetensors")
    marked = "standardisation."
    return {name.removeprefix(marked): one for name, one in tensors.items() if name.startswith(marked)}


def test_features_are_standardised_as_by_a_training_by_nothing_or_by_a_file(data: Path) -> None:
    command = ["import-checkpoint", data / "w.npz", data / "w.parquet", *IN_ORDER]
    train = ["--encoder=mel", "--encoder=hog", "--encoder=openface", "--epochs=1", "--device=cpu"]
    run("train", data / "w.parquet", "-o", data / "trained", *train)
    run(*command, "-o", data / "windows")
    fitted = standardisation(data / "trained")
    found = standardisation(data / "windows")
    assert found.keys() == fitted.keys() == {f"{name}.{kind}" for name in ORDER for kind in ("mean", "std")}
    assert all(np.array_equal(found[name], fitted[name]) for name in fitted)

    run(*command, "-o", data / "none", "--standardisation", "none")
    for name, values in standardisation(data / "none").items():
        assert values.tolist() == [float(name.endswith("std"))] * SETS[name.partition(".")[0]][1]

    rng = np.random.default_rng(0)
    given = {name: rng.uniform(0.5, 2, len(values)) for name, values in fitted.items()}
    np.savez(data / "s.npz", **given, **{"other.mean": np.zeros(3)})
    run(*command, "-o", data / "file", "--standardisation", data / "s.npz")
    found = standardisation(data / "file")
    assert all(np.array_equal(found[name], given[name].astype(np.float32)) for name in given)
    best = description(data / "file")
    assert best["recipe"]["config"]["standardisation"] == recipes.source(data / "s.npz") == best["inputs"][2]
    affects = [predicted(data, data / name) for name in ("windows", "none", "file")]
    assert np.abs(affects[0] - affects[1]).max() > 0.01 and np.abs(affects[1] - affects[2]).max() > 0.01


GOOD = {f"{name}.{kind}": np.ones(SETS[name][1]) for name in ORDER for kind in ("mean", "std")}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"mel.std": None, "hog.mean": None}, "hog.mean is missing|mel.std is missing"),
        ({"mel.mean": np.ones(9)}, r"mel.mean is \(9,\), expected .* mel \(8,\)"),
        ({"mel.mean": np.float64(1)}, r"mel.mean is \(\)"),
        ({"mel.mean": np.array(["a"] * 8)}, "mel.mean is <U1"),
        ({"hog.mean": np.array([0, 0, np.nan, 0, 0, 0])}, "hog.mean is nan in column 2"),
        ({"hog.mean": np.array([0, 1e300, 0, 0, 0, 0])}, r"hog.mean is 1e\+300 in column 1"),
        ({"hog.std": np.array([1, 1, 1, 0, 1, 1])}, "hog.std is 0 in column 3"),
        ({"hog.std": np.array([1, 1, 1, -1.0, 1, 1])}, "hog.std is -1.0 in column 3"),
        ({"hog.std": np.array([1e-60, 1, 1, 1, 1, 1])}, "hog.std is 1e-60 in column 0"),
    ],
)
def test_a_standardisation_that_does_not_fit(data: Path, change: dict[str, Any], said: str) -> None:
    np.savez(data / "s.npz", **{name: one for name, one in (GOOD | change).items() if one is not None})
    options = ["-o", data / "run", *IN_ORDER, "--standardisation", data / "s.npz"]
    with pytest.raises(SchemaError, match=rf"s\.npz: .*({said})") as caught:
        run("import-checkpoint", data / "w.npz", data / "w.parquet", *options)
    assert "\n" not in str(caught.value)
    assert not (data / "run").exists()


def test_a_standardisation_that_is_no_such_file(data: Path) -> None:
    command = ["import-checkpoint", data / "w.npz", data / "w.parquet", "-o", data / "run", *IN_ORDER]
    with pytest.raises(UsageError, match="--standardisation window: is not what it takes, expected windows, none, or"):
        run(*command, "--standardisation", "window")
    with pytest.raises(InputError, match=r"gone\.npz: cannot be read \(No such file"):
        run(*command, "--standardisation", data / "gone.npz")
    (data / "text.npz").write_text("text")
    with pytest.raises(
        InputError, match=r"text\.npz: cannot be read .* expected ENCODER\.mean and ENCODER\.std of hog"
    ):
        run(*command, "--standardisation", data / "text.npz")


def test_equal_inputs_give_equal_bytes_and_are_kept(data: Path) -> None:
    command = ["import-checkpoint", data / "w.npz", data / "w.parquet", *IN_ORDER]
    run(*command, "-o", data / "one")
    run(*command, "-o", data / "two")
    for name in ("best.json", "best.safetensors"):
        assert (data / "one" / name).read_bytes() == (data / "two" / name).read_bytes()
        os.utime(data / "one" / name, (0, 0))
    assert "up to date, gru-fusion of mel, hog, openface; CCC valence" in run(*command, "-o", data / "one")
    assert (data / "one/best.json").stat().st_mtime > 0
    assert "up to date" not in run(*command, "-o", data / "one", "--force")
    assert "up to date" not in run(*command, "-o", data / "one", "--standardisation", "none")
    assert "up to date" not in run(*command, "-o", data / "one", "--standardisation", "none", "--set", "dropout=0.5")
    assert description(data / "one")["config"]["dropout"] == 0.5


def test_a_trained_network_is_not_overwritten(data: Path) -> None:
    run("train", data / "w.parquet", "-o", data / "run", "--encoder=mel", "--epochs=1", "--device=cpu")
    before = recipes.digest(data / "run/best.json")
    with pytest.raises(SchemaError, match="holds a network of the step 'train', expected an imported one, or none"):
        run("import-checkpoint", data / "w.npz", data / "w.parquet", "-o", data / "run", *IN_ORDER, "--force")
    assert recipes.digest(data / "run/best.json") == before


def test_without_labels_it_is_imported_but_not_scored(data: Path) -> None:
    run("window", data / "features", "-o", data / "plain.parquet")
    command = ["import-checkpoint", data / "w.npz", data / "plain.parquet", "-o", data / "plain", *IN_ORDER]
    with pytest.raises(InputError, match=r"has no labelled train clip .* or give --standardisation FILE\.npz or none"):
        run(*command)
    said = run(*command, "--standardisation", "none")
    assert "plain.parquet: no frame of a val clip is annotated: the network is not scored" in said
    assert description(data / "plain")["validation"] == {}
    assert "  validation: none\n" in invoke("info", data / "plain").stdout
    assert "up to date, gru-fusion of mel, hog, openface; not scored" in run(*command, "--standardisation", "none")

    run("import-checkpoint", data / "w.npz", data / "w.parquet", "-o", data / "run", *IN_ORDER)
    both = ["predict", data / "run", data / "w.parquet", "-o", data / "p", "--with", data / "plain"]
    with pytest.raises(UsageError, match=r"--ensemble weighted: .*plain has no validation CCC of valence and arousal"):
        run(*both, "--ensemble", "weighted")
    assert "4 made" in run(*both, "--ensemble", "centred")
    with pytest.raises(UsageError, match=r"--smooth auto: .* did not look for one"):
        run("predict", data / "run", data / "w.parquet", "-o", data / "p", "--smooth", "auto")


def test_val_clips_whose_labels_never_change_give_no_score(data: Path, write_labels: Write) -> None:
    write_labels(data / "labels", "d", np.full((15, 2), 0.5))
    windows = ["-o", data / "w.parquet", "--val", data / "val.txt"]
    run("window", data / "features", "--labels", data / "labels", *windows)
    said = run("import-checkpoint", data / "w.npz", data / "w.parquet", "-o", data / "run", *IN_ORDER)
    assert "the CCC of its val clips is not defined" in said and "; not scored" in said
    assert description(data / "run")["validation"] == {}


def test_the_order_is_told_by_shapes_where_only_one_fits(data: Path) -> None:
    """Of the audio and the face branch, of two and three layers, that of Keras's concatenation."""
    keras = importable(data, {"hog": (6, (5, 4, 2)), "mel": (8, (4, 3))}, ["mel", "hog"])
    sets = ["--from", "keras", "--model", "gru-fusion", "--encoder=mel", "--encoder=hog", "--set=face_units=5,4,2"]
    said = run("import-checkpoint", keras, data / "w.parquet", "-o", data / "run", *sets, *UNITS[:1], *UNITS[3:])
    assert "gru-fusion of mel, hog; CCC" in said
    assert description(data / "run")["recipe"]["config"]["order"] == ["mel", "hog"]


def test_a_network_of_one_branch_needs_no_order(data: Path) -> None:
    keras = importable(data, {"mel": (8, (4, 3))}, ["mel"])
    said = run(
        "import-checkpoint", keras, data / "w.parquet", "-o", data / "run", *KERAS[:2], "--model=gru-audio", *UNITS
    )
    assert "gru-audio of mel; CCC" in said


def importable(folder: Path, branches: dict[str, tuple[int, tuple[int, ...]]], order: list[str]) -> Path:
    """Seeded weights of recurrent branches as Keras would write them; `branches` are width and units by encoder."""
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray[Any, Any]] = {}
    deepest = max(len(units) for _, units in branches.values())
    for distance in range(deepest, 0, -1):
        for name in order:
            width, units = branches[name]
            if distance > len(units):
                continue
            at = len(units) - distance
            before, here = (width, *units)[at], units[at]
            shapes = {
                "gru/cell/kernel": (before, 3 * here), "gru/cell/recurrent_kernel": (here, 3 * here),
                "gru/cell/bias": (2, 3 * here), "norm/gamma": (here,), "norm/beta": (here,),
                "norm/moving_mean": (here,), "norm/moving_variance": (here,), "prelu/alpha": (1, here),
            }  # fmt: skip
            for path, shape in shapes.items():
                layer, _, variable = path.partition("/")
                arrays[f"{layer}_{name}_{at}/{variable}"] = rng.uniform(0.1, 0.5, shape)
    joined = sum(units[-1] for _, units in branches.values())
    for path, shape in {
        "hidden/kernel": (joined, 6), "hidden/bias": (6,), "slope/alpha": (1, 6), "out/kernel": (6, 2), "out/bias": (2,)
    }.items():  # fmt: skip
        arrays[path] = rng.uniform(0.1, 0.5, shape)
    np.savez(folder / "own.npz", **arrays)
    return folder / "own.npz"


FITTING = "'mel,hog,openface', 'mel,openface,hog', 'openface,mel,hog'"


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("", rf"--order: is missing, and .*w\.npz fits in 3 orders, expected one of {FITTING}; name the encoders"),
        ("hog,mel,openface", rf"--order hog,mel,openface: does not fit the shapes .* expected one of {FITTING}; name"),
        ("hog,mel", "--order hog,mel: does not name each feature set .* expected hog, mel, openface in some order"),
        ("hog,mel,mel", "--order hog,mel,mel: does not name each feature set of the network once"),
    ],
)
def test_an_order_that_is_missing_or_wrong(data: Path, order: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        run("import-checkpoint", data / "w.npz", data / "w.parquet", "-o", data / "run", *KERAS, "--order", order)
    assert not (data / "run").exists()


def test_of_many_branches_the_order_must_be_said(data: Path, write_features: Write) -> None:
    for i in range(6):
        for clip in CLIPS:
            write_features(data / "many", clip, np.zeros((15, 2)), f"e{i}", "audio")
    run("window", data / "many", "-o", data / "many.parquet")
    options = ["--from", "keras", "--model", "gru-fusion", *UNITS]
    keras = importable(data, {f"e{i}": (2, (4, 3)) for i in range(6)}, [f"e{i}" for i in range(6)])
    with pytest.raises(UsageError, match="--order: is missing, expected e0, e1, e2, e3, e4, e5 in some order"):
        run("import-checkpoint", keras, data / "many.parquet", "-o", data / "run", *options)
    order = ["--order", "e5,e4,e3,e2,e1,e0", "--standardisation", "none"]
    assert "gru-fusion of e5, " in run(
        "import-checkpoint", keras, data / "many.parquet", "-o", data / "run", *options, *order
    )


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        (["--encoder=nope"], UsageError, "--encoder nope: is no feature set of"),
        (["--model", "gru-fuson"], UsageError, "gru-fuson: is no model, .* did you mean 'gru-fusion'"),
        (["--model", "gru-audio"], UsageError, "--encoder hog: is of no use to gru-audio, which reads mel, expected"),
        (["--set", "cell=rnn"], UsageError, "--set cell=rnn: is not what it takes, expected gru or lstm; correct it"),
        (
            ["--set", "cel=gru"],
            UsageError,
            "--set cel: is no setting of gru-fusion, expected .* audio_units, face_units",
        ),
        (
            ["--set", "cell=lstm"],
            SchemaError,
            r"w\.npz: holds the layers GRU 4 to 3, .* expected LSTM 4 to 3, .* choose --model gru-fusion",
        ),
        (["--set", "bidirectional=on"], SchemaError, r"GRU 5 to 4, dense 9 to 6, expected .* dense 15 to 6 in their"),
        (["--set", "head_norm=on"], SchemaError, "there is no norm layer for the head, expected the 63 arrays"),
    ],
)
def test_wrong_options(data: Path, options: list[str], error: type[AffcliError], said: str) -> None:
    with pytest.raises(error, match=said) as caught:
        run("import-checkpoint", data / "w.npz", data / "w.parquet", "-o", data / "run", *IN_ORDER, *options)
    assert "\n" not in str(caught.value)
    assert not (data / "run").exists()


def test_weights_of_another_network_are_told_by_their_layers(data: Path) -> None:
    command = ["import-checkpoint", data / "w.npz", data / "w.parquet", "-o", data / "run", *KERAS[:4]]
    wide = ["--encoder=mel", "--encoder=wide", "--encoder=openface"]
    with pytest.raises(SchemaError, match=r"holds the layers GRU 6 to 5, expected GRU 9 to 5 in their place; check"):
        run(*command, *wide, *UNITS)
    with pytest.raises(SchemaError, match=r"holds too few layers, expected GRU 3 to 3 too; check --set"):
        run(*command, *KERAS[4:7], "--set=audio_units=4,3,3", *UNITS[1:])
    with pytest.raises(
        SchemaError, match=r"holds the layers dense 4 to 3, dense 9 to 6, expected dense 10 to 6 in thei"
    ):
        run(*command, *KERAS[4:7], *UNITS[:2], "--set=pose_units=4", UNITS[3])
    with np.load(GOLDEN / "keras_gru.npz") as arrays:
        others = {
            "rnn/kernel": np.zeros((2, 3)),
            "rnn/recurrent_kernel": np.zeros((3, 3)),
            "more/kernel": np.zeros((4, 5)),
        }
        np.savez(data / "w.npz", **arrays, **others)
    with pytest.raises(SchemaError, match=r"holds the layers RNN 2 to 3, dense 4 to 5, expected no such layer; check"):
        run(*command, *KERAS[4:])
    with np.load(GOLDEN / "keras_bilstm.npz") as arrays:
        np.savez(data / "w.npz", **arrays)
    with pytest.raises(SchemaError, match=r"holds the layers LSTM 10 to 4, .* choose --model bilstm-fusion"):
        run(*command, *KERAS[4:])


def test_files_that_are_missing_or_damaged(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("h5py")
    rest = ["-o", data / "run", *IN_ORDER]
    with pytest.raises(InputError, match=r"gone\.h5: cannot be read \(No such file"):
        run("import-checkpoint", data / "gone.h5", data / "w.parquet", *rest)
    with pytest.raises(InputError, match=r"gone\.parquet: does not exist"):
        run("import-checkpoint", data / "w.npz", data / "gone.parquet", *rest)
    whole = unpacked("keras_gru.weights.h5", data)
    (data / "cut.h5").write_bytes(whole.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"cut\.h5: cannot be read .* write them again with model\.save_weights"):
        run("import-checkpoint", data / "cut.h5", data / "w.parquet", *rest)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(AssetError, match=r"h5py: is not installed, .*pip install 'affcli\[keras\]'"):
        run("import-checkpoint", whole, data / "w.parquet", *rest)
    assert not (data / "run").exists()


def test_a_network_that_does_not_fit_into_the_memory(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(type(MODELS["gru-fusion"]), "resolve", lambda _: full)
    with pytest.raises(UsageError, match="--model gru-fusion: does not fit into the memory"):
        run("import-checkpoint", data / "w.npz", data / "w.parquet", "-o", data / "run", *IN_ORDER)


def test_a_failure_is_one_line_and_its_status(data: Path, affcli: Callable[..., Any]) -> None:
    done = affcli("import-checkpoint", data / "w.npz", data / "w.parquet", "-o", data / "run", *KERAS)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    done = affcli("import-checkpoint", data / "w.npz", data / "w.parquet", "-o", data / "run", *IN_ORDER, "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_arrays_without_names_are_told_how_to_be_written(data: Path) -> None:
    with np.load(data / "w.npz") as arrays:
        np.savez(data / "plain.npz", *[arrays[name] for name in arrays.files])
    with pytest.raises(SchemaError, match=r"names its arrays arr_0, .*not as Keras names .*v\.path: v for"):
        run("import-checkpoint", data / "plain.npz", data / "w.parquet", "-o", data / "run", *IN_ORDER)
