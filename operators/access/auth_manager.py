"""Airflow's auth manager: the platform's accounts log in, and the platform's policies decide (docs/permissions.md).

Airflow asks by DAG, not by run: what a run is about is asked where it is known, in `operators/access/runs.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from airflow.api_fastapi.auth.managers.base_auth_manager import BaseAuthManager
from airflow.api_fastapi.auth.managers.models.resource_details import AccessView, DagAccessEntity
from airflow.api_fastapi.common.types import MenuItem
from fastapi import HTTPException

from contracts.access import Ownership, ResourceKind
from contracts.errors import NotFoundError, TunewayError, UnauthorizedError, UnavailableError
from operators.access.rights import ANY, Rights
from operators.access.users import Admitted, AirflowUser, to_claims
from stages.logins import SESSION_LIFETIME
from stages.permissions import record_refusal
from stages.services import open_services

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from airflow.api_fastapi.auth.managers.models.resource_details import (
        AssetAliasDetails,
        AssetDetails,
        ConfigurationDetails,
        ConnectionDetails,
        DagDetails,
        PoolDetails,
        VariableDetails,
    )
    from fastapi import FastAPI

T = TypeVar("T")

_DAG_ACTIONS = {
    ("POST", DagAccessEntity.RUN): "trigger",
    ("PUT", DagAccessEntity.RUN): "operate",
    ("PUT", DagAccessEntity.TASK_INSTANCE): "operate",
    ("PUT", DagAccessEntity.HITL_DETAIL): "answer",
    ("GET", DagAccessEntity.TASK_LOGS): "read_logs",
    ("GET", DagAccessEntity.XCOM): "read_logs",
    ("GET", DagAccessEntity.AUDIT_LOG): "read_logs",
}
"""Of what is not here, GET reads and everything else changes."""
_OPEN_VIEWS = frozenset({AccessView.CLUSTER_ACTIVITY, AccessView.DOCS, AccessView.WEBSITE})
_MENU = {
    MenuItem.AUDIT_LOG: "look_inside",
    MenuItem.CONFIG: "configure",
    MenuItem.CONNECTIONS: "configure",
    MenuItem.JOBS: "look_inside",
    MenuItem.PLUGINS: "look_inside",
    MenuItem.PROVIDERS: "look_inside",
    MenuItem.VARIABLES: "configure",
}
"""What the rest needs is `read`."""
_PLATFORM_NEVER = frozenset({"configure", "change", "answer"})
"""The platform triggers, follows and ends runs; whoever asked it to was asked for their rights before."""


class TunewayAuthManager(BaseAuthManager[AirflowUser]):
    """Accounts of the platform, decisions of Cerbos; without a decision everything is refused with 503."""

    def init(self) -> None:
        """Know the installation. Raises TunewayError before the first `tuneway up`."""
        super().init()
        self.services = open_services()
        self._admitted = Admitted(self.services)
        self._rights = Rights(self.services.settings)

    # who it is

    def serialize_user(self, user: AirflowUser) -> dict[str, Any]:
        """Claims for Airflow's token."""
        return to_claims(user)

    def generate_jwt(
        self, user: AirflowUser, *, expiration_time_in_seconds: int = int(SESSION_LIFETIME.total_seconds())
    ) -> str:
        """Airflow's token, good for as long as a login is at the dashboard."""
        return str(super().generate_jwt(user, expiration_time_in_seconds=expiration_time_in_seconds))

    def deserialize_user(self, token: dict[str, Any]) -> AirflowUser:
        """The user of a token that Airflow has verified. Raises ValueError where they are let in no more."""
        try:
            return self._admitted.user(token)
        except UnauthorizedError as error:
            raise ValueError(error.sentence()) from error
        except TunewayError as error:
            raise HTTPException(503, error.sentence()) from error

    def get_url_login(self, **kwargs: Any) -> str:
        """Our page, below Airflow's own address."""
        from airflow.api_fastapi.app import AUTH_MANAGER_FASTAPI_APP_PREFIX

        return f"{AUTH_MANAGER_FASTAPI_APP_PREFIX}/login"

    def get_url_logout(self) -> str | None:
        """Where the session itself is ended."""
        from airflow.api_fastapi.app import AUTH_MANAGER_FASTAPI_APP_PREFIX

        return f"{AUTH_MANAGER_FASTAPI_APP_PREFIX}/logout"

    def get_fastapi_app(self) -> FastAPI | None:
        """The pages to log in and out, and the door for programs."""
        from operators.access.login import create_app

        return create_app(self)

    def forget(self, claims: dict[str, Any]) -> None:
        """Ask the database anew for this token at its next use."""
        self._admitted.forget(claims)

    # what they may do

    def is_authorized_dag(
        self,
        *,
        method: str,
        user: AirflowUser,
        access_entity: DagAccessEntity | None = None,
        details: DagDetails | None = None,
    ) -> bool:
        """By the DAG's name. Refusals of anything but reading are audited."""
        action = _dag_action(method, access_entity)
        name = (details and details.id) or ANY
        allowed = bool(self._dags(user, action, [name]))
        if not allowed and method != "GET" and user.principal is not None:
            record_refusal(self.services, user.principal, Ownership(kind=ResourceKind.DAG, resource_id=name), action)
        return allowed

    def filter_authorized_dag_ids(
        self, *, dag_ids: set[str], user: AirflowUser, method: str = "GET", team_name: str | None = None
    ) -> set[str]:
        """All of them in one question."""
        return set(self._dags(user, _dag_action(method, None), dag_ids))

    def is_authorized_hitl_task(self, *, assigned_users: set[str], user: AirflowUser) -> bool:
        """Whether the user may answer a question about that thing: it is assigned to `kind:number:action`."""
        principal = user.principal
        if principal is None:
            return False
        return all(self._may_answer(user, assigned) for assigned in assigned_users)

    def is_authorized_configuration(
        self, *, method: str, user: AirflowUser, details: ConfigurationDetails | None = None
    ) -> bool:
        """An administrator's."""
        return self._airflow(user, "configure")

    def is_authorized_connection(
        self, *, method: str, user: AirflowUser, details: ConnectionDetails | None = None
    ) -> bool:
        """An administrator's."""
        return self._airflow(user, "configure")

    def is_authorized_variable(self, *, method: str, user: AirflowUser, details: VariableDetails | None = None) -> bool:
        """An administrator's."""
        return self._airflow(user, "configure")

    def is_authorized_pool(self, *, method: str, user: AirflowUser, details: PoolDetails | None = None) -> bool:
        """Read by everybody: what waits for the cards is no secret."""
        return self._airflow(user, "read" if method == "GET" else "configure")

    def is_authorized_asset(self, *, method: str, user: AirflowUser, details: AssetDetails | None = None) -> bool:
        """Read by everybody; an event of one starts DAGs."""
        return self._airflow(user, {"GET": "read", "POST": "announce"}.get(method, "configure"))

    def is_authorized_asset_alias(
        self, *, method: str, user: AirflowUser, details: AssetAliasDetails | None = None
    ) -> bool:
        """As an asset."""
        return self._airflow(user, {"GET": "read", "POST": "announce"}.get(method, "configure"))

    def is_authorized_view(self, *, access_view: AccessView, user: AirflowUser) -> bool:
        """The first page for everybody, what is inside for those who build."""
        return self._airflow(user, "read" if access_view in _OPEN_VIEWS else "look_inside")

    def is_authorized_custom_view(self, *, method: str, resource_name: str, user: AirflowUser) -> bool:
        """Our own entries in the side bar are links."""
        return self._airflow(user, "read")

    def filter_authorized_menu_items(self, menu_items: list[MenuItem], *, user: AirflowUser) -> list[MenuItem]:
        """What would be refused is not offered."""
        return [
            item
            for item in menu_items
            if (
                self._dags(user, "read_logs", [ANY])
                if item is MenuItem.XCOMS
                else self._airflow(user, _MENU.get(item, "read"))
            )
        ]

    def _dags(self, user: AirflowUser, action: str, names: Collection[str]) -> frozenset[str]:
        principal = user.principal
        if principal is None:
            return frozenset() if action in _PLATFORM_NEVER else frozenset(names)
        return _decided(lambda: self._rights.those_who_may_be(principal, ResourceKind.DAG, action, names))

    def _airflow(self, user: AirflowUser, action: str) -> bool:
        principal = user.principal
        if principal is None:
            return action not in _PLATFORM_NEVER
        return _decided(lambda: self._rights.may(principal, ResourceKind.AIRFLOW, action))

    def _may_answer(self, user: AirflowUser, assigned: str) -> bool:
        from operators.access.runs import thing_asked_about

        principal = user.principal
        assert principal is not None, "the platform answers nothing"
        try:
            thing, action = thing_asked_about(assigned, self.services)
        except (NotFoundError, ValueError):
            return False
        allowed = _decided(lambda: self._rights.may_with_thing(principal, thing, action))
        if not allowed:
            record_refusal(self.services, principal, thing, action)
        return allowed


def _dag_action(method: str, entity: DagAccessEntity | None) -> str:
    return _DAG_ACTIONS.get((str(method), entity), "read" if method == "GET" else "change")


def _decided(ask: Callable[[], T]) -> T:
    try:
        return ask()
    except UnavailableError as error:
        raise HTTPException(503, error.sentence()) from error
