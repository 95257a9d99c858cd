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
    expression_weight: float = setting(
        0.5, "what the cross-entropy of expressions adds to the loss, where a network has them", least=0, source="M3T"
    )
    expression_over: str = setting(
        "annotated",
        "frames that this cross-entropy is a mean over: annotated, those with an expression, or all (released code)",
        choices=("annotated", "all"),
        source="M3T",
    )
    au_weight: float = setting(
        0.5, "what the binary cross-entropy of action units adds to the loss, where a network has them", least=0
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
        "improves; "
        "milestones, lowered after the passes of --milestones",
        choices=("constant", "cosine", "onecycle", "cyclic", "plateau", "milestones"),
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
    milestones: str = setting(
        "", "epochs after each of which milestones lowers the learning rate, as 3,6", source="M3T"
    )
    milestone_factor: float = setting(
        0.1, "what milestones multiplies the learning rate by, 0 to 1", least=0, most=1, source="M3T"
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
    per_clip: int = setting(
        0,
        "windows of each clip in an epoch, which begin anywhere where each frame has labels and, for a network that "
        "sees, a face; 0 for the windows as they were cut",
        unit="windows",
        least=0,
        source="M3T",
    )
    missing_share: float = setting(
        0.0, "share of the frames of a window of --per-clip that may lack label or face", least=0, most=0.99,
        source="M3T",
    )  # fmt: skip
    flip: float = setting(
        0.5, "probability that left and right of all crops of a window are changed", least=0, most=1, source="M3T"
    )
    cutout: int = setting(
        0, "side of a square that is cut out of all crops of a window; 0 for none", unit="px", least=0, most=112
    )
    jitter: float = setting(
        0.0, "how far brightness and contrast of a window vary: times 1 - jitter to 1 + jitter", least=0, most=0.9,
        source="M3T",
    )  # fmt: skip
    stage: str = setting(
        "end-to-end",
        "what learns: end-to-end, everything, or fuse, what is behind the two encoders of --init-visual and "
        "--init-audio, which stay as they are",
        choices=("end-to-end", "fuse"),
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

    @property
    def at_once(self) -> int:
        """Windows that pass through the network at a time, at most: those of a part of a batch."""
        return -(-self.batch // self.accumulate)


@dataclass(frozen=True)
class LrRange:
    """A short training over a rising learning rate, which shows what rates are of use."""

    lr_from: float = setting(1e-7, "first learning rate of --lr-range-test", least=1e-20, most=1e6, source="fastai")
    lr_to: float = setting(1.0, "last learning rate of --lr-range-test", least=1e-20, most=1e6)
    lr_steps: int = setting(
        100, "steps of --lr-range-test, at most", unit="batches", least=2, most=1_000_000, source="fastai"
    )


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

    overlap: str = setting(
        "as-trained",
        "how windows of a clip overlap: as-trained, as affcli window cut those of the training or the windows table; "
        "half, one begins every half window, as in M3T's code; or none, one after the other, the last as short as what "
        "is left, as in M3T's paper",
        choices=("as-trained", "half", "none"),
        source="M3T",
    )
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
    precision: str = setting(
        "fp32",
        "numbers the networks compute with: fp32, or bf16, which takes less time and is less exact",
        choices=("fp32", "bf16"),
    )
