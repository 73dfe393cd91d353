"""`tuneway dataset` as a person runs it."""

import json
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from typer.testing import CliRunner

from contracts.enums import Split
from data_prep.versions.references import create_branch, create_tag
from stages.dataset_versions import list_datasets, merge_versions, register_version
from tests.cli.command_line import tuneway
from tests.data_prep.statistics.test_report import STATISTICS
from tests.data_prep.versions.builders import commit, key_of, row, rows


@pytest.fixture
def name_dir(tmp_path):
    return tmp_path / "datasets" / "versions" / "tolls"


@pytest.fixture
def run(tmp_path, monkeypatch):
    """In this process, and without a database: what concerns the files alone must do without."""

    def command(*arguments, **variables):
        from cli.dataset import app

        settings = {"LANGUAGE": "en", "DATA_DIR": str(tmp_path), **variables}
        for name, value in settings.items():
            monkeypatch.setenv(f"TUNEWAY_{name}", value)
        ended = CliRunner().invoke(app, arguments)
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            raise ended.exception
        return CompletedProcess(arguments, ended.exit_code, ended.stdout, ended.stderr)

    return command


def as_json(ended):
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.mark.slow
def test_the_command_is_part_of_the_command_line(tmp_path, name_dir):
    made = commit(name_dir, rows(range(10)))

    ended = tuneway("dataset", "log", "tolls", "--json", DATA_DIR=str(tmp_path))
    mistake = tuneway("dataset", "log", "tols", DATA_DIR=str(tmp_path))

    assert [entry["commit"] for entry in as_json(ended)] == [made.commit]
    assert mistake.returncode == 1
    assert "did you mean tolls" in mistake.stderr
    assert "Traceback" not in mistake.stderr


def test_the_history_is_shown_to_people_and_as_json(run, name_dir):
    first = commit(name_dir, rows(range(10)))
    create_tag(name_dir, "trial", first.commit)
    second = commit(name_dir, rows(range(20)), message="두 번째 자료")

    shown = run("log", "tolls")
    told = as_json(run("log", "tolls", "--json"))

    assert shown.returncode == 0
    assert f"{second.short} (main)" in shown.stdout
    assert f"{first.short} (trial)" in shown.stdout
    assert "두 번째 자료" in shown.stdout
    assert [entry["commit"] for entry in told] == [second.commit, first.commit]
    assert told[0]["samples"] == {"train": 16, "validation": 2, "test": 2}


def test_the_list_names_every_dataset(run, name_dir):
    commit(name_dir, rows(range(10)))
    commit(name_dir.with_name("rest-areas"), rows(range(10)))

    assert [entry["name"] for entry in as_json(run("list", "--json"))] == ["rest-areas", "tolls"]
    assert "tolls" in run("list").stdout


def test_an_installation_without_datasets_says_so(run):
    assert as_json(run("list", "--json")) == []
    assert "no dataset" in run("list").stderr


def test_a_difference_shows_the_rows_with_their_signs(run, name_dir):
    before = commit(name_dir, [row("same"), row("gone"), row("other", "예전 답")])
    commit(name_dir, [row("same"), row("new"), row("other", "새 답")])

    shown = run("diff", "tolls", before.short, "main").stdout
    told = as_json(run("diff", f"tolls@{before.short}", "tolls", "--json"))

    assert (told["added"], told["removed"], told["changed"]) == (1, 1, 1)
    assert told["changed_rows"][0]["fields"] == [
        {"field": "messages[1].content", "before": "예전 답", "after": "새 답"}
    ]
    assert "1 added, 1 removed, 1 changed" in shown
    for line in ("+ ", "- ", "~ ", "질문 new", "질문 gone", "예전 답", "새 답"):
        assert line in shown


def test_versions_of_two_datasets_are_not_compared(run, name_dir):
    commit(name_dir, rows(range(10)))
    commit(name_dir.with_name("other"), rows(range(10)))

    ended = run("diff", "tolls", "other", "--json")

    assert ended.returncode == 2
    assert json.loads(ended.stdout)["error"]["code"] == "invalid_request"


