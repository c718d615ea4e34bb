"""Small made-up posteriors, and decoding them by trying every path."""

from __future__ import annotations

import itertools
import math

import numpy as np


def log_probs(frames: int, tokens: int, seed: int) -> np.ndarray:
    logits = np.random.default_rng(seed).normal(0, 2, size=(frames, tokens))
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def peaks(labels: list[int], tokens: int, posterior: float = 0.9) -> np.ndarray:
    """Posteriors whose best path is `labels`."""
    probabilities = np.full((len(labels), tokens), (1 - posterior) / (tokens - 1))
    probabilities[np.arange(len(labels)), labels] = posterior
    return np.log(probabilities)


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(token for token, _ in itertools.groupby(path) if token != 0)


def brute_force(log_probs_TV: np.ndarray) -> dict[tuple[int, ...], float]:
    """Sum every path's probability into the sequence it spells."""
    totals: dict[tuple[int, ...], float] = {}
    frames, tokens = log_probs_TV.shape
    for path in itertools.product(range(tokens), repeat=frames):
        probability = math.exp(sum(log_probs_TV[t, token] for t, token in enumerate(path)))
        totals[collapse(path)] = totals.get(collapse(path), 0.0) + probability
    return totals
