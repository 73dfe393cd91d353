"""A student that learns from its teacher's scores: what the loss is, how near it comes, and that a kill changes nothing."""

import json
import random
import signal
from pathlib import Path

import pytest
import yaml

from contracts.errors import InvalidRequestError
from storage.files import read_json, write_json_atomically
from tests.training.test_finetuning import kill_at_step, losses, report_of, start
from training.recipe import RECIPES_DIR, Recipe, load_recipe, read_recipe

pytestmark = pytest.mark.filterwarnings("ignore")


def distilled(folder, teacher: Path):
    """The job with its teacher in the plan."""
    plan = {**(read_json(folder.plan) or {}), "teacher_path": str(teacher)}
    write_json_atomically(folder.plan, plan)
    return folder


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    """Wider than the student, and sure of other things than it: random weights, large ones."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    from tests.training.tiny_model import make_tokenizer

    folder = tmp_path_factory.mktemp("teacher") / "wide"
    tokenizer = make_tokenizer()
    torch.manual_seed(7)
    Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(tokenizer),
            hidden_size=96,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=32,
            intermediate_size=128,
            max_position_embeddings=512,
            initializer_range=0.15,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    ).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def batch_of(lengths: list[int], vocabulary: int = 11):
    """Random rows whose first half is the question."""
    import torch

    torch.manual_seed(len(lengths))
    ids = torch.randint(0, vocabulary, (len(lengths), max(lengths)))
    labels = ids.clone()
    for row, length in enumerate(lengths):
        labels[row, : length // 2] = -100
        labels[row, length:] = -100
    return {"input_ids": ids, "labels": labels, "attention_mask": (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()}


class Scores:
    """A model that answers each token with a row of a table."""

    def __init__(self, table):
        self.table = table

    def __call__(self, input_ids, **_):
        from types import SimpleNamespace

        return SimpleNamespace(logits=self.table[input_ids])


def recipe_of(**changes) -> Recipe:
    return Recipe.model_validate({**load_recipe("demo-distill").model_dump(), **changes})


@pytest.mark.parametrize("slice_tokens", [1024, 3])
def test_the_loss_is_the_divergence_and_the_labels_share_over_what_the_assistant_says(monkeypatch, slice_tokens):
    """Against the formula written out with torch.distributions, which TRL's code knows nothing of."""
    import torch
    from torch.distributions import Categorical, kl_divergence

    from training import distillation

    monkeypatch.setattr(distillation, "SLICE_TOKENS", slice_tokens)
    _, trainer = distillation.trl_distillation()
    batch = batch_of([8, 5, 7])
    torch.manual_seed(0)
    student, teacher = torch.randn(11, 11, requires_grad=True), torch.randn(11, 11)
    recipe = recipe_of(distill_temperature=3.0, distill_teacher_weight=0.7)
    loss, _ = distillation.distillation_loss(
        trainer.generalized_jsd_loss, Scores(student), Scores(teacher), batch, recipe
    )
    loss.backward()
    gradient, student.grad = student.grad, None

    labels = batch["labels"][:, 1:]
    learnt = labels != -100
    at = batch["input_ids"][:, :-1][learnt]
    divergence = kl_divergence(Categorical(logits=teacher[at] / 3), Categorical(logits=student[at] / 3)).mean()
    wanted = 0.7 * 9 * divergence - 0.3 * Categorical(logits=student[at]).log_prob(labels[learnt]).mean()
    wanted.backward()
    assert float(loss) == pytest.approx(float(wanted), rel=1e-5)
    assert torch.allclose(gradient, student.grad, atol=1e-6)
    step, _ = distillation.distillation_loss(
        trainer.generalized_jsd_loss, Scores(student), Scores(teacher), batch, recipe, torch.tensor(40)
    )
    assert float(step) == pytest.approx(float(wanted) * int(learnt.sum()) / 40, rel=1e-5)


def test_a_student_like_its_teacher_has_nothing_to_learn_from_it():
    import torch

    from training import distillation

    _, trainer = distillation.trl_distillation()
    table = torch.randn(11, 11)
    for beta in (0.0, 0.5, 1.0):
        loss, _ = distillation.distillation_loss(
            trainer.generalized_jsd_loss,
            Scores(table),
            Scores(table),
            batch_of([8, 6]),
            recipe_of(distill_teacher_weight=1.0, distill_divergence=beta),
        )
        assert float(loss) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"method": "lora"}, "method full, not lora"),
        ({"liger": True}, "liger false"),
        ({"num_gpus": 2}, "one GPU"),
        ({"distill_temperature": 0}, "distill_temperature = 0"),
        ({"distill_teacher_weight": 1.5}, "distill_teacher_weight = 1.5"),
    ],
)
def test_a_recipe_that_cannot_distill_is_refused(tmp_path, changes, told):
    numbers = yaml.safe_load((RECIPES_DIR / "demo-distill.yaml").read_text(encoding="utf-8"))
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**numbers, **changes}))
    with pytest.raises(InvalidRequestError, match=told):
        read_recipe(path)


def test_another_trl_is_told_in_one_sentence(monkeypatch):
    from trl.experimental.gkd import GKDTrainer

    from training.distillation import trl_distillation

    def changed(student, teacher):
        return student - teacher

    monkeypatch.setattr(GKDTrainer, "generalized_jsd_loss", staticmethod(changed))
    with pytest.raises(InvalidRequestError, match=r"without beta, reduction, student_logits.*trl 1\.16"):
        trl_distillation()


@pytest.mark.slow
def test_a_distilled_student_is_nearer_to_its_teacher_than_one_that_learnt_the_labels_alone(planned, teacher, base_model):
    """On rows that neither has seen, after as many steps over the same rows in the same order."""
    from training.compression.nearness import mean_divergence
    from training.compression.calibration_rows import held_out_rows

    numbers = {"num_epochs": 6, "batch_size": 16, "save_steps": 8, "eval_steps": 8}
    student = distilled(planned("student", "demo-distill", **numbers), teacher)
    labels = planned("labels", "demo-full", **numbers)
    reports = [report_of(folder, process) for folder, process in [(f, start(f)) for f in (student, labels)]]
    assert reports[0].steps == reports[1].steps
    rows = held_out_rows(Path(json.loads(labels.plan.read_text())["dataset_path"]), teacher)
    before, from_teacher, from_labels = (
        mean_divergence(teacher, model, rows) for model in (base_model, student.output, labels.output)
    )
    assert from_teacher < 0.5 * before
    assert from_teacher < 0.5 * from_labels


@pytest.mark.slow
def test_a_distillation_killed_at_random_steps_ends_with_the_very_weights_of_one_never_killed(planned, teacher):
    numbers = {"packing": True, "batch_size": 2, "gradient_accumulation_steps": 2, "max_seq_length": 128}
    quiet, killed = (distilled(planned(name, "demo-distill", **numbers), teacher) for name in ("quiet-d", "killed-d"))
    report = report_of(quiet, start(quiet))
    for step in sorted(random.Random(4).sample(range(4, report.steps - 2), 2)):
        kill_at_step(killed, start(killed), step, signal.SIGKILL)
    resumed = report_of(killed, start(killed))
    assert resumed.resumed_from_step is not None
    assert resumed.weights_sha256 == report.weights_sha256
    assert losses(killed) == losses(quiet)
    assert resumed.eval_loss == report.eval_loss
    assert report.perplexity is None
    assert resumed.manifest is not None
    assert resumed.manifest.teacher_sha256 is not None
