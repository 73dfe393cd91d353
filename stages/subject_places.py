"""Where a person may be beside the datasets: uploads, test cases, answers kept with evaluations, ratings, journals.

Read through like the datasets, and erased so that what was measured stays: a score without its answer, a rating without
its comment. Each step may be killed and done again.
"""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import pyarrow

from contracts.errors import ConflictError, DamagedFileError, NotFoundError, TunewayError
from contracts.privacy import StoredKind
from data_prep.generation.journal import JOURNAL_NAME as GENERATION_JOURNAL
from data_prep.imports.batches import ParsedRow
from data_prep.imports.reading import open_rows
from data_prep.subjects.erasing import erase_lines
from data_prep.subjects.searching import find_in_lines
from evaluation.rating_items import ITEMS_FILE, remove_items
from evaluation.suites.results import CASES_FILE
from stages import evaluate, evaluate_suites, judge, replay_ab_test
from stages.uploads import remove_upload, waiting_files
from storage.job_folder import JobFolder
from storage.journal import KeyedJournal, journal_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from data_prep.imports.input_files import InputFile
    from data_prep.subjects.searching import Subject
    from database.repositories.judged_texts import JudgedText
    from settings import Settings
    from stages.services import Services

_Key = TypeVar("_Key")
_BATCH_ROWS = 2_000


@dataclass(slots=True)
class SubjectPlaces:
    """Certainty of each row, by where it stands."""

    uploads: dict[str, dict[int, int]] = field(default_factory=dict)
    """By upload and number of the row."""
    lines: dict[Path, dict[int, int]] = field(default_factory=dict)
    """By file and number of the line."""
    journals: dict[Path, dict[str, int]] = field(default_factory=dict)
    """By file and key."""
    plans: dict[Path, dict[str, int]] = field(default_factory=dict)
    """By folder of an evaluation's job and id of a case that it asks."""
    test_cases: dict[int, dict[str, int]] = field(default_factory=dict)
    """By suite version and case; the others alike."""
    evaluated: dict[int, dict[str, int]] = field(default_factory=dict)
    scored: dict[int, dict[str, int]] = field(default_factory=dict)
    overlaps: dict[int, dict[str, int]] = field(default_factory=dict)
    comments: dict[int, dict[str, int]] = field(default_factory=dict)
    suite_names: dict[int, str] = field(default_factory=dict)
    rows_read: int = 0

    def each(self, settings: Settings) -> Iterator[tuple[StoredKind, str, list[int]]]:
        """Kind, name and certainties of every place that holds something."""
        for path, lines in self.lines.items():
            yield _kind_of(path, settings), str(path.relative_to(settings.data_dir)), list(lines.values())
        for path, entries in self.journals.items():
            yield _kind_of(path, settings), str(path.relative_to(settings.data_dir)), list(entries.values())
        for folder, cases in self.plans.items():
            name = str(JobFolder(folder).plan.relative_to(settings.data_dir))
            yield StoredKind.EVALUATION, name, list(cases.values())
        for upload_id, rows in self.uploads.items():
            yield StoredKind.UPLOAD, upload_id, list(rows.values())
        for suite_id, cases in self.test_cases.items():
            yield StoredKind.TEST_CASE, self.suite_names[suite_id], list(cases.values())
        for table, found in (
            ("model_evaluations", self.evaluated),
            ("suite_results", self.scored),
            ("contamination_reports", self.overlaps),
        ):
            for holder, cases in found.items():
                yield StoredKind.EVALUATION, f"{table}/{holder}", list(cases.values())
        if self.comments:
            certainties = [value for found in self.comments.values() for value in found.values()]
            yield StoredKind.RATING, "expert_ratings", certainties


