"""How to train: a recipe is a YAML file under training/recipes or in the site's own folder (settings: recipes_dir).

A file may say `extends: <name>`, and then only what it wants otherwise. A request may override some numbers.
"""

import difflib
from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from contracts.enums import Method
from contracts.errors import InvalidRequestError
from contracts.record import JsonObject, Record
from contracts.training import Hyperparameters
from training.methods import training_method

RECIPES_DIR = Path(__file__).parent / "recipes"
LORA_ONLY = ("lora_rank", "lora_alpha")


class Recipe(Record):
    """Every number of a fine-tuning run."""

    description: str
    method: Method
    objective: Literal["sft", "dpo", "distill"] = "sft"
    """sft: learn the assistant's answers. dpo: learn to prefer one answer to another (Rafailov et al., 2023). distill:
    learn what a larger model holds likely at each place of the answers (Hinton et al., 2015); `compress_model` only."""
    dpo_beta: float = Field(default=0.1, gt=0, le=10)
    """With dpo: how dearly leaving the base model's answers costs; less moves further."""
    distill_temperature: float = Field(default=2.0, gt=0, le=20)
    """With distill: both models' scores are divided by it. Above 1 the teacher's second and third choices weigh more,
    which is what the labels do not say; 1 compares the probabilities as they are."""
    distill_teacher_weight: float = Field(default=0.8, ge=0, le=1)
    """With distill: the teacher's share in the loss; the labels have the rest, which corrects a teacher that errs."""
    distill_divergence: float = Field(default=0.0, ge=0, le=1)
    """With distill: 0 is KL(teacher, student), which keeps everything that the teacher holds possible; 1 the reverse,
    which keeps its first choice and may forget the others; between them a Jensen-Shannon divergence."""
    precision: Literal["auto", "float32", "bfloat16", "mixed"] = "auto"
    """auto: bfloat16 on a GPU, float32 on a CPU. mixed: weights in float32, computed with in bfloat16 on a GPU; what
    full fine-tuning wants, whose small steps bfloat16 weights would round away."""
    lora_rank: int = Field(default=8, ge=1, le=1024)
    lora_alpha: int = Field(default=32, ge=1, le=4096)
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    use_rslora: bool = False
    """Scale the adapter by alpha / sqrt(rank) (Kalajdzievski, 2023): a high rank keeps learning."""
    use_dora: bool = False
    """Also train the length of each weight column (Liu et al., 2024). No server loads such an adapter: the job leaves
    a whole model with it merged in."""
    learning_rate: float = Field(gt=0, le=1)
    """At its peak, after the warm-up."""
    scheduler: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup_steps: int = Field(ge=0)
    num_epochs: float = Field(gt=0, le=1000)
    batch_size: int = Field(ge=1, le=4096)
    """Samples a device takes in one forward pass; with packing, rows of several samples."""
    gradient_accumulation_steps: int = Field(default=1, ge=1, le=4096)
    max_seq_length: int = Field(ge=16, le=262144)
    """Tokens of one sample, and of one packed row; what is beyond is cut off."""
    num_gpus: int = Field(default=1, ge=1, le=8)
    """For which batch size and accumulation are reckoned; a request may take another number."""
    packing: bool = False
    """Lay several samples into one row of max_seq_length, each seeing itself only."""
    optimizer: Literal["adamw_torch", "adamw_torch_fused", "paged_adamw_8bit"] = "adamw_torch"
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    max_grad_norm: float = Field(default=1.0, gt=0)
    gradient_checkpointing: bool = False
    """Compute activations twice and keep fewer of them."""
    attention: Literal["auto", "sdpa", "flash_attention_2"] = "auto"
    """auto: FlashAttention where there is a GPU, the package flash_attn and a 16-bit precision, else torch's SDPA."""
    liger: bool = False
    """Liger's fused kernels, which save memory and time on a GPU; on a CPU, where they do not run, without them."""
    sharding: Literal["none", "fsdp2", "zero2", "zero3"] = "none"
    """How the run is divided over two or more GPUs: zero2 the optimiser's state and the gradients, fsdp2 and zero3 the
    weights too; none keeps all of it on each."""
    deterministic: bool = False
    """On a GPU only kernels that give the same bits each time, some of them slower; on a CPU it is always so."""
    logging_steps: int = Field(default=1, ge=1)
    eval_steps: int = Field(default=500, ge=1)
    """A multiple of save_steps or a divisor of it, so that a checkpoint knows its validation loss."""
    save_steps: int = Field(default=500, ge=1)
    early_stopping_patience: int | None = Field(default=None, ge=1)
    """Evaluations without a better validation loss after which training ends; None trains all epochs."""
    early_stopping_min_delta: float = Field(default=0.0, ge=0)
    spike_factor: float | None = Field(default=10.0, gt=0)
    """A step spikes when its loss is above the median by this many MADs (training/guard.py); None lets it."""
    spike_steps: int = Field(default=5, ge=1)
    """Spiking steps in a row at which training stops."""
    spike_window: int = Field(default=100, ge=20)
    """Losses whose median counts."""
    final_weights: Literal["last", "best"] = "last"
    """best: those of the checkpoint with the lowest validation loss."""

    @model_validator(mode="after")
    def _steps_meet(self) -> Self:
        if self.eval_steps % self.save_steps and self.save_steps % self.eval_steps:
            raise ValueError(
                f"eval_steps {self.eval_steps} and save_steps {self.save_steps} must be multiples of one another"
            )
        if self.final_weights == "best" and self.save_steps > self.eval_steps:
            raise ValueError("final_weights: best needs a checkpoint at each evaluation: save_steps <= eval_steps")
        return self

    @model_validator(mode="after")
    def _pairs_are_not_packed(self) -> Self:
        if self.packing and self.objective == "dpo":
            raise ValueError("packing is for the objective sft: pairs are not packed")
        return self

    @model_validator(mode="after")
    def _distillation_sees_all_scores(self) -> Self:
        if self.objective != "distill":
            return self
        if self.method is not Method.FULL:
            raise ValueError(f"the objective distill makes a whole model: method full, not {self.method}")
        if self.liger:
            raise ValueError("the objective distill compares scores, which Liger's loss does not make: liger false")
        if self.sharding != "none" or self.num_gpus > 1:
            raise ValueError("the objective distill keeps student and teacher on one GPU: sharding none, num_gpus 1")
        return self

    @model_validator(mode="after")
    def _options_suit_the_method(self) -> Self:
        method = training_method(self.method)
        chosen = [name for name in ("use_rslora", "use_dora") if getattr(self, name)]
        if chosen and not method.has_adapter:
            raise ValueError(f"{' and '.join(chosen)} want an adapter: method lora, not {self.method}")
        if self.sharding != "none" and method.quantizes:
            raise ValueError(f"sharding {self.sharding} does not divide a 4-bit model: sharding none, or method lora")
        if self.sharding != "none" and method.merges(self):
            raise ValueError("use_dora is merged at the end, which a divided model does not allow: sharding none")
        if self.sharding == "fsdp2" and self.optimizer == "paged_adamw_8bit":
            raise ValueError(
                "fsdp2 cannot divide the moments of paged_adamw_8bit: optimizer adamw_torch_fused, or zero2"
            )
        if self.use_dora and method.quantizes:
            raise ValueError("use_dora wants method lora: it is merged at the end, which a 4-bit model does not allow")
        return self


