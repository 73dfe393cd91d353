"""The developer guide's check, added exactly as the page says, finds what it is for."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY_ROOT
from tests.data_prep.preparation.conftest import import_lines, line, many_lines, prepare

__all__ = ["import_lines", "prepare"]

GUIDE = REPOSITORY_ROOT / "docs" / "guides" / "add_a_check.md"
PACKAGES = ("contracts", "settings", "storage", "data_prep", "dashboard")
SCRIPT = """
import json, sys
from pathlib import Path
from contracts.datasets import QualityRequest
from dashboard.texts import Language, Words
from data_prep.checking import check_version
checks = check_version(Path(sys.argv[1]), QualityRequest(dataset_id=1), [], Path(sys.argv[2]), workers=1)
found = {check.check_type.value: [issue["message"] for issue in check.issues] for check in checks}
(own,) = [check for check in checks if check.check_type.value == "answer_variety"]
print(json.dumps([found["answer_variety"], len(checks), *(Words(language).of(own.check_type) for language in Language)]))
"""


def put_before(path, place, lines):
    text = path.read_text(encoding="utf-8")
    assert text.count(place) == 1, place
    path.write_text(text.replace(place, lines + place), encoding="utf-8")


@pytest.mark.deep
@pytest.mark.slow
def test_the_guides_check_is_a_function_a_line_and_its_names(tmp_path, import_lines, prepare):
    page = GUIDE.read_text(encoding="utf-8")
    member, function, called, korean, english = re.findall(r"```(?:python|toml|text)\n(.*?)```", page, flags=re.DOTALL)
    copy = tmp_path / "repository"
    for package in PACKAGES:
        # with what is compiled: it is found again, for the files are as old as they were
        shutil.copytree(REPOSITORY_ROOT / package, copy / package)
    put_before(copy / "contracts" / "enums.py", '    PII_DETECTION = "pii_detection"\n', member)
    put_before(copy / "data_prep" / "checking.py", "def _sides(", f"{function}\n\n")
    put_before(copy / "data_prep" / "checking.py", "        _check_balance(rows, manifest),\n", called)
    for language, name in (("ko", korean), ("en", english)):
        put_before(copy / "dashboard" / "locales" / f"{language}.toml", "pii_detection = ", name)
    form_letter = "문의하신 내용은 담당 부서에서 확인한 뒤 안내해 드리겠습니다."
    lines = [*many_lines(), *(line(f"{number}번 창구는 언제 엽니까?", form_letter) for number in range(12))]
    folder, _ = prepare(import_lines(lines, 10_000), near_duplicate_threshold=1)

    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), str(tmp_path)],
        cwd=copy,
        env={"PYTHONPATH": str(copy), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr[-4000:]
    (issue,), checks, *names = json.loads(done.stdout)
    assert re.match(r"같은 답변이 8\d행 가운데 1\d행에 있습니다: 문의하신 내용은", issue)
    assert checks == 7
    assert names == ["답변의 다양함", "Variety of answers"]
