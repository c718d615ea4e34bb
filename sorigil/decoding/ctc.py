"""From a CTC network's log posteriors to text with timed words: the best path, or a prefix beam search.

The network's output comes in as arrays of natural logarithms. What this makes goes to the metrics, and for long recordings
through `stitch` to the transcripts. The search itself is in `beam`, what it listens to besides in `fusion`.

Shapes: B utterances, T frames of the network's output, V tokens (0 is the blank).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sorigil.decoding.beam import Prefix, best_prefixes
from sorigil.decoding.fusion import POSTERIORS, Fusion, fused
from sorigil.decoding.spec import BeamSpec, DecodeSpec
from sorigil.errors import RunError
from sorigil.text.subwords import SPACE
from sorigil.text.tokenizer import BLANK_ID, Tokenizer
from sorigil.types import Hypothesis, Word

Floats = npt.NDArray[np.floating[Any]]
Ints = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class CtcPath:
    """One decoded token sequence and where it stands.

    `frames` holds each token's (first frame, frame after its last), ascending and disjoint; `posteriors` the mean over
    these frames of the token's posterior. `score` is a natural logarithm: of the best path's probability (greedy) or of
    the sequence's, summed over every path the beam kept, with what a language model says of it (beam).
    """

    ids: tuple[int, ...]
    frames: tuple[tuple[int, int], ...]
    posteriors: tuple[float, ...]
    score: float


def greedy(log_probs_TV: Floats, length: int | None = None) -> CtcPath:
    """Take each frame's best token, fold repeats into one, then drop blanks (Graves et al. 2006, best path decoding).

    In this order a double letter survives when a blank stands between. Only the first `length` frames are read.
    """
    log_probs_TV = log_probs_TV[:length]
    if len(log_probs_TV) == 0:
        return CtcPath(ids=(), frames=(), posteriors=(), score=0.0)
    best_T = log_probs_TV.argmax(axis=1)
    best_log_prob_T = log_probs_TV[np.arange(len(best_T)), best_T].astype(np.float64)
    return _path_along(best_T, best_log_prob_T, float(best_log_prob_T.sum()))


def beam(log_probs_TV: Floats, spec: BeamSpec, fusion: Fusion = POSTERIORS) -> CtcPath:
    """Find the best token sequence over all its paths (Hannun et al. 2014), then where its tokens stand."""
    return _placed(log_probs_TV, best_prefixes(log_probs_TV, spec, fusion)[0])


def _placed(log_probs_TV: Floats, prefix: Prefix) -> CtcPath:
    """A prefix's tokens where its likeliest path has them (`forced`), with the score of all its paths."""
    return replace(forced(log_probs_TV, prefix.ids), score=prefix.score)


