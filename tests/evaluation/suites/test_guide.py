"""The developer guide's kind of suite, added exactly as the page says, runs."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY_ROOT
from tests.evaluation.chat_endpoint import MODEL, chat_endpoint

GUIDE = REPOSITORY_ROOT / "docs" / "guides" / "add_a_suite.md"
PACKAGES = ("contracts", "settings", "storage", "evaluation")
SCRIPT = """
import json, sys
from pathlib import Path
from contracts.enums import SuiteKind
from contracts.errors import ConflictError
from evaluation.suites.kind import RunOptions, RunState, Subject
from evaluation.suites.registry import suite_type
from evaluation.test_cases import read_suite
from storage.journal import KeyedJournal
url, model, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
suite, subject = read_suite(folder / "suite.jsonl"), Subject(model, endpoint_url=url)
kind = suite_type(SuiteKind("brevity"))
with KeyedJournal(folder / "journal.jsonl", ConflictError("in use")) as journal:
    outcome = kind.run(suite, subject, RunOptions(), RunState(folder, journal, lambda done, total: None))
print(json.dumps([outcome.scores[0].name, outcome.scores[0].value, len(outcome.cases)]))
"""


def _put_before(text: str, place: str, line: str) -> str:
    assert text.count(place) == 1, place
    return text.replace(place, line + place)


@pytest.mark.slow
def test_the_guides_kind_is_a_function_and_a_line_and_its_name(tmp_path):
    function, name, line = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    copy = tmp_path / "repository"
    for package in PACKAGES:
        shutil.copytree(REPOSITORY_ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "evaluation" / "suites" / "brevity.py").write_text(function, encoding="utf-8")
    enums, registry = copy / "contracts" / "enums.py", copy / "evaluation" / "suites" / "registry.py"
    enums.write_text(_put_before(enums.read_text(), '    CASES = "cases"\n', name), encoding="utf-8")
    with_line = _put_before(registry.read_text(), "    SuiteKind.CASES: SuiteType(", line)
    registry.write_text(
        with_line.replace(
            "from evaluation.suites.cases import",
            "from evaluation.suites.brevity import run_brevity\nfrom evaluation.suites.cases import",
            1,
        ),
        encoding="utf-8",
    )
    cases = [{"id": f"c-{n}", "question": f"{n}번 질문입니까?", "accepted_answers": ["예"]} for n in range(4)]
    (tmp_path / "suite.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases), encoding="utf-8")
    with chat_endpoint(lambda question: "예" if question.startswith("0") else "길게 말하면 " * 10) as endpoint:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, endpoint.url, MODEL, str(tmp_path)],
            cwd=copy,
            env={"PYTHONPATH": str(copy), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == ["short_answers", 0.25, 4]
