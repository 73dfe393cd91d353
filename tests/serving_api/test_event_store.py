"""What users said is in the database sealed, and is found again by whoever may read it."""

from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from contracts.enums import Arm
from contracts.errors import DamagedFileError, KeyUnavailableError
from contracts.experiments import StartABTestRequest
from serving_api.event_log import EventLog
from serving_api.event_mover import EventMover
from serving_api.event_store import event_store
from settings import Settings
from settings.encryption import TRAFFIC_SCOPE, use_encryption
from stages.services import Services

QUESTION, ANSWER, COMMENT = "홍길동 010-1234-5678 의 통행료는?", "800원입니다.", "친절합니다"


def services_with(tmp_path: Path, database_url: str, **changes: str) -> Services:
    return Services(Settings.model_validate({"data_dir": tmp_path, "database_url": database_url, **changes}))


def start_experiment(services: Services) -> int:
    with services.unit_of_work() as uow:
        models = [uow.models.ensure_base(f"base-{arm}", f"/models/base-{arm}", 0.1, f"{arm}" * 64) for arm in Arm]
        return uow.experiments.start(
            StartABTestRequest(experiment_name="t", model_a_id=models[0].model_id, model_b_id=models[1].model_id)
        ).experiment_id


def answer(request_id: str, experiment_id: int | None, model_id: int | None) -> dict[str, Any]:
    body = orjson.dumps({"choices": [{"message": {"content": ANSWER}}]}).decode()
    return {
        "kind": "answer",
        "request_id": request_id,
        "experiment_id": experiment_id,
        "user_key": "u",
        "session_id": None,
        "variant": "a",
        "assigned_variant": "a",
        "model_id": model_id,
        "query": QUESTION,
        "body": body,
        "is_stream": False,
        "response_time_ms": 10,
    }


def rating(request_id: str, value: int) -> dict[str, Any]:
    return {"kind": "rating", "request_id": request_id, "rating": value, "comment": COMMENT}


def stored(services: Services) -> list[dict[str, Any]]:
    names = "request_id, query, response, user_feedback"
    with services.unit_of_work() as uow:
        rows = uow.session.execute(text(f"SELECT {names} FROM ab_test_logs ORDER BY id")).mappings()
        return [dict(row) for row in rows]


@pytest.mark.parametrize(
    ("policy", "question"),
    [
        ("encrypted", QUESTION),
        pytest.param("masked", "홍길동 [전화번호] 의 통행료는?", marks=pytest.mark.slow),
        ("none", ""),
    ],
)
def test_texts_are_sealed_under_the_policy_and_equal_ones_are_found_equal(
    tmp_path: Path, database_url: str, policy: str, question: str
) -> None:
    services = services_with(tmp_path, database_url, recorded_text=policy)
    experiment = start_experiment(services)
    with services.unit_of_work() as uow:
        model_id = uow.experiments.get(experiment).model_a_id
    events = [answer("r1", experiment, model_id), answer("r2", experiment, model_id), rating("r1", 5), rating("r2", 4)]
    event_store(services)([events])
    first, second = stored(services)
    raw = f"{first}{second}"
    assert not any(secret in raw for secret in ("통행료", "010-1234", "800원", "친절"))
    opened = services.recorded_text.opened
    found = opened("query", "r1", first["query"])
    assert found.replace("[이름]", "홍길동") == question
    with services.unit_of_work() as uow:
        rated = uow.experiments.rated_answers(experiment, opened)
    if policy == "none":
        assert (first["query"], first["response"], first["user_feedback"], rated) == ("", "", "", [])
        return
    assert opened("user_feedback", "r1", first["user_feedback"]) == COMMENT
    (one,) = rated
    assert (one.question, one.answer, one.mean_rating, one.ratings) == (found, ANSWER, 4.5, 2)
    # moved to another row or column it does not open
    for column, request_id in (("query", "r2"), ("response", "r1")):
        with pytest.raises(DamagedFileError):
            opened(column, request_id, first["query"])
    use_encryption(services.settings).keyring.erase(TRAFFIC_SCOPE)
    with pytest.raises(KeyUnavailableError, match="erased"):
        opened("query", "r1", first["query"])


def test_rows_of_before_and_without_encryption_are_read_as_they_are(tmp_path: Path, database_url: str) -> None:
    services = services_with(tmp_path, database_url, encryption="off")
    event_store(services)([[answer("r1", None, None)]])
    (row,) = stored(services)
    assert row["query"] == QUESTION
    again = services_with(tmp_path / "on", database_url)
    assert again.recorded_text.opened("query", "r1", row["query"]) == QUESTION


def test_the_journal_on_the_disk_is_sealed_and_moved_after_a_kill(tmp_path: Path, database_url: str) -> None:
    services = services_with(tmp_path, database_url)
    folder = tmp_path / "events"
    killed = EventLog(folder, services.recorded_text)
    killed.append_all([answer("r1", None, None), answer("r2", None, None)])
    killed.append_durably(answer("r3", None, None))
    killed.close()
    (segment,) = folder.glob("*.jsonl")
    written = segment.read_bytes()
    assert "통행료".encode() not in written
    assert b"010-1234" not in written
    # a kill cut the first piece and the last one
    segment.write_bytes(written[:200] + written + written[:200])
    older = services.recorded_text._cipher.seal(orjson.dumps(answer("r0", None, None)) + b"\n", "events")
    (folder / "00000000000000000001.jsonl").write_text(f"{older}\ntw1:a line that a kill cut", encoding="ascii")
    mover = EventMover(folder, event_store(services), services.recorded_text)
    mover.start()
    mover.close()
    assert [row["request_id"] for row in stored(services)] == ["r0", "r1", "r2", "r3"]
    refused = [piece.content for piece in services.recorded_text.opened_events((folder / "refused.jsonl").read_bytes())]
    assert [b"cut off in the middle" in line for line in refused] == [True] * 3


@pytest.mark.parametrize("field", ["query", "body"])
def test_an_answer_without_a_text_is_set_aside_and_holds_up_no_other(
    tmp_path: Path, database_url: str, field: str
) -> None:
    services = services_with(tmp_path, database_url)
    folder = tmp_path / "events"
    killed = EventLog(folder, services.recorded_text)
    killed.append_all([answer("r1", None, None), answer("r2", None, None) | {field: None}, answer("r3", None, None)])
    killed.close()
    mover = EventMover(folder, event_store(services), services.recorded_text)
    mover.start()
    mover.close()
    assert [row["request_id"] for row in stored(services)] == ["r1", "r3"]
    (refused,) = services.recorded_text.opened_events((folder / "refused.jsonl").read_bytes())
    assert orjson.loads(refused.content)["event"]["request_id"] == "r2"
