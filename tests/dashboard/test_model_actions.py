"""Deploy, promote, roll back and verify from the page: confirmed, audited, refused where the policies say so."""

import time
from pathlib import Path
from threading import Event

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from contracts.deployments import DeploymentConfig
from contracts.enums import Arm, DeploymentState, ModelStatus, ServerBackend
from contracts.errors import ConflictError, ForbiddenError, UnavailableError
from contracts.identity import Role
from contracts.models import DeployRequest
from dashboard import long_actions, writing
from database.models import RegisteredModel
from stages.check_model import last_check
from stages.services import Services
from tests.dashboard.conftest import come_in, open_page, text_of
from tests.dashboard.model_story import TwoVersions, tell_versions
from tests.dashboard.test_login import audited
from tests.ports import free_port

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("visit")]


@pytest.fixture
def versions(services, monkeypatch):
    # MLflow is away: PostgreSQL decides, and the page says that MLflow follows later
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    return tell_versions(services)


def status(services: Services, model_id: int) -> ModelStatus:
    with services.unit_of_work() as uow:
        return uow.models.get(model_id).status


def give_folders(services: Services, versions: TwoVersions, folder: Path) -> None:
    """A base model and an adapter, as far as a server's plan looks."""
    base, adapter = folder / "base", folder / "adapter"
    base.mkdir()
    (base / "config.json").write_text("{}")
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"r": 8}')
    with services.unit_of_work() as uow:
        for model_id in (versions.production, versions.candidate):
            row = uow.session.get(RegisteredModel, model_id)
            assert row is not None
            row.base_model_path, row.model_path = str(base), str(adapter)


def put_into_service(services: Services, model_id: int) -> None:
    """On a server that runs elsewhere."""
    config = DeploymentConfig(backend=ServerBackend.URL, base_url="http://127.0.0.1:9/v1", served_model_name="other")
    with services.unit_of_work() as uow:
        planned = uow.deployments.plan(
            model_id=model_id, arm=Arm.B, config=config, server_key="elsewhere", served_model_name="other"
        )
        uow.deployments.move(planned.deployment_id, DeploymentState.PLANNED, DeploymentState.SERVING, {})


def once_told(app: AppTest, told: str) -> str:
    """The page's text when what was begun is over, which a browser sees by itself."""
    limit = time.monotonic() + 60
    while told not in text_of(app):
        assert time.monotonic() < limit, text_of(app)
        time.sleep(0.05)
        app.run()
    return text_of(app)


def test_a_version_goes_into_production_and_back_with_a_reason(versions, services):
    app = open_page("models", "ko", model=versions.candidate)
    app.button(key=f"promote-{versions.candidate}").click().run()
    text = text_of(app)
    assert "assistant v2이(가) assistant v1 대신 운영 버전이 됩니다" in text
    assert "판정이 없는 버전입니다" in text
    app.button(key="confirm-action").click().run()
    assert "사유를 적어 주시기 바랍니다" in text_of(app)
    app.text_input(key=f"reason-{versions.candidate}").set_value("전문가 확인").run()
    app.button(key="confirm-action").click().run()
    # the gate has said nothing, and nobody has overridden it
    assert "Only a version whose newest verdict is pass" in text_of(app)
    assert status(services, versions.candidate) is ModelStatus.STAGING
    app.checkbox(key=f"override-{versions.candidate}").check().run()
    app.button(key="confirm-action").click().run()
    assert status(services, versions.candidate) is ModelStatus.PRODUCTION
    assert "assistant v2이(가) 운영 버전이 되었습니다. MLflow가 응답하지 않아" in text_of(app)

    app.button(key=f"roll_back-{versions.candidate}").click().run()
    assert "assistant v1이(가) 다시 운영 버전이 되고 assistant v2은(는) 보관됩니다" in text_of(app)
    app.text_input(key=f"reason-{versions.candidate}").set_value("답이 나빠짐").run()
    app.button(key="confirm-action").click().run()
    once_told(app, "assistant v1이(가) 다시 운영 버전입니다. MLflow가 응답하지 않아")
    assert status(services, versions.production) is ModelStatus.PRODUCTION
    assert audited(services, "model.promoted_by_override") == [("kim", f"model/{versions.candidate}", "127.0.0.1")]
    assert audited(services, "model.rolled_back") == [("kim", f"model/{versions.production}", "127.0.0.1")]


def test_another_version_that_came_first_is_not_replaced_unseen(visit, versions, services):
    with pytest.raises(ConflictError, match="in the meantime"):
        writing.promote_model(visit, versions.candidate, reason="r", override=True, replaces=0)
    assert status(services, versions.production) is ModelStatus.PRODUCTION


def test_a_deployment_is_begun_in_a_process_of_its_own(versions, services, monkeypatch, tmp_path):
    told = tmp_path / "told"
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n(echo "$@"; cat) > {told}.new && mv {told}.new {told}\n')
    python.chmod(0o755)
    monkeypatch.setattr("stages.deploying.sys.executable", str(python))
    app = open_page("models", "ko", model=versions.candidate)
    app.button(key=f"deploy-{versions.candidate}").click().run()
    assert "put the model back where it was" in text_of(app)
    give_folders(services, versions, tmp_path)
    app.run()
    assert "B · 새 모델: assistant 2을(를) 위해 서버" in text_of(app)
    assert not told.exists()
    app.button(key="confirm-action").click().run()
    assert "배포를 시작했습니다" in text_of(app)
    # its process has not come so far yet
    assert "배포를 준비하고 있습니다" in text_of(app)
    limit = time.monotonic() + 60
    while not told.exists():
        assert time.monotonic() < limit
        time.sleep(0.02)
    module, request = told.read_text().splitlines()
    assert module == "-m stages.deploying"
    assert DeployRequest.model_validate_json(request) == DeployRequest(model_id=versions.candidate)
    assert audited(services, "model.deployment_asked") == [("kim", f"model/{versions.candidate}", "127.0.0.1")]
    put_into_service(services, versions.candidate)
    assert "배포를 준비하고 있습니다" not in once_told(app, "배포 상태: 응답 중")


