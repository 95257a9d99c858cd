"""affcli import-checkpoint --from m3t: weights under the released code's names become runs that predict the same."""

from __future__ import annotations

import argparse
import json
import os
import re
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from commands import run
from numpy.typing import NDArray
from torch import Tensor, nn

from affcli import metrics, recipes
from affcli.cli.networks import network_settings
from affcli.errors import AffcliError, InputError, SchemaError, UsageError
from affcli.labels.read import read_affect
from affcli.models import MODELS, inputs_of
from affcli.models.m3t_names import to_released
from affcli.training import checkpoint
from affcli.training.torch_file import read_state
from affcli.windows import cut

torch.set_num_threads(1)

Write = Callable[..., Path]
State = Mapping[str, Tensor]

CLIPS = ("a", "b", "c")  # of 12 frames; c is the val clip
SETS = {"senet": ("face", 6), "tcae": ("face", 5), "mel": ("audio", 4)}
FRAMES, LENGTH, OVERLAP = 12, 4, 2
VALID = np.arange(FRAMES) != 4
SMALL = ["channels=4,5,6,7,8", "visual_units=4", "audio_units=3", "scorer_units=3", "fusion_units=8"]
SMALL_IDENTITY = [SMALL[0], "classes=3", "identity_units=4"]


def sets(*pairs: str) -> list[str]:
    return [f"--set={pair}" for pair in pairs]


@pytest.fixture
def data(tmp_path: Path, write_features: Write, write_labels: Write, write_faces: Write, real_crops: Any) -> Path:
    """Crops, features and labels of the clips, and windows of them."""
    rng, t = np.random.default_rng(0), np.arange(FRAMES)
    for i, clip in enumerate(CLIPS):
        write_faces(tmp_path / "crops", clip, np.roll(real_crops, i, axis=1), VALID)
        for name, (modality, width) in SETS.items():
            write_features(tmp_path / "features", clip, 3 * rng.normal(size=(FRAMES, width)) + 1, name, modality)
        write_labels(tmp_path / "labels", clip, 0.7 * np.stack([np.sin(t / 3 + i), np.cos(t / 2 + i)], axis=-1))
    (tmp_path / "val.txt").write_text("c\n")
    cuts = ["--length", LENGTH, "--overlap", OVERLAP, "--val", tmp_path / "val.txt", "-o", tmp_path / "w.parquet"]
    run("window", tmp_path / "features", "--labels", tmp_path / "labels", *cuts)
    return tmp_path


def network(model: str, *pairs: str) -> nn.Module:
    """A small network with random weights and statistics."""
    config = network_settings(model, pairs)
    inputs = {name: types.SimpleNamespace(modality=kind, width=width) for name, (kind, width) in SETS.items()}
    torch.manual_seed(0)
    made: nn.Module = MODELS[model].resolve()(inputs_of(model, inputs, config), config)
    for norm in made.modules():
        if isinstance(norm, nn.BatchNorm3d):
            norm.running_mean.normal_(0, 0.3)
            norm.running_var.uniform_(0.2, 2)
    return made.eval()


def written(path: Path, net: nn.Module, how: str = "") -> Path:
    """The weights of a network under the released names, as a file of the kind that its name says."""
    state = to_released(net)
    if path.suffix == ".safetensors":
        safetensors.torch.save_file({name: one.clone() for name, one in state.items()}, path)
        return path
    prefixed = {how + name: one for name, one in state.items()}
    lightning = {"epoch": 3, "state_dict": prefixed, "optimizer_states": [{"state": {}}], "hparams": {"lr": 1e-4}}
    torch.save(lightning if path.suffix == ".ckpt" else prefixed, path)
    return path


