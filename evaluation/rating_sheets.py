"""Rating on paper, so to say: a CSV file for one expert, filled in with any spreadsheet program and brought back.

The two answers stand in the order that is this expert's for each item; nothing in the file tells whose they are.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from contracts.enums import Preference, RatingKind
from contracts.errors import InvalidDataError
from contracts.ratings import SCORES, Rating, RatingItem, RatingTask
from evaluation.rating_items import rating_of, shown_first

KEY, RATING, COMMENT = "item_key", "평가", "의견"
_BEFORE = (KEY, "분류", "질문", "참고 답변")
PAIRWISE_COLUMNS = (*_BEFORE, "답변 1", "답변 2", RATING, COMMENT)
RUBRIC_COLUMNS = (*_BEFORE, "채점 기준", "답변", RATING, COMMENT)
_PREFERENCES = {
    "1": "first",
    "2": "second",
    "비슷": Preference.TIE,
    "tie": Preference.TIE,
    "둘 다 나쁨": Preference.BOTH_BAD,
    "둘다나쁨": Preference.BOTH_BAD,
    "both_bad": Preference.BOTH_BAD,
}


def sheet(task: RatingTask, items: Sequence[RatingItem], rater: str, done: dict[str, Rating]) -> str:
    """The file's text, with what the expert has rated already; a byte order mark tells Excel that it is UTF-8."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(PAIRWISE_COLUMNS if task.kind is RatingKind.PAIRWISE else RUBRIC_COLUMNS)
    for item in items:
        given = done.get(item.item_key)
        answers = [item.answer_a, item.answer_b or ""]
        first = shown_first(rater, item.item_key)
        if task.kind is RatingKind.RUBRIC:
            shown = [item.rubric, item.answer_a]
        else:
            shown = answers if first is Preference.A else answers[::-1]
        writer.writerow(
            [
                item.item_key,
                *(_as_text(cell) for cell in (item.category, item.question, "\n".join(item.accepted_answers), *shown)),
                "" if given is None else _written(given.value, first),
                "" if given is None else _as_text(given.comment),
            ]
        )
    return "\ufeff" + text.getvalue()


def _as_text(cell: str) -> str:
    """A spreadsheet program must not take an answer for a formula."""
    return f"'{cell}" if cell[:1] in {"=", "+", "-", "@", "\t", "\r"} else cell


def _written(value: str, first: Preference) -> str:
    if value in {Preference.A, Preference.B}:
        return "1" if value == first else "2"
    return {Preference.TIE.value: "비슷", Preference.BOTH_BAD.value: "둘 다 나쁨"}.get(value, value)


def ratings_in_sheet(path: Path, task: RatingTask, items: Sequence[RatingItem], rater: str) -> list[Rating]:
    """The filled in rows as ratings; empty ones are left out. Raises InvalidDataError naming the row."""
    by_key = {item.item_key: item for item in items}
    try:
        rows = csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""))
        columns = rows.fieldnames or []
        read = list(enumerate(rows, 2))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidDataError(
            "The rating sheet cannot be read",
            value=path,
            allowed="CSV in UTF-8, as `tuneway ratings export` writes it",
            next_step="save it as `CSV UTF-8`",
        ) from error
    if not {KEY, RATING} <= set(columns):
        raise InvalidDataError(
            "The rating sheet lacks columns",
            value=", ".join(columns),
            allowed=f"at least {KEY} and {RATING}",
            next_step="start from `tuneway ratings export`",
        )
    ratings = []
    for number, row in read:
        said = (row.get(RATING) or "").strip()
        if not said:
            continue
        item = by_key.get((row.get(KEY) or "").strip())
        if item is None:
            raise _wrong_row(path, number, "its item_key is none of the task's", row.get(KEY), task.name)
        first = shown_first(rater, item.item_key)
        value = _value(said, task.kind, first)
        if value is None:
            allowed = ", ".join(SCORES) if task.kind is RatingKind.RUBRIC else "1, 2, 비슷, 둘 다 나쁨"
            raise _wrong_row(path, number, f"{RATING} has an unknown value", said, allowed)
        ratings.append(rating_of(task, item, rater, value, comment=(row.get(COMMENT) or "").strip()))
    return ratings


def _value(said: str, kind: RatingKind, first: Preference) -> str | None:
    if kind is RatingKind.RUBRIC:
        # spreadsheet programs like to write 4.0
        plain = said.removesuffix(".0")
        return plain if plain in SCORES else None
    found = _PREFERENCES.get(said.casefold().removesuffix(".0"))
    if found in {"first", "second"}:
        second = Preference.B if first is Preference.A else Preference.A
        return first if found == "first" else second
    return found


def _wrong_row(path: Path, number: int, what: str, value: object, allowed: str) -> InvalidDataError:
    return InvalidDataError(
        f"Row {number} of the rating sheet cannot be used: {what}",
        value=value,
        allowed=allowed,
        next_step=f"correct row {number} of {path.name}; nothing of the file was stored",
    )
