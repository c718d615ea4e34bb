"""What no single spec can see: whether the parts of a configuration fit together.

The checks look at the plain values, before they became specs, so that a mistake in one place does not hide these. They
say nothing about values of the wrong type: `schema` does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flows.config.overrides import entry_name
from flows.config.problems import Fault, KeyPath, near_name, one_of
from sorigil.objectives import OBJECTIVES
from storage.files import is_url

if TYPE_CHECKING:
    from flows.config.specs import Config, PipelineConfig, TrainEntry

_NAME = re.compile(r"[A-Za-z0-9_-]+")
_MONITORS = {facts.metric: objective for objective, facts in OBJECTIVES.items()}
_NEEDED = {"train": "train", "transcribe": "transcribe"}  # steps of a schedule, and the key each needs


def check(data: Any) -> list[Fault]:
    """All that does not fit together in a file's plain values."""
    if not isinstance(data, dict):
        return []
    faults = list(_storage(_dict(data.get("storage"))))
    if isinstance(data.get("pipelines"), dict) and not data["pipelines"]:
        faults.append(Fault(path=("pipelines",), seen="empty", expected="at least one pipeline"))
    pipelines = _dict(data.get("pipelines"))
    for name, pipeline in pipelines.items():
        faults += _pipeline(("pipelines", name), _dict(pipeline))
    return [*faults, *_shared_datasets(pipelines)]


def check_features(config: Config) -> Iterator[Fault]:
    """What a feature cannot do at its pipeline's sample rate. Needs finished specs, so it comes last."""
    from sorigil.features import problems

    for name, pipeline in config.pipelines.items():
        for index, spec in enumerate(pipeline.features):
            for sentence in problems(spec, pipeline.audio.sample_rate):
                yield Fault(path=("pipelines", name, "features", index), seen=sentence)


def check_inputs(config: Config) -> Iterator[Fault]:
    """Models that are to learn or hear what they cannot: an objective that is not theirs, features instead of raw audio,
    the other way round, or another rate."""
    for name, pipeline in config.pipelines.items():
        for index, entry in enumerate(pipeline.train):
            at, model = ("pipelines", name, "train", index), entry.model
            if entry.objective not in model.FACTS.objectives:
                expected = f"objective: {one_of(model.FACTS.objectives)}"
                yield Fault(
                    path=(*at, "objective"), seen=f"{model.kind} does not learn {entry.objective}", expected=expected
                )
            if model.FACTS.input == "raw" and entry.train.input != "raw":
                yield Fault(path=(*at, "input"), seen=f"{model.kind} takes raw audio", expected="input: raw")
            elif model.FACTS.input != "raw" and entry.train.input == "raw":
                expected = "input: features, or audio (features computed on the fly)"
                yield Fault(path=(*at, "input"), seen=f"{model.kind} takes features, not raw audio", expected=expected)
            rate, prepared = getattr(model, "sample_rate", None), pipeline.audio.sample_rate
            if rate not in (None, prepared):
                seen = f"{model.kind} is made for {rate} Hz, but the audio is prepared at {prepared} Hz"
                yield Fault(path=(*at, "model", "sample_rate"), seen=seen, expected="the same rate for both")


def check_data(config: Config) -> Iterator[Fault]:
    """What cannot be learned from together: audio or features made in another way. Needs finished specs too."""
    for name, pipeline in config.pipelines.items():
        others = list(dict.fromkeys(each.dataset for each in config.pipelines.values()))
        others.remove(pipeline.dataset)
        for index, entry in enumerate(pipeline.train):
            seen: set[str] = set()
            for number, other in enumerate(entry.data):
                at = ("pipelines", name, "train", index, "data", number)
                if other.dataset in seen:
                    yield Fault(path=at, seen=f"{other.dataset!r} a second time", hint="name each dataset once")
                seen.add(other.dataset)
                yield from _mixable(config, pipeline, entry, other.dataset, others, at)


