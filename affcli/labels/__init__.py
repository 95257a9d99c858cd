"""Label files, predictions and tables as `Affect`: valence and arousal, expressions, action units; and back to text."""
