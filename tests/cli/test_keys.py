"""`tuneway keys`."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.keys import app
from settings import load_settings
from settings.encryption import use_encryption
from storage.stored_files import create_stored, read_stored


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