def _mixable(
    config: Config, pipeline: PipelineConfig, entry: TrainEntry, dataset: str, others: list[str], at: KeyPath
) -> Iterator[Fault]:
    from sorigil.fingerprint import fingerprint

    if dataset not in others:
        expected = f"the dataset of another pipeline: {one_of(others)}" if others else "another pipeline's dataset"
        yield Fault(path=at, seen=repr(dataset), expected=expected, hint=near_name(dataset, others))
        return
    feature = next((spec for spec in pipeline.features if spec.name == entry.features), None)
    makers = [each for each in config.pipelines.values() if each.dataset == dataset]
    if config.maker(dataset, pipeline, feature) is not None:
        return
    if all(fingerprint(each.audio) != fingerprint(pipeline.audio) for each in makers):
        yield Fault(path=at, seen=f"{dataset} prepares its audio in another way", expected="the same `audio`")
    else:
        seen = f"{dataset} has no feature like {entry.features!r}"
        yield Fault(path=at, seen=seen, expected="the same parameters there")


def _pipeline(path: KeyPath, data: dict[str, Any]) -> Iterator[Fault]:
    if not _NAME.fullmatch(str(path[-1])):
        yield Fault(path=path, seen=f"the name {path[-1]!r}", expected="letters, digits, - and _ only")
    dataset = data.get("dataset")
    if isinstance(dataset, str) and dataset and not _NAME.fullmatch(dataset):
        yield Fault(path=(*path, "dataset"), seen=repr(dataset), expected="letters, digits, - and _ only")
    yield from _unique_names((*path, "features"), _list(data.get("features")))
    yield from _unique_names((*path, "train"), _list(data.get("train")))
    yield from _train(path, data)
    yield from _metrics(path, data)
    yield from _transcribe(path, data)
    yield from _schedule(path, data)


def _unique_names(path: KeyPath, entries: list[Any]) -> Iterator[Fault]:
    seen: dict[str, int] = {}
    for index, entry in enumerate(entries):
        name = entry_name(entry)
        if name is None:
            continue
        if not _NAME.fullmatch(name):
            yield Fault(path=(*path, index), seen=f"the name {name!r}", expected="letters, digits, - and _ only")
        if name in seen:
            hint = "give each a name of its own"
            yield Fault(path=(*path, index), seen=f"the name {name!r} is that of entry {seen[name]} too", hint=hint)
        seen.setdefault(name, index)


def _train(path: KeyPath, data: dict[str, Any]) -> Iterator[Fault]:
    written = data.get("features", [])
    features = [name for entry in _list(data.get("features")) if (name := entry_name(entry)) is not None]
    for index, entry in enumerate(_list(data.get("train"))):
        entry, at = _dict(entry), (*path, "train", index)
        wanted, objective, monitor = entry.get("features"), entry.get("objective"), entry.get("monitor")
        read = entry.get("input", "features")
        if read == "raw":
            if wanted:
                yield Fault(path=(*at, "features"), seen=repr(wanted), expected="nothing: input: raw uses no features")
        elif written == []:
            yield Fault(path=at, seen="there are no features to train on", hint=f"add some under {path[-1]}.features")
        elif isinstance(wanted, str) and wanted and wanted not in features:
            hint = near_name(wanted, features)
            yield Fault(
                path=(*at, "features"),
                seen=repr(wanted),
                expected=f"the name of a feature: {one_of(features)}",
                hint=hint,
            )
        if read in ("audio", "raw") and data.get("keep_audio") is False:
            yield Fault(path=(*at, "input"), seen=repr(read), expected="keep_audio: true, to have audio to train on")
        if read in ("audio", "raw") and _number(entry.get("copies")) > 0:
            hint = f"with input: {read} every epoch is augmented anew by wave_augment"
            yield Fault(path=(*at, "copies"), seen=str(entry["copies"]), expected="input: features", hint=hint)
        if (
            isinstance(monitor, str)
            and objective in _MONITORS.values()
            and _MONITORS.get(monitor, objective) != objective
        ):
            yield Fault(
                path=(*at, "monitor"), seen=repr(monitor), expected=f"loss, or what objective {objective} is scored by"
            )
        for key in ("mixup", "class_weights"):
            if entry.get(key) and objective in OBJECTIVES and OBJECTIVES[objective].text:
                seen = f"set, but objective {objective} learns texts"
                yield Fault(path=(*at, key), seen=seen, expected="an objective that learns labels")
        if "tokens" in entry and objective in OBJECTIVES and not OBJECTIVES[objective].text:
            yield Fault(
                path=(*at, "tokens"),
                seen=repr(entry["tokens"]),
                expected="objective: ctc",
                hint="labels are not spelled",
            )


