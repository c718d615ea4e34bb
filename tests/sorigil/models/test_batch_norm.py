"""Masked batch norm against torch's own over the gathered valid values: values, statistics and gradients."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from sorigil.models.masking import MaskedBatchNorm, frame_mask

CHANNELS = 3


def gathered(norm: nn.BatchNorm1d, images_BCTF: Tensor, mask_BT: Tensor) -> Tensor:
    """The same by torch: the valid values of each channel in a row, and back between zeros."""
    rows_BTFC = images_BCTF.permute(0, 2, 3, 1)
    normal_BTFC = torch.zeros_like(rows_BTFC)
    normal_BTFC[mask_BT] = norm(rows_BTFC[mask_BT].flatten(0, 1)).unflatten(0, (-1, images_BCTF.shape[3]))
    return normal_BTFC.permute(0, 3, 1, 2)


def pair() -> tuple[MaskedBatchNorm, nn.BatchNorm1d]:
    """Both with the same weights and statistics, none of them as at the start."""
    torch.manual_seed(1)
    ours, theirs = MaskedBatchNorm(CHANNELS), nn.BatchNorm1d(CHANNELS)
    for value in (ours.weight.data, ours.bias.data, ours.running_mean, ours.running_var):
        value.uniform_(0.5, 2)
    theirs.load_state_dict(ours.state_dict() | {"num_batches_tracked": torch.tensor(0)})
    return ours, theirs


def outcome(norm: nn.Module, found: Tensor, given: Tensor) -> list[Tensor]:
    torch.manual_seed(2)
    found.backward(torch.randn(found.shape).to(found.dtype))
    assert given.grad is not None
    gradients = [weight.grad for weight in (norm.weight, norm.bias)]
    return [found.detach(), given.grad, *gradients, norm.running_mean, norm.running_var]  # type: ignore[list-item]


def assert_alike(images_BCTF: Tensor, lengths_B: Tensor, training: bool = True, tolerance: float = 1e-5) -> None:
    mask_BT = frame_mask(lengths_B, images_BCTF.shape[2])
    ours, theirs = (norm.train(training) for norm in pair())
    mine, torchs = (images_BCTF.clone().requires_grad_() for _ in range(2))
    expected = outcome(theirs, gathered(theirs, torchs, mask_BT), torchs)
    torch.testing.assert_close(outcome(ours, ours(mine, mask_BT), mine), expected, rtol=tolerance, atol=tolerance)
    if images_BCTF.shape[3] == 1:
        frames = images_BCTF.clone().requires_grad_()
        again = pair()[0].train(training)
        found = again.sequence(frames.squeeze(3).transpose(1, 2), mask_BT).transpose(1, 2).unsqueeze(3)
        torch.testing.assert_close(outcome(again, found, frames), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("training", [True, False])
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 5))
def test_it_is_torchs_batch_norm_of_the_valid_frames(training: bool, lengths: list[int], bands: int) -> None:
    torch.manual_seed(len(lengths) + 10 * bands)
    images_BCTF = torch.randn(len(lengths), CHANNELS, 9, bands) * 3 + 2
    if sum(lengths) * bands > 1:  # torch refuses a single value
        assert_alike(images_BCTF, torch.tensor(lengths), training, tolerance=2e-5)


def test_values_far_from_zero_keep_their_digits() -> None:
    torch.manual_seed(0)
    images_BCTF = torch.randn(4, CHANNELS, 50, 8) + 1000
    normal_BCTF = MaskedBatchNorm(CHANNELS)(images_BCTF, frame_mask(torch.tensor([50, 40, 7, 1]), 50))
    exact_BCTF = gathered(
        nn.BatchNorm1d(CHANNELS).double(), images_BCTF.double(), frame_mask(torch.tensor([50, 40, 7, 1]), 50)
    )
    torch.testing.assert_close(normal_BCTF.double(), exact_BCTF, rtol=0, atol=5e-4)  # 1000 has six digits behind it
    assert_alike(1e-3 * images_BCTF, torch.tensor([50, 40, 7, 1]), tolerance=5e-4)


@pytest.mark.parametrize("training", [True, False])
def test_half_precision_is_normalised_in_float32(training: bool) -> None:
    torch.manual_seed(0)
    exact_BCTF = (torch.randn(4, CHANNELS, 50, 8) * 3 + 2).bfloat16()
    mask_BT = frame_mask(torch.tensor([50, 40, 7, 1]), 50)
    wide, narrow = (pair()[0].train(training) for _ in range(2))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = exact_BCTF.clone().requires_grad_()
        found = outcome(narrow, narrow(rounded, mask_BT), rounded)
    precise = exact_BCTF.float().requires_grad_()
    expected = outcome(wide, wide(precise, mask_BT), precise)
    assert [each.dtype for each in found] == 2 * [torch.bfloat16] + 4 * [torch.float32]
    torch.testing.assert_close(found[4:], expected[4:])  # the statistics see no rounding beyond the input's
    torch.testing.assert_close(found[0].float(), expected[0], rtol=8e-3, atol=8e-3)


def test_a_single_value_is_normalised_by_what_was_seen_before() -> None:
    norm, _ = pair()
    before = [norm.running_mean.clone(), norm.running_var.clone()]
    image = torch.randn(1, CHANNELS, 4, 1, requires_grad=True)
    mask_BT = frame_mask(torch.tensor([1]), 4)
    found = norm(image, mask_BT)
    torch.testing.assert_close([norm.running_mean, norm.running_var], before)
    torch.testing.assert_close(found, norm.eval()(image, mask_BT))
    found.sum().backward()
    assert image.grad is not None
    torch.testing.assert_close(image.grad[0, :, 0, 0], norm.weight * torch.rsqrt(norm.running_var + norm.eps))
    assert image.grad[:, :, 1:].abs().sum() == 0


def test_what_stands_in_the_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    clean = torch.randn(2, CHANNELS, 9, 5)
    lengths_B = torch.tensor([9, 4])
    dirty = clean.clone()
    dirty[1, :, 4:] = 1e6
    mask_BT = frame_mask(lengths_B, 9)
    found = []
    for images in (clean, dirty):
        given, norm = images.requires_grad_(), pair()[0]
        found.append(outcome(norm, norm(given, mask_BT), given))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-6)
    assert found[1][0][1, :, 4:].abs().sum() == 0 and found[1][1][1, :, 4:].abs().sum() == 0
