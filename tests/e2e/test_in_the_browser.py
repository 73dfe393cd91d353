"""A person's whole way, by mouse and keyboard in a browser: from a file to a better model in production.

The platform is a real one. What no page offers, judging and registering a job, is done by the commands; what users do, by
simulated users through `/v1`.
"""

import json
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest

from tests.conftest import REPOSITORY_ROOT
from tests.dashboard.test_server import CHROMIUM, CHROMIUM_ARGUMENTS
from tests.e2e.installation import own_installation

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.e2e.installation import Installation

pytestmark = [
    pytest.mark.slow,
    pytest.mark.deep,
    pytest.mark.e2e,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(CHROMIUM is None, reason="needs a browser: apt-get install chromium fonts-noto-cjk"),
]

DATASET, MODEL, TEST = "browser-rules", "browser-assistant", "browser-test"
ROWS, CASES = 600, 20
KNOWN = "demo/test_cases/base_knowledge.jsonl"
PASSING_BAR = 0.05
"""Of a model that learns for seconds: what passes is not what is tried here."""
MINUTES = 60_000
LINES = """() => Object.fromEntries([...document.querySelector('.js-plotly-plot').data]
    .filter(trace => trace.showlegend !== false).map(trace => [trace.name, trace.x[trace.x.length - 1]]))"""
"""The last step of each line in the first chart."""
LIKING = {"a": 2.6, "b": 4.4}
"""Mean rating of each arm's answers, by the simulated users."""
MOST_USERS = 400


@dataclass
class Person:
    """An administrator at the browser."""

    tab: "Page"
    address: str

    def open(self, path: str) -> None:
        """Go to a page and wait until it is drawn."""
        joined = "&" if "?" in path else "?"
        self.tab.goto(f"{self.address}/{path}{joined}lang=ko")
        self.tab.get_by_text("서울 기준").last.wait_for(timeout=2 * MINUTES)

    def press(self, name: str) -> None:
        """Press the button of this name."""
        self.tab.get_by_role("button", name=name, exact=True).click()

    def go_on(self) -> None:
        """Press the wizard's button to its next step, when the page is drawn and says that it may be pressed."""
        from playwright.sync_api import expect

        button = self.tab.get_by_role("button", name="다음")
        expect(button).to_have_count(1)
        expect(button.last).to_be_enabled()
        button.last.click()

    def choose(self, field: str, words: str) -> None:
        """Choose in a list by typing."""
        box = self.tab.get_by_role("combobox", name=field)
        box.focus()
        self.tab.keyboard.type(words)
        self.tab.keyboard.press("Enter")

    def sees(self, words: str | re.Pattern[str], minutes: float = 2) -> None:
        """Wait until this is on the page."""
        self.tab.get_by_text(words).first.wait_for(timeout=minutes * MINUTES)

    def number_in_address(self, name: str) -> int:
        """What the address says of the chosen thing."""
        found = re.search(rf"[?&]{name}=(\d+)", self.tab.url)
        assert found is not None, self.tab.url
        return int(found[1])


@dataclass
class People:
    """Who trains does not approve: two administrators, each in a browser of their own."""

    trainer: Person
    reviewer: Person


@pytest.fixture(scope="module")
def installation(demo_base_model) -> Iterator["Installation"]:
    """One of its own, so that nothing else answers its users, with the server that starts fastest on CPUs."""
    with own_installation(demo_base_model, {"TUNEWAY_MODEL_SERVER_BACKEND": "embedded"}) as platform:
        yield platform


@pytest.fixture
def people(installation) -> Iterator[People]:
    from playwright.sync_api import expect, sync_playwright

    up = installation.tuneway("up", "--timeout", "900")
    assert up.returncode == 0, up.stderr
    address = installation.settings.resolved_dashboard_url
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        expect.set_options(timeout=2 * MINUTES)

        def come_in(name: str) -> Person:
            made = installation.tuneway("user", "add", name, "--role", "admin", "--json")
            assert made.returncode == 0, made.stderr
            tab = browser.new_page(viewport={"width": 1440, "height": 1200}, locale="ko-KR")
            tab.set_default_timeout(2 * MINUTES)
            tab.goto(f"{address}/login?lang=ko")
            tab.locator("#username").fill(name)
            tab.locator("#password").fill(json.loads(made.stdout)["password"])
            tab.locator("form button").click()
            tab.get_by_text("서울 기준").last.wait_for(timeout=3 * MINUTES)
            return Person(tab, address)

        yield People(come_in("browser-trainer"), come_in("browser-reviewer"))
        browser.close()


