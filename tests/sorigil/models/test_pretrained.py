"""Encoders of transformers: what transformers itself says, whatever stands beside an item, and weights that must fit."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
from onnx_check import check_onnx
from safetensors.torch import load, save
from tiny_pretrained import ALL, AST, HUBERT, PARAKEET, RAW, STABLE, WAV2VEC2, WAVLM

from sorigil.errors import RequestError
from sorigil.fingerprint import fingerprint
from sorigil.models.masking import frame_mask
from sorigil.models.network import Network, build
from sorigil.models.parakeet import ParakeetFeatures
from sorigil.models.specs import AstSpec, Objective, Wav2Vec2Spec
from sorigil.models.wav2vec2 import MaskedGroupNorm, least_samples, random_spans
from sorigil.training.optimizer import freeze, make_optimizer, set_learning_rate
from sorigil.training.spec import SgdSpec, TrainSpec

transformers = pytest.importorskip("transformers")
CASES = [
    (name, objective) for name in ALL for objective in ("classification", "ctc") if (name, objective) != ("ast", "ctc")
]


def network(name: str, objective: Objective = "classification", seed: int = 0) -> Network:
    torch.manual_seed(seed)
    spec, columns = ALL[name]
    return build(spec, objective, columns, 5).eval()


def inputs(name: str, length: int = 3000, seed: int = 1) -> torch.Tensor:
    columns = ALL[name][1]
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(1, length if columns == 1 else length // 30, columns, generator=generator)


@pytest.mark.parametrize(("name", "objective"), CASES)
def test_padding_changes_no_output(name: str, objective: Objective) -> None:
    net = network(name, objective)
    longest = inputs(name).shape[1]
    lengths_B = torch.tensor([longest, 1, longest // 2, longest // 4 + 3, longest - 1])
    features_BTF = torch.randn(5, longest, ALL[name][1])
    features_BTF[~frame_mask(lengths_B, longest)] = 1e3
    together, lengths_out_B = net(features_BTF, lengths_B)
    for place, length in enumerate(lengths_B.tolist()):
        alone, alone_lengths_B = net(features_BTF[place : place + 1, :length], torch.tensor([length]))
        assert alone_lengths_B.tolist() == [lengths_out_B[place]] == net.output_lengths(torch.tensor([length])).tolist()
        beside = together[place : place + 1, : alone.shape[1]] if objective == "ctc" else together[place : place + 1]
        torch.testing.assert_close(beside, alone, rtol=0, atol=1e-5)


def test_without_the_mask_padding_would_change_the_base_model() -> None:
    """The effect that the masked group norm takes away: transformers' own does not."""
    net = network("wav2vec2")
    samples_BT = inputs("wav2vec2").squeeze(2)
    padded_BT = torch.nn.functional.pad(samples_BT, (0, 3000))
    theirs = transformers.Wav2Vec2Model(transformers.Wav2Vec2Config(**WAV2VEC2)).eval()
    theirs.load_state_dict(net.encoder.model.state_dict())
    mask_BT = frame_mask(torch.tensor([3000]), 6000).long()
    with torch.no_grad():
        alone, beside = theirs(samples_BT), theirs(padded_BT, attention_mask=mask_BT)
        frames = alone.last_hidden_state.shape[1]
        apart = (alone.last_hidden_state - beside.last_hidden_state[:, :frames]).abs().max()
        ours, _ = net.encoder(padded_BT[..., None], torch.tensor([3000]))
    assert apart > 0.01
    torch.testing.assert_close(ours, alone.last_hidden_state, rtol=0, atol=1e-5)


