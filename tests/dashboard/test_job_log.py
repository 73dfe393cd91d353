"""A job's log follows, is searched and goes back on demand; the list of jobs is filtered by the address."""

import pytest

from contracts.access import ResourceKind
from contracts.errors import ForbiddenError
from contracts.identity import Role
from dashboard import reading
from dashboard.views.job_log import _marked
from tests.dashboard.conftest import add_person, come_in, open_page, text_of
from tests.dashboard.story import FAILED_JOB, FINISHED_JOB, RUNNING_JOB

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("visit")]


@pytest.fixture
def log(services, story):
    """The running job's second attempt, which has written 5,000 lines, one in a thousand with a warning."""
    path = services.settings.jobs_dir / f"train-{story.running_job}" / "attempt-2" / "output.log"
    path.parent.mkdir()
    write(path, range(5000))
    return path


def write(path, numbers):
    with path.open("a", encoding="utf-8") as stream:
        stream.writelines(f"{line}번째 줄{' WARNING <b>' if line % 1000 == 0 else ''}\n" for line in numbers)


def shown(app):
    (found,) = [element.value for element in app.main.get("html") if "tw-log" in element.value]
    return found


def test_the_log_follows_searches_and_goes_back(story, log, visit):
    app = open_page("jobs", "ko", job=story.running_job)
    assert "마지막 200줄" in text_of(app)
    assert "4800번째 줄" in shown(app) and "4999번째 줄" in shown(app) and "4799번째 줄" not in shown(app)
    # what is written is there at the next look
    write(log, range(5000, 5003))
    assert "5002번째 줄" in shown(app.run())
    app.button(key="log-older-2").click().run()
    assert "4400번째 줄" in shown(app)

    app.text_input(key="log-find").set_value("warning").run()
    assert "로그 전체에서 6줄을 찾았습니다" in text_of(app)
    assert app.query_params["find"] in ("warning", ["warning"])
    app.toggle(key="log-only-found").set_value(True).run()
    assert shown(app).count("<mark>WARNING</mark> &lt;b&gt;") == 6
    # a reload finds it again
    again = open_page("jobs", "ko", job=story.running_job, find="없는 말")
    assert again.text_input(key="log-find").value == "없는 말"
    assert "찾는 말이 없습니다" in text_of(again)
    # an earlier attempt is a choice away
    again.text_input(key="log-find").set_value("").run()
    again.selectbox(key=f"log-attempt-{story.running_job}").set_value(1).run()
    assert "step 120/280" in shown(again)


def test_the_whole_log_is_every_attempts(story, log, visit):
    whole = reading.whole_log(visit, story.running_job).decode()
    assert whole.startswith("== attempt 1 ==\nstep 120/280\n")
    assert whole.endswith("4999번째 줄\n") and "== attempt 2 ==\n0번째 줄 WARNING" in whole


def test_what_is_searched_for_is_text_and_no_pattern():
    assert _marked(["a.c <abc>"], "A.C") == "<mark>a.c</mark> &lt;abc&gt;"
    assert _marked(["x"], "") == "x"


def test_a_log_that_may_not_be_read_is_not_searched_either(story, log, services, monkeypatch):
    add_person(services, "park", Role.ML_ENGINEER, ("roads",))
    with services.unit_of_work() as uow:
        account = uow.users.credentials("park")
        assert account is not None
        uow.ownership.claim(ResourceKind.JOB, story.running_job, account.account.user_id)
    stranger = come_in(monkeypatch, "lee", Role.VIEWER)
    for ask in (
        lambda: reading.job_log(stranger, story.running_job),
        lambda: reading.search_log(stranger, story.running_job, 2, "x"),
        lambda: reading.whole_log(stranger, story.running_job),
    ):
        with pytest.raises(ForbiddenError):
            ask()


def test_jobs_are_found_by_state_and_words_in_the_address(story):
    app = open_page("jobs", "ko")
    by_name = app.dataframe[0].value.set_index("작업")
    assert len(by_name) == 4
    assert by_name.loc[FINISHED_JOB, "진행"] == 1.0
    assert by_name.loc[RUNNING_JOB, "남은 시간"] == "1분 49초"
    assert by_name.loc[RUNNING_JOB, "진행"] == pytest.approx(120 / 280)
    # from the report, and from the folder of a job that has none yet
    assert list(by_name.loc[FINISHED_JOB, "손실 추이"]) == [3.04, 0.47, 0.08]
    assert len(by_name.loc[RUNNING_JOB, "손실 추이"]) == 24
    assert list(by_name.loc[FAILED_JOB, "손실 추이"]) == []

    app = open_page("jobs", "ko", state="failed")
    assert list(app.dataframe[0].value["작업"]) == [FAILED_JOB]
    app.text_input(key="job-search").set_value("LoRA regulations-manual").run()
    assert "이 조건에 맞는 작업이 없습니다" in text_of(app)
    assert (app.query_params["q"], app.query_params["state"]) in [
        ("LoRA regulations-manual", "failed"),
        (["LoRA regulations-manual"], ["failed"]),
    ]
    app = open_page("jobs", "ko", q="too-large")
    assert list(app.dataframe[0].value["작업"]) == [FAILED_JOB]


def test_what_a_training_measured_is_shown_with_its_course(services, story):
    path = services.settings.jobs_dir / f"train-{story.running_job}" / "metrics.jsonl"
    with path.open("a", encoding="utf-8") as stream:
        stream.write('{"step": 125, "timestamp": 1795300125, "learning_rate": 0.0029, "grad_norm": 1.25}\n')

    app = open_page("jobs", "ko", job=story.running_job)
    assert {metric.label: metric.value for metric in app.metric} == {
        "검증 손실": "1.030",
        "학습률": "0.0029",
        "기울기 크기": "1.25",
    }
