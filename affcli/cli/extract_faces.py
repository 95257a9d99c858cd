def extract_faces() -> None:
    """x"""
