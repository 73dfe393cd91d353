"""A running Cerbos: a policy that is broken while it runs changes no decision and is told of."""

import re
import shutil
import time

import httpx
import pytest

from contracts.access import EVERYTHING, NOTHING, Ownership, ResourceKind, Visibility
from contracts.identity import AccountKind, Principal, Role
from security.access.decisions import PolicyDecisions
from settings import Settings
from tests.conftest import REPOSITORY_ROOT
from tests.ports import free_port
from tests.serving_api.policy_server import start_server, stop_server

pytestmark = pytest.mark.slow


def principal(role):
    return Principal(user_id=1, username="kim", kind=AccountKind.PERSON, role=role, projects=["roads"], token_id="t")


def complaints(url):
    metrics = httpx.get(f"{url}/_cerbos/metrics").text
    return sum(map(float, re.findall(r"^cerbos_dev_store_sync_error_count_total{[^}]*} (\S+)", metrics, re.MULTILINE)))


async def test_a_broken_policy_leaves_the_last_good_ones_in_force_and_is_told(tmp_path):
    policies = tmp_path / "policies"
    shutil.copytree(REPOSITORY_ROOT / "security" / "policies", policies)
    settings = Settings(cerbos_port=free_port(), cerbos_grpc_port=free_port())
    process = start_server(settings, policies)
    decisions = PolicyDecisions(settings.policy_url, 30.0)
    try:
        assert await decisions.visible(principal(Role.ADMIN), ResourceKind.JOB) == EVERYTHING
        some = Visibility(owners=["", "kim"], projects=["roads"])
        assert await decisions.visible(principal(Role.VIEWER), ResourceKind.JOB) == some
        assert await decisions.visible(principal(Role.VIEWER), ResourceKind.USER) == NOTHING
        questions = [
            (Ownership(kind=ResourceKind.JOB, resource_id=str(number), owner=owner), ["read", "stop"])
            for number, owner in enumerate(["kim", "lee"])
        ]
        before = await decisions.allowed(principal(Role.ML_ENGINEER), questions)
        assert before == [frozenset({"read", "stop"}), frozenset()]
        assert complaints(settings.policy_url) == 0
        with (policies / "resource_job_policy.yaml").open("a") as policy:
            policy.write("  broken: [\n")
        deadline = time.monotonic() + 60
        while complaints(settings.policy_url) == 0:
            assert time.monotonic() < deadline, "the broken policy was not noticed"
            time.sleep(0.1)
        assert await decisions.allowed(principal(Role.ML_ENGINEER), questions) == before
    finally:
        await decisions.close()
        stop_server(process)
