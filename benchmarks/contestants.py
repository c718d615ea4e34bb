"""Who takes part: a name, what it does, and the command line that does it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import peers
from benchmarks.measure import ONE_THREAD
from benchmarks.stage import VARIANTS, pipeline_file

Command = Callable[[Path, Path, int], list[str]]  # folder, out, jobs


@dataclass(frozen=True, kw_only=True, slots=True)
class Contestant:
    """One way of doing the work. `kinds` are the corpora that it can do; none given: all."""

    name: str
    what: str
    command: Command
    environment: dict[str, str] = field(default_factory=lambda: dict(ONE_THREAD))
    kinds: tuple[str, ...] = ()


def _module(python: str, module: str, *more: str) -> Command:
    return lambda folder, out, jobs: [python, "-m", module, str(folder), str(out), str(jobs), *more]


def _sorigil(*options: str) -> Command:
    def command(folder: Path, out: Path, jobs: int) -> list[str]:
        file = pipeline_file(folder, out, jobs)
        return [sys.executable, "-m", "flows.cli", "prepare", "bench", "--file", str(file), "--json", *options]

    return command


def everyone(root: Path, asked: Sequence[str] = ()) -> dict[str, Contestant]:
    """All contestants by name, Lhotse where it is asked for (nobody named: all are) and can be had. `root` is the
    benchmark's folder."""
    python = sys.executable
    prefect = {**ONE_THREAD, "PREFECT_HOME": str((root / "prefect").resolve()), "PREFECT_API_URL": ""}
    clips = ("flac44", "short", "mp3", "wav16")
    found = [
        Contestant(
            name="ceiling",
            what="C libraries and Parquet alone",
            command=_module(python, "benchmarks.ceiling"),
            kinds=clips,
        ),
        *(
            Contestant(name=f"stage {name}", what=each.what, command=_module(python, "benchmarks.stage", name))
            for name, each in VARIANTS.items()
        ),
        Contestant(name="sorigil", what="the whole: Prefect, Dask, catalogue", command=_sorigil(), environment=prefect),
        Contestant(name="sorigil --local", what="no Prefect, no Dask, one process", command=_sorigil("--local")),
        Contestant(
            name="librosa", what="librosa loop", command=_module(python, "benchmarks.librosa_loop"), kinds=clips
        ),
    ]
    if not asked or "lhotse" in asked:
        try:
            command = _module(str(peers.lhotse_python(root)), "benchmarks.lhotse_peer")
            found.append(Contestant(name="lhotse", what="Lhotse", command=command, kinds=clips))
        except peers.MissingError as why:
            print(f"lhotse is left out: {why}", file=sys.stderr)
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path.cwd()), os.environ.get("PYTHONPATH")]))
    return {each.name: each for each in found}
