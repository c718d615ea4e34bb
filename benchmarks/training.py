"""What the training loop and the data loading cost beside the networks' own arithmetic, model by model.

python -m benchmarks.training [--models gru,conformer] [--rounds 3] [--batch-seconds 60]: the same batches through a bare torch
loop and through `sorigil.training.loop:train`, in turn, and the batches read from a store, cached and on the fly. Processor
seconds, which a busy machine leaves comparable; medians over rounds. One thread.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile
import torch
from torch import nn

from benchmarks.tables import markdown
from flows import config
from flows.pipeline import execute
from flows.progress import PlainReporter
from flows.run import Options, Run
from sorigil.models.cost import parameters
from sorigil.models.network import MODELS, Network, build
from sorigil.objectives import Objective
from sorigil.training.data import Batch, Batches, Road, UtteranceDataset
from sorigil.training.loop import train
from sorigil.training.objectives import LEARNING
from sorigil.training.spec import TrainSpec
from storage.dataset import StoredRows

ROOT = Path("data/bench/training")
RATE = 16_000
OUTPUTS = 30  # tokens or classes
YAML = """\
version: 1
storage: {root: ./store}
pipelines:
  noise:
    source: {kind: manifest, uri: ./manifest.csv}
    features: [{kind: log_mel}]
    split: {by: field, dev: 0}
    train: [{model: gru, objective: classification}]
"""


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    run = prepared(options.minutes)
    cached, on_the_fly = (loader(run, input, options.batch_seconds) for input in ("features", "audio"))
    batches = list(cached.batches(0)[1])[: options.batches]
    loading = [_loading(each, options.rounds) for each in (cached, on_the_fly)]
    print(f"loading: {1e3 * loading[0]:.1f} ms per batch cached, {1e3 * loading[1]:.1f} ms on the fly", flush=True)
    rows = []
    for kind in options.models:
        rows.append(Cost.of(kind, batches, options.rounds).row(*loading))
        print(*rows[-1], flush=True)
    head = ("model", "parameters", "bare, s", "loop, s", "loop over bare", "loading, cached", "on the fly", "peak MB")
    print(markdown(head, rows))


def _options() -> argparse.Namespace:
    features = [kind for kind, (spec, _) in MODELS.items() if spec.FACTS.input == "features" and kind != "ast"]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--models", type=lambda text: text.split(","), default=features)
    parser.add_argument("--minutes", type=float, default=5, help="of audio in the store")
    parser.add_argument("--batch-seconds", type=float, default=60, help="of padded audio")
    parser.add_argument("--batches", type=int, default=12, help="in an epoch of the loops")
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()


def prepared(minutes: float) -> Run:
    """A store of coloured noise, 1 to 10 s each, made once for its size."""
    folder = ROOT / f"noise-{minutes:g}"
    if not (folder / "pipelines.yaml").is_file():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        rng = np.random.default_rng(0)
        lines = ["id,audio,label,split"]
        seconds = 0.0
        while seconds < 60 * minutes:
            length = rng.uniform(1, 10)
            noise = np.cumsum(rng.standard_normal(int(length * RATE)))
            soundfile.write(folder / f"{len(lines)}.flac", 0.5 * noise / np.abs(noise).max(), RATE)
            lines.append(f"u{len(lines)},{len(lines)}.flac,c{len(lines) % OUTPUTS},train")
            seconds += length
        (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
        (folder / "pipelines.yaml").write_text(YAML)
    loaded = config.load(folder / "pipelines.yaml")
    execute(loaded, "noise", Options(local=True, steps=("ingest", "prepare")), PlainReporter(quiet=True))
    return Run(config=loaded, pipeline=loaded.pipeline("noise"), reporter=PlainReporter(quiet=True))


def loader(run: Run, input: Any, batch_seconds: float) -> Batches:
    """The batches of a training, with 5 tokens as each row's target."""
    from storage.dataset import open_dataset
    from tasks.units import feature_spec_key

    pipeline = run.pipeline
    version = run.catalog.version(run.dataset)
    table = open_dataset(run.catalog, version, feature_spec_key(pipeline.audio, pipeline.features[0]))
    rows = StoredRows(run.store, table, audio=input == "audio")
    road = Road(input=input, feature=pipeline.features[0], sample_rate=pipeline.audio.sample_rate)
    targets = [[1 + (row + place) % (OUTPUTS - 1) for place in range(5)] for row in range(len(rows.keys))]
    dataset = UtteranceDataset(rows=rows, targets=targets, road=road)
    return Batches(dataset=dataset, batch_seconds=batch_seconds)


