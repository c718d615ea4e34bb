"""Choose a decoder's beam, language model weight, insertion bonus and lexicon on the dev rows of a trained model."""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence
from typing import Any

import pyarrow.compute as pc

from flows.evaluate import jobs_of
from flows.find_lr import entry_of
from flows.language import learn_for
from flows.progress import PlainReporter
from flows.run import Run
from flows.steps import known_model, latest
from flows.train import mixed_rows, rows_of
from flows.tune_log import log_grid
from sorigil.decoding.spec import BeamSpec
from sorigil.errors import RequestError
from sorigil.fingerprint import to_dict
from sorigil.splits import DEV
from storage import language_models
from tasks.tune import Tuned, try_decoders

SHOWN = 10


def tune(
    config: Any,
    name: str,
    model: str | None,
    beam_widths: Sequence[int] = (),
    lm_weights: Sequence[float] = (),
    insertions: Sequence[float] = (),
    lexicons: Sequence[bool] = (),
) -> dict[str, Any]:
    """Try every combination of these values, where none are given that of `evaluate.decode`, and tell MLflow.

    The model (default: the first recogniser) must be trained. Nothing but dev rows is looked at.
    """
    run = Run(config=config, pipeline=config.pipeline(name), reporter=PlainReporter(quiet=True))
    entry = entry_of(run, model, objective="ctc")
    decoders = _decoders(run.pipeline.evaluate.decode, beam_widths, lm_weights, insertions, lexicons)
    for mixed in run.others().values():
        latest(mixed)
    latest(run)
    known_model(run, entry)
    key, rows = run.trained[entry.name].key, rows_of(run, entry)
    dev = rows.filter(pc.equal(rows.column("side"), DEV))
    if not len(dev):
        raise RequestError(f"{name} has no dev rows to tune on; give split a dev share, and train again")
    learn_for(run, entry, decoders[0], key, rows, mixed_rows(run, entry))
    job = dataclasses.replace(jobs_of(run, entry, rows, key)[0], split=DEV, rows=dev, decode=decoders[0])
    found = try_decoders(job, decoders)
    result = {"model": entry.name, "split": DEV, "utterances": len(dev), "tried": [_row(tuned) for tuned in found]}
    mlflow_run = log_grid(run, entry.name, key, job.slice, found, result["tried"])
    return {**result, "decode": result["tried"][0]["decode"], "mlflow_run": mlflow_run}


def _decoders(
    base: Any,
    beam_widths: Sequence[int],
    lm_weights: Sequence[float],
    insertions: Sequence[float],
    lexicons: Sequence[bool],
) -> list[BeamSpec]:
    """The beams of the grid; a greedy `evaluate.decode` stands for a beam of the default width."""
    base = language_models.resolve(base) if isinstance(base, BeamSpec) else BeamSpec()
    if lm_weights and base.lm is None:
        raise RequestError(
            "evaluate.decode has no lm whose weight could be tuned: --set 'evaluate.decode={kind: beam, lm: ngram}'"
        )
    grid = itertools.product(
        beam_widths or [base.beam_width],
        lm_weights or [base.lm_weight],
        insertions or [base.insertion],
        lexicons or [base.lexicon],
    )
    try:
        return [
            dataclasses.replace(
                base, beam_width=width, lm_weight=weight, insertion=insertion, lexicon=lexicon, n_best=1
            )
            for width, weight, insertion, lexicon in grid
        ]
    except ValueError as wrong:
        raise RequestError(f"the grid has a decoder that cannot be: {wrong}") from wrong


def _row(tuned: Tuned) -> dict[str, Any]:
    return {
        "wer": tuned.wer,
        "cer": tuned.cer,
        "decoding_seconds": round(tuned.seconds, 3),
        "decode": _as_written(tuned.decode),
    }


def _as_written(spec: Any) -> Any:
    """As a configuration says it: without defaults, and without what is filled in."""
    if not dataclasses.is_dataclass(spec):
        return to_dict(spec)
    return {
        field.name: _as_written(getattr(spec, field.name))
        for field in dataclasses.fields(spec)
        if field.name == "kind" or ("hidden" not in field.metadata and getattr(spec, field.name) != field.default)
    }


def tuned_text(found: dict[str, Any]) -> str:
    """The best decoders in words, and the line for the configuration."""
    tried = found["tried"]
    lines = [f"{found['model']}, {found['utterances']} dev utterances, {len(tried)} decoders; the best:"]
    for row in tried[:SHOWN]:
        rates = f"WER {100 * row['wer']:6.2f} %  CER {100 * row['cer']:6.2f} %"
        lines.append(f"  {rates}  {row['decoding_seconds']:8.2f} s  {_flow(row['decode'])}")
    return "\n".join([*lines, f"decode: {_flow(found['decode'])}"])


def _flow(value: Any) -> str:
    """As YAML writes it on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}: {_flow(each)}" for name, each in value.items()) + "}"
    return json.dumps(value, ensure_ascii=False) if not isinstance(value, str) or not value.isidentifier() else value
