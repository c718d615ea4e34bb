"""Model bundles: safetensors beside JSON, never pickle.

A bundle is everything transcription and scoring need and nothing they must guess: the weights, what the audio and the
features were, the normalisation's statistics, the tokens or labels, the decoder's defaults and how it was trained.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sorigil.audio.spec import AudioSpec
from sorigil.errors import RequestError
from sorigil.features.cmvn import GlobalStats
from sorigil.fingerprint import digest, to_dict
from sorigil.objectives import OBJECTIVES
from storage import files, language_models, parts, tables
from storage.layout import Store
from storage.tensors import parse

BUNDLE_FORMAT = 1
_WEIGHTS, _FACTS, _ROWS = "model.safetensors", "model.json", "rows.parquet"


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """A trained model. `outputs` are the tokens (blank first) for "ctc", the class names for "classification"."""

    key: str
    name: str
    objective: str
    model: Any  # its ModelSpec
    audio: AudioSpec
    feature: Any  # its InputSpec: a feature, or the waveform
    cmvn: str
    input_dim: int
    outputs: tuple[str, ...]
    tokens: str | None  # the tokenizer's kind; None for "classification"
    normalizer: str  # of the training texts
    weights: dict[str, Any]  # name -> torch tensor
    merges: tuple[tuple[str, str], ...] = ()  # of tokens "bpe": which pairs become one, in this order
    thresholds: tuple[float, ...] = ()  # of "tagging": the probability from which on each tag is said; none: 0.5
    statistics: GlobalStats | None = None  # of cmvn "global"
    rows: Any = None  # pa.Array: the keys of the utterances it learned from, or was chosen by; written, not read back
    facts: dict[str, Any] = field(default_factory=dict)  # dataset, version, TrainSpec, best epoch, history

    def network(self) -> Any:
        """The network with its weights, in evaluation mode."""
        from sorigil.models.network import build
        from sorigil.models.weights import load_weights

        network = build(self.model, self.objective, self.input_dim, len(self.outputs))  # type: ignore[arg-type]
        load_weights(network, self.weights, f"the model {self.name} ({self.key})")
        return network.eval()

    def tokenizer(self) -> Any:
        from sorigil.text.tokenizer import Tokenizer

        return Tokenizer(kind=self.tokens, tokens=self.outputs, merges=self.merges)  # type: ignore[arg-type]

    def road(self) -> Any:
        """What happens to stored features, or to prepared audio, on the way to the network."""
        from sorigil.training.data import Road

        return Road(
            feature=self.feature,
            sample_rate=self.audio.sample_rate,
            cmvn=self.cmvn,  # type: ignore[arg-type]
            statistics=self.statistics,
        )


def save(store: Store, bundle: Bundle) -> str:
    """Write a bundle (the JSON last: it says that the weights are whole); returns its place relative to the root."""
    from safetensors.torch import save as serialise

    weights = serialise({name: tensor.contiguous() for name, tensor in bundle.weights.items()})
    facts = {
        "format": BUNDLE_FORMAT,
        **{
            name: getattr(bundle, name)
            for name in ("key", "name", "objective", "cmvn", "input_dim", "tokens", "normalizer")
        },
        "outputs": list(bundle.outputs),
        "thresholds": list(bundle.thresholds),
        "merges": [list(pair) for pair in bundle.merges],
        "statistics": None if bundle.statistics is None else bundle.statistics.to_json(),
        **{name: to_dict(getattr(bundle, name)) for name in ("model", "audio", "feature")},
        "facts": bundle.facts,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
    }
    place = store.model(bundle.key)
    files.write_bytes(store.path(f"{place}/{_WEIGHTS}"), weights)
    if bundle.rows is not None:
        _write_rows(store, bundle.key, bundle.rows)
    files.write_bytes(store.path(f"{place}/{_FACTS}"), _to_json(facts))
    return place


def exists(store: Store, key: str) -> bool:
    return files.exists(store.path(f"{store.model(key)}/{_FACTS}"))


def damage(store: Store, key: str) -> str | None:
    """What is wrong with a bundle's files, in words; None where they are as they were written."""
    place = store.path(store.model(key))
    try:
        found = json.loads(files.read_bytes(f"{place}/{_FACTS}"))
        expected = found.get("weights_sha256")  # models of before it was noted have none
        read = files.sha256(f"{place}/{_WEIGHTS}")
    except FileNotFoundError as missing:
        return f"{files.relative_to(str(missing.filename or missing), place)} is missing"
    except ValueError as torn:
        return f"{_FACTS} is not JSON ({torn})"
    return None if expected in (None, read) else f"{_WEIGHTS} has other bytes than were written"


def set_aside(store: Store, key: str) -> None:
    """Put a damaged bundle's files away: the next training makes the model again."""
    for name in (_FACTS, _ROWS, _WEIGHTS):
        place = f"{store.model(key)}/{name}"
        if files.exists(store.path(place)):
            files.move(store.path(place), store.path(store.damaged(place)))


def delete(store: Store, key: str) -> None:
    """Take a model out of the store, with its language models; the JSON first: without it there is none."""
    for name in (_FACTS, _ROWS, _WEIGHTS):
        files.remove(store.path(f"{store.model(key)}/{name}"))
    language_models.delete(store, key)


