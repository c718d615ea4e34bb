"""Batch normalisation over the valid frames of all processes, forwards and backwards, without gathering them.

Sums are taken over each row of F values, then over rows with the mask as their weights. Nothing is indexed, so a GPU never
waits for the host, and one large tensor is written forwards and one backwards. `masking:MaskedBatchNorm` is the layer.
B batch, T frames, C channels, F values of a channel in a frame; all arithmetic is in float32.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sorigil.models import synchronise

Statistics = tuple[Tensor, Tensor, Tensor]  # mean_C, var_C (biased), and how many values each channel has in all


def batch_norm(
    rows_BTCF: Tensor,
    mask_BT11: Tensor,
    weight_C: Tensor,
    bias_C: Tensor,
    running_mean_C: Tensor,
    running_var_C: Tensor,
    eps: float,
) -> tuple[Tensor, Statistics]:
    """Normalise values per channel by the mean and variance of those whose mask is 1; the others, which must be finite,
    become zero. A single value in all has no variance: it is normalised by the running statistics.
    """
    arguments = (rows_BTCF, mask_BT11, weight_C, bias_C, running_mean_C, running_var_C, eps)
    normal_BTCF, *statistics = _BatchNorm.apply(*arguments)  # type: ignore[no-untyped-call]
    return normal_BTCF, tuple(statistics)


def affine(rows_BTCF: Tensor, scale_C: Tensor, shift_C: Tensor, mask_BT11: Tensor) -> Tensor:
    """Return scale · value + shift, times the mask."""
    return torch.addcmul(_column(shift_C), rows_BTCF, _column(scale_C)) * mask_BT11


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        rows_BTCF: Tensor,
        mask_BT11: Tensor,
        weight_C: Tensor,
        bias_C: Tensor,
        running_mean_C: Tensor,
        running_var_C: Tensor,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        wide_BTCF, context.share = rows_BTCF.float(), synchronise.share()
        own = torch.cat([_masked_sum(_row_sums(wide_BTCF), mask_BT11), mask_BT11.sum().view(1) * rows_BTCF.shape[3]])
        sums = synchronise.sum_of_all(context.share * own)
        count = sums[-1]
        mean_C = sums[:-1] / count
        # in a second pass: from sums of squares, the variance of what is far from zero would lose its digits
        work_BTCF = wide_BTCF - _column(mean_C)
        own = _masked_sum(_row_squares(work_BTCF), mask_BT11)
        var_C = synchronise.sum_of_all(context.share * own) / count
        mean_C = torch.where(count > 1, mean_C, running_mean_C)
        var_C = torch.where(count > 1, var_C, running_var_C)
        scale_C = weight_C * torch.rsqrt(var_C + eps)
        shift_C = bias_C - mean_C * scale_C
        # into memory that is there already: pages of new memory cost as much as the arithmetic
        torch.addcmul(_column(shift_C), wide_BTCF, _column(scale_C), out=work_BTCF).mul_(mask_BT11)
        context.save_for_backward(rows_BTCF, mask_BT11, weight_C, mean_C, var_C, count)
        context.eps = eps
        context.mark_non_differentiable(mean_C, var_C, count)
        return work_BTCF.to(rows_BTCF.dtype), mean_C, var_C, count

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Ioffe & Szegedy 2015, section 3: what a value does itself, and through the mean and the variance."""
        rows_BTCF, mask_BT11, weight_C, mean_C, var_C, count = context.saved_tensors
        wide_BTCF, gradient_BTCF = rows_BTCF.float(), gradients[0].float()
        rate_C = torch.rsqrt(var_C + context.eps)
        work_BTCF = (wide_BTCF - _column(mean_C)).mul_(gradient_BTCF)
        bias_C = _masked_sum(_row_sums(gradient_BTCF), mask_BT11)
        slope_C = _masked_sum(_row_sums(work_BTCF), mask_BT11) * rate_C
        bias_of_all_C, slope_of_all_C = synchronise.sum_of_all(torch.stack([bias_C, slope_C]))
        part_C = -weight_C * rate_C / count * (count > 1) * context.share
        scale_C = part_C * slope_of_all_C * rate_C
        shift_C = part_C * bias_of_all_C - scale_C * mean_C
        torch.addcmul(_column(shift_C), wide_BTCF, _column(scale_C), out=work_BTCF)
        work_BTCF.addcmul_(gradient_BTCF, _column(weight_C * rate_C)).mul_(mask_BT11)
        return work_BTCF.to(rows_BTCF.dtype), None, slope_C, bias_C, None, None, None


def _row_sums(rows_BTCF: Tensor) -> Tensor:
    return rows_BTCF.squeeze(3) if rows_BTCF.shape[3] == 1 else rows_BTCF.sum(3)


def _row_squares(rows_BTCF: Tensor) -> Tensor:
    """The sums of the squares of each row; the rows may be overwritten."""
    norms_BTC: Tensor = rows_BTCF.squeeze(3) if rows_BTCF.shape[3] == 1 else torch.linalg.vector_norm(rows_BTCF, dim=3)
    return norms_BTC.square_()


def _masked_sum(values_BTC: Tensor, mask_BT11: Tensor) -> Tensor:
    with torch.autocast(values_BTC.device.type, enabled=False):
        found_C: Tensor = mask_BT11.flatten() @ values_BTC.flatten(0, 1)
        return found_C


def _column(values_C: Tensor) -> Tensor:
    return values_C.unsqueeze(1)