def _drain(batches: Batches) -> None:
    for _ in batches.batches(0)[1]:
        pass


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One model: processor seconds of an epoch."""

    kind: str
    parameters: int
    bare: float
    loop: float
    ratio: float
    steps: int
    peak_mb: float

    @classmethod
    def of(cls, kind: str, batches: Sequence[Batch], rounds: int) -> Cost:
        """Both loops in turn, each first in every other round; the ratio is taken within a round."""
        spec = MODELS[kind][0]()
        objective: Objective = "ctc" if "ctc" in spec.FACTS.objectives else "classification"
        size = batches[0].features_BTF.shape[2]
        bare, loop = [], []
        for number in range(rounds + 1):  # the first warms up
            roads = [(bare_loop, bare), (our_loop, loop)]
            for road, found in roads if number % 2 else reversed(roads):
                torch.manual_seed(0)
                network = build(spec, objective, size, OUTPUTS)
                found.append(_seconds(partial(road, network, batches, objective)))
        ratios = [ours / theirs for ours, theirs in zip(loop[1:], bare[1:], strict=True)]
        return cls(
            kind=kind,
            parameters=parameters(network),
            bare=statistics.median(bare[1:]),
            loop=statistics.median(loop[1:]),
            ratio=statistics.median(ratios),
            steps=len(batches),
            peak_mb=psutil.Process().memory_info().rss / 1e6,
        )

    def row(self, cached: float, on_the_fly: float) -> list[str]:
        step = self.loop / self.steps
        return [
            self.kind,
            f"{self.parameters:,}",
            f"{self.bare:.2f}",
            f"{self.loop:.2f}",
            f"{100 * (self.ratio - 1):+.1f} %",
            f"{100 * cached / step:.1f} %",
            f"{100 * on_the_fly / step:.1f} %",
            f"{self.peak_mb:,.0f}",
        ]


def bare_loop(network: Network, batches: Iterable[Batch], objective: Objective) -> None:
    """What everybody writes: forward, loss, backward, clip, step."""
    optimizer = torch.optim.AdamW(network.parameters())
    network.train()
    for batch in batches:
        optimizer.zero_grad()
        outputs, auxiliary = network.with_auxiliary(batch.features_BTF, batch.lengths_B)
        losses = [
            LEARNING[objective].loss(log_probs, lengths_B, batch.targets_BL, batch.target_lengths_B)
            for log_probs, lengths_B in (outputs, *auxiliary)
        ]
        loss = losses[0] + (network.auxiliary_weight * torch.stack(losses[1:]).mean() if auxiliary else 0)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimizer.step()


def our_loop(network: Network, batches: Sequence[Batch], objective: Objective) -> None:
    """An epoch of ours, its checkpoint packed but not written."""

    class Given:
        def batches(self, epoch: int, skip: int = 0) -> tuple[int, Iterable[Batch]]:
            return len(batches), batches[skip:]

    train(
        network=network,
        train_spec=TrainSpec(epochs=1),
        objective=objective,
        data=Given(),
        evaluate=None,
        save=lambda *_: None,
    )


def _seconds(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _loading(batches: Batches, rounds: int) -> float:
    """Seconds for one batch."""
    return statistics.median(_seconds(partial(_drain, batches)) for _ in range(rounds)) / batches.batches(0)[0]


if __name__ == "__main__":
    main()
