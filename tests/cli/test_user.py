"""`tuneway user` and `tuneway token`, as a program reads them."""

import json

import pytest
from typer.testing import CliRunner

from cli.token import app as token_app
from cli.user import app as user_app
from security.identity.access_tokens import AccessTokens
from stages.logins import identify, log_in

TOKENS = AccessTokens("A" * 43)


@pytest.fixture
def run(services):
    def call(app, *arguments, expect=0):
        result = CliRunner().invoke(app, [*arguments, "--json"])
        assert result.exit_code == expect, result.output
        return json.loads(result.stdout)

    return call


def test_an_account_is_made_changed_and_closed(run, services):
    made = run(user_app, "add", "kim", "--role", "analyst", "--project", "roads", "--by", "boss")
    assert log_in("kim", made["password"], TOKENS, services)
    assert run(user_app, "grant", "kim", "--role", "viewer", "--no-project")["projects"] == []
    changed = run(user_app, "set-password", "kim")
    assert log_in("kim", changed["password"], TOKENS, services)
    assert run(user_app, "disable", "kim")["is_active"] is False
    assert run(user_app, "enable", "kim")["is_active"] is True
    assert [account["role"] for account in run(user_app, "list")] == ["viewer"]
    assert run(user_app, "add", "kim", expect=1)["error"]["code"] == "conflict"


def test_a_password_comes_from_a_file_and_never_from_the_command_line(run, services, tmp_path):
    path = tmp_path / "password"
    path.write_text("다리 위의 안개 낀 날 7시\n", encoding="utf-8")
    assert run(user_app, "add", "kim", "--password-file", str(path))["password"] is None
    assert log_in("kim", "다리 위의 안개 낀 날 7시", TOKENS, services)
    path.write_text("1234", encoding="utf-8")
    assert (
        run(user_app, "set-password", "kim", "--password-file", str(path), expect=2)["error"]["value"] == "4 characters"
    )


def test_a_service_accounts_key_is_made_listed_and_taken_back(run, services):
    assert run(user_app, "add", "ci", "--service", "--role", "ml_engineer")["password"] is None
    made = run(token_app, "create", "ci", "--scope", "job:read", "--scope", "job:stop", "--days", "30")
    assert identify(made["key"], TOKENS, services).scopes == ["job:read", "job:stop"]
    (listed,) = run(token_app, "list", "--account", "ci")
    assert "key" not in listed
    assert run(token_app, "revoke", listed["prefix"])["revoked_at"] is not None
    assert run(token_app, "create", "nobody", "--scope", "*:*", expect=1)["error"]["code"] == "not_found"
