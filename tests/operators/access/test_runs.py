"""What a run is about is asked when it is known: in its first task, and of its approval."""

from dataclasses import replace

import pytest

from contracts.access import ResourceKind
from contracts.enums import Arm
from contracts.errors import ConflictError, ForbiddenError, NotFoundError
from contracts.identity import PLATFORM_USER
from contracts.pipeline import DeployModelRequest
from operators import preflight, requests
from operators.run_records import APPROVE_DEPLOYMENT, VALIDATE_REQUEST, RunRecords
from tests.serving_api.running import add_model


@pytest.fixture
def model_id(manager):
    made = add_model(manager.services, "assistant", "1", "served", "http://127.0.0.1:9/v1", Arm.B).model_id
    with manager.services.unit_of_work() as uow:
        uow.ownership.claim(ResourceKind.MODEL, made, uow.users.get("analyst").user_id)
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    ("starter", "approval_needed", "is_allowed"),
    [
        ("boss", False, True),
        ("analyst", False, False),
        ("engineer", False, False),
        ("engineer", True, True),
        (PLATFORM_USER, False, True),
        ("", False, True),
        ("root", False, True),
    ],
)
def test_a_deployment_without_approval_is_for_who_may_deploy_that_model(
    manager, model_id, starter, approval_needed, is_allowed
):
    request = DeployModelRequest(model_id=model_id, approval_needed=approval_needed)
    services = replace(manager.services, started_by=starter)
    if is_allowed:
        preflight.may_deploy(request, services)
    else:
        with pytest.raises(ForbiddenError):
            preflight.may_deploy(request, services)


@pytest.mark.slow
def test_a_model_that_is_not_there_is_not_found(manager):
    with pytest.raises(NotFoundError):
        preflight.may_deploy(DeployModelRequest(model_id=999), replace(manager.services, started_by="boss"))


@pytest.mark.parametrize("said", [None, {"chosen_options": ["Reject"]}, "approved", {}])
def test_an_approval_that_was_only_marked_as_done_lets_nothing_into_service(said):
    left = {VALIDATE_REQUEST: {"model_id": 4, "approval_needed": True}, APPROVE_DEPLOYMENT: said}
    run = RunRecords("deploy_model", "r", left.get)
    with pytest.raises(ConflictError, match="Nobody has approved"):
        requests.deploy_given_model(run)
    left[APPROVE_DEPLOYMENT] = {"chosen_options": ["Approve"]}
    assert requests.deploy_given_model(run).model_id == 4
    left[APPROVE_DEPLOYMENT], left[VALIDATE_REQUEST] = said, {"model_id": 4, "approval_needed": False}
    assert requests.deploy_given_model(run).model_id == 4
