"""Small versions for the tests."""

from collections.abc import Iterable, Sequence
from hashlib import blake2b
from pathlib import Path

from contracts.datasets import PrepareRequest
from contracts.enums import Split
from contracts.record import JsonObject
from data_prep.rows import Message, Row
from data_prep.versions.manifest import Recipe, VersionManifest
from data_prep.versions.writing import VersionRow, VersionWriter

REQUEST = PrepareRequest(import_id="demo", dataset_name="demo", train_ratio=0.8, val_ratio=0.1, test_ratio=0.1)


def key_of(name: str) -> str:
    return blake2b(name.encode(), digest_size=8).hexdigest()


def row(
    name: str, answer: str = "답변입니다.", split: Split = Split.TRAIN, line: int = 1, **metadata: object
) -> VersionRow:
    values: JsonObject = {"category": "통행료", "source": "", **metadata}  # type: ignore[dict-item]
    messages = (Message("user", f"질문 {name}"), Message("assistant", answer))
    return VersionRow(Row(f"rows.jsonl:{line}", messages, values, key_of(name)), 0.9, split, {"length": 1.0}, 0.01)


def rows(numbers: Iterable[int]) -> list[VersionRow]:
    sides = (*[Split.TRAIN] * 8, Split.VALIDATION, Split.TEST)
    return [row(str(number), split=sides[number % 10], line=number + 1) for number in numbers]


def commit(
    name_dir: Path, content: Sequence[VersionRow], branch: str = "main", batch: int = 1_000, **fields: object
) -> VersionManifest:
    with VersionWriter(name_dir, branch) as writer:
        for start in range(0, len(content), batch):
            writer.add(content[start : start + batch])
        return writer.commit(
            **{  # type: ignore[arg-type]
                "recipe": Recipe(operation="prepare", request={"rows": len(content)}),
                "request": REQUEST,
                "request_key": f"{branch} {len(content)}",
                **fields,
            }
        )[1]
