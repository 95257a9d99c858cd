"""affcli train --model v2p-identity: people told apart by tracks of their faces, and M3T that begins with that."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import safetensors.numpy
import torch
from commands import invoke, run
from numpy.typing import NDArray

from affcli.cli import people as people_module
from affcli.configs import M3tIdentity
from affcli.errors import AffcliError, InputError, SchemaError, UsageError
from affcli.training.data import ClipData, WindowedClips
from affcli.training.fit import Fit
from affcli.training.tracks import apart, held_out

torch.set_num_threads(1)

Write = Callable[..., Path]
PEOPLE, TRACKS, FRAMES = ("ann", "bob", "cat"), 4, 10
SMALL = ["--set", "channels=3,4,4,5,6", "--device", "cpu"]
IDENTITY = ["--model", "v2p-identity", "--set", "classes=3", "--set", "frames=8", "--set", "identity_units=6", *SMALL]
QUICK = [*IDENTITY, "--epochs", 2, "--batch", 5, "--lr", 0.05]


def moving(person: int, track: int) -> NDArray[np.uint8]:
    """Pictures (10, 112, 112, 3) of one person: coloured squares, which move otherwise in each track, and noise."""
    random = np.random.default_rng([person, track])
    squares = np.random.default_rng(person).integers(0, 256, (4, 4, 3)).repeat(28, 0).repeat(28, 1)
    down, right = random.integers(-3, 4, 2)
    frames = np.stack([np.roll(squares, (down * i, right * i), (0, 1)) for i in range(FRAMES)])
    return np.clip(frames + random.normal(0, 10, frames.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def data(tmp_path: Path, made: Path, write_faces: Write) -> Path:
    """Four tracks of each of three people, in a directory per person, and a training on them."""
    if not list(made.iterdir()):
        for number, person in enumerate(PEOPLE):
            for track in range(TRACKS):
                write_faces(made / "tracks" / person, f"t{track}", moving(number, track), np.ones(FRAMES, np.bool_))
        run("train", made / "tracks", "-o", made / "run", *QUICK)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def described(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "best.json").read_text())
    return found


def refused(text: str, kind: type[AffcliError], *arguments: object) -> None:
    with pytest.raises(kind, match=text):
        invoke(*arguments)


def test_people_are_learnt_to_be_told_apart(data: Path) -> None:
    learns = ["--epochs", 12, "--batch", 9, "--per-clip", 4, "--optimizer", "adam", "--lr", 0.02, "--flip", 0]
    run("train", data / "tracks", "-o", data / "learnt", *IDENTITY, *learns)
    lines = [json.loads(line) for line in (data / "learnt/metrics.jsonl").read_text().splitlines()]
    assert described(data / "learnt")["validation"] == {"accuracy": 1.0}  # of tracks that were held out; chance is 1/3
    assert set(lines[0]) == {"epoch", "train_loss", "val_accuracy", "lr"}
    assert min(line["train_loss"] for line in lines) < 0.5 * np.log(3)


def test_a_checkpoint_says_who_was_learnt_and_info_tells_it(data: Path) -> None:
    known = described(data / "run")
    assert (known["model"], known["people"], known["features"]) == ("v2p-identity", list(PEOPLE), {})
    assert known["windows"] == {"length": 8, "overlap": 0}
    inputs = known["inputs"]
    assert isinstance(inputs, list)
    assert [(one["person"], one["name"]) for one in inputs] == [
        (person, f"t{track}.faces.parquet") for person in PEOPLE for track in range(TRACKS)
    ]
    told = invoke("info", data / "run").stdout
    assert 'people: ["ann", "bob", "cat"]' in told and "share of validation windows whose person is told" in told


def test_the_settings_are_those_of_the_paper_where_nothing_is_said(data: Path) -> None:
    config = (data / "run/config.toml").read_text().splitlines()
    said = ['optimizer = "sgd"', "momentum = 0.9", "weight_decay = 0.0005", 'schedule = "plateau"', "flip = 0.5"]
    for line in [*said, "jitter = 0.1", "per_clip = 1"]:
        assert line in config
    assert M3tIdentity().frames == 16


def test_a_csv_file_says_the_same_as_directories(data: Path, write_faces: Write) -> None:
    flat = data / "flat"
    lines = ["clip,person", "gone,dan"]
    for number, person in enumerate(PEOPLE):
        for track in range(TRACKS):
            write_faces(flat, f"{person}_t{track}", moving(number, track), np.ones(FRAMES, np.bool_))
            lines.append(f"{person}_t{track},{person}")
    (data / "people.csv").write_text("\n".join(lines))
    said = run("train", flat, "-o", data / "two", "--people", data / "people.csv", *QUICK)
    assert "names clips that have no crops, not used: gone" in said
    assert described(data / "two")["people"] == list(PEOPLE)
    (data / "people.csv").write_text((data / "people.csv").read_text().replace("clip,person", "clip,subject"))
    assert "up to date" in run("train", flat, "-o", data / "two", "--people", data / "people.csv", *QUICK)


def test_a_training_that_was_broken_off_goes_on_to_the_same_bytes(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, calls = Fit._pass, []

    def break_off(fit: Fit, order: NDArray[np.int64]) -> float:
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return whole(fit, order)

    with monkeypatch.context() as patch:
        patch.setattr(Fit, "_pass", break_off)
        assert invoke("train", data / "tracks", "-o", data / "cut", *QUICK).exit_code == 130
    assert "goes on after epoch 1" in run("train", data / "tracks", "-o", data / "cut", *QUICK)
    for name in ("best.safetensors", "best.json", "metrics.jsonl"):
        assert (data / "cut" / name).read_bytes() == (data / "run" / name).read_bytes()


def test_two_processes_learn_together(data: Path, affcli: Callable[..., CompletedProcess[str]]) -> None:
    done = affcli("train", data / "tracks", "-o", data / "both", *QUICK, "--devices", 2, cwd=data)
    assert done.returncode == 0, done.stderr
    recipe = described(data / "both")["recipe"]
    assert isinstance(recipe, dict) and recipe["config"]["devices"] == 2
    one, two = (safetensors.numpy.load_file(data / name / "best.safetensors") for name in ("run", "both"))
    epochs = [described(data / name)["epoch"] for name in ("run", "both")]
    assert epochs[0] == epochs[1]
    for name, values in one.items():
        assert np.allclose(values, two[name], atol=2e-4), name


def test_m3t_begins_with_the_backbone_that_was_learnt(
    data: Path, write_faces: Write, write_features: Write, write_labels: Write
) -> None:
    random = np.random.default_rng(0)
    for number, clip in enumerate(("v", "w")):
        write_faces(data / "crops", clip, moving(number, 9), np.ones(FRAMES, np.bool_))
        write_features(data / "features", clip, random.normal(size=(FRAMES, 2)))
        write_labels(data / "labels", clip, random.uniform(-1, 1, (FRAMES, 2)))
    cut = ["--labels", data / "labels", "--length", 4, "--overlap", 0, "--val-share", 0.5]
    run("window", data / "features", "-o", data / "w.parquet", *cut)
    small = ["--model", "m3t-visual", *SMALL, "--set", "visual_units=3", "--epochs", 1, "--per-clip", 2, "--lr", 0]
    begins = ["--lr-min", 0, "--init-backbone", data / "run", "--crops", data / "crops"]
    run("train", data / "w.parquet", "-o", data / "m3t", *small, *begins)
    learnt, begun = (safetensors.numpy.load_file(data / name / "best.safetensors") for name in ("run", "m3t"))
    for stage in range(5):
        for branch in ["shared"] if stage < 3 else ["valence", "arousal"]:
            place = f"model.visual.backbone.{branch}.{stage - 3 * (stage > 2)}"
            for name in ("conv.weight", "conv.bias", "norm.weight", "norm.bias"):
                assert np.array_equal(begun[f"{place}.{name}"], learnt[f"model.v2p.{stage}.{name}"]), (branch, name)
    known = described(data / "m3t")["recipe"]
    assert isinstance(known, dict)
    assert known["weights"] == {"init backbone": described(data / "run")["tensors"]}
    other = ["channels=3,4,4,5,7" if one == "channels=3,4,4,5,6" else one for one in [*small, *begins]]
    refused("channels", SchemaError, "train", data / "w.parquet", "-o", data / "x", *other)


def test_a_short_track_is_left_out_and_said(data: Path, write_faces: Write) -> None:
    valid = np.arange(FRAMES) != 4
    write_faces(data / "tracks/bob", "t4", moving(1, 4), valid)
    said = run("train", data / "tracks", "-o", data / "two", *QUICK)
    assert "bob/t4: nowhere 8 frames in a row with a face: left out" in said
    assert described(data / "two")["inputs"] == described(data / "run")["inputs"]


def test_what_does_not_fit_is_refused(data: Path) -> None:
    train = ["train", data / "tracks", "-o", data / "x", *QUICK]
    refused("3 people of .*--set classes=3", UsageError, *[one if one != "classes=3" else "classes=4" for one in train])
    refused("3 people of .*--set classes=3", UsageError, *[one if one != "classes=3" else "classes=2" for one in train])
    for option, value in (("--crops", data / "tracks"), ("--encoder", "hog"), ("--flip-features", data)):
        refused(f"{option} .*of no use", UsageError, *train, option, value)
    for several in (["--seeds", 2], ["--folds", 2]):
        refused("--model v2p-identity: is trained once", UsageError, *train, *several)
    refused("--people .*of no use", UsageError, "train", data / "w", "-o", data / "x", "--people", data / "p.csv")
    assert not (data / "x").exists()


def test_tracks_that_are_no_use_are_refused(data: Path, write_faces: Write) -> None:
    def refused_of(text: str, kind: type[AffcliError] = InputError, *more: object) -> None:
        refused(text, kind, "train", data / "tracks", "-o", data / "x", *QUICK, *more)

    refused("does not exist", InputError, "train", data / "none", "-o", data / "x", *QUICK)
    (data / "empty").mkdir()
    refused("holds no directory", InputError, "train", data / "empty", "-o", data / "x", *QUICK)
    lone = data / "tracks/t0.faces.parquet"
    shutil.copy(data / "tracks/ann/t0.faces.parquet", lone)
    refused_of("has tables beside .*t0.faces.parquet: whom they show is not said")
    (data / "people.csv").write_text("clip,person\nt1,ann\n")
    refused_of("does not say who is seen in t0", InputError, "--people", data / "people.csv")
    (data / "people.csv").write_text("clip,name\nt0,ann\n")
    refused_of("has no column 'person' in line 1 .'clip,name'.", InputError, "--people", data / "people.csv")
    lone.unlink()
    kept = data / "kept"
    shutil.move(data / "tracks/cat", kept)
    (data / "tracks/cat").mkdir()
    refused_of("cat: holds no table of faces")
    write_faces(data / "tracks/cat", "t0", np.zeros((FRAMES, 120, 120, 3), np.uint8), np.ones(FRAMES, np.bool_))
    refused_of("cat: has crops of 120 x 120 px, expected 112 x 112 px", SchemaError)
    shutil.rmtree(data / "tracks/cat")
    shutil.copytree(kept, data / "tracks/cat")
    for track in range(1, TRACKS):
        (data / f"tracks/cat/t{track}.faces.parquet").unlink()
    refused_of(r"fewer than two tracks of cat \(1\)")
    shutil.rmtree(data / "tracks/cat")
    shutil.copytree(kept, data / "tracks/cat")
    (data / "tracks/cat/t3.faces.npy").unlink()
    refused_of("t3.faces.npy: is missing")
    assert not (data / "x").exists()


def test_of_many_tracks_few_files_are_open_at_a_time(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = functools.lru_cache(2)(people_module._opened.__wrapped__)
    monkeypatch.setattr(people_module, "_opened", few)
    most = []
    whole = Fit._pass

    def counted(fit: Fit, order: NDArray[np.int64]) -> float:
        loss = whole(fit, order)
        most.append(few.cache_info().currsize)
        return loss

    monkeypatch.setattr(Fit, "_pass", counted)
    run("train", data / "tracks", "-o", data / "two", *QUICK)
    assert most == [2, 2]
    assert (data / "two/best.safetensors").read_bytes() == (data / "run/best.safetensors").read_bytes()


def test_a_tenth_of_each_persons_tracks_is_held_out_whoever_else_there_is() -> None:
    tracks = {"a": [f"t{i}" for i in range(30)], "b": ["t0", "t1"], "c": [f"t{i}" for i in range(4)]}
    held = held_out(tracks, 0.1, 0)
    assert {person: len(one) for person, one in held.items()} == {"a": 3, "b": 1, "c": 1}
    assert all(held[person] < set(names) for person, names in tracks.items())
    assert held_out({"c": tracks["c"], "b": tracks["b"]}, 0.1, 0) == {"b": held["b"], "c": held["c"]}
    assert held_out(tracks, 0.1, 1) != held
    assert len(held_out({"b": ["t0", "t1"]}, 0.9, 0)["b"]) == 1
    without: list[str] = []
    for wrong in ({"a": ["t0"]}, {"a": without}):
        with pytest.raises(ValueError):
            held_out(wrong, 0.1, 0)


def test_validation_windows_share_no_frame() -> None:
    clips = [ClipData(name, {}, {}, np.zeros((9, 2)), np.ones(9, np.bool_)) for name in "ab"]
    start = np.array([0, 1, 2, 3, 5, 6, 1, 4, 5])
    windows = WindowedClips(clips, np.array([0] * 6 + [1] * 3), start, np.full(9, 3))
    chosen = apart(windows)
    assert list(zip(chosen.clip.tolist(), chosen.start.tolist(), strict=True)) == [
        (0, 0), (0, 3), (0, 6), (1, 1), (1, 4),
    ]  # fmt: skip


def test_tracks_may_lie_deeper_with_names_that_come_again(data: Path) -> None:
    for person in PEOPLE:
        for track in range(TRACKS):
            for path in sorted((data / "tracks" / person).glob(f"t{track}.faces.*")):
                folder = data / "deep" / person / ("one" if track < 2 else "two") / "more"
                folder.mkdir(parents=True, exist_ok=True)
                shutil.move(path, folder / path.name)
    flat = data / "deep" / "ann" / "two" / "more"
    for end in ("npy", "parquet"):
        (flat / f"t3.faces.{end}").rename(data / "deep" / "ann" / f"t3.faces.{end}")
    run("train", data / "deep", "-o", data / "other", *QUICK)
    known = described(data / "other")
    assert known["people"] == list(PEOPLE)
    assert len(known["inputs"]) == len(PEOPLE) * TRACKS  # type: ignore[arg-type]
    (data / "deep" / "dan").mkdir()
    with pytest.raises(InputError, match=r"dan: holds no table of faces.*affcli extract-faces"):
        run("train", data / "deep", "-o", data / "other", *QUICK)
