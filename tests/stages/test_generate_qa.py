"""Stage generate_qa in an installation of its own, with a real model server and with one that answers as a model should."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from contracts.datasets import ImportRequest, PrepareRequest
from contracts.enums import LeaseKind, QuestionTemplate, ReviewVerdict, SampleFault, StageName
from contracts.errors import InvalidDataError, InvalidRequestError, UnavailableError
from contracts.generation import CurateRequest, GenerateRequest, TokenPrice
from stages.catalog import STAGES
from stages.curate import curate
from stages.generate_qa import generate_qa
from stages.import_dataset import import_dataset
from stages.prepare import prepare
from stages.progress import LoggedProgress
from storage.stored_files import read_stored_text
from tests.conftest import REPOSITORY_ROOT
from tests.data_prep.generation.endpoint import endpoint, faithful
from tests.ports import free_port

DOCUMENTS = ["demo/documents/tolls", "demo/documents/privacy/privacy-cctv-export.md"]


def request(url: str | None, **changes) -> GenerateRequest:
    given = {"dataset_name": "demo", "documents": DOCUMENTS, "model": "m", "endpoint_url": url, "max_chunks": 8}
    return GenerateRequest(**{**given, **changes})


def rows_of(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in read_stored_text(Path(path)).splitlines()]


def test_the_stage_has_its_place_in_the_catalog():
    stage = STAGES[StageName.GENERATE_QA]
    assert (stage.request.__name__, stage.result.__name__) == ("GenerateRequest", "GenerationReport")
    assert stage.function() is generate_qa


def test_documents_become_samples_for_review_and_the_reviewed_ones_a_dataset_version(services):
    """The whole way: generate, review, curate, import, prepare."""
    with endpoint(faithful) as server:
        report = generate_qa(request(server.url, max_chunks=None, templates=["qa", "chat"]), services)
    with services.unit_of_work() as uow:
        ids = uow.reviews.positions(report.generation_id)
        assert len(ids) == report.accepted > 20
        first = uow.reviews.get(ids[0])
        edited = [first.messages[0], {"role": "assistant", "content": "담당자 010-2345-6789에게 문의하여 신청합니다."}]
        uow.reviews.decide(ids[0], ReviewVerdict.EDIT, reviewer="김검토", seen=None, edited_messages=edited)
        uow.reviews.decide(ids[1], ReviewVerdict.REJECT, reviewer="김검토", seen=None)
        for review_id in ids[2:]:
            uow.reviews.decide(review_id, ReviewVerdict.ACCEPT, reviewer="김검토", seen=None)

    curated = curate(CurateRequest(generation_id=report.generation_id), services)
    rows = rows_of(curated.path)
    assert (curated.rows, curated.edited, curated.rejected) == (report.accepted - 1, 1, 1)
    assert rows[0]["messages"][-1]["content"] == "담당자 [전화번호]에게 문의하여 신청합니다."
    assert rows[0]["metadata"]["review"]["reviewer"] == "김검토"
    assert rows[0]["metadata"]["lineage"]["document_sha256"]

    imported = import_dataset(ImportRequest(dataset_name="demo", input_files=[curated.path]), services)
    assert (imported.total_rows, imported.broken_rows) == (curated.rows, 0)
    version = prepare(PrepareRequest(import_id=imported.import_id, dataset_name="demo"), services)
    assert version.total_samples > 20


def test_what_nobody_looked_at_is_left_out_unless_asked_for(services):
    with endpoint(faithful) as server:
        report = generate_qa(request(server.url), services)
    assert curate(CurateRequest(generation_id=report.generation_id), services).rows == 0
    with_waiting = curate(CurateRequest(generation_id=report.generation_id, include_waiting=True), services)
    assert with_waiting.rows == report.accepted


def test_the_same_request_again_is_answered_at_once_even_without_the_endpoint(services):
    with endpoint(faithful) as server:
        first = generate_qa(request(server.url), services)
    again = generate_qa(request(server.url), services)
    assert again == first.model_copy(update={"asked_now": 0, "cost_now": 0.0})


def test_the_key_comes_from_a_file_and_stands_in_no_other(services):
    secrets = services.settings.secrets_dir
    secrets.mkdir(parents=True)
    (secrets / "generator_key").write_text("s3cret-key\n", encoding="utf-8")
    with endpoint(faithful) as server:
        generate_qa(request(server.url, api_key_file="generator_key"), services)
        assert {headers["Authorization"] for headers in server.headers} == {"Bearer s3cret-key"}
    written = [path for path in services.settings.generations_dir.rglob("*") if path.is_file()]
    assert written
    assert all(b"s3cret-key" not in path.read_bytes() for path in written)


def test_a_key_file_that_is_not_there_is_told_before_anything_is_asked(services):
    with endpoint(faithful) as server:
        with pytest.raises(InvalidRequestError, match="no such key file"):
            generate_qa(request(server.url, api_key_file="generator_key"), services)
        assert server.bodies == []


@pytest.mark.parametrize("documents", [["/etc"], ["/etc/passwd"], ["demo/../.."]])
def test_documents_outside_the_allowed_folders_are_refused(services, documents):
    with pytest.raises(InvalidRequestError, match="TUNEWAY_INPUT_ROOTS"):
        generate_qa(request("http://127.0.0.1:1/v1", documents=documents), services)


def test_a_document_that_cannot_be_read_is_an_error_by_itself_and_a_remark_in_a_folder(services):
    inbox = services.settings.data_dir / "inbox"
    inbox.mkdir(parents=True)
    (inbox / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    (inbox / "good.md").write_bytes((REPOSITORY_ROOT / "demo/documents/tolls/toll-night-freight.md").read_bytes())
    with endpoint(faithful) as server:
        report = generate_qa(request(server.url, documents=[str(inbox)]), services)
        assert [(one.name, bool(one.reason)) for one in report.skipped] == [("broken.pdf", True)]
        assert report.accepted
        with pytest.raises(InvalidDataError):
            generate_qa(request(server.url, documents=[str(inbox / "broken.pdf")]), services)


def test_a_qdrant_collection_is_a_source_like_a_folder(services):
    from qdrant_client import QdrantClient
    from qdrant_client.models import Distance, PointStruct, VectorParams

    folder = services.settings.data_dir / "inbox" / "qdrant"
    folder.parent.mkdir(parents=True)
    client = QdrantClient(path=str(folder))
    client.create_collection("rules", vectors_config=VectorParams(size=2, distance=Distance.COSINE))
    text = "심야 할인 소급 신청은 지난 6개월의 운행에 한하여 인정하며 단말기를 달지 않은 차량은 대상에서 제외한다. 신청서는 지사에 낸다."
    payload = {"text": text, "source": "toll.md", "category": "tolls"}
    client.upsert("rules", [PointStruct(id=1, vector=[0.1, 0.2], payload=payload)])
    client.close()
    source = {"collection": "rules", "path": str(folder)}
    with endpoint(faithful) as server:
        report = generate_qa(request(server.url, documents=[], qdrant=source), services)
    row = rows_of(report.samples_path)[0]
    assert row["metadata"]["source"] == "toll.md"
    assert row["metadata"]["category"] == "tolls"


def test_nobody_at_the_endpoint_is_unavailable_and_nothing_is_reported(services, monkeypatch):
    monkeypatch.setattr("data_prep.generation.client.FIRST_PAUSE_SECONDS", 0.01)
    with pytest.raises(UnavailableError):
        generate_qa(request(f"http://127.0.0.1:{free_port()}/v1", attempts=2), services)
    assert list(services.settings.generations_dir.rglob("report.json")) == []


@pytest.mark.deep
@pytest.mark.slow
def test_a_real_model_that_knows_nothing_ends_in_a_report_that_says_so(services, tiny_model):
    """A random model behind the real server, started for the run."""
    model = services.settings.data_dir / "models" / "base" / "tiny"
    shutil.copytree(tiny_model, model)
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    # the tiny tokenizer needs one or two tokens a letter: a prompt takes 1,500
    (model / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 4096}), encoding="utf-8")
    leases: set[tuple[LeaseKind, str]] = set()

    class Looking(LoggedProgress):
        def __call__(self, what: str, done: int, total: int) -> None:
            super().__call__(what, done, total)
            with services.unit_of_work() as uow:
                leases.update((lease.kind, lease.owner.rsplit("-", 2)[0]) for lease in uow.leases.all())

    report = generate_qa(
        request(
            None, model="tiny", max_chunks=1, max_answer_tokens=60, concurrency=2, readable_attempts=1,
            price=TokenPrice(input_per_million=1000, output_per_million=1000), templates=list(QuestionTemplate),
        ),
        services,
        Looking(),
    )  # fmt: skip
    assert leases == {(LeaseKind.GENERATION, "generate-demo")}
    with services.unit_of_work() as uow:
        assert uow.leases.all() == []
    assert (report.complete, report.accepted, report.answered) == (True, 0, 4)
    assert "통과한 표본이 없어" in report.message
    assert report.without_samples + report.generated + sum(report.rejected.values()) >= 4
    assert SampleFault.NO_ANSWER not in report.rejected
    assert report.input_tokens > 0
    assert not report.tokens_estimated
    assert report.cost > 0
