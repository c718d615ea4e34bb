"""Pretrained weights as they lie in a folder: found, named by their content, read without running anything in them."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny_pretrained import AST, WAV2VEC2

from sorigil.errors import RequestError
from sorigil.fingerprint import fingerprint
from sorigil.models.network import build
from sorigil.models.specs import AstSpec, GruSpec, Wav2Vec2Spec
from storage import pretrained

transformers = pytest.importorskip("transformers")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recogniser as transformers saves one, with the facts of its audio."""
    torch.manual_seed(0)
    place = tmp_path / "published"
    model = transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**WAV2VEC2, vocab_size=9))
    model.save_pretrained(place)
    transformers.Wav2Vec2FeatureExtractor(sampling_rate=16_000).save_pretrained(place)
    return place


def spec_of(folder: Path, **values: Any) -> Wav2Vec2Spec:
    return Wav2Vec2Spec(pretrained=str(folder), **values)


def test_a_folder_of_transformers_gives_its_own_outputs(folder: Path) -> None:
    spec = pretrained.resolve(spec_of(folder))
    net = build(spec, "ctc", 1, 5).eval()
    net.encoder.load(pretrained.read_weights(spec))
    theirs = transformers.Wav2Vec2Model.from_pretrained(folder).eval()
    samples = torch.randn(1, 2000, 1)
    with torch.no_grad():
        ours, _ = net.encoder(samples, torch.tensor([2000]))
        torch.testing.assert_close(ours, theirs(samples.squeeze(2)).last_hidden_state, rtol=0, atol=1e-5)


def test_the_normalisation_is_that_of_its_feature_extractor(folder: Path) -> None:
    from sorigil.training.inputs import Waveform, normalize_utterance

    samples = torch.randn(3000).numpy() * 0.03 + 0.01
    extractor = transformers.Wav2Vec2FeatureExtractor.from_pretrained(folder)
    expected = extractor(samples, sampling_rate=16_000, return_tensors="np").input_values[0]
    assert abs(normalize_utterance(Waveform(), samples[:, None])[:, 0] - expected).max() < 1e-5


def test_a_resolved_spec_holds_what_decides_and_nothing_of_the_place(folder: Path, tmp_path: Path) -> None:
    spec = pretrained.resolve(spec_of(folder))
    assert spec.config["hidden_size"] == 16 and "architectures" not in spec.config
    moved = shutil.copytree(folder, tmp_path / "moved")
    assert fingerprint(pretrained.resolve(spec_of(moved))) == fingerprint(spec)
    assert pretrained.resolve(spec) == spec
    changed = load_file(moved / "model.safetensors")
    changed["lm_head.bias"] += 1
    from safetensors.torch import save_file

    save_file(changed, moved / "model.safetensors", metadata={"format": "pt"})
    assert pretrained.resolve(spec_of(moved)).weights != spec.weights
    with pytest.raises(RequestError, match="the weights are others than when the run began"):
        pretrained.read_weights(replace(spec, pretrained=str(moved)))


def test_what_is_written_beside_it_comes_before_its_configuration(folder: Path) -> None:
    spec = pretrained.resolve(spec_of(folder, config={"mask_time_prob": 0.3}))
    assert spec.config["mask_time_prob"] == 0.3 and spec.config["conv_dim"] == [8, 8, 8]


def test_weights_in_several_files_and_in_torchs_own(folder: Path) -> None:
    whole = pretrained.read_weights(pretrained.resolve(spec_of(folder)))
    model = transformers.Wav2Vec2ForCTC.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    from_torch = pretrained.read_weights(pretrained.resolve(spec_of(folder)))
    model.save_pretrained(folder, max_shard_size="10KB")
    assert (folder / "model.safetensors.index.json").exists()
    shards = pretrained.read_weights(pretrained.resolve(spec_of(folder)))
    for found in (from_torch, shards):
        assert found.keys() == whole.keys() and all(torch.equal(found[name], whole[name]) for name in whole)


def test_a_pickle_that_runs_code_is_refused(folder: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> Any:
            return Path.touch, (tmp_path / "boom",)

    (folder / "model.safetensors").unlink()
    torch.save({"weight": Bomb()}, folder / "pytorch_model.bin")
    spec = pretrained.resolve(spec_of(folder))
    with pytest.raises(RequestError, match="holds more than weights"):
        pretrained.read_weights(spec)
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(RequestError, match="holds more than weights"):
        pretrained.read_weights(pretrained.resolve(spec_of(folder)))
    assert not (tmp_path / "boom").exists()


def test_ast_comes_from_a_folder_too(tmp_path: Path) -> None:
    model = transformers.ASTForAudioClassification(transformers.ASTConfig(**AST, num_mel_bins=32, num_labels=3))
    model.save_pretrained(tmp_path)
    spec = pretrained.resolve(AstSpec(pretrained=str(tmp_path)))
    net = build(spec, "classification", 32, 5)
    net.encoder.load(pretrained.read_weights(spec))
    theirs = model.audio_spectrogram_transformer.layernorm.weight
    torch.testing.assert_close(net.encoder.model.layernorm.weight, theirs)


def test_other_models_are_left_alone() -> None:
    assert pretrained.resolve(GruSpec()) == GruSpec()
    assert pretrained.resolve(Wav2Vec2Spec(config=WAV2VEC2)) == Wav2Vec2Spec(config=WAV2VEC2)
    with pytest.raises(RequestError, match="did you mean hidden_size"):
        pretrained.resolve(Wav2Vec2Spec(config={"hiden_size": 16}))


def _without(folder: Path, name: str) -> None:
    (folder / name).unlink()


def _rate(folder: Path, rate: int) -> None:
    place = folder / "preprocessor_config.json"
    place.write_text(json.dumps({**json.loads(place.read_text()), "sampling_rate": rate}))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: _without(folder, "config.json"), "config.json is missing"),
        (lambda folder: _without(folder, "model.safetensors"), "there are no weights"),
        (lambda folder: (folder / "config.json").write_text("{"), "is not JSON"),
        (lambda folder: (folder / "config.json").write_text('{"model_type": "bert"}'), "model_type is 'bert'"),
        (lambda folder: _rate(folder, 8000), "trained on audio at 8000 Hz, but sample_rate is 16000"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(folder: Path, spoil: Any, said: str) -> None:
    spoil(folder)
    with pytest.raises(RequestError, match=said):
        pretrained.resolve(spec_of(folder))


def test_weights_that_were_cut_short_are_named(folder: Path) -> None:
    place = folder / "model.safetensors"
    place.write_bytes(place.read_bytes()[:-10])
    with pytest.raises(RequestError, match=r"model\.safetensors: damaged: [\d,]+ bytes"):
        pretrained.read_weights(pretrained.resolve(spec_of(folder)))


def test_a_name_that_the_hub_cannot_give_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def unreachable(*_: Any, **__: Any) -> str:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(
        RequestError, match=r"owner/name: cannot be had .*no route to host.*a folder is written with \./"
    ):
        pretrained.resolve(Wav2Vec2Spec(pretrained="owner/name"))


def test_a_revision_of_the_hub_is_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked: list[Any] = []

    def download(name: str, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision))
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    spec = pretrained.resolve(Wav2Vec2Spec(pretrained="owner/name@abc"))
    assert asked == [("owner/name", "abc")] and spec.config["hidden_size"] == 16
