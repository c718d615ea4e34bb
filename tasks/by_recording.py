"""Work that goes recording by recording and leaves a few files for each: what transcribing and aligning have in common.

A recording is done when its JSON, written last, is there and says that this file, this model and these settings made
it. What cannot be done is remembered in the store, for this very file and these settings. `OUTPUT/URI.SUFFIX` is where
the files go.
"""

from __future__ import annotations

import json
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

import pyarrow as pa

from sorigil.errors import AudioError
from sorigil.fingerprint import digest, to_dict
from sorigil.types import Rejection, Report
from storage import erased, files
from storage.layout import Store
from tasks.breadcrumb import Breadcrumb, Deadline
from tasks.heap import keep_freed_memory
from tasks.recordings import raw_of, surprises_told

if TYPE_CHECKING:
    from tasks.listening import Sound

log = logging.getLogger("sorigil")

_TRIED_AGAIN = (
    "missing_file",
    "unreadable",
    "erased",
)  # a disk comes back; the last would name what is to be forgotten


@dataclass(frozen=True, kw_only=True)
class RecordingsUnit(ABC):
    """Some recordings; `items` has the columns id, uri, stamp, size and what else the work needs. `output` is a folder."""

    stage: ClassVar[str]
    item_name: ClassVar[str] = "uri"
    store: Store
    base: str
    unit: str
    model_key: str
    output: str
    formats: tuple[str, ...]
    max_seconds: float
    overlap_seconds: float
    raw: Any
    items: pa.Table
    deadline: Deadline
    erased: frozenset[str] = frozenset()  # marks of recordings in which a person who was erased speaks
    threads: int = 1

    @property
    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """What, besides the recording, decides the result."""

    @property
    def key(self) -> str:
        return digest(json.dumps(self.settings, sort_keys=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class Written(Report):
    """A report with a row for each recording whose files were written."""

    rows: tuple[dict[str, Any], ...] = ()


Doing = Callable[[Any, dict[str, Any], dict[str, float]], dict[str, Any]]  # unit, item, seconds by step → a row


def do_recordings(unit: RecordingsUnit, do: Doing) -> Written:
    """Do each recording of the unit; one that cannot be done is rejected, with its reason, and the rest goes on."""
    import torch

    torch.set_num_threads(unit.threads)
    keep_freed_memory()
    rows: list[dict[str, Any]] = []
    rejections: list[Rejection] = []
    seconds: dict[str, float] = {}
    with Breadcrumb(unit.unit, unit.deadline) as breadcrumb:
        for item in unit.items.to_pylist():
            breadcrumb.drop(item["uri"], item["size"])
            try:
                rows.append(do(unit, item, seconds))
            except AudioError as wrong:
                log.warning("%s: %s: %s", unit.stage, item["uri"], wrong)
                where = {"id": item["id"], "uri": item["uri"], "stage": unit.stage}
                rejections.append(Rejection(**where, reason=wrong.reason, detail=wrong.detail))
                if wrong.reason not in _TRIED_AGAIN:
                    _remember(unit, item["stamp"], rejections[-1])
    return Written(
        unit=unit.unit,
        items=len(unit.items),
        audio_seconds=sum(row["seconds"] for row in rows),
        rejections=tuple(rejections),
        seconds=seconds,
        rows=tuple(rows),
    )


def reject_recordings(unit: RecordingsUnit, reason: str, detail: str) -> Written:
    """Every recording of the unit is rejected, and remembered as such, unopened: it has ended workers."""
    rejections = []
    for item in unit.items.to_pylist():
        rejection = Rejection(id=item["id"], uri=item["uri"], stage="worker", reason=reason, detail=detail)
        _remember(unit, item["stamp"], rejection)
        rejections.append(rejection)
    return Written(unit=unit.unit, items=len(rejections), audio_seconds=0.0, rejections=tuple(rejections))


# -- what was done before ----------------------------------------------------------------------------------------------


def place_of(output: str, uri: str) -> str:
    """Where the files of a recording go, without their suffix: the whole name of the recording is kept, so that
    `a.wav` and `a.mp3` do not write over each other."""
    return files.join(output, uri.split("://", 1)[-1].lstrip("/"))


def found_record(unit: RecordingsUnit, uri: str, stamp: str | None, key: str) -> dict[str, Any] | None:
    """The JSON of a recording whose files are all there and were made from this file by what `key` names."""
    place = place_of(unit.output, uri)
    if not all(files.exists(f"{place}.{suffix}") for suffix in unit.formats):
        return None
    try:
        written: dict[str, Any] = json.loads(files.read_bytes(f"{place}.json"))
        settings = written["settings"]
        made_by = (settings.get("key"), settings.get("stamp"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return written if made_by == (key, stamp) else None


def write_record(
    unit: RecordingsUnit, uri: str, record: dict[str, Any], render: Mapping[str, Callable[[], str]]
) -> list[str]:
    """Write the files of a recording, its JSON (`record`) last: it says that the rest is there. Returns their addresses."""
    place = place_of(unit.output, uri)
    for suffix in unit.formats:
        if suffix != "json":
            files.write_bytes(f"{place}.{suffix}", render[suffix]().encode())
    files.write_bytes(f"{place}.json", json.dumps(record, ensure_ascii=False, indent=1).encode())
    return addresses(unit, uri)


def addresses(unit: RecordingsUnit, uri: str) -> list[str]:
    """The files of a recording."""
    return [f"{place_of(unit.output, uri)}.{suffix}" for suffix in unit.formats]


def found_rejection(unit: RecordingsUnit, uri: str, stamp: str | None) -> Rejection | None:
    """What an earlier run said of this very file by these settings, if it could not be done."""
    try:
        said = json.loads(files.read_bytes(_rejection_place(unit, uri)))
    except (OSError, ValueError):
        return None
    return Rejection(**said["rejection"]) if (said["key"], said["stamp"]) == (unit.key, stamp) else None


def _rejection_place(unit: RecordingsUnit, uri: str) -> str:
    return unit.store.path(unit.store.transcript_rejection(digest(unit.output, uri)))


def _remember(unit: RecordingsUnit, stamp: str | None, rejection: Rejection) -> None:
    said = {"key": unit.key, "stamp": stamp, "rejection": to_dict(rejection)}
    files.write_bytes(_rejection_place(unit, rejection.uri), json.dumps(said, ensure_ascii=False).encode())


# -- for the work itself -----------------------------------------------------------------------------------------------


@contextmanager
def heard(unit: RecordingsUnit, uri: str, file: BinaryIO, audio: Any, channel: int | None = None) -> Iterator[Sound]:
    """The prepared audio of a whole recording, or of one of its channels."""
    from tasks.listening import listening

    with ExitStack() as closing:
        with surprises_told(uri):
            raw = raw_of(unit.raw, uri)
            sound = closing.enter_context(listening(file, audio, name=uri, raw=raw, channel=channel))
        yield sound


def refuse_erased(unit: RecordingsUnit, sha256: str) -> None:
    """Raises AudioError: erased, where a person who was erased speaks in a recording."""
    if unit.erased and unit.erased.intersection(erased.marks("recording", [sha256])):
        raise AudioError("erased", "a person who was erased on request speaks in these bytes")


def note(seconds: dict[str, float], step: str, since: float) -> float:
    """Add the time `since` to a step's; returns the clock."""
    now = time.perf_counter()
    seconds[step] = seconds.get(step, 0.0) + now - since
    return now
