"""How long people wait for the dashboard's pages: 100 model versions, a million logged requests, a dataset of a million rows.

    python -m benchmarks.page_open [--requests 1000000] [--rows 1000000] [--opens 3]

A PostgreSQL of its own filled by COPY and generate_series, a dataset version made by the platform's own writer, the real
dashboard behind its login and a real Cerbos. A page is open when its last element is drawn and nothing is being computed
any more, in Chromium. CPU time is that of the dashboard and of PostgreSQL for one warm opening, then with the browser's:
what a busy machine does not change. Cold: the first opening after the dashboard's start, in a browser that has nothing of it. Warm: the
median of the openings after that. The bar: 2 s warm.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import httpx
import psycopg
import pyarrow

from benchmarks.measuring import (
    REPOSITORY_ROOT,
    cpu_seconds,
    own_folder,
    own_postgres,
    own_settings,
    parser,
    report,
)
from benchmarks.registry import fill
from contracts.datasets import DatasetVersion, PrepareRequest
from contracts.enums import Split
from contracts.experiments import StartABTestRequest
from contracts.identity import AccountKind, Role
from data_prep.rows import Message, Row
from data_prep.statistics.measuring import describe, evenly_spaced
from data_prep.statistics.report import write_report
from data_prep.versions.manifest import Recipe, code_revision
from data_prep.versions.names import STATISTICS_FILE
from data_prep.versions.writing import VersionWriter
from security.identity.passwords import hash_password
from stages.services import Services, open_services
from storage.stored_files import write_stored_json
from tests.ports import free_port
from tests.serving_api.policy_server import with_policies
from tests.serving_api.running import make_secrets

if TYPE_CHECKING:
    from playwright.sync_api import Page

TINY = {"versions": 8, "requests": 2000, "rows": 2000, "opens": 1}
SUITES, CASES = 10, 100_000
USERS_PER_REQUEST = 0.05
"""A user asks twenty times; one answer in three is rated."""
CHUNK_ROWS = 50_000
BAR_SECONDS = 2.0
NAME, PASSWORD = "kim", "correct horse battery staple"
CHROMIUM_ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
DRAWN = """() => [...document.querySelectorAll('[data-testid=stMain] [data-testid=stCaptionContainer]')]
    .some(caption => caption.textContent.includes('서울 기준'))
  && !document.querySelector('[data-testid=stStatusWidget], [data-testid=stSkeleton], [data-testid=stSpinner], [data-stale=true]')"""
"""The line that ends every page is there, and nothing is being computed or fetched."""


def main() -> None:
    """Fill, open, report."""
    arguments = parser(__doc__ or "")
    arguments.add_argument("--versions", type=int, default=100)
    arguments.add_argument("--requests", type=int, default=1_000_000)
    arguments.add_argument("--rows", type=int, default=1_000_000)
    arguments.add_argument("--opens", type=int, default=3, help="warm openings of each page")
    arguments.add_argument("--pages", default="", help="only these, separated by commas")
    options = arguments.parse_args()
    if options.tiny:
        vars(options).update(TINY)
    with own_folder() as folder, own_postgres() as (url, postgres):
        services = open_services(own_settings(database_url=url))
        began = time.perf_counter()
        addresses = fill_platform(url, folder, services, options)
        filled = time.perf_counter() - began
        if options.pages:
            addresses = {name: addresses[name] for name in options.pages.split(",")}
        with running_dashboard(folder, services) as (address, dashboard):
            measured = open_pages(address, addresses, options.opens, [dashboard, postgres])
    slow = [name for name, seconds in measured.items() if seconds["warm"] > BAR_SECONDS]
    report(
        "page_open",
        options,
        {"filled_seconds": round(filled, 1), "seconds": measured, "slower_than_the_bar": slow},
        [
            ["page", "cold", "warm", "slowest warm", "CPU of dashboard and PostgreSQL", "CPU with the browser"],
            *([name, *(f"{seconds[kind]:.2f} s" for kind in seconds)] for name, seconds in measured.items()),
        ],
    )


def fill_platform(url: str, folder: Path, services: Services, options: argparse.Namespace) -> dict[str, str]:
    """Everything that the pages show; their addresses by name."""
    fill(url, options.versions, SUITES, max(SUITES * options.versions, CASES * options.versions // 100))
    dataset = make_dataset(folder / "data" / "datasets" / "versions" / "asked", services, options.rows)
    experiment_id = log_requests(url, services, options.requests)
    with services.unit_of_work() as uow:
        uow.users.add(
            NAME, kind=AccountKind.PERSON, role=Role.ADMIN, projects=[], password_hash=hash_password(PASSWORD)
        )
    of_dataset = f"datasets?dataset={dataset.dataset_id}"
    return {
        "overview": "",
        "runs": "runs",
        "dataset": of_dataset,
        "dataset rows": f"{of_dataset}&part=rows",
        "dataset statistics": f"{of_dataset}&part=statistics",
        "dataset quality": f"{of_dataset}&part=quality",
        "dataset duplicates": f"{of_dataset}&part=duplicates",
        "dataset split": f"{of_dataset}&part=split",
        "dataset history": f"{of_dataset}&part=history",
        "dataset lineage": f"{of_dataset}&part=lineage",
        "review": "review",
        "rating": "rating",
        "test-cases": "test-cases",
        "jobs": "jobs?job=1",
        "job-wizard": "jobs?new=1",
        "experiments": "experiments?jobs=1,2",
        "models": "models?model=1",
        "model-comparison": "models?model=2&part=comparison",
        "model-certificates": "models?model=2&part=certificates",
        "ab-tests": f"ab-tests?experiment={experiment_id}",
        "ab-design": "ab-tests?design=1",
        "audit": "administration?part=audit",
        "accounts": "administration?part=accounts",
    }


def make_dataset(name_dir: Path, services: Services, rows: int) -> DatasetVersion:
    """A version of so many rows, by the writer that every preparation ends with."""
    columns, sample, sides = [], [], []
    chosen = set(evenly_spaced(rows).tolist())
    name_dir.parent.mkdir(parents=True, exist_ok=True)
    request = PrepareRequest(import_id="asked-0001", dataset_name="asked")
    with VersionWriter(name_dir) as writer:
        for start in range(0, rows, CHUNK_ROWS):
            numbers = range(start, min(start + CHUNK_ROWS, rows))
            texts = [_conversation(number) for number in numbers]
            of_chunk = [_side(number) for number in numbers]
            table = pyarrow.table(
                {
                    "messages": [
                        json.dumps(
                            [{"role": "user", "content": question}, {"role": "assistant", "content": answer}],
                            ensure_ascii=False,
                        )
                        for question, answer in texts
                    ],
                    "category": [f"분야 {number % 12}" for number in numbers],
                    "source": [f"규정 {number % 300:03}.hwp" for number in numbers],
                    "quality_score": [0.5 + (number * 7919 % 5000) / 10_000 for number in numbers],
                    "toxicity": [(number * 104729 % 1000) / 20_000 for number in numbers],
                    "key": [f"{number:012x}" for number in numbers],
                    "metadata": ["{}"] * len(numbers),
                    "parts": ['{"fluency": 0.9, "length": 0.8}'] * len(numbers),
                    "row": [f"asked.jsonl:{number + 1}" for number in numbers],
                }
            )
            writer.add_table(table, of_chunk)
            sides += of_chunk
            columns.append(
                table.select(["category", "source", "quality_score", "toxicity"])
                .append_column("question_characters", pyarrow.array([len(question) for question, _ in texts]))
                .append_column("answer_characters", pyarrow.array([len(answer) for _, answer in texts]))
                .append_column("turns", pyarrow.array([1] * len(texts)))
            )
            sample += [
                Row(
                    row_id=f"asked.jsonl:{number + 1}",
                    messages=(Message("user", question), Message("assistant", answer)),
                    metadata={"category": f"분야 {number % 12}", "source": f"규정 {number % 300:03}.hwp"},
                )
                for number, (question, answer) in zip(numbers, texts, strict=True)
                if number in chosen
            ]
        told = describe(pyarrow.concat_tables(columns), sides, sample, None)
        write_stored_json(writer.path(STATISTICS_FILE), told)
        folder, manifest = writer.commit(
            recipe=Recipe(
                operation="prepare", request=request.model_dump(mode="json"), policy={}, code_revision=code_revision()
            ),
            request=request,
            request_key="0" * 64,
        )
    write_report(folder)
    with services.unit_of_work() as uow:
        return uow.datasets.add(
            name="asked",
            content_hash=manifest.content_hash,
            file_path=str(folder),
            total_samples=rows,
            train_samples=sides.count(Split.TRAIN),
            val_samples=sides.count(Split.VALIDATION),
            test_samples=sides.count(Split.TEST),
            removed={},
            masked={},
            quality_score=0.75,
            categories={f"분야 {number}": len(range(number, rows, 12)) for number in range(12)},
        )


def _conversation(number: int) -> tuple[str, str]:
    question = f"{number}번 서식을 제출한 뒤 {1 + number % 90}일이 지나면 어느 부서에 다시 신청해야 하나요?"
    answer = (
        f"{number % 300}번 규정에 따라 접수한 날부터 {1 + number % 30}일 안에 담당 부서에 신청서를 다시 내야 합니다."
    )
    return question, answer


def _side(number: int) -> Split:
    return {0: Split.VALIDATION, 1: Split.TEST}.get(number % 20, Split.TRAIN)


def log_requests(url: str, services: Services, requests: int) -> int:
    """A running test between two versions, and so many answers of it; its id."""
    with services.unit_of_work() as uow:
        started = uow.experiments.start(
            StartABTestRequest(experiment_name="autumn", model_a_id=1, model_b_id=2, target_samples=100_000)
        )
    users = max(1, int(requests * USERS_PER_REQUEST))
    with psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://"), autocommit=True) as connection:
        connection.execute(
            "INSERT INTO ab_test_logs (experiment_id, variant, assigned_variant, model_id, query, response,"
            " response_time_ms, user_rating, user_key, request_id, status, exposure, created_at)"
            " SELECT %(test)s, arm, arm, CASE arm WHEN 'a' THEN 1 ELSE 2 END, '질문 ' || n, repeat('답변입니다. ', 20),"
            " 300 + n %% 900, CASE WHEN n %% 3 = 0 THEN 1 + n / 3 %% 5 END, 'user-' || n %% %(users)s,"
            " 'request-' || n, 'complete', 'assigned', now() - n * interval '1 second'"
            " FROM (SELECT n, CASE WHEN n %% %(users)s %% 2 = 0 THEN 'a' ELSE 'b' END AS arm"
            " FROM generate_series(1, %(requests)s) AS n) AS asked",
            {"test": started.experiment_id, "users": users, "requests": requests},
        )
        connection.execute("VACUUM ANALYZE ab_test_logs")
    return started.experiment_id


@contextmanager
def running_dashboard(folder: Path, services: Services) -> Iterator[tuple[str, int]]:
    """The dashboard's address and process, as `tuneway up` starts it."""
    policies = with_policies(services).settings
    settings = own_settings(
        cerbos_port=policies.cerbos_port,
        cerbos_grpc_port=policies.cerbos_grpc_port,
        policy_timeout_seconds=20,
        dashboard_port=free_port(),
    )
    make_secrets(settings.secrets_dir)
    log = folder / "dashboard.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "dashboard"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT)},
            stdout=stream,
            stderr=stream,
        )
    address = f"http://127.0.0.1:{settings.ports['dashboard']}"
    try:
        while True:
            assert process.poll() is None, log.read_text(encoding="utf-8")
            try:
                httpx.get(f"{address}/_stcore/health", timeout=5).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.2)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


