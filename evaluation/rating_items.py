"""Items that experts and judges rate: made from answers, sampled, kept in a folder, shown without telling whose they are.

ratings/<task>/items.jsonl   the items, in order
               task.json     written last
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from contracts.enums import Preference, RatingKind
from contracts.errors import InvalidDataError, NotFoundError
from contracts.evaluation import CaseResult, TestCase
from contracts.ratings import PutUpRequest, Rating, RatingItem, RatingTask
from contracts.record import utc_now
from storage.files import read_json, write_json_atomically
from storage.stored_files import read_stored_text, write_stored_text

TASK_FILE, ITEMS_FILE = "task.json", "items.jsonl"


def item_key(kind: RatingKind, question: str, answer_a: str, answer_b: str | None) -> str:
    """64 hex digits: the same question and answers are the same item, in whatever task."""
    return hashlib.sha256(json.dumps([kind.value, question, answer_a, answer_b]).encode()).hexdigest()


def items_of_cases(cases: Sequence[CaseResult], kind: RatingKind) -> list[RatingItem]:
    """Base and tuned answer side by side; by rubric the tuned answer alone."""
    items = []
    for case in cases:
        pair = (case.base_answer, case.tuned_answer) if kind is RatingKind.PAIRWISE else (case.tuned_answer, None)
        items.append(
            RatingItem(
                item_key=item_key(kind, case.question, *pair),
                case_id=case.case_id,
                category=case.category,
                question=case.question,
                accepted_answers=case.accepted_answers,
                answer_a=pair[0],
                answer_b=pair[1],
            )
        )
    return items


def items_of_answers(
    cases: Sequence[TestCase], of_a: Mapping[str, str], of_b: Mapping[str, str] | None
) -> list[RatingItem]:
    """Two models' answers by case id side by side, or one model's; cases that lack an answer are left out."""
    kind = RatingKind.RUBRIC if of_b is None else RatingKind.PAIRWISE
    items = []
    for case in cases:
        if case.id not in of_a or (of_b is not None and case.id not in of_b):
            continue
        pair = (of_a[case.id], None if of_b is None else of_b[case.id])
        items.append(
            RatingItem(
                item_key=item_key(kind, case.question, *pair),
                case_id=case.id,
                category=case.category,
                question=case.question,
                accepted_answers=case.accepted_answers,
                rubric=str(case.options.get("rubric", "")),
                answer_a=pair[0],
                answer_b=pair[1],
                source_document=case.source_document,
            )
        )
    return items


def items_in_file(path: Path, kind: RatingKind) -> list[RatingItem]:
    """The items of a JSON-lines file. Raises InvalidDataError naming the line."""
    items = []
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidDataError("The file of answers cannot be read", value=path, next_step=str(error)) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = {"category": "general", **json.loads(line)}
            item = RatingItem.model_validate({**row, "item_key": ""})
            if (item.answer_b is None) is (kind is RatingKind.PAIRWISE):
                raise ValueError("answer_b belongs to a pairwise task, and only to one")
        except (ValueError, TypeError, ValidationError) as error:
            raise InvalidDataError(
                "A line has no answers to rate",
                value=f"{path.name}, line {number}: {str(error).splitlines()[0]}",
                allowed='{"case_id": "…", "question": "…", "answer_a": "…", "answer_b": "…", "category": "…"}',
                next_step="correct the line",
            ) from error
        key = item_key(kind, item.question, item.answer_a, item.answer_b)
        items.append(item.model_copy(update={"item_key": key}))
    return items


def chosen(items: Sequence[RatingItem], max_items: int | None) -> list[RatingItem]:
    """Each item once, of two same answers none, and a slice of the rest that is the same for the same cases."""
    once = list({item.item_key: item for item in items if item.answer_a != item.answer_b}.values())
    if max_items is None or len(once) <= max_items:
        return once
    ranked = sorted(once, key=lambda item: hashlib.sha256(item.case_id.encode()).digest())
    kept = {item.item_key for item in ranked[:max_items]}
    return [item for item in once if item.item_key in kept]


def shown_first(rater: str, key: str) -> Preference:
    """Which answer stands first, or on the left, for this rater: by chance, and always the same."""
    return (Preference.A, Preference.B)[hashlib.sha256(f"{rater}\0{key}".encode()).digest()[0] & 1]


def rating_of(task: RatingTask, item: RatingItem, rater: str, value: str, comment: str = "") -> Rating:
    """What this rater says of the item, with the order in which the answers stood."""
    return Rating(
        item_key=item.item_key,
        task=task.name,
        suite_name=task.suite_name,
        case_id=item.case_id,
        category=item.category,
        rater=rater,
        value=value,
        comment=comment,
        details={"shown_first": shown_first(rater, item.item_key).value} if task.kind is RatingKind.PAIRWISE else {},
    )


def task_of(
    request: PutUpRequest, items: Sequence[RatingItem], *, suite_name: str, model_a: str, model_b: str | None
) -> RatingTask:
    """The task of these items."""
    if not items:
        raise InvalidDataError(
            "There is nothing to rate",
            allowed="at least one answer, or two answers that differ",
            next_step="take another evaluation, or another file",
        )
    return RatingTask(
        name=request.name,
        kind=request.kind,
        suite_name=suite_name,
        model_a=model_a,
        model_b=model_b,
        items=len(items),
        sha256=hashlib.sha256(_lines(items).encode()).hexdigest(),
        created_by=request.created_by,
        created_at=utc_now(),
    )


def write_task(folder: Path, task: RatingTask, items: Sequence[RatingItem]) -> None:
    """The items, then the task. Safe to repeat."""
    write_stored_text(folder / ITEMS_FILE, _lines(items))
    write_json_atomically(folder / TASK_FILE, task.model_dump(mode="json"))


def remove_items(folder: Path, numbers: Collection[int]) -> None:
    """The task without the items of these numbers, from 0; its digest stays that of what was put up."""
    task, items = read_task(folder), read_items(folder)
    left = [item for number, item in enumerate(items) if number not in numbers]
    write_task(folder, task.model_copy(update={"items": len(left)}), left)


def read_task(folder: Path) -> RatingTask:
    """The folder's task. Raises NotFoundError."""
    stored = read_json(folder / TASK_FILE)
    if stored is None:
        raise NotFoundError("There is no such rating task", value=folder.name, next_step="see `tuneway ratings list`")
    return RatingTask.model_validate(stored)


def read_items(folder: Path) -> list[RatingItem]:
    """The task's items, in order."""
    read_task(folder)
    lines = read_stored_text(folder / ITEMS_FILE).split("\n")
    return [RatingItem.model_validate_json(line) for line in lines if line]


def _lines(items: Sequence[RatingItem]) -> str:
    return "".join(item.model_dump_json() + "\n" for item in items)
