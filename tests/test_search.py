"""Searches over settings: which points a file means, and what is said of files that mean none."""

from __future__ import annotations

import math
import tomllib
from collections import Counter
from typing import Any

import pytest

from affcli.errors import UsageError
from affcli.training.search import Point, points


def found(text: str) -> list[Point]:
    return points(tomllib.loads(text), "grid.toml")


def rows(text: str) -> list[dict[str, Any]]:
    return [point.row() for point in found(text)]


def test_a_grid_by_hand() -> None:
    text = """
    model = "gru-fusion"
    [network]
    dropout = [0.0, 0.5]
    face_units = [32, 16]
    [training]
    epochs = 30
    lr = [0.1, 0.01]
    """
    varied = ("network.dropout", "training.lr")
    assert found(text) == [
        Point({"epochs": 30, "lr": lr}, {"dropout": dropout, "face_units": [32, 16]}, "gru-fusion", varied)
        for dropout in (0.0, 0.5)
        for lr in (0.1, 0.01)
    ]
    first = found(text)[0]
    assert (list(first.training), list(first.network)) == (["epochs", "lr"], ["dropout", "face_units"])
    assert rows(text)[2] == {"network.dropout": 0.5, "training.lr": 0.1}


def test_the_last_setting_varies_fastest_and_order_is_the_files() -> None:
    text = 'model = ["gru-face", "gru-audio"]\n[training]\nseed = [0, 1, 2]\nloss = ["mse", "0.5*mse+ccc"]'
    assert [tuple(row.values()) for row in rows(text)] == [
        (model, seed, loss)
        for model in ("gru-face", "gru-audio")
        for seed in (0, 1, 2)
        for loss in ("mse", "0.5*mse+ccc")
    ]
    assert list(rows(text)[0]) == ["model", "training.seed", "training.loss"]


def test_a_setting_of_several_numbers_varies_by_lists_of_lists() -> None:
    text = "[network]\naudio_units = [[128, 64], [64]]\npose_units = [8]\n"
    assert [(point.network, point.model, point.varied) for point in found(text)] == [
        ({"audio_units": units, "pose_units": [8]}, None, ("network.audio_units",)) for units in ([128, 64], [64])
    ]


def test_a_method_may_be_named_and_switches_are_values() -> None:
    assert rows('[search]\nmethod = "grid"\n[training]\ncompile = [true, false]') == [
        {"training.compile": True},
        {"training.compile": False},
    ]


RANDOM = """
model = ["gru-fusion", "bilstm-fusion"]
[training]
lr = { min = 1e-5, max = 1e-2, scale = "log" }
momentum = { min = 0, max = 1 }
batch = { min = 8, max = 512, scale = "log" }
epochs = 3
[network]
audio_units = [[128, 64], [64]]
norm_warmup = { min = 0, max = 3 }
[search]
method = "random"
runs = 200
seed = 7
"""


def test_random_points_lie_in_their_ranges() -> None:
    every = found(RANDOM)
    assert len(every) == 200
    assert every[0].varied == (
        *("model", "training.lr", "training.momentum", "training.batch"),
        *("network.audio_units", "network.norm_warmup"),
    )
    for point in every:
        assert 1e-5 <= point.training["lr"] <= 1e-2 and type(point.training["lr"]) is float
        assert 0 <= point.training["momentum"] <= 1 and type(point.training["momentum"]) is float
        assert 8 <= point.training["batch"] <= 512 and type(point.training["batch"]) is int
        assert point.training["epochs"] == 3
        assert float(f"{point.training['lr']:.6g}") == point.training["lr"]
        assert list(point.training) == ["lr", "momentum", "batch", "epochs"]
    assert {point.network["norm_warmup"] for point in every} == {0, 1, 2, 3}
    assert {(point.model, str(point.network["audio_units"])) for point in every} == {
        (model, units) for model in ("gru-fusion", "bilstm-fusion") for units in ("[128, 64]", "[64]")
    }
    assert len({str(point) for point in every}) == 200


def test_random_points_are_spread_as_their_scales_say() -> None:
    every = found(RANDOM.replace("runs = 200", "runs = 4000"))
    # Half of the points lie below the middle of the axis; four standard deviations of a share of 4000 are .032.
    below = {
        "lr": sum(point.training["lr"] < math.sqrt(1e-5 * 1e-2) for point in every),
        "momentum": sum(point.training["momentum"] < 0.5 for point in every),
        "batch": sum(point.training["batch"] < math.sqrt(8 * 513) for point in every),
    }
    assert {name: count / 4000 for name, count in below.items()} == pytest.approx(dict.fromkeys(below, 0.5), abs=0.032)


