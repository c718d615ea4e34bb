"""wav2vec 2.0 (Baevski et al. 2020), HuBERT, WavLM and Parakeet as encoders of raw audio, through `transformers`.

Convolutions make a frame of each 20 ms (Parakeet: 80 ms, of log-mel features that it computes from the audio itself);
a transformer (a conformer) listens to them. Group norm over time in the first convolution, which in the base models
lets padding change every frame, counts an item's own frames only here: an item alone is as transformers has it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigil.errors import RequestError
from sorigil.models.masking import frame_mask
from sorigil.models.parakeet import ParakeetFeatures
from sorigil.models.pretrained import build_model, configuration, load_model
from sorigil.models.specs import Wav2Vec2Spec


class Wav2Vec2(nn.Module):
    """See the module's docstring; `stride` is in samples."""

    def __init__(self, spec: Wav2Vec2Spec, input_dim: int) -> None:
        super().__init__()
        if input_dim != 1:
            raise RequestError(f"{spec.model_type} hears raw audio, one value per sample; it was given {input_dim}")
        config = configuration(spec, **({} if spec.model_type.startswith("parakeet") else {"mask_feature_prob": 0.0}))
        if getattr(config, "add_adapter", False):
            raise RequestError("config.add_adapter is true; the adapter layers of wav2vec 2.0 are not supported")
        self.config = config
        self.features = ParakeetFeatures(config.num_mel_bins, spec.sample_rate) if _is_parakeet(config) else None
        self._set(build_model(config))
        self.output_size = int(config.hidden_size)
        if self.features is None:
            self.stride = math.prod(config.conv_stride)
            self.least = least_samples(config.conv_kernel, config.conv_stride)
        else:
            self.stride = self.features.hop_length * int(config.subsampling_factor)
            self.least = self.features.least

    def _set(self, model: Any) -> None:
        self.model = model
        if getattr(self.config, "feat_extract_norm", "") == "group":
            first = model.feature_extractor.conv_layers[0]
            first.layer_norm = MaskedGroupNorm.like(first.layer_norm)

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Put pretrained weights in, as `storage.pretrained.read_weights` gives them. Raises RequestError: see `load_model`."""
        self._set(load_model(self.config, weights))

    def layer_of(self, parameter_name: str) -> int:
        """The depth of a parameter, by its name in this encoder: 0 in what makes the frames, then the layers from 1."""
        layer = re.match(r"model\.(?:encoder\.)?layers\.(\d+)\.", parameter_name)
        if layer:
            return int(layer[1]) + 1
        last = getattr(self.config, "do_stable_layer_norm", False) and parameter_name.startswith(
            "model.encoder.layer_norm"
        )
        return int(self.config.num_hidden_layers) if last else 0

    def output_lengths(self, lengths_B: Tensor) -> Tensor:
        lengths_B = lengths_B.clamp(min=self.least)
        if self.features is not None:
            lengths_B = self.features.output_lengths(lengths_B)
            for _ in range(int(math.log2(self.config.subsampling_factor))):
                lengths_B = _subsampled(lengths_B, self.config)
            return lengths_B
        for kernel, stride in zip(self.config.conv_kernel, self.config.conv_stride, strict=True):
            lengths_B = (lengths_B - kernel) // stride + 1
        return lengths_B

    def forward(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        """Audio shorter than the convolutions reach is filled up with silence."""
        out_lengths_B = self.output_lengths(lengths_B)
        samples_BT = features_BTF.squeeze(2) * frame_mask(lengths_B, features_BTF.shape[1])
        samples_BT = functional.pad(samples_BT, (0, max(0, self.least - samples_BT.shape[1])))
        lengths_B = lengths_B.clamp(min=self.least)
        if self.features is not None:
            mels_BTF, lengths_B = self.features(samples_BT, lengths_B)
            encoded = self.model(mels_BTF, attention_mask=frame_mask(lengths_B, mels_BTF.shape[1]))
        else:
            encoded = self._hear(samples_BT, lengths_B, out_lengths_B)
        return encoded.last_hidden_state[:, : out_lengths_B.max()], out_lengths_B

    def _hear(self, samples_BT: Tensor, lengths_B: Tensor, out_lengths_B: Tensor) -> Any:
        first = self.model.feature_extractor.conv_layers[0]
        if isinstance(first.layer_norm, MaskedGroupNorm):
            first.layer_norm.lengths_B = (lengths_B - self.config.conv_kernel[0]) // self.config.conv_stride[0] + 1
        mask_BT = frame_mask(lengths_B, samples_BT.shape[1]).long()
        hidden_BT = None
        if self.training and self.config.apply_spec_augment and self.config.mask_time_prob > 0:
            frames = int(self.output_lengths(torch.tensor(samples_BT.shape[1])))
            hidden_BT = random_spans(
                (len(samples_BT), frames), self.config.mask_time_prob, self.config.mask_time_length, samples_BT.device
            )
            hidden_BT &= frame_mask(out_lengths_B, frames)
        return self.model(samples_BT, attention_mask=mask_BT, mask_time_indices=hidden_BT)


class MaskedGroupNorm(nn.Module):
    """Group norm with a group for each channel (Wu & He 2018) over an item's own frames: values_BCT, `lengths_B` set before."""

    def __init__(self, channels: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.eps = eps
        self.lengths_B: Tensor | None = None

    @classmethod
    def like(cls, norm: nn.GroupNorm) -> MaskedGroupNorm:
        """One with the weights of torch's."""
        made = cls(norm.num_channels, norm.eps)
        made.weight, made.bias = norm.weight, norm.bias
        return made

    def forward(self, values_BCT: Tensor) -> Tensor:
        assert self.lengths_B is not None, "the lengths are set before each batch"
        mask_B1T = frame_mask(self.lengths_B, values_BCT.shape[2]).unsqueeze(1)
        count_B11 = self.lengths_B.view(-1, 1, 1)
        exact_BCT = values_BCT.float()
        mean_BC1 = (exact_BCT * mask_B1T).sum(dim=2, keepdim=True) / count_B11
        centred_BCT = (exact_BCT - mean_BC1) * mask_B1T
        variance_BC1 = centred_BCT.square().sum(dim=2, keepdim=True) / count_B11
        normal_BCT = centred_BCT * torch.rsqrt(variance_BC1 + self.eps)
        return (normal_BCT * self.weight[:, None] + self.bias[:, None]).to(values_BCT.dtype)


def random_spans(shape: tuple[int, int], share: float, length: int, device: torch.device) -> Tensor:
    """Random spans of `length` frames, (B, T) boolean, about `share` of all where they do not overlap: SpecAugment as wav2vec
    2.0 trains with. Drawn by torch, so that a training that goes on draws the same."""
    starts_BT = torch.rand(shape, device=device) < share / length
    padded_BT = functional.pad(starts_BT.float(), (length - 1, 0))
    return functional.max_pool1d(padded_BT.unsqueeze(1), length, stride=1).squeeze(1).bool()


def least_samples(kernels: tuple[int, ...], strides: tuple[int, ...]) -> int:
    """How many samples the convolutions need for one frame."""
    needed = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        needed = (needed - 1) * stride + kernel
    return needed


def _is_parakeet(config: Any) -> bool:
    return str(config.model_type).startswith("parakeet")


def _subsampled(lengths_B: Tensor, config: Any) -> Tensor:
    kernel, stride = config.subsampling_conv_kernel_size, config.subsampling_conv_stride
    subsampled_B: Tensor = (lengths_B + (kernel - 1) // 2 * 2 - kernel) // stride + 1
    return subsampled_B
