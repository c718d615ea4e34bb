"""The log-mel features that Parakeet (FastConformer, Rekesh et al. 2023) was trained on, as a part of the network.

As NeMo and transformers compute them: pre-emphasis, power spectrum, Slaney's mel bands, natural logarithm, and each band
to mean 0 and variance 1 over the item's own frames. Checked against `transformers.ParakeetFeatureExtractor`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sorigil.features.mel import LogMel, bank_of
from sorigil.models.masking import frame_mask

PRE_EMPHASIS = 0.97
GUARD = 2.0**-24  # added before the logarithm
EPSILON = 1e-5  # added to the standard deviation


class ParakeetFeatures(nn.Module):
    """samples_BT, zero in padding -> (features_BTF, lengths_B), a frame each 10 ms at 16 kHz."""

    window: Tensor
    bank: Tensor

    def __init__(
        self, bands: int, sample_rate: int, n_fft: int = 512, win_length: int = 400, hop_length: int = 160
    ) -> None:
        super().__init__()
        self.n_fft, self.win_length, self.hop_length = n_fft, win_length, hop_length
        self.least = 2 * hop_length  # one frame has no variance
        bank = bank_of(LogMel(n_fft=n_fft, win_length=win_length, hop_length=hop_length, n_mels=bands), sample_rate)
        self.register_buffer("bank", torch.from_numpy(bank.copy()).float(), persistent=False)
        self.register_buffer("window", torch.hann_window(win_length, periodic=False), persistent=False)

    def output_lengths(self, lengths_B: Tensor) -> Tensor:
        return lengths_B // self.hop_length

    def forward(self, samples_BT: Tensor, lengths_B: Tensor) -> tuple[Tensor, Tensor]:
        mask_BT = frame_mask(lengths_B, samples_BT.shape[1])
        samples_BT = samples_BT.float()
        emphasised_BT = torch.cat([samples_BT[:, :1], samples_BT[:, 1:] - PRE_EMPHASIS * samples_BT[:, :-1]], dim=1)
        emphasised_BT = emphasised_BT * mask_BT
        power_BTF = (
            self._power_for_onnx(emphasised_BT) if torch.onnx.is_in_onnx_export() else self._power(emphasised_BT)
        )
        mels_BTF = torch.log(power_BTF @ self.bank + GUARD)
        lengths_B = self.output_lengths(lengths_B)
        return _normalized(mels_BTF, lengths_B), lengths_B

    def _power(self, samples_BT: Tensor) -> Tensor:
        spectrum_BFT = torch.stft(
            samples_BT,
            self.n_fft,
            hop_length=self.hop_length,
            win_length=self.win_length,
            window=self.window,
            pad_mode="constant",
            return_complex=True,
        )
        return torch.view_as_real(spectrum_BFT).square().sum(-1).transpose(1, 2)

    def _power_for_onnx(self, samples_BT: Tensor) -> Tensor:
        """The same by the sum that the transform stands for: neither of torch's exporters writes its `stft`."""
        side = (self.n_fft - self.win_length) // 2
        window = functional.pad(self.window, (side, self.n_fft - self.win_length - side)).double()
        time_N = torch.arange(self.n_fft, dtype=torch.float64)
        bins_F1 = torch.arange(self.n_fft // 2 + 1, dtype=torch.float64).unsqueeze(1)
        turns_FN = 2 * torch.pi * (bins_F1 * time_N % self.n_fft) / self.n_fft  # cut to one turn, for exact cosines
        waves_FN = torch.cat([turns_FN.cos(), turns_FN.sin()]) * window
        padded_B1T = functional.pad(samples_BT, (self.n_fft // 2, self.n_fft // 2)).unsqueeze(1)
        parts_BFT = functional.conv1d(padded_B1T, waves_FN.float().unsqueeze(1), stride=self.hop_length)
        real_BFT, imaginary_BFT = parts_BFT.chunk(2, dim=1)
        return (real_BFT.square() + imaginary_BFT.square()).transpose(1, 2)


def _normalized(mels_BTF: Tensor, lengths_B: Tensor) -> Tensor:
    mask_BT1 = frame_mask(lengths_B, mels_BTF.shape[1]).unsqueeze(2)
    count_B11 = lengths_B.view(-1, 1, 1)
    centred_BTF = (mels_BTF - (mels_BTF * mask_BT1).sum(1, keepdim=True) / count_B11) * mask_BT1
    variance_B1F = centred_BTF.square().sum(1, keepdim=True) / (count_B11 - 1)
    return centred_BTF / (variance_B1F.sqrt() + EPSILON)
