"""Makes ccc_audmetric.json: concordance correlations by audmetric, a foreign implementation, on synthetic pairs.

Run by hand: python tests/golden/make_ccc.py
"""

from __future__ import annotations

import json
from pathlib import Path

import audmetric
import numpy as np

TARGET = Path(__file__).with_name("ccc_audmetric.json")


def main() -> None:
    random = np.random.default_rng(20)
    cases = {}
    for count, noise, scale, shift in (
        (2, 0.1, 1.0, 0.0),
        (16, 0.2, 0.5, 0.1),
        (50, 0.0, 1.0, 0.3),
        (50, 0.05, -1.0, 0.0),
        (80, 0.4, 0.01, -0.2),
        (80, 0.01, 1.0, 1000.0),
    ):
        truth = np.sin(np.linspace(0, 7, count)) * 0.6 + random.normal(0, 0.02, count)
        prediction = truth * scale + random.normal(0, noise, count) + shift
        cases[f"{count} values, noise {noise}, scale {scale}, shift {shift}"] = {
            "truth": truth.tolist(),
            "prediction": prediction.tolist(),
            "ccc": audmetric.concordance_cc(truth, prediction),
            "pcc": audmetric.pearson_cc(truth, prediction),
            "mse": audmetric.mean_squared_error(truth, prediction),
            "mae": audmetric.mean_absolute_error(truth, prediction),
        }
    content = {"about": f"audmetric {audmetric.__version__}, population moments, float64", "cases": cases}
    TARGET.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
