"""Makes torchmetrics.json: what torchmetrics, a foreign implementation, says of the pairs of ccc_audmetric.json.

Its concordance takes sample moments (all / (n - 1)).  Run by hand: python tests/golden/make_torchmetrics.py
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torchmetrics
from torchmetrics.functional import (
    concordance_corrcoef,
    mean_absolute_error,
    mean_squared_error,
    pearson_corrcoef,
)

HERE = Path(__file__).parent
FUNCTIONS = {
    "ccc_of_sample_moments": concordance_corrcoef,
    "pcc": pearson_corrcoef,
    "mse": mean_squared_error,
    "mae": mean_absolute_error,
}


def main() -> None:
    cases = {}
    for name, pair in json.loads((HERE / "ccc_audmetric.json").read_text())["cases"].items():
        truth, prediction = (torch.tensor(pair[key], dtype=torch.float64) for key in ("truth", "prediction"))
        cases[name] = {key: float(function(prediction, truth)) for key, function in FUNCTIONS.items()}
    content = {"about": f"torchmetrics {torchmetrics.__version__}, float64", "cases": cases}
    (HERE / "torchmetrics.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
