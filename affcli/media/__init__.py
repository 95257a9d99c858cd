"""Media files in and out: frames and sound with their own times."""
