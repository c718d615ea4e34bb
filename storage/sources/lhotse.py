"""Lhotse's manifests: cuts, or recordings with their supervisions, as JSON lines.

An utterance is a supervision: a stretch of a recording with its text. A cut (or a recording) without supervisions is one
utterance without text. What Lhotse computes while reading (a mixture, a change of speed, a command) is not carried out
here: such a row ends in the quarantine.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, Literal

import pyarrow as pa
import pyarrow.compute as pc

from sorigil.errors import RequestError
from storage import files
from storage.sources import jsonl
from storage.sources.items import ItemsBuilder
from storage.sources.rows import as_label, as_text, number, problem_of, split_in_name

_BATCH = 8192  # supervisions that are matched with their recordings at once
_SUPERVISION = ("id", "recording_id", "start", "duration", "channel", "text", "language", "speaker", "custom", "gender")


@dataclass(frozen=True, kw_only=True, slots=True)
class LhotseSource:
    """`uri` is a manifest of cuts or of recordings, or a folder: then every file below it with `cuts` in its name; where
    there is none, every file with `recordings` in its name and the one named `supervisions` beside it.

    Paths of audio are relative to `root`; by default to the manifest's folder.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}
    kind: Literal["lhotse"] = "lhotse"
    uri: str
    root: str | None = None
    lang: str | None = None

    @property
    def base(self) -> str:
        return jsonl.base_of(self.uri)


def scan_lhotse(source: LhotseSource) -> pa.Table:
    """Every supervision. Raises RequestError where a manifest is missing or unreadable, or all are empty."""
    builder = ItemsBuilder(source.base)
    for manifest, rows in _manifests(source):
        relative = files.relative_to(manifest, source.base)
        folder = source.root or files.parent(manifest)
        defaults = {"lang": source.lang, "split": split_in_name(relative)}
        for line, row in enumerate(rows, start=1):
            place, where = f"{relative}:{line}", f"row {line} of {relative}"
            if isinstance(row, str):
                builder.add(id=place, uri=place, problem=f"{row}, {where}")
            else:
                _add_cut(builder, row, place, where, folder, defaults)
    table = builder.table()
    if not len(table):
        raise RequestError(f"{source.uri}: the manifest has no rows")
    return table


def _manifests(source: LhotseSource) -> Iterator[tuple[str, Iterator[dict[str, Any] | str]]]:
    """The manifests to read, each with its rows as cuts."""
    found = [uri for uri in jsonl.found(source.uri) if not uri.endswith(".json")]
    names = {uri: uri.rsplit("/", 1)[-1] for uri in found}
    cuts = found if jsonl.is_file(source.uri) else [uri for uri in found if "cuts" in names[uri]]
    if cuts:
        yield from ((uri, jsonl.read(uri)) for uri in cuts)
        return
    recordings = [uri for uri in found if "recordings" in names[uri]]
    for uri in recordings:
        beside = files.join(files.parent(uri), names[uri].replace("recordings", "supervisions"))
        yield (beside, _as_cuts(uri, beside)) if beside in found else (uri, jsonl.read(uri))
    if not recordings:
        raise RequestError(
            f"{source.uri}: no manifest of cuts and none of recordings; expected names such as cuts_train.jsonl.gz, or "
            "recordings_train.jsonl.gz and supervisions_train.jsonl.gz"
        )


def _as_cuts(recordings: str, supervisions: str) -> Iterator[dict[str, Any] | str]:
    """Each supervision as a cut of its recording, then the recordings that no supervision speaks of."""
    ids, lines = [], []
    for row in jsonl.read(recordings):
        if isinstance(row, str):
            yield row
        else:
            ids.append(str(row.get("id")))
            lines.append(json.dumps(row))
    known, texts = pa.array(ids, pa.string()), pa.array(lines, pa.string())
    del ids, lines
    spoken_of = pa.array([], pa.string())
    rows = jsonl.read(supervisions)
    while batch := list(islice(rows, _BATCH)):
        wanted = pa.array(
            [None if isinstance(row, str) else str(row.get("recording_id")) for row in batch], pa.string()
        )
        spoken_of = pa.concat_arrays([spoken_of, pc.unique(wanted)]).unique()
        held = texts.take(pc.index_in(wanted, value_set=known))
        for row, name, line in zip(batch, wanted.to_pylist(), held.to_pylist(), strict=True):
            if isinstance(row, str):
                yield row
            elif line is None:
                yield f"bad_row: its recording {name} is not in {recordings.rsplit('/', 1)[-1]}"
            else:
                span = {name: row.get(name) for name in ("start", "duration", "channel")}
                yield {
                    "id": row.get("id"),
                    "recording": json.loads(line),
                    **span,
                    "supervisions": [{**row, "start": 0}],
                }
    silent = texts.filter(pc.invert(pc.is_in(known, value_set=spoken_of)))
    for line in silent:
        yield json.loads(line.as_py())


