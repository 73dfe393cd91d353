"""Canaries are planted, the pipeline runs, and every file that it wrote is searched."""

import json
from pathlib import Path

import pytest

from contracts.datasets import ImportRequest, PrepareRequest, QualityRequest
from contracts.enums import Split
from contracts.errors import KeyUnavailableError
from data_prep.versions.reading import read_split_batches
from settings.encryption import dataset_scope, use_encryption
from stages.check_quality import check_quality
from stages.import_dataset import import_dataset
from stages.prepare import prepare
from storage.encryption.container import is_encrypted
from tests.stages.test_prepare import rows

CANARY = "카나리아노란새"


def leaks(folder: Path) -> list[str]:
    """Files below the folder that hold the canary."""
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        if CANARY.encode() in content or json.dumps(CANARY)[1:-1].encode() in content:
            found.append(str(path.relative_to(folder)))
    return found


def test_what_was_planted_is_in_no_file_that_the_platform_wrote(services):
    settings = services.settings
    planted = [{**row, "question": f"{row['question']} {CANARY}"} for row in rows()]
    source = settings.data_dir / "inbox" / "canary.jsonl"
    source.parent.mkdir(parents=True, exist_ok=True)
    broken = json.dumps({"question": CANARY}, ensure_ascii=False)
    lines = [json.dumps(row, ensure_ascii=False) for row in planted]
    source.write_text("\n".join([*lines, broken]) + "\n", encoding="utf-8")
    imported = import_dataset(ImportRequest(dataset_name="canary", input_files=[str(source)]), services)
    version = prepare(PrepareRequest(import_id=imported.import_id, dataset_name="canary"), services)
    check_quality(QualityRequest(dataset_id=version.dataset_id, min_samples=1), services)

    assert imported.broken_rows == 1
    folder = Path(version.file_path)
    shown = folder.relative_to(settings.data_dir)
    # the file that was put there, and what shows examples of masked rows to people
    assert leaks(settings.data_dir) == [
        str(shown / "report.html"),
        str(shown / "statistics.json"),
        "inbox/canary.jsonl",
    ]
    assert is_encrypted(Path(imported.rows_path))
    assert is_encrypted(Path(imported.quarantine_path))
    (batch,) = read_split_batches(folder, Split.TRAIN, ["messages"])
    assert CANARY in batch["messages"].to_pylist()[0]

    use_encryption(settings).keyring.erase(dataset_scope("canary"))
    with pytest.raises(KeyUnavailableError, match="erased"):
        next(read_split_batches(folder, Split.TRAIN))
