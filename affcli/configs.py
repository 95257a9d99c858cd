"""Every setting that changes a result: its default, unit, meaning and source, once.

Command-line options, their help, the manual pages and the recipes inside files are all derived from these
dataclasses.  A setting that cannot change a result (device, batch of an encoder, number of workers) is not here.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any


def setting(
    default: Any,
    doc: str,
    *,
    unit: str = "",
    source: str = "",
    choices: tuple[str, ...] = (),
    least: float | None = None,
    most: float | None = None,
) -> Any:
    """A dataclass field with its meaning and unit, where the default comes from, and what it may be.

    `choices` are the words that a text may be, `least` and `most` the smallest and the largest number; an encoder's
    settings are held to them.
    """
    return dataclasses.field(
        default=default,
        metadata={"doc": doc, "unit": unit, "source": source, "choices": choices, "least": least, "most": most},
    )


def field(config: type, name: str) -> dataclasses.Field[Any]:
    """The field `name` of a configuration class."""
    return {f.name: f for f in dataclasses.fields(config)}[name]


@dataclass(frozen=True)
class Tracks:
    """From video frames to the tracks of all faces."""

    detector: str = setting("centerface", "face detector: a name of `affcli models list`, or FAMILY:FILE.onnx")
    det_size: int = setting(320, "longer side of the picture in a search for faces", unit="px")
    det_retry: int = setting(640, "longer side of a second search where the first finds nobody; 0 for none", unit="px")
    det_threshold: float = setting(0.5, "lowest detector score of a face, 0 to 1", source="CenterFace paper")
    min_face: int = setting(24, "narrowest face box to keep", unit="px")
    every: int = setting(2, "most frames from one look at a face to the next; 1 looks at every frame", unit="frames")
    roi: str = setting("on", "on looks for a known face in its own region; off searches whole pictures only")
    roi_size: int = setting(192, "side of the region as the detector sees it", unit="px")
    roi_scale: float = setting(1.7, "side of the region, in longer sides of the face box")
    search_every: float = setting(1.0, "time between searches for new faces while there is a face", unit="s")
    idle_every: int = setting(5, "frames between searches while there is no face", unit="frames")
    max_faces: int = setting(8, "most faces that are followed at a time, the widest first")
    track_iou: float = setting(0.3, "least overlap of a face with its track, 0 to 1", source="M3T")
    track_gap: float = setting(0.5, "longest time a track survives without a detection", unit="s")
    interpolate_gap: float = setting(0.2, "longest hole in a track that is filled linearly", unit="s")
    min_track: int = setting(3, "fewest detections of a track that is not taken for a mistake", unit="frames")
    rejoin: float = setting(
        1.5, "how far (in face widths) and how many times larger or smaller a person may come back after a gap"
    )


@dataclass(frozen=True)
class Faces:
    """From the tracks of a person to aligned crops."""

    smooth: str = setting(
        "1.5",
        "Gaussian smoothing of the landmarks over time, in frames; 0 for none; m3t for 1.5 while the face is at rest",
    )
    template: str = setting(
        "arcface-112",
        "where the five landmarks go in the crop: arcface-112, openface-112 (larger face, chin at the edge) or m3t-128 "
        "(arcface-112 with room around it)",
        source="ArcFace",
    )
    size: int = setting(0, "side of the crop, 16 or more; 0 for the template's own", unit="px")
    ambiguous: str = setting("keep", "frames in which two faces overlap: keep them, marked, or drop them as absent")
    format: str = setting("npy", "crops as npy, pixels to be mapped into memory, or jpeg, a sixth of the space")


@dataclass(frozen=True)
class Audio:
    """From a sound track to a mono waveform on the video's clock."""

    sample_rate: int = setting(16_000, "samples per second of the waveform", unit="Hz", source="M3T")
    track: str = setting("0", "sound track: its number as ffmpeg counts, 0 for the first, or its language, such as eng")
    channel: str = setting(
        "mean",
        "what becomes the mono waveform: mean, of all channels with equal weights, or one of them, its number from 1",
    )
    audio_offset: float = setting(
        0.0,
        "with --audio, how long after the video's first frame the sound begins; below 0 where it begins before",
        unit="s",
    )
    rate: str = setting(
        "", "frames per second of files without pictures, exact: 30, 12.5, 30000/1001; a video has its own clock"
    )
    vad: bool = setting(False, "also find the probability of speech at each frame (Silero VAD)")


