def embed() -> None:
    """x"""
