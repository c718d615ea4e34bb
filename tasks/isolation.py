"""What is left to do for a unit that was taken apart: a verdict on the items that ended their worker, and one ledger.

`flows.isolate` decides; here it is written down, as any other rejection is, so that the next run knows it too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, cast

import pyarrow as pa

from sorigil.errors import AudioError
from sorigil.types import Report
from storage import archives, files, ledger, parts, tables
from tasks.unit_output import Output
from tasks.units import FeaturizeUnit, PrepareUnit

STAGE = "worker"


def reject_recordings(unit: PrepareUnit, reason: str, detail: str) -> Report:
    """Every item of the unit goes to the quarantine, remembered by its bytes and by what was asked of them."""
    hashes: dict[str, str | None] = {}
    with Output(unit) as output:
        for item in unit.items.to_pylist():
            uri = item["uri"]
            if uri not in hashes:
                hashes[uri] = _sha256(files.join(unit.base, uri))
            output.reject(item, hashes[uri], STAGE, AudioError(reason, detail), code=unit.code)
        return output.finish()


def _sha256(uri: str) -> str | None:
    """Read, not decoded: that is what ended the worker."""
    try:
        with archives.open_input(uri) as stream:
            return hashlib.file_digest(cast("Any", stream), "sha256").hexdigest()
    except OSError:
        return None


def reject_prepared(unit: FeaturizeUnit, reason: str, detail: str) -> Report:
    """Every item of the unit goes to the quarantine, though its prepared audio is good."""
    with Output(unit) as output:
        for item in unit.items.to_pylist():
            nameless = {"id": item["key"], "place": None, "uri": None, "stamp": None}
            output.reject({**item, **nameless}, None, STAGE, AudioError(reason, detail))
        return output.finish()


def gather(unit: PrepareUnit | FeaturizeUnit, pieces: Sequence[PrepareUnit | FeaturizeUnit]) -> None:
    """The ledgers of a unit's pieces become its own, which says that it is done. Their parts stay where they are."""
    found = [parts.read_table(piece.store.path(piece.ledger)) for piece in pieces]
    rows = pa.concat_tables([tables.conform(table, ledger.ROWS) for table in found])
    parts.write_table(unit.store.path(unit.ledger), rows)