def test_tags_and_branches_are_made_listed_and_deleted(run, name_dir):
    first = commit(name_dir, rows(range(10)))
    second = commit(name_dir, rows(range(20)))

    as_json(run("tag", f"tolls@{first.short}", "trial", "--json"))
    as_json(run("branch", "tolls@trial", "work", "--json"))

    assert as_json(run("tag", "tolls", "--json")) == {"trial": first.commit}
    assert as_json(run("branch", "tolls", "--json")) == {"main": second.commit, "work": first.commit}
    assert run("tag", "tolls", "trial").returncode == 1
    assert run("tag", "tolls", "trial", "--move").returncode == 0
    assert run("branch", "tolls", "work", "--delete").returncode == 0
    assert as_json(run("branch", "tolls", "--json")) == {"main": second.commit}


def test_an_export_is_written_once(run, name_dir, tmp_path):
    commit(name_dir, rows(range(20)))

    told = as_json(run("export", "tolls", str(tmp_path / "out"), "--json"))
    again = run("checkout", "tolls", str(tmp_path / "out"))

    assert told["rows"] == {"train.jsonl": 16, "validation.jsonl": 2, "test.jsonl": 2}
    assert len((tmp_path / "out" / "train.jsonl").read_text("utf-8").splitlines()) == 16
    assert again.returncode == 1
    assert "exists already" in again.stderr


def test_one_side_as_parquet(run, name_dir, tmp_path):
    commit(name_dir, rows(range(20)))

    told = as_json(run("export", "tolls", str(tmp_path / "out"), "--format", "parquet", "--split", "test", "--json"))

    assert told["rows"] == {"test.parquet": 2}
    assert "did you mean --format parquet" in run("export", "tolls", str(tmp_path / "b"), "--format", "parket").stderr


def test_the_lineage_of_a_row_names_its_document_and_generator(run, name_dir):
    span = {"document": "여비규정.hwpx", "start": 10, "end": 90, "generator_model": "qwen3-32b", "prompt_sha256": "ab"}
    commit(name_dir, [row("a"), row("b", line=2, lineage=span)])

    told = as_json(run("lineage", "tolls", key_of("b"), "--json"))
    shown = run("lineage", "tolls", "rows.jsonl:2").stdout

    assert told["generated"] == span
    assert "여비규정.hwpx" in shown
    assert "qwen3-32b" in shown


def test_the_split_is_reported(run, name_dir):
    commit(name_dir, rows(range(100)))

    told = as_json(run("split", "tolls", "--json"))

    assert told["even"]
    assert {name: side["rows"] for name, side in told["report"]["sides"].items()} == {
        "train": 80, "validation": 10, "test": 10,
    }  # fmt: skip
    assert "80.0%" in run("split", "tolls").stdout


def test_damaged_files_are_found(run, name_dir):
    made = commit(name_dir, rows(range(10)))
    assert run("verify", "tolls").returncode == 0
    (name_dir / made.short / "index.parquet").write_bytes(b"")

    ended = run("verify", "tolls", "--json")

    assert ended.returncode == 1
    assert json.loads(ended.stdout)["damaged"] == [
        {"commit": made.commit, "file": f"{made.short}/index.parquet", "problem": "changed"}
    ]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("log", "tols"), "did you mean tolls"),
        (("log", "tolls@mian"), "did you mean main"),
        (("log", "../secrets"), "no name of a dataset"),
        (("split", "tolls", "--train", "0.9", "--val", "0.3"), "sum to 1"),
        (("lineage", "tolls", "rows.jsonl:99"), "did you mean rows.jsonl:"),
        (("stats", "tolls"), "no statistics"),
        (("import", "Not A Name", "x.csv"), "dataset_name"),
    ],
)
def test_a_mistake_is_told_with_what_to_do(run, name_dir, arguments, part):
    commit(name_dir, rows(range(10)))

    ended = run(*arguments)

    assert ended.returncode in {1, 2}
    assert part in ended.stderr