def test_a_version_is_archived_and_restored_with_a_reason_but_not_while_it_is_in_service(visit, versions, services):
    app = open_page("models", "ko", model=versions.candidate)
    app.button(key=f"archive-{versions.candidate}").click().run()
    assert "배포, A/B 테스트, 운영 승격의 대상에서 빠집니다" in text_of(app)
    app.text_input(key=f"reason-{versions.candidate}").set_value("쓰지 않음").run()
    app.button(key="confirm-action").click().run()
    assert "assistant v2을(를) 보관했습니다" in text_of(app)
    assert status(services, versions.candidate) is ModelStatus.ARCHIVED
    assert f"deploy-{versions.candidate}" not in [button.key for button in app.button]
    app.button(key=f"restore-{versions.candidate}").click().run()
    app.text_input(key=f"reason-{versions.candidate}").set_value("다시 시험").run()
    app.button(key="confirm-action").click().run()
    assert status(services, versions.candidate) is ModelStatus.STAGING
    put_into_service(services, versions.candidate)
    st.cache_data.clear()
    app.run()
    assert f"archive-{versions.candidate}" not in [button.key for button in app.button]
    with pytest.raises(ConflictError, match="deployed version is not archived"):
        writing.set_model_aside(visit, versions.candidate, ModelStatus.ARCHIVED, reason="r")


def test_a_version_leaves_service_while_its_page_is_read(versions, services, tmp_path):
    give_folders(services, versions, tmp_path)
    put_into_service(services, versions.candidate)
    app = open_page("models", "ko", model=versions.candidate)
    assert f"deploy-{versions.candidate}" not in [button.key for button in app.button]
    app.button(key=f"undeploy-{versions.candidate}").click().run()
    assert "이미 시작한 답변이 끝나면" in text_of(app)
    app.button(key="confirm-action").click().run()
    once_told(app, "배포를 내렸습니다")
    with services.unit_of_work() as uow:
        assert uow.deployments.live(versions.candidate) is None
    assert audited(services, "model.undeployed") == [("kim", f"model/{versions.candidate}", "127.0.0.1")]


def test_one_thing_at_a_time_is_done_with_a_version_and_a_failure_is_told(visit):
    go_on = Event()

    def fail() -> None:
        go_on.wait(10)
        raise UnavailableError("The server did not stop", next_step="try again")

    long_actions.begin(visit, "model 7", "undeploy", "kim", fail)
    action = long_actions.newest(visit, "model 7")
    assert action is not None and not action.is_over
    with pytest.raises(ConflictError, match="Something else is being done"):
        long_actions.begin(visit, "model 7", "roll_back", "lee", lambda: None)
    go_on.set()
    failure = action.failure()
    assert failure is not None and failure.what == "The server did not stop"
    long_actions.forget(visit, "model 7")
    assert long_actions.newest(visit, "model 7") is None


def test_what_a_check_found_is_kept_and_shown(visit, versions, services, tmp_path):
    text = text_of(open_page("models", "ko", model=versions.candidate, part="certificates"))
    assert "아직 확인한 적이 없습니다" in text and "아직 확인한 기록이 없습니다" in text
    with services.unit_of_work() as uow:
        row = uow.session.get(RegisteredModel, versions.candidate)
        assert row is not None
        row.model_path = str(tmp_path)
    app = open_page("models", "ko", model=versions.candidate, part="certificates")
    app.button(key=f"verify-{versions.candidate}").click().run()
    text = once_told(app, "kim 님이 확인한 결과입니다")
    assert "kim 님이 확인한 결과입니다" in text
    assert "서명 없음" in text and "확인할 워터마크 없음" in text and "목록 파일 없음" in text
    kept = last_check(versions.candidate, services)
    assert kept is not None and kept.checked_by == "kim"


def test_without_the_right_there_is_no_button_and_a_forged_click_is_refused(versions, services, monkeypatch):
    viewer = come_in(monkeypatch, "seo", Role.VIEWER)
    app = open_page("models", "ko", model=versions.candidate)
    actions = ("deploy", "promote", "roll_back", "undeploy", "archive", "restore", "verify")
    assert [button.key for button in app.button if (button.key or "").startswith(actions)] == []
    assert "운영으로 올리기: 이 모델을 학습하지 않은 분석가나 관리자가 할 수 있습니다." in text_of(app)
    forged = (
        lambda: writing.promote_model(viewer, versions.candidate, reason="r", override=True, replaces=None),
        lambda: writing.deploy_model(viewer, versions.candidate),
        lambda: writing.roll_back_model(viewer, versions.production, reason="r"),
        lambda: writing.undeploy_model(viewer, versions.candidate),
        lambda: writing.set_model_aside(viewer, versions.candidate, ModelStatus.ARCHIVED, reason="r"),
        lambda: writing.check_model(viewer, versions.candidate),
    )
    for click in forged:
        with pytest.raises(ForbiddenError):
            click()
    assert len(audited(services, "access.refused")) == len(forged)
    assert status(services, versions.candidate) is ModelStatus.STAGING
