def extract_audio() -> None:
    """x"""
