"""The networks."""

from __future__ import annotations

from dataclasses import dataclass

from affcli.configs.base import setting

WIDEST = 65_536  # a recurrent layer of so many units takes 50 GB


@dataclass(frozen=True)
class GruFusion:
    """The GRU-fusion network: a branch per feature set, concatenated, two dense layers, tanh."""

    audio_units: tuple[int, ...] = setting(
        (128, 64), "GRU widths of an audio branch", source="GRU fusion", least=1, most=WIDEST
    )
    face_units: tuple[int, ...] = setting(
        (256, 256, 64), "GRU widths of a face branch", source="GRU fusion", least=1, most=WIDEST
    )
    pose_units: tuple[int, ...] = setting(
        (128, 64), "dense widths of a pose branch", source="GRU fusion", least=1, most=WIDEST
    )
    head_units: int = setting(
        64, "width of the dense layer after the concatenation", source="GRU fusion", least=1, most=WIDEST
    )
    dropout: float = setting(
        0.25, "share of activations dropped after each layer, 0 to 0.99", source="GRU fusion", least=0, most=0.99
    )
    norm_warmup: int = setting(
        100,
        "batches over which the statistics of batch normalisation are a plain mean; 0 for Keras's fixed momentum",
        unit="batches",
        least=0,
        most=1_000_000_000,
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
        0.99, "share of the old statistics that stays at each batch", source="Keras", least=0, most=0.999999
    )
    norm_epsilon: float = setting(1e-3, "added to a variance before it divides", source="Keras", least=1e-12)
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
    initial_slope: float = setting(
        0.0, "slope of PReLU below 0 before training, -1 to 1", source="Keras", least=-1, most=1
    )


@dataclass(frozen=True)
class BilstmFusion(GruFusion):
    """The paper's second network: as GRU fusion, with bidirectional LSTMs of as many cells in each direction."""

    cell: str = setting("lstm", "recurrent layers: gru or lstm", source="GRU fusion", choices=("gru", "lstm"))
    bidirectional: bool = setting(True, "whether recurrent layers also look ahead", source="GRU fusion")


@dataclass(frozen=True)
class Sighted:
    """How a network that sees is shown its crops, in training and in prediction."""

    order: str = setting(
        "rgb", "order of a pixel's colours: rgb, or bgr (released weights)", source="M3T", choices=("rgb", "bgr")
    )
    missing: str = setting(
        "zeros",
        "what is shown in a frame without a face: zeros (the paper), or previous, the last face before it (released "
        "code)",
        source="M3T",
        choices=("zeros", "previous"),
    )
    crop: int = setting(
        112,
        "pixels of each side that are cut out of a crop: 112, or 224, of crops of 256, which are scaled to 112 "
        "(released code)",
        unit="px",
        source="M3T",
        least=112,
        most=224,
    )


@dataclass(frozen=True)
class M3t(Sighted):
    """The M3T network: video, sound or both to valence and arousal, and to expressions where these are wanted."""

    streams: str = setting(
        "visual",
        "what it is made of: visual, audio, or audio-visual, both without their dense layers and a head behind them",
        source="M3T",
        choices=("visual", "audio", "audio-visual"),
    )
    static: str = setting(
        "none",
        "features of each frame beside its clip: none, emotion for valence and arousal, or emotion-tcae, TCAE for "
        "arousal",
        source="M3T",
        choices=("none", "emotion", "emotion-tcae"),
    )
    emotion: str = setting("", "encoder of the emotion features; by itself the only one of faces, TCAE left out")
    tcae: str = setting("", "encoder of the TCAE features; by itself the one of faces whose name begins so")
    audio: str = setting("", "encoder of the sound; by itself the only one of sound")
    fusion: str = setting(
        "concatenation",
        "how video and sound are joined: concatenation, attention, whose weights stay in [.269, .731], or "
        "unbounded-attention, which can leave a stream out",
        source="M3T",
        choices=("concatenation", "attention", "unbounded-attention"),
    )
    expressions: int = setting(
        0, "classes of expressions: 7 (ABAW 2020), 8 (since 2022), or 0 for none", source="M3T", least=0, most=8
    )
    action_units: tuple[str, ...] = setting((), "action units, such as au1,au2,au12; none by default", source="M3T")
    channels: tuple[int, ...] = setting(
        (64, 128, 256, 512, 512), "widths of the five convolutions", source="M3T", least=1, most=WIDEST
    )
    visual_units: int = setting(
        512, "GRU cells per direction of valence and of arousal", source="M3T", least=1, most=WIDEST
    )
    audio_units: int = setting(256, "GRU cells per direction of sound", source="M3T", least=1, most=WIDEST)
    scorer_units: int = setting(
        128, "GRU cells per direction of an attention score", source="M3T", least=1, most=WIDEST
    )
    fusion_units: int = setting(512, "GRU cells per direction behind the fusion", source="M3T", least=1, most=WIDEST)


@dataclass(frozen=True)
class M3tIdentity(Sighted):
    """The network that M3T's backbone begins as: it tells the people of VoxCeleb2 apart."""

    classes: int = setting(1000, "people", source="M3T", least=2, most=WIDEST)
    frames: int = setting(16, "length of a clip in training", unit="frames", source="M3T", least=1, most=WIDEST)
    channels: tuple[int, ...] = setting(
        (64, 128, 256, 512, 512), "widths of the five convolutions", source="M3T", least=1, most=WIDEST
    )
    identity_units: int = setting(512, "width of the dense layer before the logits", source="M3T", least=1, most=WIDEST)
    average: str = setting(
        "logits",
        "what is averaged over the frames of a clip: logits, or features, before the dense layers (released code)",
        source="M3T",
        choices=("logits", "features"),
    )
