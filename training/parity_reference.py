"""The trainer's side of the parity certificate, in a process of its own: `python -m training.parity_reference IN OUT`.

The prompts are rendered as training renders them; the weights are read by transformers, an adapter by PEFT. One pass
over each prompt with the server's continuation behind it says, at every place, which token the trained weights would
have chosen after the same words: where that is always the server's, the two greedy continuations are the same.
"""

from __future__ import annotations

import importlib.metadata
import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from contracts.parity import ParitySample, TrainerSample, TrainerSide
from contracts.record import Record
from storage.files import write_text_atomically

if TYPE_CHECKING:
    from collections.abc import Iterator

SPECIAL_TOKENS = 64
"""Models carry hundreds of reserved ones."""


class ReferenceRequest(Record):
    """What the process is to read."""

    model_path: str
    """Folder of the whole model."""
    adapter_path: str | None
    samples: list[ParitySample]


def reference(request: ReferenceRequest) -> TrainerSide:
    """What the trained weights say at every place of the server's answers."""
    import torch

    tokenizer, model = _tokenizer(request), _model(request)
    ends = end_ids(tokenizer, model)
    samples = []
    with torch.inference_mode():
        for sample in request.samples:
            samples.append(_sample(sample, tokenizer, model, ends))
    specials = {
        str(token): int(number) for token, number in sorted(_special_tokens(tokenizer), key=lambda pair: pair[1])
    }
    named = {token for own, sample in zip(samples, request.samples, strict=True) for token in _named(own, sample)}
    return TrainerSide(
        software=", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("transformers", "torch")),
        dtype=str(next(model.parameters()).dtype).removeprefix("torch."),
        special_tokens=specials,
        end_ids=sorted(ends),
        samples=samples,
        texts={token: tokenizer.decode([token], skip_special_tokens=False) for token in sorted(named)},
    )


def _sample(sample: ParitySample, tokenizer: Any, model: Any, ends: set[int]) -> TrainerSample:
    import torch

    rendered = tokenizer.apply_chat_template(
        sample.messages, add_generation_prompt=True, tokenize=True, return_dict=True
    )
    prompt = [int(token) for token in rendered["input_ids"]]
    ids = torch.tensor([[*prompt, *sample.token_ids]], device=model.device)
    logits = model(input_ids=ids).logits[0, len(prompt) - 1 :].float()
    logprobs = torch.log_softmax(logits, dim=-1).cpu()
    best = logprobs.max(dim=-1)
    tops = []
    for place in range(len(logprobs)):
        # after the last token: the ends of a turn, which a server does not name
        told = sample.top_logprobs[place] if place < len(sample.top_logprobs) else {}
        wanted = list(told) if place < len(sample.token_ids) else sorted(ends)
        tops.append({token: float(logprobs[place, token]) for token in wanted})
    return TrainerSample(
        prompt_ids=prompt,
        best_ids=best.indices.tolist(),
        best_logprobs=best.values.tolist(),
        own_logprobs=[float(logprobs[place, token]) for place, token in enumerate(sample.token_ids)],
        top_logprobs=tops,
    )


def end_ids(tokenizer: Any, model: Any) -> set[int]:
    """Tokens at which an answer ends: those of the generation configuration, and that of the tokenizer."""
    given = getattr(model.generation_config, "eos_token_id", None)
    found = set(given if isinstance(given, list) else [given]) | {tokenizer.eos_token_id}
    return {int(token) for token in found if token is not None}


def _special_tokens(tokenizer: Any) -> list[tuple[str, int]]:
    added = {str(token): number for number, token in tokenizer.added_tokens_decoder.items()}
    return list(added.items())[:SPECIAL_TOKENS]


def _named(own: TrainerSample, sample: ParitySample) -> Iterator[int]:
    """Tokens that a difference may show."""
    if sample.prompt_ids is not None and sample.prompt_ids != own.prompt_ids:
        yield from own.prompt_ids
        yield from sample.prompt_ids
    yield from own.best_ids
    yield from sample.token_ids
    for top in sample.top_logprobs:
        yield from top


def _tokenizer(request: ReferenceRequest) -> Any:
    """As it was trained with: that beside the adapter, where training has left one."""
    from transformers import AutoTokenizer

    folders = [Path(folder) for folder in (request.adapter_path, request.model_path) if folder is not None]
    folder = next((folder for folder in folders if (folder / "tokenizer_config.json").is_file()), folders[-1])
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _model(request: ReferenceRequest) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    folder = Path(request.model_path)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if config.get("quantization_config"):
        from training.compression.unpacking import load_unpacked

        model: Any = load_unpacked(folder)
    else:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto", use_safetensors=True, local_files_only=True)
    if request.adapter_path is not None:
        from peft import PeftModel

        with warnings.catch_warnings():
            # PEFT 0.21 asks for an attribute that transformers 5.23 is about to rename
            warnings.simplefilter("ignore", FutureWarning)
            model = PeftModel.from_pretrained(model, request.adapter_path)
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def main() -> None:
    """Read the request's file, write the answer's."""
    if len(sys.argv) != 3:
        sys.exit("usage: python -m training.parity_reference REQUEST.json ANSWER.json")
    source, target = map(Path, sys.argv[1:])
    request = ReferenceRequest.model_validate_json(source.read_text(encoding="utf-8"))
    write_text_atomically(target, reference(request).model_dump_json())


if __name__ == "__main__":
    main()
