"""What a score's key is made of: what changes the score does, and what came later leaves the older keys alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from sorigil.decoding.spec import BeamSpec, GreedySpec
from sorigil.fingerprint import digest, fingerprint
from sorigil.text.normalize import label, spec_of
from storage.layout import Store
from tasks.evaluate_job import EvaluateJob

ROWS = {"key": ["b", "a"], "label": ["dog|rain", "cat"], "speaker": ["ann", "ben"], "audio_key": ["bb", "aa"]}
JOB = EvaluateJob(
    store=Store(root="store", catalog="", mlflow=""),
    dataset="sounds",
    model_key="m",
    split="test",
    target="label",
    separator=";",
    normalizer=spec_of("basic"),
    metrics=("map", "d_prime"),
    decode=GreedySpec(),
    rows=pa.table(ROWS),
)


def test_the_keys_of_older_scores_stay() -> None:
    rows = digest("slice", "a\x1fcat\nb\x1fdog|rain")
    how = (fingerprint(GreedySpec()), label(JOB.normalizer), "map", "d_prime")
    assert (JOB.slice, JOB.key) == (rows, digest("score", 1, rows, "m", *how))


@pytest.mark.parametrize(
    ("changed", "of_the_slice"),
    [
        ({"separator": "|"}, True),
        ({"by_speaker": True}, True),
        ({"rows": pa.table({**ROWS, "label": ["dog|rain", "sea"]})}, True),
        ({"model_key": "n"}, False),
        ({"metrics": ("map",)}, False),
        ({"normalizer": spec_of("none")}, False),
        ({"decode": BeamSpec()}, False),
        ({"speeds": (0.9, 1.0)}, False),
        ({"compared": True}, False),
        ({"latency": 3}, False),
    ],
)
def test_what_changes_a_score_changes_its_key(changed: dict[str, Any], of_the_slice: bool) -> None:
    other = replace(JOB, **changed)
    assert other.key != JOB.key and (other.slice != JOB.slice) == of_the_slice


def test_what_it_is_called_does_not() -> None:
    other = replace(JOB, dataset="noises", split="dev", rows=pa.table(ROWS).take([1, 0]))
    assert other.key == JOB.key
