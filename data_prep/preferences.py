"""Preference pairs: read from files, made from ratings, masked, and written as a dataset version."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from contracts.enums import RemovalReason, Split
from contracts.errors import InvalidDataError
from contracts.preferences import PreferencePair, RatedAnswer
from contracts.record import Record
from data_prep.contamination.overlaps import CaseIndex
from data_prep.masking.masker import Masker
from data_prep.rows import Message, Row
from storage.stored_files import create_stored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from contracts.contamination import SoughtCase

VALIDATION_SHARE = 0.1
COLUMNS = ("prompt", "chosen", "rejected")


class WrittenPreferences(Record):
    """What became of the pairs."""

    samples: dict[str, int]
    removed: dict[str, int]
    masked: dict[str, int]


def read_pairs(path: Path) -> list[PreferencePair]:
    """The pairs of a JSON-lines file. Raises InvalidDataError naming the line."""
    pairs = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidDataError("The file of pairs cannot be read", value=path, next_step=str(error)) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            pairs.append(
                PreferencePair(
                    prompt=_conversation(row["prompt"]),
                    chosen=_answer(row["chosen"]),
                    rejected=_answer(row["rejected"]),
                )
            )
        except (ValueError, KeyError, TypeError, IndexError, ValidationError) as error:
            raise InvalidDataError(
                "A line is no preference pair",
                value=f"{path}, line {number}: {type(error).__name__}: {str(error).splitlines()[0]}",
                allowed='{"prompt": "…", "chosen": "…", "rejected": "…"}, or lists of messages in their places',
                next_step="correct the line",
            ) from error
    return pairs


def pairs_of_ratings(answers: Sequence[RatedAnswer], min_difference: float) -> list[PreferencePair]:
    """Of each question, the best and the worst rated answer, where their mean ratings differ enough.

    Questions are the same when they differ in white space only. One pair a question: a much asked one counts once.
    """
    of_question: dict[str, list[RatedAnswer]] = defaultdict(list)
    for answer in answers:
        of_question[" ".join(answer.question.split())].append(answer)
    pairs = []
    for question in sorted(of_question):
        ranked = sorted(of_question[question], key=lambda found: (found.mean_rating, found.ratings, found.answer))
        worst, best = ranked[0], ranked[-1]
        if best.mean_rating - worst.mean_rating >= min_difference and best.answer != worst.answer:
            pairs.append(
                PreferencePair(
                    prompt=[{"role": "user", "content": best.question}], chosen=best.answer, rejected=worst.answer
                )
            )
    return pairs


def write_preferences(
    pairs: Sequence[PreferencePair], folder: Path, masker: Masker, test_cases: Sequence[SoughtCase] = ()
) -> WrittenPreferences:
    """Masked pairs as train.parquet, validation.parquet and test.parquet (empty); each pair once.

    All pairs of one prompt are on the same side, which a hash of the prompt decides. A pair that holds a test case,
    also nearly or inside a longer text, is removed.
    """
    import pyarrow
    import pyarrow.parquet

    rows: dict[Split, list[tuple[str, str, str]]] = {split: [] for split in Split}
    removed: Counter[str] = Counter()
    masked: Counter[str] = Counter()
    seen: set[tuple[str, str, str]] = set()
    texts = [[*(message["content"] for message in pair.prompt), pair.chosen, pair.rejected] for pair in pairs]
    leaks = CaseIndex(test_cases).check([pair_row(str(n), *_parts(pair)) for n, pair in enumerate(pairs)])
    for pair, found, leak in zip(pairs, masker.mask_rows(texts), leaks, strict=True):
        *prompt, chosen, rejected = found.texts
        messages = [{"role": turn["role"], "content": text} for turn, text in zip(pair.prompt, prompt, strict=True)]
        row = (json.dumps(messages, ensure_ascii=False), chosen, rejected)
        reason = _reason(row, seen, dropped=found.drop is not None) if leak is None else leak.reason
        if reason is not None:
            removed[reason] += 1
            continue
        seen.add(row)
        masked.update(datum.kind.value for data in found.found for datum in data)
        rows[_side(row[0])].append(row)
    if not rows[Split.TRAIN]:  # so few that all fell on the other side
        rows[Split.TRAIN], rows[Split.VALIDATION] = rows[Split.VALIDATION], []
    for split, part in rows.items():
        columns = list(zip(*sorted(part), strict=True)) or [(), (), ()]
        table = pyarrow.table(
            {name: pyarrow.array(values, pyarrow.string()) for name, values in zip(COLUMNS, columns, strict=True)}
        )
        with create_stored(folder / f"{split}.parquet") as stream:
            pyarrow.parquet.write_table(table, stream)
    return WrittenPreferences(
        samples={split.value: len(part) for split, part in rows.items()}, removed=dict(removed), masked=dict(masked)
    )


def pair_row(name: str, prompt: Sequence[Mapping[str, str]], chosen: str, rejected: str) -> Row:
    """A pair as a row: its questions are the user's turns, and both answers are the assistant's."""
    answers = (Message("assistant", answer) for answer in (chosen, rejected))
    return Row(name, (*(Message(turn["role"], turn["content"]) for turn in prompt), *answers))


def _parts(pair: PreferencePair) -> tuple[list[dict[str, str]], str, str]:
    return pair.prompt, pair.chosen, pair.rejected


def _reason(row: tuple[str, str, str], seen: set[tuple[str, str, str]], *, dropped: bool) -> RemovalReason | None:
    if dropped:
        return RemovalReason.PERSONAL_DATA
    if row[1].strip() == row[2].strip():  # nothing is preferred to itself, also after masking
        return RemovalReason.LOW_QUALITY
    return RemovalReason.EXACT_DUPLICATE if row in seen else None


def _side(prompt: str) -> Split:
    share = int.from_bytes(hashlib.sha256(prompt.encode()).digest()[:8]) / 2**64
    return Split.VALIDATION if share < VALIDATION_SHARE else Split.TRAIN


def _conversation(value: Any) -> list[dict[str, str]]:
    messages = [{"role": "user", "content": value}] if isinstance(value, str) else value
    made = [{"role": str(message["role"]), "content": str(message["content"])} for message in messages]
    if made[-1]["role"] != "user":
        raise ValueError("the prompt's last turn is not the user's")
    return made


def _answer(value: Any) -> str:
    """The text, or that of the one assistant turn."""
    if isinstance(value, str):
        return value
    (turn,) = value
    if turn["role"] != "assistant":
        raise ValueError("an answer is one turn of the assistant")
    return str(turn["content"])
