"""Signatures and marks of registered versions, by the stages and by the command line's JSON."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from benchmarks.watermark import made_up_adapter, rank_rebased
from cli.main import app
from contracts.enums import SignatureState, WatermarkVerdict
from contracts.errors import NotFoundError
from contracts.watermark import Watermark
from database.models import AuditLog
from security.bill_of_materials import BILL_FILE
from security.signing import make_key_pair
from settings import load_settings
from stages.provenance import check_provenance, find_mark, sign_version
from stages.register import register
from stages.services import open_services
from stages.verify_models import verify_models
from stages.watermarks import identity_of, mark_of, promise_mark
from tests.ports import free_port
from tests.stages.finished_job import finished_job
from tests.stages.test_register import Subject


@pytest.fixture
def alone(services, monkeypatch):
    """Services whose MLflow is never asked: the catalogue is left out."""
    monkeypatch.setenv("TUNEWAY_MLFLOW_TRACKING_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr("stages.register.mirror", lambda *_, **__: [])
    monkeypatch.setattr("stages.verify_models.compare_catalogues", lambda *_: [])
    return open_services(load_settings())


class MarkedSubject(Subject):
    """Its adapter is large enough to carry a mark."""

    def __init__(self, services, folder: Path, identity: str) -> None:
        super().__init__(services, folder, "job-a")
        save_file(made_up_adapter(), self.output / "adapter_model.safetensors")
        mark = mark_of(identity, services.settings)
        assert mark is not None
        self.mark: Watermark = mark(self.output)
        with services.unit_of_work() as uow:
            uow.jobs.complete(self.job.job_id, self.job.report.model_copy(update={"watermark": self.mark}))
        self.decide()


@pytest.fixture
def version(alone, tmp_path):
    return register(MarkedSubject(alone, tmp_path, "tiny abc def").request(), alone)


@pytest.fixture
def keys(alone, tmp_path):
    private = tmp_path / "offline.pem"
    make_key_pair(private, alone.settings.signers_dir / "model-office.pem")
    return private


def test_a_registered_version_carries_its_bill_and_says_signed_intact_and_whose(alone, version, keys):
    folder = Path(version.model_path)
    bill = json.loads((folder / BILL_FILE).read_text())
    assert bill["metadata"]["component"]["name"] == "regulations-assistant"
    unsigned = check_provenance(folder, alone.settings)
    assert unsigned.signature.state is SignatureState.UNSIGNED

    found = sign_version("regulations-assistant", keys, alone, actor="kim")
    assert (found.signature.state, found.signature.signer) == (SignatureState.INTACT, "model-office")
    assert found.mark is not None
    assert found.mark.verdict is WatermarkVerdict.DETECTED
    assert verify_models(alone).problems == []
    with alone.unit_of_work() as uow:
        assert ("kim", "model.signed") in [(row.actor, row.action) for row in uow.session.query(AuditLog)]

    (folder / BILL_FILE).write_text("{}")
    assert check_provenance(folder, alone.settings).signature.changed == [BILL_FILE]


def test_versions_are_signed_as_they_are_registered_where_a_key_is_set(alone, keys, tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEWAY_SIGNING_KEY", str(keys))
    signing = open_services(load_settings())
    version = register(MarkedSubject(signing, tmp_path, "x").request(), signing)
    assert check_provenance(Path(version.model_path), signing.settings).signature.state is SignatureState.INTACT


def test_an_adapter_found_elsewhere_is_known_for_ours_also_in_other_factors(alone, version, tmp_path):
    stolen = tmp_path / "stolen"
    stolen.mkdir()
    weights = load_file(Path(version.model_path) / "adapter_model.safetensors")
    save_file({name: np.ascontiguousarray(w) for name, w in rank_rebased(weights).items()}, stolen / "a.safetensors")
    mark, found = find_mark(stolen, alone)
    assert (mark.identity, found.verdict, found.keys_tried) == ("tiny abc def", WatermarkVerdict.DETECTED, 1)
    assert found.z >= 15

    ended = CliRunner().invoke(app, ["model", "watermark-detect", str(stolen), "--json"])
    assert ended.exit_code == 0, ended.output
    assert json.loads(ended.stdout)["identity"] == "tiny abc def"
    ended = CliRunner().invoke(app, ["model", "verify", version.model_path, "--json"])
    assert ended.exit_code == 1
    told = json.loads(ended.stdout)
    assert (told["signature"]["state"], told["mark"]["verdict"]) == ("unsigned", "detected")

    save_file(made_up_adapter(), stolen / "a.safetensors")
    assert find_mark(stolen, alone)[1].verdict is WatermarkVerdict.NOT_DETECTED
    ended = CliRunner().invoke(app, ["model", "watermark-detect", str(stolen), "--json"])
    assert ended.exit_code == 1


def test_without_the_master_key_it_says_so_and_makes_no_other(alone, version):
    key = alone.settings.secrets_dir / "watermark_key"
    key.unlink()
    assert check_provenance(Path(version.model_path), alone.settings).mark_missing == "There is no watermark key"
    key.write_text("0" * 64)
    key.chmod(0o400)
    with pytest.raises(NotFoundError, match="another master key"):
        find_mark(Path(version.model_path), alone)


def test_the_commitment_is_in_the_audit_trail_once_and_before_anything_is_judged(alone, tmp_path):
    for name in ("base", "out"):
        (tmp_path / name).mkdir()
    job = finished_job(alone, base_model=tmp_path / "base", output=tmp_path / "out", complete=False)
    mark = Watermark.model_validate(
        {"scheme": "weights-1", "identity": "x", "commitment": "c" * 64, "amplitude": 0.01, "freedoms": 9, "tensors": 1}
        | {"z": 20.0}
    )
    report = job.report.model_copy(update={"watermark": mark})
    for _ in range(2):
        with alone.unit_of_work() as uow:
            promise_mark(report, uow)
            uow.jobs.complete(job.job_id, report)
    with alone.unit_of_work() as uow:
        entries = [row for row in uow.session.query(AuditLog) if row.action == "model.watermark_committed"]
        assert [(row.subject, row.details["commitment"]) for row in entries] == [(f"job/{job.job_id}", "c" * 64)]


def test_the_same_inputs_have_the_same_mark_and_none_is_wanted_where_marking_is_off(alone):
    settings = alone.settings
    one = identity_of("base", "d" * 64, {"seed": 0, "lora_rank": 8}, settings)
    assert one == identity_of("base", "d" * 64, {"lora_rank": 8, "seed": 0}, settings)
    assert one != identity_of("base", "d" * 64, {"lora_rank": 8, "seed": 1}, settings)
    off = settings.model_copy(update={"watermark": False})
    assert identity_of("base", "d" * 64, {}, off) is None
    assert mark_of(None, settings) is None
