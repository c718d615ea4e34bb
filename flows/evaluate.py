"""Score the trained models on the pipeline's splits and tell MLflow: params, metrics, pictures, tables, the model."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.language import facts_of, learn_for
from flows.run import Run, score_rows
from flows.train import mixed_rows, mixed_versions, rows_of
from sorigil.errors import RequestError
from sorigil.fingerprint import digest, to_dict
from sorigil.metrics import METRICS
from sorigil.metrics.per_tag import TagScore
from sorigil.objectives import OBJECTIVES
from sorigil.report import numbers
from storage import files, language_models, parts
from storage.experiments import Experiments
from tasks.card import model_card
from tasks.errors import flat_tables
from tasks.evaluate import evaluate_model
from tasks.evaluate_job import EvaluateJob, Scored
from tasks.reliability import reliability_of
from tasks.train_job import Trained


def metrics_of(run: Run, entry: Any) -> tuple[str, ...]:
    """The metrics that were asked for and suit the entry's objective; the usual ones where none was asked for."""
    return suiting(run.pipeline.evaluate.metrics, entry.objective)


def suiting(asked: Sequence[str], objective: str) -> tuple[str, ...]:
    """Those of the metrics that judge an objective; the usual ones where none does."""
    suits = {name: metric for name, metric in METRICS.items() if objective in metric.objectives}
    chosen = tuple(name for name in asked if name in suits)
    return chosen or tuple(name for name, metric in suits.items() if metric.usual)


def jobs_of(run: Run, entry: Any, rows: pa.Table, model_key: str) -> list[EvaluateJob]:
    return [
        EvaluateJob(
            store=run.store,
            dataset=run.dataset,
            model_key=model_key,
            split=split,
            target=entry.target,
            separator=entry.separator,
            normalizer=run.pipeline.evaluate.normalizer,
            metrics=metrics_of(run, entry),
            decode=language_models.resolve(run.pipeline.evaluate.decode),
            rows=rows.filter(pc.equal(rows.column("side"), split)),
            from_audio=entry.train.input != "features",
            speeds=speeds_of(run, entry),
            latency=run.pipeline.evaluate.latency,
            by_speaker=entry.train.cmvn == "speaker",
        )
        for split in run.pipeline.evaluate.splits
    ]


def speeds_of(run: Run, entry: Any) -> tuple[float, ...]:
    """A transcript's times and frames cannot be averaged over speeds, and cached features cannot be played faster."""
    averages = not OBJECTIVES[entry.objective].text and entry.train.input != "features"
    return tuple(run.pipeline.evaluate.speeds) if averages else (1.0,)


def evaluate(run: Run, entry: Any) -> list[Scored]:
    """One stage: score this entry's model on every split asked for, and log the run to MLflow."""
    if entry.name not in run.trained:
        raise RequestError(f"{entry.name} is not trained; run the step train first")
    with run.stage(f"evaluate {entry.name}") as stage:
        rows = rows_of(run, entry)
        key = run.trained[entry.name].key
        learn_for(run, entry, run.pipeline.evaluate.decode, key, rows, mixed_rows(run, entry))
        found = [evaluate_model(job) for job in jobs_of(run, entry, rows, key)]
        run.scored[entry.name] = found
        stage["audio_seconds"] = sum(scored.audio_seconds for scored in found if not scored.reused)
        run.mlflow_run_ids[entry.name] = log_model(run, entry, run.trained[entry.name], found)
    for scored in found:
        values = ", ".join(f"{row['metric']} {_with_interval(row)}" for row in scored.scores)
        if scored.latency:
            p50, p95, p99 = (1000 * scored.latency[name] for name in ("p50", "p95", "p99"))
            values += f"; one utterance takes {p50:.1f} ms (p95 {p95:.1f}, p99 {p99:.1f})"
        again = " (scored before)" if scored.reused else ""
        run.reporter.say(f"evaluate {entry.name} on {scored.split}: {values}{again}")
    return found


def _speed(scored: Scored) -> dict[str, float]:
    """RTFx, where hearing was timed, and the latency, where it was asked for."""
    rtfx = {"rtfx": scored.audio_seconds / scored.decoding_seconds} if scored.decoding_seconds else {}
    waited = {f"latency_{name}": each for name, each in (scored.latency or {}).items() if name != "utterances"}
    return {**rtfx, **waited}


def _with_interval(row: dict[str, Any]) -> str:
    spread = f" ({numbers.interval(row['metric'], row['interval'])})" if row["interval"] else ""
    return numbers.score(row["metric"], row["value"]) + spread


