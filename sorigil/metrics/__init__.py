"""The metrics by name: what a model is scored by, each with its interval and what it is made of.

A metric is a function of three columns (references, hypotheses, groups) that returns a `Score`, for tags of their truth,
probabilities and names, and groups; to add one, write it in
a file of its own and name it in `METRICS`. Both columns are normalised before they come here.
"""

from __future__ import annotations

from sorigil.metrics.score import Metric, Score, accuracy, cer, cer_spaces, macro_f1, mer, swer, wer, wil
from sorigil.metrics.tagging import d_prime, mean_average_precision, micro_f1

METRICS: dict[str, Metric] = {
    "wer": Metric(objective="ctc", compute=wer),
    "cer": Metric(objective="ctc", compute=cer),
    "cer_spaces": Metric(objective="ctc", compute=cer_spaces),
    "swer": Metric(objective="ctc", compute=swer),
    "mer": Metric(objective="ctc", compute=mer, usual=False),
    "wil": Metric(objective="ctc", compute=wil, usual=False),
    "accuracy": Metric(objective="classification", compute=accuracy),
    "macro_f1": Metric(objective="classification", compute=macro_f1),
    "map": Metric(objective="tagging", compute=mean_average_precision),
    "d_prime": Metric(objective="tagging", compute=d_prime),
    "micro_f1": Metric(objective="tagging", compute=micro_f1),
}

__all__ = ["METRICS", "Metric", "Score"]