def journal_paths(settings: Settings) -> list[Path]:
    """Every file of answers that were paid for."""
    jobs, ratings, generations = settings.jobs_dir, settings.ratings_dir, settings.generations_dir
    return sorted(
        [
            *generations.glob(f"*/{GENERATION_JOURNAL}"),
            *jobs.glob(f"*/{evaluate.JOURNAL_FILE}"),
            *jobs.glob(f"*/{evaluate_suites.JOURNAL_FILE}"),
            *jobs.glob(f"*/*/{judge.JOURNAL_FILE}"),
            *jobs.glob(f"*/{judge.JOURNAL_FILE}"),
            *ratings.glob(f"*/{judge.JOURNAL_FILE}"),
            *settings.replays_dir.glob(f"*/{replay_ab_test.ANSWERS_FILE}"),
            *settings.replays_dir.glob(f"*/{judge.JOURNAL_FILE}"),
        ]
    )


def line_paths(settings: Settings) -> list[Path]:
    """Every other file of JSON lines with samples, answers and what is put up for raters."""
    jobs = settings.jobs_dir
    return sorted(
        [
            *(path for path in settings.generations_dir.rglob("*.jsonl") if path.name != GENERATION_JOURNAL),
            *jobs.glob(f"*/output/{evaluate.ANSWERS_FILE}"),
            *jobs.glob(f"*/output/*/{CASES_FILE}"),
            *jobs.glob(f"*/{evaluate.RESULTS_FOLDER}/*/*/{CASES_FILE}"),
            *settings.ratings_dir.glob(f"*/{ITEMS_FILE}"),
        ]
    )


def find_places(
    subject: Subject, services: Services, readable: Callable[[str], AbstractContextManager[None]]
) -> SubjectPlaces:
    """Everything that is there. `readable` passes over what is under an erased key."""
    settings, found = services.settings, SubjectPlaces()
    for path in line_paths(settings):
        with readable(str(path.relative_to(settings.data_dir))):
            if lines := find_in_lines(path, subject):
                found.lines[path] = lines
    for path in journal_paths(settings):
        with readable(str(path.relative_to(settings.data_dir))):
            entries = list(journal_entries(path))
            found.rows_read += len(entries)
            keys = [key for key, _ in entries]
            if certain := _certainties(subject, keys, [json.dumps(one, ensure_ascii=False) for _, one in entries]):
                found.journals[path] = certain
    for folder in sorted(settings.jobs_dir.glob(f"{evaluate_suites.KEY_PREFIX}*")):
        with readable(str(folder.relative_to(settings.data_dir))), suppress(NotFoundError):
            cases = [case for suite in evaluate_suites.read_plan(JobFolder(folder)).suites for case in suite.cases]
            told = [case.model_dump_json() for case in cases]
            if certain := _certainties(subject, [case.id for case in cases], told):
                found.plans[folder] = certain
    for upload_id, file in waiting_files(settings):
        with readable(f"uploads/{upload_id}"):
            if rows := _find_in_upload(file, subject, found):
                found.uploads[upload_id] = rows
    with services.unit_of_work() as uow:
        texts = uow.judged_texts
        for batches, into in (
            (texts.test_cases(), found.test_cases),
            (texts.evaluated_answers(), found.evaluated),
            (texts.scored_answers(), found.scored),
            (texts.overlaps(), found.overlaps),
            (texts.comments(), found.comments),
        ):
            for batch in batches:
                found.rows_read += len(batch)
                _find_in_batch(batch, subject, into)
        for suite_id in found.test_cases:
            suite = uow.suites.get(suite_id)
            found.suite_names[suite_id] = f"{suite.name}@{suite.version}"
    return found


