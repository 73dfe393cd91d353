"""DPO: the better answer is preferred more and more, as durably as any other training."""

import itertools
import json
import signal

import pyarrow
import pyarrow.parquet
import pytest

from contracts.errors import InvalidDataError
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from tests.training.test_finetuning import kill_at_step, log_of, losses, report_of, start
from tests.training.tiny_model import conversations, make_base_model, make_dataset
from training.conversations import read_conversations
from training.metrics import read_metrics
from training.plan import TrainingPlan
from training.preferences import read_preferences
from training.recipe import Recipe, load_recipe


def write_pairs(folder, train=48, validation=8):
    """The right answer is chosen, that of the next question rejected."""
    folder.mkdir(parents=True)
    rows = conversations(train + validation + 1)
    pairs = [
        (json.dumps(row[:1], ensure_ascii=False), row[1]["content"], other[1]["content"])
        for row, other in itertools.pairwise(rows)
    ]
    for split, part in (("train", pairs[:train]), ("validation", pairs[train:])):
        columns = zip(("prompt", "chosen", "rejected"), zip(*part, strict=True), strict=True)
        table = pyarrow.table({name: pyarrow.array(values, pyarrow.string()) for name, values in columns})
        pyarrow.parquet.write_table(table, folder / f"{split}.parquet")
    return folder


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    root = tmp_path_factory.mktemp("preferences")
    base, pairs = make_base_model(root / "tiny"), write_pairs(root / "pairs")

    def plan(name, **numbers):
        folder = JobFolder(root / name)
        changes = {"num_epochs": 3, "warmup_steps": 2, "logging_steps": 1, "eval_steps": 6, "save_steps": 3, **numbers}
        made = TrainingPlan(
            job_id=1,
            job_name=name,
            dataset_id=1,
            dataset_path=str(pairs),
            base_model="tiny",
            base_model_path=str(base),
            recipe_name="demo-dpo",
            recipe=Recipe.model_validate({**load_recipe("demo-dpo").model_dump(), **changes}),
            num_gpus=1,
            seed=0,
            keep_checkpoints=2,
        )
        write_json_atomically(folder.plan, made.model_dump(mode="json"))
        return folder

    return plan


@pytest.mark.slow
def test_the_better_answer_is_preferred_more_and_a_kill_changes_nothing(planned):
    quiet, killed = planned("quiet", learning_rate=5e-3), planned("killed", learning_rate=5e-3)
    report = report_of(quiet, start(quiet))
    margins = [float(str(line["reward_margin"])) for line in read_metrics(quiet.metrics) if "reward_margin" in line]
    assert margins[0] == pytest.approx(0.0, abs=1e-6)  # an adapter that is not trained yet prefers nothing
    assert sum(margins[-6:]) / 6 > 0.2  # about 0.29: the curve is the same on every CPU of a kind
    assert report.loss_curve[-1][1] < report.loss_curve[0][1] - 0.1
    assert report.eval_loss is not None
    assert report.perplexity is None
    assert (quiet.output / "adapter_model.safetensors").exists()

    kill_at_step(killed, start(killed), 7, signal.SIGKILL)
    resumed = report_of(killed, start(killed))
    assert resumed.resumed_from_step is not None
    assert resumed.weights_sha256 == report.weights_sha256
    assert losses(killed) == losses(quiet)


@pytest.mark.slow
@pytest.mark.deep
def test_every_weight_can_learn_preferences_too(planned):
    folder = planned("full", method="full", learning_rate=1e-3, num_epochs=2)
    report = report_of(folder, start(folder))
    margins = [float(str(line["reward_margin"])) for line in read_metrics(folder.metrics) if "reward_margin" in line]
    assert margins[0] == pytest.approx(0.0, abs=1e-6)  # the model and its reference are still the same
    assert sum(margins[-3:]) / 3 > 0.05
    assert report.loss_curve[-1][1] < report.loss_curve[0][1]
    assert (folder.output / "model.safetensors").exists()
    assert not (folder.output / "adapter_model.safetensors").exists()


@pytest.mark.slow
def test_a_pair_at_fault_is_named(planned, tmp_path):
    """One token's embedding is no number, and one pair has that token in its rejected answer."""
    import math

    import torch
    from transformers import AutoTokenizer, Qwen3ForCausalLM

    folder = planned("bad-pair", method="full", num_epochs=1)
    plan = TrainingPlan.model_validate_json(folder.plan.read_text(encoding="utf-8"))
    base, pairs = make_base_model(tmp_path / "poisoned"), write_pairs(tmp_path / "pairs")
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = Qwen3ForCausalLM.from_pretrained(base)
    model.config.tie_word_embeddings = False
    model.lm_head.weight = torch.nn.Parameter(model.model.embed_tokens.weight.detach().clone())
    with torch.no_grad():
        model.model.embed_tokens.weight[tokenizer("☃")["input_ids"][0]] = math.nan
    model.save_pretrained(base)
    table = pyarrow.parquet.read_table(pairs / "train.parquet")
    rejected = table["rejected"].to_pylist()
    rejected[17] = "☃"
    changed = table.set_column(2, "rejected", pyarrow.array(rejected, pyarrow.string()))
    pyarrow.parquet.write_table(changed, pairs / "train.parquet")
    plan = plan.model_copy(update={"base_model_path": str(base), "dataset_path": str(pairs)})
    write_json_atomically(folder.plan, plan.model_dump(mode="json"))

    assert start(folder).wait(timeout=300) == 1
    log = log_of(folder)
    assert "is not a finite number" in log
    assert "worst first: row 17 (loss nan); row " in log


def test_conversations_and_pairs_are_not_taken_for_one_another(tmp_path):
    pairs, rows = write_pairs(tmp_path / "pairs", 4, 2), make_dataset(tmp_path / "rows", 4, 2)
    with pytest.raises(InvalidDataError, match="holds no preference pairs"):
        read_preferences(rows / "train.parquet")
    with pytest.raises(InvalidDataError, match="want a recipe with the objective dpo"):
        read_conversations(pairs / "train.parquet")
