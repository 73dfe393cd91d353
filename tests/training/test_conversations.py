"""Only what the assistant says is learnt: checked on real tokenizers and templates."""

from pathlib import Path

import pytest

from contracts.errors import InvalidDataError, InvalidRequestError
from tests.training.tiny_model import CHAT_TEMPLATE, UNMARKED_TEMPLATE, make_tokenizer
from training.conversations import IGNORED, check_assistant_mask, read_conversations, tokenize_rows, training_template

pytestmark = pytest.mark.filterwarnings("ignore")

TALK = [
    {"role": "system", "content": "짧게 답합니다."},
    {"role": "user", "content": "한빛터널의 점검 주기는?"},
    {"role": "assistant", "content": "7일"},
    {"role": "user", "content": "담당 부서는?"},
    {"role": "assistant", "content": "시설팀"},
]


@pytest.fixture(scope="module")
def tokenizer():
    return make_tokenizer()


def qwen3_template() -> str:
    import trl

    return (Path(trl.__file__).parent / "chat_templates" / "qwen3.jinja").read_text()


def test_the_labels_are_exactly_the_answers_and_their_ends(tokenizer):
    check_assistant_mask(tokenizer, CHAT_TEMPLATE, TALK)
    rows = tokenize_rows(tokenizer, CHAT_TEMPLATE, [TALK], max_length_tokens=512)
    learnt = [token for token in rows.labels[0] if token != IGNORED]
    assert tokenizer.decode(learnt) == "7일<|im_end|>시설팀<|im_end|>"


@pytest.mark.slow
def test_the_real_qwen3_template_is_replaced_by_its_marked_twin():
    tokenizer = make_tokenizer(qwen3_template())
    marked = training_template(tokenizer)
    assert "generation" in marked
    check_assistant_mask(tokenizer, marked, TALK)


@pytest.mark.slow
def test_a_template_without_marks_that_nobody_knows_is_refused():
    with pytest.raises(InvalidRequestError, match="does not mark what the assistant says"):
        training_template(make_tokenizer(UNMARKED_TEMPLATE))


def test_a_tokenizer_without_a_template_is_refused():
    with pytest.raises(InvalidRequestError, match="no chat template"):
        training_template(make_tokenizer(None))


@pytest.mark.parametrize(
    ("broken", "why"),
    [
        # the end of turn is outside: the model would never learn to stop
        (CHAT_TEMPLATE.replace("message['content'] + '<|im_end|>' }}{%- endgeneration %}",
                               "message['content'] }}{%- endgeneration %}{{- '<|im_end|>' }}"), "wrong tokens"),
        # the marks stand around the user's words too
        (CHAT_TEMPLATE.replace("{%- if message['role'] == 'assistant' %}", "{%- if true %}"), "wrong tokens"),
        (UNMARKED_TEMPLATE, "wrong tokens"),
        # asked with another beginning than trained with
        (CHAT_TEMPLATE.replace("'<|im_start|>assistant\n' }}", "'<|im_start|>assistant: ' }}"), "in another way"),
    ],
)  # fmt: skip
def test_a_template_that_would_train_on_the_wrong_tokens_is_refused(broken, why):
    tokenizer = make_tokenizer(broken)
    with pytest.raises(InvalidRequestError, match=why):
        check_assistant_mask(tokenizer, broken, TALK)


def test_rows_are_cut_at_the_maximum_and_dropped_when_nothing_is_left_to_learn(tokenizer):
    whole = tokenize_rows(tokenizer, CHAT_TEMPLATE, [TALK], 512)
    length = len(whole.input_ids[0])
    cut = tokenize_rows(tokenizer, CHAT_TEMPLATE, [TALK, TALK], length - 2)
    assert (cut.cut, cut.dropped, [len(ids) for ids in cut.input_ids]) == (2, 0, [length - 2] * 2)
    nothing = tokenize_rows(tokenizer, CHAT_TEMPLATE, [TALK], 10)
    assert (nothing.cut, nothing.dropped, nothing.input_ids) == (1, 1, [])


def test_the_conversations_of_several_parts_are_read_in_order(tmp_path):
    import json

    import pyarrow
    import pyarrow.parquet

    folder = tmp_path / "train.parquet"
    folder.mkdir()
    for number in range(3):
        talk = [{"role": "user", "content": f"{number}?"}, {"role": "assistant", "content": f"{number}번"}]
        table = pyarrow.table({"messages": [json.dumps(talk)]})
        pyarrow.parquet.write_table(table, folder / f"{number:05d}.parquet")

    assert [talk[0]["content"] for talk in read_conversations(folder)] == ["0?", "1?", "2?"]


def test_a_split_that_is_gone_is_named(tmp_path):
    with pytest.raises(InvalidDataError, match="missing"):
        read_conversations(tmp_path / "train.parquet")
