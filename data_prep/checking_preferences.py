"""Checks of a dataset version of preference pairs, before GPU time is spent on it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow.parquet

from contracts.datasets import QualityCheck
from contracts.enums import QualityCheckType, Split
from data_prep.checking import LISTED_ISSUES
from data_prep.contamination.overlaps import CaseIndex
from data_prep.preferences import COLUMNS, pair_row
from storage.stored_files import open_stored

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from contracts.contamination import SoughtCase
    from contracts.datasets import QualityRequest
    from contracts.record import JsonObject
    from data_prep.masking.masker import Masker


def holds_preferences(folder: Path) -> bool:
    """The version holds pairs, not conversations."""
    path = folder / f"{Split.TRAIN}.parquet"
    if not path.is_file():
        return False
    with open_stored(path) as stream:
        return set(COLUMNS) <= set(pyarrow.parquet.read_schema(stream).names)


def check_preferences(
    folder: Path, request: QualityRequest, test_cases: Sequence[SoughtCase], masker: Masker
) -> list[QualityCheck]:
    """Personal data, test cases and size; issues as `check_version` has them, a row by its split and number."""
    index = CaseIndex(test_cases)
    personal: list[JsonObject] = []
    leaks: list[JsonObject] = []
    sizes = dict.fromkeys(Split, 0)
    for split in Split:
        with open_stored(folder / f"{split}.parquet") as stream:
            pairs = pyarrow.parquet.read_table(stream, columns=list(COLUMNS)).to_pylist()
        sizes[split] = len(pairs)
        prompts = [json.loads(pair["prompt"]) for pair in pairs]
        names = [f"{split}:{number}" for number in range(len(pairs))]
        rows = [
            pair_row(name, prompt, pair["chosen"], pair["rejected"])
            for name, prompt, pair in zip(names, prompts, pairs, strict=True)
        ]
        for name, removal in zip(names, index.check(rows), strict=True):
            if removal is not None:
                leaks.append(
                    {
                        "row": name,
                        "split": split.value,
                        "detail": removal.detail,
                        "message": "평가 문항이 데이터에 들어 있습니다.",
                    }
                )
        for name, pair, prompt in zip(names, pairs, prompts, strict=True):
            texts = [*(turn["content"] for turn in prompt), pair["chosen"], pair["rejected"]]
            kinds = {datum.kind.value for data in masker.find(texts) for datum in data}
            personal += [
                {"row": name, "kind": kind, "message": f"가려지지 않은 개인정보({kind})가 남아 있습니다."}
                for kind in sorted(kinds)
            ]
    small: list[JsonObject] = []
    if sizes[Split.TRAIN] < request.min_samples:
        small.append(
            {
                "train_samples": sizes[Split.TRAIN],
                "minimum": request.min_samples,
                "message": f"학습할 선호 쌍이 {sizes[Split.TRAIN]:,}건으로 최소 기준({request.min_samples:,}건)보다 "
                "적습니다.",
            }
        )
    return [
        _check(QualityCheckType.PII_DETECTION, personal),
        _check(QualityCheckType.TEST_LEAKAGE, leaks),
        _check(QualityCheckType.SIZE, small),
    ]


def _check(check_type: QualityCheckType, issues: list[JsonObject]) -> QualityCheck:
    listed = issues[:LISTED_ISSUES]
    if len(issues) > len(listed):
        listed.append({"message": f"같은 문제가 {len(issues) - len(listed):,}건 더 있습니다."})
    return QualityCheck(check_type=check_type, passed=not issues, issues=listed)
