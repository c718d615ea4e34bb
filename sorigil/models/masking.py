"""What keeps padding out of the networks: masks from lengths, and a batch norm that counts valid frames only.

Items of a batch are padded to the longest of them. Every layer that looks at neighbours or at statistics goes through
here, so that an item's output is the same alone as beside a longer one.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigil.models.batch_norm import affine, batch_norm


def frame_mask(lengths_B: Tensor, frames: int) -> Tensor:
    """Return mask_BT: true where a frame belongs to the item, false where it is padding."""
    positions_T = torch.arange(frames, device=lengths_B.device)
    return positions_T.unsqueeze(0) < lengths_B.unsqueeze(1)


def strided_lengths(lengths_B: Tensor, stride: int) -> Tensor:
    """Return how many frames are left after a layer with "same" padding and this stride: the ceiling of the quotient."""
    return (lengths_B + stride - 1) // stride


def zero_padding(images_BCTF: Tensor, mask_BT: Tensor) -> Tensor:
    """Set padded frames to zero, as if the item had been alone and padded by the convolution itself."""
    return images_BCTF * mask_BT[:, None, :, None].to(images_BCTF.dtype)


class MaskedBatchNorm(nn.Module):
    """Batch normalisation (Ioffe & Szegedy 2015) whose statistics leave padded frames out, in float32.

    Padded frames come out as zeros. In evaluation mode, and where there is but one value, which has no variance, the
    running statistics are used. Processes that train together count all their frames (`synchronise`).
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        super().__init__()
        self.momentum = momentum
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, images_BCTF: Tensor, mask_BT: Tensor) -> Tensor:
        """Normalise images per channel."""
        return self._normalize(images_BCTF.transpose(1, 2), mask_BT).transpose(1, 2)

    def sequence(self, frames_BTF: Tensor, mask_BT: Tensor) -> Tensor:
        """Normalise frames per feature."""
        return self._normalize(frames_BTF.unsqueeze(3), mask_BT).squeeze(3)

    def _normalize(self, rows_BTCF: Tensor, mask_BT: Tensor) -> Tensor:
        mask_BT11 = mask_BT[:, :, None, None].float()
        if not self.training:
            scale_C = self.weight * torch.rsqrt(self.running_var + self.eps)
            shift_C = self.bias - self.running_mean * scale_C
            return affine(rows_BTCF.float(), scale_C, shift_C, mask_BT11).to(rows_BTCF.dtype)
        running = (self.running_mean, self.running_var)
        normal_BTCF, (mean_C, var_C, count) = batch_norm(
            rows_BTCF, mask_BT11, self.weight, self.bias, *running, self.eps
        )
        with torch.no_grad():
            momentum = self.momentum * (count > 1)
            self.running_mean.lerp_(mean_C, momentum)
            self.running_var.lerp_(var_C * count / (count - 1).clamp(min=1), momentum)
        return normal_BTCF


class MaskedConv2d(nn.Module):
    """Convolution over (time, frequency) with "same" padding, then masked batch norm and ReLU.

    Kernel sizes are odd. A stride s leaves ceil(T / s) frames. Input must be zero in padded frames; output is. Without
    `norm` the convolution has a bias.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel: tuple[int, int],
        stride: tuple[int, int] = (1, 1),
        *,
        norm: bool = True,
        relu: bool = True,
    ) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.time_stride = stride[0]
        self.relu = relu
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, stride, padding, bias=not norm)
        self.norm = MaskedBatchNorm(channels_out) if norm else None

    def forward(self, images_BCTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        convolved_BCTF = self.conv(images_BCTF)
        lengths_B = strided_lengths(lengths_B, self.time_stride)
        mask_BT = frame_mask(lengths_B, convolved_BCTF.shape[2])
        masked_BCTF = zero_padding(convolved_BCTF, mask_BT) if self.norm is None else self.norm(convolved_BCTF, mask_BT)
        return functional.relu(masked_BCTF) if self.relu else masked_BCTF, lengths_B


class MaskedConv1d(nn.Module):
    """Convolution over time with "same" padding, all features at once, then masked batch norm and ReLU.

    Takes and gives (frames_BTF, lengths_B). Kernel sizes are odd. A stride s leaves ceil(T / s) frames. Input must be
    zero in padded frames; output is.
    """

    def __init__(self, size_in: int, size_out: int, kernel: int, stride: int = 1, dilation: int = 1) -> None:
        super().__init__()
        self.stride = stride
        padding = dilation * (kernel // 2)
        self.conv = nn.Conv1d(size_in, size_out, kernel, stride, padding, dilation, bias=False)
        self.norm = MaskedBatchNorm(size_out)

    def forward(self, frames_BTF: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        convolved_BTF = self.conv(frames_BTF.transpose(1, 2)).transpose(1, 2)
        lengths_B = strided_lengths(lengths_B, self.stride)
        mask_BT = frame_mask(lengths_B, convolved_BTF.shape[1])
        return functional.relu(self.norm.sequence(convolved_BTF, mask_BT)), lengths_B