def open_pages(address: str, addresses: dict[str, str], opens: int, servers: list[int]) -> dict[str, dict[str, float]]:
    """What opening each page takes."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=CHROMIUM_ARGUMENTS)
        context = browser.new_context(viewport={"width": 1440, "height": 900}, locale="ko-KR")
        tab = context.new_page()
        tab.goto(f"{address}/login?lang=ko&next=/rating")
        tab.locator("#username").fill(NAME)
        tab.locator("#password").fill(PASSWORD)
        tab.locator("form button").click()
        tab.get_by_text("서울 기준").last.wait_for(timeout=120_000)
        found = {}
        for name, path in addresses.items():
            cold = _open(tab, address, path)
            # the browser's processes descend from this one, as the servers do
            before = sum(map(cpu_seconds, servers)), cpu_seconds(os.getpid())
            warm = [_open(tab, address, path) for _ in range(opens)]
            of_servers, of_all = sum(map(cpu_seconds, servers)) - before[0], cpu_seconds(os.getpid()) - before[1]
            found[name] = {
                "cold": round(cold, 2),
                "warm": round(median(warm), 2),
                "slowest_warm": round(max(warm), 2),
                "server_cpu": round(of_servers / opens, 2),
                "all_cpu": round(of_all / opens, 2),
            }
            sys.stderr.write(f"{name} {found[name]} load {os.getloadavg()[0]:.1f}\n")
        browser.close()
    return found


def _open(tab: "Page", address: str, path: str) -> float:
    joined = "&" if "?" in path else "?"
    # the page before goes on drawing itself until it is left
    tab.goto("about:blank")
    began = time.perf_counter()
    tab.goto(f"{address}/{path}{joined}lang=ko", wait_until="commit")
    tab.wait_for_function(DRAWN, timeout=300_000, polling=20)
    seconds = time.perf_counter() - began
    assert tab.locator("[data-testid=stException]").count() == 0, path
    return seconds


if __name__ == "__main__":
    main()
