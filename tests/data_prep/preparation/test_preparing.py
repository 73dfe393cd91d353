"""From an import to a version: the same whatever the chunks and workers, and after a kill."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from contracts.data_policy import DataPolicy, MaskingPolicy
from contracts.enums import MaskingAction, PersonalDataKind, Split
from data_prep.preparation.deciding import unique_keys
from data_prep.statistics.clusters import DuplicateClusters
from data_prep.statistics.report import without_examples
from data_prep.versions.reading import read_sides, read_version_rows
from tests.conftest import REPOSITORY_ROOT
from tests.data_prep.preparation.conftest import line, many_lines


def rows_of(folder: Path):
    return [prepared for split in Split for prepared in read_version_rows(folder, split)]


def lines_of(path: Path):
    return [json.loads(text) for text in path.read_text(encoding="utf-8").splitlines()]


def test_flaws_are_removed_copies_too_and_personal_data_is_masked(import_lines, prepare):
    folder, manifest = prepare(import_lines(many_lines(), 10_000))

    assert manifest.removed == {"exact_duplicate": 2, "too_short": 1}
    assert manifest.masked == {"이름": 1, "전화번호": 1}
    assert manifest.total_samples == 73
    assert [step.step for step in manifest.steps] == [
        "normalise",
        "quality",
        "mask_personal_data",
        "leakage",
        "exact_duplicates",
        "near_duplicates",
    ]
    assert manifest.steps[-1].rows_out == 73
    removed = {one["row"]: one for one in lines_of(folder / "removed.jsonl")}
    assert removed["rows.jsonl:21"]["detail"] == "same as rows.jsonl:4"
    assert "홍길동" not in "".join(path.read_text("utf-8") for path in folder.glob("*.json*"))


def test_masking_is_reported_with_counts_and_examples_that_hold_no_value(import_lines, prepare):
    lines = [
        line("담당자가 누구인가요?", "담당자 홍길동에게 010-1234-5678로 연락하십시오.", category="안내"),
        line("전자우편은 무엇인가요?", "gildong@example.kr 주소로 담당자 김영희에게 보내 주십시오.", category="안내"),
        line("통행료는 어떻게 정하나요?", "통행료는 차종과 거리에 따라 정해집니다.", category="안내"),
    ]
    policy = DataPolicy(
        masking=MaskingPolicy(
            actions={PersonalDataKind.EMAIL: MaskingAction.KEEP, PersonalDataKind.NAME: MaskingAction.PSEUDONYMISE},
            keep_reasons={PersonalDataKind.EMAIL: "공개된 대표 주소"},
        )
    )

    folder, _ = prepare(import_lines(lines, 2), policy=policy, key=b"k" * 16)

    told = json.loads((folder / "statistics.json").read_text("utf-8"))["masking"]
    assert {name: told[name] for name in ("rows", "masked_rows", "dropped_rows")} == {
        "rows": 3,
        "masked_rows": 2,
        "dropped_rows": 0,
    }
    assert told["replaced"] == {"이름": 2, "전화번호": 1}
    assert told["kept"] == {"이메일": 1}
    # the second row's surroundings would show the address that the policy keeps
    assert [len(examples) for examples in told["examples"].values()] == [1, 1]
    assert "담당자 [이름-" in told["examples"]["이름"][0]
    assert not any(value in json.dumps(told, ensure_ascii=False) for value in ("홍길동", "1234", "gildong", "김영희"))


def test_a_cluster_says_which_row_was_kept_and_why(import_lines, prepare):
    answer = "영업소에 신청하시면 3일 안에 확인하여 환불해 드립니다."
    lines = [
        line("환불은 어디에 신청하나요?", answer, quality_score=0.8),
        line("환불은 어디에 신청하나요?", answer, quality_score=0.95),
        line("등록은 어디에서 하나요?", "가까운 영업소나 누리집에서 등록하실 수 있습니다."),
        line("등록은 어디에서 하나요?", "가까운 영업소나 누리집에서 등록하실 수 있습니다."),
    ]

    folder, _ = prepare(import_lines(lines, 3))

    clusters = json.loads((folder / "statistics.json").read_text("utf-8"))["duplicates"]["largest"]
    assert [(one["kept"], one["kept_for"]) for one in clusters] == [
        ("rows.jsonl:2", "quality_best"),
        ("rows.jsonl:3", "source_order"),
    ]


def test_a_cluster_shows_its_rows_masked_and_how_many_there_are_of_a_size(import_lines, prepare):
    answer = "담당자 홍길동에게 010-1234-5678로 연락하시면 3일 안에 확인하여 환불해 드립니다."
    lines = [line("환불은 어디에 신청하나요?", answer)] * 8
    lines += [line("등록은 어디에서 하나요?", "가까운 영업소나 누리집에서 등록하실 수 있습니다.")] * 2

    folder, _ = prepare(import_lines(lines, 4))

    statistics = json.loads((folder / "statistics.json").read_text("utf-8"))
    told = DuplicateClusters.model_validate(statistics["duplicates"])
    assert (told.clusters, told.rows_removed, told.rows_compared) == (2, 8, 10)
    assert told.sizes == {"2": 1, "5–9": 1}
    first = told.largest[0].texts
    assert [text.row for text in first] == [f"rows.jsonl:{number}" for number in range(1, 7)]
    assert {text.similarity for text in first} == {1.0}
    assert all("[이름]" in text.answer and "1234" not in text.answer for text in first)
    assert "환불은" not in json.dumps(without_examples(statistics)["duplicates"], ensure_ascii=False)


def test_statistics_say_whom_the_rows_speak_of(import_lines, prepare):
    lines = [
        line("누가 안내하나요?", "여성 직원과 남성 직원이 함께 안내해 드립니다.", category="안내"),
        line("통행료는 어떻게 정하나요?", "통행료는 차종과 거리에 따라 정해집니다.", category="안내"),
    ]

    folder, _ = prepare(import_lines(lines, 10))

    told = json.loads((folder / "statistics.json").read_text("utf-8"))["bias"]
    assert (told["rows"], told["rows_with_groups"]) == (2, 1)
    assert [group["group"] for group in told["attributes"][0]["groups"]] == ["female", "male"]
    assert "여성" in (folder / "report.html").read_text("utf-8")


def test_the_version_is_the_same_in_any_chunks_and_with_any_workers(import_lines, prepare):
    whole = prepare(import_lines(many_lines(), 10_000), "whole")[1]
    cut = prepare(import_lines(many_lines(), 7), "cut", workers=3)[1]

    assert cut.content_hash == whole.content_hash
    assert cut.steps == whole.steps
    assert cut.commit == whole.commit


def test_no_document_is_on_two_sides_unless_questions_are_the_unit(import_lines, prepare):
    imported = import_lines(many_lines(), 10_000)

    def divided(folder: Path) -> int:
        sides: dict[str, set[Split]] = {}
        for one in rows_of(folder):
            sides.setdefault(one.row.source, set()).add(one.split)
        return sum(len(found) > 1 for source, found in sides.items() if source)

    assert divided(prepare(imported, "documents")[0]) == 0
    assert divided(prepare(imported, "questions", split_unit="question")[0]) > 0


def test_a_row_keeps_its_side_and_its_key_when_the_dataset_grows(import_lines, prepare):
    first = prepare(import_lines(many_lines(), 10_000))[0]
    grown = [line("새로 생긴 규정인가요?", "그렇습니다. 올해부터 시행합니다.", source="새 규정.md"), *many_lines()]
    second, manifest = prepare(import_lines(grown, 10_000, "grown"))

    before, after = read_sides(first), read_sides(second)
    assert len(after) == len(before) + 1
    assert {key: after[key] for key in before} == before
    assert len(manifest.parents) == 1


def test_a_kind_that_drops_rows_takes_them_out(import_lines, prepare):
    policy = DataPolicy(masking=MaskingPolicy(actions={PersonalDataKind.PHONE_NUMBER: MaskingAction.DROP_ROW}))

    manifest = prepare(import_lines(many_lines(), 10_000), policy=policy)[1]

    assert manifest.removed["personal_data"] == 1
    assert manifest.masked == {}


def test_a_pseudonym_is_the_same_in_every_row_and_another_with_another_key(import_lines, prepare):
    policy = DataPolicy(masking=MaskingPolicy(actions={PersonalDataKind.PHONE_NUMBER: MaskingAction.PSEUDONYMISE}))
    lines = [
        line("연락처가 어떻게 되나요?", "휴대전화 010-1234-5678로 연락하시면 됩니다."),
        line("어디로 전화합니까?", "밤에도 010-1234-5678로 전화하시면 안내해 드립니다."),
    ]
    imported = import_lines(lines, 1)

    def answers(folder: str, key: bytes) -> list[str]:
        return sorted(
            one.row.answer for one in rows_of(prepare(imported, folder, policy=policy, key=key, workers=2)[0])
        )

    one, two = answers("one", b"1" * 32), answers("two", b"2" * 32)
    pseudonyms = {text[text.index("[") : text.index("]") + 1] for text in one}
    assert len(pseudonyms) == 1
    assert pseudonyms != {"[전화번호]"}
    assert one != two


def test_rows_with_one_id_get_keys_of_their_own():
    keys = unique_keys(["a", "b", "a", "a"])

    assert keys[:2] == ["a", "b"]
    assert len(set(keys)) == 4


KILLED = """
import os, signal, sys
from pathlib import Path
from contracts.data_policy import DataPolicy
from contracts.datasets import PrepareRequest
from data_prep.imports.importing import load_import
from data_prep.preparation import cleaning
from data_prep.preparation.preparing import Preparation, prepare_version
from data_prep.versions.manifest import request_key

