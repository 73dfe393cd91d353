"""Where a row came from, and versions as plain files."""

import json

import pyarrow.parquet
import pytest

from contracts.datasets import SourceFile
from contracts.enums import Split
from contracts.errors import ConflictError, NotFoundError
from data_prep.versions.exporting import ExportFormat, export_version
from data_prep.versions.lineage import trace
from data_prep.versions.manifest import Recipe
from data_prep.versions.names import MASKED_FILE
from data_prep.versions.references import commit_folder
from data_prep.versions.writing import VersionWriter
from tests.data_prep.versions.builders import REQUEST, commit, key_of, row, rows

SPAN = {
    "document": "여비규정.hwpx",
    "document_sha256": "ab" * 32,
    "chunk_id": "여비규정.hwpx#12",
    "start": 120,
    "end": 480,
    "generator_model": "qwen3-32b",
    "template": "qa",
    "prompt_sha256": "cd" * 32,
    "grounding": 0.93,
}


def test_a_generated_row_leads_to_its_document_span_generator_and_prompt(tmp_path):
    manifest = commit(tmp_path / "demo", [row("a"), row("b", line=2, source="여비규정.hwpx", lineage=SPAN)])

    lineage = trace(tmp_path / "demo", manifest.commit, key_of("b"))

    assert lineage.generated == SPAN
    assert (lineage.source, lineage.import_id) == ("여비규정.hwpx", "demo")
    assert lineage.recipe == manifest.recipe


def test_an_imported_row_leads_to_its_file_line_and_masked_data(tmp_path):
    file = SourceFile(
        path="inbox/rows.jsonl", sha256="ef" * 32, format="jsonl", encoding="utf-8", rows=2, broken_rows=0
    )
    with VersionWriter(tmp_path / "demo") as writer:
        writer.add([row("a", line=1), row("b", line=12)])
        lines = [{"row": "rows.jsonl:1", "kind": "이름"}, {"row": "rows.jsonl:12", "kind": "전화번호"}]
        writer.path(MASKED_FILE).write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        _, manifest = writer.commit(
            recipe=Recipe(operation="prepare"), request=REQUEST, request_key="1", sources=[file]
        )

    lineage = trace(tmp_path / "demo", manifest.commit, "rows.jsonl:12")

    assert lineage.key == key_of("b")
    assert lineage.source_file == file
    assert lineage.masked == {"전화번호": 1}
    assert lineage.generated is None


def test_the_history_of_a_row_names_the_commits_that_brought_and_changed_it(tmp_path):
    commit(tmp_path / "demo", [row("a")])
    second = commit(tmp_path / "demo", [row("a"), row("b", "첫 답")])
    third = commit(tmp_path / "demo", [row("a"), row("b", "고친 답")])
    last = commit(tmp_path / "demo", [row("a"), row("b", "고친 답"), row("c")])

    lineage = trace(tmp_path / "demo", last.commit, key_of("b"))

    assert (lineage.first_commit, lineage.last_changed) == (second.short, third.short)


def test_an_unknown_row_suggests_one(tmp_path):
    manifest = commit(tmp_path / "demo", [row("a", line=7)])

    with pytest.raises(NotFoundError, match=r"did you mean rows\.jsonl:7"):
        trace(tmp_path / "demo", manifest.commit, "rows.jsonl:77")


def test_an_export_is_what_the_import_reads(tmp_path):
    manifest = commit(tmp_path / "demo", rows(range(20)))

    told = export_version(commit_folder(tmp_path / "demo", manifest.commit), manifest, tmp_path / "out")

    assert told.rows == {"train.jsonl": 16, "validation.jsonl": 2, "test.jsonl": 2}
    lines = [json.loads(line) for line in (tmp_path / "out" / "test.jsonl").read_text("utf-8").splitlines()]
    assert lines[0] == {
        "messages": [{"role": "user", "content": "질문 9"}, {"role": "assistant", "content": "답변입니다."}],
        "metadata": {"category": "통행료", "source": "", "quality_score": 0.9},
    }


def test_an_exported_parquet_file_holds_all_parts(tmp_path):
    manifest = commit(tmp_path / "demo", [row(str(number)) for number in range(9_000)])

    told = export_version(
        commit_folder(tmp_path / "demo", manifest.commit), manifest, tmp_path / "out", ExportFormat.PARQUET,
        [Split.TRAIN],
    )  # fmt: skip

    assert told.rows == {"train.parquet": 9_000}
    assert pyarrow.parquet.read_table(tmp_path / "out" / "train.parquet").num_rows == 9_000


def test_an_export_never_writes_over_a_folder(tmp_path):
    manifest = commit(tmp_path / "demo", rows(range(20)))
    (tmp_path / "out").mkdir()

    with pytest.raises(ConflictError, match="exists"):
        export_version(commit_folder(tmp_path / "demo", manifest.commit), manifest, tmp_path / "out")
