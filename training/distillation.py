"""A student that learns from a teacher's scores on the training rows: TRL's generalised knowledge distillation.

For each token that the assistant says, with w the teacher's weight and T the temperature,

    loss = w x T² x D(teacher at T, student at T)  +  (1 - w) x cross entropy of the label

D is TRL's generalised Jensen-Shannon divergence (Agarwal et al., 2023), 0 for KL(teacher, student). T² keeps the size of
the gradient the same for every T (Hinton et al., 2015). The rows are the dataset version's own: nothing is generated.
"""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any

from contracts.errors import InvalidRequestError
from training.conversations import IGNORED
from training.guard import GuardedSteps
from training.loading import attention_of, dtype_of
from training.longest_batch import LongestBatchFirst
from training.packing import make_collator
from training.saving import WholeCheckpoints

if TYPE_CHECKING:
    from training.plan import TrainingPlan
    from training.recipe import Recipe

SLICE_TOKENS = 1024
"""Tokens whose scores are compared at a time: float32 copies over a vocabulary of 151,936 words are 0.6 GB each."""
WANTED_PARAMETERS = {"student_logits", "teacher_logits", "beta", "temperature", "reduction"}
"""Of TRL's divergence, which is experimental there and may change with any version."""
MODEL_INPUTS = ("input_ids", "attention_mask", "position_ids")


def distillation_arguments(recipe: Recipe, common: dict[str, Any]) -> Any:
    """TRL's configuration for a recipe with the objective distill."""
    config, _ = trl_distillation()
    return config(
        **common,
        lmbda=0.0,  # the share of answers that the student would generate itself: the rows' own are learnt from
        beta=recipe.distill_divergence,
        temperature=recipe.distill_temperature,
        dataset_kwargs={"skip_prepare_dataset": True},
        max_length=None,
    )


def distilling_trainer(plan: TrainingPlan, **given: Any) -> Any:
    """TRL's trainer with the plan's teacher, whose weights stay as they are."""
    _, base = trl_distillation()
    recipe = plan.recipe

    class DistillingTrainer(WholeCheckpoints, GuardedSteps, LongestBatchFirst, base):  # type: ignore[misc, valid-type]
        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            loss, outputs = distillation_loss(
                base.generalized_jsd_loss, model, self.teacher_model, inputs, recipe, num_items_in_batch
            )
            return (loss, outputs) if return_outputs else loss

    return DistillingTrainer(
        teacher_model=load_teacher(plan),
        data_collator=make_collator(given["processing_class"].pad_token_id),
        **given,
    )


def distillation_loss(
    divergence: Any, student: Any, teacher: Any, inputs: Any, recipe: Recipe, tokens: Any = None
) -> tuple[Any, Any]:
    """The loss of a batch a learnt token, and the student's outputs; `tokens` counts those of the whole step."""
    import torch
    from torch.utils.checkpoint import checkpoint

    seen = {name: inputs[name] for name in MODEL_INPUTS if name in inputs}
    outputs = student(**seen, use_cache=False)
    with torch.no_grad():
        taught = teacher(**seen, use_cache=False).logits
    labels = inputs["labels"][:, 1:]
    learnt = labels != IGNORED
    # only where the assistant speaks: most places of a row are the question, and scores are as wide as the vocabulary
    parts = (outputs.logits[:, :-1][learnt], taught[:, :-1][learnt], labels[learnt])
    slices = list(zip(*(part.split(SLICE_TOKENS) for part in parts), strict=True))

    def slice_loss(student_tv: Any, teacher_tv: Any, labels_t: Any) -> Any:
        return _summed_loss(divergence, student_tv, teacher_tv, labels_t, recipe)

    if len(slices) <= 1:
        total = sum(slice_loss(*part) for part in slices)
    else:  # what each slice keeps for its backward pass is computed again there
        total = sum(checkpoint(slice_loss, *part, use_reentrant=False, preserve_rng_state=False) for part in slices)
    return total / (learnt.sum().clamp_min(1) if tokens is None else tokens), outputs


def _summed_loss(divergence: Any, student_tv: Any, teacher_tv: Any, labels_t: Any, recipe: Recipe) -> Any:
    """Over the slice's tokens."""
    from torch.nn.functional import cross_entropy

    student_tv, teacher_tv = student_tv.float(), teacher_tv.float()
    temperature, weight = recipe.distill_temperature, recipe.distill_teacher_weight
    from_teacher = divergence(
        student_tv, teacher_tv, beta=recipe.distill_divergence, temperature=temperature, reduction="sum"
    )
    from_labels = cross_entropy(student_tv, labels_t, reduction="sum")
    return weight * temperature**2 * from_teacher + (1 - weight) * from_labels


def load_teacher(plan: TrainingPlan) -> Any:
    """The teacher on this process's device, in the student's precision on a CPU and in bfloat16 on a GPU."""
    import torch
    from transformers import AutoModelForCausalLM

    assert plan.teacher_path is not None, "the objective distill has a teacher"
    on_gpu = torch.cuda.is_available()
    teacher = AutoModelForCausalLM.from_pretrained(
        plan.teacher_path,
        dtype=torch.bfloat16 if on_gpu else dtype_of(plan.recipe),
        attn_implementation=attention_of(plan.recipe),
        use_safetensors=True,
        local_files_only=True,
        **({"device_map": {"": torch.cuda.current_device()}} if on_gpu else {}),
    )
    return teacher.eval().requires_grad_(False)


def trl_distillation() -> tuple[Any, Any]:
    """TRL's configuration and trainer. Raises InvalidRequestError where the installed TRL has others than these."""
    import trl

    # TRL tells each user of its experimental part so; we do, in the error below
    os.environ.setdefault("TRL_EXPERIMENTAL_SILENCE", "1")
    try:
        from trl.experimental.gkd import GKDConfig, GKDTrainer
    except ImportError as error:
        raise _other_trl(trl.__version__, str(error)) from error
    divergence = getattr(GKDTrainer, "generalized_jsd_loss", None)
    missing = WANTED_PARAMETERS - set(inspect.signature(divergence).parameters) if divergence else {"the divergence"}
    missing |= {"lmbda", "beta", "temperature"} - set(inspect.signature(GKDConfig).parameters)
    missing |= {"teacher_model"} - set(inspect.signature(GKDTrainer.__init__).parameters)
    if missing:
        raise _other_trl(trl.__version__, f"without {', '.join(sorted(missing))}")
    return GKDConfig, GKDTrainer


def _other_trl(version: str, why: str) -> InvalidRequestError:
    return InvalidRequestError(
        "The installed TRL has no distillation as this platform knows it",
        value=f"trl {version}: {why}",
        allowed="trl 1.16, with trl.experimental.gkd",
        next_step="install the requirements of this version again, or compress with another method",
    )
