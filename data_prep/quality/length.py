"""Length rules: what is too short to teach anything, or too long to be one conversation."""

from contracts.enums import RemovalReason
from data_prep.removal import Removal
from data_prep.rows import Row

MIN_QUESTION_CHARACTERS = 2
MAX_ROW_CHARACTERS = 20_000
"""About 12,000 tokens of Korean text: longer than any recipe's max_seq_length."""


def check_length(
    row: Row, min_answer_characters: int, max_answer_characters: int = MAX_ROW_CHARACTERS
) -> Removal | None:
    """Characters are counted without spaces."""
    total = sum(_characters(message.content) for message in row.messages)
    return judge_length(
        _characters(row.answer), _characters(row.question), total, min_answer_characters, max_answer_characters
    )


def judge_length(
    answer: int, question: int, total: int, min_answer_characters: int, max_answer_characters: int
) -> Removal | None:
    """The verdict on the characters of the answer, of the user's turns and of all turns."""
    if answer < min_answer_characters:
        return Removal(RemovalReason.TOO_SHORT, f"answer of {answer} characters, at least {min_answer_characters}")
    if question < MIN_QUESTION_CHARACTERS:
        return Removal(RemovalReason.TOO_SHORT, f"question of {question} characters")
    if answer > max_answer_characters:
        return Removal(RemovalReason.TOO_LONG, f"answer of {answer} characters, at most {max_answer_characters}")
    if total > MAX_ROW_CHARACTERS:
        return Removal(RemovalReason.TOO_LONG, f"{total} characters, at most {MAX_ROW_CHARACTERS}")
    return None


def _characters(text: str) -> int:
    return len("".join(text.split()))
