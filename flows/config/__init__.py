"""`pipelines.yaml` → validated, frozen specs: everything a run is told by its user, and the only way in.

`load` reads the file, applies `--set` overrides, makes relative paths absolute and checks everything before anything
runs; all mistakes are reported together, each with its line. Light to import: pydantic, ruamel.yaml and the packages
of the specs are imported when a file is read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from flows.config import checks as config_checks
from flows.config import overrides as config_overrides
from flows.config import sweeps as config_sweeps
from flows.config import yaml as config_yaml
from flows.config.places import AddressCluster, LocalCluster, StorageConfig
from flows.config.problems import ConfigError, Fault, KeyPath, Problem, dotted, near_name, shown
from flows.config.schedule import ScheduleConfig, Step
from flows.config.schema import Schema
from flows.config.specs import (
    Config,
    EvaluateConfig,
    MixedData,
    PipelineConfig,
    TrainEntry,
    TranscribeConfig,
    spec_names,
)
from storage.pretrained import is_place

__all__ = [
    "DEFAULT_FILE",
    "AddressCluster",
    "Config",
    "ConfigError",
    "EvaluateConfig",
    "LocalCluster",
    "MixedData",
    "PipelineConfig",
    "Problem",
    "ScheduleConfig",
    "Step",
    "StorageConfig",
    "TrainEntry",
    "TranscribeConfig",
    "json_schema",
    "load",
]

DEFAULT_FILE = "pipelines.yaml"
_SQLITE_FILE = re.compile(r"(sqlite(?:\+\w+)?:///)(?![/:])(.+)")


def load(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    pipeline: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Read and check a configuration file.

    `overrides` are `a.b=value` (`--set`), values written as in YAML, keys relative to `pipeline` unless they begin with
    version, storage, cluster or pipelines; items of a list go by their index or name: `train.words.epochs=3`.

    Raises:
        ConfigError: with every mistake that could be found, each with its file and line.
    """
    variables = os.environ if environ is None else environ
    tree = config_yaml.read(_text(path), str(path), variables)
    if tree.faults and tree.data is None:
        raise ConfigError(_problems(tree, tree.faults))
    config_overrides.apply(tree, overrides, variables, pipeline)
    _resolve_paths(tree, path.absolute().parent)
    value, wrong = _schema().validate(tree.data if tree.data is not None else {})
    for more in (wrong, config_checks.check(tree.data)):  # what is said first of a place is nearest to the cause
        known = {fault.path for fault in tree.faults if not fault.override}
        tree.faults += [fault for fault in more if fault.path not in known]
    together = (config_checks.check_features, config_checks.check_inputs, config_checks.check_data)
    if faults := tree.faults or [fault for check in together for fault in check(value)]:
        raise ConfigError(_problems(tree, faults))
    value, faults = config_sweeps.expand(tree.data, value, _schema())
    if faults:
        raise ConfigError(_problems(tree, faults))
    return value


def json_schema() -> dict[str, Any]:
    """A JSON Schema of the file, with which editors complete and check it."""
    schema = _schema().json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Sorigil pipelines.yaml"}


@cache
def _schema() -> Schema:
    """Built on first use: this is where the packages of the specs are imported."""
    return Schema(Config, spec_names())


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        beside = [each.name for each in path.absolute().parent.glob("*.y*ml")]
        hint = near_name(path.name, beside) or "name another file with --file"
        raise ConfigError(
            [Problem(file=str(path), line=None, path="", seen="there is no such file", hint=hint)]
        ) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        seen = f"the byte 0x{error.object[error.start]:02x} is not UTF-8"
        raise ConfigError([Problem(file=str(path), line=line, path="", seen=seen, hint="save it as UTF-8")]) from None
    except OSError as error:
        raise ConfigError(
            [Problem(file=str(path), line=None, path="", seen=f"cannot be read ({error.strerror})")]
        ) from error


