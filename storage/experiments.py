"""What MLflow is told: one run per trained and scored model. The only module that talks to MLflow.

Models are logged as the bundle's own files and registered with `create_model_version`: `log_model` would export a graph
of one fixed length. Per-utterance results go in as a Parquet artefact, not as thousands of metrics.
"""

from __future__ import annotations

import json
import logging
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sorigil.errors import RunError
from sorigil.fingerprint import digest
from storage import files
from storage.layout import Store
from storage.quiet import be_quiet

_KEY_TAG = "sorigil.score_key"
NEWEST = "newest"  # the alias of the version whose model was logged, or found again, last


@dataclass(frozen=True, kw_only=True, slots=True)
class Registered:
    """A version of a registered model; `bundle` is the key of its bundle, `run` the id of the run that it came of."""

    name: str
    version: str
    bundle: str
    run: str | None


@contextmanager
def _one_at_a_time(database: Path) -> Iterator[None]:
    """Two programs that both find no database would both make its tables, and one of them would fail."""
    import fcntl

    database.parent.mkdir(parents=True, exist_ok=True)
    name = f"sorigil-{os.getuid()}-{digest('mlflow', str(database.absolute()))}.lock"
    with (Path(tempfile.gettempdir()) / name).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def _usable(database: Path) -> Iterator[None]:
    """Raises RunError where the database is locked or damaged: what SQLAlchemy says of it is a page long."""
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import DatabaseError

    try:
        yield
    except (MlflowException, DatabaseError) as wrong:
        said = str(wrong).partition("\n")[0]
        raise RunError(
            f"{database}: MLflow's database cannot be read: {said}. If another program has it locked, end that and run "
            "again; if it is damaged, move it away: a new one is made, and bundles and scores are in the store"
        ) from wrong


def _address(place: str) -> str:
    """As MLflow writes one: a local path is a `file://` address with what is unusual in it escaped."""
    return place if files.is_url(place) else files.local_path(place).absolute().as_uri()


