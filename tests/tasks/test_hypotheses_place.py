"""Where hypotheses are kept: together where a model says the same of the same audio, apart where it may not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from sorigil import external
from sorigil.decoding.spec import BeamSpec, GreedySpec
from sorigil.text.normalize import spec_of
from storage.layout import Store
from tasks.evaluate_job import EvaluateJob
from tasks.externals import External
from tasks.hypotheses import place_of

ROWS = {"key": ["b", "a"], "id": ["1", "2"], "speaker": ["ann", "ben"], "audio_key": ["bb", "aa"]}
JOB = EvaluateJob(
    store=Store(root="store", catalog="", mlflow=""),
    dataset="sounds",
    model_key="m",
    split="test",
    target="label",
    separator=";",
    normalizer=spec_of("basic"),
    metrics=("accuracy",),
    decode=GreedySpec(),
    rows=pa.table(ROWS),
    from_audio=True,
)
FILE = replace(JOB, external=External(key="m", spec=external.parse("file:h.trn")))


def place(job: EvaluateJob, **changed: Any) -> str:
    return place_of(job, pa.table({**ROWS, **changed}))


def test_what_a_model_says_of_audio_is_kept_with_what_it_says_of_other_audio() -> None:
    assert place(JOB) == place(JOB, audio_key=["cc", "dd"], key=["c", "d"], speaker=["eve", "eve"], id=["3", "4"])
    assert place(JOB) == place(replace(JOB, normalizer=spec_of("none"), metrics=("macro_f1",)))
    others = [replace(JOB, model_key="n"), replace(JOB, decode=BeamSpec()), replace(JOB, from_audio=False)]
    assert len({place(JOB), *map(place, others), place(replace(JOB, speeds=(0.9, 1.0)))}) == 5


@pytest.mark.parametrize(
    ("changed", "apart"),
    [
        ({"speaker": ["ann", "ann"]}, True),
        ({"audio_key": ["bb", "cc"]}, True),  # the same utterances, prepared in another way: other statistics
        ({"id": ["3", "4"]}, False),
    ],
)
def test_a_model_used_to_speakers_hears_exactly_these_rows_together(changed: dict[str, Any], apart: bool) -> None:
    job = replace(JOB, by_speaker=True)
    assert (place(job, **changed) != place(job)) == apart
    assert place(job) != place(JOB)
    assert place_of(job, pa.table(ROWS).take([1, 0])) == place(job)


def test_a_file_knows_utterances_by_their_ids() -> None:
    assert place(FILE, id=["3", "4"]) != place(FILE) == place(FILE, speaker=["ann", "ann"])