@pytest.mark.parametrize("config", [WAV2VEC2, STABLE, HUBERT, WAVLM], ids=["base", "layer norm", "hubert", "wavlm"])
def test_raw_audio_gives_what_transformers_gives(config: dict[str, Any]) -> None:
    net = build(Wav2Vec2Spec(config=config), "ctc", 1, 5).eval()
    family = {"wav2vec2": "Wav2Vec2", "hubert": "Hubert", "wavlm": "WavLM"}[config.get("model_type", "wav2vec2")]
    values = {name: value for name, value in config.items() if name != "model_type"}
    theirs = getattr(transformers, f"{family}Model")(getattr(transformers, f"{family}Config")(**values)).eval()
    net.encoder.load({f"{family.lower()}.{name}": value for name, value in theirs.state_dict().items()})
    samples = inputs("wav2vec2")
    with torch.no_grad():
        ours, lengths_B = net.encoder(samples, torch.tensor([samples.shape[1]]))
        expected = theirs(samples.squeeze(2)).last_hidden_state
    assert lengths_B.tolist() == [expected.shape[1]]
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5)


def test_parakeet_gives_what_transformers_gives_from_its_own_features() -> None:
    net = network("parakeet")
    values = {name: value for name, value in PARAKEET.items() if name != "model_type"}
    theirs = transformers.ParakeetEncoder(transformers.ParakeetEncoderConfig(**values)).eval()
    net.encoder.load({f"encoder.{name}": value for name, value in theirs.state_dict().items()})
    samples = [0.1 * inputs("parakeet", length)[0, :, 0].numpy() for length in (24_000, 10_001)]
    extractor = transformers.ParakeetFeatureExtractor(feature_size=16)
    found = extractor(samples, sampling_rate=16_000, return_tensors="pt")
    lengths_B = torch.tensor([24_000, 10_001])
    padded_BT = torch.from_numpy(np.stack([np.pad(each, (0, 24_000 - len(each))) for each in samples]))
    mels_BTF, frames_B = net.encoder.features(padded_BT, lengths_B)
    assert frames_B.tolist() == found["attention_mask"].sum(1).tolist()
    torch.testing.assert_close(mels_BTF, found["input_features"], rtol=0, atol=2e-4)
    with torch.no_grad():
        expected = theirs(found["input_features"], attention_mask=found["attention_mask"])
        ours, out_lengths_B = net.encoder(padded_BT[..., None], lengths_B)
    assert out_lengths_B.tolist() == expected.attention_mask.sum(1).tolist()
    for place, length in enumerate(out_lengths_B.tolist()):
        torch.testing.assert_close(ours[place, :length], expected.last_hidden_state[place, :length], rtol=0, atol=1e-5)


def test_a_recognisers_configuration_is_that_of_the_encoder_in_it() -> None:
    whole = {"model_type": "parakeet_ctc", "encoder_config": PARAKEET, "vocab_size": 30}
    torch.manual_seed(0)
    theirs = transformers.ParakeetForCTC(transformers.ParakeetCTCConfig(encoder_config=PARAKEET, vocab_size=30))
    net = build(Wav2Vec2Spec(config=whole), "ctc", 1, 5)
    net.encoder.load(theirs.state_dict())
    torch.testing.assert_close(net.encoder.model.subsampling.linear.weight, theirs.encoder.subsampling.linear.weight)


def test_ast_gives_what_transformers_gives_at_its_own_length() -> None:
    net = network("ast")
    values = {**AST, "num_mel_bins": 24}
    theirs = transformers.ASTForAudioClassification(transformers.ASTConfig(**values)).eval()
    torch.nn.init.normal_(theirs.audio_spectrogram_transformer.embeddings.position_embeddings)
    torch.nn.init.normal_(theirs.audio_spectrogram_transformer.embeddings.cls_token)
    net.encoder.load(theirs.state_dict())
    features = torch.randn(2, 64, 24)
    with torch.no_grad():
        ours, lengths_B = net.encoder(features, torch.tensor([64, 64]))
        expected = theirs.audio_spectrogram_transformer(features).pooler_output
    assert lengths_B.tolist() == [1, 1]
    torch.testing.assert_close(ours[:, 0], expected, rtol=0, atol=1e-5)


