"""The shelf enters networks that exist into sets that exist, continues where it stopped, and counts seeds as spread."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import shelf
from benchmarks.shelf import BOTH, NETWORKS, Job, Result, Results, cost_of, table
from flows import config


def result(**values: object) -> Result:
    what = {"key": "k", "network": "gru", "set": "yesno", "seed": 0, "parameters": 1000, "multiply_adds": 2_000_000}
    costs = {"wall": 10.0, "cpu": 20.0, "peak_mb": 300.0, "speed": 50.0, "score": 0.02, "interval": (0.01, 0.03)}
    return Result(**{**what, **costs, **values})


@pytest.mark.parametrize("network", NETWORKS)
def test_every_network_fits_its_sets_and_has_a_cost(network: str) -> None:
    for name in NETWORKS[network].sets:
        job = Job(network=network, set=name, seed=1)
        (entry,) = config.load(shelf.RECIPES, job.changes, pipeline=name).pipeline(name).train
        assert (entry.model.kind, entry.train.seed) == (NETWORKS[network].model["kind"], 1)
    parameters, multiply_adds = cost_of(job)
    assert parameters > 1000 and multiply_adds > 10_000


def test_every_set_is_a_recipe() -> None:
    assert set(config.load(shelf.RECIPES).pipelines) == set(BOTH)


def test_what_is_done_is_found_again_and_only_short_trainings_have_more_seeds(tmp_path: Path) -> None:
    jobs = [Job(network="gru", set="yesno", seed=seed) for seed in (0, 1)]
    assert jobs[0].key != jobs[1].key
    results = Results(tmp_path / "results.jsonl")
    assert results.is_short(jobs[0]) and not results.is_short(jobs[1])
    results.add(result(key=jobs[0].key, cpu=shelf.SHORT_SECONDS + 1))
    again = Results(tmp_path / "results.jsonl")
    assert list(again.rows) == [jobs[0].key] and not again.is_short(jobs[1])
    again.add(result(key=jobs[0].key, failed="out of memory"))
    assert not again.has(jobs[0])
    again.add(result(key=jobs[0].key, cpu=1.0))
    assert again.has(jobs[0])
    assert Results(tmp_path / "results.jsonl").is_short(jobs[1])


def test_rows_of_former_recipes_are_kept_but_not_shown(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl")
    now = Job(network="gru", set="yesno", seed=2)
    results.add(result(key="of a former recipe", seed=2))
    results.add(result(key=now.key, seed=2))
    assert [row.key for row in Results(tmp_path / "results.jsonl").current()] == [now.key]


def test_the_tables_have_mean_and_spread_over_seeds_and_leave_out_what_failed() -> None:
    rows = [
        result(seed=0, score=0.02),
        result(seed=1, score=0.04),
        result(set="an4", score=0.5, interval=(0.4, 0.61)),
        result(network="lstm", failed="out of memory"),
    ]
    costs, scores = (part.splitlines() for part in table(rows).split("\n\n"))
    assert len(costs) == len(scores) == 3
    assert costs[2].startswith("| gru | 1,000 | 2 | 50 | 300 |")
    assert "| 3.0 ± 1.4 (2) |" in scores[2] and "| 50.0 [40, 61] |" in scores[2]
