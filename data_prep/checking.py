"""Checks of a dataset version as it lies on disk, before GPU time is spent on it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy
import pyarrow
import pyarrow.compute
import pyarrow.parquet

from contracts.contamination import SoughtCase
from contracts.data_policy import DataPolicy
from contracts.datasets import QualityCheck, QualityRequest
from contracts.enums import QualityCheckType, RemovalReason, Split
from contracts.errors import DamagedFileError
from contracts.record import JsonObject, Record
from data_prep.contamination.overlaps import CaseIndex
from data_prep.duplicates.finding import find_duplicates
from data_prep.masking.masker import Masker
from data_prep.preparation.comparing import fingerprints_of, version_rows
from data_prep.rows import OnProgress, Row, messages_from_json, texts_of
from data_prep.stored_rows import StoredRows
from data_prep.versions.manifest import VersionManifest, load_manifest
from data_prep.versions.names import INDEX_FILE
from data_prep.workers import Task, default_workers, run_pieces
from storage.files import write_json_atomically
from storage.stored_files import open_stored, sha256_of_stored

LISTED_ISSUES = 20
"""Issues written out one by one; the rest is counted."""


class _Plan(Record):
    """What every process that reads rows needs to know."""

    folder: str
    policy: DataPolicy
    test_cases: list[SoughtCase]


class _Issues(Record):
    """Issues of one kind in one file: the first ones, and how many there are."""

    count: int = 0
    first: list[JsonObject] = []

    @classmethod
    def of(cls, issues: Sequence[JsonObject]) -> "_Issues":
        return cls(count=len(issues), first=list(issues[:LISTED_ISSUES]))


def check_version(
    folder: Path,
    request: QualityRequest,
    test_cases: Sequence[SoughtCase],
    work_dir: Path,
    on_progress: OnProgress | None = None,
    workers: int | None = None,
) -> list[QualityCheck]:
    """One check of every type. Issues have a Korean `message` and, where they concern one row, its `row`.

    `work_dir` is a folder for the time of the check.
    """
    manifest = load_manifest(folder)
    policy = DataPolicy.model_validate(manifest.recipe.policy)
    rows = version_rows(folder)
    plan = _Plan(folder=str(folder), policy=policy, test_cases=list(test_cases))
    plan_path = work_dir / "plan.json"
    write_json_atomically(plan_path, plan.model_dump(mode="json"))
    personal, leaks = _read_rows(rows, plan_path, workers or default_workers(), on_progress)
    checks = [
        _check(QualityCheckType.PII_DETECTION, personal),
        _check_duplicates(rows, manifest, policy, on_progress),
        _check_quality_score(rows, request.min_quality_score),
        _check_balance(rows, manifest),
        _check(QualityCheckType.TEST_LEAKAGE, leaks),
        _check_size(folder, rows, manifest, request.min_samples),
    ]
    return _with_row_ids(checks, folder)


def _with_row_ids(checks: Sequence[QualityCheck], folder: Path) -> list[QualityCheck]:
    """The checks with rows called as reports call them; a row that the version's index does not have keeps its key."""
    named = {str(issue["row"]) for check in checks for issue in check.issues if "row" in issue}
    if not named or not (folder / INDEX_FILE).is_file():
        return list(checks)
    with open_stored(folder / INDEX_FILE) as stream:
        table = pyarrow.parquet.read_table(stream, columns=["key", "row"])
    found = table.filter(pyarrow.compute.is_in(table["key"], pyarrow.array(sorted(named))))
    row_of = dict(zip(found["key"].to_pylist(), found["row"].to_pylist(), strict=True))
    return [
        check.model_copy(
            update={
                "issues": [
                    {**issue, "row": row_of.get(str(issue["row"]), issue["row"])} if "row" in issue else issue
                    for issue in check.issues
                ]
            }
        )
        for check in checks
    ]


def _check(check_type: QualityCheckType, issues: Sequence[_Issues]) -> QualityCheck:
    listed = [issue for found in issues for issue in found.first][:LISTED_ISSUES]
    count = sum(found.count for found in issues)
    if count > len(listed):
        listed.append({"message": f"같은 문제가 {count - len(listed):,}건 더 있습니다."})
    return QualityCheck(check_type=check_type, passed=not count, issues=listed)


def _read_rows(
    rows: StoredRows, plan_path: Path, workers: int, on_progress: OnProgress | None
) -> tuple[list[_Issues], list[_Issues]]:
    """Personal data and test questions in each file, in the order of the files."""
    personal, leaks = {}, {}
    done = 0
    for file, told in run_pieces("data_prep.checking", "open_reading", plan_path, range(len(rows.files)), workers):
        personal[file] = _Issues.model_validate(told["personal"])
        leaks[file] = _Issues.model_validate(told["leaks"])
        done += rows.start(file + 1) - rows.start(file)
        if on_progress is not None:
            on_progress("checking for personal data", done, len(rows))
    return [personal[file] for file in sorted(personal)], [leaks[file] for file in sorted(leaks)]


