"""Nothing that is no number reaches the weights, and a run that diverges ends with the samples at fault."""

import json
import math
import shutil
from pathlib import Path

import pytest

from storage.private_folders import remove_private_folders
from tests.training.test_finetuning import log_of, losses, start
from tests.training.tiny_model import make_dataset, make_tokenizer
from training.checkpoints import newest_whole_checkpoint
from training.guard import LossHistory, rows_within
from training.opened_checkpoints import BEST, open_checkpoint
from training.plan import TrainingPlan
from training.recipe import load_recipe


def recipe(**numbers):
    return load_recipe("demo-lora").model_copy(update={"spike_factor": 10.0, "spike_steps": 3, **numbers})


def history(*losses: float) -> LossHistory:
    made = LossHistory()
    for loss in losses:
        assert made.judge(loss, recipe()) is None
    return made


def test_the_limit_is_the_median_and_ten_times_the_spread():
    # median 2.0, MAD 0.2: the limit is 4.0
    seen = history(*[1.8, 2.0, 2.2, 1.7, 2.3] * 4)
    assert [seen.judge(loss, recipe()) for loss in (3.9, 4.1, 9.0)] == [None, None, None]
    assert seen.spikes == 2
    assert "above 4 for 3 steps" in (seen.judge(9.0, recipe()) or "")


def test_spikes_with_a_good_step_between_them_are_forgiven():
    seen = history(*[2.0] * 20)
    assert [seen.judge(loss, recipe()) for loss in (9.0, 9.0, 2.0, 9.0, 9.0)] == [None] * 5


def test_a_loss_that_hardly_moves_does_not_make_each_wobble_a_spike():
    seen = history(*[0.01] * 30)
    assert [seen.judge(0.9, recipe()) for _ in range(5)] == [None] * 5


def test_without_a_factor_nothing_spikes_and_before_twenty_losses_neither():
    seen = history(*[2.0] * 19)
    assert [seen.judge(99.0, recipe()) for _ in range(2)] == [None, None]
    seen = history(*[2.0] * 40)
    assert [seen.judge(99.0, recipe(spike_factor=None)) for _ in range(5)] == [None] * 5


def plan_of(folder) -> TrainingPlan:
    return TrainingPlan.model_validate_json(folder.plan.read_text())


def test_a_batch_is_traced_to_its_rows_also_where_they_are_packed(planned, tmp_path):
    from training.conversations import read_conversations, tokenize_rows, training_template

    plan, tokenizer = plan_of(planned("rows", base=tmp_path)), make_tokenizer()
    conversations = read_conversations(Path(plan.dataset_path) / "train.parquet")
    rows = tokenize_rows(tokenizer, training_template(tokenizer), conversations, 512).input_ids
    padded = [*rows[7], 0, 0, 0]
    assert rows_within([padded, [*rows[3], *rows[150]]], plan, tokenizer) == ["row 7", "row 3, row 150"]


@pytest.fixture
def poisoned_base(base_model, tmp_path):
    """The tiny model, in which one token's embedding is no number."""
    import torch
    from transformers import AutoTokenizer, Qwen3ForCausalLM

    folder = tmp_path / "poisoned"
    shutil.copytree(base_model, folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = Qwen3ForCausalLM.from_pretrained(folder)
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(model.model.embed_tokens.weight.detach().clone())
    with torch.no_grad():
        model.model.embed_tokens.weight[tokenizer("☃")["input_ids"][0]] = math.nan
    model.save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_a_bad_sample_stops_the_run_before_its_step_and_is_named(planned, poisoned_base, tmp_path):
    from training.safetensors_files import tensors_of

    data = make_dataset(tmp_path / "data")
    plant(data / "train.parquet", row=101)
    folder = planned("bad-sample", base=poisoned_base, data=data, batch_size=4, save_steps=2, eval_steps=2)
    process = start(folder)
    assert process.wait(timeout=550) == 1
    log = log_of(folder)
    last = losses(folder)[-1][0]
    assert f"Training stopped at step {last + 1}: the loss is not a finite number" in log
    assert "worst first: row 101 (loss nan); row " in log
    saved = newest_whole_checkpoint(folder.checkpoints)
    assert saved is not None
    assert f"last good checkpoint is {saved[0].name}" in log
    assert saved[1].step == last - last % 2
    import torch
    from safetensors.torch import load_file

    opened = open_checkpoint(saved[0], folder, BEST)
    assert tensors_of(opened)
    weights = load_file(opened / "adapter_model.safetensors")
    remove_private_folders(folder.root)
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    assert all(math.isfinite(loss) for _, loss in losses(folder))


def plant(path, row):
    """Put a snowman into a row's question."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    table = parquet.read_table(path)
    messages = table["messages"].to_pylist()
    conversation = json.loads(messages[row])
    conversation[0]["content"] = "☃" + conversation[0]["content"]
    messages[row] = json.dumps(conversation, ensure_ascii=False)
    parquet.write_table(table.set_column(0, "messages", pa.array(messages, pa.string())), path)


@pytest.mark.slow
def test_a_loss_that_keeps_spiking_stops_the_run_and_goes_back_behind_the_first_spike(planned):
    # a loss that only wobbles, under a limit that calls each wobble a spike
    folder = planned("spikes", learning_rate=1e-6, num_epochs=5, save_steps=1, spike_factor=0.01, spike_steps=2)
    process = start(folder)
    assert process.wait(timeout=550) == 1, log_of(folder)
    last = losses(folder)[-1][0]
    assert last >= 20
    assert f"Training stopped at step {last + 1}: the loss has been above" in log_of(folder)
    saved = newest_whole_checkpoint(folder.checkpoints)
    assert saved is not None
    assert saved[1].step == last - 1
    aside = folder.checkpoints / "set-aside" / f"diverged-at-{last + 1}"
    assert [path.name for path in aside.iterdir()] == [f"checkpoint-{last}"]
