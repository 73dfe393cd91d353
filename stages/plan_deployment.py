"""What a deployment would do, without doing it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from contracts.deployments import DeploymentPlan, PlannedArm
from stages.deploy import arms_of, place_in
from stages.services import Services

if TYPE_CHECKING:
    from contracts.models import DeployRequest
    from database.unit_of_work import UnitOfWork


class _Rehearsal(Services):
    """Services whose transactions are never committed."""

    @contextmanager
    def unit_of_work(self, *, holding: bool = False) -> Iterator[UnitOfWork]:
        with super().unit_of_work(holding=holding) as uow:
            yield uow
            uow.session.rollback()


def plan_deployment(request: DeployRequest, services: Services) -> DeploymentPlan:
    """What `deploy` would do for the request. Raises as that does before it starts anything; changes nothing."""
    from deployment import client
    from deployment.backends import gpu_count
    from deployment.permanent import program_name, read_state, state_path

    rehearsal = _Rehearsal(services.settings)
    arms = arms_of(request, rehearsal)
    planned, missing = [], {}
    for arm, version in arms.items():
        place = place_in(version, arms, request.config, rehearsal)
        url = place.config.base_url
        server = read_state(state_path(services.settings, place.key)) if url is None else None
        if server is not None:
            url = server.endpoint(services.settings).base_url
        elif url is None:
            missing[place.key] = place.config.gpus
        with services.unit_of_work() as uow:
            live = uow.deployments.live(version.model_id)
            certificate = uow.certificates.newest(version.model_id)
        planned.append(
            PlannedArm(
                arm=arm,
                model_name=version.model_name,
                version=version.version,
                served_model_name=place.name,
                server=place.config.base_url or program_name(place.key),
                server_runs=url is not None and client.is_healthy(url),
                state=None if live is None else live.state,
                config=place.config,
                has_certificate=certificate is not None and certificate.certifies(version.content_hash),
            )
        )
    return DeploymentPlan(arms=planned, cards=sum(missing.values()) if gpu_count() else 0)
