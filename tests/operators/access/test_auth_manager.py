"""What each role may do in Airflow, asked of the real policies through Airflow's own questions."""

import pytest
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity, DagDetails
from airflow.api_fastapi.common.types import MenuItem
from fastapi import HTTPException

from contracts.access import ResourceKind
from contracts.audit import AuditFilter
from contracts.enums import Arm
from contracts.identity import PLATFORM_USER
from operators.access.runs import assigned_to
from stages.accounts import set_active
from tests.conftest import REPOSITORY_ROOT
from tests.operators.access.conftest import PASSWORD, PEOPLE
from tests.ports import free_port
from tests.serving_api.running import add_model

pytestmark = pytest.mark.slow

EVERYBODY = {*PEOPLE, PLATFORM_USER}
ENGINEERS = {"boss", "engineer", PLATFORM_USER}
REVIEWERS = {"boss", "analyst"}
TABLE = {
    # (DAG, method, what of it): who
    ("finetune_pipeline", "GET", None): EVERYBODY,
    ("finetune_pipeline", "GET", DagAccessEntity.RUN): EVERYBODY,
    ("finetune_pipeline", "GET", DagAccessEntity.TASK_LOGS): EVERYBODY - {"viewer"},
    ("finetune_pipeline", "GET", DagAccessEntity.XCOM): EVERYBODY - {"viewer"},
    ("finetune_pipeline", "POST", DagAccessEntity.RUN): ENGINEERS,
    ("finetune_pipeline", "PUT", DagAccessEntity.RUN): ENGINEERS,
    ("finetune_pipeline", "PUT", DagAccessEntity.TASK_INSTANCE): ENGINEERS,
    ("finetune_pipeline", "PUT", DagAccessEntity.HITL_DETAIL): REVIEWERS,
    ("finetune_pipeline", "DELETE", DagAccessEntity.RUN): {"boss"},
    ("finetune_pipeline", "POST", DagAccessEntity.XCOM): {"boss"},
    ("finetune_pipeline", "PUT", None): {"boss"},
    ("deploy_model", "POST", DagAccessEntity.RUN): ENGINEERS | {"analyst"},
    ("conclude_ab_test", "POST", DagAccessEntity.RUN): {"boss", "analyst", PLATFORM_USER},
    ("conclude_ab_test", "PUT", DagAccessEntity.TASK_INSTANCE): {"boss", "analyst", PLATFORM_USER},
    ("somebody_elses", "POST", DagAccessEntity.RUN): {"boss", PLATFORM_USER},
    (None, "GET", DagAccessEntity.RUN): EVERYBODY,
    (None, "PUT", DagAccessEntity.TASK_INSTANCE): {"boss", PLATFORM_USER},
}


def allowed(manager, user, dag_id, method, entity=None):
    return manager.is_authorized_dag(
        method=method, user=user, access_entity=entity, details=None if dag_id is None else DagDetails(id=dag_id)
    )


def test_who_may_do_what_with_a_dag(manager, user):
    found = {row: {name for name in EVERYBODY if allowed(manager, user(name), row[0], row[1], row[2])} for row in TABLE}
    assert found == TABLE


def test_every_dag_can_be_triggered_by_somebody_who_administers_nothing(manager, user):
    dags = {path.stem for path in (REPOSITORY_ROOT / "dags").glob("*.py")} - {"__init__"}
    by_engineer, by_analyst = (
        {dag for dag in dags if allowed(manager, user(name), dag, "POST", DagAccessEntity.RUN)}
        for name in ("engineer", "analyst")
    )
    assert by_engineer | by_analyst == dags
    assert manager.filter_authorized_dag_ids(dag_ids=dags, user=user("viewer")) == dags
    assert manager.filter_authorized_dag_ids(dag_ids=dags, user=user("engineer"), method="PUT") == set()


