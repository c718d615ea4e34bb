"""Learn the language model that a recogniser's decoder listens to, from the texts that the recogniser learned from.

Never from those of dev, which tunes the decoder, nor of test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from storage import bundles, language_models
from storage.layout import Store


@dataclass(frozen=True, kw_only=True)
class LanguageModelJob:
    """`train` are the texts as the catalogue has them, `dev` those that its perplexity is measured on."""

    store: Store
    model_key: str
    spec: Any  # of sorigil.lm
    train: Sequence[str]
    dev: Sequence[str]


def learn_language_model(job: LanguageModelJob) -> dict[str, Any]:
    """Learn it, or find it; returns what is said of it: how much it learned from, and its perplexity on dev."""
    from sorigil.decoding.fusion import units_of
    from sorigil.lm.kneser_ney import learn
    from sorigil.text.normalize import normalizer

    if found := language_models.facts(job.store, job.model_key, job.spec):
        return found
    bundle = bundles.load(job.store, job.model_key)
    clean, tokenizer = normalizer(bundle.normalizer), bundle.tokenizer()
    train, dev = (units_of(job.spec, tokenizer, map(clean, texts)) for texts in (job.train, job.dev))
    model = learn(train, job.spec.order)
    dev_perplexity = model.perplexity(dev)
    facts = {
        "units": job.spec.units,
        "order": model.order,
        "texts": len(train),
        "vocabulary": len(model.units),
        "ngrams": len(model.parent_N) - 1,
        "dev_units": dev_perplexity.units,
        "dev_unknown": dev_perplexity.unknown,
        "dev_perplexity": round(dev_perplexity.value, 4) if dev else None,
    }
    language_models.save(job.store, job.model_key, job.spec, model, facts)
    return facts


@lru_cache(maxsize=2)
def fusion_of(store: Store, model_key: str, decode: Any) -> Any:
    """What a decoder listens to besides the posteriors; None of a greedy one. A worker makes it once."""
    from sorigil.decoding.fusion import fused
    from sorigil.decoding.spec import BeamSpec

    if not isinstance(decode, BeamSpec):
        return None
    model = None if decode.lm is None else language_models.load(store, model_key, decode.lm)
    return fused(decode, bundles.load(store, model_key).tokenizer(), model)
