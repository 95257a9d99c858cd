"""Makes classification.json: F1 and accuracy by scikit-learn, a foreign implementation, of random classes.

Run by hand: python tests/golden/make_classification.py
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import sklearn
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

TARGET = Path(__file__).with_name("classification.json")


def main() -> None:
    random = np.random.default_rng(21)
    cases = []
    for count, among, of in ((60, 8, 8), (60, 6, 8), (40, 7, 7), (9, 3, 8), (50, 2, 2), (20, 1, 2)):
        truth = random.integers(0, among, count)
        prediction = np.where(random.random(count) < 0.5, truth, random.integers(0, among, count))
        labels = list(range(of))
        cases.append(
            {
                "classes": of,
                "truth": truth.tolist(),
                "prediction": prediction.tolist(),
                "counts": confusion_matrix(truth, prediction, labels=labels).tolist(),
                "f1": f1_score(truth, prediction, labels=labels, average=None, zero_division=0).tolist(),
                "macro_f1": float(f1_score(truth, prediction, labels=labels, average="macro", zero_division=0)),
                "macro_f1_of_those_that_come_up": float(f1_score(truth, prediction, average="macro")),
                "accuracy": float(accuracy_score(truth, prediction)),
            }
        )
    content = {"about": f"scikit-learn {sklearn.__version__}, zero_division=0", "cases": cases}
    TARGET.write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
