"""The metrics by name: what a model is scored by, each with its interval and what it is made of.

A metric is a function of columns and groups that returns a `Score`; what the columns are, `Metric.reads` says. To add one,
write it in a file of its own and name it in `METRICS`. Both columns of texts are normalised before they come here.
"""

from __future__ import annotations

from sorigil.metrics.calibration import brier, ece
from sorigil.metrics.labels import accuracy, balanced_accuracy, macro_f1
from sorigil.metrics.probabilities import top_k
from sorigil.metrics.score import Metric, Score, cer, cer_spaces, mer, swer, wer, wil
from sorigil.metrics.tagging import d_prime, mean_average_precision, micro_f1, roc_auc, tag_f1
from sorigil.metrics.word_confidence import nce, word_ece

METRICS: dict[str, Metric] = {
    "wer": Metric(objectives=("ctc",), compute=wer, higher_is_better=False),
    "cer": Metric(objectives=("ctc",), compute=cer, higher_is_better=False),
    "cer_spaces": Metric(objectives=("ctc",), compute=cer_spaces, higher_is_better=False),
    "swer": Metric(objectives=("ctc",), compute=swer, higher_is_better=False),
    "mer": Metric(objectives=("ctc",), compute=mer, usual=False, higher_is_better=False),
    "wil": Metric(objectives=("ctc",), compute=wil, usual=False, higher_is_better=False),
    "word_ece": Metric(objectives=("ctc",), compute=word_ece, reads="words", usual=False, higher_is_better=False),
    "nce": Metric(objectives=("ctc",), compute=nce, reads="words", usual=False),
    "accuracy": Metric(objectives=("classification",), compute=accuracy),
    "macro_f1": Metric(objectives=("classification",), compute=macro_f1),
    "balanced_accuracy": Metric(objectives=("classification",), compute=balanced_accuracy, usual=False),
    "top_2": Metric(objectives=("classification",), compute=top_k(2), reads="probabilities", usual=False),
    "top_3": Metric(objectives=("classification",), compute=top_k(3), reads="probabilities", usual=False),
    "top_5": Metric(objectives=("classification",), compute=top_k(5), reads="probabilities", usual=False),
    "ece": Metric(
        objectives=("classification",), compute=ece, reads="probabilities", usual=False, higher_is_better=False
    ),
    "brier": Metric(
        objectives=("classification",), compute=brier, reads="probabilities", usual=False, higher_is_better=False
    ),
    "roc_auc": Metric(objectives=("classification", "tagging"), compute=roc_auc, reads="probabilities", usual=False),
    "map": Metric(objectives=("tagging",), compute=mean_average_precision, reads="probabilities"),
    "d_prime": Metric(objectives=("tagging",), compute=d_prime, reads="probabilities"),
    "micro_f1": Metric(objectives=("tagging",), compute=micro_f1, reads="tags"),
    "tag_f1": Metric(objectives=("tagging",), compute=tag_f1, reads="tags", usual=False),
}

__all__ = ["METRICS", "Metric", "Score"]
