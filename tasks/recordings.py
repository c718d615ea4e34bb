"""Opening the recordings of a source: what cannot be opened or decoded is the recording's own fault, told as an AudioError.

A store that does not answer is not: that OSError goes on, and nothing is held against the recording.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from sorigil.audio.spec import RawAudio
from sorigil.errors import AudioError
from storage import files
from storage.s3 import is_outage
from storage.streams import Source, open_source
from tasks.unit_output import unexpected
from tasks.units import RAW_SUFFIXES


@contextmanager
def opened(uri: str) -> Iterator[Source]:
    """The file at an address. Raises AudioError: missing_file, unreadable."""
    with ExitStack() as closing:
        try:
            source = closing.enter_context(open_source(uri))
        except FileNotFoundError as missing:
            raise AudioError("missing_file", f"{uri} does not exist") from missing
        except OSError as unreadable:
            if is_outage(unreadable):
                raise
            reason = unreadable.strerror or unreadable
            raise AudioError("unreadable", f"{uri} cannot be read ({reason})") from unreadable
        yield source


@contextmanager
def surprises_told(uri: str) -> Iterator[None]:
    """Within this, an error that no decoder is known for is the recording's: AudioError unexpected_error."""
    try:
        yield
    except AudioError:
        raise
    except Exception as bug:
        raise unexpected(bug, uri) from bug


def raw_of(raw: RawAudio | None, uri: str) -> RawAudio | None:
    """How a headerless file is to be read; None for any other."""
    return raw if raw is not None and files.suffix(uri) in RAW_SUFFIXES else None
