"""Who gets in, what they see, and what becomes of a click that is not theirs to make."""

import re
from time import monotonic

import httpx
import pytest
import streamlit as st
from sqlalchemy import text
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from contracts.access import ResourceKind
from contracts.enums import JobKind
from contracts.errors import ForbiddenError, UnauthorizedError
from contracts.identity import Role
from contracts.jobs import JobSubmission
from dashboard import reading, writing
from dashboard.server import local_address
from dashboard.sessions import sessions_of
from settings import load_settings
from stages import accounts
from stages.services import open_services
from storage.files import write_json_atomically
from storage.job_folder import JobFolder
from tests.dashboard.conftest import PASSWORD, add_person, come_in, open_page, text_of
from tests.dashboard.story import FINISHED_JOB, Story, tell
from tests.dashboard.test_server import CHROMIUM, CHROMIUM_ARGUMENTS, dashboard, log_tab_in

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("quiet_services")]


def audited(services, action: str) -> list[tuple[str, str, str]]:
    with services.unit_of_work() as uow:
        rows = uow.session.execute(
            text("SELECT actor, subject, origin FROM audit_logs WHERE action = :action ORDER BY id"), {"action": action}
        )
        return [tuple(row) for row in rows]


@pytest.fixture
def client(visit, tmp_path):
    """A browser without its cookies, at the dashboard's door; the account `kim` has PASSWORD."""
    with dashboard(tmp_path) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        yield client


def send(client, name, password, *, origin=None, following="/"):
    return client.post(
        f"/login?next={following}",
        data={"username": name, "password": password},
        headers={"Origin": origin or str(client.base_url).rstrip("/")},
    )


