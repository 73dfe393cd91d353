"""What there is of a dataset version over HTTP: statistics, checks, other cuts, differences, its past."""

import hashlib

import httpx
import pytest

from contracts.access import ResourceKind
from contracts.enums import LineageKind
from contracts.identity import AccountKind, Role
from contracts.lineage import LineageEdge, LineageGraph, LineageNode
from stages.lineage import without_hidden
from tests.serving_api.running import ADMIN_TOKEN, running_service
from tests.serving_api.test_permissions import as_
from tests.serving_api.test_uploads import CANARY, jsonl

pytestmark = pytest.mark.slow


def test_a_file_becomes_a_version_that_is_looked_at_checked_cut_again_and_compared(services):
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    with services.unit_of_work() as uow:
        uow.users.add(
            "stranger", kind=AccountKind.PERSON, role=Role.ML_ENGINEER, projects=["tolls"], password_hash=None
        )
    with (
        running_service(services) as (url, _),
        httpx.Client(base_url=f"{url}/api/v1/admin", headers=headers, timeout=300) as api,
    ):
        sent = api.post(
            "training/datasets",
            data={"name": "rules", "description": "고속도로 규정"},
            files={"file": ("rules.jsonl", jsonl())},
            params={"wait_seconds": 300},
        )
        assert sent.status_code == 201, sent.text
        upload = sent.json()
        assert (upload["state"], upload["rows"], upload["broken_rows"]) == ("ready", 32, 0)
        assert upload["sha256"] == hashlib.sha256(jsonl()).hexdigest()
        again = api.post(f"training/uploads/{upload['upload_id']}/complete")
        assert (again.status_code, again.json()["dataset"]) == (201, upload["dataset"])
        # no part of the file lies anywhere in clear text
        files = [path for path in services.settings.data_dir.rglob("*") if path.is_file()]
        assert [path for path in files if CANARY.encode() in path.read_bytes()] == []

        version = upload["dataset"]
        path = f"training/datasets/{version['dataset_id']}"
        shown = api.get(path).json()
        assert (shown["owner"], shown["status"], shown["description"]) == ("ci", "active", "고속도로 규정")
        assert api.get(f"{path}/stats").json()["rows"] == version["total_samples"]

        report = api.post(f"{path}/validate", json={"min_samples": 10_000}).json()
        assert {check["check_type"]: check["passed"] for check in report["checks"]} == {
            "pii_detection": True, "duplicate_check": True, "quality_score": True, "split_balance": True,
            "test_leakage": True, "size": False,
        }  # fmt: skip
        assert api.post(f"{path}/validate", json={"min_samples": 0}).status_code == 422

        for wrong in ({"test_ratio": 2}, {"test_ratio": "nan"}):
            assert api.post(f"{path}/split", params=wrong).status_code == 422, wrong
        uneven = api.post(f"{path}/split", params={"train_ratio": 0.5})
        assert (uneven.status_code, "whole" in uneven.json()["what"]) == (422, True)
        cut = api.post(f"{path}/split", headers={"Idempotency-Key": "cut-1"})
        assert cut.status_code == 200, cut.text
        made = cut.json()
        assert (made["total_samples"], made["test_samples"] > version["test_samples"]) == (32, True)
        for same in (api.post(f"{path}/split", headers={"Idempotency-Key": "cut-1"}), api.post(f"{path}/split")):
            assert same.json()["dataset_id"] == made["dataset_id"]
        stale = api.post(f"{path}/split", params={"train_ratio": 0.6, "val_ratio": 0.2, "test_ratio": 0.2})
        assert (stale.status_code, "newest" in stale.json()["what"]) == (409, True)

        difference = api.get(f"{path}/diff/{made['dataset_id']}", params={"rows": 1}).json()
        assert (difference["added"], difference["removed"], difference["changed"] > 0) == (0, 0, True)
        assert [field["field"] for field in difference["changed_rows"][0]["fields"]] == ["split"]
        assert api.get(f"{path}/diff/99").status_code == 404
        assert api.get(f"{path}/versions").json()["total"] == 2
        history = api.get(f"training/datasets/{made['dataset_id']}/history").json()
        assert [commit["operation"] for commit in history] == ["split", "prepare"]
        graph = api.get(f"{path}/lineage").json()
        assert {node["kind"] for node in graph["nodes"]} == {"document", "dataset"}
        for part in ("", "/stats", "/history", "/lineage", f"/diff/{made['dataset_id']}"):
            assert api.get(f"{path}{part}", headers=as_("stranger")).status_code == 403, part
        with services.unit_of_work() as uow:
            assert uow.ownership.of(ResourceKind.DATASET, made["dataset_id"]).owner == "ci"


def test_a_lineage_shows_neither_hidden_things_nor_what_hangs_on_them():
    kinds = {
        "dataset:1": LineageKind.DATASET,
        "job:1": LineageKind.JOB,
        "model:1": LineageKind.MODEL,
        "job:2": LineageKind.JOB,
    }
    kinds["evaluation:1"] = LineageKind.EVALUATION
    graph = LineageGraph(
        root="dataset:1",
        nodes=[LineageNode(kind=kind, key=name.partition(":")[2], label=name) for name, kind in kinds.items()],
        edges=[
            LineageEdge(source="dataset:1", target="job:1"),
            LineageEdge(source="job:1", target="model:1"),
            LineageEdge(source="dataset:1", target="job:2"),
            LineageEdge(source="job:2", target="evaluation:1"),
        ],
    )
    seen = without_hidden(graph, {LineageKind.JOB: {1}, LineageKind.MODEL: {1}})
    assert [node.label for node in seen.nodes] == ["dataset:1", "job:1", "model:1"]
    assert len(seen.edges) == 2
