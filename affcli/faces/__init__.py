"""From frames to the aligned crops of one person: detect, track, select, align."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from affcli import weights
from affcli.configs import Tracks
from affcli.errors import UsageError
from affcli.registry import Entry, Registry

if TYPE_CHECKING:
    from affcli.faces.detections import Detector


@dataclass(frozen=True)
class DetectorEntry(Entry):
    """A face detector, or a family of them, whose reader is given the file to read."""

    family: str | None = None


FAMILIES = Registry(
    "family of face detectors",
    {
        "scrfd": DetectorEntry(
            load="affcli.faces.insightface:Scrfd",
            doc="any SCRFD with landmarks, as InsightFace exports it",
            source="Guo et al. 2021, Sample and Computation Redistribution for Efficient Face Detection",
            licence="the file's own",
            family="scrfd",
        ),
        "retinaface": DetectorEntry(
            load="affcli.faces.insightface:RetinaFace",
            doc="any RetinaFace with landmarks, as InsightFace exports it",
            source="Deng et al. 2020, RetinaFace: Single-Shot Multi-Level Face Localisation in the Wild",
            licence="the file's own",
            family="retinaface",
        ),
    },
)


def _named(name: str, doc: str, *, load: str | None = None, family: str | None = None) -> tuple[str, DetectorEntry]:
    known = weights.WEIGHTS[name]
    where = load or FAMILIES[family or ""].load
    return name, DetectorEntry(where, doc, known.paper, known.licence.name, weights=name, family=family)


DETECTORS = Registry(
    "face detector",
    dict(
        [
            _named("centerface", "small and fast; needs no download", load="affcli.faces.centerface:CenterFace"),
            _named("scrfd-10g.buffalo-l", "the most accurate on small and turned faces", family="scrfd"),
            _named("scrfd-2.5g.buffalo-m", "a quarter of the work of scrfd-10g", family="scrfd"),
            _named("scrfd-500m.buffalo-sc", "a twentieth of the work of scrfd-10g", family="scrfd"),
        ]
    ),
)


def open_detector(spec: str, config: Tracks) -> Detector:
    """The detector that a user asks for: a name in DETECTORS, or `scrfd:FILE.onnx` or `retinaface:FILE.onnx`.

    Raises UsageError for an unknown name or family, AssetError where its weights are missing, damaged or no such
    detector.
    """
    entry, path = _find(spec)
    reader = entry.resolve()
    if entry.family is None:
        opened: Detector = reader(config)
    else:
        opened = reader(config, weights.load_file(path) if path else weights.load(spec))
    return opened


def detector_name(spec: str) -> str:
    """What a recipe says of a detector: its name, or family and base name of a file, without the directory.

    Raises UsageError for an unknown name or family.
    """
    entry, path = _find(spec)
    return f"{entry.family}:{path.rpartition('/')[2]}" if path else spec


def _find(spec: str) -> tuple[DetectorEntry, str]:
    """What reads, and the path of a user's own file (empty for a name in DETECTORS)."""
    family, colon, path = spec.partition(":")
    if not colon:
        if "/" in spec or spec.endswith(".onnx"):
            forms = " or ".join(f"{known}:{spec}" for known in FAMILIES)
            raise UsageError(spec, "is a file of no stated family", expected=forms, advice="put its family before it")
        if spec in FAMILIES:
            forms = f"{spec}:FILE.onnx or one of {', '.join(DETECTORS)}"
            raise UsageError(spec, f"is a {FAMILIES.kind}", expected=forms, advice="choose one of them")
        return DETECTORS[spec], ""
    if not path and family in FAMILIES:
        raise UsageError(spec, "names no file", expected=f"{spec}FILE.onnx", advice="add the path")
    return FAMILIES[family], path
