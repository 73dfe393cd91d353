"""What was made of what, both ways, whatever one starts from."""

import pytest

from contracts.errors import InvalidRequestError, NotFoundError
from contracts.lineage import LineageGraph
from stages.lineage import trace
from tests.stages.lineage_story import Story, tell


@pytest.fixture
def story(services) -> Story:
    return tell(services)


def labels(graph: LineageGraph) -> set[str]:
    return {f"{node.kind.value} {node.label.rpartition('/')[2]}" for node in graph.nodes}


def test_a_model_leads_back_to_its_documents_and_on_to_the_verdict_of_its_test(services, story):
    graph = trace("assistant@1", services)
    assert graph.root == f"model:{story.model}"
    assert labels(graph) == {
        "document tolls.jsonl",
        "document leave.jsonl",
        "document safety.jsonl",
        "dataset regulations v1.0",
        "dataset regulations v1.1",
        "job tolls-1",
        "checkpoint checkpoint-100",
        "model assistant@1",
        "model demo-base@base",
        "evaluation regulations",
        "result road-rules v1",
        f"deployment served-{story.model}",
        f"deployment served-{story.base}",
        "experiment test-1",
        "verdict B",
    }
    told = {node.node_id: node.details for node in graph.nodes}
    assert told[f"evaluation:{story.evaluation}"] == {"accuracy": 0.95, "n": 200, "verdict": "pass"}
    assert told[f"result:{story.result}"]["score"] == 0.3


def test_a_document_leads_to_everything_that_came_of_it(services, story):
    graph = trace("document:safety.jsonl", services, up=False)
    assert {"dataset regulations v1.1", "job tolls-1", "verdict B"} <= labels(graph)
    assert "dataset regulations v1.0" not in labels(graph)
    assert "model assistant@2" not in labels(graph)
    everything = trace("document:/inbox/tolls.jsonl", services)
    assert {"dataset regulations v1.0", "dataset regulations v1.1", "model assistant@2"} <= labels(everything)


def test_up_and_down_are_the_two_halves(services, story):
    up = trace(f"job:{story.job}", services, down=False)
    assert {node.kind.value for node in up.nodes} == {"document", "dataset", "job"}
    down = trace(f"job:{story.job}", services, up=False)
    assert "document" not in {node.kind.value for node in down.nodes}
    assert {edge.source for edge in trace(f"verdict:{story.experiment}", services).edges} >= {
        f"checkpoint:{story.checkpoint}",
        f"deployment:{story.model}",
        f"dataset:{story.first_dataset}",
    }


@pytest.mark.parametrize("given", ["experiment", "evaluation", "result", "checkpoint", "dataset"])
def test_every_kind_can_be_the_start(services, story, given):
    key = {"dataset": story.second_dataset}.get(given) or getattr(story, given)
    graph = trace(f"{given}:{key}", services)
    assert "document safety.jsonl" in labels(graph)
    assert f"{given}:{key}" in {node.node_id for node in graph.nodes}


def test_an_edge_that_a_longer_way_says_too_is_left_out_of_pictures(services, story):
    graph = trace(f"model:{story.model}", services)
    shown = {(edge.source.partition(":")[0], edge.target.partition(":")[0]) for edge in graph.without_detours()}
    every = {(edge.source.partition(":")[0], edge.target.partition(":")[0]) for edge in graph.edges}
    assert every - shown >= {("job", "model"), ("job", "evaluation"), ("model", "experiment")}
    assert {("job", "checkpoint"), ("checkpoint", "model"), ("model", "evaluation")} <= shown


@pytest.mark.parametrize("given", ["model:99", "dataset:99", "document:nowhere.jsonl", "nobody@1"])
def test_what_is_not_there_is_said_to_be_missing(services, given):
    with pytest.raises(NotFoundError):
        trace(given, services)


@pytest.mark.parametrize("given", ["banana:3", "job:seven", "job:", "document:"])
def test_what_names_nothing_is_refused_with_the_forms_that_do(services, given):
    with pytest.raises(InvalidRequestError, match="dataset:5"):
        trace(given, services)
