"""affcli train with crops: what it takes, M3T's stages, and the runs that a training begins with."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import invoke, run
from safetensors.torch import load_file

from affcli import recipes, tables
from affcli.errors import AffcliError, InputError, SchemaError, UsageError
from affcli.labels.affect import Affect
from affcli.schemas import AFFECT
from affcli.training.description import read_description, read_metrics

torch.set_num_threads(1)

Write = Callable[..., Path]
FRAMES = 24
SMALL = [
    *("--set", "channels=2,3,3,4,4", "--set", "visual_units=3", "--set", "audio_units=3"),
    *("--epochs", 1, "--batch", 4, "--per-clip", 3, "--device", "cpu", "--lr", 0.01),
]
FUSED = [*SMALL, "--set", "fusion_units=3"]
STAGES = """
[training]
epochs = 1
batch = 4
per_clip = 3
lr = 0.01

[network]
channels = [2, 3, 3, 4, 4]
visual_units = 3
audio_units = 3
fusion_units = 3

[stages.visual]
model = "m3t-visual"

[stages.audio]
model = "m3t-audio"

[stages.fuse]
model = "m3t-concat.demo"
init = { visual = "visual", audio = "audio" }
training = { stage = "fuse" }

[stages.end-to-end]
model = "m3t-concat.demo"
init = { whole = "fuse" }
training = { schedule = "milestones", milestones = "1", epochs = 2, lr = 0.001 }
"""


@pytest.fixture
def data(made: Path, tmp_path: Path, write_features: Write, write_faces: Write) -> Path:
    """Four clips: crops as bright as valence, sound that follows arousal, a face feature, labels with expressions."""
    if not list(made.iterdir()):
        rng = np.random.default_rng(0)
        for i, name in enumerate("abcd"):
            t = np.arange(FRAMES)
            affect = 0.7 * np.stack([np.sin(t / 4 + i), np.cos(t / 3 + i)], axis=-1)
            noise = rng.normal(0, 0.05, (FRAMES, 5))
            write_features(made / "features", name, affect[:, 1:] + noise[:, :4], "mel", "audio")
            write_features(made / "features", name, affect[:, :1] + noise)
            crops = np.clip(rng.normal(128, 20, (FRAMES, 116, 116, 3)) + 90 * affect[:, :1, None, None], 0, 255)
            write_faces(made / "faces", name, crops.astype(np.uint8), t != 20)
            classes = np.where(affect[:, 0] > 0, 4, 5).astype(np.int8)
            classes[::5] = -1
            columns = Affect(name, affect[:, 0], affect[:, 1], expression=classes).columns()
            path = made / "labels" / f"{name}.affect.parquet"
            tables.write(path, AFFECT, columns, recipe=recipes.recipe("import-labels", {}), inputs=[], facts={})
        cut = ["--length", 8, "--overlap", 4, "--val-share", 0.25]
        run("window", made / "features", "--labels", made / "labels", "-o", made / "w.parquet", *cut)
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path


def train(data: Path, out: str, *options: object, crops: bool = True) -> Path:
    seen = ["--crops", data / "faces"] if crops else []
    run("train", data / "w.parquet", "-o", data / out, *seen, *options)
    return data / out


def files(run: Path) -> dict[str, bytes]:
    return {str(one.relative_to(run)): one.read_bytes() for one in sorted(run.rglob("*")) if one.is_file()}


def test_a_network_that_sees_remembers_what(data: Path) -> None:
    found = train(data, "run", "--model", "m3t-visual", *SMALL)
    known = read_description(found)
    assert known.features == {} and known.crops is not None
    assert known.crops.side == 116
    assert known.crops.recipe["step"] == "extract-faces"
    names = {one["name"] for one in known.inputs}
    assert names == {"w.parquet", *(f"{clip}.faces.parquet" for clip in "abcd")}
    before = files(found)
    assert "up to date" in run(
        "train", data / "w.parquet", "-o", found, "--crops", data / "faces", "--model", "m3t-visual", *SMALL
    )
    assert files(found) == before


def test_static_features_and_expressions_are_learnt_beside(data: Path) -> None:
    found = train(data, "run", "--model", "m3t-visual.multitask", *SMALL)
    assert list(read_description(found).features) == ["hog"]
    scores = read_metrics(found)[0]
    assert 0 <= scores["val_expression_accuracy"] <= 1 and "val_expression_f1" in scores
    weighted = train(data, "two", "--model", "m3t-visual.multitask", *SMALL, "--expression-weight", 3)
    assert read_metrics(weighted)[0]["train_loss"] > scores["train_loss"] + 1  # ln 7 each


def test_flipped_features_go_with_flipped_crops(data: Path) -> None:
    for path in sorted((data / "features").glob("*.hog.parquet")):
        table = tables.read(path, tables.read_header(path).schema)
        recipe = {**table.header.recipe, "config": {**table.header.recipe["config"], "flip": True}}
        columns = {name: table.column(name) for name in table.data.column_names}
        array = -np.asarray(table.array())
        where = data / "flipped" / path.name
        tables.write(
            where, table.header.schema, columns, recipe=recipe, inputs=[], facts=table.header.facts, array=array
        )
    options = ["--model", "m3t-visual.emotion", *SMALL, "--flip", 1]
    one = train(data, "one", *options)
    two = train(data, "two", *options, "--flip-features", data / "flipped")
    assert (one / "best.safetensors").read_bytes() != (two / "best.safetensors").read_bytes()
    never = train(data, "never", *options[:-1], 0, "--flip-features", data / "flipped")
    plain = train(data, "plain", *options[:-1], 0)
    assert (never / "best.safetensors").read_bytes() == (plain / "best.safetensors").read_bytes()
    assert len(read_description(two).inputs) == 1 + 2 * 4


def test_presets_stand_between_options_and_defaults(data: Path) -> None:
    for preset, wanted in (
        ("paper", {"schedule": "cyclic", "lr_min": 1e-7, "ccc_moments": "population", "order": "rgb"}),
        ("official", {"schedule": "plateau", "expression_over": "all", "ccc_moments": "mixed", "order": "bgr"}),
    ):
        options = ["--model", "m3t-visual", *SMALL, "--preset", preset, "--set", "crop=112", "--weight-decay", 0.5]
        found = train(data, preset, *options)
        recipe = read_description(found).recipe["config"]
        every = {**recipe, **recipe["network"]}
        assert {name: every[name] for name in wanted} == wanted
        assert every["weight_decay"] == 0.5 and every["loss"] == "ccc" and every["crop"] == 112
        again = train(data, f"{preset}-again", "--config", found / "config.toml", "--device", "cpu")
        assert files(again) == files(found)


def test_frozen_encoders_stay_what_they_were_and_end_to_end_they_learn(data: Path) -> None:
    visual = train(data, "visual", "--model", "m3t-visual", *SMALL)
    audio = train(data, "audio", "--model", "m3t-audio", *SMALL, crops=False)
    inits = ["--init-visual", visual, "--init-audio", audio]
    fused = train(data, "fused", "--model", "m3t-concat.demo", *FUSED, "--stage", "fuse", *inits)
    whole = train(data, "whole", "--model", "m3t-concat.demo", *FUSED, "--init", fused)
    streams = {**load_file(visual / "best.safetensors"), **load_file(audio / "best.safetensors")}
    frozen, learnt = load_file(fused / "best.safetensors"), load_file(whole / "best.safetensors")
    kept = [name for name in frozen if name.startswith(("model.visual.", "model.audio."))]
    assert len(kept) > 40 and any("running_var" in name for name in kept)
    for name in kept:
        assert torch.equal(frozen[name], streams[name]), name
    assert not all(torch.equal(frozen[name], learnt[name]) for name in kept)
    assert not torch.equal(frozen["model.projection.weight"], learnt["model.projection.weight"])
    assert torch.equal(frozen["standardisation.mel.mean"], streams["standardisation.mel.mean"])
    recipe = read_description(fused).recipe
    assert list(recipe["weights"]) == ["init audio", "init visual"]
    assert 'visual = "' in (fused / "config.toml").read_text()


def test_one_file_trains_all_stages_and_goes_on_anywhere(data: Path) -> None:
    (data / "s.toml").write_text(STAGES)
    whole = train(data, "whole", "--stages", data / "s.toml", "--device", "cpu")
    names = ["visual", "audio", "fuse", "end-to-end"]
    assert sorted(one.name for one in whole.iterdir()) == sorted([*names, "stages.toml"])
    assert len(read_metrics(whole / "end-to-end")) == 2
    for gone in range(len(names)):
        shutil.copytree(whole, data / "part")
        for name in names[gone:]:
            shutil.rmtree(data / "part" / name)
        said = run(
            "train", data / "w.parquet", "-o", data / "part", "--crops", data / "faces", "--resume", "--device", "cpu"
        )
        assert said.count("up to date") == gone
        for name in names:
            best = f"{name}/best.safetensors"
            assert (data / "part" / best).read_bytes() == (whole / best).read_bytes()
        shutil.rmtree(data / "part")


def test_dry_run_tells_the_size_of_every_stage(data: Path) -> None:
    (data / "s.toml").write_text(STAGES)
    words = ["train", data / "w.parquet", "-o", data / "s", "--crops", data / "faces", "--stages", data / "s.toml"]
    found = invoke(*words, "--dry-run")
    assert found.exit_code == 0
    assert found.stdout.count("parameters: ") == 4 and "clip: 4 x 3 x 8 x 112 x 112" in found.stdout
    assert not (data / "s").exists()


@pytest.mark.parametrize("example", ["m3t", "m3t-demo"])
def test_the_examples_name_stages_that_there_are(example: str) -> None:
    from affcli.cli.one_run import Job
    from affcli.cli.staged import stages_of

    path = Path(__file__).parents[1] / "examples" / f"{example}.toml"
    jobs = stages_of(path, {}, (), Path("out"), lambda out, choice: Job(Path("w"), out, choice, "cpu", "keep"))
    assert list(jobs) == ["visual", "audio", "fuse", "end-to-end"]
    assert jobs["fuse"].choice.init == {"visual": "out/visual", "audio": "out/audio"}
    assert jobs["fuse"].choice.training.stage == "fuse"


def refused(kind: type[AffcliError], match: str, *words: object) -> None:
    with pytest.raises(kind, match=match):
        run("train", *words)


def test_crops_where_they_are_needed_and_only_there(data: Path) -> None:
    w, out = data / "w.parquet", ["-o", data / "x"]
    refused(
        UsageError, "--model m3t-visual: sees crops, and there is no --crops", w, *out, "--model", "m3t-visual", *SMALL
    )
    refused(
        UsageError,
        "--model m3t-audio: sees nothing",
        w,
        *out,
        "--model",
        "m3t-audio",
        "--crops",
        data / "faces",
        *SMALL,
    )
    one = ["--model", "m3t-visual", "--crops", data / "faces", *SMALL]
    refused(UsageError, "--flip-features .*reads no features", w, *out, *one, "--flip-features", data / "features")
    refused(UsageError, "--preset best: is none of this network.*paper or official", w, *out, *one, "--preset", "best")
    refused(UsageError, "--preset paper: is none", w, *out, "--model", "gru-audio", "--preset", "paper")
    refused(
        UsageError,
        "--model m3t-visual.emotion-voxceleb.*--init-backbone",
        w,
        *out,
        *one,
        "--model",
        "m3t-visual.emotion-voxceleb",
    )
    assert not (data / "x").exists()


def test_crops_that_do_not_fit(data: Path, write_faces: Write) -> None:
    words = [data / "w.parquet", "-o", data / "x", "--model", "m3t-visual", "--crops", data / "faces", *SMALL]
    small = np.zeros((FRAMES, 96, 96, 3), np.uint8)
    write_faces(data / "faces", "b", small, np.ones(FRAMES, np.bool_))
    refused(SchemaError, "96", *words)
    short = np.zeros((FRAMES - 3, 116, 116, 3), np.uint8)
    write_faces(data / "faces", "b", short, np.ones(FRAMES - 3, np.bool_))
    refused(SchemaError, f"{FRAMES - 3}.*{FRAMES}", *words)
    (data / "faces" / "b.faces.parquet").unlink()
    refused(InputError, "clip 'b'|b: .*extract-faces", *words)
    for clip in "abcd":
        write_faces(data / "faces", clip, np.zeros((FRAMES, 116, 116, 3), np.uint8), np.arange(FRAMES) % 5 != 0)
    refused(InputError, "have no window to train on.*8 frames in a row with labels and a face", *words)


def test_runs_that_a_training_cannot_begin_with(data: Path) -> None:
    def wider(word: object) -> object:
        return "visual_units=4" if word == "visual_units=3" else word

    visual = train(data, "visual", "--model", "m3t-visual", *SMALL)
    bgr = train(data, "bgr", "--model", "m3t-visual", *SMALL, "--set", "order=bgr")
    audio = train(data, "audio", "--model", "m3t-audio", *SMALL, crops=False)
    words = [data / "w.parquet", "-o", data / "x", "--model", "m3t-concat.demo", "--crops", data / "faces", *FUSED]
    fuse = [*words, "--stage", "fuse"]
    refused(UsageError, "--stage fuse.*no --init-visual and no --init-audio", *fuse)
    refused(UsageError, "no --init-audio", *fuse, "--init-visual", visual)
    both = [*fuse, "--init-audio", audio, "--init-visual"]
    refused(SchemaError, "bgr: was trained with other settings .order bgr, here rgb", *both, bgr)
    refused(SchemaError, "audio: is a network of audio.*expected a network of visual", *both, audio)
    refused(SchemaError, r"other settings \(visual_units 3, here 4\)", *map(wider, both), visual)
    refused(InputError, "nowhere: does not exist", *both, data / "nowhere")
    refused(SchemaError, "is another network|is a network of visual", *words, "--init-backbone", visual)
    refused(
        UsageError,
        "--stage fuse: is of a network of two streams",
        *words[:3],
        "--model",
        "gru-audio",
        "--stage",
        "fuse",
        "--init",
        audio,
    )
    # The same features by another clock.
    for path in sorted((data / "features").glob("*.mel.parquet")):
        table = tables.read(path, tables.read_header(path).schema)
        recipe = {**table.header.recipe, "config": {**table.header.recipe["config"], "clock": "official"}}
        columns = {name: table.column(name) for name in table.data.column_names}
        array = np.array(table.array())
        tables.write(
            path, table.header.schema, columns, recipe=recipe, inputs=[], facts=table.header.facts, array=array
        )
    cut = ["--length", 8, "--overlap", 4, "--val-share", 0.25, "--force"]
    run("window", data / "features", "--labels", data / "labels", "-o", data / "w.parquet", *cut)
    refused(SchemaError, "audio: was trained on mel features that were made otherwise.*clock", *both, visual)


def test_expressions_that_cannot_be_learnt(data: Path) -> None:
    words = [data / "w.parquet", "-o", data / "x", "--crops", data / "faces", *SMALL, "--model", "m3t-visual"]
    refused(SchemaError, "expressions of clip .: class . in frame .*0 to 3", *words, "--set", "expressions=4")
    refused(InputError, "no labels of action units.*--action-units", *words, "--set", "action_units=au1,au12")


def test_files_of_stages_that_are_wrong(data: Path) -> None:
    words = [data / "w.parquet", "-o", data / "x", "--crops", data / "faces", "--stages", data / "s.toml"]
    for text, message in (
        ("[training]\nlr = 1.0\n", "names no stages"),
        ("model = 'm3t-audio'\n[stages.a]\nmodel = 'm3t-audio'\n", "model: cannot be common to all stages"),
        ("[stages.a]\ntraining = { lr = 1.0 }\n", "names no model"),
        ("[stages.a]\nmodel = 'm3t-audio'\nlr = 1.0\n", r"\[stages.a\]: lr: is no part"),
        ("[stages.a]\nmodel = 'm3t-audio'\ntraining = { rate = 1.0 }\n", r"\[stages.a\].*rate.*no setting"),
        ("[stages.a]\nmodel = 'm3t-concat'\ninit = { visual = 'b' }\n", "names 'b'"),
        ("[stages.a]\nmodel = 'm3t-concat'\ninit = { sound = 'b' }\n", r"\[init\] sound"),
    ):
        (data / "s.toml").write_text(text)
        refused(UsageError, message, *words)
    (data / "s.toml").write_text(STAGES)
    refused(UsageError, "--model: does not go with the stages", *words, "--model", "m3t-audio")
    refused(UsageError, "--milestones 0: is no list of epochs", *words, "--schedule", "milestones", "--milestones", "0")


@pytest.mark.parametrize(
    ("model", "words", "message"),
    [
        ("m3t-audio", ["--flip", 0.3], "--flip 0.3: is of no use to --model m3t-audio, which sees nothing"),
        ("gru-audio", ["--cutout", 4], "--cutout 4: is of no use"),
        ("m3t-audio", ["--expression-weight", 3], "--expression-weight 3.0: .* which learns no expressions"),
        ("m3t-audio", ["--au-weight", 3], "--au-weight 3.0: .* which learns no action units"),
        ("m3t-audio", ["--per-clip", 0, "--missing-share", 0.2], "--missing-share 0.2: .*the windows as they were cut"),
        ("m3t-audio", ["--loss", "mse", "--ccc-over", "window"], "--ccc-over window: .*no concordance"),
        ("m3t-audio", ["--momentum", 0.5], "--momentum 0.5: .*expected --optimizer sgd"),
        ("m3t-audio", ["--cycle-up", 2], "--cycle-up 2.0: .*expected --schedule cyclic"),
        ("m3t-audio", ["--schedule", "constant", "--lr-min", 0], "--lr-min 0.0: .*expected --schedule cosine"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(data: Path, model: str, words: list[object], message: str) -> None:
    refused(UsageError, message, data / "w.parquet", "-o", data / "x", "--model", model, "--encoder", "mel", *words)
    assert not (data / "x").exists()


def test_an_option_is_of_use_where_one_of_the_stages_or_points_uses_it(data: Path) -> None:
    (data / "s.toml").write_text(STAGES)
    words = [data / "w.parquet", "-o", data / "x", "--device", "cpu", "--dry-run"]
    seen = ["--crops", data / "faces"]
    assert invoke("train", *words, "--stages", data / "s.toml", *seen, "--flip", 0.1).exit_code == 0
    refused(UsageError, "--jitter 0.1: is of no use to --model gru-audio, m3t-audio", *words, "--encoder", "mel",
            "--grid", grid(data, 'model = ["gru-audio", "m3t-audio"]'), "--jitter", 0.1)  # fmt: skip
    (data / "s.toml").write_text("[stages.a]\nmodel = 'm3t-audio'\n")
    refused(UsageError, "--model m3t-audio: sees nothing", *words, "--stages", data / "s.toml", *seen)


def grid(data: Path, text: str) -> Path:
    (data / "g.toml").write_text(text)
    return data / "g.toml"


def test_a_preset_that_a_file_overrules_is_refused(data: Path) -> None:
    options = ["--model", "m3t-visual", *SMALL, "--preset", "official", "--set", "crop=112"]
    found = train(data, "run", *options)
    words = [data / "w.parquet", "-o", data / "x", "--crops", data / "faces", "--config", found / "config.toml"]
    refused(
        UsageError, r"--preset paper: changes nothing: .*config.toml .*\(clip, schedule", *words, "--preset", "paper"
    )
    kept = [data / "w.parquet", "-o", found, "--crops", data / "faces", "--resume"]
    assert "up to date" in run("train", *kept, *options)


def test_runs_that_a_training_begins_with_are_found_from_anywhere(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(data)
    train(Path(), "visual", "--model", "m3t-visual", *SMALL)
    train(Path(), "audio", "--model", "m3t-audio", *SMALL, crops=False)
    inits = ["--init-visual", "visual", "--init-audio", "audio"]
    train(Path(), "deep/fused", "--model", "m3t-concat.demo", *FUSED, "--stage", "fuse", *inits)
    assert 'visual = "../../visual"' in (data / "deep/fused/config.toml").read_text()
    (data / "other").mkdir()
    monkeypatch.chdir(data / "other")
    words = ["train", "../w.parquet", "--crops", "../faces", "--device", "cpu"]
    assert "up to date" in run(*words, "-o", "../deep/fused", "--resume")
    run(*words, "-o", "again", "--config", "../deep/fused/config.toml")
    assert (data / "other/again/best.safetensors").read_bytes() == (data / "deep/fused/best.safetensors").read_bytes()


def test_a_run_does_not_begin_with_itself(data: Path) -> None:
    found = train(data, "audio", "--model", "m3t-audio", *SMALL, crops=False)
    before = files(found)
    words = [data / "w.parquet", "-o", found, "--model", "m3t-audio", *SMALL]
    refused(UsageError, "--init .*audio: is RUN itself", *words, "--init", found)
    assert files(found) == before


SEARCH = """
model = ["m3t-audio", "m3t-visual.multitask"]
[training]
epochs = 1
batch = 4
per_clip = 2
[network]
visual_units = 2
audio_units = 2
channels = [2, 2, 2, 2, 2]
"""


def test_a_search_over_networks_that_see_and_those_that_do_not(data: Path) -> None:
    words = ["--grid", grid(data, SEARCH), "--set", "visual_units=3", "--device", "cpu"]
    refused(
        UsageError, "m3t-visual.multitask: sees crops, and there is no", data / "w.parquet", "-o", data / "x", *words
    )
    assert not (data / "x").exists()
    found = train(data, "g", *words)
    assert "expression_f1" in (found / "runs.csv").read_text().splitlines()[0]
    for number in (1, 2):
        own = (found / f"point-{number}/config.toml").read_text()
        assert 'optimizer = "adam"' in own and 'loss = "ccc"' in own and "visual_units = 3" in own
    assert "lr = 5e-05" in own and "lr = 0.0001" in (found / "point-1/config.toml").read_text()
    before = files(found)
    shutil.rmtree(found / "point-2")
    said = run("train", data / "w.parquet", "-o", found, "--crops", data / "faces", "--resume", "--device", "cpu")
    assert "point-1: up to date" in said and files(found) == before


def test_one_several_and_stages_do_not_share_a_directory(data: Path) -> None:
    (data / "s.toml").write_text("[stages.a]\nmodel = 'm3t-audio'\n")
    small = ["--epochs", 1, "--batch", 4, "--per-clip", 2, "--set", "audio_units=2", "--device", "cpu"]
    one = train(data, "one", "--model", "m3t-audio", *small, crops=False)
    staged = train(data, "staged", "--stages", data / "s.toml", *small, crops=False)
    w = data / "w.parquet"
    refused(UsageError, "one: holds a training of its own", w, "-o", one, "--stages", data / "s.toml", *small)
    for more in ([], ["--seeds", 2]):
        words = [w, "-o", staged, "--model", "m3t-audio", *small, *more]
        refused(UsageError, "staged: holds the stages of a training, .*name --stages again", *words)


def test_folds_say_that_a_run_they_begin_with_may_have_seen_them(data: Path) -> None:
    small = ["--epochs", 1, "--batch", 4, "--per-clip", 2, "--set", "audio_units=2", "--device", "cpu"]
    audio = train(data, "audio", "--model", "m3t-audio", *small, crops=False)
    words = ["-o", data / "cv", "--model", "m3t-audio", *small, "--folds", 2, "--init", audio]
    assert "--init: if it was trained on these clips" in run("train", data / "w.parquet", *words)


def test_stages_are_kept_to_one_process_and_say_how_to_begin_one_again(data: Path) -> None:
    from affcli.errors import OutputError
    from affcli.files import held

    (data / "s.toml").write_text(STAGES)
    found = train(data, "s", "--stages", data / "s.toml", "--device", "cpu")
    words = [data / "w.parquet", "-o", found, "--crops", data / "faces", "--stages", data / "s.toml", "--device", "cpu"]
    with held(found):
        refused(OutputError, "s: is being written by another process", *words)
    (found / "fuse/best.json").unlink()  # as if it had been broken off
    (data / "s.toml").write_text(STAGES.replace("[stages.fuse]\n", "[stages.fuse]\nnetwork = { fusion_units = 2 }\n"))
    refused(SchemaError, "fuse.last.json: is of another training .*take its directory away to begin this stage", *words)
