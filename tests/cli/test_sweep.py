"""`tuneway sweep` as a person types it, without a platform."""

import json

import pytest

from contracts.enums import SweepMetric
from contracts.sweeps import SweepRequest
from tests.cli.command_line import tuneway
from training.sweeps.study import SweepStudy

REQUEST = {
    "sweep_name": "rates",
    "dataset_id": 1,
    "search_space": {"learning_rate": {"low": 1e-5, "high": 1e-3, "log": True}},
    "trials": 4,
}


@pytest.fixture
def installation(tmp_path, database_url):
    """A sweep of which one trial has ended and one has failed."""
    study = SweepStudy.create(database_url, SweepRequest.model_validate(REQUEST))
    study.complete(study.ask(0).number, {SweepMetric.EVAL_LOSS: 0.25})
    study.fail(study.ask(1).number, "The loss is not a number")
    return {"DATA_DIR": str(tmp_path), "DATABASE_URL": database_url}


@pytest.mark.slow
def test_sweeps_are_shown_for_people_and_for_programs(installation):
    assert "rates" in tuneway("sweep", "list", **installation).stdout
    (listed,) = json.loads(tuneway("sweep", "list", "--json", **installation).stdout)
    assert (listed["sweep_name"], len(listed["trials"]), listed["best"]) == ("rates", 2, [0])
    korean = tuneway("sweep", "show", "rates", **{**installation, "LANGUAGE": "ko"})
    assert "완료 1, 조기 중단 0, 실패 1" in korean.stderr
    assert "eval_loss 0.25" in korean.stdout
    missing = tuneway("sweep", "show", "rate", "--json", **installation)
    assert missing.returncode == 1
    assert json.loads(missing.stdout)["error"]["code"] == "not_found"


@pytest.mark.slow
def test_a_wrong_request_is_refused_in_one_sentence(installation, tmp_path):
    path = tmp_path / "request.yaml"
    path.write_text(
        "sweep_name: rates\ndataset_id: 1\nsearch_space:\n  learning_rate: {low: 1, high: 0.1}\n", encoding="utf-8"
    )
    refused = tuneway("sweep", "start", str(path), "--json", **installation)
    assert refused.returncode == 2
    assert "the range is empty" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert json.loads(refused.stdout)["error"]["code"] == "invalid_request"