@dataclass(frozen=True)
class Windows:
    """How clips are cut into windows."""

    length: int = setting(15, "window length", unit="frames", source="GRU fusion")
    overlap: int = setting(5, "overlap of neighbouring windows", unit="frames", source="GRU fusion")


@dataclass(frozen=True)
class Split:
    """Which share of the clips is held out for validation, and the seed that chooses them."""

    val_share: float = setting(0.2, "share of the clips held out for validation, 0 to 1")
    seed: int = setting(0, "seed of the random choice of clips")


@dataclass(frozen=True)
class GruFusion:
    """The GRU-fusion network: a branch per feature set, concatenated, two dense layers, tanh."""

    audio_units: tuple[int, ...] = setting((128, 64), "GRU widths of an audio branch", source="GRU fusion")
    face_units: tuple[int, ...] = setting((256, 256, 64), "GRU widths of a face branch", source="GRU fusion")
    pose_units: tuple[int, ...] = setting((128, 64), "dense widths of a pose branch", source="GRU fusion")
    head_units: int = setting(64, "width of the dense layer after the concatenation", source="GRU fusion")
    dropout: float = setting(0.25, "share of activations dropped after each layer", source="GRU fusion")
    norm_warmup: int = setting(
        100,
        "batches over which the statistics of batch normalisation are a plain mean; 0 for Keras's fixed momentum",
        unit="batches",
        least=0,
    )
    # What the paper leaves open; the defaults are Keras's own, with which its parameter counts are met.
    cell: str = setting(
        "gru",
        "recurrent layers: gru, or lstm of the paper's second network",
        source="GRU fusion",
        choices=("gru", "lstm"),
    )
    bidirectional: bool = setting(
        False, "whether recurrent layers also look ahead, with as many cells again", source="GRU fusion"
    )
    norm_order: str = setting(
        "norm-prelu",
        "what follows a layer first: norm-prelu, normalisation and then PReLU, or prelu-norm; dropout is always last",
        choices=("norm-prelu", "prelu-norm"),
    )
    head_norm: bool = setting(False, "batch normalisation also after the dense layer behind the concatenation")
    norm_momentum: float = setting(
        0.99, "share of the old statistics that stays at each batch, 0 to 1", source="Keras", least=0, most=1
    )
    norm_epsilon: float = setting(1e-3, "added to a variance before it divides", source="Keras", least=0)
    norm_variance: str = setting(
        "population",
        "variance that prediction uses: population, over the frames of a batch (Keras), or sample, over one less "
        "(PyTorch)",
        source="Keras",
        choices=("population", "sample"),
    )
    slope: str = setting(
        "channel",
        "PReLU has a slope per channel, or one that all channels of a layer have shared: channel or shared",
        choices=("channel", "shared"),
    )
    initial_slope: float = setting(0.0, "slope of PReLU below 0 before training", source="Keras")


@dataclass(frozen=True)
class BilstmFusion(GruFusion):
    """The paper's second network: as GRU fusion, with bidirectional LSTMs of as many cells in each direction."""

    cell: str = setting("lstm", "recurrent layers: gru or lstm", source="GRU fusion", choices=("gru", "lstm"))
    bidirectional: bool = setting(True, "whether recurrent layers also look ahead", source="GRU fusion")


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
    compile: bool = setting(False, "compile the network with torch.compile: a slow start, then faster steps")
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
        False, "also write the standard deviation of valence and of arousal over the runs, before any smoothing"
    )
    smooth: str = setting(
        "none",
        "smoothing of the curves over time: mean, median, gaussian, savgol or wiener with a window in seconds or "
        "frames, as mean:2s or wiener:35; one for each as valence=mean:2s,arousal=mean:4s; or none",
    )
