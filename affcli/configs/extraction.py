"""From video to labelled windows."""

from __future__ import annotations

from dataclasses import dataclass

from affcli.configs.base import setting


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
    overlap: int = setting(
        5, "overlap of neighbouring windows; M3T's is half their length", unit="frames", source="GRU fusion"
    )


@dataclass(frozen=True)
class Split:
    """Which share of the clips is held out for validation, and the seed that chooses them."""

    val_share: float = setting(0.2, "share of the clips held out for validation, 0 to 1")
    seed: int = setting(0, "seed of the random choice of clips")
