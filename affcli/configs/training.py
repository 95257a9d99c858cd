"""Fitting networks, and predicting with them."""

from __future__ import annotations

from dataclasses import dataclass

from affcli.configs.base import setting


@dataclass(frozen=True)
class Training:
    """How a network is fitted."""

    loss: str = setting(
        "mse",
        "what is minimised: mse, l1, ccc (1 - concordance), or a sum of them with weights such as 0.5*mse+ccc",
        source="GRU fusion",
    )
    ccc_over: str = setting(
        "batch",
        "the frames of one concordance in the loss: those of a whole batch, or of each window",
        choices=("batch", "window"),
        source="M3T",
    )
    ccc_moments: str = setting(
        "population",
        "moments of the concordance in the loss: population, or mixed as in M3T's code (variance over one frame fewer)",
        choices=("population", "mixed"),
    )
    optimizer: str = setting(
        "rmsprop", "how weights are changed", choices=("rmsprop", "adam", "adamw", "sgd"), source="GRU fusion"
    )
    lr: float = setting(1e-4, "learning rate, the highest of a schedule", least=0, source="GRU fusion")
    momentum: float = setting(0.9, "momentum of sgd, 0 to 1", least=0, most=1, source="M3T")
    weight_decay: float = setting(
        0.0, "pull of every weight towards 0: part of the gradient, or with adamw apart from it; 0 for none", least=0
    )
    clip: float = setting(
        0.0, "largest norm of the gradient of all weights together, a larger one is scaled to it; 0 for none", least=0
    )
    schedule: str = setting(
        "constant",
        "course of the learning rate: constant; cosine, falling to --lr-min; onecycle, up in three tenths of the "
        "steps and down; cyclic, up from --lr-min and down again and again; plateau, lowered when validation no longer "
        "improves",
        choices=("constant", "cosine", "onecycle", "cyclic", "plateau"),
    )
    warmup: float = setting(
        0.0, "passes over which the learning rate rises linearly from 0, before the schedule", unit="epochs", least=0
    )
    lr_min: float = setting(1e-7, "lowest learning rate of cosine, cyclic and plateau", least=0, source="M3T")
    cycle_up: float = setting(
        3.0, "rise of a cycle of cyclic; its fall is as long", unit="epochs", least=0.01, source="M3T"
    )
    plateau_factor: float = setting(
        0.5, "what plateau multiplies the learning rate by, 0 to 1", least=0, most=1, source="M3T"
    )
    plateau_patience: int = setting(
        3,
        "passes without a better validation CCC that plateau bears before the next",
        unit="epochs",
        least=0,
        source="M3T",
    )
    ema: float = setting(
        0.0,
        "share of the old in a running average of the weights, such as 0.999, which is validated and kept in place of "
        "the last weights; 0 for none",
        least=0,
        most=0.999999,
    )
    precision: str = setting(
        "fp32", "numbers the network computes with in training; fp16 on cuda only", choices=("fp32", "bf16", "fp16")
    )
    compile: bool = setting(
        False, "compile the network with torch.compile: a slow start, then faster steps on a GPU, slower ones on a CPU"
    )
    balance: str = setting(
        "none",
        "none: each window once; valence: those of negative mean valence as often as the others, the fewer repeated",
        choices=("none", "valence"),
        source="M3T",
    )
    batch: int = setting(64, "windows per step", unit="windows", least=1)
    accumulate: int = setting(
        1,
        "parts in which a batch passes through the network before the step, to save memory; a ccc loss and batch "
        "normalisation are then of each part",
        least=1,
    )
    epochs: int = setting(100, "most passes over the training windows", least=1)
    patience: int = setting(15, "passes without a better validation CCC before stopping", unit="epochs", least=1)
    seed: int = setting(0, "seed of initial weights, order and dropout", least=0, most=2**63 - 1)


@dataclass(frozen=True)
class Runs:
    """How many networks are fitted, each to its part of the clips."""

    folds: int = setting(
        0,
        "parts that the train and val clips are split into anew; each is held out once, from a network of its own. 0 "
        "for the split of the windows",
        least=0,
    )
    group: str = setting(
        "video",
        "what is never divided between folds: the clips of one video, or all clips of one person, whom affcli window "
        "--subjects names",
        choices=("video", "subject"),
    )
    fold_seed: int = setting(0, "seed of the choice of folds", least=0, most=2**63 - 1)
    seeds: int = setting(1, "networks for each split, with --seed, --seed + 1 and so on", least=1)


@dataclass(frozen=True)
class Prediction:
    """How the windows of one or several trained networks become curves."""

    overlap_weights: str = setting(
        "flat",
        "weight of a frame in a window where windows overlap: flat, all alike, or triangular, highest in the middle",
        choices=("flat", "triangular"),
    )
    ensemble: str = setting(
        "mean",
        "how several runs are averaged: mean, all alike; weighted, by each run's validation CCC of the dimension; or "
        "centred, all moved to one mean over the clip, to which each adds as it agrees with the others",
        source="centred: AVEC 2016; Zhang et al. 2021, arXiv 2107.01175",
        choices=("mean", "weighted", "centred"),
    )
    std: bool = setting(
        False,
        "also write the standard deviation of valence and of arousal over the runs, before any smoothing of their mean",
    )
    smooth: str = setting(
        "none",
        "smoothing of the curves over time: mean, median, gaussian, savgol or wiener with a window in seconds or "
        "frames, as mean:2s or wiener:35; one for each as valence=mean:2s,arousal=mean:4s; none; or auto, for each run "
        "what was best on the validation clips of its training",
    )
