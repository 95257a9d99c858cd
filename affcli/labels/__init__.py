"""Valence and arousal from label files, predictions and tables, as `Affect`; and back to CSV."""
