"""A known text laid over a network's log posteriors: when each of its words and characters is said, and how surely.

The search is `viterbi`'s, words and their times are made as those of a recognised text (`sorigil.decoding.ctc`): by the
frames of their tokens, which are short peaks. Nothing here listens; `boundaries` says how far words reach beyond.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sorigil.decoding.ctc import CtcPath, check, forced, timed, word_groups
from sorigil.errors import AudioError
from sorigil.text.subwords import SPACE
from sorigil.text.tokenizer import Tokenizer, needed_frames
from sorigil.types import Word

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True, kw_only=True, slots=True)
class AlignedWord:
    """A word as the text writes it, and its characters as the model spells it; times in seconds of the recording.

    `confidence` is the mean posterior of the tokens in their frames: near 0 where something else is said. A model whose
    tokens are not characters (words, subwords) gives none.
    """

    text: str
    start: float
    end: float
    confidence: float
    characters: tuple[Word, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Aligned:
    """A text in its place. `log_prob` is the path's log probability per frame, `confidence` the mean of the words'."""

    words: tuple[AlignedWord, ...]
    confidence: float
    log_prob: float


def align(
    log_probs_TV: Floats,
    text: str,
    tokenizer: Tokenizer,
    clean: Callable[[str], str],
    seconds_per_frame: float,
    offset: float = 0.0,
) -> Aligned:
    """Align a text. `clean` is the model's normaliser, `offset` where frame 0 lies in the recording, in seconds.

    Raises:
        AudioError: no_text, symbol_not_in_train (naming the symbols), text_longer_than_input.
        RunError: the posteriors hold NaN.
    """
    check(log_probs_TV, len(log_probs_TV), len(tokenizer), text[:60])
    written = as_written(text, clean)
    if not written:
        raise AudioError("no_text", f"the text {text[:60]!r} holds nothing that is said; there is nothing to align")
    spelled = [part for _, spelling in written for part in spelling.split()]
    ids = _tokens(spelled, tokenizer)
    if (needed := needed_frames(ids)) > len(log_probs_TV):
        frames = f"{len(log_probs_TV)} frames ({len(log_probs_TV) * seconds_per_frame:.2f} s of audio)"
        detail = f"the text has {len(ids)} tokens and needs {needed} frames of the model, but there are {frames}"
        raise AudioError("text_longer_than_input", detail)
    path = forced(log_probs_TV, ids)
    groups = _groups(path, spelled, tokenizer)
    heard = [timed(path, group, tokenizer, seconds_per_frame, offset) for group in groups]
    characters = [
        tuple(_characters(path, group, word.text, tokenizer, seconds_per_frame, offset))
        for word, group in zip(heard, groups, strict=True)
    ]
    found = tuple(_joined(written, heard, characters))
    return Aligned(
        words=found,
        confidence=float(np.mean([word.confidence for word in found])),
        log_prob=path.score / len(log_probs_TV),
    )


def as_written(text: str, clean: Callable[[str], str]) -> list[tuple[str, str]]:
    """Each word of a text, with its spelling after `clean` (`Well-known,` is `well known`); bare punctuation is left out.

    A normaliser that joins words or writes them anew cannot be followed word by word: then the words are its own.
    """
    pairs = [(word, spelling) for word in text.split() if (spelling := clean(word).strip())]
    whole = clean(text).split()
    if [part for _, spelling in pairs for part in spelling.split()] == whole:
        return pairs
    return [(word, word) for word in whole]


def _tokens(words: Sequence[str], tokenizer: Tokenizer) -> list[int]:
    if unknown := tokenizer.unknown(words):
        named = ", ".join(map(repr, unknown))
        detail = f"the text has {named}, which no training text of the model had; write it with the model's symbols"
        raise AudioError("symbol_not_in_train", detail)
    if _has_no_space(tokenizer):
        return [token for word in words for token in tokenizer.encode(word)]
    return tokenizer.encode(SPACE.join(words))


def _has_no_space(tokenizer: Tokenizer) -> bool:
    """Whether its tokens are characters without the space: of a model that was taught single words only."""
    return tokenizer.kind in ("characters", "jamo") and SPACE not in tokenizer.tokens


def _groups(path: CtcPath, words: Sequence[str], tokenizer: Tokenizer) -> list[list[int]]:
    """The places in the path of each word's tokens."""
    if not _has_no_space(tokenizer):
        return word_groups(path, tokenizer)
    places = iter(range(len(path.ids)))
    return [list(islice(places, len(tokenizer.encode(word)))) for word in words]


def _characters(
    path: CtcPath, group: Sequence[int], word: str, tokenizer: Tokenizer, seconds_per_frame: float, offset: float
) -> Iterator[Word]:
    """The characters of one word (a syllable's jamo are one); nothing where tokens are more than characters."""
    if tokenizer.kind not in ("characters", "jamo"):
        return
    places = iter(group)
    for character in word:
        size = len(unicodedata.normalize("NFD", character)) if tokenizer.kind == "jamo" else 1
        yield timed(path, list(islice(places, size)), tokenizer, seconds_per_frame, offset)


def _joined(
    written: Sequence[tuple[str, str]], heard: Sequence[Word], characters: Sequence[tuple[Word, ...]]
) -> Iterator[AlignedWord]:
    """The words as the text writes them, each of one or more that the model spells."""
    parts = iter(zip(heard, characters, strict=True))
    for text, spelling in written:
        own = list(islice(parts, len(spelling.split())))
        yield AlignedWord(
            text=text,
            start=own[0][0].start,
            end=own[-1][0].end,
            confidence=float(np.mean([word.confidence for word, _ in own])),
            characters=tuple(character for _, several in own for character in several),
        )
