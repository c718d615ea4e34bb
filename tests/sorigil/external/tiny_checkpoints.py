"""Untrained checkpoints of transformers, small enough to be made in a test, as their `save_pretrained` writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tiny_pretrained import AST, WAV2VEC2
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

LETTERS = "abcdefgh"


def save_ctc(place: Path, **config: Any) -> Path:
    """A wav2vec 2.0 recogniser that writes the letters a to h."""
    torch.manual_seed(0)
    place.mkdir()
    (place / "vocab.json").write_text(
        json.dumps({token: row for row, token in enumerate(["<pad>", "<unk>", "|", *LETTERS])})
    )
    tokenizer = transformers.Wav2Vec2CTCTokenizer(
        str(place / "vocab.json"), pad_token="<pad>", unk_token="<unk>", bos_token=None, eos_token=None
    )
    masked = config.get("feat_extract_norm") == "layer"
    extractor = transformers.Wav2Vec2FeatureExtractor(return_attention_mask=masked)
    made = {**WAV2VEC2, "vocab_size": 3 + len(LETTERS), "pad_token_id": 0, **config}
    for part in (transformers.Wav2Vec2ForCTC(transformers.Wav2Vec2Config(**made)), tokenizer, extractor):
        part.save_pretrained(place)
    return place


def save_classifier(place: Path, labels: tuple[str, ...], **config: Any) -> Path:
    torch.manual_seed(0)
    made = {**AST, "id2label": dict(enumerate(labels)), "label2id": {label: row for row, label in enumerate(labels)}}
    model = transformers.ASTForAudioClassification(transformers.ASTConfig(**{**made, **config}))
    model.save_pretrained(place)
    transformers.ASTFeatureExtractor(
        num_mel_bins=model.config.num_mel_bins, max_length=model.config.max_length
    ).save_pretrained(place)
    return place


def save_whisper(place: Path, *, multilingual: bool = True, **config: Any) -> Path:
    """One that writes bytes, knows English and Korean, and stops after 30 tokens."""
    torch.manual_seed(0)
    tokenizer = transformers.WhisperTokenizer(tokenizer_object=_bytes())
    ids = tokenizer.convert_tokens_to_ids
    ends = {f"{name}_token_id": ids("<|endoftext|>") for name in ("bos", "eos", "pad")}
    sizes = {f"{side}_{what}": size for side in ("encoder", "decoder") for what, size in _SIZES.items()}
    made = {"vocab_size": len(tokenizer), "d_model": 16, "num_mel_bins": 8, "max_target_positions": 40, **sizes, **ends}
    settings = transformers.WhisperConfig(**{**made, **config})
    settings.decoder_start_token_id = ids("<|startoftranscript|>")
    model = transformers.WhisperForConditionalGeneration(settings)
    tongues = {
        "is_multilingual": True,
        "lang_to_id": {f"<|{name}|>": ids(f"<|{name}|>") for name in ("en", "ko")},
        "task_to_id": {name: ids(f"<|{name}|>") for name in ("transcribe", "translate")},
    }
    model.generation_config = transformers.GenerationConfig(
        decoder_start_token_id=settings.decoder_start_token_id,
        max_length=30,
        no_timestamps_token_id=ids("<|notimestamps|>"),
        prev_sot_token_id=ids("<|startofprev|>"),
        **ends,
        **(tongues if multilingual else {"is_multilingual": False}),
    )
    for part in (model, tokenizer, transformers.WhisperFeatureExtractor(feature_size=8)):
        part.save_pretrained(place)
    return place


_SIZES = {"layers": 1, "attention_heads": 2, "ffn_dim": 16}
_SPECIAL = [
    "endoftext",
    "startoftranscript",
    "en",
    "ko",
    "translate",
    "transcribe",
    "startoflm",
    "startofprev",
    "nospeech",
    "notimestamps",
]


def _bytes() -> Tokenizer:
    found = Tokenizer(
        models.BPE({byte: row for row, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, [])
    )
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    found.add_special_tokens([f"<|{name}|>" for name in _SPECIAL])
    found.add_tokens([f"<|{number * 0.02:.2f}|>" for number in range(1501)])
    return found