def _problems(tree: config_yaml.Tree, faults: Sequence[Fault]) -> list[Problem]:
    """Faults with their places, in the order of the file, those of overrides after them."""
    problems: dict[Problem, None] = {}
    for fault in faults:
        place = config_yaml.Place(fault.override, None) if fault.override else tree.place(fault.path)
        path = "" if fault.override else dotted(fault.path)
        seen, hint = (_without_variables(tree, fault.path, text) for text in (fault.seen, fault.hint))
        problem = Problem(file=place.file, line=place.line, path=path, seen=seen, expected=fault.expected, hint=hint)
        problems[problem] = None
    return sorted(problems, key=lambda each: (each.line is None, each.line or 0))


def _without_variables(tree: config_yaml.Tree, path: KeyPath, text: str) -> str:
    """The text as if `${NAME}` had not been put in around here: what it stands for may be a secret."""
    for written, place in tree.places.items():
        shared = min(len(written), len(path))
        if place.raw is None or written[:shared] != path[:shared]:
            continue
        value = tree.value(written)
        if text == shown(value):  # perhaps cut short or escaped
            return place.raw
        if value not in (None, ""):
            text = text.replace(repr(value), repr(place.raw)).replace(str(value), place.raw)
    return text


def _resolve_paths(tree: config_yaml.Tree, folder: Path) -> None:
    """Make every relative path absolute: from the file's folder, or from the current one where `--set` gave it."""
    if not isinstance(tree.data, dict):
        return
    storage = tree.data.setdefault("storage", {})
    if isinstance(storage, dict):
        storage.setdefault("root", _absolute(StorageConfig().root, folder))
    for path in _places_of_paths(tree.data):
        value = tree.value(path)
        if isinstance(value, str) and value:
            base = Path.cwd() if tree.place(path).line is None else folder
            tree.value(path[:-1])[path[-1]] = _absolute(value, base)


def _places_of_paths(data: dict[str, Any]) -> Iterator[KeyPath]:
    yield from (("storage", key) for key in ("root", "catalog", "mlflow"))
    pipelines = data.get("pipelines")
    for name, pipeline in pipelines.items() if isinstance(pipelines, dict) else ():
        yield from (("pipelines", name, "source", key) for key in ("uri", "root"))
        yield ("pipelines", name, "transcribe", "source", "uri")
        yield ("pipelines", name, "transcribe", "output")
        for step in ("evaluate", "transcribe"):
            yield from _places_of_a_language_model(pipeline, ("pipelines", name, step))
        entries = pipeline.get("train") if isinstance(pipeline, dict) else None
        for index, entry in enumerate(entries if isinstance(entries, list) else ()):
            model = entry.get("model") if isinstance(entry, dict) else None
            if isinstance(model, dict) and is_place(str(model.get("pretrained", ""))):
                yield ("pipelines", name, "train", index, "model", "pretrained")
            yield ("pipelines", name, "train", index, "wave_augment", "rooms")
            yield ("pipelines", name, "train", index, "copy_augment", "rooms")


def _places_of_a_language_model(pipeline: Any, step: KeyPath) -> Iterator[KeyPath]:
    found = pipeline
    for key in (step[-1], "decode", "lm"):
        found = found.get(key) if isinstance(found, dict) else None
    if isinstance(found, dict):
        yield (*step, "decode", "lm", "uri")
        texts = found.get("texts")
        for index in range(len(texts) if isinstance(texts, list) else 0):
            yield (*step, "decode", "lm", "texts", index)


def _absolute(text: str, base: Path) -> str:
    if match := _SQLITE_FILE.fullmatch(text):
        return f"{match.group(1)}{_absolute(match.group(2), base)}"
    if "://" in text:
        return text
    home = os.path.expanduser(text)  # noqa: PTH111 (the other one raises where there is no such user)
    return os.path.abspath(base / home)  # noqa: PTH100 (resolve() would follow links)
