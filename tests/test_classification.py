"""Accuracy and F1 of classes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from affcli.classification import accuracy, macro_f1, presence_f1


def test_by_hand() -> None:
    truth, said = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 2, 2]
    assert accuracy(truth, said) == pytest.approx(4 / 6)
    assert macro_f1(truth, said) == pytest.approx((2 * 2 / 5 + 2 / 4 + 2 / 3) / 3)
    assert macro_f1([0, 0], [0, 5]) == pytest.approx((2 / 3 + 0) / 2)  # a class that is only said counts too


def test_of_nothing_and_of_unequal_lengths() -> None:
    assert math.isnan(accuracy([], [])) and math.isnan(macro_f1([], [])) and math.isnan(presence_f1([], []))
    with pytest.raises(ValueError, match=r"\(2,\) and \(1,\)"):
        accuracy([1, 2], [1])


def test_as_scikit_learn_has_it() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    truth, said = rng.integers(0, 7, (2, 500))
    assert macro_f1(truth, said) == pytest.approx(sklearn.f1_score(truth, said, average="macro"), abs=1e-12)
    assert accuracy(truth, said) == sklearn.accuracy_score(truth, said)
    assert presence_f1(truth > 4, said > 4) == pytest.approx(sklearn.f1_score(truth > 4, said > 4), abs=1e-12)


def test_presence_by_hand() -> None:
    assert presence_f1([1, 1, 0, 0, 0], [1, 0, 1, 1, 0]) == pytest.approx(2 / 5)
    assert presence_f1([0, 0], [0, 0]) == 1 and presence_f1([0, 0], [0, 1]) == presence_f1([1, 0], [0, 0]) == 0
