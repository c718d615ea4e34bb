"""Learn the language model that a recogniser's decoder listens to, from the texts that the recogniser learned from.

Never from those of dev, which tunes the decoder, nor of test. One that was given is only checked and measured.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sorigil.errors import RequestError
from storage import bundles, language_models
from storage.layout import Store


@dataclass(frozen=True, kw_only=True)
class LanguageModelJob:
    """`train` are the texts as the catalogue has them, `dev` those that its perplexity is measured on."""

    store: Store
    model_key: str
    spec: Any  # of sorigil.lm, resolved
    train: Sequence[str]
    dev: Sequence[str]


def learn_language_model(job: LanguageModelJob) -> dict[str, Any]:
    """Learn it, or find it; returns what is said of it: how much it learned from, and its perplexity on dev."""
    from sorigil.text.normalize import normalizer

    if found := language_models.facts(job.store, job.model_key, job.spec):
        return found
    bundle = bundles.load(job.store, job.model_key)
    clean, tokenizer = normalizer(bundle.normalizer), bundle.tokenizer()
    model, facts = _MAKERS[job.spec.kind](job, clean, tokenizer)
    language_models.save(job.store, job.model_key, job.spec, model, facts)
    return facts


def _ngrams(job: LanguageModelJob, clean: Callable[[str], str], tokenizer: Any) -> tuple[Any, dict[str, Any]]:
    from sorigil.decoding.fusion import units_of
    from sorigil.lm.kneser_ney import learn

    train = units_of(job.spec, tokenizer, map(clean, [*job.train, *_lines(job.spec)]))
    model = learn(train, job.spec.order)
    return model, {"texts": len(train), **_said_of(model, job, clean, tokenizer)}


def _given(job: LanguageModelJob, clean: Callable[[str], str], tokenizer: Any) -> tuple[Any, dict[str, Any]]:
    model: Any = language_models.load(job.store, job.model_key, job.spec)
    return model, {"spellable": _spellable(job.spec, tokenizer, model), **_said_of(model, job, clean, tokenizer)}


def _spellable(spec: Any, tokenizer: Any, model: Any) -> int:
    """How many units of a given model the recogniser can write. Raises RequestError where that is none."""
    from sorigil.decoding.fusion import spellable

    writes = spellable(spec, tokenizer, model)
    if not any(writes):
        unit = next(iter(model.units[len(model.units) - len(writes) :]), "")
        raise RequestError(
            f"{spec.uri}: none of its {len(writes)} {spec.units} (such as {unit!r}) can be written with the tokens of "
            "the recogniser; are they in another case, or of another kind (units)?"
        )
    return sum(writes)


def _recurrent(job: LanguageModelJob, clean: Callable[[str], str], tokenizer: Any) -> tuple[Any, dict[str, Any]]:
    import torch

    from sorigil.lm.lstm import learn

    def ids(texts: Sequence[str]) -> list[list[int]]:
        return [tokenizer.encode(clean(text), skip_unknown=True) for text in texts]

    device = "cuda" if torch.cuda.is_available() else "cpu"
    train, dev = ids([*job.train, *_lines(job.spec)]), ids(job.dev)
    model, history = learn(train, dev, len(tokenizer), job.spec, device)
    return model, {
        "units": job.spec.units,
        "texts": len(train),
        "tokens": sum(map(len, train)),
        "parameters": model.parameters,
        "epochs": len(history),
        "history": history,
        **_surprise(model.perplexity(dev)),
    }


_MAKERS = {"ngram": _ngrams, "arpa": _given, "lstm": _recurrent}


def _lines(spec: Any) -> list[str]:
    return [line for text in language_models.read(spec) for line in text.split("\n") if line.strip()]


def _said_of(model: Any, job: LanguageModelJob, clean: Callable[[str], str], tokenizer: Any) -> dict[str, Any]:
    from sorigil.decoding.fusion import units_of

    return {
        "units": job.spec.units,
        "order": model.order,
        "vocabulary": len(model.units),
        "ngrams": len(model.parent_N) - 1,
        **_surprise(model.perplexity(units_of(job.spec, tokenizer, map(clean, job.dev)))),
    }


def _surprise(dev: Any) -> dict[str, Any]:
    return {
        "dev_units": dev.units,
        "dev_unknown": dev.unknown,
        "dev_perplexity": round(dev.value, 4) if math.isfinite(dev.value) else None,
    }


@lru_cache(maxsize=2)
def fusion_of(store: Store, model_key: str, decode: Any) -> Any:
    """What a decoder listens to besides the posteriors; None of a greedy one. A worker makes it once. Raises RequestError
    where the language model of a file is of no use to this recogniser, for which nobody may have checked it."""
    from sorigil.decoding.fusion import fused
    from sorigil.decoding.spec import BeamSpec

    if not isinstance(decode, BeamSpec):
        return None
    tokenizer = bundles.load(store, model_key).tokenizer()
    model = None if decode.lm is None else language_models.load(store, model_key, decode.lm)
    if decode.lm is not None and decode.lm.kind == "arpa":
        _spellable(decode.lm, tokenizer, model)
    return fused(decode, tokenizer, model)
