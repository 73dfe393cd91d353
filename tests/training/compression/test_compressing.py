"""Each method on a model with random weights: what it promises of the weights, and that the folder can be read."""

import json

import pytest

from contracts.compression import CompressRequest
from contracts.enums import CompressionMethod
from contracts.errors import InvalidRequestError
from tests.tiny_model import TEXTS, make_tiny_model
from training.compression.compressing import CalibrationRows, check_model, compress

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def parent(tmp_path_factory):
    return make_tiny_model(tmp_path_factory.mktemp("parent") / "tiny")


@pytest.fixture(scope="module")
def rows(parent):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(parent)
    ids = [tokenizer(text)["input_ids"] for text in TEXTS]
    return CalibrationRows(calibration=ids, loss_ids=ids, loss_labels=ids)


def request_for(method, **changes):
    return CompressRequest.model_validate(
        {"job_name": "small", "parent_job_id": 1, "compression": method, "group_size": 32, **changes}
    )


def compressed(parent, rows, tmp_path, method, **changes):
    return compress(parent, tmp_path / "output", rows, request_for(method, **changes), lambda *_: None)


def tensors(folder):
    from safetensors.torch import load_file

    return {name: tensor for file in folder.glob("*.safetensors") for name, tensor in load_file(file).items()}


def unpacked(folder, name):
    """The weight that packed codes and scales stand for."""
    import torch

    found = tensors(folder)
    words, scales = found[f"{name}.weight_packed"], found[f"{name}.weight_scale"].float()
    codes = torch.stack([((words >> (4 * place)) & 15) - 8 for place in range(8)], 2).reshape(words.shape[0], -1)
    groups = scales.shape[1]
    return (codes.float().reshape(len(codes), groups, -1) * scales[:, :, None]).reshape(codes.shape)


def output_error(parent, folder, rows, weight_of):
    """Squared error of the first layer's query projection over what it is given, by the compressed weight."""
    import torch
    from transformers import AutoModelForCausalLM

    from training.compression.calibration import calibrated_layers

    model = AutoModelForCausalLM.from_pretrained(parent, dtype=torch.float32)
    layer = next(iter(calibrated_layers(model, rows.calibration)))
    difference = weight_of(folder) - layer.linears["mlp.gate_proj"].weight.detach()
    return float(((difference @ layer.statistics["mlp.gate_proj"].gram) * difference).sum())


GATE = "model.layers.0.mlp.gate_proj"


@pytest.mark.parametrize(
    ("method", "limit", "share"),
    [("int8", 0.02, 0.7), ("fp8", 0.05, 0.7), ("gptq", 0.3, 0.6), ("awq", 0.9, 0.6)],
)
def test_fewer_bits_make_a_smaller_folder_whose_weights_are_near_the_parents(
    parent, rows, tmp_path, method, limit, share
):
    facts = compressed(parent, rows, tmp_path, method)
    assert 0 < facts.relative_error < limit
    assert facts.compressed_bytes < share * facts.parent_bytes
    assert facts.parent_loss is not None
    assert facts.compressed_loss == pytest.approx(facts.parent_loss, rel=0.2)
    config = json.loads((tmp_path / "output" / "config.json").read_text())
    assert config["quantization_config"]["quant_method"] == "compressed-tensors"
    assert (tmp_path / "output" / "tokenizer.json").exists()


@pytest.mark.parametrize(("method", "limit"), [("int8", 0.02), ("fp8", 0.05), ("gptq", 0.3)])
def test_a_compressed_folder_is_read_back_as_the_ordinary_model_it_stands_for(parent, rows, tmp_path, method, limit):
    import torch
    from transformers import AutoModelForCausalLM

    from training.compression.unpacking import load_unpacked

    compressed(parent, rows, tmp_path, method)
    read = load_unpacked(tmp_path / "output").eval()
    original = AutoModelForCausalLM.from_pretrained(parent, dtype=torch.float32).eval()
    weight, wanted = (model.get_submodule(GATE).weight.detach() for model in (read, original))
    assert 0 < float((weight - wanted).norm() / wanted.norm()) < limit
    if method == "gptq":
        assert torch.equal(weight, unpacked(tmp_path / "output", GATE))
    ids = torch.tensor([rows.calibration[0]])
    with torch.inference_mode():
        said, first = (torch.log_softmax(model(input_ids=ids).logits, -1) for model in (read, original))
    likely = first.topk(3, -1).indices
    assert float((said.gather(-1, likely) - first.gather(-1, likely)).abs().mean()) < 10 * limit