def forced(log_probs_TV: Floats, ids: Sequence[int]) -> CtcPath:
    """Find the likeliest path that spells `ids`; `score` is this path's. Raises `ValueError` where there is none."""
    from sorigil.alignment.viterbi import best_states  # numba takes half a second

    states_T, score = best_states(log_probs_TV, ids)
    # a state is a place in blank, t1, blank, t2, ..., blank: odd ones are tokens. As run labels they keep doubles apart
    labels_T = np.where(states_T % 2 == 1, states_T, BLANK_ID)
    tokens_T = np.array([BLANK_ID, *ids])[(labels_T + 1) // 2]
    log_prob_T = log_probs_TV[np.arange(len(tokens_T)), tokens_T].astype(np.float64)
    return replace(_path_along(labels_T, log_prob_T, score), ids=tuple(ids))


def _path_along(labels_T: Ints, log_prob_T: npt.NDArray[np.float64], score: float) -> CtcPath:
    """Fold runs of equal labels into tokens with their frames; runs of blanks are dropped."""
    if len(labels_T) == 0:
        return CtcPath(ids=(), frames=(), posteriors=(), score=score)
    starts_R = np.concatenate([[0], np.flatnonzero(np.diff(labels_T)) + 1])
    ends_R = np.append(starts_R[1:], len(labels_T))
    means_R = np.add.reduceat(np.exp(log_prob_T), starts_R) / (ends_R - starts_R)
    tokens = np.flatnonzero(labels_T[starts_R] != BLANK_ID)
    return CtcPath(
        ids=tuple(int(labels_T[starts_R[r]]) for r in tokens),
        frames=tuple((int(starts_R[r]), int(ends_R[r])) for r in tokens),
        posteriors=tuple(min(1.0, float(means_R[r])) for r in tokens),
        score=score,
    )


def words(
    path: CtcPath,
    tokenizer: Tokenizer,
    seconds_per_frame: float,
    offset: float = 0.0,
    pause_seconds: float | None = None,
) -> tuple[Word, ...]:
    """Group a path's tokens into words with start and end in seconds and the mean posterior of their tokens.

    A silence of more than `pause_seconds` parts words too: in a long recording a pause stands where a model that has only
    heard single phrases writes no space. `offset` is where frame 0 lies in the recording. Words follow each other: each
    ends after it starts and not after the next one starts. CTC tokens are short peaks, so a word's end is early rather
    than late.
    """
    longest_gap = None if pause_seconds is None else pause_seconds / seconds_per_frame
    groups = word_groups(path, tokenizer, longest_gap)
    return tuple(timed(path, group, tokenizer, seconds_per_frame, offset) for group in groups)


def timed(
    path: CtcPath, group: Sequence[int], tokenizer: Tokenizer, seconds_per_frame: float, offset: float = 0.0
) -> Word:
    """Make one word of the tokens at these places of a path: the one rule by which frames become seconds."""
    return Word(
        text=tokenizer.decode([path.ids[i] for i in group]),
        start=offset + path.frames[group[0]][0] * seconds_per_frame,
        end=offset + path.frames[group[-1]][1] * seconds_per_frame,
        confidence=float(np.mean([path.posteriors[i] for i in group])),
    )


def word_groups(path: CtcPath, tokenizer: Tokenizer, longest_gap: float | None = None) -> list[list[int]]:
    """Return the places in the path of each word's tokens; space tokens part words and belong to none."""
    groups: list[list[int]] = [[]]
    for i, token in enumerate(path.ids):
        if tokenizer.starts_word(token):
            groups.append([])
        if tokenizer.tokens[token] == SPACE:
            continue
        if longest_gap is not None and groups[-1] and path.frames[i][0] - path.frames[i - 1][1] > longest_gap:
            groups.append([])
        groups[-1].append(i)
    return [group for group in groups if group]


def decode(
    log_probs_BTV: Floats,
    lengths_B: Sequence[int] | Ints,
    tokenizer: Tokenizer,
    spec: DecodeSpec,
    seconds_per_frame: float,
    *,
    ids: Sequence[str] | None = None,
    offsets_B: Sequence[float] | None = None,
    pause_seconds: float | None = None,
    fusion: Fusion | None = None,
) -> list[Hypothesis]:
    """Decode a batch of natural-log posteriors (a log-softmax, not logits); frames past a row's length are not read.

    Each hypothesis has the text, the timed words (plus `offsets_B` seconds), the mean token posterior as `confidence`
    (of an empty text: the mean posterior of the blank) and in `extras` the path's `score` and `n_best`, pairs of a text and
    its score, the best first. `ids` name the rows; without them it is their number. `fusion` is
    `fused(spec, tokenizer, model)`, made once for many calls; where it is not given it is made here, of a spec without a
    language model. Raises `RunError` on NaN.
    """
    if fusion is None and isinstance(spec, BeamSpec):
        fusion = fused(spec, tokenizer, None)
    n_rows = len(log_probs_BTV)
    names = [str(row) for row in range(n_rows)] if ids is None else list(ids)
    offsets = [0.0] * n_rows if offsets_B is None else list(offsets_B)
    if not len(lengths_B) == len(names) == len(offsets) == n_rows:
        raise ValueError(f"{n_rows} rows come with {len(lengths_B)} lengths, {len(names)} ids, {len(offsets)} offsets")
    hypotheses = []
    for log_probs_TV, length, name, offset in zip(log_probs_BTV, lengths_B, names, offsets, strict=True):
        valid_TV = log_probs_TV[: int(length)]
        check(valid_TV, int(length), len(tokenizer), name)
        prefixes = best_prefixes(valid_TV, spec, fusion) if isinstance(spec, BeamSpec) and fusion else []
        path = _placed(valid_TV, prefixes[0]) if prefixes else greedy(valid_TV)
        found = words(path, tokenizer, seconds_per_frame, offset, pause_seconds)
        text = SPACE.join(word.text for word in found)
        hypotheses.append(
            Hypothesis(
                id=name,
                text=text,
                confidence=_confidence(path, valid_TV),
                words=found,
                extras={"score": path.score, "n_best": _texts(prefixes, tokenizer) or [(text, path.score)]},
            )
        )
    return hypotheses


def _texts(prefixes: Sequence[Prefix], tokenizer: Tokenizer) -> list[tuple[str, float]]:
    """The texts of these prefixes, the likeliest first; what several of them spell has their probability together."""
    scores: dict[str, float] = {}
    for prefix in prefixes:
        text = SPACE.join(tokenizer.decode(prefix.ids).split())
        scores[text] = float(np.logaddexp(scores.get(text, -np.inf), prefix.score))
    return sorted(scores.items(), key=lambda pair: -pair[1])


def check(log_probs_TV: Floats, length: int, n_tokens: int, name: str) -> None:
    """Refuse what is no network's log posteriors: RunError on NaN, ValueError on a wrong shape or values above 0."""
    if len(log_probs_TV) < length or log_probs_TV.shape[1] != n_tokens:
        raise ValueError(f"{name}: the output is {log_probs_TV.shape}; expected ({length}, {n_tokens})")
    if np.isnan(log_probs_TV).any():
        raise RunError(f"{name}: the model's output holds NaN: its weights or this item's features are not finite")
    if log_probs_TV.size and float(log_probs_TV.max()) > 0.01:  # room for half precision
        raise ValueError(f"{name}: the output holds {float(log_probs_TV.max()):.3g}; log posteriors are never above 0")


def _confidence(path: CtcPath, log_probs_TV: Floats) -> float:
    if path.posteriors:
        return float(np.mean(path.posteriors))
    if len(log_probs_TV) == 0:
        return 0.0
    return min(1.0, float(np.exp(log_probs_TV[:, BLANK_ID].astype(np.float64)).mean()))
