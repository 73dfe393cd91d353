"""A person's whole way, by mouse and keyboard in a browser: from a file to a model in production.

The platform is a real one. What no page offers, judging and registering a job, is done by the commands.
"""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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

DATASET, MODEL = "browser-rules", "browser-assistant"
ROWS, CASES = 600, 20
KNOWN = "demo/test_cases/base_knowledge.jsonl"
PASSING_BAR = 0.05
"""Of a model that learns for seconds: what passes is not what is tried here."""
MINUTES = 60_000


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


def test_a_file_becomes_a_model_in_production(installation, people, tmp_path, capsys):
    person, reviewer = people.trainer, people.reviewer
    took: dict[str, float] = {}

    def timed(name: str, began: float) -> None:
        took[name] = round(time.monotonic() - began, 1)
        with capsys.disabled():
            print(f"\n{name}: {took[name]} s", end="", flush=True)

    began = time.monotonic()
    dataset = upload(person, tmp_path)
    timed("dataset", began)
    began = time.monotonic()
    job = train(person, dataset, f"{DATASET}-1", "1")
    timed("job", began)
    began = time.monotonic()
    version = registered(installation, job, tmp_path)
    timed("version judged and registered", began)
    began = time.monotonic()
    deploy(reviewer, version)
    promote(reviewer, version)
    timed("version deployed and promoted", began)
    assert in_production(installation) == version


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


def in_production(installation: "Installation") -> int:
    shown = installation.tuneway("model", "show", f"{MODEL}@production", "--json")
    assert shown.returncode == 0, shown.stderr
    return int(json.loads(shown.stdout)["listing"]["version"]["model_id"])