def test_airflow_itself_is_an_administrators(manager, user):
    def who(ask):
        return {name for name in EVERYBODY if ask(user(name))}

    assert who(lambda one: manager.is_authorized_connection(method="GET", user=one)) == {"boss"}
    assert who(lambda one: manager.is_authorized_variable(method="POST", user=one)) == {"boss"}
    assert who(lambda one: manager.is_authorized_configuration(method="GET", user=one)) == {"boss"}
    assert who(lambda one: manager.is_authorized_pool(method="GET", user=one)) == EVERYBODY
    assert who(lambda one: manager.is_authorized_pool(method="PUT", user=one)) == {"boss"}
    assert who(lambda one: manager.is_authorized_asset(method="POST", user=one)) == ENGINEERS
    assert who(lambda one: manager.is_authorized_asset_alias(method="DELETE", user=one)) == {"boss"}
    assert who(lambda one: manager.is_authorized_view(access_view=AccessView.WEBSITE, user=one)) == EVERYBODY
    assert who(lambda one: manager.is_authorized_view(access_view=AccessView.PLUGINS, user=one)) == ENGINEERS
    shown = {name: set(manager.filter_authorized_menu_items(list(MenuItem), user=user(name))) for name in PEOPLE}
    assert shown["boss"] == set(MenuItem)
    assert set(MenuItem) - shown["engineer"] == {MenuItem.CONFIG, MenuItem.CONNECTIONS, MenuItem.VARIABLES}
    assert MenuItem.XCOMS in shown["analyst"] and MenuItem.XCOMS not in shown["viewer"]


def test_a_key_does_no_more_in_airflow_than_its_scopes_say(manager, key):
    from operators.access.users import admit

    by_key = admit("ci", key, manager.services, source="127.0.0.1")
    assert allowed(manager, by_key, "train_model", "POST", DagAccessEntity.RUN)
    assert not allowed(manager, by_key, "train_model", "PUT", DagAccessEntity.TASK_INSTANCE)
    assert not manager.is_authorized_pool(method="GET", user=by_key)


def test_who_had_a_model_trained_does_not_approve_it_here_either(manager, user):
    model_id = add_model(manager.services, "assistant", "1", "served", "http://127.0.0.1:9/v1", Arm.B).model_id
    with manager.services.unit_of_work() as uow:
        uow.ownership.claim(ResourceKind.MODEL, model_id, uow.users.get("analyst").user_id)
    asked = {assigned_to(ResourceKind.MODEL, model_id, "deploy", "reviewer")["id"]}
    assert manager.is_authorized_hitl_task(assigned_users=asked, user=user("boss"))
    for name in ("analyst", "engineer", "viewer", PLATFORM_USER):
        assert not manager.is_authorized_hitl_task(assigned_users=asked, user=user(name)), name
    assert not manager.is_authorized_hitl_task(assigned_users={"model:999:deploy"}, user=user("boss"))
    assert not manager.is_authorized_hitl_task(assigned_users={"somebody"}, user=user("boss"))
    with manager.services.unit_of_work() as uow:
        refused = uow.audit.search(AuditFilter(action="access.refused"), limit=50)
    assert {entry.actor for entry in refused} >= {"analyst", "engineer", "viewer"}


def test_without_a_decision_nothing_is_allowed(manager, user):
    from operators.access.rights import Rights

    manager._rights = Rights(manager.services.settings.model_copy(update={"cerbos_port": free_port()}))
    with pytest.raises(HTTPException) as caught:
        allowed(manager, user("boss"), "train_model", "GET")
    assert caught.value.status_code == 503


def test_an_account_that_is_closed_is_out_at_its_next_request(manager):
    from operators.access.users import admit

    claims = manager.serialize_user(admit("viewer", PASSWORD, manager.services, source="127.0.0.1"))
    assert manager.deserialize_user(claims).get_name() == "viewer"
    set_active("viewer", False, "test", manager.services)
    manager.forget(claims)
    with pytest.raises(ValueError, match="carries no valid"):
        manager.deserialize_user(claims)
    with pytest.raises(ValueError, match="carries no valid"):
        manager.deserialize_user({"sub": "boss", "by": "session"})
