"""Larger local models in place of the small ones that ship, for a policy that names their folders.

Loaded from the folder alone, never from a hub. torch and transformers are needed only here.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy
from numpy.typing import NDArray

from contracts.errors import InvalidRequestError

BATCH = 16
MAX_TOKENS = 512
HARMLESS_LABELS = frozenset(
    {"none", "clean", "normal", "neutral", "non-toxic", "nontoxic", "not_toxic", "non_toxic", "not_hate", "non-hate"}
    | {"non_hate", "safe", "ok", "default", "정상", "없음", "clean text", "none_hate"}
)
GOOD_SURPRISE, BAD_SURPRISE = 2.0, 5.0
"""Nats a character at which fluency is 1 and 0. Korean prose costs a small model 1 to 2, random syllables more than 5."""


def open_toxicity_classifier(folder: str) -> Callable[[Sequence[str]], NDArray[numpy.float32]]:
    """Toxicity by a sequence classifier: 1 - the probability of its harmless label.

    With several independent labels (multi_label_classification) it is the greatest among the others.
    Raises InvalidRequestError when the folder holds no such model or no label is known to be harmless.
    """
    tokenizer, model = _load(folder, "AutoModelForSequenceClassification", "quality.toxicity_model")
    labels = [str(model.config.id2label[index]) for index in range(model.config.num_labels)]
    harmless = [index for index, label in enumerate(labels) if label.strip().casefold() in HARMLESS_LABELS]
    independent = model.config.problem_type == "multi_label_classification"
    if not harmless and not independent:
        raise InvalidRequestError(
            "It is not clear which label of the toxicity model means harmless",
            value=", ".join(labels),
            allowed=f"one of its labels named {', '.join(sorted(HARMLESS_LABELS))}",
            next_step="rename the label in id2label of the model's config.json",
        )

    def judge(texts: Sequence[str]) -> NDArray[numpy.float32]:
        import torch

        found = [numpy.zeros(0, dtype=numpy.float32)]
        for start in range(0, len(texts), BATCH):
            inputs = _encode(tokenizer, texts[start : start + BATCH])
            with torch.inference_mode():
                logits = model(**inputs).logits.float()
            if independent:
                shares = torch.sigmoid(logits)
                others = [index for index in range(len(labels)) if index not in harmless]
                found.append(shares[:, others].max(dim=1).values.numpy())
            else:
                found.append(1 - torch.softmax(logits, dim=1)[:, harmless].sum(dim=1).numpy())
        return numpy.clip(numpy.concatenate(found), 0, 1)

    return judge


def open_causal_model(folder: str) -> Callable[[Sequence[str]], NDArray[numpy.float64]]:
    """Fluency by a causal model: its surprise a character, 1 up to GOOD_SURPRISE, 0 from BAD_SURPRISE.

    Raises InvalidRequestError when the folder holds no such model.
    """
    tokenizer, model = _load(folder, "AutoModelForCausalLM", "quality.language_model")

    def judge(texts: Sequence[str]) -> NDArray[numpy.float64]:
        surprises = [_surprise(tokenizer, model, text) for text in texts]
        fluent: NDArray[numpy.float64] = numpy.clip(
            (BAD_SURPRISE - numpy.array(surprises, dtype=numpy.float64)) / (BAD_SURPRISE - GOOD_SURPRISE), 0, 1
        )
        return fluent

    return judge


def _surprise(tokenizer: Any, model: Any, text: str) -> float:
    """Nats a character of what the model read: the first token has no context and does not count."""
    import torch

    inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=MAX_TOKENS)
    tokens = inputs["input_ids"]
    if tokens.shape[1] < 2:
        return 0.0
    with torch.inference_mode():
        logits = model(input_ids=tokens).logits[0, :-1].float()
    surprise = torch.nn.functional.cross_entropy(logits, tokens[0, 1:], reduction="sum").item()
    read = tokenizer.decode(tokens[0, 1:], skip_special_tokens=True)
    return float(surprise / max(len(read), 1))


def _encode(tokenizer: Any, texts: Sequence[str]) -> Any:
    return tokenizer(list(texts), return_tensors="pt", padding=True, truncation=True, max_length=MAX_TOKENS)


def _load(folder: str, kind: str, key: str) -> tuple[Any, Any]:
    path = Path(folder)
    if not (path / "config.json").is_file():
        raise InvalidRequestError(
            f"The policy's {key} is no model folder",
            value=folder,
            allowed="a folder with config.json, weights and tokenizer, as transformers saves it",
            next_step=f"correct {key} in the policy, or set it to null for the model that ships",
        )
    import transformers

    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
        model = getattr(transformers, kind).from_pretrained(path, use_safetensors=True, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise InvalidRequestError(
            f"The policy's {key} cannot be loaded",
            value=folder,
            allowed=f"a model that transformers opens as {kind}",
            next_step=" ".join(str(error).split())[:300],
        ) from error
    return tokenizer, model.eval()
