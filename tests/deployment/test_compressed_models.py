"""A compressed folder served by the real vLLM answers as its weights say."""

import pytest

from contracts.compression import CompressRequest
from contracts.enums import ServerBackend
from contracts.errors import InvalidRequestError
from deployment import client
from deployment.backends import SERVERS, cpu_has_avx512
from deployment.ephemeral import running_server
from deployment.specification import ServerSpec
from tests.model_fixtures import require_vllm, settings_for
from tests.tiny_model import TEXTS, greedy_answers, make_tiny_model
from tests.training.compression.test_compressing import tensors, unpacked
from training.compression.compressing import CalibrationRows, compress

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