imports, import_id, target, moment = sys.argv[1:]
imported = load_import(Path(imports), import_id)
request = PrepareRequest(
    import_id=import_id, dataset_name="demo", train_ratio=0.8, val_ratio=0.1, test_ratio=0.1)
policy = DataPolicy()
chunks = 0

def tell(what, done, total):
    global chunks
    chunks += what.startswith("cleaning")
    if (moment == "cleaning" and chunks == 4) or (moment != "cleaning" and what.startswith(moment)):
        os.kill(os.getpid(), signal.SIGKILL)

prepare_version(Preparation(imported=imported, request=request, policy=policy, workers=1,
    request_key=request_key(request, imported, {}, policy)), Path(target), tell)
"""


@pytest.mark.slow
@pytest.mark.parametrize("moment", [pytest.param("cleaning", marks=pytest.mark.deep), "writing the version"])
def test_a_killed_preparation_goes_on_and_gives_the_same_version(import_lines, prepare, tmp_path, moment):
    imported = import_lines(many_lines(), 10)
    expected = prepare(imported, "undisturbed")[1]
    target = tmp_path / "killed" / "demo"
    arguments = [str(Path(imported.rows_path).parents[1]), imported.import_id, str(target), moment]

    killed = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments],
        cwd=REPOSITORY_ROOT,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY_ROOT)},
        check=False,
    )

    assert killed.returncode == -signal.SIGKILL
    work = next(target.glob("*.work"))
    done = {path: path.stat().st_mtime_ns for path in work.glob("chunk-*/done.json")}
    assert len(done) == (3 if moment == "cleaning" else 8)
    assert not list(target.glob("[0-9a-f]*"))
    manifest = prepare(imported, "killed")[1]
    assert manifest.commit == expected.commit
    assert not work.exists()
