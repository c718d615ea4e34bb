"""What the training loop and the data loading cost beside the networks' own arithmetic, model by model.

python -m benchmarks.training [--models gru '{kind: conformer, layers: 16}'] [--device cuda] [--rounds 3]: the same batches
through a bare torch loop and through `sorigil.training.loop:train`, in turn, and the batches read from a store: features, cached
and on the fly, or samples. Medians over rounds; one thread.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, get_args

import numpy as np
import soundfile
import torch
from ruamel.yaml import YAML

from benchmarks.loops import Work, bare_loop, clocked, our_loop, peak_mb, utilisation
from benchmarks.tables import markdown
from flows import config
from flows.pipeline import execute
from flows.progress import PlainReporter
from flows.run import Options, Run
from sorigil.fingerprint import to_dict
from sorigil.models.cost import multiply_adds, parameters
from sorigil.models.network import MODELS, build
from sorigil.training.data import Batches, Road, UtteranceDataset
from sorigil.training.inputs import Waveform
from sorigil.training.spec import Precision, TrainSpec
from storage.dataset import StoredRows

ROOT = Path("data/bench/training")
RATE = 16_000
OUTPUTS = 30  # tokens or classes
FRAMES = 100  # of log-mel's default, in a second of audio
HEAD = (
    "model",
    "parameters",
    "bare step, ms",
    "our step, ms",
    "loop over bare",
    "checkpoint, ms",
    "loading, cached",
    "on the fly",
    "audio s / s",
    "TFLOP/s",
    "utilisation",
    "peak MB",
)
PIPELINE = """\
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
    loaders = {input: loader(run, input, options.batch_seconds) for input in ("features", "audio", "raw")}
    seconds = {input: _loading(each, options.rounds) for input, each in loaders.items()}
    print("loading: " + ", ".join(f"{each} {1e3 * took:.1f} ms" for each, took in seconds.items()), flush=True)
    rows = []
    for spec in options.models:
        raw = spec.FACTS.input == "raw"
        batches = list(loaders["raw" if raw else "features"].batches(0)[1])[: options.batches]
        loading = (seconds["raw"], seconds["raw"]) if raw else (seconds["features"], seconds["audio"])
        objective = "ctc" if "ctc" in spec.FACTS.objectives else "classification"
        train_spec = TrainSpec(epochs=1, precision=options.precision)
        frames = RATE if raw else FRAMES
        work = Work(batches=batches, objective=objective, spec=train_spec, device=options.device, frames=frames)
        rows.append(Cost.of(spec, work, options.rounds).row(*loading))
        print(*rows[-1], flush=True)
    print(markdown(HEAD, rows))


def _options() -> argparse.Namespace:
    features = [spec() for kind, (spec, _) in MODELS.items() if spec.FACTS.input == "features" and kind != "ast"]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.training", description=__doc__)
    parser.add_argument("--models", nargs="*", type=model, default=features, help="kinds, or specs in YAML")
    parser.add_argument("--minutes", type=float, default=5, help="of audio in the store")
    parser.add_argument("--batch-seconds", type=float, default=60, help="of padded audio")
    parser.add_argument("--batches", type=int, default=12, help="in an epoch of the loops")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--precision", choices=get_args(Precision), default="auto", help="auto is bf16 on a GPU")
    return parser.parse_args()


def model(text: str) -> Any:
    """A kind as it is by default, or a whole spec."""
    values = YAML(typ="safe").load(text)
    values = {"kind": values} if isinstance(values, str) else dict(values)
    return MODELS[values["kind"]][0](**values)


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
        (folder / "pipelines.yaml").write_text(PIPELINE)
    loaded = config.load(folder / "pipelines.yaml")
    execute(loaded, "noise", Options(local=True, steps=("ingest", "prepare")), PlainReporter(quiet=True))
    return Run(config=loaded, pipeline=loaded.pipeline("noise"), reporter=PlainReporter(quiet=True))


