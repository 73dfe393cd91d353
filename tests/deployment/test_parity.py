"""What is served is what was trained: every backend answers as transformers does, greedily."""

import pytest

from deployment import client
from deployment.specification import lora_adapter
from tests.model_fixtures import ADAPTER_NAME, BASE_NAME, SECOND_ADAPTER_NAME
from tests.tiny_model import TEXTS, greedy_answers

pytestmark = pytest.mark.slow

QUESTIONS = [text[start:] for text in TEXTS for start in (0, 2, 5, 9)]
MAX_TOKENS = 16


@pytest.fixture(scope="module")
def expected(tiny_models):
    """transformers' greedy answers of the base and of both adapters."""
    return {
        BASE_NAME: greedy_answers(tiny_models.base, QUESTIONS, MAX_TOKENS),
        ADAPTER_NAME: greedy_answers(tiny_models.base, QUESTIONS, MAX_TOKENS, tiny_models.adapter),
        SECOND_ADAPTER_NAME: greedy_answers(tiny_models.base, QUESTIONS, MAX_TOKENS, tiny_models.second_adapter),
    }


def test_the_questions_can_tell_the_models_apart(expected):
    pairs = zip(*expected.values(), strict=True)
    assert len(QUESTIONS) == 20
    assert sum(len(set(answers)) == 3 for answers in pairs) >= 18


@pytest.mark.parametrize("backend", ["embedded", "vllm"])
def test_base_and_adapters_answer_as_transformers_does(request, backend, expected, tiny_models):
    endpoint = request.getfixturevalue(f"{backend}_endpoint")
    client.load_adapter(endpoint.base_url, lora_adapter(SECOND_ADAPTER_NAME, tiny_models.second_adapter))
    for model, answers in expected.items():
        got = [client.ask(endpoint.base_url, model, question, MAX_TOKENS) for question in QUESTIONS]
        assert got == answers, model


@pytest.mark.parametrize("backend", ["embedded", "vllm"])
def test_asking_one_model_between_does_not_change_another(request, backend, expected):
    endpoint = request.getfixturevalue(f"{backend}_endpoint")
    mixed = [
        (
            client.ask(endpoint.base_url, ADAPTER_NAME, question, MAX_TOKENS),
            client.ask(endpoint.base_url, BASE_NAME, question, MAX_TOKENS),
        )
        for question in QUESTIONS
    ]
    assert [tuned for tuned, _ in mixed] == expected[ADAPTER_NAME]
    assert [base for _, base in mixed] == expected[BASE_NAME]