def test_positions_of_ast_are_stretched_over_longer_items_and_other_bands() -> None:
    encoder = network("ast").encoder
    torch.nn.init.normal_(encoder.model.embeddings.position_embeddings)
    bands, moments = encoder.grid
    learned = encoder.model.embeddings.position_embeddings[0, 2:].T.unflatten(1, encoder.grid)
    with torch.no_grad():
        own = encoder._positions(bands, moments, torch.tensor([moments, 2]))
        torch.testing.assert_close(own, learned.expand(2, -1, -1, -1))
        longer = encoder._positions(bands, 2 * moments - 1, torch.tensor([2 * moments - 1]))[0]
        torch.testing.assert_close(longer[:, :, ::2], learned, rtol=0, atol=1e-5)
        torch.testing.assert_close(longer[:, :, 1], (learned[:, :, 0] + learned[:, :, 1]) / 2, rtol=0, atol=1e-5)
        wider = encoder._positions(3, moments, torch.tensor([moments]))[0]
        expected = torch.nn.functional.interpolate(learned[None], (3, moments), mode="bilinear")[0]
        torch.testing.assert_close(wider, expected)
    narrow = AstSpec(config={**AST, "num_mel_bins": 128})  # pretrained on 128 bands, heard on 24
    assert build(narrow, "classification", 24, 3).eval()(torch.randn(1, 90, 24), torch.tensor([90]))[0].shape == (1, 3)


