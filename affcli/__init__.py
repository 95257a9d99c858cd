"""Continuous affect from video: faces, audio, features, training, prediction and scores, frame by frame."""

__version__ = "0.1.0"
