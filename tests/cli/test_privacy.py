"""`tuneway privacy`."""

import json
from typing import Any

from typer.testing import CliRunner

from cli.privacy import app
from cli.secret_files import ensure_secrets


def run(*arguments: str, code: int = 0, typed: str = "") -> Any:
    result = CliRunner().invoke(app, [*arguments, "--json"], input=typed)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def test_a_person_of_whom_nothing_is_stored_is_looked_for_erased_and_certified(services, tmp_path):
    ensure_secrets(services.settings)
    report = run("find", "-", "--reason", "request 17", typed="010-9876-5432\nhong@example.com\n")
    assert [found["kind"] for found in report["identifiers"]] == ["전화번호", "이메일"]
    assert report["places"] == []
    certificate = run("erase", "010-9876-5432", "--reason", "request 17", "--yes")
    assert run("certificates") == [certificate]
    assert run("verify", certificate["certificate_id"])["is_genuine"]
    copy = tmp_path / "certificate.json"
    copy.write_text(json.dumps({**certificate, "reason": "request 18"}), encoding="utf-8")
    assert not run("verify", str(copy), code=1)["is_genuine"]


def test_mistakes_are_told_without_repeating_the_person(services):
    refused = run("erase", "남궁민수", "--reason", "request 17", "--yes", code=2)
    assert "Other people may have the same" in refused["error"]["what"]
    for wrong in ("1234", "남", "account_number:12"):
        error = run("find", wrong, "--reason", "request 17", code=2)["error"]
        assert wrong not in str(error["value"])
        assert error["next_step"]
    assert (
        run("find", "010-9876-5432", "--reason", " ", code=2)["error"]["what"] == "Looking for a person needs a reason"
    )
    assert run("verify", "0123", code=1)["error"]["code"] == "not_found"
