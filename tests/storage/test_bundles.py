"""Bundles: everything that was saved, nothing that can run, and a sentence where it cannot be read."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch

from sorigil.audio.spec import AudioSpec, RmsNormalize, SilenceTrim
from sorigil.errors import RequestError
from sorigil.features import LogMel
from sorigil.features.cmvn import GlobalStats
from sorigil.models.network import build
from sorigil.models.specs import DeepSpeech2Spec, GruSpec, ModelSpec
from sorigil.text.tokenizer import BpeTokens, Tokenizer
from storage import bundles, checkpoints, files
from storage.bundles import Bundle
from storage.layout import Store

SMALL = DeepSpeech2Spec(channels=(4, 4), hidden=8, layers=1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(root=str(tmp_path), catalog="", mlflow="")


def bundle(
    key: str = "key", objective: Any = "ctc", model: ModelSpec = SMALL, statistics: Any = None, **facts: Any
) -> Bundle:
    torch.manual_seed(0)
    outputs = ("<blank>", "가", "b") if objective == "ctc" else ("dog", "cat")
    network = build(model, objective, 40, len(outputs))
    return Bundle(
        key=key,
        name="words",
        objective=objective,
        model=model,
        audio=AudioSpec(sample_rate=8000, normalize=RmsNormalize(level_db=-23.0), trim=SilenceTrim(top_db=30.0)),
        feature=LogMel(n_mels=40, top_db=None, fmax=3800.0, name="mine"),
        cmvn="global" if statistics else "utterance",
        input_dim=40,
        outputs=outputs,
        tokens="characters" if objective == "ctc" else None,
        normalizer="basic",
        weights={name: value.clone() for name, value in network.state_dict().items()},
        statistics=statistics,
        thresholds=(0.25, 0.5) if objective == "tagging" else (),
        facts={"when": "2026-01-01", "history": [{"epoch": 1, "loss": 0.5}], "best_epoch": 1, **facts},
    )


@pytest.mark.parametrize("objective", ["ctc", "classification", "tagging"])
def test_a_bundle_comes_back_as_it_was(store: Store, objective: str) -> None:
    model = SMALL if objective == "ctc" else GruSpec(hidden=8)
    saved = bundle(objective=objective, model=model)
    assert not bundles.exists(store, "key")
    assert bundles.save(store, saved) == "models/key"
    assert bundles.exists(store, "key")
    loaded = bundles.load(store, "key")
    for name in {each.name for each in dataclasses.fields(Bundle)} - {"weights"}:
        assert getattr(loaded, name) == getattr(saved, name), name
    assert loaded.weights.keys() == saved.weights.keys()
    assert all(torch.equal(loaded.weights[name], saved.weights[name]) for name in saved.weights)
    assert loaded.model == model and type(loaded.model) is type(model)


def test_the_loaded_network_computes_the_same(store: Store) -> None:
    saved = bundle()
    bundles.save(store, saved)
    features, lengths = torch.randn(2, 60, 40), torch.tensor([60, 41])
    with torch.no_grad():
        one = saved.network()(features, lengths)
        other = bundles.load(store, "key").network()(features, lengths)
    assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


def test_weights_of_another_network_are_named() -> None:
    saved = bundle()
    weights = dict(saved.weights)
    first, second, *_ = weights
    del weights[first]
    weights[second] = torch.zeros(7, 7)
    weights["head.other"] = torch.zeros(2)
    with pytest.raises(RequestError, match=r"^the model words \(key\): the weights do not fit the network; ") as caught:
        dataclasses.replace(saved, weights=weights).network()
    shape = tuple(saved.weights[second].shape)
    expected = f"missing: {first}; of another shape: {second} is (7, 7) instead of {shape}; not used: head.other"
    assert str(caught.value).endswith(expected)


def test_a_bundle_that_was_cut_short_is_named(store: Store) -> None:
    bundles.save(store, bundle())
    place = Path(store.path("models/key/model.safetensors"))
    place.write_bytes(place.read_bytes()[:-100])
    with pytest.raises(RequestError, match=r"key/model\.safetensors: damaged: .* bytes, .*; delete models/key and"):
        bundles.load(store, "key")


def test_global_statistics_come_back_exactly_and_are_used(store: Store) -> None:
    frames = np.random.default_rng(0).standard_normal((100, 40)) * np.arange(1, 41) + 5
    statistics = GlobalStats.of(frames)
    saved = bundle(statistics=statistics)
    bundles.save(store, saved)
    loaded = bundles.load(store, "key")
    assert loaded.statistics is not None and loaded.statistics.count == 100
    assert np.array_equal(loaded.statistics.mean, statistics.mean) and np.array_equal(
        loaded.statistics.m2, statistics.m2
    )
    assert loaded.weights.keys() == saved.weights.keys(), "statistics are no weights"
    matrix = frames[:7].astype(np.float32)
    assert np.array_equal(loaded.road().normalize(matrix), statistics.apply(matrix))
    assert np.array_equal(saved.road().normalize(matrix), loaded.road().normalize(matrix))


def test_the_road_and_the_tokenizer_are_those_of_the_training(store: Store) -> None:
    bundles.save(store, bundle())
    loaded = bundles.load(store, "key")
    road = loaded.road()
    assert (road.feature, road.sample_rate, road.cmvn, road.statistics) == (loaded.feature, 8000, "utterance", None)
    assert loaded.tokenizer().tokens == ("<blank>", "가", "b")


def test_subwords_travel_with_the_model(store: Store) -> None:
    tokenizer = Tokenizer.train(BpeTokens(size=20), ["the cat sat on the mat"])
    found = dataclasses.replace(bundle(), outputs=tokenizer.tokens, tokens="bpe", merges=tokenizer.merges)
    bundles.save(store, found)
    loaded = bundles.load(store, "key").tokenizer()
    assert loaded == tokenizer and loaded.encode("that cat") == tokenizer.encode("that cat")


def test_a_bundle_of_before_there_were_merges_can_be_read(store: Store) -> None:
    place = store.path(f"{bundles.save(store, bundle())}/model.json")
    facts = json.loads(files.read_bytes(place))
    del facts["merges"]
    files.write_bytes(place, json.dumps(facts).encode())
    assert bundles.load(store, "key").tokenizer().encode("b가") == [2, 1]


def test_a_bundle_without_its_json_is_not_there(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """The JSON comes last and says that the weights are whole."""
    real = files.write_bytes

    def dying(uri: str, data: bytes) -> None:
        if uri.endswith(".json"):
            raise KeyboardInterrupt
        real(uri, data)

    with monkeypatch.context() as patched:
        patched.setattr(files, "write_bytes", dying)
        with pytest.raises(KeyboardInterrupt):
            bundles.save(store, bundle())
    assert not bundles.exists(store, "key") and bundles.list_models(store) == []
    with pytest.raises(RequestError, match="there is no such model; run `sorigil models --trained`"):
        bundles.load(store, "key")


def test_a_bundle_of_a_newer_program_is_refused_before_its_weights_are_touched(store: Store) -> None:
    bundles.save(store, bundle())
    path = Path(store.path("models/key/model.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": bundles.BUNDLE_FORMAT + 1}))
    (path.parent / "model.safetensors").write_bytes(b"of another kind")
    with pytest.raises(
        RequestError, match=rf"the model has format {bundles.BUNDLE_FORMAT + 1}, this program knows up to"
    ):
        bundles.load(store, "key")


def test_nothing_that_is_written_is_a_pickle(store: Store) -> None:
    """Pickles (torch's are zip files of them) run code on loading."""
    bundles.save(store, bundle(statistics=GlobalStats.of(np.ones((2, 40)))))
    checkpoints.save(store, "key", "last", {"x": torch.ones(2)}, {"epoch": 1})
    written = [path for path in Path(store.root).rglob("*") if path.is_file()]
    assert {path.suffix for path in written} == {".safetensors", ".json"}
    for path in written:
        data = path.read_bytes()
        header = data if path.suffix == ".json" else data[8 : 8 + int.from_bytes(data[:8], "little")]
        json.loads(header)
        assert not data.startswith((b"PK", b"\x80"))


def test_models_are_listed_newest_first(store: Store) -> None:
    assert bundles.list_models(store) == []
    for key, when in (("old", "2025-01-01"), ("new", "2026-02-02"), ("middle", "2025-05-05")):
        bundles.save(store, bundle(key, when=when))
    assert [model["key"] for model in bundles.list_models(store)] == ["new", "middle", "old"]


def test_a_recipe_is_all_of_a_training_but_its_seed(store: Store) -> None:
    """Trainings by other normalisers are no seeds of each other; what is learned of labels no normaliser sees."""

    def recipe(seed: int, normalizer: str, objective: str = "ctc") -> tuple[str, int | None]:
        model = SMALL if objective == "ctc" else GruSpec(hidden=8)
        saved = bundle(objective=objective, model=model, train={"seed": seed, "epochs": 3})
        rows = pa.array(["one", "two"])
        bundles.save(store, dataclasses.replace(saved, key=f"{seed}{normalizer}", normalizer=normalizer, rows=rows))
        return bundles.recipe(store, f"{seed}{normalizer}")

    (one, first), (alike, second), (other, _) = recipe(1, "basic"), recipe(2, "basic"), recipe(3, "english")
    assert one == alike and (first, second) == (1, 2)
    assert other != one
    assert recipe(1, "basic", "classification")[0] == recipe(2, "english", "classification")[0]
