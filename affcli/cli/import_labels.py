def import_labels() -> None:
    """x"""