def test_garbage_needs_the_database_to_know_what_is_needed(run, name_dir):
    commit(name_dir, rows(range(10)))

    ended = run("gc", "tolls", DATABASE_URL="postgresql+psycopg://nobody@127.0.0.1:9/none")

    assert ended.returncode == 1
    assert "PostgreSQL does not answer" in ended.stderr


def test_a_file_is_masked_line_by_line(run, tmp_path):
    given = {"id": 1, "text": "홍길동의 주민등록번호는 123456-1234567입니다."}
    (tmp_path / "in.jsonl").write_text(json.dumps(given, ensure_ascii=False) + "\n", encoding="utf-8")

    told = as_json(run("mask", "--in", str(tmp_path / "in.jsonl"), "--out", str(tmp_path / "out.jsonl"), "--json"))

    written = json.loads((tmp_path / "out.jsonl").read_text("utf-8"))
    assert told["rows"] == 1
    assert written | given == written
    assert written["masked"] == "[이름]의 주민등록번호는 [주민등록번호]입니다."
    assert [span["type"] for span in written["spans"]] == ["PERSON", "KR_RRN"]


@pytest.mark.slow
def test_a_merge_is_registered_with_its_parents(services):
    name_dir = services.settings.datasets_dir / "versions" / "tolls"
    base = commit(name_dir, [row("a"), row("b", split=Split.TEST)])
    create_branch(name_dir, "trial", base.commit)
    ours = commit(name_dir, [row("a"), row("b", split=Split.TEST), row("c")])
    theirs = commit(name_dir, [row("a"), row("b", split=Split.TEST), row("d")], "trial")
    with services.unit_of_work() as uow:
        parents = [register_version(name_dir / made.short, uow).dataset_id for made in (base, ours, theirs)][1:]

    merged, version = merge_versions("tolls", "main", "trial", services)
    again, same = merge_versions("tolls", "main", "trial", services)

    assert (merged.added, version.total_samples, version.version) == (1, 4, "v1.3")
    assert again.already_merged
    assert same == version
    with services.unit_of_work() as uow:
        assert uow.datasets.parents(version.dataset_id) == parents
    assert (Path(version.file_path) / "statistics.json").is_file()
    newest = list_datasets(services)[0].newest
    assert newest is not None
    assert newest.version == "v1.3"


@pytest.mark.slow
def test_a_registered_version_is_named_by_its_number_and_kept_until_it_is_archived(services):
    name_dir = services.settings.datasets_dir / "versions" / "tolls"
    base = commit(name_dir, rows(range(20)))
    create_branch(name_dir, "trial", base.commit)
    lost = commit(name_dir, rows(range(30)), "trial")
    with services.unit_of_work() as uow:
        for made in (base, lost):
            register_version(name_dir / made.short, uow)
    variables = {
        "DATA_DIR": str(services.settings.data_dir),
        "DATABASE_URL": services.settings.resolved_database_url,
    }

    def command(*arguments):
        return as_json(tuneway("dataset", *arguments, "--json", **variables))

    assert command("log", "tolls@v1.1")[0]["commit"] == lost.commit
    command("branch", "tolls", "trial", "--delete")
    assert command("gc", "tolls", "--dry-run")["commits"] == []
    assert command("archive", "tolls@v1.1")["version"] == "v1.1"
    # lately lost: kept for two weeks
    assert command("gc", "tolls")["kept_commits"] == 2


@pytest.mark.slow
def test_a_version_is_cut_again_in_other_ratios(services):
    name_dir = services.settings.datasets_dir / "versions" / "tolls"
    commit(name_dir, rows(range(200)))
    variables = {
        "DATA_DIR": str(services.settings.data_dir),
        "DATABASE_URL": services.settings.resolved_database_url,
    }

    told = as_json(tuneway("dataset", "split", "tolls", "--train", "0.5", "--val", "0.25", "--json", **variables))

    assert told["version"]["total_samples"] == 200
    assert abs(told["version"]["train_samples"] - 100) < 30
    assert told["report"]["sides"]["test"]["wanted"] == 0.25


