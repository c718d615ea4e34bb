"""Where a verb writes what it was asked for: tried before the work begins, so that none is done for nothing."""

from __future__ import annotations

from sorigil.errors import RequestError
from storage import files


def try_folder(option: str, folder: str) -> None:
    """Raises RequestError where no file can be written into the folder, which is made if there is none."""
    _try(option, folder, files.join(folder, "trial"))


def try_file(option: str, place: str) -> None:
    """Raises RequestError where the file cannot be written; the folder for it is made if there is none."""
    _try(option, place, place)


def _try(option: str, asked: str, place: str) -> None:
    try:
        files.try_write(place)
    except OSError as wrong:
        raise RequestError(f"{option} {asked}: it cannot be written there ({wrong.strerror or wrong})") from wrong
