def predict() -> None:
    """x"""
