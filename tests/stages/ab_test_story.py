"""An A/B test between two judged versions on a real PostgreSQL, and users who rate."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select

from contracts.enums import AnswerStatus, Arm, ExperimentPolicy, ServerBackend
from contracts.experiments import ABExperiment, StartABTestRequest, TrafficSplit
from contracts.models import ArmEndpoint, ModelVersion
from contracts.promotions import PromoteRequest
from database.models import ABTestLog, ABTestResult, AuditLog
from stages.promote import promote
from stages.services import Services
from stages.start_ab_test import start_ab_test
from tests.stages.test_promote import version_of


def deployed_pair(
    services: Services,
    folder: Path,
    passed: float | None = 0.9,
    urls: tuple[str, str] = ("http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1"),
    backend: ServerBackend = ServerBackend.EMBEDDED,
) -> tuple[ModelVersion, ModelVersion]:
    """A in production, B in staging, judged against a bar of `passed`; both are deployed."""
    a = version_of(services, folder, "job-a")
    b = version_of(services, folder, "job-b", decided=passed)
    promote(PromoteRequest(model_id=a.model_id, actor="kim", reason="first"), services)
    with services.unit_of_work() as uow:
        for arm, version, url in ((Arm.A, a, urls[0]), (Arm.B, b, urls[1])):
            uow.models.set_deployment(
                version.model_id,
                ArmEndpoint(
                    arm=arm,
                    model_id=version.model_id,
                    model_name=version.model_name,
                    version=version.version,
                    served_model_name=f"assistant-{arm.value}",
                    base_url=url,
                    backend=backend,
                ),
            )
    return a, b


def running_test(services: Services, a: ModelVersion, b: ModelVersion, **changes) -> ABExperiment:
    """Half of the users each."""
    return start_ab_test(
        StartABTestRequest(
            model_a_id=a.model_id,
            model_b_id=b.model_id,
            traffic_split=TrafficSplit(),
            **{"experiment_name": "spring", "target_samples": None, **changes},
        ),
        services,
    )


NOWHERE = "http://127.0.0.1:1/v1"


def deployed_three(
    services: Services, folder: Path, urls: Sequence[str] = (NOWHERE, NOWHERE, NOWHERE)
) -> list[ModelVersion]:
    """A in production, b and c in staging, judged; all are deployed."""
    versions = [version_of(services, folder, f"job-{arm}") for arm in "abc"]
    promote(PromoteRequest(model_id=versions[0].model_id, actor="kim", reason="first"), services)
    with services.unit_of_work() as uow:
        for side, version, url in zip((Arm.A, Arm.B, Arm.B), versions, urls, strict=True):
            uow.models.set_deployment(
                version.model_id,
                ArmEndpoint(
                    arm=side,
                    model_id=version.model_id,
                    model_name=version.model_name,
                    version=version.version,
                    served_model_name=f"assistant-{version.version}",
                    base_url=url,
                    backend=ServerBackend.EMBEDDED,
                ),
            )
    return versions


def running_test_of_three(services: Services, versions: Sequence[ModelVersion], **changes) -> ABExperiment:
    """A third of the users each, to a, b and c."""
    arms = [
        {"name": name, "model_id": version.model_id, "share": 1} for name, version in zip("abc", versions, strict=True)
    ]
    given = {"experiment_name": "spring", "target_samples": None, "policy": ExperimentPolicy.AUTO, **changes}
    return start_ab_test(StartABTestRequest.model_validate({"arms": arms, **given}), services)


def rated(
    services: Services,
    experiment: ABExperiment,
    arm: str,
    ratings: Sequence[int],
    *,
    milliseconds: int = 100,
    failed: int = 0,
) -> None:
    """One user a rating; answer times differ a little. Then one a failed question."""
    model_id = experiment.arm(arm).model_id
    with services.unit_of_work() as uow:
        known = len(uow.session.execute(select(ABTestLog.id)).all())
        rows: list[dict[str, Any]] = [
            {
                "experiment_id": experiment.experiment_id,
                "variant": str(arm),
                "assigned_variant": str(arm),
                "model_id": model_id,
                "user_key": f"user-{known + number}",
                "request_id": f"request-{known + number}",
                "response_time_ms": milliseconds + number % 7,
                "user_rating": rating,
                "status": AnswerStatus.COMPLETE.value,
            }
            for number, rating in enumerate(ratings)
        ]
        rows += [
            {
                "experiment_id": experiment.experiment_id,
                "variant": None,
                "assigned_variant": str(arm),
                "model_id": model_id,
                "user_key": f"failed-{arm}-{number}",
                "request_id": f"failed-{arm}-{number}",
                "response_time_ms": 5,
                "user_rating": None,
                "status": AnswerStatus.FAILED.value,
            }
            for number in range(failed)
        ]
        uow.session.execute(insert(ABTestLog), rows)


def audited(services: Services) -> list[str]:
    """What was done to experiments and models, in order."""
    with services.unit_of_work() as uow:
        rows = uow.session.execute(select(AuditLog.action).order_by(AuditLog.id)).scalars()
        return [action for action in rows if action.startswith(("experiment.", "model."))]


def kept_results(services: Services) -> list[tuple[str, bool | None, bool | None]]:
    """Rows of ab_test_results: arm, winner, significant."""
    with services.unit_of_work() as uow:
        rows = uow.session.execute(select(ABTestResult).order_by(ABTestResult.id)).scalars()
        return [(row.variant, row.winner, row.statistical_significance) for row in rows]
