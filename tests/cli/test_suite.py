"""`tuneway suite` over a real database."""

import json

import pytest
from typer.testing import CliRunner

from cli.suite import app
from tests.cli.command_line import tuneway

TABLE = "번호,질문,정답,분류,채점\n1,보존 기간은?,5년|오 년,tolls,일치\n2,담당 부서는?,영업처,tolls,\n3,기한은?,30일,safety,수치\n"


@pytest.fixture
def run(services, monkeypatch):
    """The command in this process, in English."""
    monkeypatch.setenv("TUNEWAY_LANGUAGE", "en")
    (services.settings.data_dir / "inbox").mkdir(parents=True)

    def command(*arguments: object, code: int = 0):
        ended = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
        assert ended.exit_code == code, ended.output
        return json.loads(ended.stdout) if "--json" in arguments else ended

    return command


@pytest.fixture
def table(services):
    path = services.settings.data_dir / "inbox" / "cases.csv"

    def write(text: str = TABLE):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_a_suite_goes_from_a_file_to_a_locked_version_and_back_to_a_file(run, table, tmp_path):
    assert run("list", "--json") == []
    assert run("import", "rules", table(), "--dry-run", "--json")["suite"] is None
    assert "rules v1: 3 cases (3 added" in run("import", "rules", table(), "--by", "kim").stderr
    assert "The same cases as rules v1" in run("import", "rules", table()).stderr
    assert run("lock", "rules", "--by", "park", "--json")["locked_by"] == "park"

    edited = run("edit", "rules", "1", "--set", "정답=7년", "--set", "note=checked", "--by", "lee", "--json")
    assert (edited["version"], edited["status"]) == (2, "draft")
    assert run("remove", "rules", "3", "--json")["case_count"] == 2
    assert "rules v2: 9 is stored" in run("edit", "rules", "9", "--set", "질문=근거는?", "--set", "정답=제14조").stderr

    difference = run("diff", "rules", "--json")
    assert [case["id"] for case in difference["added"]] == ["9"]
    assert [case["id"] for case in difference["removed"]] == ["3"]
    assert [case["fields"] for case in difference["changed"]] == [["accepted_answers", "note"]]
    assert "+ 7년" in run("diff", "rules@1", "rules@2").stdout

    told = run("show", "rules", "--search", "보존", "--json")
    assert (told["suite"]["version"], told["total"], len(told["versions"])) == (2, 1, 2)
    assert told["cases"][0]["edited_by"] == "lee"
    assert "7년" in run("show", "rules", "--cases").stdout

    written = tmp_path / "out.xlsx"
    run("export", "rules@1", written)
    assert "already" in run("export", "rules@1", written, code=2).stderr
    (inside := table().parent / "again.xlsx").write_bytes(written.read_bytes())
    again = run("import", "copy", inside, "--json")
    assert (again["cases"], again["suite"]["content_hash"]) == (3, difference["before"]["content_hash"])

    assert "has to be named" in run("archive", "rules", code=2).stderr
    assert run("archive", "rules@2", "--json")["status"] == "archived"
    (copy, rules) = run("list", "--json")
    assert (copy["name"], rules["newest"]["version"], rules["locked_version"]) == ("copy", 1, 1)
    assert "locked" in run("list").stdout


def test_wrong_rows_are_all_told_and_nothing_is_brought_in(run, table):
    path = table(TABLE + "4,,답,,\n5,기간은?,많음,,수치\n")

    shown = run("import", "rules", path, "--dry-run", code=1)
    assert "2 wrong rows" in shown.stderr
    assert "question: it has no question" in shown.stdout
    refused = run("import", "rules", path, "--json", code=1)
    assert "row 6: accepted_answers: an accepted answer is not one number (많음)" in refused["error"]["value"]
    assert run("list", "--json") == []


def test_the_template_is_a_file_to_fill_in(run, tmp_path):
    run("template", tmp_path / "cases.xlsx")
    assert run("template", tmp_path / "cases.csv", "--json")["path"].endswith("cases.csv")
    assert (tmp_path / "cases.csv").read_bytes().startswith("\ufeffid,question,".encode())
    assert "ending names no format" in run("template", tmp_path / "cases.doc", code=2).stderr


def test_a_mistake_is_told_with_what_to_do(run, table):
    run("import", "rules", table())
    for arguments, part in (
        (("show", "rulse"), "did you mean rules?"),
        (("show", "rules@7"), "no such version"),
        (("edit", "rules", "1", "--set", "정딥=7년"), "no such column"),
        (("edit", "rules", "1", "--set", "정답"), "COLUMN=VALUE"),
        (("edit", "rules", "1", "--set", "채점=수치", "--set", "정답=많음"), "not one number"),
        (("remove", "rules", "77"), "no such case"),
        (("import", "Rules!", "cases.csv"), "name"),
    ):
        ended = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
        assert ended.exit_code in {1, 2}
        assert part in ended.stderr


@pytest.mark.slow
def test_the_command_is_part_of_tuneway():
    ended = tuneway("suite", "--help")
    assert ended.returncode == 0
    assert "template" in ended.stdout
