"""Accuracy and F1 of classes, by hand and by scikit-learn, and the challenges' measures."""

from __future__ import annotations

import itertools
import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from affcli.classification import (
    PRESENCE,
    Confusion,
    accuracy,
    action_units_2020,
    action_units_f1,
    class_f1,
    macro_f1,
    multi_task,
    presence_f1,
)

FOREIGN = json.loads((Path(__file__).parent / "golden" / "classification.json").read_text())["cases"]


def test_by_hand() -> None:
    truth, said = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2]
    assert accuracy(truth, said) == pytest.approx(4 / 6)
    assert macro_f1(truth, said) == pytest.approx((2 * 2 / 5 + 2 / 4 + 2 / 3) / 3)
    assert macro_f1([0, 0], [0, 5]) == pytest.approx((2 / 3 + 0) / 2)  # a class that is only said counts too


@pytest.mark.parametrize("values", [[0.5, 1.0], [0.0, float("nan")], [0.0, float("inf")]])
def test_what_is_no_whole_number_is_no_class(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"prediction holds (0\.5|nan|inf), expected numbers of classes"):
        accuracy([0, 1], values)
    with pytest.raises(ValueError, match="truth holds"):
        presence_f1(values, [0, 1])
    assert accuracy([0.0, 1.0], [False, True]) == 1.0


def test_a_class_that_never_comes_up_counts_0_where_the_list_is_fixed() -> None:
    truth, said = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2]
    assert macro_f1(truth, said, range(8)) == pytest.approx((2 * 2 / 5 + 2 / 4 + 2 / 3) / 8)
    assert macro_f1(truth, truth, range(4)) == 3 / 4
    assert macro_f1(truth, said, (2, 1, 0)) == macro_f1(truth, said)


def test_of_nothing_and_of_unequal_lengths() -> None:
    assert math.isnan(accuracy([], [])) and math.isnan(macro_f1([], [])) and math.isnan(presence_f1([], []))
    assert math.isnan(macro_f1([], [], range(8)))
    with pytest.raises(ValueError, match=r"\(2,\) and \(1,\)"):
        accuracy([1, 2], [1])


@pytest.mark.parametrize("case", FOREIGN)
def test_scikit_learn_agrees(case: dict[str, Any]) -> None:
    truth, said, classes = case["truth"], case["prediction"], range(case["classes"])
    found = Confusion.from_arrays(truth, said, classes)
    assert [list(row) for row in found.counts] == case["counts"]
    assert found.f1() == pytest.approx(case["f1"], abs=1e-15)
    assert macro_f1(truth, said, classes) == pytest.approx(case["macro_f1"], abs=1e-15)
    assert macro_f1(truth, said) == pytest.approx(case["macro_f1_of_those_that_come_up"], abs=1e-15)
    assert accuracy(truth, said) == case["accuracy"]
    if case["classes"] == 2:
        assert presence_f1(truth, said) == case["f1"][1]


def test_presence_by_hand() -> None:
    assert presence_f1([1, 1, 0, 0, 0], [1, 0, 1, 1, 0]) == pytest.approx(2 / 5)
    assert presence_f1([0, 0], [0, 1]) == presence_f1([1, 0], [0, 0]) == 0
    assert presence_f1([0, 0], [0, 0]) == 0  # never present, as the challenges count it
    assert presence_f1([True, False], [True, False]) == 1
    with pytest.raises(ValueError, match="prediction holds 2 at index 1"):
        presence_f1([0, 1], [0, 2])


def test_merged_counts_equal_the_whole() -> None:
    truth, said = np.random.default_rng(0).integers(0, 8, (2, 500))
    cuts = [0, *sorted(random.Random(0).sample(range(500), 9)), 500]
    for classes in (None, range(8), (7, 6, 5, 4, 3, 2, 1, 0)):
        whole = Confusion.from_arrays(truth, said, classes)
        parts = [Confusion.from_arrays(truth[i:j], said[i:j], classes) for i, j in itertools.pairwise(cuts)]
        random.Random(1).shuffle(parts)
        assert sum(parts[:4], Confusion()) + sum(parts[4:], Confusion()) == whole
        assert whole + Confusion() == whole == Confusion() + whole
        assert whole.count == 500 and whole.hits == (truth == said).sum()


def test_counts_over_unlike_classes_are_joined_over_all() -> None:
    joined = Confusion.from_arrays([0, 3], [3, 3]) + Confusion.from_arrays([1, 1], [1, 0])
    assert joined == Confusion.from_arrays([0, 3, 1, 1], [3, 3, 1, 0])
    assert joined.classes == (0, 1, 3)


def test_what_is_no_class_is_refused() -> None:
    with pytest.raises(ValueError, match=r"truth holds -1 at index 1, expected one of \[0, 1, 2\]"):
        macro_f1([0, -1], [0, 1], range(3))
    with pytest.raises(ValueError, match="prediction holds 7 at index 0"):
        macro_f1([0, 1], [7, 1], range(7))
    with pytest.raises(ValueError, match="each once"):
        macro_f1([0, 1], [0, 1], (0, 1, 1))
    with pytest.raises(ValueError, match="at least one"):
        macro_f1([0, 1], [0, 1], ())


def test_f1_of_many_counts_at_once() -> None:
    tables = np.random.default_rng(1).integers(0, 9, (4, 5, 3, 3))
    tables[0, 0, :, 1] = tables[0, 0, 1, :] = 0
    found = class_f1(tables)
    assert found.shape == (4, 5, 3) and found[0, 0, 1] == 0
    for place in np.ndindex(4, 5):
        counts = tuple(map(tuple, tables[place].tolist()))
        assert Confusion((0, 1, 2), counts).f1() == tuple(found[place].tolist())


def test_measures_of_the_challenges() -> None:
    expression = Confusion.from_arrays([0, 0, 1, 2], [0, 1, 1, 2], range(7))
    f1 = (2 / 3 + 2 / 3 + 1) / 7
    assert expression.expression_2020() == pytest.approx(0.67 * f1 + 0.33 * 3 / 4)
    first = Confusion.from_arrays([1, 1, 0, 0], [1, 0, 1, 0], PRESENCE)  # F1 1/2
    second = Confusion.from_arrays([0, 0], [0, 0], PRESENCE)  # never present
    assert action_units_f1([first, second]) == pytest.approx((1 / 2 + 0) / 2)
    assert action_units_2020([first, second]) == pytest.approx(0.5 * 0.25 + 0.5 * 4 / 6)
    assert action_units_f1([first, Confusion.from_arrays([], [], PRESENCE)]) == 1 / 2
    assert math.isnan(action_units_f1([])) and math.isnan(action_units_2020([]))
    assert multi_task(0.4, 0.2, 0.3, 0.5) == pytest.approx(0.3 + 0.3 + 0.5)