class Experiments:
    """A tracking store: `sqlite:///…` here, or a server's http(s) address."""

    def __init__(self, store: Store) -> None:
        be_quiet()
        from mlflow.tracking import MlflowClient

        for name in ("mlflow", "mlflow.store.db.utils", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        self._store = store
        if not store.mlflow.startswith("sqlite:///"):
            self._client = MlflowClient(tracking_uri=store.mlflow, registry_uri=store.mlflow)
            return
        database = Path(store.mlflow.removeprefix("sqlite:///"))
        with _one_at_a_time(database), _usable(database):
            self._client = MlflowClient(tracking_uri=store.mlflow, registry_uri=store.mlflow)
            self._client.search_experiments(max_results=1)  # makes the tables of a new database

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        location = None if self._store.mlflow.startswith("http") else self._artifacts(name)
        return str(self._client.create_experiment(name, artifact_location=location))

    def _artifacts(self, name: str) -> str:
        return _address(self._store.path(f"mlflow/{name}"))

    def find(self, experiment: str, key: str) -> str | None:
        """The run that was logged for this score key, if any."""
        found = self._client.get_experiment_by_name(experiment)
        if found is None:
            return None
        runs = self._client.search_runs([found.experiment_id], f"tags.`{_KEY_TAG}` = '{key}'", max_results=1)
        return str(runs[0].info.run_id) if runs else None

    def log(
        self,
        *,
        experiment: str,
        name: str,
        key: str,
        params: Mapping[str, Any],
        tags: Mapping[str, str],
        history: Sequence[Mapping[str, float]],
        metrics: Mapping[str, float],
        artifacts: Mapping[str, bytes],
    ) -> str:
        """Log one finished run whole; returns its id. `history` has a row per epoch."""
        from mlflow.entities import Metric, Param, RunTag

        run = self._client.create_run(self._experiment(experiment), run_name=name)
        run_id = str(run.info.run_id)
        moment = int(run.info.start_time)
        curves = [
            Metric(column, float(value), moment, int(row["epoch"]))
            for row in history
            for column, value in row.items()
            if column != "epoch" and isinstance(value, int | float)
        ]
        finals = [Metric(column, float(value), moment, 0) for column, value in metrics.items()]
        for start in range(0, len(curves) + len(finals), 1000):
            self._client.log_batch(run_id, metrics=(curves + finals)[start : start + 1000])
        tag_rows = [RunTag(column, value) for column, value in {**tags, _KEY_TAG: key}.items()]
        param_rows = [Param(column, str(value)[:6000]) for column, value in params.items()]
        self._client.log_batch(run_id, params=param_rows, tags=tag_rows)
        self._log_artifacts(run_id, artifacts)
        self._client.set_terminated(run_id)
        return run_id

    def _log_artifacts(self, run_id: str, artifacts: Mapping[str, bytes]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            for place, data in artifacts.items():
                path = Path(folder) / place
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            self._client.log_artifacts(run_id, folder)

    def mark_model(self, source: str, tag: str, value: str) -> Iterator[tuple[str, str]]:
        """Tag every run and registered version of the bundle at `source`; yields the runs and where their artefacts are."""
        for version in self._client.search_model_versions(f"source_path = '{_address(source)}'"):
            self._client.set_model_version_tag(version.name, version.version, tag, value)
            if version.run_id:
                self._client.set_tag(version.run_id, tag, value)
                yield version.run_id, str(self._client.get_run(version.run_id).info.artifact_uri)

    def registered(self) -> list[str]:
        """The names of the registered models."""
        found, page = [], None
        while True:
            listed = self._client.search_registered_models(page_token=page)
            found += [str(model.name) for model in listed]
            if not (page := listed.token):
                return sorted(found)

    def version(self, name: str, *, version: str | None = None, alias: str = NEWEST) -> Registered | None:
        """A version of a registered model by its number, else by an alias; None where there is none."""
        from mlflow.exceptions import MlflowException

        client = self._client
        try:
            found = (
                client.get_model_version(name, version)
                if version is not None
                else client.get_model_version_by_alias(name, alias)
            )
        except (MlflowException, ValueError):
            return None
        bundle = files.stem(str(found.source).rstrip("/"))
        return Registered(name=name, version=str(found.version), bundle=bundle, run=found.run_id or None)

    def versions_of(self, name: str) -> tuple[list[str], list[str]]:
        """The versions of a registered model, oldest first, and its aliases."""
        found = self._client.search_model_versions(f"name = '{name}'")
        aliases = self._client.get_registered_model(name).aliases
        return sorted((str(each.version) for each in found), key=int), sorted(aliases)

    def bundle_of_run(self, run_id: str) -> str | None:
        """The key of the bundle that a run was logged for; None where there is no such run, or it is not a model's."""
        from mlflow.exceptions import MlflowException

        try:
            self._client.get_run(run_id)
            for version in self._client.search_model_versions(f"run_id = '{run_id}'"):
                return files.stem(str(version.source).rstrip("/"))
            with tempfile.TemporaryDirectory() as folder:
                facts = Path(self._client.download_artifacts(run_id, "model/model.json", folder)).read_bytes()
        except (MlflowException, OSError):
            return None
        return str(json.loads(facts)["key"])

    def adopt(self, parent: str, children: Sequence[str]) -> None:
        """Show runs below another one."""
        for child in children:
            self._client.set_tag(child, "mlflow.parentRunId", parent)

    def register(self, name: str, run_id: str, source: str) -> str:
        """Make the bundle at `source` the newest version of the registered model `name`, or call the version of this run
        so again; returns the version."""
        from mlflow.exceptions import MlflowException

        for version in self._client.search_model_versions(f"run_id = '{run_id}'"):
            if (version.name, version.source) == (name, _address(source)):
                self._client.set_registered_model_alias(name, NEWEST, version.version)
                return str(version.version)
        try:
            self._client.create_registered_model(name)
        except MlflowException as there_already:
            if there_already.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        version = self._client.create_model_version(name, source=_address(source), run_id=run_id)
        self._client.set_registered_model_alias(name, NEWEST, version.version)
        return str(version.version)

    def runs_called(self, text: str, shortest: int) -> list[tuple[str, str]]:
        """The id and the experiment of each run whose id begins so (with `shortest` digits or more), else of each whose
        name is this."""
        from mlflow.exceptions import MlflowException

        experiments = {str(each.experiment_id): str(each.name) for each in self._client.search_experiments()}
        asked = [f"attributes.run_name = '{text}'"] if "'" not in text else []
        if re.fullmatch(f"[0-9a-f]{{{shortest},32}}", text):
            asked.insert(0, f"attributes.run_id LIKE '{text}%'")
        for filter in asked:
            try:
                found = self._client.search_runs(list(experiments), filter)
            except MlflowException:  # a name that no filter can hold
                continue
            if found:
                return [(str(run.info.run_id), experiments[str(run.info.experiment_id)]) for run in found]
        return []

    def artifacts(self, run_id: str, folder: str = "") -> list[str]:
        """What lies in a folder of a run's artefacts, as paths below the run."""
        return [str(each.path) for each in self._client.list_artifacts(run_id, folder or None)]

    def read_artifact(self, run_id: str, place: str) -> bytes:
        """Raises OSError where the run has no such artefact."""
        from mlflow.exceptions import MlflowException

        with tempfile.TemporaryDirectory() as folder:
            try:
                return Path(self._client.download_artifacts(run_id, place, folder)).read_bytes()
            except MlflowException as wrong:
                raise FileNotFoundError(f"run {run_id} has no {place}") from wrong

    def add_artifacts(self, run_id: str, artifacts: Mapping[str, bytes]) -> None:
        """Put files into a run that was logged before; those that are there are written over."""
        self._log_artifacts(run_id, artifacts)
