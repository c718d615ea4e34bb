"""What learned from a person or was made of their recordings, beyond a dataset's own tables: models, exports, transcripts.

Models know the keys of their rows, the store has notes of exports and transcripts (`outputs`), MLflow has a run for each
model. `survey` only looks; `carry_out` deletes and marks. Both come before history is switched: afterwards nothing tells
any more which export held the person. What is known but cannot be reached is named in `Reach.left`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from storage import bundles, files, language_models, outputs
from storage.exports.place import remove_export
from storage.layout import Store
from storage.outputs import Output
from storage.quarantine import now
from storage.traces import Traces, array
from storage.versions import Version

MARK = "learned_from_erased"


@dataclass(kw_only=True, slots=True)
class Reach:
    """`models`: keys, with how many of the person's utterances each learned from (null: of an older program, which did
    not note them). `transcripts`: addresses without their suffix. `left`: sentences."""

    models: dict[str, int | None] = field(default_factory=dict)
    checkpoints: int = 0
    exports: list[Output] = field(default_factory=list)
    transcripts: list[str] = field(default_factory=list)
    mlflow_runs: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def survey(
    store: Store, dataset: str, traces: Traces, versions: Sequence[Version], affected: Sequence[Version]
) -> Reach:
    """What there is. `versions` are all that the dataset has, `affected` those that hold the person."""
    reach = Reach(checkpoints=len(_checkpoints(store)))
    reach.models = _models(store, dataset, traces, {version.name for version in affected})
    clean = {str(version.snapshot) for version in versions if version not in affected}
    for output in outputs.noted(store, dataset):
        if output.kind == "transcripts":
            reach.transcripts += _transcripts(output.place, traces, reach.left)
        elif output.facts.get("snapshot") not in clean:
            reach.exports.append(output)
    return reach


def carry_out(store: Store, dataset: str, traces: Traces, reach: Reach, *, delete_models: bool) -> None:
    """Delete exports, transcripts and unfinished trainings; delete the models, or mark them."""
    for key, count in reach.models.items():
        if not delete_models:
            bundles.mark(store, key, MARK, {"utterances": count, "when": now()}, without=array(traces.keys))
            language_models.delete(store, key)  # their n-grams are pieces of what was said
    if reach.models:
        reach.mlflow_runs = _mark_runs(store, reach, delete_models)
    for key in reach.models if delete_models else ():
        bundles.delete(store, key)
    for address in _checkpoints(store):  # they do not say what they learned from, and cost only time
        files.remove(address)
    for output in reach.exports:
        problem = _remove_export(output, dataset)
        if problem is None:
            outputs.forget(store, dataset, output)
        else:
            reach.left.append(problem)
    for place in reach.transcripts:
        for entry in _of_one_transcript(place):
            files.remove(entry)


# -- models ----------------------------------------------------------------------------------------------------------------


def _models(store: Store, dataset: str, traces: Traces, affected: set[str]) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for model in bundles.list_models(store):
        count = bundles.learned_from(store, model["key"], array(traces.keys))
        facts = model["facts"]
        if count is None and facts.get("dataset") == dataset and facts.get("version") in affected and MARK not in facts:
            found[model["key"]] = None
        elif count:
            found[model["key"]] = count
    return found


def _checkpoints(store: Store) -> list[str]:
    folder = store.path("checkpoints")
    if not files.is_url(folder) and not files.exists(folder):
        return []
    return [entry.uri for entry in files.walk(folder)]


def _mark_runs(store: Store, reach: Reach, delete_models: bool) -> list[str]:
    """Tag the runs of these models in MLflow, and delete its copies of models that go."""
    from mlflow.exceptions import MlflowException

    from storage.experiments import Experiments

    try:
        experiments = Experiments(store)
        found = []
        for key in reach.models:
            for run, artifacts in experiments.mark_model(store.path(store.model(key)), f"sorigil.{MARK}", now()):
                found.append(run)
                if delete_models and not _remove_artifact(artifacts):
                    reach.left.append(f"MLflow's copy of the model {key[:12]} in {artifacts}/model: delete it there")
    except (MlflowException, OSError) as wrong:
        said = str(wrong).splitlines()[0]
        reach.left.append(f"MLflow's runs of the models ({said}): tag or delete them by hand")
        return []
    return found


def _remove_artifact(artifacts: str) -> bool:
    """Whether the copy of a bundle among a run's artefacts is gone; a server's own storage is out of reach."""
    if artifacts.startswith(("mlflow-artifacts:", "http:", "https:")):
        return False
    folder = f"{artifacts.removeprefix('file://')}/model"
    if files.is_url(folder) or files.exists(folder):
        for entry in list(files.walk(folder)):
            files.remove(entry.uri)
    return True


# -- exports ---------------------------------------------------------------------------------------------------------------


def _remove_export(output: Output, dataset: str) -> str | None:
    """Delete an export; a sentence where it is not there, or cannot be deleted."""
    what = f"the export of {output.facts.get('version')} to {output.facts.get('format')} in {output.place}"
    try:
        if remove_export(output.place, dataset):
            return None
        return f"{what}: it is not there (any more, or seen from here): delete it where it went, and its copies"
    except OSError as wrong:
        return f"{what} cannot be deleted ({wrong.strerror or wrong}): delete it by hand"


# -- transcripts and alignments ------------------------------------------------------------------------------------------


def _transcripts(output: str, traces: Traces, left: list[str]) -> list[str]:
    """Those of the person's recordings, whoever else speaks in them, by the hash of the bytes they were made from."""
    if not files.is_url(output) and not files.exists(output):
        left.append(
            f"transcripts in {output}: the folder is not there (any more, or seen from here): delete them there"
        )
        return []
    found = []
    for entry in files.walk(output):
        if entry.uri.endswith(".json") and _made_from(entry.uri) in traces.recordings:
            found.append(entry.uri.removesuffix(".json"))
    return found


def _made_from(address: str) -> Any:
    try:
        found = json.loads(files.read_bytes(address))
    except ValueError:
        return None
    return found.get("sha256") if isinstance(found, dict) else None


def _of_one_transcript(place: str) -> Iterator[str]:
    """The JSON last: by it the others are found again, should this be killed in the middle."""
    for suffix in ("txt", "srt", "vtt", "TextGrid", "ctm", "json"):
        yield f"{place}.{suffix}"
