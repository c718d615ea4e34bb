"""The Audio Spectrogram Transformer (Gong, Chung & Glass 2021, https://arxiv.org/abs/2104.01778), through `transformers`.

Overlapping patches of 16 × 16 values become a sequence with learned positions. Those are a grid of so many bands by so
many moments; here they are interpolated to the bands of the features, and to the length of each item where it is longer,
so that an item's answer does not depend on what stands beside it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigil.models.masking import frame_mask
from sorigil.models.pretrained import build_model, configuration, load_model
from sorigil.models.specs import AstSpec

PATCH = 16  # of the paper, and of a configuration that says nothing else


class Ast(nn.Module):
    """One vector for each item, the mean of the class and the distillation token: (B, T, F) -> (B, 1, H), lengths 1."""

    def __init__(self, spec: AstSpec, input_dim: int) -> None:
        super().__init__()
        bands = {} if "num_mel_bins" in spec.config else {"num_mel_bins": max(input_dim, PATCH)}
        # scaled dot product attention takes the mask as it is
        config = configuration(spec, attn_implementation="sdpa", **bands)
        self.config = config
        self.patch = int(config.patch_size)
        self.model = build_model(config)
        self.stride = int(config.time_stride)
        self.output_size = int(config.hidden_size)
        embeddings = self.model.embeddings
        self.grid: tuple[int, int] = embeddings.get_shape(config)  # (bands, moments) of the learned positions

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Put pretrained weights in, as `storage.pretrained.read_weights` gives them. Raises RequestError: see `load_model`."""
        self.model = load_model(self.config, weights)

    def layer_of(self, parameter_name: str) -> int:
        """The depth of a parameter, by its name in this encoder: 0 in the embeddings, then the layers from 1."""
        layer = re.match(r"model\.layers\.(\d+)\.", parameter_name)
        if layer:
            return int(layer[1]) + 1
        return int(self.config.num_hidden_layers) if parameter_name.startswith("model.layernorm") else 0

    def output_lengths(self, lengths_B: Tensor) -> Tensor:
        return torch.ones_like(lengths_B)

    def moments(self, lengths_B: Tensor) -> Tensor:
        """How many patches an item has one after the other; what is shorter than one is filled up."""
        patches_B: Tensor = (lengths_B.clamp(min=self.patch) - self.patch) // self.stride + 1
        return patches_B

    def forward(self, features_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        features_BTF = features_BTF * frame_mask(lengths_B, features_BTF.shape[1]).unsqueeze(2)
        short = [max(0, self.patch - size) for size in features_BTF.shape[1:]]
        features_BTF = functional.pad(features_BTF, (0, short[1], 0, short[0]))
        projection = self.model.embeddings.patch_embeddings.projection
        patches_BHFT = projection(features_BTF.transpose(1, 2).unsqueeze(1))
        bands, moments = patches_BHFT.shape[2:]
        own_B = self.moments(lengths_B)
        placed_BHFT = patches_BHFT + self._positions(bands, moments, own_B)
        hidden_BSH = torch.cat([self._tokens(len(features_BTF)), placed_BHFT.flatten(2).transpose(1, 2)], dim=1)
        hidden_BSH = self.model.embeddings.dropout(hidden_BSH)
        mask_BT = frame_mask(own_B, moments)
        mask_BS = functional.pad(mask_BT.repeat(1, bands), (2, 0), value=True)  # both tokens, then band after band
        for layer in self.model.layers:
            hidden_BSH = layer(hidden_BSH, mask_BS[:, None, None, :])
        normal_BSH = self.model.layernorm(hidden_BSH)
        return (normal_BSH[:, :1] + normal_BSH[:, 1:2]) / 2, self.output_lengths(lengths_B)

    def _tokens(self, batch: int) -> Tensor:
        embeddings = self.model.embeddings
        tokens_12H = torch.cat([embeddings.cls_token, embeddings.distillation_token], dim=1)
        tokens_12H = tokens_12H + embeddings.position_embeddings[:, :2]
        tokens_B2H: Tensor = tokens_12H.expand(batch, -1, -1)
        return tokens_B2H

    def _positions(self, bands: int, moments: int, own_B: Tensor) -> Tensor:
        """Positions (B, H, bands, moments). An item that is no longer than the grid has its first moments; the grid is
        stretched over a longer one."""
        learned_1SH = self.model.embeddings.position_embeddings[:, 2:]
        grid_1HFT = learned_1SH.transpose(1, 2).unflatten(2, self.grid)
        if bands != self.grid[0]:
            grid_1HFT = functional.interpolate(grid_1HFT, (bands, self.grid[1]), mode="bilinear", align_corners=False)
        last = self.grid[1] - 1
        steps_B1 = (last / (own_B - 1).clamp(min=1)).clamp(max=1.0).unsqueeze(1)
        places_BT = (torch.arange(moments, device=own_B.device) * steps_B1).clamp(max=last)
        below_BT = places_BT.floor().long()
        above_BT = (below_BT + 1).clamp(max=last)
        share_BT = (places_BT - below_BT).to(grid_1HFT.dtype)
        grid_THF = grid_1HFT[0].permute(2, 0, 1)
        placed_BTHF = torch.lerp(grid_THF[below_BT], grid_THF[above_BT], share_BT[:, :, None, None])
        return placed_BTHF.permute(0, 2, 3, 1)
