"""The language models that decoders ask for: learned before the first score or transcript that needs them."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flows.run import Run
from sorigil.splits import DEV, TRAIN
from storage import language_models
from tasks.language_model import LanguageModelJob, learn_language_model


def learn_for(run: Run, entry: Any, decode: Any, model_key: str, rows: pa.Table, mixed: pa.Table | None) -> None:
    """Learn what this decoder listens to, if anything, and if it is not there. `rows` have their sides, `mixed` are
    training rows of other datasets (`tasks.train_job.TrainJob`)."""
    spec = getattr(language_models.resolve(decode), "lm", None)
    if spec is None or entry.objective != "ctc":
        return
    mixed_texts = [] if mixed is None else mixed.column(entry.target).to_pylist()
    job = LanguageModelJob(
        store=run.store,
        model_key=model_key,
        spec=spec,
        train=[*_texts(rows, TRAIN, entry.target), *mixed_texts],
        dev=_texts(rows, DEV, entry.target),
    )
    said = learn_language_model(job)
    surprise = f", perplexity {said['dev_perplexity']:.1f} on dev" if said["dev_perplexity"] else ""
    what = f"{said['ngrams']} n-grams" if "ngrams" in said else f"an LSTM of {said['parameters']:,} parameters"
    run.reporter.say(f"language model of {entry.name}: {what} of {said['units']}{surprise}")


def facts_of(run: Run, model_key: str) -> dict[str, Any] | None:
    """What is said of the language model that scores were made with; None where there is none."""
    spec = getattr(language_models.resolve(run.pipeline.evaluate.decode), "lm", None)
    return None if spec is None else language_models.facts(run.store, model_key, spec)


def _texts(rows: pa.Table, side: str, target: str) -> list[str]:
    found: list[str] = rows.filter(pc.equal(rows.column("side"), side)).column(target).drop_null().to_pylist()
    return found
