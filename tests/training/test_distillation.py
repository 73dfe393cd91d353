"""A student that learns from its teacher's scores: what the loss is, how near it comes, and that a kill changes nothing."""

import random
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from contracts.compression import CompressRequest
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
def teacher(tmp_path_factory):
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
    return {
        "input_ids": ids,
        "labels": labels,
        "attention_mask": (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long(),
    }


class Scores:
    """A model that answers each token with a row of a table."""

    def __init__(self, table) -> None:
        self.table = table

    def __call__(self, input_ids, **_) -> SimpleNamespace:
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


NUMBERS = {
    "packing": True,
    "batch_size": 2,
    "gradient_accumulation_steps": 2,
    "max_seq_length": 128,
    "num_epochs": 4,
    "learning_rate": 5e-3,
}
"""About a hundred steps over rows of several samples."""
TEACHER_ALONE = {"distill_teacher_weight": 1.0, "distill_temperature": 1.5}
"""The teacher knows nothing of the labels, which would pull the other way."""


@pytest.fixture(scope="module")
def quiet(planned, teacher):
    """A distillation that nobody disturbs: its report and its folder."""
    folder = distilled(planned("quiet-student", "demo-distill", **NUMBERS, **TEACHER_ALONE), teacher)
    return report_of(folder, start(folder)), folder


@pytest.mark.slow
@pytest.mark.deep
def test_a_distilled_student_is_nearer_to_its_teacher_than_one_that_learnt_the_labels_alone(
    planned, dataset, teacher, base_model, quiet
):
    """On rows that neither has seen, after as many steps over the same rows in the same order."""
    from transformers import AutoTokenizer

    from training.compression.compressing import calibration_rows
    from training.compression.distilling import mean_divergence, read_model

    report, student = quiet
    labels = planned("labels", "demo-full", **NUMBERS)
    assert report_of(labels, start(labels)).steps == report.steps
    request = CompressRequest(job_name="any", parent_job_id=1, compression="distill", student="tiny")
    rows = calibration_rows(dataset, AutoTokenizer.from_pretrained(teacher), request)
    before, from_teacher, from_labels = (
        mean_divergence(read_model(teacher), read_model(model), rows) or 0.0
        for model in (base_model, student.output, labels.output)
    )
    assert from_teacher < 0.7 * before, (before, from_teacher, from_labels)
    assert from_teacher < 0.7 * from_labels, (before, from_teacher, from_labels)


@pytest.mark.slow
@pytest.mark.deep
def test_a_distillation_killed_at_a_random_step_ends_with_the_very_weights_of_one_never_killed(planned, teacher, quiet):
    report, undisturbed = quiet
    killed = distilled(planned("killed-student", "demo-distill", **NUMBERS, **TEACHER_ALONE), teacher)
    kill_at_step(killed, start(killed), random.randint(5, report.steps - 8), signal.SIGKILL)
    resumed = report_of(killed, start(killed))
    assert resumed.resumed_from_step is not None
    assert resumed.weights_sha256 == report.weights_sha256
    assert losses(killed) == losses(undisturbed)
    assert resumed.eval_loss == report.eval_loss
    assert report.perplexity is None
    assert resumed.manifest is not None
    assert resumed.manifest.teacher_sha256 is not None
