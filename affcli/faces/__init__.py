"""From frames to the aligned crops of one person: detect, track, select, align."""

from affcli.registry import Entry, Registry

DETECTORS = Registry(
    "face detector",
    {
        "centerface": Entry(
            load="affcli.faces.centerface:CenterFace",
            doc="boxes and five landmarks; small, fast, needs no download",
            source="Xu et al. 2019, CenterFace: Joint Face Detection and Alignment Using Face as Point",
            licence="MIT",
            weights="centerface",
        ),
    },
)
