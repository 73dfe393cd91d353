"""The developer guide's scorer, added exactly as the page says, scores."""

import re
import shutil
import subprocess
import sys

from tests.conftest import REPOSITORY_ROOT

GUIDE = REPOSITORY_ROOT / "docs" / "guides" / "add_a_scorer.md"
USE = """
from evaluation.case_rows import read_cases
from evaluation.case_tables import template_bytes
from evaluation.scorers.registry import SCORERS, score_answer

found = read_cases([(2, {"질문": "처리 순서는?", "정답": "접수|통제|복구", "채점": "in_order", "합격 점수": "0.6"})])
assert found.problems == [], found.problems
(case,) = found.cases
assert case.scorer == "in_order"
print(score_answer(case, "먼저 접수하고, 통제한 뒤 복구합니다.").value)
print(score_answer(case, "복구한 뒤 접수하고 통제합니다.").value)
print(score_answer(case, "모르겠습니다."))
assert template_bytes(".xlsx")
"""


def test_the_guides_scorer_is_one_function_and_one_line_and_scores(tmp_path):
    function, imported, line = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
    for package in ("contracts", "storage", "evaluation"):
        shutil.copytree(REPOSITORY_ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "evaluation" / "scorers" / "in_order.py").write_text(function, encoding="utf-8")
    registry = tmp_path / "evaluation" / "scorers" / "registry.py"
    text = registry.read_text(encoding="utf-8")
    after_import = "from evaluation.scorers.exact import exact\n"
    before_line = "SCORERS: dict[str, Scorer] = {\n"
    assert text.count(after_import) == text.count(before_line) == 1
    text = text.replace(after_import, after_import + imported).replace(before_line, before_line + line)
    registry.write_text(text, encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-c", USE],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-4000:]
    whole, shifted, none = done.stdout.splitlines()
    assert (float(whole), round(float(shifted), 3)) == (1, 0.667)
    assert none == "Score(value=0.0, remark='순서대로 말한 단계: 없음')"