def test_gptq_gives_outputs_nearer_to_the_parents_than_rounding_alone(parent, rows, tmp_path):
    from training.compression.rounding import round_to_integers

    compressed(parent, rows, tmp_path, "gptq")
    original = tensors(parent)[f"{GATE}.weight"].float()

    def gptq(folder):
        return unpacked(folder, GATE)

    def nearest(_folder):
        return round_to_integers(original, 4, 32).weight()

    found = output_error(parent, tmp_path / "output", rows, gptq)
    assert found < 0.8 * output_error(parent, tmp_path / "output", rows, nearest)


def test_awq_changes_what_layers_hold_and_not_what_they_compute(parent, rows):
    import torch
    from transformers import AutoModelForCausalLM

    from training.compression.awq import scale_channels
    from training.compression.calibration import calibrated_layers

    model = AutoModelForCausalLM.from_pretrained(parent, dtype=torch.float32)
    ids = torch.tensor([rows.calibration[0]])
    with torch.no_grad():
        before = model(ids).logits
        weights = model.model.layers[0].mlp.gate_proj.weight.clone()
        for layer in calibrated_layers(model, rows.calibration):
            scale_channels(layer, 4, 32)
        after = model(ids).logits
    assert not torch.equal(weights, model.model.layers[0].mlp.gate_proj.weight)
    assert torch.allclose(before, after, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("method", ["wanda", "magnitude"])
def test_half_of_each_rows_weights_become_zero_and_the_model_reads_as_before(parent, rows, tmp_path, method):
    from transformers import AutoModelForCausalLM

    facts = compressed(parent, rows, tmp_path, method)
    assert facts.zero_share == pytest.approx(0.5)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "output")
    weight = model.model.layers[1].mlp.down_proj.weight
    assert ((weight == 0).sum(1) == weight.shape[1] // 2).all()


def test_two_of_each_four_weights_become_zero(parent, rows, tmp_path):
    facts = compressed(parent, rows, tmp_path, "wanda", two_of_four=True)
    assert facts.zero_share == pytest.approx(0.5)
    weight = tensors(tmp_path / "output")["model.layers.0.self_attn.q_proj.weight"]
    assert ((weight.reshape(-1, 4) == 0).sum(1) == 2).all()


def test_wanda_keeps_what_meets_large_activations(parent, rows, tmp_path):
    compressed(parent, rows, tmp_path / "wanda", "wanda")
    compressed(parent, rows, tmp_path / "magnitude", "magnitude")

    def weight(folder):
        return tensors(folder)[f"{GATE}.weight"].float()

    by_wanda = output_error(parent, tmp_path / "wanda" / "output", rows, weight)
    assert by_wanda < output_error(parent, tmp_path / "magnitude" / "output", rows, weight)


def test_neurons_that_are_taken_out_make_the_model_smaller(parent, rows, tmp_path):
    from transformers import AutoModelForCausalLM

    facts = compressed(parent, rows, tmp_path, "neurons", sparsity=0.5)
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "output")
    assert model.config.intermediate_size == 64
    assert model.model.layers[0].mlp.down_proj.weight.shape == (64, 64)
    assert facts.compressed_bytes < facts.parent_bytes
    assert facts.zero_share > 0.1


def test_the_same_request_gives_the_same_bytes(parent, rows, tmp_path):
    compressed(parent, rows, tmp_path / "one", "gptq")
    compressed(parent, rows, tmp_path / "two", "gptq")
    one, two = ((tmp_path / name / "output" / "model.safetensors").read_bytes() for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "gptq", "group_size": 128}, "cannot be cut into groups"),
        ({"method": "neurons", "sparsity": 0.05}, "none is left"),
    ],
)
def test_what_does_not_suit_the_model_is_refused(parent, changes, words):
    with pytest.raises(InvalidRequestError, match=words):
        check_model(parent, request_for(**changes))


@pytest.mark.parametrize(
    "changes",
    [{"compression": "int8", "two_of_four": True}, {"compression": "wanda", "two_of_four": True, "sparsity": 0.6}],
)
def test_a_request_that_contradicts_itself_is_refused(changes):
    with pytest.raises(ValueError, match="two"):
        CompressRequest.model_validate({"job_name": "small", "parent_job_id": 1, **changes})


def test_every_method_is_tried_here():
    tried = {"int8", "fp8", "gptq", "awq", "wanda", "magnitude", "neurons", "distill"}
    assert tried == {method.value for method in CompressionMethod}