def _metrics(path: KeyPath, data: dict[str, Any]) -> Iterator[Fault]:
    from sorigil.metrics import METRICS

    objectives = [_dict(entry).get("objective") for entry in _list(data.get("train"))]
    judged = bool(objectives) and all(each in OBJECTIVES for each in objectives)
    for index, name in enumerate(_list(_dict(data.get("evaluate")).get("metrics"))):
        at = (*path, "evaluate", "metrics", index)
        if not isinstance(name, str):
            continue
        if name not in METRICS:
            hint = near_name(name, METRICS)
            yield Fault(path=at, seen=repr(name), expected=f"a metric: {one_of(METRICS)}", hint=hint)
        elif judged and not set(METRICS[name].objectives) & set(objectives):
            needed = one_of(METRICS[name].objectives)
            yield Fault(path=at, seen=repr(name), expected=f"a train entry with objective: {needed}")


def _transcribe(path: KeyPath, data: dict[str, Any]) -> Iterator[Fault]:
    model = _dict(data.get("transcribe")).get("model")
    if not isinstance(model, str):
        return
    entries = {entry_name(entry): _dict(entry) for entry in _list(data.get("train"))}
    names = [name for name in entries if name is not None]
    at = (*path, "transcribe", "model")
    if model not in entries:
        expected = (
            f"the name of a train entry: {one_of(names)}" if names else "the name of a train entry; there is none"
        )
        yield Fault(path=at, seen=repr(model), expected=expected, hint=near_name(model, names))
    elif (objective := entries[model].get("objective")) in OBJECTIVES and not OBJECTIVES[objective].text:
        yield Fault(path=at, seen=f"{model!r} is a classifier", expected="a train entry with objective: ctc")
    elif entries[model].get("folds") is not None:
        hint = "a model of all rows is another entry, without folds"
        yield Fault(path=at, seen=f"{model!r} has folds and makes a model for each", hint=hint)


def _schedule(path: KeyPath, data: dict[str, Any]) -> Iterator[Fault]:
    for index, step in enumerate(_list(_dict(data.get("schedule")).get("steps"))):
        needed = _NEEDED.get(step) if isinstance(step, str) else None
        if needed and not data.get(needed):
            at = (*path, "schedule", "steps", index)
            yield Fault(path=at, seen=repr(step), expected=f"a section {needed} in this pipeline")


def _shared_datasets(pipelines: dict[str, Any]) -> Iterator[Fault]:
    """Two pipelines may share a dataset, but not fill it from different sources: each would take the other's rows out."""
    first: dict[str, str] = {}
    for name, pipeline in pipelines.items():
        dataset = _dict(pipeline).get("dataset") or name
        other = first.setdefault(dataset, name) if isinstance(dataset, str) else name
        if _dict(pipelines[other]).get("source") != _dict(pipeline).get("source"):
            seen = f"pipeline {other} fills the dataset {dataset!r} from another source"
            yield Fault(
                path=("pipelines", name, "dataset"), seen=seen, expected="a dataset of its own, or the same source"
            )


def _storage(data: dict[str, Any]) -> Iterator[Fault]:
    root = data.get("root")
    remote = isinstance(root, str) and is_url(root)
    for key, what in (("catalog", "the catalogue"), ("mlflow", "the experiments")):
        value = data.get(key)
        if value is None and remote:
            scheme = str(root).split("://", 1)[0]
            why = f"{what} cannot be a file behind {scheme}://, and one on this machine would be unknown to others"
            yield Fault(path=("storage", key), seen="missing", expected="an address beside this root", hint=why)
        elif isinstance(value, str) and "://" not in value:
            yield Fault(
                path=("storage", key),
                seen=repr(value),
                expected="an address such as sqlite:///data/file.db or postgresql://…",
            )


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Any) -> float:
    return value if isinstance(value, int | float) else 0
