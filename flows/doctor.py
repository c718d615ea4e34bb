"""`sorigil doctor`: is everything here that a run needs? One line a check; only what would stop a run is wrong."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from flows.upkeep import bytes_text
from sorigil import __version__
from sorigil.errors import SorigilError
from sorigil.report.summary import table
from storage import files
from storage.catalog import Catalog
from storage.layout import Store

LIBRARIES = ("pyarrow", "pyiceberg", "numpy", "librosa", "soxr", "torch", "prefect", "distributed", "mlflow")
EXTRAS = {
    "av": "the extra formats: m4a, mp4, aac, webm, mka and the sound of video",
    "pocketsphinx": "the extra external: a recogniser to stand beside ours",
    "espeakng_loader": "the extra demo: synthesised speech for the quickstart",
}
PORTS = {5000: "sorigil dashboard (MLflow)", 4200: "Prefect's server"}
FREE_BYTES = 1 << 30  # less is worth a word


class Check(NamedTuple):
    """One line. `note`: something that is not here and is not always needed."""

    name: str
    state: Literal["ok", "note", "wrong"]
    detail: str


def examine(file: Path, load: Any) -> list[Check]:
    """Every check; `load` reads the configuration."""
    checks = [*_programs(), *_machine(), *_extras(), *_ports()]
    try:
        config = load(file, None)
    except SorigilError as wrong:
        return [*checks, Check("configuration", "wrong", str(wrong))]
    except OSError as wrong:
        return [*checks, Check("configuration", "wrong", f"{file}: {wrong.strerror or wrong}")]
    checks.append(Check("configuration", "ok", f"{file}: pipelines {', '.join(config.pipelines)}"))
    return [*checks, *_store(config.storage.store())]


def _programs() -> Iterator[Check]:
    said = f"sorigil {__version__}, Python {platform.python_version()}"
    yield Check("program", "ok" if sys.version_info >= (3, 11) else "wrong", said)
    for name in LIBRARIES:
        try:
            yield Check(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Check(name, "wrong", "is not installed; install sorigil again")


def _machine() -> Iterator[Check]:
    import psutil

    memory = psutil.virtual_memory()
    yield Check("processors", "ok", f"{os.cpu_count()}")
    yield Check("memory", "ok", f"{bytes_text(memory.available)} free of {bytes_text(memory.total)}")
    yield _free("temporary files", tempfile.gettempdir())
    yield _gpu()


def _gpu() -> Check:
    import torch

    if not torch.cuda.is_available():
        return Check("GPU", "note", "none that torch can use; training runs on the processors")
    return Check("GPU", "ok", ", ".join(torch.cuda.get_device_name(each) for each in range(torch.cuda.device_count())))


def _extras() -> Iterator[Check]:
    for module, what in EXTRAS.items():
        there = importlib.util.find_spec(module) is not None
        yield Check(module, "ok" if there else "note", what if there else f"not installed; {what}")
    ffmpeg = shutil.which("ffmpeg")
    yield Check("ffmpeg", "ok" if ffmpeg else "note", ffmpeg or "not on the path; the extra formats needs none")


def _ports() -> Iterator[Check]:
    for port, what in PORTS.items():
        with socket.socket() as probe:
            taken = probe.connect_ex(("127.0.0.1", port)) == 0
        said = f"taken; {what} takes the next free one" if taken else f"free, for {what}"
        yield Check(f"port {port}", "note" if taken else "ok", said)


def _store(store: Store) -> Iterator[Check]:
    probe = store.path(f".doctor-{uuid.uuid4().hex[:8]}")
    try:
        files.write_bytes(probe, b"")
        files.remove(probe)
    except (OSError, SorigilError) as wrong:
        yield Check("store", "wrong", f"{store.root} cannot be written ({wrong})")
        return
    yield Check("store", "ok", f"{store.root} can be written")
    if not files.is_url(store.root):
        yield _free("disk", store.root)
    try:
        catalog = Catalog(store.open().catalog, store.root)
        found = {dataset: catalog.versions(dataset) for dataset in catalog.datasets()}
    except Exception as wrong:  # whatever the database has to say
        yield Check("catalogue", "wrong", str(wrong).splitlines()[0])
        return
    said = ", ".join(f"{name} {versions[-1].name if versions else '(empty)'}" for name, versions in found.items())
    yield Check("catalogue", "ok", said or "no dataset yet")


def _free(name: str, place: str) -> Check:
    free = shutil.disk_usage(files.local_path(place)).free
    return Check(name, "ok" if free > FREE_BYTES else "wrong", f"{bytes_text(free)} free in {place}")


def text(checks: list[Check]) -> str:
    return "\n".join(table([list(check) for check in checks], indent=""))
