"""Asking a version from its page: the answer comes from its own server, can be stopped, and says why where there is none."""

import time
from collections.abc import Iterator

import pytest

from contracts.enums import Arm, ServerBackend
from contracts.models import ArmEndpoint
from stages.ask_model import AnswerState, ask_model
from stages.services import Services
from tests.dashboard.conftest import open_page, text_of
from tests.dashboard.model_story import TwoVersions, tell_versions
from tests.dashboard.test_login import audited
from tests.dashboard.test_server import CHROMIUM, CHROMIUM_ARGUMENTS, dashboard, log_tab_in
from tests.ports import free_port
from tests.serving_api.upstream import PIECES, Upstream, running_upstream

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("visit")]

ANSWER = "served: " + "".join(PIECES)


@pytest.fixture
def versions(services) -> TwoVersions:
    return tell_versions(services)


@pytest.fixture
def server(services, versions) -> Iterator[Upstream]:
    """A real OpenAI-compatible server, at which the candidate answers."""
    with running_upstream("served") as upstream:
        serve(services, versions.candidate, upstream.url)
        yield upstream


def serve(services: Services, model_id: int, url: str) -> None:
    with services.unit_of_work() as uow:
        uow.models.set_deployment(
            model_id,
            ArmEndpoint(
                arm=Arm.B, model_id=model_id, model_name="assistant", version="2", served_model_name="assistant-b",
                base_url=url, backend=ServerBackend.URL,
            ),
        )  # fmt: skip


def until(answer, state: AnswerState) -> None:
    limit = time.monotonic() + 60
    while answer.state is not state:
        assert time.monotonic() < limit, (answer.state, answer.error)
        time.sleep(0.02)


def test_the_versions_own_server_is_asked_and_nothing_of_it_is_kept(server, versions, services):
    app = open_page("models", "ko", model=versions.candidate, part="question")
    app.text_area(key=f"question-{versions.candidate}").set_value("환급은 어디서 <b>받나요?</b>")
    (send,) = [button for button in app.button if button.label == "물어보기"]
    send.click().run()
    _, answer = app.session_state["model-answer"]
    until(answer, AnswerState.WHOLE)
    text = text_of(app.run())
    assert ANSWER in text and "환급은 어디서 <b>받나요?</b>" in text and "답이 끝났습니다" in text
    # sampled as the server samples where it is told nothing
    (asked,) = server.asked
    assert asked == {
        "model": "assistant-b",
        "messages": [{"role": "user", "content": "환급은 어디서 <b>받나요?</b>"}],
        "stream": True,
    }
    assert audited(services, "model.asked") == [("kim", f"model/{versions.candidate}", "127.0.0.1")]
    assert "A/B 테스트를 나누는 라우터를 거치지 않으므로" in text


def test_a_version_that_does_not_serve_has_no_question_box(versions):
    app = open_page("models", "ko", model=versions.production, part="question")
    assert "지금 응답하지 않습니다" in text_of(app)
    assert list(app.text_area) == []


def test_an_answer_that_is_stopped_closes_its_connection_and_keeps_what_came(server, versions, services):
    server.mode = "endless"
    answer = ask_model(versions.candidate, "?", services)
    until(answer, AnswerState.STREAMING)
    answer.stop()
    until(answer, AnswerState.STOPPED)
    assert answer.text == "served: "
    limit = time.monotonic() + 60
    while not server.left and time.monotonic() < limit:
        time.sleep(0.02)
    assert len(server.left) == 1


@pytest.mark.parametrize(("mode", "told"), [("unavailable", "503 loading"), ("break", ""), ("gone", "")])
def test_a_server_that_fails_says_so_and_what_to_do(server, versions, services, mode, told):
    server.mode = mode
    if mode == "gone":
        serve(services, versions.candidate, f"http://127.0.0.1:{free_port()}/v1")
    answer = ask_model(versions.candidate, "?", services)
    until(answer, AnswerState.FAILED)
    assert answer.error is not None
    assert told in str(answer.error.value)
    assert "tuneway status" in (answer.error.next_step or "")


@pytest.mark.deep
@pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium fonts-noto-cjk")
def test_answers_side_by_side_and_the_question_box_in_a_browser(server, versions, tmp_path):
    from playwright.sync_api import expect, sync_playwright

    with dashboard(tmp_path) as port, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        tab = browser.new_page(viewport={"width": 1440, "height": 900})
        tab.set_default_timeout(60_000)
        expect.set_options(timeout=60_000)
        log_tab_in(tab, port)
        tab.goto(f"http://127.0.0.1:{port}/models?lang=ko&model={versions.candidate}&part=comparison")
        case = tab.locator(".tw-case").first
        sides = case.locator(".answer")
        expect(sides).to_have_count(2)
        left, right = (sides.nth(number).bounding_box() for number in (0, 1))
        assert left is not None and right is not None
        assert left["y"] == right["y"] and left["x"] + left["width"] <= right["x"]
        expect(case.locator("mark").first).to_be_visible()

        tab.get_by_text("물어보기", exact=True).first.click()
        tab.get_by_label("질문", exact=True).fill("환급은?")
        tab.get_by_role("button", name="물어보기").last.click()
        expect(tab.get_by_text(ANSWER)).to_be_visible()
        server.mode = "endless"
        tab.get_by_role("button", name="물어보기").last.click()
        tab.get_by_role("button", name="멈추기").click()
        expect(tab.get_by_text("멈췄습니다. 여기까지 받은 답입니다.")).to_be_visible()
        browser.close()