def test_nothing_answers_without_a_session_but_the_login_and_the_health(client):
    page = client.get("/jobs?job=3&lang=en", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=/jobs%3Fjob%3D3%26lang%3Den&lang=en")
    for path in ("/jobs", "/_stcore/host-config", "/media/x.png", "/static/js/index.js", "/_stcore/upload_file/a/b"):
        assert client.get(path).status_code == 401, path
    address = f"ws://127.0.0.1:{client.base_url.port}/_stcore/stream"
    with pytest.raises(InvalidStatus) as refused, connect(address, subprotocols=[Subprotocol("streamlit")]):
        pass
    assert refused.value.response.status_code == 403
    assert client.get("/_stcore/health").text == "ok"
    login = client.get("/login")
    assert "로그인" in login.text
    assert "<script" not in login.text
    assert login.headers["x-frame-options"] == "DENY"
    assert "Log in" in client.get("/login?lang=en").text


def test_a_login_is_a_cookie_that_no_script_reads_and_its_end_is_the_end(client, services):
    assert send(client, "kim", "wrong password").status_code == 401
    assert send(client, "nobody", PASSWORD).status_code == 401
    assert send(client, "kim", PASSWORD, origin="http://elsewhere.example").status_code == 403
    assert send(client, "kim", "x" * 20_000).status_code == 400
    assert client.cookies == {}

    accepted = send(client, "kim", PASSWORD, following="/models?model=1")
    assert (accepted.status_code, accepted.headers["location"]) == (303, "/models?model=1")
    cookie = accepted.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and re.search(r"Max-Age=43\d{3}", cookie)
    # over plain HTTP to the loopback address a Secure cookie would not come back
    assert "Secure" not in cookie
    assert client.get("/", headers={"Accept": "text/html"}).status_code == 200
    assert [row[0] for row in audited(services, "login.refused")] == ["kim", "unknown"]
    assert audited(services, "login.accepted")[-1][2] == "127.0.0.1"


def test_too_many_logins_of_one_address_are_told_when_to_come_back(visit, tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEWAY_LOGINS_PER_MINUTE", "1")
    with dashboard(tmp_path) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
        answers = [send(client, "kim", "wrong") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [401, 429]
    assert int(answers[1].headers["retry-after"]) > 0


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        ("/jobs?job=3", "/jobs?job=3"),
        ("https://elsewhere.example/", "/"),
        ("//elsewhere.example", "/"),
        ("/\\elsewhere.example", "/"),
        ("/a\r\nSet-Cookie: x", "/"),
        ("/login?next=/login", "/"),
        ("jobs", "/"),
    ],
)
def test_a_login_leads_to_our_own_pages_only(asked, taken):
    assert local_address(asked) == taken


def test_the_tokens_are_refreshed_by_themselves_and_end_with_the_session(visit):
    sessions = sessions_of(visit)
    (login,) = sessions._logins.values()
    first = login.pair
    login.refresh_at = monotonic()
    assert sessions.principal(visit.session, now=True).username == "kim"
    assert login.pair.refresh_token != first.refresh_token
    visit.leave()
    assert not sessions.holds(visit.session)
    with pytest.raises(UnauthorizedError):
        visit.require(ResourceKind.JOB, "read")
    with pytest.raises(UnauthorizedError):
        reading.list_jobs(visit)


def test_a_disabled_account_is_out_at_once(visit):
    add_person(open_services(load_settings()), "lee", Role.ADMIN)
    page = open_page("jobs")
    accounts.set_active("kim", False, "lee", visit)
    with pytest.raises(UnauthorizedError):
        visit.require(ResourceKind.JOB, "read")
    assert "로그인이 끝났습니다" in text_of(page.run())


def test_logging_out_ends_the_session_with_its_tokens(visit, services):
    app = open_page("jobs", "en")
    assert "kim · Administrator" in " ".join(element.value for element in app.sidebar.caption)
    app.button(key="log-out").click().run()
    assert "The login has ended" in text_of(app)
    ((actor, _, origin),) = audited(services, "login.ended")
    assert (actor, origin) == ("kim", "127.0.0.1")


def test_without_a_session_the_pages_themselves_show_nothing(story, visit):
    visit.leave()
    text = text_of(open_page("jobs", "ko"))
    assert "로그인이 끝났습니다" in text
    assert FINISHED_JOB not in text


@pytest.fixture
def owned(services) -> Story:
    """The history of an installation, all of it made by an engineer of the project roads."""
    story = tell(services)
    with services.unit_of_work() as uow:
        engineer = uow.users.ensure("engineer", Role.ML_ENGINEER)
        uow.users.change("engineer", projects=["roads"])
        for dataset in uow.datasets.newest():
            uow.ownership.claim(ResourceKind.DATASET, dataset.dataset_id, engineer)
        for job in uow.jobs.newest():
            uow.ownership.claim(ResourceKind.JOB, job.job_id, engineer)
        for model in uow.models.newest():
            uow.ownership.claim(ResourceKind.MODEL, model.model_id, engineer)
    # the runner has the job: it can be stopped
    key = f"train-{story.running_job}"
    submission = JobSubmission(job_key=key, kind=JobKind.TRAIN, request={}, finetuning_job_id=story.running_job)
    folder = JobFolder(services.settings.jobs_dir / key)
    write_json_atomically(folder.submission, submission.model_dump(mode="json"))
    return story


@pytest.mark.parametrize(("project", "sees"), [("roads", True), ("tolls", False)], ids=["colleague", "outsider"])
def test_a_viewer_sees_what_the_api_would_show_and_no_button_that_would_be_refused(owned, monkeypatch, project, sees):
    viewer = come_in(monkeypatch, "seo", Role.VIEWER, (project,))
    st.cache_data.clear()
    assert bool(reading.list_jobs(viewer)) is sees
    assert bool(reading.list_datasets(viewer)) is sees
    assert bool(reading.list_models(viewer)) is sees
    overview = reading.read_overview(viewer)
    assert bool(overview.models) is sees
    assert any(slot.owner for host in overview.slots for slot in host.slots) is sees
    app = open_page("jobs", "ko", job=owned.running_job)
    assert [button.key for button in app.button if (button.key or "").startswith(("stop-", "resume-"))] == []
    assert ("review" in app.session_state["pages"], "rating" in app.session_state["pages"]) == (False, False)
    if not sees:
        for read in (reading.job_story, reading.dataset_story, reading.lineage):
            with pytest.raises(ForbiddenError):
                read(viewer, 1)
        text = text_of(open_page("runs", "ko"))
        assert FINISHED_JOB not in text


def test_a_click_that_was_forged_is_refused_by_the_server_and_audited(owned, services, monkeypatch):
    kim = come_in(monkeypatch, "kim", Role.ADMIN)
    app = open_page("jobs", "ko", job=owned.running_job)
    stop = app.button(key=f"stop-{owned.running_job}")
    with services.unit_of_work() as uow:
        uow.users.change("kim", role=Role.VIEWER)
    # the button is on the screen of somebody who was an administrator a moment ago
    stop.click().run()
    assert "멈춤" not in " ".join(element.value for element in app.success)
    with pytest.raises(ForbiddenError):
        writing.stop(kim, owned.running_job)
    with pytest.raises(ForbiddenError):
        writing.answer_experiment(kim, owned.experiment_id, None, reason="r")
    refused = audited(services, "access.refused")
    assert ("kim", f"job/{owned.running_job}", "127.0.0.1") in refused
    assert ("kim", f"ab_test/{owned.experiment_id}", "127.0.0.1") in refused


@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium fonts-noto-cjk")
def test_a_person_logs_in_reloads_and_logs_out_in_a_browser(visit, tmp_path):
    from playwright.sync_api import expect, sync_playwright

    with dashboard(tmp_path) as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        tab = browser.new_page()
        tab.set_default_timeout(60_000)
        tab.goto(f"http://127.0.0.1:{port}/jobs?lang=ko")
        expect(tab.locator("#username")).to_be_visible()
        tab.locator("#username").fill("kim")
        tab.locator("#password").fill("not this one")
        tab.locator("form button").click()
        expect(tab.get_by_role("alert")).to_contain_text("맞지 않거나")
        log_tab_in(tab, port)
        tab.reload()
        tab.get_by_text("서울 기준").last.wait_for()
        tab.get_by_role("button", name="로그아웃").click()
        expect(tab.locator("#username")).to_be_visible()
        tab.goto(f"http://127.0.0.1:{port}/jobs")
        expect(tab.locator("#username")).to_be_visible()
        browser.close()
