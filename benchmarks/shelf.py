"""`make shelf`: every network on the real sets, each by the set's one recipe: what it costs and what it scores, as a table.

Each training is a command of its own, measured from outside. What is done is in `results.jsonl` and is not done again: stop
it and start it as you like. The networks learn from nothing but what the sets hold: wav2vec 2.0 and AST too begin with random
weights, and are small.
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
SHORT_SECONDS = 300.0  # of processor time; a training of less is done with every seed

CLASSIFICATION = {  # scored by accuracy
    "keywords": "keywords",
    "esc10": "ESC-10",
    "fsdd": "FSDD",
    "george": "FSDD, george left out",
    "speakers": "FSDD, each speaker left out",
}
RECOGNITION = {"yesno": "yesno", "digits": "FSDD, letters", "an4": "AN4 (tiny)"}  # scored by word error rate
BOTH = (*CLASSIFICATION, *RECOGNITION)
ONE_FOLD = tuple(name for name in BOTH if name != "speakers")  # for the big ones
NARROW = ("fsdd", "george", "speakers", "yesno", "digits")  # at 8 kHz; the others at 16 kHz


# as published, but narrower and with fewer layers
WAV2VEC2 = {
    "hidden_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "conv_dim": [64] * 7,
    "num_conv_pos_embeddings": 32,
    "num_conv_pos_embedding_groups": 4,
}
AST = {"hidden_size": 128, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 512}


@dataclass(frozen=True, kw_only=True, slots=True)
class Entrant:
    """A network as it enters: its spec, and the sets that it suits. `raw`: it hears samples, at 8 kHz as `narrow` says.

    `recipe` is what it learns with instead of the set's own, where it learns nothing by that.
    """

    model: dict[str, Any]
    sets: Sequence[str] = ONE_FOLD
    raw: bool = False
    narrow: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)


CLASSIFIERS_2D = ("vgg16", "googlenet", "resnet18", "resnet34", "resnet50", "densenet121")
CLASSIFIED_ONE_FOLD = tuple(name for name in CLASSIFICATION if name != "speakers")
NETWORKS = {
    "mlp": Entrant(model={"kind": "mlp"}, sets=tuple(CLASSIFICATION)),
    "cnn1d": Entrant(model={"kind": "cnn1d"}, sets=BOTH),
    "cnn2d": Entrant(model={"kind": "cnn2d"}, sets=BOTH),
    "rnn": Entrant(model={"kind": "rnn"}, sets=BOTH),
    "lstm": Entrant(model={"kind": "lstm"}, sets=BOTH),
    "gru": Entrant(model={"kind": "gru"}, sets=BOTH),
    "crnn": Entrant(model={"kind": "crnn"}, sets=BOTH),
    "deepspeech2": Entrant(model={"kind": "deepspeech2"}),
    "transformer": Entrant(model={"kind": "transformer"}),
    "conformer": Entrant(model={"kind": "conformer"}),
    "sincnet": Entrant(
        model={"kind": "sincnet"}, raw=True, narrow={"sample_rate": 8000, "kernels": [129, 5, 5], "pools": [4, 2, 2]}
    ),
    "wav2vec2": Entrant(model={"kind": "wav2vec2", "config": WAV2VEC2}, raw=True, narrow={"sample_rate": 8000}),
    "alexnet": Entrant(model={"kind": "alexnet", "width": 0.25}, sets=tuple(CLASSIFICATION)),
    "vgg11": Entrant(model={"kind": "vgg11", "width": 0.25}, sets=tuple(CLASSIFICATION)),
    **{kind: Entrant(model={"kind": kind, "width": 0.25}, sets=CLASSIFIED_ONE_FOLD) for kind in CLASSIFIERS_2D},
    # at a quarter of its width and 2e-3 its loss on the dev rows of keywords stays that of guessing
    "squeezenet": Entrant(
        model={"kind": "squeezenet", "width": 0.5}, sets=CLASSIFIED_ONE_FOLD, recipe={"learning_rate": 1e-3}
    ),
    "ast": Entrant(model={"kind": "ast", "config": AST}, sets=CLASSIFIED_ONE_FOLD, narrow={"sample_rate": 8000}),
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
        values: dict[str, Any] = {"model": {**entrant.model, **narrow}, "seed": self.seed, **entrant.recipe}
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
    """What a job cost and scored. `speed` is seconds of audio learned from in a second of the processor, with all that the
    command does besides; 0 where there were several trainings.

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
    text = table(results.current())
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

    def current(self) -> list[Result]:
        """The rows of the recipes as they are now; the file keeps those of former ones."""
        places = ((name, each) for name, entrant in NETWORKS.items() for each in entrant.sets)
        jobs = (Job(network=name, set=each, seed=seed) for name, each in places for seed in range(SEEDS))
        return [self.rows[key] for key in (job.key for job in jobs) if key in self.rows]

    def has(self, job: Job) -> bool:
        """Whether the job was done; what failed is tried again."""
        return job.key in self.rows and not self.rows[job.key].failed

    def is_short(self, job: Job) -> bool:
        """Whether the job is the first of its kind, or the first took little time."""
        first = self.rows.get(Job(network=job.network, set=job.set, seed=0).key)
        return job.seed == 0 or (first is not None and not first.failed and first.cpu < SHORT_SECONDS)


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
        speed=training["audio_seconds"] / cost.cpu,
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
    """Two tables with a line for each network: what it costs, and what it scores on each set. Speed is that on the set
    where a command's beginning and end weigh least; memory the most on any."""
    rows = [row for row in results if not row.failed]
    done = [name for name in BOTH if any(row.set == name for row in rows)]
    costs, scores = [], []
    for name in NETWORKS:
        mine = [row for row in rows if row.network == name]
        if mine:
            speed = max(row.speed for row in mine)
            counts = [f"{mine[0].parameters:,}", f"{mine[0].multiply_adds / 1e6:,.0f}", f"{speed:,.0f}"]
            costs.append([name, *counts, f"{max(row.peak_mb for row in mine):,.0f}"])
            scores.append([name, *(_score([row for row in mine if row.set == each]) for each in done)])
    titles = CLASSIFICATION | RECOGNITION
    heads = [f"{titles[name]}, {'accuracy' if name in CLASSIFICATION else 'WER'} %" for name in done]
    head = ["", "parameters", "M multiply-adds / s", "audio s / processor s", "peak MB"]
    return f"{markdown(head, costs)}\n\n{markdown(['', *heads], scores)}"


def _score(rows: Sequence[Result]) -> str:
    """Mean ± spread over the seeds; of one seed its interval, over folds the worst and the best."""
    values = [100 * row.score for row in rows]
    if len(values) > 1:
        return f"{mean(values):.1f} ± {stdev(values):.1f} ({len(values)})"
    if not rows:
        return "–"
    low, high = rows[0].interval
    return f"{values[0]:.1f} [{100 * low:.0f}, {100 * high:.0f}]"


if __name__ == "__main__":
    main()
