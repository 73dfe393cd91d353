"""Checks of a dataset version as it lies on disk, before GPU time is spent on it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from contracts.datasets import QualityCheck, QualityRequest
from contracts.enums import QualityCheckType, Split
from contracts.record import JsonObject
from data_prep.duplicates.exact import find_exact_duplicates
from data_prep.duplicates.leakage import check_leakage
from data_prep.duplicates.near import find_near_duplicates
from data_prep.masking.masker import find_personal_data
from data_prep.preparing import PreparedRow
from data_prep.rows import OnProgress
from data_prep.versions.store import VersionManifest, load_manifest, read_version_rows
from storage.files import sha256_of_file

LISTED_ISSUES = 20
"""Issues written out one by one; the rest is counted."""


def check_version(
    folder: Path,
    request: QualityRequest,
    test_questions: Mapping[str, str],
    on_progress: OnProgress | None = None,
) -> list[QualityCheck]:
    """One check of every type. Issues have a Korean `message` and, where they concern one row, its `row`."""
    manifest = load_manifest(folder)
    rows = [prepared for split in Split for prepared in read_version_rows(folder, split)]
    return [
        _check_personal_data(rows, on_progress),
        _check_duplicates(rows, manifest, on_progress),
        _check_quality_score(rows, request.min_quality_score),
        _check_balance(rows, manifest),
        _check_leakage(rows, test_questions),
        _check_size(folder, rows, manifest, request.min_samples),
    ]


def _check(check_type: QualityCheckType, issues: Sequence[JsonObject]) -> QualityCheck:
    listed = list(issues[:LISTED_ISSUES])
    if len(issues) > LISTED_ISSUES:
        listed.append({"message": f"같은 문제가 {len(issues) - LISTED_ISSUES:,}건 더 있습니다."})
    return QualityCheck(check_type=check_type, passed=not issues, issues=listed)


def _check_personal_data(rows: Sequence[PreparedRow], on_progress: OnProgress | None) -> QualityCheck:
    issues: list[JsonObject] = []
    for number, prepared in enumerate(rows, 1):
        row = prepared.row
        places = [f"messages[{index}].content" for index in range(len(row.messages))]
        texts = [message.content for message in row.messages]
        found = find_personal_data([*texts, row.category, row.source])
        for where, data in zip([*places, "category", "source"], found, strict=True):
            issues += [
                {
                    "row": row.row_id,
                    "kind": datum.kind.value,
                    "where": where,
                    "message": f"가려지지 않은 개인정보({datum.kind.value})가 남아 있습니다.",
                }
                for datum in data
            ]
        if on_progress is not None and number % 1000 == 0:
            on_progress("checking for personal data", number, len(rows))
    return _check(QualityCheckType.PII_DETECTION, issues)


def _check_duplicates(
    rows: Sequence[PreparedRow], manifest: VersionManifest, on_progress: OnProgress | None
) -> QualityCheck:
    plain = [prepared.row for prepared in rows]
    scores = [prepared.quality_score for prepared in rows]
    exact = find_exact_duplicates(plain, scores)
    near = find_near_duplicates(plain, scores, manifest.request.near_duplicate_threshold, on_progress)
    return _check(
        QualityCheckType.DUPLICATE_CHECK,
        [
            {
                "row": plain[index].row_id,
                "reason": removal.reason.value,
                "detail": removal.detail,
                "message": "다른 행과 내용이 같거나 거의 같습니다.",
            }
            for index, removal in sorted({**near, **exact}.items())
        ],
    )


def _check_quality_score(rows: Sequence[PreparedRow], minimum: float) -> QualityCheck:
    mean = mean_quality(rows)
    issues: list[JsonObject] = []
    if mean < minimum:
        issues.append(
            {
                "mean": round(mean, 4),
                "minimum": minimum,
                "message": f"평균 품질 점수가 {mean:.2f}점으로 기준({minimum:.2f}점)보다 낮습니다.",
            }
        )
    return _check(QualityCheckType.QUALITY_SCORE, issues)


def _check_balance(rows: Sequence[PreparedRow], manifest: VersionManifest) -> QualityCheck:
    in_train = Counter(prepared.row.category for prepared in rows if prepared.split is Split.TRAIN)
    issues: list[JsonObject] = [
        {"category": category, "message": f"'{category}' 분류가 학습 데이터에 한 건도 없습니다."}
        for category in sorted({prepared.row.category for prepared in rows} - set(in_train))
    ]
    wanted = manifest.request
    sides = Counter(prepared.split for prepared in rows)
    for split, ratio, name in (
        (Split.TRAIN, wanted.train_ratio, "학습"),
        (Split.VALIDATION, wanted.val_ratio, "검증"),
        (Split.TEST, wanted.test_ratio, "시험"),
    ):
        if ratio > 0 and sides[split] == 0:
            issues.append(
                {
                    "split": split.value,
                    "message": f"{name} 데이터를 {ratio:.0%} 두기로 하였으나 한 건도 없습니다.",
                }
            )
    return _check(QualityCheckType.SPLIT_BALANCE, issues)


def _check_leakage(rows: Sequence[PreparedRow], test_questions: Mapping[str, str]) -> QualityCheck:
    return _check(
        QualityCheckType.TEST_LEAKAGE,
        [
            {
                "row": prepared.row.row_id,
                "split": prepared.split.value,
                "detail": removal.detail,
                "message": "평가 문항과 같은 질문이 데이터에 들어 있습니다.",
            }
            for prepared in rows
            if (removal := check_leakage(prepared.row, test_questions)) is not None
        ],
    )


def _check_size(folder: Path, rows: Sequence[PreparedRow], manifest: VersionManifest, min_samples: int) -> QualityCheck:
    in_train = sum(prepared.split is Split.TRAIN for prepared in rows)
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
        if sha256_of_file(folder / name) != expected:
            issues.append({"file": name, "message": f"{name} 파일이 만들어진 뒤에 바뀌었습니다."})
    return _check(QualityCheckType.SIZE, issues)


def mean_quality(rows: Sequence[PreparedRow]) -> float:
    """Mean quality score; 0 without rows."""
    return sum(prepared.quality_score for prepared in rows) / len(rows) if rows else 0.0
