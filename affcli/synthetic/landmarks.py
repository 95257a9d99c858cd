"""Where the landmarks of the photograph are, and how far each movement takes them.

Left and right are the person's own: the right eye is the one nearer the left border of the picture.
Everything was measured or chosen by hand, in pixels (x, y) of the 512 x 512 photograph; y grows downwards.
"""

from __future__ import annotations

Point = tuple[float, float]

# Landmarks on the midline, then pairs as (right, left).
MIDLINE: dict[str, Point] = {
    "forehead": (226.4, 72.2),
    "nose_bridge": (224.5, 105.8),
    "nose_tip": (223.3, 124.9),
    "upper_lip": (223.0, 138.2),
    "upper_lip_inner": (222.9, 141.7),
    "lower_lip_inner": (222.7, 147.4),
    "lower_lip": (222.4, 152.6),
    "chin": (221.8, 168.1),
}
PAIRS: dict[str, tuple[Point, Point]] = {
    "temple": ((186.8, 79.9), (265.6, 84.3)),
    "brow_outer": ((187.5, 91.4), (263.5, 95.8)),
    "brow_middle": ((197.6, 87.4), (253.6, 90.3)),
    "brow_inner": ((216.3, 94.0), (234.0, 95.1)),
    "eye_outer": ((194.4, 100.4), (255.7, 103.9)),
    "eye_upper": ((202.5, 98.2), (247.7, 100.8)),
    "eye_lower": ((203.9, 103.4), (245.8, 105.8)),
    "eye_inner": ((213.2, 103.0), (236.6, 104.4)),
    "nostril": ((208.3, 123.9), (239.0, 125.6)),
    "cheek": ((195.3, 124.8), (252.2, 128.0)),
    "face_side": ((179.9, 109.2), (270.0, 114.2)),
    "mouth_corner": ((201.6, 138.9), (245.0, 141.3)),
    "upper_lip_side": ((210.3, 137.2), (235.9, 138.6)),
    "lower_lip_side": ((210.8, 149.2), (234.5, 150.5)),
    "jaw_side": ((186.8, 144.5), (259.5, 148.6)),
}

# What an expression moves, and by how much (dx, dy) when its weight is 1. A pair is given by its right
# side; the left side moves as its mirror image.
EXPRESSIONS: dict[str, dict[str, Point]] = {
    "smile": {
        "mouth_corner": (-3.5, -3.5),
        "upper_lip_side": (-1.5, -1.0),
        "lower_lip_side": (-1.5, -0.5),
        "cheek": (-1.0, -2.5),
        "eye_lower": (0.0, -1.0),
    },
    # The person smiles in the photograph: a frown first has to undo that, hence the long way down.
    "frown": {
        "mouth_corner": (3.5, 6.5),
        "upper_lip_side": (1.5, 3.0),
        "lower_lip_side": (1.5, 0.5),
        "upper_lip": (0.0, 0.5),
        "upper_lip_inner": (0.0, 0.8),
        "lower_lip_inner": (0.0, -3.5),
        "lower_lip": (0.0, -2.0),
        "cheek": (0.0, 1.5),
    },
    "brow_knit": {"brow_inner": (2.2, 3.6), "brow_middle": (0.8, 1.2)},
    "brow_raise": {
        "brow_inner": (0.0, -4.2),
        "brow_middle": (0.0, -4.2),
        "brow_outer": (0.0, -3.0),
        "forehead": (0.0, -1.5),
    },
    "eye_widen": {"eye_upper": (0.0, -1.8), "eye_lower": (0.0, 0.8)},
    "lid_close": {"eye_upper": (0.0, 4.2)},
    "jaw_drop": {
        "chin": (0.0, 8.0),
        "jaw_side": (0.0, 3.0),
        "lower_lip": (0.0, 9.0),
        "lower_lip_inner": (0.0, 9.0),
        "lower_lip_side": (1.0, 6.0),
        "upper_lip": (0.0, -0.8),
        "upper_lip_inner": (0.0, -0.8),
        "mouth_corner": (0.8, 1.5),
    },
}

# The same for what makes one person's face differ from another's.
SHAPES: dict[str, dict[str, Point]] = {
    "face_width": {
        "face_side": (-7.0, 0.0),
        "jaw_side": (-6.0, 0.0),
        "cheek": (-3.0, 0.0),
        "temple": (-4.0, 0.0),
    },
    "face_length": {
        "forehead": (0.0, -5.0),
        "nose_tip": (0.0, 2.5),
        "nostril": (0.0, 2.0),
        "upper_lip": (0.0, 3.0),
        "upper_lip_inner": (0.0, 3.0),
        "upper_lip_side": (0.0, 3.0),
        "lower_lip": (0.0, 3.0),
        "lower_lip_inner": (0.0, 3.0),
        "lower_lip_side": (0.0, 3.0),
        "mouth_corner": (0.0, 3.0),
        "chin": (0.0, 8.0),
    },
    "eye_spacing": {name: (-2.5, 0.0) for name in PAIRS if name.startswith(("eye", "brow"))},
    "mouth_width": {
        "mouth_corner": (-4.0, 0.0),
        "upper_lip_side": (-2.0, 0.0),
        "lower_lip_side": (-2.0, 0.0),
    },
    "nose_width": {"nostril": (-2.5, 0.0)},
    "brow_height": {name: (0.0, -2.5) for name in PAIRS if name.startswith("brow")},
}

# Head, neck and collar, traced in the photograph: what is cut out and laid over another background.
OUTLINE: list[Point] = [
    (153.75, 67.5), (156.25, 55.0), (170.0, 42.5), (192.5, 27.5), (217.5, 17.5), (250.0, 17.5),
    (272.5, 25.0), (292.5, 42.5), (301.25, 70.0), (301.25, 90.0), (295.0, 107.5), (282.5, 130.0),
    (272.5, 137.5), (266.25, 136.25), (261.25, 150.0), (257.5, 162.5), (257.5, 182.5), (285.0, 195.0),
    (308.0, 245.0), (101.0, 245.0), (125.0, 192.5), (185.0, 180.0), (185.0, 160.0), (184.5, 132.5),
    (175.5, 130.0), (168.75, 112.5), (157.5, 97.5),
]  # fmt: skip
