"""Every setting that changes a result: its default, unit, meaning and source, once.

Command-line options, their help, the manual pages and the recipes inside files are all derived from these
dataclasses.  A setting that cannot change a result (device, batch of an encoder, number of workers) is not here.
"""

from affcli.configs.base import field, setting
from affcli.configs.extraction import Audio, Faces, Split, Tracks, Windows
from affcli.configs.networks import BilstmFusion, GruFusion, M3t, M3tIdentity, Sighted
from affcli.configs.training import LrRange, Prediction, Runs, Training

__all__ = [
    "Audio",
    "BilstmFusion",
    "Faces",
    "GruFusion",
    "LrRange",
    "M3t",
    "M3tIdentity",
    "Prediction",
    "Runs",
    "Sighted",
    "Split",
    "Tracks",
    "Training",
    "Windows",
    "field",
    "setting",
]
