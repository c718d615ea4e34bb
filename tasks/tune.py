"""Try decoders on one slice: its posteriors are computed once, and each decoder makes texts of them.

It chooses a beam, a language model's weight and an insertion bonus. The slice is dev: what was chosen on test would score
better there than anywhere else.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sorigil.errors import RequestError
from sorigil.splits import DEV
from sorigil.text.subwords import SPACE
from storage import bundles
from storage.dataset import StoredRows
from tasks.answers import passes
from tasks.evaluate_job import EvaluateJob
from tasks.language_model import fusion_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuned:
    """What a decoder made of the slice: its rates of wrong words and characters (spaces left out), and seconds it took."""

    decode: Any  # BeamSpec
    wer: float
    cer: float
    seconds: float  # of the processor


def try_decoders(job: EvaluateJob, decoders: Sequence[Any]) -> list[Tuned]:
    """Score each of these `BeamSpec`s, which differ in numbers and the lexicon only, on the job's rows; the best first.

    Fewer wrong words are better, then fewer wrong characters, then a narrower beam. Raises `RequestError` where no row has
    a reference, or any is of another side than dev.
    """
    from sorigil.decoding.beam import best_prefixes

    if others := set(job.rows.column("side").to_pylist()) - {DEV}:
        raise RequestError(f"decoders are chosen on dev rows; these are of {', '.join(sorted(map(str, others)))}")

    needed = "audio_part" if job.from_audio else "feature_part"
    rows = job.rows.filter(pc.and_(pc.is_valid(job.rows.column(job.target)), pc.is_valid(job.rows.column(needed))))
    if not len(rows):
        raise RequestError(f"none of the {len(job.rows)} rows of {job.split} has a {job.target}; nothing to tune on")
    bundle = bundles.load(job.store, job.model_key)
    tokenizer, fusions = bundle.tokenizer(), [_fusion(job, decode) for decode in decoders]
    texts = [[""] * len(rows) for _ in decoders]
    seconds = [0.0] * len(decoders)
    for output in passes(job, bundle, rows, StoredRows(job.store, rows, audio=job.from_audio))(1.0):
        for number, (decode, fusion) in enumerate(zip(decoders, fusions, strict=True)):
            began = time.process_time()
            best = best_prefixes(output.log_probs, decode, fusion)[0]
            seconds[number] += time.process_time() - began
            texts[number][output.row] = SPACE.join(tokenizer.decode(best.ids).split())
    found = [_tuned(job, rows, *each) for each in zip(decoders, texts, seconds, strict=True)]
    return sorted(found, key=lambda tuned: (tuned.wer, tuned.cer, tuned.decode.beam_width))


def _fusion(job: EvaluateJob, decode: Any) -> Any:
    """The arrays of a language model are shared; only the weights differ."""
    if decode.lm is None:
        return fusion_of(job.store, job.model_key, decode)
    shared = fusion_of(job.store, job.model_key, replace(job.decode, lexicon=decode.lexicon))
    return shared._replace(lm_weight=float(decode.lm_weight), insertion=float(decode.insertion))


def _tuned(job: EvaluateJob, rows: pa.Table, decode: Any, texts: list[str], seconds: float) -> Tuned:
    from sorigil.metrics.errors import character_error_columns, word_error_columns
    from sorigil.text.normalize import normalizer

    clean = normalizer(job.normalizer)
    references, heard = [clean(text) for text in rows.column(job.target).to_pylist()], [clean(text) for text in texts]
    words = word_error_columns(references, heard).sum()
    characters = character_error_columns(references, heard, spaces=False).sum()
    return Tuned(decode=decode, wer=words.rate, cer=characters.rate, seconds=seconds)
