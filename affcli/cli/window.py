def window() -> None:
    """x"""
