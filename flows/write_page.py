"""`--html PAGE`: where a verb puts the page that it was asked for."""

from __future__ import annotations

from sorigil.errors import RequestError
from storage import files


def write_page(place: str, html: bytes) -> None:
    """Raises RequestError where it cannot be written."""
    try:
        files.write_bytes(place, html)
    except OSError as wrong:
        raise RequestError(f"--html {place}: the page cannot be written ({wrong.strerror or wrong})") from wrong
