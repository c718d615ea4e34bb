"""`make shelf`: every network on the real sets, each by the set's one recipe: what it costs and what it scores, as a table.

Each training is a command of its own, measured from outside. What is done is in `results.jsonl` and is not done again: stop
it and start it as you like. The networks learn from nothing but what the sets hold.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks.measure import FailedError, run
from benchmarks.tables import markdown
from flows import config
from sorigil.fingerprint import fingerprint

ROOT = Path("data/shelf")
RECIPES = Path(__file__).with_name("shelf.yaml")
SEEDS = 3
SHORT_SECONDS = 300.0  # a training of less is done with every seed

CLASSIFICATION = {  # scored by accuracy
    "keywords": "keywords",
    "esc10": "ESC-10",
    "fsdd": "FSDD",
    "speakers": "FSDD, speakers left out",
}
RECOGNITION = {"yesno": "yesno", "digits": "FSDD, letters", "an4": "AN4 (tiny)"}  # scored by word error rate
BOTH = (*CLASSIFICATION, *RECOGNITION)
NARROW = ("fsdd", "speakers", "yesno", "digits")  # at 8 kHz; the others at 16 kHz


@dataclass(frozen=True, kw_only=True, slots=True)
class Entrant:
    """A network as it enters: its spec, and the sets that it suits. `raw`: it hears samples, at 8 kHz as `narrow` says."""

    model: dict[str, Any]
    sets: Sequence[str] = BOTH
    raw: bool = False
    narrow: dict[str, Any] = field(default_factory=dict)


CLASSIFIERS_2D = (
    "alexnet",
    "vgg11",
    "vgg16",
    "googlenet",
    "resnet18",
    "resnet34",
    "resnet50",
    "densenet121",
    "squeezenet",
)
NETWORKS = {
    "mlp": Entrant(model={"kind": "mlp"}, sets=tuple(CLASSIFICATION)),
    "cnn1d": Entrant(model={"kind": "cnn1d"}),
    "cnn2d": Entrant(model={"kind": "cnn2d"}),
    "rnn": Entrant(model={"kind": "rnn"}),
    "lstm": Entrant(model={"kind": "lstm"}),
    "gru": Entrant(model={"kind": "gru"}),
    "crnn": Entrant(model={"kind": "crnn"}),
    "deepspeech2": Entrant(model={"kind": "deepspeech2"}),
    "transformer": Entrant(model={"kind": "transformer"}),
    "conformer": Entrant(model={"kind": "conformer"}),
    "sincnet": Entrant(
        model={"kind": "sincnet"}, raw=True, narrow={"sample_rate": 8000, "kernels": [129, 5, 5], "pools": [4, 2, 2]}
    ),
    **{kind: Entrant(model={"kind": kind, "width": 0.25}, sets=tuple(CLASSIFICATION)) for kind in CLASSIFIERS_2D},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """One training, from the command to its scores."""

    network: str
    set: str
    seed: int

    @property
    def changes(self) -> list[str]:
        """What is put into the recipe, as for --set."""
        entrant = NETWORKS[self.network]
        narrow = entrant.narrow if self.set in NARROW else {}
        values: dict[str, Any] = {"model": {**entrant.model, **narrow}, "seed": self.seed}
        if entrant.raw:
            values |= {"input": "raw", "mask": None, "cmvn": "utterance"}
        return [f"train.model.{key}={json.dumps(value)}" for key, value in values.items()]

    @property
    def command(self) -> list[str]:
        sets = (f"--set={change}" for change in self.changes)
        return [sys.executable, "-m", "flows.cli", "run", self.set, "--file", str(RECIPES), "--local", "--json", *sets]

    @property
    def key(self) -> str:
        """Another recipe, network or seed is another job; other words for the same are not."""
        pipeline = config.load(RECIPES, self.changes, pipeline=self.set).pipeline(self.set)
        return fingerprint(pipeline)


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """What a job cost and scored. `speed` is seconds of audio learned from in a second; 0 where there were several trainings.

    `score` is accuracy or WER with its 95 % interval; over folds their mean, and from the worst to the best.
    """

    key: str
    network: str
    set: str
    seed: int
    parameters: int
    multiply_adds: int  # for a second of audio
    wall: float
    cpu: float
    peak_mb: float
    speed: float
    score: float
    interval: tuple[float, float]
    failed: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shelf", description=__doc__)
    parser.add_argument("--networks", nargs="*", choices=tuple(NETWORKS), default=tuple(NETWORKS), metavar="NAME")
    parser.add_argument("--sets", nargs="*", choices=BOTH, default=BOTH, metavar="NAME")
    parser.add_argument(
        "--seeds", type=int, default=SEEDS, help=f"of trainings under {SHORT_SECONDS:g} s; others have one"
    )
    options = parser.parse_args()
    results = Results(ROOT / "results.jsonl")
    for seed in range(options.seeds):
        for name in options.sets:
            for network in options.networks:
                job = Job(network=network, set=name, seed=seed)
                if name in NETWORKS[network].sets and not results.has(job) and results.is_short(job):
                    results.add(_done(job))
    text = table(results.rows.values())
    (ROOT / "shelf.md").write_text(text + "\n")
    print(f"{text}\n\nwritten to {ROOT / 'shelf.md'}")


class Results:
    """The jobs that were done, by key; each is on disk before the next begins."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = path.read_text().splitlines() if path.exists() else []
        self.rows = {row.key: row for row in (Result(**json.loads(line)) for line in lines)}

    def add(self, result: Result) -> None:
        self.rows[result.key] = result
        with self._path.open("a") as file:
            file.write(json.dumps({name: getattr(result, name) for name in Result.__slots__}) + "\n")

    def has(self, job: Job) -> bool:
        """Whether the job was done; what failed is tried again."""
        return job.key in self.rows and not self.rows[job.key].failed

    def is_short(self, job: Job) -> bool:
        """Whether the job is the first of its kind, or the first took little time."""
        first = self.rows.get(Job(network=job.network, set=job.set, seed=0).key)
        return job.seed == 0 or (first is not None and not first.failed and first.wall < SHORT_SECONDS)