@pytest.mark.parametrize("name", ALL)
def test_every_weight_learns(name: str) -> None:
    torch.manual_seed(0)
    spec, columns = ALL[name]
    net = build(spec, "classification", columns, 5).train()
    features_BTF = inputs(name, 9000).repeat(2, 1, 1)
    length = features_BTF.shape[1]
    net(features_BTF, torch.tensor([length, length // 2]))[0][:, 1].sum().backward()
    still = [key for key, weight in net.named_parameters() if weight.grad is None or not weight.grad.abs().sum()]
    assert [key for key in still if not key.endswith("k_proj.bias")] == []  # a softmax does not feel that one


@pytest.mark.parametrize("name", ALL)
def test_padding_has_no_gradient(name: str) -> None:
    net = network(name)
    features_BTF = inputs(name).repeat(2, 1, 1).requires_grad_()
    length = features_BTF.shape[1]
    net(features_BTF, torch.tensor([length, length // 2]))[0][:, 1].sum().backward()
    assert features_BTF.grad is not None and features_BTF.grad[1, length // 2 :].abs().sum() == 0
    assert features_BTF.grad[1, : length // 2].abs().sum() > 0


@pytest.mark.parametrize("name", ALL)
def test_training_draws_from_torchs_generator_alone(name: str) -> None:
    net = network(name).train()
    features = inputs(name, 9000)
    lengths = torch.tensor([features.shape[1]])
    outputs = []
    for numpy_seed in (1, 2):
        np.random.seed(numpy_seed)
        torch.manual_seed(3)
        outputs.append(net(features, lengths)[0])
    torch.testing.assert_close(*outputs, rtol=0, atol=0)


@pytest.mark.parametrize("name", RAW)
def test_training_takes_audio_shorter_than_a_span_of_the_mask(name: str) -> None:
    spec, _ = ALL[name]
    net = build(spec, "classification", 1, 5).train()
    assert bool(net(torch.randn(2, 60, 1), torch.tensor([60, 45]))[0].isfinite().all())


def test_masked_spans_cover_about_their_share() -> None:
    torch.manual_seed(0)
    mask_BT = random_spans((40, 1000), 0.05, 10, torch.device("cpu"))
    assert 0.04 < mask_BT.float().mean() < 0.055
    runs = [len(run) for row in mask_BT.int().tolist() for run in re.findall("1+", "".join(map(str, row)))]
    assert np.median(runs) == 10
    assert not random_spans((2, 5), 0.0, 10, torch.device("cpu")).any()


def test_masked_group_norm_is_torchs_over_an_items_own_frames() -> None:
    torch.manual_seed(0)
    theirs = torch.nn.GroupNorm(6, 6)
    torch.nn.init.normal_(theirs.weight)
    torch.nn.init.normal_(theirs.bias)
    ours = MaskedGroupNorm.like(theirs)
    values_BCT = torch.randn(2, 6, 50) * 3 + 1
    ours.lengths_B = torch.tensor([50, 21])
    normal_BCT = ours(values_BCT)
    torch.testing.assert_close(normal_BCT[:1], theirs(values_BCT[:1]), rtol=0, atol=1e-5)
    torch.testing.assert_close(normal_BCT[1:, :, :21], theirs(values_BCT[1:, :, :21]), rtol=0, atol=1e-5)


def test_the_least_audio_is_what_the_convolutions_need() -> None:
    assert least_samples((10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)) == 400
    net = network("wav2vec2")
    needed = net.encoder.least
    assert net.output_lengths(torch.tensor([1, needed, needed + net.stride - 1, needed + net.stride])).tolist() == [
        1,
        1,
        1,
        2,
    ]


@pytest.mark.parametrize("name", ALL)
def test_weights_come_back(name: str) -> None:
    net, other = network(name), network(name, seed=9)
    other.load_state_dict(load(save({key: value.contiguous() for key, value in net.state_dict().items()})))
    features = inputs(name)
    lengths = torch.tensor([features.shape[1]])
    assert torch.equal(net(features, lengths)[0], other(features, lengths)[0])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["wav2vec2", "wav2vec2-layer-norm", "hubert", "wavlm", "ast"])
def test_as_onnx_it_says_the_same_at_other_lengths(name: str) -> None:
    columns = ALL[name][1]
    check_onnx(network(name), columns, (3000, 4111, 1501) if columns == 1 else (100, 177, 55), dynamo=True)


def test_parakeet_as_onnx_says_the_same_at_other_lengths() -> None:
    check_onnx(network("parakeet"), 1, (12_800, 16_000, 7_041))


def test_parakeets_spectrum_for_onnx_is_that_of_the_fourier_transform() -> None:
    torch.manual_seed(0)
    features, samples_BT = ParakeetFeatures(16, 16_000), torch.randn(2, 3011)
    power_BTF = features._power(samples_BT)
    torch.testing.assert_close(
        features._power_for_onnx(samples_BT), power_BTF, rtol=0, atol=2e-6 * float(power_BTF.max())
    )


@pytest.mark.parametrize("name", ALL)
def test_layers_are_told_from_below(name: str) -> None:
    net = network(name)
    depths = {key: net.encoder.layer_of(key) for key, _ in net.encoder.named_parameters()}
    assert set(depths.values()) == {0, 1, 2}
    layers = {key: found for key in depths if (found := re.match(r"model\.(?:encoder\.)?layers\.(\d)\.", key))}
    assert layers and all(depths[key] == int(found[1]) + 1 for key, found in layers.items())
    first = {"ast": "model.embeddings.cls_token", "parakeet": "model.subsampling.layers.0.weight"}
    assert depths[first.get(name, "model.feature_extractor.conv_layers.1.conv.weight")] == 0


# name: what is frozen, and one weight of each depth with the share of the rate that halves from layer to layer
TUNED: dict[str, tuple[str, dict[str, float]]] = {
    "wav2vec2": (
        "encoder.model.feature_extractor",
        {
            "encoder.model.feature_projection.projection.weight": 0.125,
            "encoder.model.encoder.layers.0.attention.q_proj.weight": 0.25,
            "encoder.model.encoder.layers.1.attention.q_proj.bias": 0.5,
        },
    ),
    "parakeet": (
        "encoder.model.subsampling.layers",
        {
            "encoder.model.subsampling.linear.weight": 0.125,
            "encoder.model.layers.0.self_attn.q_proj.weight": 0.25,
            "encoder.model.layers.1.conv.pointwise_conv1.weight": 0.5,
        },
    ),
    "ast": (
        "encoder.model.embeddings.patch_embeddings",
        {
            "encoder.model.embeddings.position_embeddings": 0.125,
            "encoder.model.layers.0.attention.q_proj.weight": 0.25,
            "encoder.model.layernorm.weight": 0.5,
        },
    ),
}


@pytest.mark.parametrize("name", TUNED)
def test_a_frozen_part_stays_and_lower_layers_move_less(name: str) -> None:
    frozen, scales = TUNED[name]
    spec, columns = ALL[name]
    torch.manual_seed(0)
    net = build(spec, "classification", columns, 5)
    rest = freeze(net, (frozen,))
    assert any(module is net.get_submodule(frozen) for module in rest)
    learning = {**scales, "head.project.weight": 1.0}
    before = {key: weight.detach().clone() for key, weight in net.named_parameters()}
    optimizer = make_optimizer(
        net, TrainSpec(layer_decay=0.5, weight_decay=0.0, optimizer=SgdSpec(momentum=0.0, nesterov=False))
    )
    set_learning_rate(optimizer, 0.1)
    features_BTF = inputs(name, 9000)
    net(features_BTF, torch.tensor([features_BTF.shape[1]]))[0][:, 1].sum().backward()
    optimizer.step()
    after = dict(net.named_parameters())
    below = [key for key in after if key.startswith(frozen)]
    assert below and all(torch.equal(after[key], before[key]) for key in below)
    for key, scale in learning.items():
        gradient = after[key].grad
        assert gradient is not None and gradient.abs().sum() > 0, key
        torch.testing.assert_close(after[key].detach(), before[key] - 0.1 * scale * gradient, msg=key)


# name: a weight that is left out, one of another shape and what it should be
UNFIT = {
    "wav2vec2": ("feature_projection.projection.weight", "encoder.layers.0.final_layer_norm.bias", (16,)),
    "ast": ("embeddings.cls_token", "embeddings.position_embeddings", (1, 7, 16)),
    "parakeet": ("subsampling.linear.bias", "layers.1.norm_out.weight", (16,)),
}


@pytest.mark.parametrize("name", UNFIT)
def test_weights_that_do_not_fit_are_named(name: str) -> None:
    missing, other, shape = UNFIT[name]
    net = network(name)
    weights = dict(network(name, seed=2).encoder.model.state_dict())
    assert tuple(weights[other].shape) == shape
    del weights[missing]
    weights[other] = torch.zeros(3)
    weights["lm_head.weight"] = torch.zeros(9, 16)
    with pytest.raises(RequestError) as caught:
        net.encoder.load(weights)
    said = str(caught.value)
    assert f"missing: {missing};" in said
    assert f"of another shape: {other} is (3,) instead of {shape};" in said
    assert said.endswith("not used: lm_head.weight")


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"hiden_size": 16}, "no 'hiden_size'; did you mean hidden_size"),
        ({"hidden_size": "wide"}, "cannot be"),
        ({**WAV2VEC2, "hidden_size": 31}, "cannot be built"),
        ({**WAV2VEC2, "add_adapter": True}, "add_adapter"),
    ],
)
def test_an_impossible_configuration_is_a_sentence(config: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=said):
        build(Wav2Vec2Spec(config=config), "ctc", 1, 5)


def test_a_family_that_is_not_known_is_refused() -> None:
    with pytest.raises(ValueError, match=r"config\.model_type is 'bert'; it must be one of wav2vec2, hubert, wavlm"):
        Wav2Vec2Spec(config={"model_type": "bert"})
    with pytest.raises(RequestError, match="raw audio"):
        build(RAW["hubert"], "ctc", 80, 5)


def test_the_place_of_weights_is_no_part_of_a_models_identity() -> None:
    here, there = (Wav2Vec2Spec(pretrained=place, config=WAV2VEC2, weights="ab") for place in ("./a", "./b"))
    assert fingerprint(here) == fingerprint(there)
    assert fingerprint(here) != fingerprint(Wav2Vec2Spec(pretrained="./a", config=WAV2VEC2, weights="cd"))


def test_sizes_are_those_that_were_published() -> None:
    with torch.device("meta"):
        base = build(Wav2Vec2Spec(), "ctc", 1, 32)
        ast = build(AstSpec(config={"num_mel_bins": 128}), "classification", 128, 527)
    # facebook/wav2vec2-base-960h has 94,396,320 with its head of 32 tokens: 768 · 32 + 32 of them
    assert sum(weight.numel() for weight in base.parameters()) == 94_396_320
    # the paper's 86.6 M of AST with 527 classes: its head has a layer norm and 768 · 527 + 527; ours twice 768, no norm
    encoder = sum(weight.numel() for weight in ast.encoder.parameters())
    assert encoder + 2 * 768 + 768 * 527 + 527 == 86_594_063
