"""How tokens are counted for statistics: by the tokenizer of a model that is there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contracts.errors import InvalidRequestError
from data_prep.statistics.measuring import Tokenizer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from settings import Settings

TOKENIZER_FILE = "tokenizer.json"


def counting_tokenizer(model: str | None, settings: Settings) -> Tokenizer | None:
    """The tokenizer of the model (a path, or a name in the model folder); None without a model, or without its file."""
    if model is None:
        return None
    from training.base_model import find_base_model

    try:
        path = find_base_model(model, settings.allowed_model_roots) / TOKENIZER_FILE
    except InvalidRequestError:
        return None
    if not path.is_file():
        return None
    from tokenizers import Tokenizer as FastTokenizer

    tokenizer = FastTokenizer.from_file(str(path))

    def count(texts: Sequence[str]) -> list[int]:
        return [len(encoding.ids) for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    return Tokenizer(model, count)