def _done(job: Job) -> Result:
    what = {"key": job.key, "network": job.network, "set": job.set, "seed": job.seed}
    parameters, multiply_adds = cost_of(job)
    what |= {"parameters": parameters, "multiply_adds": multiply_adds}
    try:
        cost = run(job.command, {})
    except FailedError as failed:
        print(f"{job.network} on {job.set} failed: {failed}", file=sys.stderr)
        nothing = dict.fromkeys(("wall", "cpu", "peak_mb", "speed", "score"), 0.0)
        return Result(**what, **nothing, interval=(0.0, 0.0), failed=str(failed))
    (training,) = (stage for stage in cost.said["stages"] if stage["name"] == "train model")
    metric = "accuracy" if job.set in CLASSIFICATION else "wer"
    scores = [score for score in cost.said["scores"] if score["metric"] == metric]
    values = [score["value"] for score in scores]
    print(f"{job.network} on {job.set}, seed {job.seed}: {mean(values):.3f}, {cost.wall:.0f} s", file=sys.stderr)
    return Result(
        **what,
        wall=cost.wall,
        cpu=cost.cpu,
        peak_mb=cost.peak_mb,
        speed=training["audio_seconds"] / training["seconds"],
        score=mean(values),
        interval=tuple(scores[0]["interval"]) if len(scores) == 1 else (min(values), max(values)),
    )


def cost_of(job: Job) -> tuple[int, int]:
    """The network's parameters, and its multiplications for a second of audio; with ten classes or tokens."""
    from sorigil.models.cost import multiply_adds, parameters
    from sorigil.models.network import build
    from sorigil.training.inputs import Waveform, input_dim, input_frames

    pipeline = config.load(RECIPES, job.changes, pipeline=job.set).pipeline(job.set)
    (entry,) = pipeline.train
    heard = Waveform() if entry.train.input == "raw" else pipeline.features[0]
    network = build(entry.model, entry.objective, input_dim(heard), 10)
    frames = input_frames(heard, pipeline.audio.sample_rate)
    return parameters(network), multiply_adds(network, frames, input_dim(heard))


def table(results: Iterable[Result]) -> str:
    """A line for each network: costs on its first set, then each set's score in percent, mean ± spread over seeds."""
    rows = [row for row in results if not row.failed]
    body = []
    for name in NETWORKS:
        mine = [row for row in rows if row.network == name]
        if mine:
            speed = next((row.speed for row in mine if row.speed), 0)
            costs = [f"{mine[0].parameters:,}", f"{mine[0].multiply_adds / 1e6:,.0f}", f"{speed:,.0f}"]
            peak = f"{max(row.peak_mb for row in mine):,.0f}"
            scores = (_spread([100 * row.score for row in mine if row.set == each]) for each in BOTH)
            body.append([name, *costs, peak, *scores])
    titles = (CLASSIFICATION | RECOGNITION).items()
    heads = [f"{what}, {'accuracy' if name in CLASSIFICATION else 'WER'} %" for name, what in titles]
    return markdown(["", "parameters", "M multiply-adds / s", "audio s / s", "peak MB", *heads], body)


def _spread(values: list[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.1f}" if values else "–"
    return f"{mean(values):.1f} ± {stdev(values):.1f} ({len(values)})"


if __name__ == "__main__":
    main()
