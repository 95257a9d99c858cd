"""From crops, landmarks and waveforms to one vector per frame: the table of encoders.

`affcli.features.contract` says what an encoder is.
"""

from __future__ import annotations

from functools import partial

from affcli.features import notes, settings
from affcli.features.contract import EncoderEntry as EncoderEntry
from affcli.features.contract import Setup as Setup
from affcli.registry import Registry
from affcli.weights import INSIGHTFACE

# A network that a user brings; one of InsightFace, brought by `affcli models pull`; those of a library, by name.
_network = partial(
    EncoderEntry, licence="the file's own", argument="FILE.onnx", engine="onnx", config=settings.ImageNetwork
)
_arcface = partial(
    EncoderEntry,
    source="Deng et al. 2019, ArcFace",
    licence=INSIGHTFACE.name,
    engine="onnx",
    width=512,
    config=settings.Arcface,
    notes=notes.ARCFACE,
)
_backbone = partial(
    EncoderEntry,
    doc="any of its networks for classification, by name, without the last layer",
    licence="the weights' own",
    argument="NAME[@FILE]",
    engine="torch",
    half=True,
    config=settings.Backbone,
    extra="timm",
    notes=notes.BACKBONE,
)

ENCODERS = Registry(
    "encoder",
    {
        "centerface-b448": EncoderEntry(
            load="affcli.features.appearance:CenterfaceTrunk",
            doc="trunk of the face detector on the aligned crop, averaged over 4 x 4 cells",
            source="Xu et al. 2019, CenterFace",
            licence="MIT",
            weights="centerface",
            engine="onnx",
            width=1024,
            config=settings.CenterfaceTrunk,
        ),
        "hog": EncoderEntry(
            load="affcli.features.appearance:Hog",
            doc="histograms of oriented gradients of the aligned crop",
            source="Dalal and Triggs 2005",
            licence="BSD-3-Clause",
            width=1296,
            config=settings.Hog,
        ),
        "landmarks": EncoderEntry(
            load="affcli.features.landmarks:Landmarks",
            doc="head pose, geometry and movement of five landmarks; not OpenFace's FacePose, but in its place",
            source="own; head of MediaPipe's canonical face model",
            licence="Apache-2.0",
            reads="landmarks",
            modality="pose",
            width=48,
            config=settings.Landmarks,
        ),
        "flow": EncoderEntry(
            load="affcli.features.flow:Flow",
            doc="optical flow from one aligned crop to the next, over 4 x 4 cells",
            source="Kroeger et al. 2016, DIS optical flow",
            licence="Apache-2.0",
            reads="film",
            width=70,
            config=settings.Flow,
        ),
        "onnx": _network(
            "affcli.features.networks:ImageNetwork", "any image network", "the file's own", notes=notes.ONNX
        ),
        "arcface-r50.webface600k": _arcface(
            "affcli.features.networks:arcface_r50",
            "who the face is, to a ResNet-50 of InsightFace",
            weights="arcface-r50.webface600k",
        ),
        "arcface-mbf.webface600k": _arcface(
            "affcli.features.networks:arcface_mbf",
            "who the face is, to a MobileFaceNet of InsightFace, a twelfth of the size",
            weights="arcface-mbf.webface600k",
        ),
        "expnet": _network(
            "affcli.features.networks:expnet",
            "3-D expression, by a ResNet-101 before its 29 coefficients",
            "Chang et al. 2018, ExpNet (arXiv 1802.00542)",
            width=2048,
            notes=notes.EXPNET,
        ),
        "senet101-fer": _network(
            "affcli.features.networks:senet101_fer",
            "facial expression, by a SENet-101",
            "Zhang et al. 2020, M3T (arXiv 2002.02957)",
            width=512,
            notes=notes.SENET101_FER,
        ),
        "tcae": _network(
            "affcli.features.networks:tcae",
            "facial actions, by a twin-cycle autoencoder",
            "Li et al. 2019, TCAE (CVPR)",
            width=256,
            notes=notes.TCAE,
        ),
        "timm": _backbone(
            "affcli.features.backbones:Timm",
            source="Wightman 2019, PyTorch Image Models",
            packages=("timm", "huggingface_hub"),
        ),
        "torchvision": _backbone(
            "affcli.features.backbones:Torchvision",
            source="TorchVision maintainers and contributors 2016",
            packages=("torchvision",),
        ),
        "mfcc-mel": EncoderEntry(
            load="affcli.features.acoustic:MfccMel",
            doc="40 MFCC and 128 mel powers of two frame periods around the frame",
            source="GRU fusion for ABAW 2020",
            licence="Apache-2.0",
            reads="audio",
            modality="audio",
            width=168,
            config=settings.MfccMel,
        ),
        "logmel-stack": EncoderEntry(
            load="affcli.features.acoustic:LogmelStack",
            doc="five log-mel rows, three per frame period, on a clock that does not drift",
            source="Zhang et al. 2020, M3T (arXiv 2002.02957)",
            licence="Apache-2.0",
            reads="audio",
            modality="audio",
            width=200,
            config=settings.LogmelStack,
        ),
        "prosody": EncoderEntry(
            load="affcli.features.prosody:Prosody",
            doc="pitch, level and voicing at the frame; their spread, syllable rate and pauses around it",
            source="Nieradzik 2025, SwiftF0 (arXiv 2508.18440); de Jong and Wempe 2009",
            licence="MIT",
            weights="swift-f0",
            reads="audio",
            modality="audio",
            width=12,
            config=settings.Prosody,
        ),
        "egemaps": EncoderEntry(
            load="affcli.features.opensmile:Egemaps",
            doc="88 functionals of a window around the frame, or 25 low-level descriptors, by openSMILE",
            source="Eyben et al. 2016, eGeMAPSv02",
            licence="audEERING research licence (no commercial use)",
            reads="audio",
            modality="audio",
            width=88,
            config=settings.Egemaps,
            packages=("opensmile",),
            extra="opensmile",
        ),
        "silero-vad": EncoderEntry(
            load="affcli.features.speech:SileroVad",
            doc="probability of speech at the frame and around it",
            source="Silero Team 2024, Silero VAD 6.2",
            licence="MIT",
            weights="silero-vad",
            reads="audio",
            modality="audio",
            width=2,
            config=settings.SileroVad,
        ),
        "hf": EncoderEntry(
            load="affcli.features.ssl:HuggingFace",
            doc="a layer of wav2vec 2.0, HuBERT, WavLM or their like, at each frame's own time",
            source="Baevski et al. 2020, wav2vec 2.0; Hsu et al. 2021, HuBERT; Chen et al. 2022, WavLM",
            licence="the file's own",
            reads="audio",
            modality="audio",
            config=settings.HuggingFace,
            argument="DIRECTORY",
            half=True,
            packages=("transformers",),
            extra="ssl",
            engine="torch",
            notes=notes.HF,
        ),
        "audio-onnx": EncoderEntry(
            load="affcli.features.audio_onnx:AudioNetwork",
            doc="a network of your own that turns a waveform into steps, at each frame's own time",
            source="the network's own",
            licence="the file's own",
            reads="audio",
            modality="audio",
            config=settings.AudioNetwork,
            argument="FILE.onnx",
            engine="onnx",
            notes=notes.AUDIO_ONNX,
        ),
    },
    group="affcli.encoders",
)
