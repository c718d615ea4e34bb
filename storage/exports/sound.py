"""Where an export's manifest finds the sound of an utterance: in the source as it lies there, or in a clip of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sorigil.errors import RequestError
from storage import archives, files
from storage.exports.clips import Clips
from storage.exports.place import ExportPlace

_SEPARATOR = "\x1f"  # of the columns that a `place` joins (storage.tables.joined)
_CHANNEL = re.compile(r"ch\d+")
_HEADERLESS = (".raw", ".pcm")


@dataclass(frozen=True, kw_only=True, slots=True)
class Clip:
    """A stretch of a file. `start` and `seconds` follow from whole samples: rounding them back gives the same ones."""

    address: str  # absolute
    recording: str  # a name that the utterances of one file share
    sample_rate: int
    num_samples: int
    start_sample: int = 0
    channel: int | None = None  # null: all of the file's
    channels: int = 1  # that the file has
    whole: bool = True  # of the file

    @property
    def start(self) -> float:
        return self.start_sample / self.sample_rate

    @property
    def seconds(self) -> float:
        return self.num_samples / self.sample_rate


class Sound:
    """With `clips` the sound is in the export's own files, one an utterance; without, in the files below `base`."""

    def __init__(self, place: ExportPlace, base: str, clips: Clips | None) -> None:
        self._place, self._base, self._clips = place, base, clips

    @property
    def in_place(self) -> bool:
        return self._clips is None

    @property
    def clips(self) -> Clips:
        """For a format that holds the audio itself."""
        assert self._clips is not None, "audio: source is none of its choices"
        return self._clips

    def write(self, table: pa.Table) -> None:
        """Write the clips; raises RequestError where the source's files cannot be named instead."""
        if self._clips is not None:
            self._clips.write_files(self._place, table)
            return
        for uri in pc.unique(table.column("uri")).to_pylist():
            if archives.parted(uri) is not None or files.suffix(uri) in _HEADERLESS:
                raise RequestError(
                    f"{uri} lies in an archive or has no header: other tools cannot open it; export with --audio flac"
                )

    def clip(self, row: dict[str, Any]) -> Clip:
        """Where the sound of a row is."""
        if self._clips is not None:
            return Clip(
                address=self._place.address(self._clips.file_name(row)),
                recording=row["id"],
                sample_rate=row["prepared_rate"],
                num_samples=row["prepared_samples"],
            )
        _, start, seconds, _ = row["place"].rsplit(_SEPARATOR, 3)
        piece = row["piece"]  # of its item: a channel (ch0) is as long as the file, any other is not
        return Clip(
            address=self.address(row["uri"]),
            recording=row["uri"],
            sample_rate=row["sample_rate"],
            num_samples=row["num_samples"],
            start_sample=row["start"],
            channel=row["channel"],
            channels=row["channels"],
            whole=not start and not seconds and (piece is None or bool(_CHANNEL.fullmatch(piece))),
        )

    def address(self, uri: str) -> str:
        """Of a file of the source."""
        return files.join(self._base, uri)

    def relative(self, clip: Clip) -> str:
        """The address as seen from the export's folder, where the clip is one of its own."""
        return files.relative_to(clip.address, self._place.output) if self._clips is not None else clip.address
