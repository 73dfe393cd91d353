"""Deploy, promote, roll back and verify from the page: confirmed, audited, refused where the policies say so."""

import time

import pytest

from contracts.enums import ModelStatus
from contracts.errors import ConflictError, ForbiddenError
from contracts.identity import Role
from contracts.models import DeployRequest
from dashboard import writing
from database.models import RegisteredModel
from stages.check_model import last_check
from stages.services import Services
from tests.conftest import free_port
from tests.dashboard.conftest import come_in, open_page, text_of
from tests.dashboard.model_story import tell_versions
from tests.dashboard.test_login import audited

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("visit")]


@pytest.fixture
def versions(services, monkeypatch):
    # MLflow is away: PostgreSQL decides, and the page says that MLflow follows later
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    return tell_versions(services)


def status(services: Services, model_id: int) -> ModelStatus:
    with services.unit_of_work() as uow:
        return uow.models.get(model_id).status


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
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text("{}")
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"r": 8}')
    with services.unit_of_work() as uow:
        for model_id in (versions.production, versions.candidate):
            row = uow.session.get(RegisteredModel, model_id)
            assert row is not None
            row.base_model_path, row.model_path = str(base), str(adapter)
    app.run()
    assert "B · 새 모델: assistant 2을(를) 위해 서버" in text_of(app)
    assert not told.exists()
    app.button(key="confirm-action").click().run()
    assert "배포를 시작했습니다" in text_of(app)
    limit = time.monotonic() + 10
    while not told.exists():
        assert time.monotonic() < limit
        time.sleep(0.02)
    module, request = told.read_text().splitlines()
    assert module == "-m stages.deploying"
    assert DeployRequest.model_validate_json(request) == DeployRequest(model_id=versions.candidate)
    assert audited(services, "model.deployment_asked") == [("kim", f"model/{versions.candidate}", "127.0.0.1")]


def test_what_a_check_found_is_kept_and_shown(visit, versions, services, tmp_path):
    text = text_of(open_page("models", "ko", model=versions.candidate, part="certificates"))
    assert "아직 확인한 적이 없습니다" in text and "아직 확인한 기록이 없습니다" in text
    with services.unit_of_work() as uow:
        row = uow.session.get(RegisteredModel, versions.candidate)
        assert row is not None
        row.model_path = str(tmp_path)
    app = open_page("models", "ko", model=versions.candidate, part="certificates")
    app.button(key=f"verify-{versions.candidate}").click().run()
    text = text_of(app)
    assert "kim 님이 확인한 결과입니다" in text
    assert "서명 없음" in text and "확인할 워터마크 없음" in text and "목록 파일 없음" in text
    kept = last_check(versions.candidate, services)
    assert kept is not None and kept.checked_by == "kim"


def test_without_the_right_there_is_no_button_and_a_forged_click_is_refused(versions, services, monkeypatch):
    viewer = come_in(monkeypatch, "seo", Role.VIEWER)
    app = open_page("models", "ko", model=versions.candidate)
    actions = ("deploy", "promote", "roll_back", "verify")
    assert [button.key for button in app.button if (button.key or "").startswith(actions)] == []
    forged = (
        lambda: writing.promote_model(viewer, versions.candidate, reason="r", override=True, replaces=None),
        lambda: writing.deploy_model(viewer, versions.candidate),
        lambda: writing.roll_back_model(viewer, versions.production, reason="r"),
        lambda: writing.check_model(viewer, versions.candidate),
    )
    for click in forged:
        with pytest.raises(ForbiddenError):
            click()
    assert len(audited(services, "access.refused")) == len(forged)
    assert status(services, versions.candidate) is ModelStatus.STAGING
