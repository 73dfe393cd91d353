"""`tuneway keys`."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.keys import app
from contracts.audit import AuditFilter
from contracts.errors import ConflictError
from settings import load_settings
from settings.encryption import use_encryption
from stages.audit import search_audit
from stages.services import Services
from storage.journal import KeyedJournal
from storage.stored_files import create_stored, read_stored, write_stored_text


def run(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_keys_are_shown_renewed_and_erased(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEWAY_DATA_DIR", str(tmp_path))
    use_encryption(load_settings())
    path = tmp_path / "datasets" / "versions" / "civil" / "rows"
    path.parent.mkdir(parents=True)
    with create_stored(path) as stream:
        stream.write(b"rows")
    state = run("status")
    assert (state["newest"], state["behind"]) == ("file:1", 0)
    (scope,) = state["scopes"]
    assert (scope["scope"], scope["keys"], scope["files"]) == ("dataset/civil", 1, 1)
    assert run("rotate", "--file-keys") == {"newest": "file:2", "rewrapped": 1, "headers": 1, "retired": 1}
    assert read_stored(path) == b"rows"
    assert run("erase", "civil", "--yes")["scope"] == "dataset/civil"
    assert run("status")["scopes"][0]["erased"] == 1
    refused = run("erase", "civil", "--yes", code=1)
    assert refused["error"]["code"] == "not_found"


def test_what_an_encrypted_file_holds_is_shown_to_who_says_why_and_audited(services: Services) -> None:
    folder = services.settings.jobs_dir / "evaluate-1"
    write_stored_text(folder / "output" / "answers.jsonl", '{"answer": "오백 원"}\n')
    with KeyedJournal(folder / "answers-journal.jsonl", ConflictError("in use")) as journal:
        journal.add("a", {"text": "\ud800"})
    (folder / "plain.json").write_text("{}")

    def show(name: str, *options: str) -> Result:
        return CliRunner().invoke(app, ["show", str(folder / name), "--by", "kim", *options])

    assert show("output/answers.jsonl", "--reason", "점검").stdout == '{"answer": "오백 원"}\n'
    assert json.loads(show("answers-journal.jsonl", "--reason", "점검").stdout) == {"key": "a", "text": "\ud800"}
    assert show("output/answers.jsonl", "--reason", " ").exit_code != 0
    assert show("plain.json", "--reason", "점검").exit_code != 0
    (*_, second, first) = search_audit(AuditFilter(action="file.shown"), services)
    assert {first.subject, second.subject} == {
        "file/jobs/evaluate-1/output/answers.jsonl",
        "file/jobs/evaluate-1/answers-journal.jsonl",
    }
    assert (first.actor, first.purpose) == ("kim", "점검")