def recipe_names(site: Path | None = None) -> list[str]:
    """The recipes there are: ours, and those in the site's folder."""
    folders = [RECIPES_DIR] if site is None else [RECIPES_DIR, site]
    # what begins with an underscore holds numbers that several recipes extend, and is none itself
    return sorted({path.stem for folder in folders for path in folder.glob("[!_]*.yaml")})


def load_recipe(name: str, site: Path | None = None) -> Recipe:
    """The recipe of that name; a site's recipe never hides one of ours. Raises InvalidRequestError naming the nearest."""
    names = recipe_names(site)
    if name not in names:
        raise InvalidRequestError(
            "There is no such recipe",
            value=name,
            allowed=", ".join(names),
            next_step=_did_you_mean(name, names) or "choose one of these",
        )
    ours = RECIPES_DIR / f"{name}.yaml"
    return read_recipe(ours if site is None or ours.exists() else site / ours.name)


def read_recipe(path: Path) -> Recipe:
    """The recipe in a file. Raises InvalidRequestError naming the key that is wrong."""
    content = _content(path, [])
    try:
        return Recipe.model_validate(content)
    except ValidationError as error:
        # A misspelt key is also a missing one: name the misspelling.
        first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
        key = ".".join(str(part) for part in first["loc"])
        known = sorted(Recipe.model_fields)
        unknown = first["type"] == "extra_forbidden"
        raise InvalidRequestError(
            f"The recipe {path.name} has an unknown key" if unknown else f"The recipe {path.name}: {first['msg']}",
            value=key if unknown else f"{key} = {first.get('input')}",
            allowed=", ".join(known) if unknown else "",
            next_step=(_did_you_mean(key, known) if unknown else "") or f"correct {path.name}",
        ) from error