def outputs(net: nn.Module, crops: Any, features: Mapping[str, Any], length: int, overlap: int) -> NDArray[np.float64]:
    """What a network says of a clip that it is given in the released code's way: BGR, features as they are."""
    sums, count = np.zeros((FRAMES, 2)), np.zeros((FRAMES, 1))
    clip = torch.from_numpy(crops[..., ::-1].astype(np.float32)).sub(127.5).div(127.5)
    clip[~torch.from_numpy(VALID)] = 0
    given = {"clip": clip.permute(3, 0, 1, 2), **{name: torch.from_numpy(one) for name, one in features.items()}}
    for start, size in zip(*cut(FRAMES, length, overlap), strict=True):
        here = slice(start, start + size)
        parts = {name: one[:, here] if name == "clip" else one[here] for name, one in given.items()}
        with torch.inference_mode():
            said = net({name: one[None] for name, one in parts.items()}, torch.ones(1, size, dtype=torch.bool))
        sums[here] += said[0, :, -2:].numpy()
        count[here] += 1
    return sums / count


def vectors(data: Path, clip: str) -> dict[str, Any]:
    return {name: np.load(data / "features" / f"{clip}.{name}.npy") for name in SETS}


def imported(data: Path, file: Path, model: str, *options: object) -> str:
    return run("import-checkpoint", file, "-o", data / "run", "--from", "m3t", "--model", model, *options)


def description(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "best.json").read_text())
    return content


@pytest.mark.parametrize(
    ("model", "file", "prefix", "pairs"),
    [
        ("m3t-visual.emotion-tcae", "w.pt", "", []),
        ("m3t-visual.multitask", "w.ckpt", "model.module.", ["emotion=senet"]),
        ("m3t-audio", "w.safetensors", "", []),
        ("m3t-concat", "w.ckpt", "", ["emotion=senet"]),
        ("m3t-attention", "w.pth", "module.", ["emotion=senet"]),
    ],
)
def test_an_imported_network_is_the_one_that_was_written(
    data: Path, real_crops: Any, model: str, file: str, prefix: str, pairs: list[str]
) -> None:
    net = network(model, *SMALL, *pairs)
    crops = [] if model == "m3t-audio" else ["--crops", data / "crops"]
    weights = written(data / file, net, prefix)
    imported(data, weights, model, data / "w.parquet", *crops, *sets(*SMALL, *pairs))
    loaded = checkpoint.load(data / "run").model
    assert all(torch.equal(one, loaded.state_dict()[name]) for name, one in net.state_dict().items())
    run("predict", data / "run", data / "w.parquet", "-o", data / "preds", *crops, "--device=cpu")
    affect = {one.clip: one for one in read_affect(data / "preds")}
    for i, clip in enumerate(CLIPS):
        pixels, given = np.roll(real_crops, i, axis=1), vectors(data, clip)
        expected = outputs(net, pixels, given, LENGTH, OVERLAP)
        assert np.abs(outputs(loaded, pixels, given, LENGTH, OVERLAP) - expected).max() <= 1e-6
        found = np.stack([affect[clip].valence, affect[clip].arousal], axis=-1)
        assert np.abs(found - expected.clip(-1, 1)).max() <= 1e-5  # with the backbone folded
        assert found.std(axis=0).min() > 1e-4

    best = description(data / "run")
    assert (best["model"], best["epoch"], best["finished"]) == (model, 0, True)
    assert best["windows"] == {"length": LENGTH, "overlap": OVERLAP}
    assert best["config"]["order"] == ("bgr" if crops else "rgb")
    config = best["recipe"]["config"]
    assert (config["from"], config["standardisation"], config["network"]) == ("m3t", "none", best["config"])
    assert best["recipe"]["weights"] == {file: recipes.digest(weights)}
    truth = {one.clip: one for one in read_affect(data / "labels")}["c"]
    ccc = metrics.ccc(truth.valence, affect["c"].valence), metrics.ccc(truth.arousal, affect["c"].arousal)
    said = {"valence": ccc[0], "arousal": ccc[1], "mean": sum(ccc) / 2}
    assert {name: best["validation"][name] for name in said} == pytest.approx(said, abs=1e-4)


