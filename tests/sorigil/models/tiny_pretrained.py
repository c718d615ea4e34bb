"""Configurations of transformers' encoders that are small enough for tests, one of each family and norm."""

from __future__ import annotations

from typing import Any

from sorigil.models.specs import AstSpec, Wav2Vec2Spec

_SIZE: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "layerdrop": 0.0,
    "initializer_range": 0.3,  # so small a one with the usual 0.02 hears nothing: what is heard drowns in the norms
}
WAV2VEC2: dict[str, Any] = {
    **_SIZE,
    "conv_dim": [8, 8, 8],
    "conv_kernel": [10, 3, 3],
    "conv_stride": [5, 2, 2],
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
}
STABLE = {**WAV2VEC2, "feat_extract_norm": "layer", "do_stable_layer_norm": True}
HUBERT = {**WAV2VEC2, "model_type": "hubert"}
WAVLM = {**WAV2VEC2, "model_type": "wavlm"}
PARAKEET = {
    **_SIZE,
    "model_type": "parakeet_encoder",
    "num_mel_bins": 16,
    "subsampling_conv_channels": 4,
    "max_position_embeddings": 256,
}
AST: dict[str, Any] = {name: value for name, value in _SIZE.items() if name != "layerdrop"} | {"max_length": 64}

RAW = {
    "wav2vec2": Wav2Vec2Spec(config=WAV2VEC2),
    "wav2vec2-layer-norm": Wav2Vec2Spec(config=STABLE),
    "hubert": Wav2Vec2Spec(config=HUBERT),
    "wavlm": Wav2Vec2Spec(config=WAVLM),
    "parakeet": Wav2Vec2Spec(config=PARAKEET),
}
ALL: dict[str, tuple[AstSpec | Wav2Vec2Spec, int]] = {
    **{name: (spec, 1) for name, spec in RAW.items()},
    "ast": (AstSpec(config=AST), 24),
}
