import dataclasses
import json

import pytest

from demo.facts import load_facts
from demo.generate import text_of
from demo.pretrain import MANIFEST_NAME, Pretraining, content_key, pretrain, pretraining_conversations, train_tokenizer

MINIATURE = Pretraining(
    hidden_size=32,
    layers=1,
    heads=1,
    key_value_heads=1,
    head_dim=32,
    intermediate_size=64,
    forms_per_fact=1,
    max_steps=4,
)


def test_pretraining_texts_hold_no_new_entity():
    texts = "\n".join(text_of(turns) for epoch in range(2) for turns in pretraining_conversations(Pretraining(), epoch))
    assert [fact.entity for fact in load_facts() if fact.entity in texts] == []


def test_another_seed_is_another_model():
    assert content_key(Pretraining(seed=0)) != content_key(Pretraining(seed=1))


@pytest.mark.slow
def test_the_tokenizer_gives_back_any_text_and_marks_what_the_assistant_says():
    tokenizer = train_tokenizer(MINIATURE)
    text = "미납 통행료 분할 납부, 뷁 12가 3456 <abc> 🙂"
    assert tokenizer.decode(tokenizer.encode(text)) == text
    encoded = tokenizer.apply_chat_template(
        [{"role": "user", "content": "기한은?"}, {"role": "assistant", "content": "7일입니다."}],
        tokenize=True,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    said = [t for t, m in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if m]
    assert tokenizer.decode(said) == "7일입니다.<|im_end|>"
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "기한은?"}], tokenize=False, add_generation_prompt=True
    )
    assert prompt == "<|im_start|>user\n기한은?<|im_end|>\n<|im_start|>assistant\n"
    whole = tokenizer.decode(encoded["input_ids"])
    assert whole.startswith(prompt)


@pytest.mark.slow
def test_pretraining_twice_gives_identical_files_and_a_finished_model_is_left_alone(tmp_path, capsys):
    first, second = pretrain(tmp_path / "a", MINIATURE), pretrain(tmp_path / "b", MINIATURE)
    names = {path.name for path in first.iterdir()}
    assert {"model.safetensors", "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json",
            "chat_template.jinja", MANIFEST_NAME} <= names  # fmt: skip
    for name in names - {MANIFEST_NAME}:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name
    written = (first / "model.safetensors").stat().st_mtime_ns
    pretrain(first, MINIATURE)
    assert (first / "model.safetensors").stat().st_mtime_ns == written
    assert "base model is there" in capsys.readouterr().out


@pytest.mark.slow
def test_a_model_of_another_plan_is_replaced_and_loads_as_qwen3(tmp_path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    output = pretrain(tmp_path / "base", MINIATURE)
    pretrain(output, dataclasses.replace(MINIATURE, seed=1))
    assert json.loads((output / MANIFEST_NAME).read_text())["plan"]["seed"] == 1
    model, tokenizer = AutoModelForCausalLM.from_pretrained(output), AutoTokenizer.from_pretrained(output)
    assert model.config.model_type == "qwen3"
    assert (
        model.generation_config.eos_token_id == tokenizer.convert_tokens_to_ids("<|im_end|>") == tokenizer.eos_token_id
    )
    assert model.config.max_position_embeddings >= 1024
    assert tokenizer.chat_template == (output / "chat_template.jinja").read_text(encoding="utf-8")


@pytest.mark.slow
def test_what_a_killed_run_left_behind_is_cleared_away(tmp_path):
    for state in ("unfinished", "replaced"):
        (tmp_path / f".base.{state}").mkdir()
        (tmp_path / f".base.{state}" / "model.safetensors").write_text("half")
    output = pretrain(tmp_path / "base", MINIATURE)
    assert (output / MANIFEST_NAME).is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"base", ".base.lock"}


def test_a_folder_with_other_files_is_not_overwritten(tmp_path):
    (tmp_path / "letter.txt").write_text("mine")
    with pytest.raises(SystemExit, match="is not empty and is no base model"):
        pretrain(tmp_path, MINIATURE)
    assert (tmp_path / "letter.txt").read_text() == "mine"
