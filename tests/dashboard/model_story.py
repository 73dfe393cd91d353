"""Two versions of one name: the first in production, the second newer and better, both asked the same suite."""

from dataclasses import dataclass

from contracts.evaluation import TestCase
from stages.services import Services
from tests.stages.lineage_story import add_dataset, add_job, add_result, add_version, conditions

QUESTIONS = [f"{number + 1}번 규정의 보존 기간은?" for number in range(10)]


@dataclass(frozen=True)
class TwoVersions:
    """Their ids."""

    production: int
    candidate: int


def tell_versions(services: Services) -> TwoVersions:
    """Cases 0 to 5 are right in production, 3 to 9 with the candidate: won 4, lost 3, both right 3, both wrong 0."""
    with services.unit_of_work() as uow:
        suite = uow.suites.add(
            "road-rules",
            [
                TestCase(
                    id=f"case-{number:03}", question=question, accepted_answers=["5년", "다섯 해"], category="tolls"
                )
                for number, question in enumerate(QUESTIONS)
            ],
            actor="kim",
        )
        uow.suites.lock(suite.suite_id, actor="kim")
    dataset = add_dataset(services, "a", ["tolls.jsonl"], [])
    jobs = [add_job(services, dataset, f"job-{rank}", lora_rank=rank, epochs=3) for rank in (8, 16)]
    production, candidate = (add_version(services, job, content) for job, content in zip(jobs, "cd", strict=True))
    add_result(services, production, {0, 1, 2, 3, 4, 5})
    add_result(services, candidate, {3, 4, 5, 6, 7, 8, 9}, answer="규정에 따라 5년 <b>입니다</b>")
    add_result(services, candidate, {0, 1}, under=conditions(engine="embedded 1"))
    with services.unit_of_work() as uow:
        uow.promotions.promote(
            production, replaces=None, actor="kim", reason="first", evaluation_id=None, is_override=True
        )
    return TwoVersions(production, candidate)