def test_a_file_becomes_a_better_model_in_production(installation, people, tmp_path, capsys):
    person, reviewer = people.trainer, people.reviewer
    took: dict[str, float] = {}

    def timed(name: str, began: float) -> None:
        took[name] = round(time.monotonic() - began, 1)
        with capsys.disabled():
            print(f"\n{name}: {took[name]} s", end="", flush=True)

    began = time.monotonic()
    dataset = upload(person, tmp_path)
    timed("dataset", began)
    jobs, versions = [], []
    for number, epochs in enumerate(("1", "3"), start=1):
        began = time.monotonic()
        jobs.append(train(person, dataset, f"{DATASET}-{number}", epochs))
        timed(f"job {number}", began)
        began = time.monotonic()
        versions.append(registered(installation, jobs[-1], tmp_path))
        timed(f"version {number} judged and registered", began)
        began = time.monotonic()
        deploy(reviewer, versions[-1])
        if number == 1:
            promote(reviewer, versions[0])
        timed(f"version {number} deployed", began)
    began = time.monotonic()
    read_quality_report(person, dataset)
    compare_curves(person, jobs)
    compare_models(person, versions[1])
    timed("report, curves and comparison", began)
    began = time.monotonic()
    experiment = start_ab_test(person)
    users = rate_until_decided(installation, person, experiment)
    timed("A/B test", began)
    answer(reviewer, experiment)
    assert in_production(installation) == versions[1]
    with capsys.disabled():
        print(f"\n{users} simulated users, {sum(took.values()):.0f} s in all")


def upload(person: Person, folder: Path) -> int:
    """A file is sent, looked at and made into a version, whose report tells what was taken out and masked."""
    from playwright.sync_api import expect

    file = folder / f"{DATASET}.jsonl"
    lines = (REPOSITORY_ROOT / "demo" / "data" / "regulations.jsonl").read_text(encoding="utf-8").splitlines()
    file.write_text("\n".join(lines[:ROWS]) + "\n", encoding="utf-8")
    person.open("datasets")
    person.tab.locator("input[type=file]").set_input_files(file)
    person.sees("쓸 수 있는 행")
    name = person.tab.get_by_role("textbox", name="데이터셋 이름")
    name.fill(DATASET)
    name.press("Enter")
    person.press("데이터셋 만들기")
    person.sees(re.compile(rf"{DATASET} v1\.0을 만들었습니다"), minutes=8)
    person.press("이 버전 보기")
    expect(person.tab.get_by_role("heading", name=f"{DATASET} v1.0")).to_be_visible()
    person.sees("똑같은 중복")
    person.sees("전화번호")
    person.sees(re.compile(r"562행 가운데 \d+행에서 개인정보를 가렸습니다"))
    return person.number_in_address("dataset")


def read_quality_report(person: Person, dataset: int) -> None:
    """Found by its name; the checks were made before the training began."""
    from playwright.sync_api import expect

    person.open("datasets")
    search = person.tab.get_by_role("searchbox", name="버전 찾기")
    search.fill(DATASET)
    search.press("Enter")
    person.tab.wait_for_url(re.compile(rf"find={DATASET}"))
    assert person.number_in_address("dataset") == dataset
    for check in ("개인정보", "중복", "품질 점수", "나눔의 균형", "평가 문항 누출", "표본 수"):
        expect(person.tab.get_by_role("row", name=f"{check} 통과")).to_be_visible()


def train(person: Person, dataset: int, job_name: str, epochs: str) -> int:
    """The wizard's five steps, and the job's page until it has ended. Returns the job."""
    from playwright.sync_api import expect

    tab = person.tab
    person.open(f"jobs?new=1&dataset={dataset}")
    person.choose("기반 모델", "demo-base")
    person.go_on()
    person.choose("레시피", "demo-lora")
    person.go_on()
    for field, value in (("작업 이름", job_name), ("에폭", epochs)):
        box = tab.get_by_label(field, exact=True)
        box.fill(value)
        box.press("Enter")
    person.sees("메모리가 충분합니다", minutes=3)
    person.go_on()
    person.press("학습 시작")
    expect(tab.get_by_role("heading", name=job_name)).to_be_visible()
    job = person.number_in_address("job")
    # the page tells by itself that the job has ended
    expect(tab.locator(".tw-badge", has_text="완료").first).to_be_visible(timeout=15 * MINUTES)
    return job


def registered(installation: "Installation", job: int, folder: Path) -> int:
    """The job judged by some of what its base model knew, and registered: the number of the version."""
    evaluation = stage(installation, "evaluate", folder, job_id=job, test_suite=KNOWN, max_cases=CASES)
    request = {"evaluation_id": evaluation["evaluation_id"], "accuracy_bar": PASSING_BAR}
    verdict = stage(installation, "gate", folder, **request)
    assert verdict["decision"] == "pass", verdict
    version = stage(installation, "register", folder, job_id=job, model_name=MODEL, **request)
    return int(version["model_id"])


def stage(installation: "Installation", name: str, folder: Path, **request: object) -> dict[str, Any]:
    path = folder / f"{name}.json"
    path.write_text(json.dumps(request), encoding="utf-8")
    done = installation.tuneway("stage", name, str(path))
    assert done.returncode == 0, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