def test_a_network_that_reads_no_features_needs_crops_alone(data: Path, real_crops: Any) -> None:
    net = network("m3t-visual", *SMALL)
    said = imported(data, written(data / "w.pt", net), "m3t-visual", "--crops", data / "crops", *sets(*SMALL))
    assert said == f"affcli: {data / 'run'}: m3t-visual of clips; not scored\n"
    best = description(data / "run")
    assert (best["windows"], best["features"], best["validation"]) == ({"length": 32, "overlap": 16}, {}, {})
    assert (best["crops"]["side"], best["crops"]["recipe"]["step"]) == (112, "extract-faces")
    assert best["inputs"] == [recipes.source(data / "w.pt")]
    assert [one["step"] for one in best["recipe"]["parents"]] == ["extract-faces"]
    run("predict", data / "run", "-o", data / "preds", "--crops", data / "crops", "--device=cpu")
    affect = {one.clip: one for one in read_affect(data / "preds")}
    expected = outputs(net, real_crops, {}, 32, 16)
    assert np.abs(np.stack([affect["a"].valence, affect["a"].arousal], axis=-1) - expected).max() <= 1e-5


def test_windows_score_a_network_that_reads_no_features(data: Path) -> None:
    file = written(data / "w.pt", network("m3t-visual", *SMALL))
    said = imported(data, file, "m3t-visual", data / "w.parquet", "--crops", data / "crops", *sets(*SMALL))
    assert re.search(r"m3t-visual of clips; CCC valence -?0\.\d+, arousal -?0\.\d+, mean -?0\.\d+ on the val cli", said)
    best = description(data / "run")
    assert best["features"] == {} and best["windows"] == {"length": LENGTH, "overlap": OVERLAP}
    sources = [recipes.source(path) for path in (data / "w.parquet", file, data / "crops" / "c.faces.parquet")]
    assert best["inputs"] == sources


def test_the_order_of_colours_is_what_is_said(data: Path) -> None:
    file = written(data / "w.pt", network("m3t-visual", *SMALL))
    command = [data / "w.parquet", "--crops", data / "crops", *sets(*SMALL)]
    imported(data, file, "m3t-visual", *command)
    first = description(data / "run")
    imported(data, file, "m3t-visual", *command, "--set=order=rgb")
    second = description(data / "run")
    assert (first["config"]["order"], second["config"]["order"]) == ("bgr", "rgb")
    assert first["tensors"] == second["tensors"] and first["validation"] != second["validation"]


def test_the_official_preset_is_of_crops_of_256_pixels(data: Path, write_faces: Write) -> None:
    file = written(data / "w.pt", network("m3t-visual", *SMALL))
    official = ["--preset", "official", *sets(*SMALL)]
    with pytest.raises(SchemaError, match="are 112 x 112 px, expected at least 224 x 224 px"):
        imported(data, file, "m3t-visual", "--crops", data / "crops", *official)
    pixels = np.random.default_rng(0).integers(0, 256, (3, 256, 256, 3), dtype=np.uint8)
    write_faces(data / "large", "a", pixels, np.ones(3, np.bool_))
    imported(data, file, "m3t-visual", "--crops", data / "large", *official)
    config = description(data / "run")["config"]
    assert (config["order"], config["missing"], config["crop"]) == ("bgr", "previous", 224)
    run("predict", data / "run", "-o", data / "preds", "--crops", data / "large", "--device=cpu")
    assert len(read_affect(data / "preds")) == 1


def test_equal_inputs_give_equal_bytes_and_are_kept(data: Path) -> None:
    file = written(data / "w.pt", network("m3t-visual.emotion-tcae", *SMALL))
    command = [data / "w.parquet", "--crops", data / "crops", *sets(*SMALL)]
    imported(data, file, "m3t-visual.emotion-tcae", *command)
    first = {name: (data / "run" / name).read_bytes() for name in ("best.json", "best.safetensors")}
    for name in first:
        os.utime(data / "run" / name, (0, 0))
    said = imported(data, file, "m3t-visual.emotion-tcae", *command)
    assert "up to date, m3t-visual.emotion-tcae of clips, senet, tcae; CCC valence" in said
    assert "up to date" not in imported(data, file, "m3t-visual.emotion-tcae", *command, "--force")
    assert {name: (data / "run" / name).read_bytes() for name in first} == first


