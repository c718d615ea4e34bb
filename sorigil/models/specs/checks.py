"""What the specs of several networks refuse alike."""

from __future__ import annotations


def check_odd(name: str, sizes: tuple[int, ...]) -> None:
    """Refuse even kernel sizes: "same" padding needs a middle."""
    for size in sizes:
        if size < 1 or size % 2 == 0:
            raise ValueError(f"{name} has the size {size}; each must be an odd number of at least 1")


def check_recurrent(hidden: int, layers: int, dropout: float) -> None:
    """Refuse sizes that no network can have."""
    if hidden < 1:
        raise ValueError(f"hidden is {hidden}; it must be at least 1")
    if layers < 1:
        raise ValueError(f"layers is {layers}; it must be at least 1")
    check_dropout(dropout)


def check_dropout(dropout: float) -> None:
    """Refuse a dropout that is no probability, or that drops everything."""
    if not 0 <= dropout < 1:
        raise ValueError(f"dropout is {dropout}; it must be at least 0 and below 1")


def check_at_least_one(name: str, value: int) -> None:
    """Refuse what there must be one of."""
    if value < 1:
        raise ValueError(f"{name} is {value}; it must be at least 1")
