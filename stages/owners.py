"""Whose the things are that a stage makes: the account of whoever started the run, and of a model, whoever had it trained."""

from contracts.access import ResourceKind
from contracts.errors import NotFoundError
from database.unit_of_work import UnitOfWork
from stages.services import Services


def claim_for_starter(
    kind: ResourceKind, row_id: int, services: Services, uow: UnitOfWork, *, job_id: int | None = None
) -> None:
    """Name the thing's owner, where nobody is named yet and one is known; else it stays of nobody in particular.

    `job_id`: the job that the thing comes of, whose owner counts before the one who started the run: of a job that the
    admin API created, the run is started by the platform's own user.
    """
    owner = "" if job_id is None else _owner_of_job(job_id, uow)
    found = uow.users.credentials(owner or services.started_by) if owner or services.started_by else None
    if found is not None:
        uow.ownership.claim(kind, row_id, found.account.user_id)


def _owner_of_job(job_id: int, uow: UnitOfWork) -> str:
    try:
        return uow.ownership.of(ResourceKind.JOB, job_id).owner
    except NotFoundError:
        return ""
