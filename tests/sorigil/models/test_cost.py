import pytest

from sorigil.models.cost import multiply_adds, parameters
from sorigil.models.network import build
from sorigil.models.specs import Cnn2dSpec, GruSpec, LstmSpec, RnnSpec


@pytest.mark.parametrize(("spec", "gates"), [(RnnSpec, 1), (GruSpec, 3), (LstmSpec, 4)])
def test_a_recurrent_network_multiplies_input_and_state_for_every_gate(spec: type, gates: int) -> None:
    hidden, bands, classes, frames, stack = 8, 10, 5, 40, 2
    network = build(spec(hidden=hidden, layers=2, stack=stack), "ctc", bands, classes)
    steps = frames // stack
    first = 2 * gates * hidden * (bands * stack + hidden)
    second = 2 * gates * hidden * (2 * hidden + hidden)
    assert multiply_adds(network, frames, bands) == steps * (first + second + 2 * hidden * classes)


def test_a_convolution_multiplies_its_kernel_at_every_place() -> None:
    spec = Cnn2dSpec(channels=(4,), time_strides=(1,), kernel=3, hidden=6)
    network = build(spec, "classification", 8, 5)
    counted = multiply_adds(network, 20, 8)
    convolution = sum(layer.weight.numel() * 20 * 8 for layer in network.modules() if type(layer).__name__ == "Conv2d")
    assert convolution <= counted <= convolution + 20 * parameters(network)


def test_cost_grows_with_the_length_and_leaves_the_network_as_it_was() -> None:
    network = build(GruSpec(hidden=8, layers=1), "ctc", 10, 5).train()
    assert multiply_adds(network, 200, 10) == 2 * multiply_adds(network, 100, 10)
    assert network.training


def test_frozen_weights_are_no_parameters() -> None:
    network = build(GruSpec(hidden=8, layers=1), "ctc", 10, 5)
    everything = parameters(network)
    network.head.requires_grad_(False)
    assert parameters(network) == everything - (16 * 5 + 5)
