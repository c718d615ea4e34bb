"""The shelf of models as a table for the terminal."""

from __future__ import annotations

from typing import Any

from sorigil.report.summary import table


def shelf_table(rows: list[dict[str, Any]]) -> str:
    """One line a kind; what the parameters are counted for stands below."""
    from sorigil.models.shelf import BANDS, CLASSES

    names = ("model", "objectives", "input", "parameters", "paper")
    body = [
        (
            row["name"],
            ", ".join(row["objectives"]),
            row["input"],
            "-" if row["parameters"] is None else f"{row['parameters']:,}",
            row["paper"],
        )
        for row in rows
    ]
    counted = f"parameters: with all defaults, {BANDS} features a frame and {CLASSES} outputs; -: an extra is missing"
    return "\n".join([*table([names, *body], right=(3,), indent=""), "", counted])