def loader(run: Run, input: str, batch_seconds: float) -> Batches:
    """The batches of a training (of cached features, of features on the fly from audio, or of samples: raw), with 5
    tokens as each row's target."""
    from storage.dataset import open_dataset
    from tasks.units import feature_spec_key

    pipeline = run.pipeline
    version = run.catalog.version(run.dataset)
    table = open_dataset(run.catalog, version, feature_spec_key(pipeline.audio, pipeline.features[0]))
    rows = StoredRows(run.store, table, audio=input != "features")
    road = Road(
        input="features" if input == "features" else "audio",
        feature=Waveform() if input == "raw" else pipeline.features[0],
        sample_rate=pipeline.audio.sample_rate,
    )
    targets = [[1 + (row + place) % (OUTPUTS - 1) for place in range(5)] for row in range(len(rows.keys))]
    dataset = UtteranceDataset(rows=rows, targets=targets, road=road)
    return Batches(dataset=dataset, batch_seconds=batch_seconds)


def _loading(batches: Batches, rounds: int) -> float:
    """Processor seconds for one batch."""

    def drain() -> None:
        for _ in batches.batches(0)[1]:
            pass

    return median(clocked(drain) for _ in range(rounds)) / batches.batches(0)[0]


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One model: seconds of an epoch, medians over rounds; the ratio is taken within a round."""

    name: str
    parameters: int
    multiply_adds: int  # for a second of audio
    audio: float  # seconds in an epoch
    steps: int
    bare: float
    loop: float
    ratio: float
    checkpoint: float
    utilisation: float | None
    peak_mb: float

    @classmethod
    def of(cls, spec: Any, work: Work, rounds: int) -> Cost:
        """Both loops in turn, each first in every other round."""
        size = work.batches[0].features_BTF.shape[2]
        bare, loop, checkpoints, busy = [], [], [], []
        for number in range(rounds + 1):  # the first warms up
            for ours in (number % 2 == 0, number % 2 == 1):
                torch.manual_seed(0)
                network = build(spec, work.objective, size, OUTPUTS)
                if ours:
                    with utilisation(work.device, busy):
                        seconds, packing = our_loop(network, work)
                    loop.append(seconds)
                    checkpoints.append(packing)
                else:
                    bare.append(bare_loop(network, work))
        return cls(
            name=name_of(spec),
            parameters=parameters(network),
            multiply_adds=multiply_adds(network.cpu(), work.frames, size),
            audio=work.seconds,
            steps=len(work.batches),
            bare=median(bare[1:]),
            loop=median(loop[1:]),
            ratio=median(ours / theirs for ours, theirs in zip(loop[1:], bare[1:], strict=True)),
            checkpoint=median(checkpoints[1:]),
            utilisation=median(busy[1:]) if busy[1:] else None,
            peak_mb=peak_mb(work.device),
        )

    def row(self, cached: float, on_the_fly: float) -> list[str]:
        step, speed = self.loop / self.steps, self.audio / self.loop
        return [
            self.name,
            f"{self.parameters:,}",
            f"{1e3 * self.bare / self.steps:.0f}",
            f"{1e3 * step:.0f}",
            f"{100 * (self.ratio - 1):+.1f} %",
            f"{1e3 * self.checkpoint:.0f}",
            f"{100 * cached / step:.1f} %",
            f"{100 * on_the_fly / step:.1f} %",
            f"{speed:,.0f}",
            f"{6e-12 * self.multiply_adds * speed:.2f}",  # forwards and twice as much backwards, each two operations
            "–" if self.utilisation is None else f"{self.utilisation:.0f} %",
            f"{self.peak_mb:,.0f}",
        ]


def name_of(spec: Any) -> str:
    """The model's kind, and what of it is not the default."""
    changes = {name: value for name, value in to_dict(spec, defaults=False).items() if name not in ("kind", "FORMAT")}
    return " ".join([spec.kind, *(f"{name}={value}" for name, value in changes.items())])


if __name__ == "__main__":
    main()
