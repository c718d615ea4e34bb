"""Whether a network says the same as ONNX as in torch, at lengths it was not exported with.

torch's exporter of before is used (`dynamo=False`): the newer one unrolls recurrent layers to the exported length. Either
may go wrong without a word at another length, so two others are always tried.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
import onnxruntime
import torch

from sorigil.models.network import Network


def check_onnx(
    network: Network, input_dim: int, frames: tuple[int, ...] = (50, 77, 23), tolerance: float = 1e-4
) -> None:
    """Export with the first number of frames, in batches of two; compare at all of them, in batches of three."""
    network.eval()
    lengths_B = torch.tensor([frames[0], frames[0] * 3 // 4])
    written = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network,
            (torch.randn(2, frames[0], input_dim), lengths_B),
            written,
            dynamo=False,
            input_names=["features", "lengths"],
            output_names=["log_probs", "output_lengths"],
            dynamic_axes={name: {0: "B", 1: "T"} for name in ("features", "log_probs")}
            | {name: {0: "B"} for name in ("lengths", "output_lengths")},
        )
    session = onnxruntime.InferenceSession(written.getvalue(), providers=["CPUExecutionProvider"])
    for length in frames:
        features_BTF, lengths_B = torch.randn(3, length, input_dim), torch.tensor([length, length - 5, 4])
        with torch.no_grad():
            expected, expected_lengths_B = network(features_BTF, lengths_B)
        given = {"features": features_BTF.numpy(), "lengths": lengths_B.numpy()}
        found, found_lengths_B = session.run(None, given)
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=tolerance)
        np.testing.assert_array_equal(found_lengths_B, expected_lengths_B.numpy())
