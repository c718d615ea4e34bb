"""The prepared audio of a version, as the FLAC or WAV files of an export.

FLAC is copied as it lies in the store. A recording that lies there in several pieces is joined, a piece at a time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from sorigil.errors import RequestError
from storage.exports.place import ExportPlace
from storage.exports.table import in_part_order, stream
from storage.layout import Store
from storage.parts import PartReader

if TYPE_CHECKING:
    from sorigil.audio.clip import Form

_IN_MEMORY = 16 << 20


class Clips:
    """The clips of a table's rows in one of the two forms. Raises RequestError where some have no prepared audio."""

    def __init__(self, store: Store, table: pa.Table, form: Form) -> None:
        lacking = pc.sum(pc.is_null(table.column("audio_part"))).as_py() or 0
        if lacking:
            raise RequestError(
                f"{lacking} of {len(table)} utterances have no prepared audio in the store; prepare them with "
                "keep_audio: true, or export with --audio source"
            )
        self.form = form
        self._reader = PartReader(store, ("audio", "num_samples"), cache_bytes=64 << 20)

    def write(self, row: dict[str, Any], stream: IO[bytes]) -> None:
        """A row's clip into a file that can be sought in."""
        from sorigil.audio.clip import write_clip

        pieces = self._reader.flacs(row["audio_part"], row["audio_row"], row["prepared_samples"])
        write_clip(pieces, stream, row["prepared_rate"], self.form)

    @contextmanager
    def opened(self, row: dict[str, Any]) -> Iterator[IO[bytes]]:
        """A row's clip as a file to read; a long one is on disk meanwhile."""
        with tempfile.SpooledTemporaryFile(_IN_MEMORY) as spool:
            self.write(row, spool)
            spool.seek(0)
            yield spool

    def file_name(self, row: dict[str, Any]) -> str:
        """Named by the utterance's key, which is a file name everywhere; in 256 folders."""
        return f"audio/{row['key'][:2]}/{row['key']}.{self.form}"

    def write_files(self, place: ExportPlace, table: pa.Table) -> None:
        """Every row's clip as a file of its own; those that a killed export finished are left as they are."""
        for row in stream(in_part_order(table)):
            name = self.file_name(row)
            if not place.has(name):
                with place.create(name) as file:
                    self.write(row, file)
