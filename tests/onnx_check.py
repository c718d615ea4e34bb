"""Whether a network says the same as ONNX as in torch, at lengths it was not exported with.

torch's exporter of before is used (`dynamo=False`): the newer one unrolls recurrent layers to the exported length. What the
older one does not know (transformers' masks) goes by the newer. Either may go wrong without a word at another length, so
two others are always tried.
"""

from __future__ import annotations

import io
import warnings

import numpy as np
import onnxruntime
import torch

from sorigil.models.network import Network


def check_onnx(
    network: Network,
    input_dim: int,
    frames: tuple[int, ...] = (50, 77, 23),
    tolerance: float = 1e-4,
    dynamo: bool = False,
) -> None:
    """Export with the first number of frames, in batches of two; compare at all of them, in batches of three."""
    network.eval()
    example = (torch.randn(2, frames[0], input_dim), torch.tensor([frames[0], frames[0] * 3 // 4]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        written = _by_the_newer(network, example) if dynamo else _by_the_older(network, example)
    session = onnxruntime.InferenceSession(written, providers=["CPUExecutionProvider"])
    for length in frames:
        features_BTF, lengths_B = torch.randn(3, length, input_dim), torch.tensor([length, length - 5, 4])
        with torch.no_grad():
            expected, expected_lengths_B = network(features_BTF, lengths_B)
        given = {"features": features_BTF.numpy(), "lengths": lengths_B.numpy()}
        found, found_lengths_B = session.run(None, given)
        np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=tolerance)
        np.testing.assert_array_equal(found_lengths_B, expected_lengths_B.numpy())


NAMES = {"input_names": ["features", "lengths"], "output_names": ["log_probs", "output_lengths"]}


def _by_the_older(network: Network, example: tuple[torch.Tensor, torch.Tensor]) -> bytes:
    written = io.BytesIO()
    torch.onnx.export(
        network,
        example,
        written,
        dynamo=False,
        **NAMES,
        dynamic_axes={name: {0: "B", 1: "T"} for name in ("features", "log_probs")}
        | {name: {0: "B"} for name in ("lengths", "output_lengths")},
    )
    return written.getvalue()


def _by_the_newer(network: Network, example: tuple[torch.Tensor, torch.Tensor]) -> bytes:
    free = torch.export.Dim.DYNAMIC
    shapes = {"features_BTF": {0: free, 1: free}, "lengths_B": {0: free}}
    program = torch.onnx.export(network, example, dynamo=True, dynamic_shapes=shapes, verbose=False, **NAMES)
    written = io.BytesIO()
    assert program is not None
    program.save(written)
    return written.getvalue()
