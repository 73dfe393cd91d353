"""`docs/security.md` names a test for each risk, and each test is there."""

import ast
import re
from pathlib import Path

import pytest

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]
ROWS = [
    line
    for line in (REPOSITORY_ROOT / "docs" / "security.md").read_text(encoding="utf-8").splitlines()
    if re.match(r"\| (API|LLM)\d+ ", line)
]
NAMED = sorted({named for row in ROWS for named in re.findall(r"`(tests/[^`]+::\w+)`", row)})


def test_every_risk_of_both_lists_has_a_row_with_a_test():
    risks = [row.split()[1] for row in ROWS]
    assert risks == [*(f"API{number}" for number in range(1, 11)), *(f"LLM{number:02}" for number in range(1, 11))]
    assert all("`tests/" in row for row in ROWS)


@pytest.mark.parametrize("named", NAMED)
def test_the_named_test_exists_and_is_run(named):
    path, _, name = named.partition("::")
    tree = ast.parse((REPOSITORY_ROOT / path).read_text(encoding="utf-8"))
    found = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert name in found
    marks = [ast.unparse(mark) for mark in found[name].decorator_list]
    marks += [ast.unparse(node) for node in tree.body if ast.unparse(node).startswith("pytestmark")]
    # a case of a parametrized test may wait for `make test-deep`; the test as a whole may not
    assert not any(re.match(r"pytest\.mark\.(deep|skip|xfail)\b", mark) for mark in marks)
    assert not any(re.search(r"^pytestmark.*\b(deep|skip|xfail)\b", mark) for mark in marks)
