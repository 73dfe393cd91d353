"""A larger local token classifier in place of the name model that ships, for a policy that names its folder.

Loaded from the folder alone, never from a hub. torch and transformers are needed only here.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from contracts.errors import InvalidRequestError
from data_prep.masking.names import FoundName

BATCH = 16
MAX_TOKENS = 512
OVERLAP_TOKENS = 64
"""A long text is read in pieces that overlap."""
PERSON_LABELS = frozenset({"PS", "PER", "PERSON", "NAME", "PS_NAME", "KR_NAME", "이름", "인명"})
_EDGE = re.compile(r"^(?P<before>[BIESLU])[-_](?P<type>.+)$|^(?P<type2>.+)[-_](?P<behind>[BIESLU])$")


class LargerNameModel:
    """Finds names with a token classifier that transformers opens."""

    def __init__(self, folder: str) -> None:
        path = Path(folder)
        if not (path / "config.json").is_file():
            raise InvalidRequestError(
                "The policy's masking.name_model is no model folder",
                value=folder,
                allowed="a folder with config.json, weights and tokenizer, as transformers saves it",
                next_step="correct masking.name_model in the policy, or set it to null for the model that ships",
            )
        import transformers

        try:
            self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
            model: Any = transformers.AutoModelForTokenClassification.from_pretrained(
                path, use_safetensors=True, local_files_only=True
            )
        except (OSError, ValueError, KeyError) as error:
            raise InvalidRequestError(
                "The policy's masking.name_model cannot be loaded",
                value=folder,
                allowed="a model that transformers opens as AutoModelForTokenClassification, with a fast tokenizer",
                next_step=" ".join(str(error).split())[:300],
            ) from error
        self._model = model.eval()
        labels = [str(model.config.id2label[number]) for number in range(model.config.num_labels)]
        edges = [_edge_and_type(label) for label in labels]
        self._persons = [number for number, (_, kind) in enumerate(edges) if kind.upper() in PERSON_LABELS]
        self._begins = frozenset(number for number in self._persons if edges[number][0] in {"B", "S", "U"})
        if not self._persons or not self._tokenizer.is_fast:
            raise InvalidRequestError(
                "It is not clear where the model of masking.name_model sees persons",
                value=", ".join(labels),
                allowed=f"a fast tokenizer, and labels such as B-PS and I-PS, of one of {', '.join(sorted(PERSON_LABELS))}",
                next_step="rename the labels in id2label of the model's config.json",
            )
        self._max_tokens = min(MAX_TOKENS, int(getattr(model.config, "max_position_embeddings", MAX_TOKENS)))

    def __call__(self, texts: Sequence[str]) -> list[list[FoundName]]:
        """Names in each text in order, each with the mean probability of its tokens."""
        found: list[list[FoundName]] = []
        for start in range(0, len(texts), BATCH):
            found += self._read(list(texts[start : start + BATCH]))
        return found

    def _read(self, texts: list[str]) -> list[list[FoundName]]:
        import torch

        inputs = self._tokenizer(
            texts,
            return_tensors="pt",
            padding=True,
            truncation=True,
            max_length=self._max_tokens,
            stride=min(OVERLAP_TOKENS, self._max_tokens // 4),
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
        )
        owners = inputs.pop("overflow_to_sample_mapping").tolist()
        offsets = inputs.pop("offset_mapping").tolist()
        with torch.inference_mode():
            shares = torch.softmax(self._model(**inputs).logits.float(), dim=-1)
        found: list[dict[tuple[int, int], FoundName]] = [{} for _ in texts]
        for owner, piece, place in zip(owners, shares, offsets, strict=True):
            labels = piece.argmax(dim=-1).tolist()
            persons = piece[:, self._persons].sum(dim=-1).tolist()
            for name in self._names(texts[owner], labels, persons, place):
                found[owner].setdefault((name.start, name.end), name)
        return [[names[place] for place in sorted(names)] for names in found]

    def _names(
        self, text: str, labels: Sequence[int], persons: Sequence[float], offsets: Sequence[Sequence[int]]
    ) -> Iterator[FoundName]:
        inside = frozenset(self._persons)
        spans: list[tuple[int, int, list[float]]] = []
        joined = False
        for label, share, (start, end) in zip(labels, persons, offsets, strict=True):
            if label not in inside or start == end:
                joined = joined and start == end
                continue
            if joined and label not in self._begins:
                first, _, shares = spans[-1]
                spans[-1] = first, end, [*shares, share]
            else:
                spans.append((start, end, [share]))
            joined = True
        for start, end, shares in spans:
            written = text[start:end]
            start += len(written) - len(written.lstrip())
            end -= len(written) - len(written.rstrip())
            if start < end:
                yield FoundName(start, end, sum(shares) / len(shares), spreads=False)


@lru_cache(maxsize=2)
def open_larger_model(folder: str) -> LargerNameModel:
    """The model of this process. Raises InvalidRequestError when the folder holds no such model."""
    return LargerNameModel(folder)


def _edge_and_type(label: str) -> tuple[str, str]:
    matched = _EDGE.match(label)
    if matched is None:
        return "", label
    return matched["before"] or matched["behind"], matched["type"] or matched["type2"]
