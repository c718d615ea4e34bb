"""A version of a dataset as something to train on, score or read with other people's code.

`open_dataset` gives an Arrow table, a row per utterance, with its text and label and the place of its features and of
its prepared audio. `StoredRows` reads those places one row at a time, a row group of Parquet per disk access; it is
what Sorigil's own training uses, and with `sorigil.training.data` it makes a torch dataset for anybody's.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from sorigil.errors import RequestError
from storage import tables
from storage.catalog import Catalog
from storage.layout import Store
from storage.parts import PartReader
from storage.versions import Version

_UTTERANCE = ("key", "id", "uri", "sha256", "speaker", "lang", "split", "sample_rate", "num_samples", "extras")
TOGETHER = ("place", "near_group", "piece")  # what `together` needs besides
_WHOLE = "\x1f\x1f\x1f"  # how the place of a whole recording ends: no start, no length, no channel
_AUDIO = ("audio_key", "audio_part", "audio_row", "prepared_rate", "prepared_samples")


def open_dataset(
    catalog: Catalog, version: Version, feature: str | None = None, more: tuple[str, ...] = ()
) -> pa.Table:
    """One row per utterance, ordered by id: identity, audio place, `reference`, `label`; with `feature` (the key of a
    feature spec) also feature_part, feature_row, num_frames of the rows that have it; with `more` these columns too."""
    table = catalog.read(version, "utterances", (*_UTTERANCE, *_AUDIO, *more)).sort_by("id")
    annotations = catalog.read(version, "annotations", ("key", "tier", "value", "source"))
    for tier in ("reference", "label"):
        chosen = annotations.filter(pc.equal(annotations.column("tier"), tier))
        values = tables.lookup(chosen, "key", table.column("key")).column("value")
        table = table.append_column(tier, values)
    if feature is None:
        return table
    return with_features(table, catalog.read(version, "features"), feature)


def together(table: pa.Table) -> Any:
    """For each utterance the name of what must not be parted by a split that is free to choose: its group of
    near-duplicates, else the recording that it is a stretch (or a channel) of, else itself alone (its key)."""
    whole = pc.and_(pc.ends_with(table.column("place"), _WHOLE), pc.is_null(table.column("piece")))
    return pc.coalesce(table.column("near_group"), pc.if_else(whole, table.column("key"), table.column("uri")))


class SplitRows(Mapping[str, Sequence[str | None]]):
    """The columns by which `sorigil.splits` assigns sides, as it wants them; each is made when it is asked for."""

    def __init__(self, table: pa.Table, fields: Sequence[str]) -> None:
        self._table = table
        self._names = dict.fromkeys(("key", "speaker", "split", "together", *fields))
        self._made: dict[str, Sequence[str | None]] = {}

    def __getitem__(self, name: str) -> Sequence[str | None]:
        if name not in self._names:
            raise KeyError(name)
        if name not in self._made:
            self._made[name] = self._column(name)
        return self._made[name]

    def _column(self, name: str) -> Sequence[str | None]:
        if name == "together":
            return _strings(together(self._table))
        return (
            _strings(self._table.column(name)) if name in ("key", "speaker", "split") else field_of(self._table, name)
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def split_rows(table: pa.Table, fields: Sequence[str] = ()) -> SplitRows:
    return SplitRows(table, fields)


def _strings(column: Any) -> list[str | None]:
    """`to_pylist`, where rows with the same word share one object."""
    coded = tables.flat(column).dictionary_encode()
    words = np.asarray([*coded.dictionary.to_pylist(), None], object)
    found: list[str | None] = words[np.asarray(pc.fill_null(coded.indices, -1))].tolist()
    return found


def field_of(table: pa.Table, name: str) -> list[str | None]:
    """A field of each utterance as text: a column by the name it has in a source (`recording` is the file), else one of
    the extras. Raises RequestError where no utterance has it."""
    own = {"recording": "uri", "text": "reference"}.get(name, name)
    if own in table.column_names:
        return _strings(table.column(own))
    extras = [json.loads(text) if text else {} for text in table.column("extras").to_pylist()]
    found = [None if row.get(name) is None else str(row[name]) for row in extras]
    if not any(value is not None for value in found):
        known = ", ".join(sorted({key for row in extras for key in row})) or "none"
        there = f"there are speaker, recording, label, lang, split and the source's extras ({known})"
        raise RequestError(f"no utterance has a field {name!r}; {there}")
    return found


def with_features(table: pa.Table, features: pa.Table, feature: str) -> pa.Table:
    """`table` with the places of one feature; nulls where a row lacks it."""
    features = features.select(["key", "spec", "part", "row", "num_frames"])
    chosen = features.filter(pc.equal(features.column("spec"), feature))
    found = tables.lookup(chosen, "key", table.column("key"))
    for name, column in (("feature_part", "part"), ("feature_row", "row"), ("num_frames", "num_frames")):
        table = table.append_column(name, found.column(column).cast(tables.FEATURES.field(column).type))
    return table


def prepared_seconds(table: pa.Table) -> NDArray[np.float64]:
    """How long the prepared audio of each row is; NaN where there is none."""
    samples = pc.cast(table.column("prepared_samples"), pa.float64())
    return np.asarray(pc.divide(samples, table.column("prepared_rate")).to_numpy())


class StoredRows:
    """Random access to the features and the prepared audio of the rows of a table as `open_dataset` gives it.

    Survives pickling (a loader worker reads with its own cache). `seconds` is of the prepared audio; `groups` numbers
    the row groups in which the rows lie, so that a shuffle can stay local to what is in memory.
    """

    def __init__(self, store: Store, table: pa.Table, *, audio: bool = False) -> None:
        self._store = store
        self.keys: Sequence[str] = table.column("key").to_pylist()
        self.seconds: NDArray[np.float64] = prepared_seconds(table)
        part, row = ("audio_part", "audio_row") if audio else ("feature_part", "feature_row")
        self._part: list[str] = table.column(part).to_pylist()
        self._row: NDArray[np.int64] = _ints(table.column(row))
        self._frames = None if audio else _ints(table.column("num_frames"))
        self._samples = _ints(table.column("prepared_samples"))
        self._rate = _ints(table.column("prepared_rate"))
        self._heard_at: int | None = None
        self._reader = self._open_reader()
        self.groups: NDArray[np.int64] | None = self._groups()

    def heard_at(self, sample_rate: int) -> StoredRows:
        """The same rows, whose `samples` are at this rate (Hz), whatever it is that they were prepared at."""
        found = copy.copy(self)
        found._heard_at = sample_rate
        return found

    def _groups(self) -> NDArray[np.int64]:
        names: dict[tuple[str, int], int] = {}
        places = [
            (part, self._reader.group_of(part, int(row))) for part, row in zip(self._part, self._row, strict=True)
        ]
        return np.asarray([names.setdefault(place, len(names)) for place in places], dtype=np.int64)

    def features(self, index: int) -> NDArray[np.float32]:
        """The features_TF of a row, float32."""
        assert self._frames is not None, "these rows were opened for audio"
        wanted, row = int(self._frames[index]), int(self._row[index])
        found: list[NDArray[np.float32]] = []
        while not found or sum(map(len, found)) < wanted:  # whatever the length of chunks was when they were written
            (chunk,) = self._reader.rows(self._part[index], row + len(found))
            found.append(_matrix(chunk))
        return np.concatenate(found)

    def samples(self, index: int) -> NDArray[np.float32]:
        """The prepared audio of a row, full scale being 1, at the rate it has or at that of `heard_at`."""
        from sorigil.audio.prepare import decode_flac, to_float
        from sorigil.audio.resample import resample

        samples, rate = to_float(np.concatenate([decode_flac(flac) for flac in self._flacs(index)])), self._rate[index]
        return resample(samples, int(rate), self._heard_at or int(rate))

    def flac(self, index: int) -> bytes:
        """The prepared audio of a row as one FLAC file: as it is stored, unless it is long and lies there in pieces."""
        from sorigil.audio.prepare import decode_flac, encode_flac

        found = self._flacs(index)
        if len(found) == 1:
            return found[0]
        return encode_flac(np.concatenate([decode_flac(flac) for flac in found]), int(self._rate[index]))

    def _flacs(self, index: int) -> list[bytes]:
        part, row, length = self._part[index], int(self._row[index]), int(self._samples[index])
        return list(self._reader.flacs(part, row, length))

    def _open_reader(self) -> PartReader:
        columns = ("audio", "num_samples") if self._frames is None else ("num_frames", "dim", "values")
        return PartReader(self._store, columns)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_reader": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._reader = self._open_reader()


def _matrix(chunk: dict[str, Any]) -> NDArray[np.float32]:
    values = chunk["values"].values.to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=np.float32).reshape(chunk["num_frames"].as_py(), chunk["dim"].as_py())


def _ints(column: Any) -> NDArray[np.int64]:
    return np.asarray(pc.fill_null(column, -1).to_numpy(), dtype=np.int64)