def test_features_can_be_standardised(data: Path) -> None:
    file = written(data / "w.pt", network("m3t-audio", *SMALL))
    imported(data, file, "m3t-audio", data / "w.parquet", *sets(*SMALL))
    scale = checkpoint.load(data / "run").standardisation
    assert not scale.mean["mel"].any() and (scale.std["mel"] == 1).all()
    imported(data, file, "m3t-audio", data / "w.parquet", *sets(*SMALL), "--standardisation", "windows")
    scale = checkpoint.load(data / "run").standardisation
    train = np.concatenate([vectors(data, clip)["mel"] for clip in "ab"]).astype(np.float64)
    assert np.allclose(scale.mean["mel"], train.mean(axis=0), atol=1e-6)
    assert np.allclose(scale.std["mel"], train.std(axis=0), atol=1e-6)


def test_streams_and_a_backbone_of_imported_runs_begin_a_training(data: Path) -> None:
    parts = {"visual": "m3t-visual.emotion-tcae", "audio": "m3t-audio"}
    for part, model in parts.items():
        file = written(data / f"{part}.pt", network(model, *SMALL))
        crops = ["--crops", data / "crops"] if part == "visual" else []
        imported(data, file, model, data / "w.parquet", *crops, *sets(*SMALL))
        (data / "run").rename(data / part)
    still = [
        "--epochs=1",
        "--per-clip=2",
        "--batch=2",
        "--schedule=constant",
        "--lr=0",
        "--device=cpu",
        "--set=order=bgr",
    ]
    train = ["train", data / "w.parquet", "--crops", data / "crops", *still, *sets(*SMALL)]
    begin = ["--init-visual", data / "visual", "--init-audio", data / "audio", "--set=static=emotion-tcae"]
    run(*train, "-o", data / "fused", "--model=m3t-concat", "--stage=fuse", *begin)
    found = checkpoint.load(data / "fused").model.state_dict()
    for part, model in parts.items():
        held = {name: one for name, one in network(model, *SMALL).state_dict().items() if ".fc." not in name}
        assert all(name.startswith(part) and torch.equal(one, found[name]) for name, one in held.items())
        assert checkpoint.load(data / part).description.model == model

    identity = network("v2p-identity", *SMALL_IDENTITY)
    options = [*sets(*SMALL_IDENTITY)]
    said = imported(data, written(data / "i.ckpt", identity, "model."), "v2p-identity", *options)
    assert said == f"affcli: {data / 'run'}: v2p-identity of clips; not scored\n"
    run(*train, "-o", data / "begun", "--model=m3t-visual.emotion-voxceleb", "--init-backbone", data / "run",
        "--set=emotion=senet")  # fmt: skip
    found, held = checkpoint.load(data / "begun").model.state_dict(), identity.state_dict()
    for stage, ours in ((0, "shared.0"), (3, "valence.0"), (4, "arousal.1")):
        weights = found[f"visual.backbone.{ours}.conv.weight"]
        assert torch.equal(weights, held[f"v2p.{stage}.conv.weight"])


def test_sound_on_another_clock_is_not_predicted(data: Path, write_features: Write) -> None:
    """The run records how the features were made that its windows name; predict holds others against that."""
    sound = np.ones((FRAMES, 4), np.float32)
    for folder, clock in (("official", "official"), ("other", "video")):
        write_features(data / folder, "a", sound, "logmel-stack", "audio", clock=clock)
    run("window", data / "official", "-o", data / "o.parquet", "--length=4", "--overlap=2")
    file = written(data / "w.pt", network("m3t-audio", *SMALL))
    imported(data, file, "m3t-audio", data / "o.parquet", *sets(*SMALL))
    assert description(data / "run")["features"]["logmel-stack"]["recipe"]["config"]["clock"] == "official"
    assert "1 made" in run("predict", data / "run", data / "official", "-o", data / "preds", "--device=cpu")
    with pytest.raises(SchemaError, match=r'made otherwise than those of the training \(config\.clock: "video", other'):
        run("predict", data / "run", data / "other", "-o", data / "preds", "--device=cpu")


