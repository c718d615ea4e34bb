"""What only one side of a split says: classes, tags or symbols that a model is asked for and never learned, or the reverse.

Told before training, because a mistyped label or an odd character in a transcript looks like a bad model afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from sorigil.splits import TEST, TRAIN
from sorigil.text import tags
from sorigil.text.normalize import normalizer
from sorigil.text.tokenizer import alphabet
from tasks.train_job import TrainJob

MOST = 20  # in a message


def differences(job: TrainJob) -> list[str]:
    """A sentence for each side that says what the other does not. Symbols of a text that training alone has are no
    news: a test set need not hold every letter."""
    mixed = [] if job.mixed is None or not job.facts.text else [_values(job, job.mixed)]  # of other classes: not used
    train = _said(job, _values(job, _side(job, TRAIN)).union(*mixed))
    test = _said(job, _values(job, _side(job, TEST)))
    kind = ("words" if job.tokens.kind == "words" else "symbols") if job.facts.text else "labels"
    sentences = _lists(job, train | test)
    if test and (unlearned := sorted(test - train)):
        counted = "; each counts as an error" if job.facts.text else ""
        sentences.append(
            f"{TEST} has {kind} that {TRAIN} has not ({len(unlearned):,}): {_few(job, unlearned)}{counted}"
        )
    if test and not job.facts.text and (unasked := sorted(train - test)):
        sentences.append(f"{TRAIN} has {kind} that {TEST} has not ({len(unasked):,}): {_few(job, unasked)}")
    return sentences


def _lists(job: TrainJob, said: set[str]) -> list[str]:
    """A classifier learns a list of labels as one class, which is seldom meant."""
    one_label = not job.facts.text and not job.facts.several
    if not one_label or not (lists := sorted(label for label in said if tags.is_list(label))):
        return []
    return [
        f"{len(lists):,} labels are lists, such as {lists[0]}, each a class here; objective: tagging learns what is in them"
    ]


def _side(job: TrainJob, side: str) -> pa.Table:
    return job.rows.filter(pc.equal(job.rows.column("side"), side))


def _values(job: TrainJob, table: pa.Table) -> set[str]:
    return set(pc.unique(table.column(job.target)).to_pylist())


def _said(job: TrainJob, values: Iterable[str]) -> set[str]:
    """The classes, tags or symbols of annotations."""
    if job.facts.text:
        return alphabet(job.tokens.kind, map(normalizer(job.normalizer), values))
    if job.facts.several:
        return {tag for value in values for tag in tags.split(tags.read(value, job.separator))}
    return set(values)


def _few(job: TrainJob, names: list[str]) -> str:
    shown = map(repr, names[:MOST]) if job.facts.text else names[:MOST]
    return ", ".join(shown) + (", …" if len(names) > MOST else "")