def _add_cut(
    builder: ItemsBuilder, row: dict[str, Any], place: str, where: str, folder: str, defaults: dict[str, Any]
) -> None:
    """One item for each supervision of a cut; one without text where it has none."""
    supervisions = row.get("supervisions") or [{}]
    for index, supervision in enumerate(supervisions):
        said = supervision if isinstance(supervision, dict) else {}
        identity = as_text(said.get("id")) or as_text(row.get("id")) or (place if index == 0 else f"{place}.{index}")
        values: dict[str, Any] = {}
        try:
            values = _said(said, row, defaults)
            uri, span = _audio(row, said)
            builder.add(id=identity, uri=files.join(folder, uri), **span, **values)
        except ValueError as wrong:
            builder.add(id=identity, uri=place, problem=problem_of(wrong, where), **values)


def _said(supervision: dict[str, Any], cut: dict[str, Any], defaults: dict[str, Any]) -> dict[str, Any]:
    """What a supervision says of its stretch. Lhotse has no field for a class or a split: they are in `custom`."""
    custom = {name: value for each in (cut, supervision) for name, value in _dict(each.get("custom")).items()}
    label, split = custom.pop("label", None), custom.pop("split", None)
    rest = {name: value for name, value in supervision.items() if name not in _SUPERVISION or name == "gender"}
    return {
        "text": as_text(supervision.get("text")),
        "label": as_label(label),
        "speaker": as_text(supervision.get("speaker")),
        "lang": as_text(supervision.get("language")) or defaults["lang"],
        "split": as_text(split) or defaults["split"],
        "extras": {name: value for name, value in {**custom, **rest}.items() if as_text(value) is not None},
    }


def _audio(row: dict[str, Any], supervision: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The file, and the start, seconds and channel in it."""
    kind = row.get("type", "MonoCut")
    if kind not in ("MonoCut", "MultiCut", "Cut"):
        raise ValueError(f"a {kind} is computed from several sounds; save it as audio first")
    recording = row if "sources" in row else row.get("recording")
    if not isinstance(recording, dict) or not isinstance(recording.get("sources"), list):
        raise ValueError("it names no recording (a manifest of cuts or of recordings was expected)")
    if recording.get("transforms"):
        raise ValueError("its recording is changed by transforms while it is read; save it as audio first")
    uri, channel = _source(recording["sources"], supervision.get("channel", row.get("channel")))
    if recording is row:
        return uri, {"channel": channel}
    start = number(row.get("start"), "start") or 0.0
    seconds = number(row.get("duration"), "duration")
    if "start" in supervision:
        inside, held = float(supervision["start"]), number(supervision.get("duration"), "duration")
        start, seconds = max(0.0, start + inside), held if held is not None else seconds
    if seconds is None or not seconds > 0:
        raise ValueError(f"the span is {seconds} s long; it must be longer than 0")
    whole = start == 0 and seconds == recording.get("duration")
    return uri, {"start": None if whole else start, "seconds": None if whole else seconds, "channel": channel}


def _source(sources: list[Any], wanted: Any) -> tuple[str, int | None]:
    """The file that holds a channel of a recording, and the channel's place in it; None: the whole file is meant."""
    channels = wanted if isinstance(wanted, list) else None if wanted is None else [wanted]
    for source in map(_dict, sources):
        there = source.get("channels") or [0]
        if channels is not None and not set(channels) <= set(there):
            continue
        if source.get("type") == "command":
            raise ValueError("command_refused: its audio comes out of a command, and Sorigil runs none")
        if source.get("type") not in ("file", "url") or not isinstance(source.get("source"), str):
            raise ValueError(f"its audio is of the type {source.get('type')}, not in a file")
        if channels is None or len(channels) == len(there):
            return source["source"], None
        if len(channels) == 1:
            return source["source"], there.index(channels[0])
        raise ValueError(f"it takes {len(channels)} of {len(there)} channels; one, or all, can be taken")
    raise ValueError(f"no file of its recording holds channel {wanted}")


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
