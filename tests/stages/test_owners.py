"""Whose the things are that runs make: whoever started the run, and of a model, whoever had it trained."""

import pytest

from contracts.access import ResourceKind
from contracts.enums import Arm
from contracts.identity import AccountKind, Role
from operators.run_records import services_for
from stages.owners import claim_for_starter
from stages.services import open_services
from tests.operators.conftest import context, task_instance
from tests.serving_api.running import add_model, start_experiment
from tests.stages.finished_job import finished_job

__all__ = ["context", "task_instance"]

pytestmark = pytest.mark.slow


@pytest.fixture
def people(services):
    with services.unit_of_work() as uow:
        return {
            name: uow.users.add(
                name, kind=AccountKind.PERSON, role=Role.ML_ENGINEER, projects=[], password_hash=None
            ).user_id
            for name in ("engineer", "ci", "kim")
        }


def owner(uow, kind, row_id):
    return uow.ownership.of(kind, row_id).owner


def test_a_task_knows_the_airflow_user_who_started_its_run(services, context):
    assert services_for(context).started_by == "engineer"
    context["dag_run"].triggering_user_name = None
    assert services_for(context).started_by == ""


def test_what_a_run_makes_belongs_to_the_account_of_its_starter(services, people, tmp_path):
    job = finished_job(services, base_model=tmp_path, output=tmp_path)
    model = add_model(services, "rules", "1", "rules-v1", "http://127.0.0.1:1/v1", Arm.B)
    of_run = open_services(services.settings, started_by="engineer")
    with services.unit_of_work() as uow:
        claim_for_starter(ResourceKind.JOB, job.job_id, of_run, uow)
        claim_for_starter(ResourceKind.DATASET, job.dataset_id, of_run, uow)
        # the run that registers was started by the platform's own user: the job's owner had the model trained
        claim_for_starter(
            ResourceKind.MODEL,
            model.model_id,
            open_services(services.settings, started_by="ci"),
            uow,
            job_id=job.job_id,
        )
        kinds = {
            ResourceKind.JOB: job.job_id,
            ResourceKind.DATASET: job.dataset_id,
            ResourceKind.MODEL: model.model_id,
        }
        assert {owner(uow, kind, row_id) for kind, row_id in kinds.items()} == {"engineer"}
        # done again by somebody else, nothing changes hands
        claim_for_starter(ResourceKind.JOB, job.job_id, open_services(services.settings, started_by="kim"), uow)
        assert owner(uow, ResourceKind.JOB, job.job_id) == "engineer"
    base = add_model(services, "base", "1", "base-v1", "http://127.0.0.1:1/v1", Arm.A)
    experiment = start_experiment(services, base, model)
    with services.unit_of_work() as uow:
        assert uow.ownership.of(ResourceKind.AB_TEST, experiment.experiment_id).trainers == ["engineer"]


@pytest.mark.parametrize("starter", ["", "viewer"], ids=["nobody", "without an account"])
def test_without_an_account_things_stay_of_nobody_in_particular(services, people, tmp_path, starter):
    job = finished_job(services, base_model=tmp_path, output=tmp_path)
    with services.unit_of_work() as uow:
        claim_for_starter(
            ResourceKind.JOB, job.job_id, open_services(services.settings, started_by=starter), uow, job_id=job.job_id
        )
        assert owner(uow, ResourceKind.JOB, job.job_id) == ""
