"""Recognisers and classifiers that others made, scored beside our own: what they are called and what they say of audio.

An external is named by a spec (`specs`); storage fills in what its files say, and its key then names its answers as a model
bundle's key names ours. To add one write its spec, what opens it in a file of its own, and a line in `KINDS`; what storage
must read for it is a line in `storage.externals.RESOLVE`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sorigil.errors import RequestError
from sorigil.external import checkpoints, sphinx
from sorigil.external.specs import ExternalSpec, FileSpec, PocketsphinxSpec, TransformersSpec
from sorigil.fingerprint import digest, fingerprint
from sorigil.types import Hypothesis

FORMAT = 2  # raised when our code would make other answers of the same external

Floats = npt.NDArray[np.float32]


class Listener(Protocol):
    """An external that is ready to hear."""

    @property
    def sample_rate(self) -> int: ...

    def hear(self, sounds: Sequence[Floats]) -> list[Hypothesis]:
        """A hypothesis for each sound: float32 (num_samples,) at `sample_rate`, full scale ±1. What it says of one
        depends on nothing that it heard before or beside it. Recognisers give the text and how sure they are, NaN where
        they do not know; classifiers the probability of each label, as `scores`."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """A row of `KINDS`. One that hears nothing, because all its answers are written down, has no `opened`."""

    spec: type[ExternalSpec]
    opened: Callable[[Any, str], Listener] | None = None
    library: str = ""  # whose version is a part of the key: what it says changes with it
    extra: str = ""  # of this package, that brings the library


KINDS: dict[str, Kind] = {
    "pocketsphinx": Kind(
        spec=PocketsphinxSpec,
        opened=sphinx.opened,
        library="pocketsphinx",
        extra="external",
    ),
    "transformers": Kind(
        spec=TransformersSpec,
        opened=checkpoints.opened,
        library="transformers",
        extra="pretrained",
    ),
    "file": Kind(spec=FileSpec),
}


def is_external(name: str) -> bool:
    """Whether this names an external, and not a model of ours: a kind, alone or before a colon."""
    return name.partition(":")[0] in KINDS


def parse(name: str) -> ExternalSpec:
    """The spec of `kind` or `kind:rest`: `pocketsphinx`, `pocketsphinx:digits.gram`. Raises RequestError."""
    kind, _, rest = name.partition(":")
    if kind not in KINDS:
        raise RequestError(f"{name}: no external is called {kind!r}; there are {', '.join(KINDS)}")
    try:
        return KINDS[kind].spec.named(rest)
    except ValueError as wrong:
        raise RequestError(f"{name}: {wrong}") from wrong


def key_of(spec: ExternalSpec) -> str:
    """Names everything that decides what an external answers: its resolved spec and the version of its library. Raises
    RequestError where that is not installed."""
    return digest("external", FORMAT, fingerprint(spec), _version(KINDS[spec.kind]))


def opened(spec: ExternalSpec, folder: str = "") -> Listener:
    """The external, ready to hear: takes seconds and memory, so once a process. `folder` is a local one that holds what
    its library reads itself. Raises RequestError where it cannot be."""
    kind = KINDS[spec.kind]
    assert kind.opened is not None, f"a {spec.kind} hears nothing"
    _version(kind)
    return kind.opened(spec, folder)


def _version(kind: Kind) -> str:
    try:
        return version(kind.library) if kind.library else ""
    except PackageNotFoundError as missing:
        raise RequestError(f"{kind.library} is not installed: pip install 'sorigil[{kind.extra}]'") from missing