def test_tensors_that_do_not_fit_are_all_listed(data: Path) -> None:
    state = to_released(network("m3t-audio", *SMALL))
    wrong = {name: one for name, one in state.items() if name != "audio.fc.0.bias"}
    wrong |= {"head.weight": torch.zeros(2, 3), "audio.fc.2.bias": torch.zeros(9)}
    wrong["audio.gru.bias_ih_l0"] = torch.full_like(state["audio.gru.bias_ih_l0"], torch.nan)
    torch.save(wrong, data / "w.pt")
    with pytest.raises(SchemaError, match=r"w\.pt: lacks audio") as caught:
        imported(data, data / "w.pt", "m3t-audio", data / "w.parquet", *sets(*SMALL))
    assert str(caught.value).startswith(
        f"{data / 'w.pt'}: lacks audio.fc.0.bias (3,); has in another shape audio.fc.2.bias (9,) for (2,); "
        "also has head.weight (2, 3); has NaN or infinity in audio.gru.bias_ih_l0, expected the tensors of"
    )
    torch.save(nn.Linear(2, 3).state_dict(), data / "w.pt")
    with pytest.raises(
        SchemaError, match=r"lacks audio\.gru\.weight_ih_l0 .* and \d+ more; also has weight \(3, 2\), bi"
    ):
        imported(data, data / "w.pt", "m3t-audio", data / "w.parquet", *sets(*SMALL))
    assert not (data / "run").exists()


