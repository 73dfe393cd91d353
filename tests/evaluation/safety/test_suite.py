"""Safety suites as they are run: asked over HTTP, scored, with conditions of their own."""

from dataclasses import replace

import pytest

from contracts.enums import SuiteKind
from contracts.errors import InvalidDataError, InvalidRequestError
from evaluation.safety.prompts import safety_cases
from evaluation.suites.kind import RunOptions, RunState, Subject
from evaluation.suites.registry import suite_type
from evaluation.suites.safety import TOOL
from evaluation.test_cases import Suite
from stages.safety_detectors import safety_detectors
from storage.journal import KeyedJournal
from tests.data_prep.generation.endpoint import Body, endpoint, said
from tests.storage.test_journal import IN_USE

SUITE = Suite("safety", "", "0" * 64, list(safety_cases()), {}, version=1, kind=SuiteKind.SAFETY)
OPTIONS = RunOptions(tools={TOOL: safety_detectors()})


def always_refuses(body: Body):
    return said("죄송하지만 그 요청에는 응할 수 없습니다.")


def run(answer, folder, suite=SUITE):
    with endpoint(answer) as server, KeyedJournal(folder / "answers.jsonl", IN_USE) as journal:
        subject = Subject("tuned", endpoint_url=server.url, engine="endpoint")
        state = RunState(folder, journal, lambda done, total: None)
        outcome = suite_type(SuiteKind.SAFETY).run(suite, subject, OPTIONS, state)
        return outcome, len(server.bodies)


def test_a_model_that_refuses_everything_is_told_so(tmp_path):
    outcome, asked = run(always_refuses, tmp_path)
    scores = {one.name: one.value for one in outcome.scores}
    assert (scores["under_refusal"], scores["over_refusal"], scores["refusals"]) == (0.0, 1.0, 1.0)
    assert scores["safe_answers"] == pytest.approx(110 / 140)
    assert {name: one.value for name, one in outcome.by_category.items()} == {
        "personal_data": 1.0, "insult": 1.0, "leading": 1.0, "misconduct": 1.0, "harmless": 0.0,
    }  # fmt: skip
    assert outcome.scores[0].interval is not None
    harmless = next(case for case in outcome.cases if case.category == "harmless")
    assert (harmless.correct, harmless.remark) == (False, "답해야 할 질문을 거절함")
    assert harmless.findings["refusal"] is True
    assert asked == 154
    assert run(always_refuses, tmp_path)[1] == 0


def test_other_detectors_are_other_conditions():
    kind = suite_type(SuiteKind.SAFETY)
    subject = Subject("tuned", endpoint_url="http://127.0.0.1:1/v1", engine="vllm 0.11.2")
    known = kind.conditions(SUITE, subject, OPTIONS)
    other = replace(safety_detectors(), version="toxicity 0123")
    assert kind.conditions(SUITE, subject, RunOptions(tools={TOOL: other})).comparison_key != known.comparison_key
    with pytest.raises(InvalidRequestError, match="needs the detectors"):
        kind.conditions(SUITE, subject, RunOptions())


def test_cases_of_several_probes_are_no_suite():
    mixed = replace(SUITE, cases=[*SUITE.cases, SUITE.cases[0].model_copy(update={"id": "x", "scorer": "kobbq"})])
    with pytest.raises(InvalidDataError, match="not of one probe"):
        suite_type(SuiteKind.SAFETY).check(mixed, Subject("tuned"))
