"""The page of those who administer: the audit trail, accounts, keys."""

from datetime import timedelta

import pytest

from contracts.audit import AuditFilter
from contracts.errors import ForbiddenError, InvalidRequestError
from contracts.identity import AccountKind, Role
from dashboard import reading, writing
from dashboard.reading.administration import AUDIT_PART
from security.audit.keys import new_signing_key
from settings import SecretName
from stages import accounts
from stages.audit import record_action
from tests.dashboard.conftest import come_in, open_page, text_of

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("visit")]


def table(app, column):
    (frame,) = app.dataframe
    return list(frame.value[column])


def test_the_trail_is_searched_part_by_part(services):
    for number in range(AUDIT_PART + 3):
        record_action(services, "seo", "thing.done", f"thing/{number}")
    record_action(services, "park", "other.done", "other/1")
    app = open_page("administration", "ko", actor="seo", action="thing.*")
    assert table(app, "어디에")[0] == f"thing/{AUDIT_PART + 2}"
    assert len(table(app, "어디에")) == AUDIT_PART
    app.button(key="audit-older").click().run()
    assert table(app, "어디에") == ["thing/2", "thing/1", "thing/0"]
    app.button(key="audit-newer").click().run()
    assert len(table(app, "어디에")) == AUDIT_PART
    app.text_input(key="audit-actor").set_value("park")
    app.text_input(key="audit-action").set_value("")
    app.button(key="FormSubmitter:audit-search-찾기").click().run()
    assert table(app, "무엇을") == ["other.done"]
    assert app.query_params["actor"] == "park"
    assert "action" not in app.query_params
    app.text_input(key="audit-actor").set_value("nobody")
    app.button(key="FormSubmitter:audit-search-찾기").click().run()
    assert "조건에 맞는 기록이 없습니다" in text_of(app)


def test_the_trail_is_verified_and_exported_with_a_reason_only(visit, services):
    record_action(services, "seo", "thing.done", "thing/1")
    (services.settings.secrets_dir / SecretName.AUDIT_SIGNING_KEY.value).write_text(new_signing_key(), encoding="utf-8")
    app = open_page("administration", "ko")
    app.button(key="audit-verify").click().run()
    assert "감사 기록이 온전합니다" in app.success[0].value
    app.button(key="audit-export").click().run()
    assert "An export needs a purpose" in text_of(app)
    with pytest.raises(InvalidRequestError):
        writing.export_audit(visit, AuditFilter(), " ")
    content = writing.export_audit(visit, AuditFilter(action="thing.*"), "yearly review").decode()
    assert "thing/1" in content
    (entry,) = reading.audit_entries(visit, AuditFilter(action="audit.exported"), None)[0]
    assert (entry.actor, entry.purpose) == ("kim", "yearly review")


def test_an_account_is_made_changed_and_let_out(services):
    app = open_page("administration", "ko", part="accounts")
    app.text_input(key="account-name").set_value("Lee!")
    app.button(key="FormSubmitter:add-account-추가").click().run()
    assert "The user name cannot be used" in text_of(app)
    app.text_input(key="account-name").set_value("lee")
    app.text_input(key="account-projects").set_value("tolls, roads")
    app.button(key="FormSubmitter:add-account-추가").click().run()
    assert "lee의 비밀번호입니다" in app.warning[0].value
    assert len(app.code[0].value) >= 12
    app.button(key="forget-secret").click().run()
    assert not app.code
    app.selectbox(key="choose-user").set_value("lee").run()
    app.selectbox(key="role-lee").set_value(Role.ANALYST)
    app.button(key="FormSubmitter:change-lee-역할과 프로젝트 저장").click().run()
    app.button(key="disable-lee").click().run()
    (lee,) = [account for account in accounts.list_accounts(services) if account.username == "lee"]
    assert (lee.role, lee.projects, lee.is_active) == (Role.ANALYST, ["tolls", "roads"], False)
    app.button(key="enable-lee").click().run()
    app.button(key="reset-lee").click().run()
    assert "lee의 비밀번호입니다" in app.warning[0].value


def test_the_last_administrator_stays(services):
    app = open_page("administration", "ko", part="accounts", user="kim")
    app.button(key="disable-kim").click().run()
    assert "Nobody would administer the platform any more" in text_of(app)
    assert all(account.is_active for account in accounts.list_accounts(services))


def test_a_key_is_made_shown_once_and_revoked(services):
    app = open_page("administration", "en", part="keys")
    assert "There is no account of the kind program" in text_of(app)
    accounts.add_account("ci-bot", Role.ML_ENGINEER, "kim", services, kind=AccountKind.SERVICE)
    app = open_page("administration", "en", part="keys")
    app.button(key="FormSubmitter:create-key-Make").click().run()
    assert "Say by a name what the key is for" in app.warning[0].value
    app.text_input(key="key-name").set_value("nightly")
    app.text_input(key="key-scopes").set_value("everything")
    app.button(key="FormSubmitter:create-key-Make").click().run()
    assert "A key's scopes say what it may be used for" in text_of(app)
    app.text_input(key="key-scopes").set_value("job:read, job:create")
    app.button(key="FormSubmitter:create-key-Make").click().run()
    (key,) = accounts.list_keys(services)
    assert app.code[0].value.startswith(key.prefix) or key.prefix in app.code[0].value
    assert (key.scopes, key.expires_at - key.created_at > timedelta(days=89)) == (["job:read", "job:create"], True)
    app.button(key="revoke-key").click().run()
    assert accounts.list_keys(services)[0].revoked_at is not None


def test_nobody_else_has_the_page_and_forged_calls_are_refused(services, monkeypatch):
    analyst = come_in(monkeypatch, "seo", Role.ANALYST)
    app = open_page("overview", "ko")
    assert "administration" not in app.session_state["pages"]
    forged = (
        lambda: writing.add_account(analyst, "mine", Role.ADMIN, AccountKind.PERSON, []),
        lambda: writing.grant(analyst, "seo", Role.ADMIN, []),
        lambda: writing.set_active(analyst, "kim", False),
        lambda: writing.reset_password(analyst, "kim"),
        lambda: writing.create_key(analyst, "seo", "mine", ["*:*"], 1),
        lambda: writing.revoke_key(analyst, "x"),
        lambda: writing.export_audit(analyst, AuditFilter(), "curious"),
        lambda: reading.list_accounts(analyst),
        lambda: reading.list_keys(analyst),
        lambda: reading.audit_entries(analyst, AuditFilter(), None),
        lambda: reading.audit_check(analyst),
    )
    for call in forged:
        with pytest.raises(ForbiddenError):
            call()
