"""What a trained model says of the rows of a dataset: texts, labels or tags, and how sure it is. Nothing is judged here."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sorigil.objectives import OBJECTIVES
from sorigil.text import tags
from sorigil.types import Hypothesis
from storage import bundles
from storage.dataset import StoredRows
from tasks.evaluate_job import EvaluateJob
from tasks.language_model import fusion_of

BATCH_SECONDS = 120.0
ONE_ROW = 1e-3  # seconds in a batch


@dataclass(frozen=True, kw_only=True, slots=True)
class Answers:
    """The model's text, label or tags for each row and how sure it is; of an objective with labels each one's probability."""

    texts: list[str]
    confidences: list[float | None]  # None: not said
    probabilities_NC: NDArray[np.float64] | None = None
    word_confidences: list[list[float]] | None = None  # of the words of each text; None where they are not known
    n_best: list[list[tuple[str, float]]] | None = None  # texts with their scores, the likeliest first
    seconds: float = 0.0  # it took to hear and decode (`seconds_used`), without loading the model


def passes(
    job: EvaluateJob, bundle: bundles.Bundle, rows: pa.Table, stored: StoredRows
) -> Callable[..., Iterator[Any]]:
    """What hears the rows at a given speed, in batches of so many seconds, and yields the network's output for each."""
    import torch

    from sorigil.training.data import Batches, UtteranceDataset, speaker_statistics
    from sorigil.training.evaluation import predict

    device = "cuda" if torch.cuda.is_available() else "cpu"
    network = bundle.network().to(device)
    road = replace(bundle.road(), input="audio" if job.from_audio else "features")
    stored = stored.heard_at(road.sample_rate)  # of another dataset's audio, which may have another one
    speakers = speaker_statistics(road, stored, rows.column("speaker").to_pylist())

    def outputs(speed: float, batch_seconds: float = BATCH_SECONDS) -> Iterator[Any]:
        dataset = UtteranceDataset(
            rows=stored, targets=[[0]] * len(stored.keys), road=replace(road, speed=speed), speakers=speakers
        )
        return predict(network, Batches(dataset=dataset, batch_seconds=batch_seconds).in_order(), device)

    return outputs


def answers_of(job: EvaluateJob, bundle: bundles.Bundle, rows: pa.Table, stored: StoredRows) -> Answers:
    """What the model says of each row."""
    outputs = passes(job, bundle, rows, stored)
    first = next(outputs(1.0, ONE_ROW))  # libraries load and kernels compile before the clock starts
    if OBJECTIVES[bundle.objective].text:
        read_text(job, bundle, first.log_probs)
    began = seconds_used()
    found = _answers(job, bundle, len(stored.keys), outputs)
    return replace(found, seconds=seconds_used() - began)


def seconds_used() -> float:
    """A clock of this process's work: seconds of a processor, whatever else the machine does meanwhile; of the wall where
    a graphics card does the work."""
    import torch

    return time.perf_counter() if torch.cuda.is_available() else time.process_time()


def _answers(job: EvaluateJob, bundle: bundles.Bundle, rows: int, outputs: Callable[..., Iterator[Any]]) -> Answers:
    if not OBJECTIVES[bundle.objective].text:
        return _labelled(bundle, rows, map(outputs, job.speeds))
    found: list[Any] = [None] * rows
    for output in outputs(*job.speeds):
        found[output.row] = read_text(job, bundle, output.log_probs)
    several = getattr(job.decode, "n_best", 1) > 1
    return Answers(
        texts=[each.text or "" for each in found],
        confidences=[each.confidence for each in found],
        word_confidences=[[word.confidence for word in each.words for _ in word.text.split()] for each in found],
        n_best=[each.extras["n_best"] for each in found] if several else None,
    )


def _labelled(bundle: bundles.Bundle, rows: int, several: Iterable[Iterable[Any]]) -> Answers:
    """The answers of one or several passes over the rows: the mean of their probabilities decides."""
    found_NC = np.zeros((rows, len(bundle.outputs)))
    for passes, outputs in enumerate(several, start=1):
        for output in outputs:
            found_NC[output.row] += (np.exp(output.log_probs) - found_NC[output.row]) / passes
    return labelled(bundle.outputs, found_NC, OBJECTIVES[bundle.objective].several, said_from(bundle))


def said_from(model: Any) -> NDArray[np.float64]:
    """The probability from which on a model says each of its tags: what was chosen on its dev rows, else 0.5."""
    return np.array(getattr(model, "thresholds", ()) or [tags.SAID_FROM] * len(model.outputs))


def labelled(
    outputs: Sequence[str], found_NC: NDArray[np.float64], several: bool, said_from_C: NDArray[np.float64]
) -> Answers:
    """The answers that probabilities give. With several labels a row the least sure one says how sure all are."""
    names = np.asarray(outputs, dtype=object)
    if several:
        said_NC = found_NC >= said_from_C
        texts = [tags.join(names[said_C]) for said_C in said_NC]
        sure_N = np.where(said_NC, found_NC, 1 - found_NC).min(axis=1)
    else:
        texts = names[found_NC.argmax(axis=1)].tolist()
        sure_N = found_NC.max(axis=1)
    return Answers(texts=texts, confidences=sure_N.tolist(), probabilities_NC=found_NC)


def read_text(job: EvaluateJob, bundle: bundles.Bundle, log_probs: NDArray[np.float32]) -> Hypothesis:
    """What the decoder makes of one utterance's output."""
    from sorigil.decoding.ctc import decode

    (found,) = decode(
        log_probs[None],
        [len(log_probs)],
        bundle.tokenizer(),
        job.decode,
        seconds_per_frame=1.0,
        fusion=fusion_of(job.store, job.model_key, job.decode),
    )
    return found
