"""A network over batches: what training's dev check, scoring and transcription share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from sorigil.types import Hypothesis


def predictions(
    network: Any,
    batches: Iterable[Any],
    outputs: Sequence[str],
    tokenizer: Any | None,
    *,
    decode: Any = None,
    seconds_per_frame: float = 0.0,
    seen: Callable[[Any, Any, Any], None] | None = None,
) -> list[tuple[int, Hypothesis]]:
    """(row, hypothesis) of every row in the batches: text where there is a tokenizer, else a label.

    `seen(batch, log_probs, lengths)` is called with each batch as the network answered it.
    """
    import torch

    device = next(network.parameters()).device
    found: list[tuple[int, Hypothesis]] = []
    with torch.no_grad():
        for batch in batches:
            moved = batch.to(str(device))
            log_probs, lengths_B = network(moved.features_BTF, moved.lengths_B)
            if seen is not None:
                seen(moved, log_probs, lengths_B)
            values = log_probs.float().cpu().numpy()
            if tokenizer is None:
                hypotheses = [_label(key, row, outputs) for key, row in zip(batch.keys, values, strict=True)]
            else:
                hypotheses = _texts(batch.keys, values, lengths_B.cpu().numpy(), tokenizer, decode, seconds_per_frame)
            found += zip(batch.rows, hypotheses, strict=True)
    return found


def _label(key: str, log_probs_C: Any, outputs: Sequence[str]) -> Hypothesis:
    probabilities = np.exp(log_probs_C)
    best = int(np.argmax(log_probs_C))
    scores = {name: round(float(value), 6) for name, value in zip(outputs, probabilities, strict=True)}
    return Hypothesis(id=key, label=outputs[best], confidence=float(probabilities[best]), scores=scores)


def _texts(
    keys: Sequence[str], log_probs_BTV: Any, lengths_B: Any, tokenizer: Any, spec: Any, seconds_per_frame: float
) -> list[Hypothesis]:
    from sorigil.decoding.ctc import DecodeSpec, decode

    return decode(log_probs_BTV, lengths_B, tokenizer, spec or DecodeSpec(), seconds_per_frame or 1.0, ids=keys)