def test_equal_seeds_give_equal_points_and_more_runs_begin_with_them() -> None:
    assert found(RANDOM) == found(RANDOM)
    assert found(RANDOM.replace("seed = 7", "seed = 8"))[0] != found(RANDOM)[0]
    assert found(RANDOM.replace("runs = 200", "runs = 50")) == found(RANDOM)[:50]
    few = "[training]\nseed = [0, 1, 2, 3, 4]\nbatch = { min = 1, max = 9 }\n[search]\nmethod = 'random'\nruns = "
    assert rows(f"{few} 7") == rows(f"{few} 30")[:7]


def test_a_seed_goes_on_to_mean_the_same_points() -> None:
    # 1e-5 * 1000 ** u with the first numbers of numpy.random.default_rng(0).random().
    text = "[training]\nlr = { min = 1e-5, max = 1e-2, scale = 'log' }\n[search]\nmethod = 'random'\nruns = 3"
    assert [row["training.lr"] for row in rows(text)] == [0.000814489, 6.44704e-05, 1.32715e-05]


def test_a_small_space_is_drawn_to_its_end() -> None:
    text = """
    [training]
    optimizer = ["adam", "sgd", "rmsprop"]
    batch = { min = 1, max = 64, scale = "log" }
    [search]
    method = "random"
    runs = 1000
    """
    drawn = [tuple(row.values()) for row in rows(text)]
    assert sorted(drawn) == [(name, batch) for name in ("adam", "rmsprop", "sgd") for batch in range(1, 65)]
    assert drawn != sorted(drawn)


def test_of_a_small_space_the_likely_points_come_first() -> None:
    text = "[training]\nbatch = {{ min = 1, max = 3, scale = 'log' }}\n[search]\nmethod = 'random'\nruns = 1\nseed = {}"
    first = Counter(rows(text.format(seed))[0]["training.batch"] for seed in range(3000))
    # k has the stretch from k to k + 1 of the axis from 1 to 4: log((k + 1) / k) / log(4).
    shares = {k: math.log((k + 1) / k) / math.log(4) for k in (1, 2, 3)}
    assert {k: first[k] / 3000 for k in shares} == pytest.approx(shares, abs=0.037)


def test_a_range_of_next_to_nothing_ends() -> None:
    text = "[training]\nlr = { min = 0.1, max = 0.10000000001 }\n[search]\nmethod = 'random'\nruns = 5"
    assert [row["training.lr"] for row in rows(text)] == [0.1]


def test_whole_numbers_are_drawn_as_far_as_floats_tell_them_apart() -> None:
    text = "[training]\nseed = {{ min = {}, max = {}{} }}\n[search]\nmethod = 'random'\nruns = 50"
    for low, scale in ((0, ""), (1, ", scale = 'log'"), (2**53 - 8, ", scale = 'log'")):
        seeds = [row["training.seed"] for row in rows(text.format(low, 2**53 - 1, scale))]
        assert all(type(seed) is int and low <= seed < 2**53 for seed in seeds)
        assert len(seeds) == len(set(seeds)) == (8 if low > 1 else 50)
    with pytest.raises(UsageError, match=f"has a range with the end {2**53 + 1}"):
        rows(text.format(0, 2**53 + 1, ""))


def test_a_grid_of_the_largest_size() -> None:
    assert len(rows(f"[training]\nseed = {list(range(100))}\nbatch = {list(range(1, 101))}")) == 10_000
    with pytest.raises(UsageError, match=r"grid\.toml: has 10100 combinations, expected 10000 at most; leave some"):
        rows(f"[training]\nseed = {list(range(101))}\nbatch = {list(range(1, 101))}")