def deploy(person: Person, model: int) -> None:
    person.open(f"models?model={model}")
    person.press("배포")
    person.press("배포 시작")
    person.sees("배포 상태: 응답 중", minutes=10)


def promote(person: Person, model: int) -> None:
    person.open(f"models?model={model}")
    person.press("운영으로 올리기")
    reason = person.tab.get_by_role("textbox", name="사유")
    reason.fill("첫 버전입니다")
    reason.press("Enter")
    person.press("운영으로 올립니다")
    person.sees("운영 버전이 되었습니다", minutes=3)


def compare_curves(person: Person, jobs: list[int]) -> None:
    """Both jobs have a line in the first chart, to the last step; what they were told differently is marked."""
    from playwright.sync_api import expect

    person.open(f"experiments?jobs={','.join(map(str, jobs))}")
    for number in (1, 2):
        expect(person.tab.locator(".tw-runs li", has_text=f"{DATASET}-{number}")).to_be_visible()
    person.tab.locator(".js-plotly-plot").first.wait_for()
    lines = person.tab.evaluate(LINES)
    assert [lines[f"#{job}"] for job in jobs] == [16, 48]
    expect(person.tab.locator("tr.differs", has_text="epochs")).to_contain_text("≠13")


def compare_models(person: Person, model: int) -> None:
    """The new version beside the one in production, case by case."""
    from playwright.sync_api import expect

    person.open(f"models?model={model}&part=comparison")
    person.sees("현재 운영 모델")
    counted = 0
    for outcome in ("새로 맞힘", "새로 틀림", "둘 다 맞힘", "둘 다 틀림"):
        figure = person.tab.locator(".tw-figures div", has=person.tab.locator("dt", has_text=outcome)).locator("dd")
        expect(figure).to_be_visible()
        counted += int(figure.inner_text())
    assert counted == CASES


def start_ab_test(person: Person) -> int:
    """By the form, with a difference that the simulated users certainly show."""
    tab = person.tab
    person.open("ab-tests?design=1")
    name = tab.get_by_role("textbox", name="테스트 이름")
    name.fill(TEST)
    name.press("Enter")
    effect = tab.get_by_role("spinbutton", name="찾으려는 최소 차이")
    effect.fill("1")
    effect.press("Enter")
    person.sees("필요한 표본")
    person.press("테스트 시작")
    person.sees(f"{TEST} 테스트를 시작했습니다", minutes=3)
    return person.number_in_address("experiment")


def rate_until_decided(installation: "Installation", person: Person, experiment: int) -> int:
    """Users ask and rate until the page says that the new model is better. Returns how many they were."""
    random = np.random.default_rng(7)
    serving = installation.settings.resolved_serving_url
    question = {
        "model": "auto",
        "messages": [{"role": "user", "content": "통행료 환급은 며칠 걸립니까?"}],
        "max_tokens": 8,
    }
    person.open(f"ab-tests?experiment={experiment}")
    users = 0
    with httpx.Client(base_url=serving, timeout=180) as client:

        def ask_and_rate(user: int) -> None:
            asked = client.post("/v1/chat/completions", json={**question, "user": f"visitor-{user}"})
            asked.raise_for_status()
            if (arm := asked.headers.get("x-tuneway-arm")) is None:
                return  # the router hears of a test a moment after it was started
            rating = min(5, max(1, round(LIKING[arm] + float(noise[user % len(noise)]))))
            said = {"request_id": asked.headers["x-tuneway-request-id"], "rating": rating}
            client.post("/v1/feedback", json=said).raise_for_status()

        noise = random.normal(0, 0.6, 997)
        while users < MOST_USERS:
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(ask_and_rate, range(users, users + 20)))
            users += 20
            person.tab.wait_for_timeout(5000)
            if person.tab.get_by_text("새 모델(B)의 평점이 더 높습니다").count():
                return users
    raise AssertionError(f"no verdict after {users} users")


def answer(person: Person, experiment: int) -> None:
    """The monitor has decided within a minute or two; then the person's word promotes the winner."""
    send = person.tab.get_by_role("button", name="답 보내기")
    deadline = time.monotonic() + 300
    while not send.count():
        assert time.monotonic() < deadline, "the monitor has not decided"
        person.tab.wait_for_timeout(5000)
        person.open(f"ab-tests?experiment={experiment}")
    person.tab.get_by_text("새 모델(B)로 교체", exact=True).click()
    reason = person.tab.get_by_role("textbox", name="이유")
    reason.fill("사용자의 평점이 더 높습니다")
    reason.press("Tab")
    send.click()
    person.sees("답을 기록하고 결론을 실행했습니다", minutes=3)


def in_production(installation: "Installation") -> int:
    shown = installation.tuneway("model", "show", f"{MODEL}@production", "--json")
    assert shown.returncode == 0, shown.stderr
    return int(json.loads(shown.stdout)["listing"]["version"]["model_id"])
