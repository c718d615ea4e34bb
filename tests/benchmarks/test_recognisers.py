"""README's table of recognisers: who stands in which cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import recognisers, shelf
from flows import config
from sorigil.fingerprint import fingerprint


def board(name: str, **values: float) -> dict[str, Any]:
    """A board of a set on which these models score so; `_` stands for the dot in their names."""
    rows = [
        {"model": model.replace("_", ".") + "/2", "value": value, "interval": (value / 2, 2 * value), "rtfx": 100.0}
        for model, value in values.items()
    ]
    metric = recognisers.METRICS[name]
    return {"slice": f"{name}:test", "metric": metric, "normalizer": "basic", "utterances": 9, "rows": rows}


def test_a_network_is_one_recogniser_for_each_set() -> None:
    boards = [
        board("fsdd", fsdd_gru=0.1, yesno_gru=0.2, an4_gru=0.3),
        board("yesno", fsdd_gru=0.4, yesno_gru=0.5, an4_gru=0.6),
        *(board(name, fsdd_gru=0.7, yesno_gru=0.7, an4_gru=0.8, an4_all=0.9) for name in ("an4", "keywords")),
        *(board(name) for name in ("read_english", "korean")),
    ]
    lines = {line.split(" | ")[0][2:]: line.split(" | ")[1:] for line in recognisers.table(boards).splitlines()}
    assert lines[""][0] == "fsdd, WER % (basic; 9)" and lines[""][-2] == "korean, CER % (basic; 9)"
    assert lines["gru"][:4] == ["10.0 [5, 20]", "50.0 [25, 100]", "80.0 [40, 160]", "80.0 [40, 160]"]
    assert lines["all"][:4] == ["–", "–", "90.0 [45, 180]", "90.0 [45, 180]"]
    assert lines["gru"][-1] == "100 |" and lines["crnn"][-1] == "– |"


def test_what_the_shelf_has_trained_is_found() -> None:
    """The same networks by the same recipes, or `make shelf` would have to be done twice."""
    recipes = config.load(recognisers.RECIPES)
    for name, of_shelf in (("fsdd", "digits"), ("yesno", "yesno"), ("an4", "an4")):
        for entry in recipes.pipeline(name).train:
            if entry.name in shelf.NETWORKS:
                job = shelf.Job(network=entry.name, set=of_shelf, seed=0)
                (other,) = config.load(shelf.RECIPES, job.changes, pipeline=of_shelf).pipeline(of_shelf).train
                assert fingerprint(entry.model) == fingerprint(other.model), (name, entry.name)
                assert fingerprint(entry.train) == fingerprint(other.train), (name, entry.name)


def test_the_grammar_is_committed() -> None:
    assert Path(recognisers.GRAMMAR.partition(":")[2]).read_text().startswith("#JSGF")
