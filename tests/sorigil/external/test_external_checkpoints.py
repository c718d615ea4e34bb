"""Checkpoints of transformers answer as transformers itself does, alone or together, and what cannot be used is named."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from sorigil import external
from sorigil.errors import RequestError
from sorigil.external import checkpoints
from sorigil.external.specs import TransformersSpec
from storage import externals, files

transformers = pytest.importorskip("transformers")
from tiny_checkpoints import save_classifier, save_ctc, save_whisper  # noqa: E402

RATE = 16_000
LAYER = {"feat_extract_norm": "layer", "conv_bias": True, "do_stable_layer_norm": True}


def sounds(*seconds: float) -> list[Any]:
    rng = np.random.default_rng(0)
    return [(0.1 * rng.standard_normal(round(length * RATE))).astype(np.float32) for length in seconds]


def opened(place: Path | str, options: str = "") -> Any:
    spec = externals.resolve(external.parse(f"transformers:{place}{options}"))
    with externals.at_hand(spec) as folder:
        return external.opened(spec, folder)


@pytest.mark.parametrize("config", [{}, LAYER], ids=["group", "layer"])
def test_a_ctc_model_writes_what_its_processor_decodes(tmp_path: Path, config: dict[str, Any]) -> None:
    place = save_ctc(tmp_path / "ctc", **config)
    model = transformers.Wav2Vec2ForCTC.from_pretrained(place).eval()
    processor = transformers.Wav2Vec2Processor.from_pretrained(place)
    heard = opened(place).hear(sounds(0.7, 0.3, 1.1))
    for samples, found in zip(sounds(0.7, 0.3, 1.1), heard, strict=True):
        with torch.no_grad():
            logits = model(**processor(samples, sampling_rate=RATE, return_tensors="pt")).logits
        assert [found.text] == processor.batch_decode(logits.argmax(-1))
        assert found.text
        sure, ids = logits.softmax(-1)[0].max(-1)
        assert found.confidence == pytest.approx(float(sure[ids != 0].mean()), rel=1e-4)


@pytest.mark.parametrize(("config", "together"), [({}, 1), (LAYER, 3)], ids=["group", "layer"])
def test_an_answer_does_not_depend_on_who_is_beside_it(tmp_path: Path, config: dict[str, Any], together: int) -> None:
    listener = opened(save_ctc(tmp_path / "ctc", **config))
    assert max(len(batch) for batch in listener._batches([5000, 16_000, 9000])) == together
    several = listener.hear(sounds(0.3, 1.0, 0.5))
    for samples, found in zip(sounds(0.3, 1.0, 0.5), several, strict=True):
        (alone,) = listener.hear([samples])
        assert (found.text, found.confidence) == (alone.text, pytest.approx(alone.confidence, rel=1e-4))


def test_batches_hold_so_many_seconds_with_their_padding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    listener = opened(save_ctc(tmp_path / "ctc", **LAYER))
    monkeypatch.setattr(checkpoints, "BATCH_SECONDS", 4.0)
    assert list(listener._batches([RATE, 3 * RATE, RATE, 5 * RATE])) == [[0, 2], [1], [3]]
    monkeypatch.setattr(checkpoints, "MOST_TOGETHER", 1)
    assert list(listener._batches([RATE, RATE])) == [[0], [1]]
    assert list(listener._batches([])) == []


@pytest.mark.parametrize("samples", [0, 1, 200])
def test_what_is_shorter_than_a_frame_is_no_error(tmp_path: Path, samples: int) -> None:
    (found,) = opened(save_ctc(tmp_path / "ctc")).hear([np.zeros(samples, np.float32)])
    assert isinstance(found.text, str) and 0 < found.confidence <= 1


def test_a_classifier_gives_every_label_its_probability(tmp_path: Path) -> None:
    place = save_classifier(tmp_path / "ast", ("dog", "cat", "rain"), num_mel_bins=24)
    model = transformers.ASTForAudioClassification.from_pretrained(place).eval()
    extractor = transformers.ASTFeatureExtractor.from_pretrained(place)
    for samples, found in zip(sounds(0.2, 0.5), opened(place).hear(sounds(0.2, 0.5)), strict=True):
        with torch.no_grad():
            logits = model(**extractor(samples, sampling_rate=RATE, return_tensors="pt")).logits[0]
        assert list(found.scores) == ["dog", "cat", "rain"]
        np.testing.assert_allclose(list(found.scores.values()), logits.softmax(-1), rtol=1e-4)


def test_labels_that_may_hold_at_once_are_tags(tmp_path: Path) -> None:
    place = save_classifier(
        tmp_path / "ast", ("dog", "rain"), num_mel_bins=24, problem_type="multi_label_classification"
    )
    spec = externals.resolve(TransformersSpec(model=str(place)))
    assert (spec.objective, spec.outputs) == ("tagging", ("dog", "rain"))
    (found,) = opened(place).hear(sounds(0.3))
    assert all(0 < share < 1 for share in found.scores.values()) and abs(sum(found.scores.values()) - 1) > 1e-3


def test_whisper_writes_what_generate_does(tmp_path: Path) -> None:
    place = save_whisper(tmp_path / "whisper")
    model = transformers.WhisperForConditionalGeneration.from_pretrained(place).eval()
    processor = transformers.WhisperProcessor.from_pretrained(place)
    found = opened(place, "?language=ko&task=translate").hear(sounds(1.0, 0.4))
    for samples, heard in zip(sounds(1.0, 0.4), found, strict=True):
        inputs = processor(samples, sampling_rate=RATE, return_tensors="pt")
        tokens = model.generate(**inputs, language="ko", task="translate")
        assert [heard.text] == [text.strip() for text in processor.batch_decode(tokens, skip_special_tokens=True)]
        assert heard.text and 0 < heard.confidence < 1


def test_whisper_is_as_sure_as_its_tokens_are_on_average(tmp_path: Path) -> None:
    place = save_whisper(tmp_path / "whisper")
    listener = opened(place, "?language=en")
    (found,) = listener.hear(sounds(0.5))
    inputs = listener._extractor(sounds(0.5)[0], sampling_rate=RATE, return_tensors="pt")
    made = listener._model.generate(**inputs, language="en", return_dict_in_generate=True)
    with torch.no_grad():
        shares = listener._model(**inputs, decoder_input_ids=made.sequences).logits[0].softmax(-1)
    special = set(listener._tokenizer.all_special_ids)
    told = [(row, token) for row, token in enumerate(made.sequences[0].tolist()) if token not in special]
    assert len(told) > 10
    # generate() forbids some tokens before it normalises, which a plain pass does not
    assert found.confidence == pytest.approx(np.mean([float(shares[row - 1, token]) for row, token in told]), rel=0.05)


def test_what_is_longer_than_whispers_window_is_heard_whole(tmp_path: Path) -> None:
    place = save_whisper(tmp_path / "whisper")
    listener = opened(place, "?language=en")
    short, long = listener.hear(sounds(1.0, 31.0))
    assert short == listener.hear(sounds(1.0))[0]
    model, processor = listener._model, transformers.WhisperProcessor.from_pretrained(place)
    inputs = processor.feature_extractor(
        sounds(1.0, 31.0)[1], sampling_rate=RATE, return_tensors="pt", truncation=False, return_attention_mask=True
    )
    tokens = model.generate(**inputs, language="en", return_timestamps=True)
    assert long.text == processor.batch_decode(tokens, skip_special_tokens=True)[0].strip()
    assert math.isnan(long.confidence)


def test_a_text_that_is_broken_off_is_marked(tmp_path: Path) -> None:
    listener = opened(save_whisper(tmp_path / "whisper", init_std=0.5), "?language=en")
    settings = listener._model.generation_config
    assert [found.extras for found in listener.hear(sounds(0.5, 0.7))] == [{"unfinished": True}] * 2
    settings.suppress_tokens = [token for token in range(listener._model.config.vocab_size) if token != 256]
    (ended,) = listener.hear(sounds(0.5))
    assert settings.eos_token_id == 256 and (ended.text, ended.extras) == ("", {})


def test_whisper_hears_the_windows_behind_its_first_too(tmp_path: Path) -> None:
    listener = opened(save_whisper(tmp_path / "whisper", init_std=0.5), "?language=en")
    (whole,) = sounds(65.0)
    windows: list[int] = []
    listener._model.model.encoder.register_forward_hook(lambda *_: windows.append(1))
    (heard,) = listener.hear([whole])
    assert len(windows) >= 3 and heard.text
    (other,) = listener.hear([np.concatenate([whole[: 62 * RATE], np.zeros(3 * RATE, np.float32)])])
    assert other.text != heard.text, "what lies behind 62 s is heard"


def test_how_much_an_extractor_keeps(tmp_path: Path) -> None:
    classifier = {"feature_extractor_type": "WhisperFeatureExtractor", "chunk_length": 30}
    assert checkpoints.longest("whisper", "ForAudioClassification", classifier) == 30
    assert checkpoints.longest("voxtral", "ForConditionalGeneration", classifier) == 30
    assert checkpoints.longest("whisper", "ForConditionalGeneration", classifier) == 0, "window after window"
    assert checkpoints.longest("wav2vec2", "ForCTC", {"feature_extractor_type": "Wav2Vec2FeatureExtractor"}) == 0
    listener = opened(save_classifier(tmp_path / "ast", ("dog", "cat"), num_mel_bins=24, max_length=30))
    (samples,) = sounds(0.4)
    kept = round(listener._spec.longest * RATE)
    assert kept == round(0.315 * RATE) and listener._spec.sample_rate == RATE
    heard, cut, less = (
        list(found.scores.values())
        for found in listener.hear([samples, samples[: kept - 1], samples[: kept - RATE // 10]])
    )
    assert heard == pytest.approx(cut, rel=1e-5) and heard != pytest.approx(less, rel=1e-5)


def test_the_extractor_may_stand_in_the_processors_file(tmp_path: Path) -> None:
    place = save_ctc(tmp_path / "ctc")
    spec = externals.resolve(TransformersSpec(model=str(place)))
    (place / "preprocessor_config.json").unlink()
    transformers.Wav2Vec2Processor(
        transformers.Wav2Vec2FeatureExtractor(sampling_rate=8000), transformers.AutoTokenizer.from_pretrained(place)
    ).save_pretrained(place)
    assert not (place / "preprocessor_config.json").exists()
    other = externals.resolve(TransformersSpec(model=str(place)))
    assert (spec.sample_rate, other.sample_rate, other.lacks) == (RATE, 8000, "")
    assert opened(place).sample_rate == 8000


def test_a_language_that_whisper_does_not_know_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"language=xx: Unsupported language: xx"):
        opened(save_whisper(tmp_path / "many"), "?language=xx").hear(sounds(0.3))
    with pytest.raises(RequestError, match="English-only"):
        opened(save_whisper(tmp_path / "english", multilingual=False), "?language=en").hear(sounds(0.3))


def test_a_checkpoint_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    place = save_whisper(tmp_path / "whisper")
    capfd.readouterr()
    opened(place).hear(sounds(0.3))
    assert capfd.readouterr() == ("", "")


def change(place: Path, file: str, **values: Any) -> None:
    said = json.loads((place / file).read_text())
    (place / file).write_text(json.dumps({**said, **values}))


def test_the_key_names_every_file_and_the_options(tmp_path: Path) -> None:
    place = save_ctc(tmp_path / "ctc")

    def key(name: Any = place) -> str:
        return external.key_of(externals.resolve(external.parse(f"transformers:{name}")))

    keys = [key()]
    moved = place.rename(tmp_path / "moved")
    assert key(moved) == keys[0]
    (moved / "README.md").write_text("not read")
    assert key(moved) == keys[0]
    change(moved, "preprocessor_config.json", do_normalize=False)
    keys.append(key(moved))
    keys.append(key(save_ctc(tmp_path / "other", **LAYER)))
    whisper = save_whisper(tmp_path / "whisper")
    keys += [key(whisper), key(f"{whisper}?language=ko"), key(f"{whisper}?task=translate")]
    assert len({*keys}) == len(keys)


def test_what_cannot_be_used_is_named(tmp_path: Path) -> None:
    place = save_ctc(tmp_path / "ctc")
    with pytest.raises(RequestError, match=r"none: the folder .* cannot be read \(No such file or directory\)"):
        opened(tmp_path / "none")
    with pytest.raises(RequestError, match=r"must hold config.json and weights"):
        opened(tmp_path)
    with pytest.raises(RequestError, match="language and task are for whisper; this is a wav2vec2"):
        opened(place, "?language=ko")
    change(place, "config.json", architectures=["BertModel"])
    with pytest.raises(RequestError, match="its architecture is BertModel, which is no recogniser"):
        opened(place)
    change(place, "config.json", architectures=["BertForSequenceClassification"], model_type="bert", id2label={})
    with pytest.raises(RequestError, match="transformers cannot load it"):
        opened(place)
    (place / "config.json").write_text("{")
    with pytest.raises(RequestError, match=r"config.json is not JSON"):
        opened(place)


def test_weights_that_are_no_safetensors_are_refused(tmp_path: Path) -> None:
    place = save_ctc(tmp_path / "ctc")
    weights = place / "model.safetensors"
    torch.save({}, place / "pytorch_model.bin")
    weights.unlink()
    with pytest.raises(RequestError, match=r"weights as model.safetensors.*can run code"):
        opened(place)
    weights.write_bytes(b"torn")
    with pytest.raises(RequestError, match="transformers cannot load it"):
        opened(place)


def test_a_network_without_trained_weights_is_refused(tmp_path: Path) -> None:
    place = save_ctc(tmp_path / "ctc")
    transformers.Wav2Vec2Model.from_pretrained(place).save_pretrained(tmp_path / "encoder")
    (tmp_path / "encoder" / "model.safetensors").replace(place / "model.safetensors")
    with pytest.raises(RequestError, match=r"a network without trained weights: missing: lm_head"):
        opened(place)


def test_a_folder_is_found_from_wherever_it_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = save_classifier(tmp_path / "ast", ("dog", "cat"), num_mel_bins=24)
    monkeypatch.chdir(tmp_path)
    spec = externals.resolve(external.parse("transformers:./ast"))
    assert spec.name == "transformers:./ast"
    assert external.key_of(spec) == external.key_of(externals.resolve(TransformersSpec(model=str(place))))
    monkeypatch.chdir("/")
    with externals.at_hand(spec) as folder:
        assert folder == str(place)


def test_files_that_change_after_they_were_resolved_are_refused(tmp_path: Path) -> None:
    place = save_ctc(tmp_path / "ctc")
    spec = externals.resolve(TransformersSpec(model=str(place)))
    change(place, "config.json", layerdrop=0.3)
    with pytest.raises(RequestError, match="others than when the run began"), externals.at_hand(spec):
        pass


def test_a_checkpoint_behind_a_url_is_heard_as_one_on_the_disk(tmp_path: Path, s3: Any) -> None:
    place = save_ctc(tmp_path / "ctc")
    for file in place.iterdir():
        files.write_bytes(f"s3://bucket/models/ctc/{file.name}", file.read_bytes())
    files.write_bytes("s3://bucket/models/ctc/old/config.json", b"{}")
    specs = [externals.resolve(TransformersSpec(model=model)) for model in (str(place), "s3://bucket/models/ctc")]
    assert external.key_of(specs[0]) == external.key_of(specs[1])
    assert opened("s3://bucket/models/ctc").hear(sounds(0.4)) == opened(place).hear(sounds(0.4))


def test_the_hub_is_said_to_be_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    def unreachable(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route to the hub")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", unreachable)
    with pytest.raises(
        RequestError, match=r"openai/whisper-tiny: cannot be had from the Hugging Face hub \(ConnectionError"
    ):
        externals.resolve(external.parse("transformers:openai/whisper-tiny"))
