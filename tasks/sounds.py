"""The prepared sound of utterances for a page: whole FLAC files, as long as neither one nor all of them are too heavy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from storage import parts
from storage.layout import Store

LONGEST = 30.0  # seconds; a longer one would make the page heavy


@dataclass(kw_only=True)
class Sounds:
    """Gives sounds until `budget` bytes are used (None: without end); counts why others were not given."""

    store: Store
    budget: int | None = None
    used: int = 0
    without: dict[str, int] = field(default_factory=dict)

    @cached_property
    def _reader(self) -> parts.PartReader:
        return parts.PartReader(self.store, ("audio", "num_samples", "sample_rate"), cache_bytes=16 << 20)

    def of(self, row: Mapping[str, Any]) -> bytes | None:
        """The FLAC of a row with `audio_part` and `audio_row`; None where it has none, or it would be too much."""
        if row.get("audio_part") is None:
            return self._none("were not kept as audio")
        try:
            (found,) = self._reader.rows(row["audio_part"], row["audio_row"])
        except FileNotFoundError:
            return self._none("are not in the store any more")
        if found["num_samples"].as_py() / found["sample_rate"].as_py() > LONGEST:
            return self._none(f"are longer than {LONGEST:g} s")
        flac = bytes(found["audio"]["bytes"].as_py())
        if self.budget is not None and self.used + len(flac) > self.budget:
            return self._none("would make the page too heavy")
        self.used += len(flac)
        return flac

    def _none(self, why: str) -> bytes | None:
        self.without[why] = self.without.get(why, 0) + 1
        return None