@pytest.mark.slow
def test_a_file_becomes_two_versions_on_two_branches_that_are_merged(services):
    """The whole way, with the real preparation."""
    inbox = services.settings.data_dir / "inbox"
    inbox.mkdir(parents=True)
    subjects = (
        "미납 통행료 분할 납부",
        "휴게소 유실물 인계",
        "포트홀 긴급 복구",
        "하도급 승인 심사",
        "교량 신축이음 보수",
    )
    forms = ("{} 업무는 어느 부서가 담당하나요?", "{} 담당 부서를 알려 주세요.", "{} 건으로 어디에 문의하면 됩니까?")
    lines = [
        json.dumps(
            {"question": form.format(subject), "answer": f"{subject} 담당 부서에서 처리합니다."}, ensure_ascii=False
        )
        for subject in subjects
        for form in forms
    ]
    variables = {"DATA_DIR": str(services.settings.data_dir), "DATABASE_URL": services.settings.resolved_database_url}

    def command(*arguments):
        return as_json(tuneway("dataset", *arguments, "--json", MIN_FREE_DISK_GB="0.1", **variables))

    def prepare(name, count, *options):
        (inbox / name).write_text("\n".join(lines[:count]) + "\n", encoding="utf-8")
        imported = command("import", "tolls", str(inbox / name))
        return command(
            "prepare", imported["import_id"], "--train", "0.8", "--val", "0.1", "--unit", "question", *options
        )

    first = prepare("rows.jsonl", 12)
    prepare("more.jsonl", 15, "--branch", "more")
    difference = command("diff", "tolls@main", "tolls@more")
    merged = command("merge", "tolls", "more")

    assert first["total_samples"] == 12
    assert (difference["added"], difference["removed"], difference["changed"]) == (3, 0, 0)
    assert merged["merge"]["added"] == 3
    assert merged["version"]["total_samples"] == 15
    assert command("verify", "tolls")["damaged"] == []
    assert command("stats", "tolls")["rows"] == 15
    assert Path(command("report", "tolls")["path"]).is_file()


@pytest.mark.parametrize("place", ["folder", "file/report.html"])
def test_a_place_that_cannot_be_written_is_refused_in_four_parts(run, name_dir, tmp_path, place):
    manifest = commit(name_dir, rows(range(10)))
    (name_dir / manifest.commit[:12] / "report.html").write_text("<html>", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "texts.jsonl").write_text('{"text": "가"}', encoding="utf-8")
    target = str(tmp_path / place)

    for ended in (
        run("report", "tolls", "--out", target),
        run("mask", "--in", str(tmp_path / "texts.jsonl"), "--out", target),
        run("export", "tolls", f"{target}/x" if place.startswith("file") else f"{tmp_path}/file/x"),
    ):
        assert ended.returncode == 2
        assert "Value: " in ended.stderr
        assert "What to do: " in ended.stderr


def test_a_report_goes_into_a_new_folder(run, name_dir, tmp_path):
    manifest = commit(name_dir, rows(range(10)))
    (name_dir / manifest.commit[:12] / "statistics.json").write_text(json.dumps(STATISTICS), encoding="utf-8")

    told = as_json(run("report", "tolls", "--out", str(tmp_path / "a" / "b.html"), "--json"))

    assert "통행료는" in Path(told["path"]).read_text(encoding="utf-8")


def test_a_value_out_of_range_is_told_with_its_range(run):
    ended = run("prepare", "tolls-1", "--name", "tolls", "--min-quality", "2")

    assert ended.returncode == 2
    assert "Allowed: min_quality_score: less than or equal to 1" in ended.stderr