class Code:
    """What runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self._marker),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_not_run(tmp_path: Path, zipped: bool) -> None:
    marker, path = tmp_path / "marker", tmp_path / "w.ckpt"
    state = {"audio.fc.0.bias": torch.zeros(3)}
    torch.save({"state_dict": state, "more": Code(marker)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        InputError, match=r"w\.ckpt: holds more than numbers \(posix\.mkdir\), which is not read"
    ) as caught:
        read_state(path)
    assert not marker.exists()
    assert "\n" not in str(caught.value)
    torch.load(path, weights_only=False)
    assert marker.is_dir()  # it would have been


def test_classes_are_told_how_to_be_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, state = tmp_path / "w.ckpt", {"audio.fc.0.bias": torch.arange(3.0)}
    torch.save({"state_dict": state, "hparams": argparse.Namespace(lr=1)}, path)
    with pytest.raises(
        InputError, match=r"\(argparse\.Namespace\), .* expected a state_dict alone; .*type in Py"
    ) as caught:
        read_state(path)
    monkeypatch.chdir(tmp_path)
    exec(str(caught.value).partition("type in Python: ")[2])  # the advice does what it says
    assert torch.equal(read_state(tmp_path / "weights.pt")["audio.fc.0.bias"], state["audio.fc.0.bias"])


def test_files_that_are_missing_damaged_or_something_else(tmp_path: Path) -> None:
    whole = tmp_path / "w.pt"
    torch.save({"a": torch.zeros(3, 4)}, whole)
    content = whole.read_bytes()
    tensors = safetensors.torch.save({"a": torch.zeros(3, 4)})
    files = {
        "cut.pt": content[: len(content) // 2], "empty.pt": b"", "text.pt": b"hello", "noise.pt": bytes(range(256)) * 9,
        "cut.safetensors": tensors[:-5], "text.safetensors": b"hello",
    }  # fmt: skip
    for name, one in files.items():
        (tmp_path / name).write_bytes(one)
    for name in (*files, "gone.pt", "gone.safetensors", "."):
        with pytest.raises(InputError, match=r"cannot be read \(.*check the path, or copy the file again") as caught:
            read_state(tmp_path / name)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 400
    for one, said in (
        ([1, 2], r"holds nothing by name \(list\)"),
        ({}, r"holds nothing by name \(dict\)"),
        (
            {"model": {"a": torch.zeros(2)}, "epoch": 3},
            r"holds model \(dict\), epoch \(int\), expected tensors by name",
        ),
        ({"state_dict": {"a": torch.zeros(2), "b": 1}}, r"holds b \(int\)"),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, r"holds a \(tensor of torch\.complex64, torch\.strided\)"),
        ({"a": torch.eye(2).to_sparse()}, r"holds a \(tensor of torch\.float32, torch\.sparse_coo\)"),
    ):
        torch.save(one, whole)
        with pytest.raises(SchemaError, match=said):
            read_state(whole)


def test_a_prefix_that_not_all_names_have_stays(tmp_path: Path) -> None:
    torch.save({"model.module.a": torch.zeros(1), "model.module.b": torch.ones(1)}, tmp_path / "w.pt")
    assert list(read_state(tmp_path / "w.pt")) == ["a", "b"]
    torch.save({"model.a": torch.zeros(1), "b": torch.ones(1)}, tmp_path / "w.pt")
    assert list(read_state(tmp_path / "w.pt")) == ["model.a", "b"]


@pytest.mark.parametrize(
    ("model", "options", "error", "said"),
    [
        ("gru-fusion", ["w.parquet"], UsageError, "--model gru-fusion: is no network of M3T, .* or --from keras"),
        ("m3t-visual", [], UsageError, "--model m3t-visual: sees crops, and there is no --crops"),
        ("m3t-audio", [], UsageError, "--model m3t-audio: reads features, and there is no WINDOWS"),
        ("m3t-visual.emotion", ["--crops", "crops"], UsageError, "m3t-visual.emotion: reads features, and there is no"),
        ("m3t-visual", ["w.parquet", "--crops", "crops", "--encoder=mel"], UsageError, "mel: is of no use to m3t-vis"),
        ("m3t-concat", ["--crops", "crops"], UsageError, "--model m3t-concat: reads features, and there is no WINDOWS"),
        ("m3t-visual", ["--crops", "crops", "--standardisation", "none"], UsageError, "none: is of no use to m3t-visu"),
        ("m3t-visual", ["--crops", "crops", "--encoder=mel"], UsageError, "--encoder mel: is of a windows table, and"),
        ("m3t-audio", ["w.parquet", "--crops", "crops"], UsageError, "crops: is of no use to m3t-audio, which sees"),
        ("m3t-audio", ["w.parquet", "--order", "mel"], UsageError, "--order mel: is of no use to --from m3t, .* --set"),
        ("m3t-audio", ["w.parquet", "--preset", "old"], UsageError, "--preset old: is none of this network, expected"),
        ("v2p-identity", ["w.parquet"], UsageError, "w.parquet: is of no use to v2p-identity, which tells"),
        ("m3t-visual", ["--crops", "labels"], InputError, "labels: "),
    ],
)  # fmt: skip
def test_wrong_options(data: Path, model: str, options: list[str], error: type[AffcliError], said: str) -> None:
    names = {"w.parquet", "crops", "labels"}
    given = [data / one if one in names else one for one in options]
    with pytest.raises(error, match=said) as caught:
        imported(data, data / "gone.pt", model, *given)
    assert "\n" not in str(caught.value)
    assert not (data / "run").exists()


def test_networks_of_m3t_are_none_of_kerass(data: Path) -> None:
    with pytest.raises(UsageError, match=r"--model m3t-visual: is no network that Keras trained, .* or --from m3t"):
        run("import-checkpoint", data / "w.npz", "-o", data / "run", "--from", "keras", "--model", "m3t-visual")
    with pytest.raises(UsageError, match="--model gru-audio: reads features, and there is no WINDOWS"):
        run("import-checkpoint", data / "w.npz", "-o", data / "run", "--from", "keras", "--model", "gru-audio")