def open_reading(plan_path: Path) -> Task:
    """The work of one process; see data_prep.workers."""
    plan = _Plan.model_validate_json(plan_path.read_text(encoding="utf-8"))
    masker = Masker(plan.policy.masking)
    test_cases = CaseIndex(plan.test_cases)
    rows = version_rows(Path(plan.folder))

    def read(file: int) -> JsonObject:
        table = rows.table(file)
        split = rows.files[file].relative_to(plan.folder).parts[0].partition(".")[0]
        personal: list[JsonObject] = []
        leaks: list[JsonObject] = []
        stored = [_row(value) for value in table.to_pylist()]
        for row, removal in zip(stored, test_cases.check(stored), strict=True):
            places = texts_of(row)
            for (where, _), data in zip(places, masker.find([text for _, text in places]), strict=True):
                personal += [
                    {
                        "row": row.row_id,
                        "kind": datum.kind.value,
                        "where": where,
                        "message": f"가려지지 않은 개인정보({datum.kind.value})가 남아 있습니다.",
                    }
                    for datum in data
                ]
            if removal is not None:
                leaks.append(
                    {
                        "row": row.row_id,
                        "split": split,
                        "detail": removal.detail,
                        "message": "평가 문항이 데이터에 들어 있습니다.",
                    }
                )
        told = {"personal": _Issues.of(personal), "leaks": _Issues.of(leaks)}
        return {name: issues.model_dump(mode="json") for name, issues in told.items()}

    return read


def _row(value: JsonObject) -> Row:
    """A row of a version's file, also of one that was changed by hand."""
    key = str(value.get("key") or "")
    texts = {"category": value["category"], "source": value["source"]}
    return Row(key, messages_from_json(str(value["messages"])), texts, key)


def _check_duplicates(
    rows: StoredRows, manifest: VersionManifest, policy: DataPolicy, on_progress: OnProgress | None
) -> QualityCheck:
    scores = rows.columns(["quality_score"])["quality_score"].to_numpy().astype(numpy.float32)
    found = find_duplicates(
        fingerprints_of(rows, policy.duplicates),
        scores,
        rows.rows_at,
        policy.duplicates,
        threshold=manifest.request.near_duplicate_threshold,
        on_progress=on_progress,
    )
    copies = numpy.flatnonzero(found.reason)
    keys = rows.columns(["key"])["key"]
    issues: list[JsonObject] = []
    for number in copies[:LISTED_ISSUES].tolist():
        kept = keys[int(found.kept_by[number])].as_py()
        exact = int(found.reason[number]) == 1
        reason = RemovalReason.EXACT_DUPLICATE if exact else RemovalReason.NEAR_DUPLICATE
        issues.append(
            {
                "row": keys[number].as_py(),
                "reason": reason.value,
                "detail": f"{'same as' if exact else 'nearly the same as'} {kept}",
                "message": "다른 행과 내용이 같거나 거의 같습니다.",
            }
        )
    return _check(QualityCheckType.DUPLICATE_CHECK, [_Issues(count=len(copies), first=issues)])


def _check_quality_score(rows: StoredRows, minimum: float) -> QualityCheck:
    scores = rows.columns(["quality_score"])["quality_score"].to_numpy()
    mean = float(scores.mean()) if len(scores) else 0.0
    issues: list[JsonObject] = []
    if mean < minimum:
        issues.append(
            {
                "mean": round(mean, 4),
                "minimum": minimum,
                "message": f"평균 품질 점수가 {mean:.2f}점으로 기준({minimum:.2f}점)보다 낮습니다.",
            }
        )
    return _check(QualityCheckType.QUALITY_SCORE, [_Issues.of(issues)])


def _sides(rows: StoredRows) -> dict[Split, pyarrow.ChunkedArray]:
    """The categories of the rows of each side."""
    found: dict[Split, list[pyarrow.Array]] = {split: [] for split in Split}
    for file, path in enumerate(rows.files):
        name = path.parent.name if path.parent.name.endswith(".parquet") else path.name
        found[Split(name.partition(".")[0])] += rows.table(file, ["category"])["category"].chunks
    return {split: pyarrow.chunked_array(chunks, pyarrow.string()) for split, chunks in found.items()}


def _check_balance(rows: StoredRows, manifest: VersionManifest) -> QualityCheck:
    sides = _sides(rows)
    in_train = Counter(sides[Split.TRAIN].to_pylist())
    everywhere = {category for column in sides.values() for category in column.unique().to_pylist()}
    issues: list[JsonObject] = [
        {"category": category, "message": f"'{category}' 분류가 학습 데이터에 한 건도 없습니다."}
        for category in sorted(everywhere - set(in_train))
    ]
    wanted = manifest.request
    for split, ratio, name in (
        (Split.TRAIN, wanted.train_ratio, "학습"),
        (Split.VALIDATION, wanted.val_ratio, "검증"),
        (Split.TEST, wanted.test_ratio, "시험"),
    ):
        if ratio > 0 and len(sides[split]) == 0:
            issues.append(
                {
                    "split": split.value,
                    "message": f"{name} 데이터를 {ratio:.0%} 두기로 하였으나 한 건도 없습니다.",
                }
            )
    return _check(QualityCheckType.SPLIT_BALANCE, [_Issues.of(issues)])


def _check_size(folder: Path, rows: StoredRows, manifest: VersionManifest, min_samples: int) -> QualityCheck:
    in_train = len(_sides(rows)[Split.TRAIN])
    issues: list[JsonObject] = []
    if in_train < min_samples:
        issues.append(
            {
                "train_samples": in_train,
                "minimum": min_samples,
                "message": f"학습 데이터가 {in_train:,}건으로 최소 기준({min_samples:,}건)보다 적습니다.",
            }
        )
    for name, expected in manifest.files.items():
        if not _is_unchanged(folder / name, expected):
            issues.append({"file": name, "message": f"{name} 파일이 만들어진 뒤에 바뀌었습니다."})
    return _check(QualityCheckType.SIZE, [_Issues.of(issues)])


def _is_unchanged(path: Path, digest: str) -> bool:
    try:
        return sha256_of_stored(path) == digest
    except DamagedFileError:
        return False
