"""The policies compile, their own tests pass, and none of them is silently missing."""

import subprocess

import pytest
import yaml

from contracts.access import ResourceKind
from settings import Settings
from tests.conftest import REPOSITORY_ROOT

POLICIES = REPOSITORY_ROOT / "security" / "policies"


def test_the_policies_own_tests_pass():
    binary = Settings().cerbos_binary
    if not binary.exists():
        pytest.skip("needs Cerbos: run `make setup` where npm is")
    completed = subprocess.run([str(binary), "compile", str(POLICIES)], capture_output=True, text=True, check=False)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    suite = yaml.safe_load((POLICIES / "tests" / "permissions_test.yaml").read_text(encoding="utf-8"))
    decisions = sum(
        len(one["input"]["principals"]) * len(one["input"]["resources"]) * len(one["input"]["actions"])
        for one in suite["tests"]
    )
    assert f"{decisions} OK" in completed.stdout


def test_every_kind_of_thing_has_a_policy_that_cerbos_does_not_take_for_a_test():
    found = {}
    for path in POLICIES.glob("*.yaml"):
        assert not path.stem.endswith("_test"), path
        policy = yaml.safe_load(path.read_text(encoding="utf-8"))
        if "resourcePolicy" in policy:
            found[policy["resourcePolicy"]["resource"]] = path.name
    assert found == {kind.value: f"resource_{kind.value}_policy.yaml" for kind in ResourceKind}


def test_every_action_of_every_policy_is_tried_by_its_tests():
    suite = yaml.safe_load((POLICIES / "tests" / "permissions_test.yaml").read_text(encoding="utf-8"))
    fixtures = yaml.safe_load((POLICIES / "tests" / "testdata" / "resources.yaml").read_text(encoding="utf-8"))
    allowed = {
        (fixtures["resources"][expected["resource"]]["kind"], action)
        for test in suite["tests"]
        for expected in test["expected"]
        for action in expected["actions"]
    }
    for kind in ResourceKind:
        policy = yaml.safe_load((POLICIES / f"resource_{kind.value}_policy.yaml").read_text(encoding="utf-8"))
        for rule in policy["resourcePolicy"]["rules"]:
            assert any((kind.value, action) in allowed for action in rule["actions"]), (kind, rule)
