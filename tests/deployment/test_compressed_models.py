"""A compressed folder served by the real vLLM answers as its weights say."""

import pytest

from contracts.compression import CompressRequest
from contracts.enums import ParityForm, ServerBackend
from contracts.errors import InvalidRequestError
from contracts.parity import MINIMUM_PROMPTS
from deployment import client
from deployment.backends import SERVERS, cpu_has_avx512, cpu_has_vnni
from deployment.ephemeral import running_server
from deployment.observation import observe, read_specials
from deployment.parity import compare, tolerance_for
from deployment.parity_prompts import PARITY_PROMPTS
from deployment.specification import ServerSpec
from tests.model_fixtures import require_vllm, settings_for
from tests.tiny_model import TEXTS, greedy_answers, make_tiny_model
from tests.training.compression.test_compressing import tensors, unpacked
from training.compression.compressing import CalibrationRows, compress
from training.parity_reference import ReferenceRequest, reference

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

MAX_TOKENS = 8


def with_unpacked_weights(compressed, parent, folder):
    """The compressed model as an ordinary one: each code times its scale."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    found = tensors(compressed)
    model = AutoModelForCausalLM.from_pretrained(parent, dtype=torch.float32)
    state = {}
    for name in model.state_dict():
        linear = name.removesuffix(".weight")
        state[name] = unpacked(compressed, linear) if f"{linear}.weight_packed" in found else found[name].float()
    model.load_state_dict(state)
    model.to(torch.bfloat16).save_pretrained(folder)
    AutoTokenizer.from_pretrained(parent).save_pretrained(folder)
    return folder


def test_four_bits_are_read_as_they_were_packed(tmp_path):
    from transformers import AutoTokenizer

    settings = settings_for("vllm")
    require_vllm(settings)
    parent = make_tiny_model(tmp_path / "parent")
    tokenizer = AutoTokenizer.from_pretrained(parent)
    ids = [tokenizer(text)["input_ids"] for text in TEXTS]
    request = CompressRequest.model_validate(
        {"job_name": "small", "parent_job_id": 1, "compression": "gptq", "group_size": 32}
    )
    rows = CalibrationRows(calibration=ids, loss_ids=ids, loss_labels=ids)
    compress(parent, tmp_path / "small", rows, request, lambda *_: None)
    spec = ServerSpec(model_path=str(tmp_path / "small"), served_model_name="small")
    if not cpu_has_avx512():
        with pytest.raises(InvalidRequestError, match="four-bit weights on this processor"):
            SERVERS[ServerBackend.VLLM].command(spec, settings, 1)
        pytest.skip("needs a processor with AVX-512: vLLM's other CPU kernels read no four-bit weights")
    expected = greedy_answers(with_unpacked_weights(tmp_path / "small", parent, tmp_path / "plain"), TEXTS, MAX_TOKENS)
    with running_server(spec, settings, tmp_path / "server.log") as endpoint:
        got = [client.ask(endpoint.base_url, "small", question, MAX_TOKENS) for question in TEXTS]
    assert got == expected
    assert got != greedy_answers(parent, TEXTS, MAX_TOKENS)


@pytest.mark.deep
@pytest.mark.parametrize("method", ["int8", "gptq"])
def test_what_was_compressed_is_what_is_served(method, demo_base_model, tmp_path):
    """As the certificate of a deployment: rendered prompts, special tokens, answers, ends and log probabilities."""
    from transformers import AutoTokenizer

    settings = settings_for("vllm")
    require_vllm(settings)
    if not cpu_has_vnni() or not cpu_has_avx512():
        pytest.skip("needs a processor with AVX-512 and VNNI: vLLM's other CPU kernels give other answers")
    tokenizer = AutoTokenizer.from_pretrained(demo_base_model)
    prompts = [[{"role": "user", "content": text}] for text in PARITY_PROMPTS[:MINIMUM_PROMPTS]]
    ids = [list(tokenizer.apply_chat_template(asked, return_dict=False)) for asked in prompts]
    asked = {"job_name": "small", "parent_job_id": 1, "compression": method}
    request = CompressRequest.model_validate({**asked, "group_size": 32} if method == "gptq" else asked)
    small = tmp_path / "small"
    compress(
        demo_base_model,
        small,
        CalibrationRows(calibration=ids, loss_ids=ids, loss_labels=ids),
        request,
        lambda *_: None,
    )
    spec = ServerSpec(model_path=str(small), served_model_name="small")
    with running_server(spec, settings, tmp_path / "server.log") as endpoint:
        samples = observe(endpoint.base_url, "small", prompts, 16)
        trained = reference(ReferenceRequest(model_path=str(small), adapter_path=None, samples=samples))
        specials = read_specials(endpoint.base_url, "small", trained.special_tokens)
    tolerance = tolerance_for(ParityForm.QUANTISED, trained.dtype)
    found = compare(trained, samples, specials, tolerance.log_probability)
    assert [check.name for check in found.checks if not check.passed] == []
    assert sum(len(sample.token_ids) for sample in samples) > 300
