"""From crops and waveforms to one vector per frame."""

from __future__ import annotations

from dataclasses import dataclass

from affcli import configs
from affcli.registry import Entry, Registry


@dataclass(frozen=True)
class EncoderEntry(Entry):
    """An encoder: what it reads (`face` or `audio`) and the class of its settings."""

    modality: str = ""
    config: type = object


ENCODERS = Registry(
    "encoder",
    {
        "centerface-b448": EncoderEntry(
            load="affcli.features.appearance:CenterfaceTrunk",
            doc="trunk of the face detector on the aligned crop, averaged over 4 x 4 cells; 1024 numbers",
            source="Xu et al. 2019, CenterFace",
            licence="MIT",
            weights="centerface",
            modality="face",
            config=configs.CenterfaceTrunk,
        ),
        "hog": EncoderEntry(
            load="affcli.features.appearance:Hog",
            doc="histograms of oriented gradients of the aligned crop; 1296 numbers",
            source="Dalal and Triggs 2005",
            licence="BSD-3-Clause",
            modality="face",
            config=configs.Hog,
        ),
        "mfcc-mel": EncoderEntry(
            load="affcli.features.acoustic:MfccMel",
            doc="40 MFCC and 128 mel powers of two frame periods around the frame; 168 numbers",
            source="GRU fusion for ABAW 2020",
            licence="Apache-2.0",
            modality="audio",
            config=configs.MfccMel,
        ),
        "logmel-stack": EncoderEntry(
            load="affcli.features.acoustic:LogmelStack",
            doc="five log-mel rows, three per frame period, on a clock that does not drift; 200 numbers",
            source="Zhang et al. 2020, M3T (arXiv 2002.02957)",
            licence="Apache-2.0",
            modality="audio",
            config=configs.LogmelStack,
        ),
    },
)