LISTED = "[training]\nlr = [0.1, 0.01]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "grid.toml: varies no setting, expected one with a list of values, or a range; write, for instance, lr ="),
        ("[training]\nlr = 0.1", "grid.toml: varies no setting"),
        ("lr = [1, 2]", "grid.toml, lr: is no part of a search, expected model, [training], [network] or [search]"),
        ("[windows]\nlength = [1, 2]", "grid.toml, windows: is no part of a search"),
        ("training = 3", "grid.toml, training: is 3, expected a section [training]"),
        ("network = [1]", "grid.toml, network: is [1], expected a section [network]"),
        ("search = 'random'", 'grid.toml, search: is "random", expected a section [search]'),
        ("[training]\nlrr = [1, 2]", "grid.toml, [training] lrr: is no such setting, expected one of loss, ccc_over,"),
        ("[network]\nlr = [1, 2]", "grid.toml, [network] lr: is no such setting, expected one of audio_units,"),
        ("[training]\nlr = []", "grid.toml, [training] lr: is an empty list, expected one value or more"),
        ("[network]\naudio_units = []", "grid.toml, [network] audio_units: is an empty list"),
        ("model = []", "grid.toml, model: is an empty list"),
        ("model = 3", "grid.toml, model: has the value 3, expected text; write it in quotation marks"),
        ("model = ['gru-face', 1]", "grid.toml, model: has the value 1, expected text"),
        ("model = { min = 1, max = 2 }", "grid.toml, model: is a range, expected a value or a list of values"),
        ("[training]\nlr = [0.1, 0.2, 0.1]", "grid.toml, [training] lr: has 0.1 twice, expected each value once"),
        ("[training]\nlr = [1, 1.0]", "grid.toml, [training] lr: has 1.0 twice"),
        ("[network]\naudio_units = [[8], [8]]", "grid.toml, [network] audio_units: has [8] twice"),
        ("[training]\nlr = [[0.1]]", "grid.toml, [training] lr: lists [0.1], expected a list of plain values"),
        ("[training]\nlr = [0.1, { min = 1 }]", '[training] lr: lists {"min": 1}, expected a list of plain values'),
        ("[network]\naudio_units = 8", "[network] audio_units: is 8, expected a list, or a list of lists"),
        ("[network]\naudio_units = [[8], 4]", "[network] audio_units: holds 4, which is no list, expected a list, or"),
        ("[network]\naudio_units = { min = 1, max = 2 }", "[network] audio_units: is a range, expected a value or"),
        ("[training]\ncompile = { min = 0, max = 1 }", "[training] compile: is a range, expected a value or a list"),
        ("[training]\nlr = { min = 1, max = 2 }", "[training] lr: is a range, expected a list of values; list some, "),
    ],
)
def test_what_is_no_grid(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        found(text)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{ min = 1 }", "[training] lr: is {min = 1}, expected min, max and, if you like, scale (linear or log)"),
        ("{ }", "[training] lr: is {}, expected min, max"),
        ("{ min = 1, max = 2, scale = 'ln' }", '[training] lr: is {min = 1, max = 2, scale = "ln"}, expected min, max'),
        ("{ min = 1, max = 2, step = 1 }", "[training] lr: is {min = 1, max = 2, step = 1}, expected min, max"),
        ("{ min = 'a', max = 2 }", '[training] lr: has a range with the end "a", expected finite numbers'),
        ("{ min = true, max = 2 }", "[training] lr: has a range with the end true, expected finite numbers"),
        ("{ min = nan, max = 2 }", "[training] lr: has a range with the end NaN, expected finite numbers"),
        ("{ min = 0, max = inf }", "[training] lr: has a range with the end Infinity, expected finite numbers"),
        (f"{{ min = 0, max = 1{'0' * 400} }}", "[training] lr: has a range with the end 1000"),
        ("{ min = 2, max = 2 }", "[training] lr: has a range from 2 to 2, expected min below max"),
        ("{ min = 2.5, max = 1 }", "[training] lr: has a range from 2.5 to 1, expected min below max"),
        ("{ min = 0, max = 1, scale = 'log' }", "[training] lr: has a range from 0 on a logarithmic scale, expected "),
        (
            "{ min = -1.0, max = 1, scale = 'log' }",
            "has a range from -1.0 on a logarithmic scale, expected min above 0",
        ),
        ("1\nbatch = { min = 1.0, max = 8 }", "[training] batch: has a range with the end 1.0, expected whole numbers"),
    ],
)
def test_what_is_no_range(value: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        found(f"[training]\nlr = {value}\n[search]\nmethod = 'random'")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("method = 'bayes'", '[search] method: is "bayes", expected "grid" or "random"'),
        ("method = ['grid']", '[search] method: is ["grid"], expected "grid" or "random"'),
        ("method = 'random'\nruns = 0", "[search] runs: is 0, expected a whole number from 1 to 10000"),
        ("method = 'random'\nruns = 10001", "[search] runs: is 10001, expected a whole number from 1 to 10000"),
        ("method = 'random'\nruns = true", "[search] runs: is true, expected a whole number"),
        ("method = 'random'\nruns = 2.0", "[search] runs: is 2.0, expected a whole number"),
        ("method = 'random'\nseed = -1", "[search] seed: is -1, expected a whole number from 0"),
        (
            "runs = 5",
            '[search] runs: is given for a grid, which has every combination, expected it beside method = "ran',
        ),
        ("method = 'random'\ntrials = 5", "[search] trials: is no such setting, expected method, runs or seed"),
    ],
)
def test_what_is_no_search(search: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        found(f"{LISTED}[search]\n{search}")
    assert said in str(caught.value) and str(caught.value).startswith("grid.toml, ")