def erase_places(found: SubjectPlaces, least: int, services: Services) -> None:
    """Take out what is at least so certain. Raises ConflictError where a generation, an evaluation or a judge runs."""
    settings = services.settings
    for upload_id, rows in found.uploads.items():
        if max(rows.values()) >= least:
            # its bytes are those of a file that somebody else announced with its digest: all or nothing
            with suppress(NotFoundError):
                remove_upload(upload_id, services, user_id=None)
    for path, lines in found.lines.items():
        numbers = {number for number, value in lines.items() if value >= least}
        if path.name != ITEMS_FILE:
            erase_lines(path, numbers)
        elif numbers:
            remove_items(path.parent, numbers)
    for path, entries in found.journals.items():
        if chosen := {key for key, value in entries.items() if value >= least}:
            _forget(path, chosen)
    for folder, planned in found.plans.items():
        if chosen := {case_id for case_id, value in planned.items() if value >= least}:
            _without_cases(JobFolder(folder), chosen)
    with services.unit_of_work() as uow:
        texts = uow.judged_texts
        for suite_id, cases in _chosen(found.test_cases, least):
            uow.suites.forget_cases(suite_id, cases)
        for forget, of in (
            (texts.forget_evaluated_answers, found.evaluated),
            (texts.forget_scored_answers, found.scored),
            (texts.forget_overlaps, found.overlaps),
        ):
            for holder, cases in _chosen(of, least):
                forget(holder, cases)
        texts.forget_comments([holder for holder, _ in _chosen(found.comments, least)])
    # written again from what is left when they are asked for
    if any(_chosen(found.test_cases, least)):
        shutil.rmtree(settings.suites_dir, ignore_errors=True)


def _chosen(found: Mapping[int, Mapping[str, int]], least: int) -> Iterator[tuple[int, list[str]]]:
    for holder, cases in found.items():
        if chosen := [key for key, value in cases.items() if value >= least]:
            yield holder, chosen


def _find_in_batch(batch: Sequence[JudgedText], subject: Subject, into: dict[int, dict[str, int]]) -> None:
    certain = _certainties(subject, range(len(batch)), [row.text for row in batch])
    for place, value in certain.items():
        into.setdefault(batch[place].holder, {})[batch[place].key] = value


def _certainties(subject: Subject, keys: Sequence[_Key], texts: Sequence[str]) -> dict[_Key, int]:
    """By key, of those that tell of the person; of several texts of a key the surest counts."""
    found: dict[_Key, int] = {}
    whole = [text.encode("utf-8", "replace").decode() for text in texts]
    certainty = subject.certainty([pyarrow.array(whole, pyarrow.large_string())])
    for place in certainty.nonzero()[0].tolist():
        found[keys[place]] = max(int(certainty[place]), found.get(keys[place], 0))
    return found


def _find_in_upload(file: InputFile, subject: Subject, found: SubjectPlaces) -> dict[int, int]:
    """By number of the row, as far as the file has arrived and can be read; what cannot is searched as it came."""
    rows: dict[int, int] = {}
    number = 0
    waiting: list[str] = []

    def look() -> None:
        nonlocal number
        rows.update(_certainties(subject, range(number, number + len(waiting)), waiting))
        number += len(waiting)
        waiting.clear()

    try:
        for row in open_rows(file).rows:
            waiting.append(json.dumps(row.value, ensure_ascii=False) if isinstance(row, ParsedRow) else row.raw)
            if len(waiting) == _BATCH_ROWS:
                look()
    except DamagedFileError:
        raise
    except TunewayError:  # no file of that format, or one that has arrived in part
        with file.opened() as stream:
            while block := stream.read(1 << 20):
                waiting.append(block.decode("utf-8", "replace"))
    look()
    found.rows_read += number
    return rows


def _without_cases(folder: JobFolder, case_ids: set[str]) -> None:
    plan = evaluate_suites.read_plan(folder)
    suites = [
        suite.model_copy(update={"cases": [case for case in suite.cases if case.id not in case_ids]})
        for suite in plan.suites
    ]
    evaluate_suites.write_plan(folder, plan.model_copy(update={"suites": suites}))


def _kind_of(path: Path, settings: Settings) -> StoredKind:
    if path.is_relative_to(settings.generations_dir):
        return StoredKind.GENERATION
    if path.is_relative_to(settings.replays_dir):
        return StoredKind.TRAFFIC
    return StoredKind.RATING if path.is_relative_to(settings.ratings_dir) else StoredKind.EVALUATION


def _forget(path: Path, keys: set[str]) -> None:
    in_use = ConflictError(
        "Answers of which some tell of this person are being added to",
        value=path,
        next_step="erase again when the generation, evaluation or judging has ended; what was erased so far stays erased",
    )
    with KeyedJournal(path, in_use) as journal:
        journal.forget(keys)
