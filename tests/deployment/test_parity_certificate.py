"""The two sides of a model compared: small samples whose outcome the reader can see."""

from contracts.enums import ParityForm
from contracts.parity import ParityCheck, ParitySample, TrainerSample, TrainerSide
from deployment.observation import top_logprobs
from deployment.parity import TOLERANCES, compare, tolerance_for
from deployment.parity_prompts import PARITY_PROMPTS

END = 9
TOLERANCE = 0.01


def served(**changes: object) -> ParitySample:
    """Prompt 1 2, answer 3 4, then the end of its turn."""
    values = {
        "messages": [{"role": "user", "content": "질문"}],
        "prompt_ids": [1, 2],
        "token_ids": [3, 4],
        "ended": True,
        "top_logprobs": [{3: -0.1, 5: -2.5}, {4: -0.2}],
    }
    return ParitySample.model_validate({**values, **changes})


def trained(**changes: object) -> TrainerSide:
    """The same of the trainer."""
    values = {
        "prompt_ids": [1, 2],
        "best_ids": [3, 4, END],
        "best_logprobs": [-0.1, -0.2, -0.3],
        "own_logprobs": [-0.1, -0.2],
        "top_logprobs": [{3: -0.1, 5: -2.5}, {4: -0.2}, {END: -0.3}],
    }
    return TrainerSide(
        software="transformers",
        dtype="float32",
        special_tokens={"<|im_end|>": END},
        end_ids=[END],
        samples=[TrainerSample.model_validate({**values, **changes})],
        texts={3: "통행", 5: "요금"},
    )


def checks(trainer: TrainerSide, server: ParitySample, specials=None) -> dict[str, ParityCheck]:
    found = compare(trainer, [server], {"<|im_end|>": [END]} if specials is None else specials, TOLERANCE)
    return {check.name: check for check in found.checks}


def failed(found: dict[str, ParityCheck]) -> set[str]:
    return {name for name, check in found.items() if check.passed is False}


def test_equal_sides_pass_every_check():
    assert failed(checks(trained(), served())) == set()


def test_a_prompt_rendered_otherwise_is_shown_at_its_first_differing_token():
    assert failed(checks(trained(), served(prompt_ids=[1, 7, 2]))) == {"prompt_ids"}
    first = compare(trained(), [served(prompt_ids=[1, 7, 2])], None, TOLERANCE).first_difference
    assert first is not None
    assert (first.position, first.trainer_id, first.server_id) == (1, 2, 7)


def test_an_end_of_turn_token_that_the_server_reads_as_text_fails():
    assert failed(checks(trained(), served(), {"<|im_end|>": [5, 6, 7]})) == {"special_tokens"}


def test_another_token_fails_unless_the_trained_weights_hardly_prefer_theirs():
    other = {"best_ids": [5, 4, END], "own_logprobs": [-0.7, -0.2], "best_logprobs": [-0.68, -0.2, -0.3]}
    beyond = compare(trained(**other), [served(top_logprobs=[])], None, TOLERANCE)
    assert beyond.first_difference is not None
    assert (beyond.first_difference.trainer_token, beyond.first_difference.server_token) == ("요금", "통행")
    tie = compare(trained(**{**other, "own_logprobs": [-0.685, -0.2]}), [served(top_logprobs=[])], None, TOLERANCE)
    assert tie.first_difference is None
    assert [found.trainer_id for found in tie.ties] == [5]


def test_probabilities_beyond_the_tolerance_fail_and_rare_tokens_do_not_count():
    assert failed(checks(trained(), served(top_logprobs=[{3: -0.15}, {4: -0.2}]))) == {"top_logprobs"}
    rare = {"top_logprobs": [{3: -0.1, 5: -7.0}, {4: -0.2}, {END: -0.3}]}
    assert failed(checks(trained(**rare), served(top_logprobs=[{3: -0.1, 5: -7.5}, {4: -0.2}]))) == set()


def test_an_answer_that_ends_where_the_trained_one_goes_on_fails():
    goes_on = {"best_ids": [3, 4, 5], "top_logprobs": [{3: -0.1, 5: -2.5}, {4: -0.2}, {END: -4.0}]}
    assert failed(checks(trained(**goes_on), served())) == {"end_of_turn"}


def test_an_answer_that_goes_on_behind_the_end_of_its_turn_fails():
    assert "end_of_turn" in failed(checks(trained(), served(token_ids=[END, 4], ended=False)))


def test_what_the_engine_does_not_tell_is_said_and_not_passed():
    found = compare(trained(), [served(prompt_ids=None, top_logprobs=[])], None, TOLERANCE).checks
    untold = {check.name: check.detail for check in found if check.passed is None}
    assert set(untold) == {"prompt_ids", "special_tokens", "top_logprobs"}
    assert all("does not tell" in detail for detail in untold.values())


def test_fewer_bits_may_be_further_apart():
    order = [tolerance_for(ParityForm.WHOLE, dtype).log_probability for dtype in ("float32", "float16", "bfloat16")]
    assert order == sorted(order)
    assert tolerance_for(ParityForm.QUANTISED, "bfloat16").log_probability > order[-1]
    assert all(tolerance.reason for tolerance in TOLERANCES.values())


def test_there_are_enough_prompts_of_ours():
    assert len(set(PARITY_PROMPTS)) >= 50


def test_an_engine_that_merges_the_bytes_of_a_syllable_is_compared_token_by_token():
    """llama.cpp tells one entry for tokens that make a letter together only."""
    entries = [
        {"id": 873, "logprob": -0.5, "top_logprobs": [{"id": 493, "logprob": -1.9}]},
        {"id": 1114, "logprob": -0.1, "top_logprobs": []},
        {"id": 2, "logprob": -0.2, "top_logprobs": []},
    ]
    assert top_logprobs([873, 276, 278, 1114, 2], entries) == [{493: -1.9, 873: -0.5}, {}, {}, {1114: -0.1}, {2: -0.2}]
    assert top_logprobs([873, 1114, 2], entries) == [{493: -1.9, 873: -0.5}, {1114: -0.1}, {2: -0.2}]
    assert top_logprobs([873], []) == [{}]


def test_a_token_that_could_be_either_of_two_in_an_answer_is_not_compared():
    # three bytes of one letter, the first as the last: llama.cpp tells of the last alone
    entries = [
        {"id": 873, "logprob": -0.5, "top_logprobs": []},
        {"id": 111, "logprob": -0.1, "top_logprobs": []},
        {"id": 2, "logprob": -0.2, "top_logprobs": []},
    ]
    assert top_logprobs([873, 111, 276, 111, 2], entries) == [{873: -0.5}, {}, {}, {}, {2: -0.2}]
