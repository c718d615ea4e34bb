"""Every path of the store, in one place. `docs/data-format.md` says what is in each file.

A store is one folder (or object-store prefix). Parts, units, models and scores are immutable and named by what they
were computed from, so whoever finds one may use it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from sorigil.errors import RequestError
from storage import files

STORE_FORMAT = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Store:
    """A store's root, and the database addresses of its catalogue and its experiments."""

    root: str
    catalog: str  # a SQLAlchemy address, or the http(s) address of an Iceberg REST catalogue
    mlflow: str

    def path(self, relative: str) -> str:
        """The full address of something named relative to the root."""
        return files.join(self.root, relative)

    def table(self, dataset: str, name: str) -> str:
        """Where Iceberg keeps the files of a table."""
        return f"tables/{dataset}/{name}"

    def parts(self, dataset: str) -> str:
        return f"parts/{dataset}"

    def audio_part(self, dataset: str, spec: str, unit: str) -> str:
        return f"{self.parts(dataset)}/audio/{spec}/{unit}.parquet"

    def feature_part(self, dataset: str, spec: str, unit: str) -> str:
        return f"{self.parts(dataset)}/features/{spec}/{unit}.parquet"

    def units(self, dataset: str) -> str:
        return f"units/{dataset}"

    def unit_folder(self, dataset: str, work: str) -> str:
        return f"{self.units(dataset)}/{work}"

    def unit(self, dataset: str, work: str, unit: str) -> str:
        return f"{self.unit_folder(dataset, work)}/{unit}.parquet"

    def damaged(self, relative: str) -> str:
        """Where a damaged file is set aside."""
        return f"damaged/{relative}"

    def erased(self, dataset: str) -> str:
        """What was erased and must not come back."""
        return f"erased/{dataset}.parquet"

    def outputs(self, dataset: str) -> str:
        """Notes of what was written outside the store."""
        return f"outputs/{dataset}"

    def model(self, key: str) -> str:
        return f"models/{key}"

    def language_models(self, key: str) -> str:
        """Those that the decoders of a model listen to."""
        return f"{self.model(key)}/lm"

    def checkpoint(self, key: str, name: str) -> str:
        return f"checkpoints/{key}/{name}"

    def score(self, key: str) -> str:
        return f"scores/{key}"

    def hypotheses(self, key: str) -> str:
        """What a model said, by audio key."""
        return f"hypotheses/{key}"

    def leaderboard(self, key: str) -> str:
        return f"leaderboards/{key}"

    def transcript_rejection(self, key: str) -> str:
        return f"transcripts/{key}.json"

    def run(self, run: str) -> str:
        return f"runs/{run}"

    def spooled(self, run: str, number: int) -> str:
        """A table of a run's trainings that its workers read; gone when the run ends."""
        return f"{self.run(run)}/trainings/{number}.parquet"

    def open(self) -> Store:
        """Make the store on first use; refuse one written by a newer program."""
        marker = self.path("sorigil.json")
        if not files.exists(marker):
            files.write_bytes(marker, json.dumps({"format": STORE_FORMAT}).encode())
            return self
        found = json.loads(files.read_bytes(marker))["format"]
        if found > STORE_FORMAT:
            raise RequestError(
                f"{self.root}: the store has format {found}, this program knows up to {STORE_FORMAT}; "
                "use the newer program that wrote it, or name another storage.root"
            )
        return self