def _write_rows(store: Store, key: str, keys: Any) -> None:
    rows = pa.table({"key": pc.unique(keys).cast(pa.string())})
    parts.write_table(store.path(f"{store.model(key)}/{_ROWS}"), rows)


def _rows(store: Store, key: str) -> Any | None:
    address = store.path(f"{store.model(key)}/{_ROWS}")
    return parts.read_table(address).column("key") if files.exists(address) else None


def learned_from(store: Store, key: str, keys: Any) -> int | None:
    """How many of these utterances (pa.Array of keys) a model learned from; None where an older program made it."""
    rows = _rows(store, key)
    return None if rows is None else int(pc.sum(tables.isin(rows, keys)).as_py() or 0)


def recipe(store: Store, key: str) -> tuple[str, int | None]:
    """What a training was made of but for its seed, as a digest, and the seed. The utterances it learned from are in it, so
    two folds are two recipes; a model of which these are not known is like no other."""
    found = facts(store, key)
    made = found["facts"]
    train = dict(made.get("train", {}))
    seed = train.pop("seed", None)
    specs = {
        name: found[name] for name in ("name", "objective", "model", "audio", "feature", "cmvn", "outputs", "tokens")
    }
    if OBJECTIVES[found["objective"]].text:  # labels are learned as they are
        specs["normalizer"] = found["normalizer"]
    data = {name: made.get(name) for name in ("dataset", "version", "mixed")}
    rows = store.path(f"{store.model(key)}/{_ROWS}")
    learned_from = files.sha256(rows) if files.exists(rows) else key
    return digest("recipe", json.dumps([specs, train, data], sort_keys=True), learned_from), seed


def mark(store: Store, key: str, name: str, value: Any, *, without: Any) -> None:
    """Note a fact about a model that was found out later, and forget some of the keys it learned from."""
    known = facts(store, key)
    known["facts"][name] = value
    files.write_bytes(store.path(f"{store.model(key)}/{_FACTS}"), _to_json(known))
    rows = _rows(store, key)
    if rows is not None:
        _write_rows(store, key, rows.filter(pc.invert(tables.isin(rows, without))))


def _to_json(known: dict[str, Any]) -> bytes:
    return json.dumps(known, ensure_ascii=False, indent=1).encode()


def facts(store: Store, key: str) -> dict[str, Any]:
    """The JSON side of a bundle."""
    address = store.path(f"{store.model(key)}/{_FACTS}")
    try:
        found = _read_facts(address)
    except FileNotFoundError as missing:
        raise RequestError(
            f"{address}: there is no such model; run `sorigil models --trained` to see what there is"
        ) from missing
    if found["format"] > BUNDLE_FORMAT:
        raise RequestError(
            f"{address}: the model has format {found['format']}, this program knows up to {BUNDLE_FORMAT}"
        )
    return found


def _read_facts(address: str) -> dict[str, Any]:
    data = files.read_bytes(address)
    try:
        found = json.loads(data)
        if not isinstance(found, dict) or not {"format", "key", "facts"} <= found.keys():
            raise ValueError("not what a training writes")
    except ValueError as torn:
        folder = files.parent(address)
        raise RequestError(f"{address}: damaged ({torn}); delete {folder} and train the model again") from torn
    return found


def load(store: Store, key: str) -> Bundle:
    """Read a bundle. Raises RequestError where there is none, it is damaged, or a newer program wrote it."""
    from pydantic import TypeAdapter

    from sorigil.models.specs import ModelSpec
    from sorigil.training.inputs import InputSpec

    found = facts(store, key)
    place = store.path(f"{store.model(key)}/{_WEIGHTS}")
    weights = parse(files.read_bytes(place), place, f"delete models/{key} and train it again")
    return Bundle(
        **{
            name: found[name]
            for name in ("key", "name", "objective", "cmvn", "input_dim", "tokens", "normalizer", "facts")
        },
        outputs=tuple(found["outputs"]),
        thresholds=tuple(found.get("thresholds", ())),  # older models have none
        merges=tuple((left, right) for left, right in found.get("merges", ())),  # older models have none
        model=TypeAdapter(ModelSpec).validate_python(found["model"]),
        audio=TypeAdapter(AudioSpec).validate_python(found["audio"]),
        feature=TypeAdapter(InputSpec).validate_python(found["feature"]),
        statistics=None if found["statistics"] is None else GlobalStats.from_json(found["statistics"]),
        weights=weights,
    )


def list_models(store: Store) -> list[dict[str, Any]]:
    """The JSON side of every bundle in the store, newest training first."""
    folder = store.path("models")
    if not files.is_url(folder) and not files.exists(folder):
        return []
    found = [_read_facts(entry.uri) for entry in files.walk(folder) if entry.uri.endswith(_FACTS)]
    return sorted(found, key=lambda model: str(model["facts"].get("when", "")), reverse=True)


def keys(store: Store) -> list[str]:
    """The key of every folder below the store's models, whole or not."""
    folder = store.path("models")
    if not files.is_url(folder) and not files.exists(folder):
        return []
    return sorted({files.relative_to(entry.uri, folder).split("/")[0] for entry in files.walk(folder)})
