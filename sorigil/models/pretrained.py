"""Encoders of `transformers` from a configuration, and weights into them, without a file: storage reads those.

`transformers` is the extra `pretrained`, imported when such a model is built and never before.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from sorigil.errors import RequestError
from sorigil.models.specs.pretrained import PretrainedSpec
from sorigil.models.weights import misfit

CLASSES = {
    "audio-spectrogram-transformer": ("ASTConfig", "ASTModel"),
    "wav2vec2": ("Wav2Vec2Config", "Wav2Vec2Model"),
    "hubert": ("HubertConfig", "HubertModel"),
    "wavlm": ("WavLMConfig", "WavLMModel"),
    "parakeet_encoder": ("ParakeetEncoderConfig", "ParakeetEncoder"),
}


def configuration(spec: PretrainedSpec, **changes: Any) -> Any:
    """The configuration object of an encoder. A recogniser's holds its encoder's within.

    Raises:
        RequestError: transformers is missing, or the configuration has a key that its family does not know.
    """
    values, kind = {**spec.config, "model_type": spec.model_type}, spec.model_type
    if kind == "parakeet_ctc":
        values, kind = {**values.get("encoder_config", {})}, "parakeet_encoder"
    make = getattr(_transformers(), CLASSES[kind][0])
    known = make().to_dict()
    for key in values:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise RequestError(f"{spec.kind}: the configuration of {kind} has no {key!r}{hint}")
    try:
        return make(**{**values, **changes})
    except Exception as wrong:  # ValueError, TypeError, and the hub's own for a value of a wrong type
        raise RequestError(f"{spec.kind}: the configuration of {kind} cannot be: {wrong}") from wrong


def build_model(config: Any) -> Any:
    """An untrained encoder of this configuration; weights come from torch's global generator."""
    try:
        return _class_of(config)(config)
    except (ValueError, RuntimeError) as wrong:  # a width that the heads do not divide, for one
        raise RequestError(f"a {config.model_type} cannot be built of its configuration: {wrong}") from wrong


def load_model(config: Any, weights: Mapping[str, Tensor]) -> Any:
    """An encoder with these weights, named as any release of transformers has named them, in float32.

    The weights of a head (of CTC, of classes) are left out.

    Raises:
        RequestError: weights are missing or have another shape; lists them.
    """
    weights = {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}
    with quiet():
        model, info = _class_of(config).from_pretrained(
            None, config=config, state_dict=weights, output_loading_info=True, ignore_mismatched_sizes=True
        )
    missing = sorted(set(info["missing_keys"]) - {"masked_spec_embed"})  # drawn anew: some are published without it
    if missing or info["mismatched_keys"]:
        said = misfit(missing, info["mismatched_keys"], info["unexpected_keys"])
        raise RequestError(f"the weights do not fit the configuration of {config.model_type}; {said}")
    return model


def _class_of(config: Any) -> Any:
    return getattr(_transformers(), CLASSES[config.model_type][1])


def _transformers() -> Any:
    try:
        import transformers
    except ImportError as missing:
        raise RequestError(
            "pretrained encoders need the package transformers: pip install 'sorigil[pretrained]'"
        ) from missing
    return transformers


@contextmanager
def quiet() -> Iterator[None]:
    """Without the progress bars and reports of transformers: what is wrong with weights is said by our error."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
