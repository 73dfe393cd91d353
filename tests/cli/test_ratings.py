"""`tuneway ratings` and `tuneway safety` as a person types them, without a platform."""

import json

import pytest

from tests.cli.command_line import ROOT, tuneway
from tests.data_prep.generation.endpoint import endpoint
from tests.evaluation.judging.endpoint_judges import longer_wins

pytestmark = pytest.mark.slow


@pytest.fixture
def installation(tmp_path, database_url):
    return {"DATA_DIR": str(tmp_path), "DATABASE_URL": database_url}


def test_answers_go_from_a_file_over_judge_and_sheet_to_agreement(installation, tmp_path):
    path = tmp_path / "inbox" / "answers.jsonl"
    path.parent.mkdir()
    rows = [
        {"case_id": str(number), "question": f"질문 {number}", "answer_a": "짧은 답", "answer_b": "훨씬 더 긴 답변"}
        for number in range(3)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    made = tuneway("ratings", "put-up", "tolls-may", "--answers", str(path), "--json", **installation)
    assert json.loads(made.stdout)["items"] == 3, made.stderr
    with endpoint(longer_wins) as server:
        judged = tuneway("ratings", "judge", "tolls-may", "--url", server.url, "--model", "m", **installation)
    assert "win rate of b 1.000" in judged.stderr, judged.stderr
    sheet = tmp_path / "kim.csv"
    tuneway("ratings", "export", "tolls-may", str(sheet), "--rater", "Kim", **installation)
    lines = sheet.read_text(encoding="utf-8").splitlines()
    sheet.write_text("\n".join([lines[0], lines[1].removesuffix(",,") + ",tie,", *lines[2:]]), encoding="utf-8")
    stored = tuneway("ratings", "import", "tolls-may", str(sheet), "--rater", "Kim", **installation)
    assert "1 ratings of Kim stored" in stored.stderr
    report = json.loads(tuneway("ratings", "agreement", "tolls-may", "--json", **installation).stdout)
    assert report["counts"]["by_rater"]["Kim"] == 1
    assert [licence["may_gate"] for licence in report["licences"]] == [False]
    shown = tuneway("ratings", "agreement", "tolls-may", **{**installation, "LANGUAGE": "ko"})
    assert "이 심사 모델은 합격 여부를 정할 수 없습니다" in shown.stderr
    assert "tolls-may" in tuneway("ratings", "list", **installation).stdout


def test_a_task_that_does_not_exist_is_told_without_a_traceback(installation):
    missing = tuneway("ratings", "agreement", "nothing", "--json", **installation)
    assert missing.returncode == 1
    assert json.loads(missing.stdout)["error"]["code"] == "not_found"
    assert "Traceback" not in missing.stderr


@pytest.mark.deep
def test_the_safety_suites_are_added_once(installation):
    kobbq = ROOT.parent / "shared" / "data" / "kobbq" / "KoBBQ_test_samples.tsv"
    given = ("--kobbq", str(kobbq)) if kobbq.is_file() else ()
    added = json.loads(tuneway("safety", "add", *given, "--json", timeout=300, **installation).stdout)
    assert (added[0]["name"], added[0]["version"], added[0]["status"]) == ("safety", 1, "locked")
    assert [suite["case_count"] for suite in added] == ([140, 2280] if given else [140])
    again = json.loads(tuneway("safety", "add", *given, "--json", timeout=300, **installation).stdout)
    assert [suite["suite_id"] for suite in again] == [suite["suite_id"] for suite in added]
