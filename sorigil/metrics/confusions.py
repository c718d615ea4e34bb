"""What is taken for what: words, characters or jamo (said, heard) counted over all alignments, and a row for each class.

The alignments are those that the error counts come from (`align`), so the counts of a table add up to the errors.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from rapidfuzz.distance import Levenshtein

from sorigil.metrics.align import split_characters, split_words
from sorigil.metrics.classification import confusion

Unit = Literal["words", "characters", "jamo"]
EXAMPLES = 3  # ids with each pair


@dataclass(frozen=True, kw_only=True, slots=True)
class Confused:
    """`said` was heard as `heard` so often; None: nothing was said (an insertion), or heard (a deletion).

    `of` is how often it was said at all; None for insertions. `examples` are ids of the first utterances with it.
    """

    said: str | None
    heard: str | None
    times: int
    of: int | None
    examples: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class ClassScore:
    """One class, or tag: how many items it has and was given to, its figures, and what it is most often taken for
    (None: nothing)."""

    label: str
    items: int
    said: int
    precision: float
    recall: float
    f1: float
    taken_for: str | None
    times: int


def confusions(
    ids: Sequence[str], references: Sequence[str], hypotheses: Sequence[str], unit: Unit = "words"
) -> list[Confused]:
    """Count the pairs, the most frequent first. `jamo` are the letters of Hangul syllables, by place: an initial and a
    final consonant are two; what is no Hangul on either side is among the characters already."""
    split = _SPLIT[unit]
    counts: Counter[tuple[str | None, str | None]] = Counter()
    where: dict[tuple[str | None, str | None], dict[str, None]] = {}
    all_said: Counter[str] = Counter()
    for name, reference, hypothesis in zip(ids, references, hypotheses, strict=True):
        said = split(reference)
        all_said.update(said)
        if reference == hypothesis:
            continue
        heard = split(hypothesis)
        for kind, source, target in Levenshtein.editops(said, heard).as_list():
            pair = (None if kind == "insert" else said[int(source)], None if kind == "delete" else heard[int(target)])
            if unit == "jamo" and not any(map(_is_jamo, pair)):
                continue
            counts[pair] += 1
            examples = where.setdefault(pair, {})
            if len(examples) < EXAMPLES:
                examples[name] = None
    rows = [
        Confused(
            said=_letter(said),
            heard=_letter(heard),
            times=times,
            of=None if said is None else all_said[said],
            examples=tuple(where[said, heard]),
        )
        for (said, heard), times in counts.items()
    ]
    return sorted(rows, key=lambda row: (-row.times, row.said or "", row.heard or ""))


def has_hangul(texts: Sequence[str]) -> bool:
    """Tell whether there is a Hangul syllable, so that jamo can be told apart."""
    return any("가" <= character <= "힣" for text in texts for character in unicodedata.normalize("NFC", text))


def class_scores(references: Sequence[str], hypotheses: Sequence[str]) -> list[ClassScore]:
    """Return a row for each class that is there or was answered, those with the lowest F1 first."""
    table = confusion(references, hypotheses)
    wrong_CC = table.counts.copy()
    for place in range(len(table.classes)):
        wrong_CC[place, place] = 0
    rows = [
        ClassScore(
            label=label,
            items=int(table.counts[place].sum()),
            said=int(table.counts[:, place].sum()),
            precision=float(table.precisions[place]),
            recall=float(table.recalls[place]),
            f1=float(table.f1s[place]),
            taken_for=table.classes[int(wrong_CC[place].argmax())] if wrong_CC[place].any() else None,
            times=int(wrong_CC[place].max()),
        )
        for place, label in enumerate(table.classes)
    ]
    return sorted(rows, key=lambda row: (row.f1, row.label))


def tag_scores(there: Sequence[set[str]], said: Sequence[set[str]]) -> list[ClassScore]:
    """Return a row for each tag that is there or was said, those with the lowest F1 first. What a tag is taken for is what
    was most often said too much where it was missed: mostly, not surely, in its place."""
    tags = sorted(set().union(*there, *said))
    there_NC, said_NC = (
        np.array([[tag in own for tag in tags] for own in column], dtype=bool).reshape(len(column), len(tags))
        for column in (there, said)
    )
    instead_CC = (there_NC & ~said_NC).T.astype(np.int64) @ (said_NC & ~there_NC).astype(np.int64)
    hits_C, items_C, said_C = ((there_NC & said_NC).sum(axis=0), there_NC.sum(axis=0), said_NC.sum(axis=0))
    rows = [
        ClassScore(
            label=tag,
            items=int(items_C[c]),
            said=int(said_C[c]),
            precision=float(hits_C[c] / max(said_C[c], 1)),
            recall=float(hits_C[c] / max(items_C[c], 1)),
            f1=float(2 * hits_C[c] / (items_C[c] + said_C[c])),
            taken_for=tags[int(instead_CC[c].argmax())] if instead_CC[c].any() else None,
            times=int(instead_CC[c].max()),
        )
        for c, tag in enumerate(tags)
    ]
    return sorted(rows, key=lambda row: (row.f1, row.label))


def _jamo(text: str) -> list[str]:
    return list(unicodedata.normalize("NFD", "".join(text.split())))


_SPLIT: dict[Unit, Callable[[str], list[str]]] = {
    "words": split_words,
    "characters": lambda text: split_characters(text, spaces=False),
    "jamo": _jamo,
}


def _is_jamo(unit: str | None) -> bool:
    return unit is not None and "\u1100" <= unit <= "\u11ff"


def _letter(unit: str | None) -> str | None:
    """A jamo as it is written alone, a final one with a line before it: as in 밤 the last of ㅂ, ㅏ, -ㅁ."""
    if unit is None or not _is_jamo(unit):
        return unit
    kind, _, name = unicodedata.name(unit).removeprefix("HANGUL ").partition(" ")
    try:
        letter = unicodedata.lookup(f"HANGUL LETTER {name}")
    except KeyError:  # an old one that is never written alone
        return unit
    return f"-{letter}" if kind == "JONGSEONG" else letter
