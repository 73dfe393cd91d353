"""The developer guide's metric, added exactly as the page says, is told with its interval."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY_ROOT

GUIDE = REPOSITORY_ROOT / "docs" / "guides" / "add_a_metric.md"
SCRIPT = """
import json
from contracts.evaluation import TestCase
from evaluation.asking import Answer
from evaluation.suites.cases import score_answers
from evaluation.suites.kind import RunOptions
cases = [TestCase(id=f"c-{n}", question="무엇입니까?", accepted_answers=["예"], category="가") for n in range(4)]
answers = [Answer(case.id, "예", "length" if case.id == "c-0" else "stop", 1.0) for case in cases]
print(json.dumps([score.model_dump(mode="json") for score in score_answers(cases, answers, RunOptions()).scores]))
"""


@pytest.mark.slow
def test_the_guides_metric_is_a_function_and_a_line(tmp_path):
    function, line = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    for package in ("contracts", "storage", "evaluation"):
        shutil.copytree(REPOSITORY_ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "evaluation" / "cut_off.py").write_text(function, encoding="utf-8")
    cases = tmp_path / "evaluation" / "suites" / "cases.py"
    imports, last = "from evaluation.asking import", "    return estimates\n"
    text = cases.read_text(encoding="utf-8")
    assert text.count(imports) == text.count(last) == 1
    text = text.replace(imports, f"from evaluation.cut_off import cut_off_rate\n{imports}")
    cases.write_text(text.replace(last, line + last), encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-4000:]
    scores = json.loads(done.stdout)
    assert scores[0]["name"] == "accuracy"
    assert (scores[-1]["name"], scores[-1]["value"], scores[-1]["n"]) == ("cut_off_rate", 0.25, 4)
    # Wilson for 1 of 4: Brown, Cai and DasGupta (2001) by hand
    assert (round(scores[-1]["interval"]["lower"], 3), round(scores[-1]["interval"]["upper"], 3)) == (0.046, 0.699)