def _content(path: Path, extending: list[str]) -> object:
    """What the file says, over what the file says that it extends: one beside it, or one of ours."""
    if path.stem in extending:
        raise InvalidRequestError(
            "Recipes extend each other in a circle",
            value=" -> ".join([*extending, path.stem]),
            next_step=f"remove `extends` from {path.name}",
        )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise InvalidRequestError("The recipe cannot be read", value=path, next_step=str(error)) from error
    if not isinstance(content, dict) or "extends" not in content:
        return content
    name = str(content.pop("extends"))
    candidates = [folder / f"{name}.yaml" for folder in (path.parent, RECIPES_DIR)]
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is None:
        known = sorted({other.stem for folder in (path.parent, RECIPES_DIR) for other in folder.glob("*.yaml")})
        raise InvalidRequestError(
            f"The recipe {path.name} extends one that there is not",
            value=f"extends: {name}",
            allowed=", ".join(known),
            next_step=_did_you_mean(name, known) or "extend one of these, or none",
        )
    extended = _content(found, [*extending, path.stem])
    return {**extended, **content} if isinstance(extended, dict) else content


def resolve_recipe(name: str, hyperparameters: Hyperparameters, method: Method, site: Path | None = None) -> Recipe:
    """The recipe with the request's numbers and method in it.

    A lora recipe may run as qlora; a recipe of any other method keeps it, because its numbers suit no other.
    """
    recipe = load_recipe(name, site)
    if method is not recipe.method and not (recipe.method is Method.LORA and method is Method.QLORA):
        fitting = [other for other in recipe_names(site) if _suits(load_recipe(other, site), method)]
        raise InvalidRequestError(
            "Recipe and method contradict each other",
            value=f"recipe {name} trains with {recipe.method}, the request says {method}",
            allowed=f"method {recipe.method} with {name}, or for {method} one of: {', '.join(fitting)}",
            next_step=f"set method to {recipe.method}, or choose another recipe",
        )
    given = hyperparameters.model_dump(exclude_none=True)
    misplaced = [field for field in LORA_ONLY if field in given] if not training_method(method).has_adapter else []
    if misplaced:
        raise InvalidRequestError(
            "Full fine-tuning has no adapter",
            value=", ".join(f"{field} = {given[field]}" for field in misplaced),
            next_step=f"leave {' and '.join(misplaced)} empty, or choose the method lora",
        )
    return recipe.model_copy(update={**given, "method": method})


def same_numbers(stored: JsonObject, wanted: JsonObject) -> bool:
    """Whether a job's stored numbers mean the same run as those of today.

    A field that recipes have gained since is filled in with its default, by which the job ran; descriptions are words.
    """
    return _numbers(stored) == _numbers(wanted)


def _numbers(given: JsonObject) -> JsonObject:
    defaults = {name: field.default for name, field in Recipe.model_fields.items() if not field.is_required()}
    return {name: value for name, value in {**defaults, **given}.items() if name != "description"}


def _suits(recipe: Recipe, method: Method) -> bool:
    return recipe.method is method or (recipe.method is Method.LORA and method is Method.QLORA)


def _did_you_mean(name: str, known: list[str]) -> str:
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {nearest[0]}?" if nearest else ""