def log_model(
    run: Run,
    entry: Any,
    trained: Trained,
    found: list[Scored],
    label: str = "",
    experiments: Experiments | None = None,
) -> str:
    """One MLflow run for a model and its scores; found again, not logged twice. `label` says which model of a study it
    is: those are many, so neither their weights are copied nor do they get versions; one that was only compared with
    others has its parameters and curves, but no files."""
    experiments = experiments or Experiments(run.store)
    key = digest("mlflow", entry.name, trained.key, *(scored.key for scored in found))
    run_id = experiments.find(run.pipeline.name, key) or _log(run, entry, trained, found, label, experiments, key)
    if not label:
        register(run, entry, trained, run_id)
    return run_id


def _log(
    run: Run, entry: Any, trained: Trained, found: list[Scored], label: str, experiments: Experiments, key: str
) -> str:
    assert run.prepared is not None
    metrics = {f"{scored.split}_{row['metric']}": row["value"] for scored in found for row in scored.scores}
    for scored in found:
        metrics |= {f"{scored.split}_{name}": value for name, value in _speed(scored).items()}
    if (said := facts_of(run, trained.key)) and said["dev_perplexity"] is not None:
        metrics["lm_dev_perplexity"] = said["dev_perplexity"]
    return experiments.log(
        experiment=run.pipeline.name,
        name=f"{entry.name} {label}".strip(),
        key=key,
        params=_params(run, entry),
        tags={"dataset": run.dataset, "version": run.prepared.version.name, "objective": entry.objective},
        history=trained.history,
        metrics=metrics,
        artifacts=_artifacts(run, entry, trained, found, weights=not label) if found or not label else {},
    )


def register(run: Run, entry: Any, trained: Trained, run_id: str) -> None:
    """Make the model the newest version of what MLflow calls by the pipeline and the entry: that of the last run."""
    model = run.store.path(run.store.model(trained.key))
    Experiments(run.store).register(f"{run.pipeline.name}.{entry.name}", run_id, model)


def _params(run: Run, entry: Any) -> dict[str, Any]:
    flat: dict[str, Any] = {
        "dataset": run.dataset,
        "features": entry.features or entry.train.input,
        "tokens": entry.tokens.name,
    }
    specs = (
        ("model", entry.model),
        ("train", entry.train),
        ("audio", run.pipeline.audio),
        ("feature", run.feature_of(entry)),
    )
    for name, spec in specs:
        for field, value in to_dict(spec).items():
            flat[f"{name}.{field}"] = json.dumps(value) if isinstance(value, dict | list) else value
    flat["split"] = json.dumps(to_dict(run.pipeline.split))
    if entry.data:
        flat["data"] = json.dumps(mixed_versions(run, entry))
    return flat


def _artifacts(run: Run, entry: Any, trained: Trained, found: list[Scored], weights: bool) -> dict[str, bytes]:
    from sorigil.report import figures

    assert run.prepared is not None
    model = run.store.path(run.store.model(trained.key))
    names = ("model.json", "model.safetensors") if weights else ("model.json",)
    artifacts = {
        **{f"model/{name}": files.read_bytes(f"{model}/{name}") for name in names},
        "model_card.md": model_card(
            run.store, trained.key, [scored.key for scored in found], run.config.licences()
        ).encode(),
        "learning_curves.png": figures.learning_curves_png(trained.history, best_epoch=trained.best_epoch),
    }
    if said := facts_of(run, trained.key):
        artifacts["language_model.json"] = json.dumps(said, ensure_ascii=False, indent=1).encode()
    for scored in found:
        artifacts[f"{scored.split}/scores.json"] = json.dumps(
            score_rows(run, entry, scored), ensure_ascii=False, indent=1
        ).encode()
        for name, rows in flat_tables(run.store, run.catalog, run.prepared.version, scored.key).items():
            artifacts[f"{scored.split}/{name}.csv"] = _csv(rows)
        artifacts[f"{scored.split}/utterances.parquet"] = files.read_bytes(run.store.path(scored.table))
        artifacts.update(_pictures(run, scored))
        if scored.tags:
            artifacts[f"{scored.split}/tags.csv"] = _csv(scored.tags)
            artifacts[f"{scored.split}/tags.png"] = figures.tags_png([TagScore(**row) for row in scored.tags])
    return artifacts


def _csv(rows: list[dict[str, Any]]) -> bytes:
    """As MLflow's pages show a table."""
    import pyarrow.csv

    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(pa.Table.from_pylist(rows), sink)
    return bytes(sink.getvalue())


def _pictures(run: Run, scored: Scored) -> dict[str, bytes]:
    from sorigil.metrics.classification import confusion
    from sorigil.report import figures

    table = parts.read_table(run.store.path(scored.table))
    found = {}
    if scored.objective == "classification":
        counted = confusion(*(table.column(name).to_pylist() for name in ("reference", "hypothesis")))
        found[f"{scored.split}/confusion.png"] = figures.confusion_png(counted.classes, counted.counts)
    if bins := reliability_of(table, scored.objective):
        found[f"{scored.split}/reliability.png"] = figures.reliability_png(bins)
    return found
