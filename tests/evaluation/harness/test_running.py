"""Benchmarks and perplexity over a real model: the harness' own numbers, and nothing computed twice."""

import csv
import math
import os

import pytest

from contracts.enums import SuiteKind
from contracts.errors import ConflictError, InvalidRequestError
from evaluation.suites.harness import check_harness, harness_conditions, harness_settings, run_harness
from evaluation.suites.kind import RunOptions, RunState, Subject
from evaluation.suites.perplexity import perplexity_settings, run_perplexity, texts_of
from evaluation.test_cases import Suite
from storage.journal import KeyedJournal

LIMIT = 20


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    from tests.tiny_model import make_tiny_model

    return make_tiny_model(tmp_path_factory.mktemp("harness") / "tiny")


def _suite(task, folder):
    return Suite(task, str(folder), "", [], {}, 1, SuiteKind.HARNESS, harness_settings(task, folder, 0))


def _run(suite, model, folder, limit=LIMIT):
    steps: list[tuple[int, int]] = []
    run = run_harness if suite.kind is SuiteKind.HARNESS else run_perplexity
    with KeyedJournal(folder / "journal.jsonl", ConflictError("in use")) as journal:
        state = RunState(folder, journal, lambda *step: steps.append(step))
        outcome = run(suite, Subject("tiny", model_path=model), RunOptions(max_cases=limit), state)
    return outcome, steps


def _harness_alone(task, rows, model, monkeypatch):
    """What the harness gives when its own task gets the same rows from where it expects them."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    from pathlib import Path

    import datasets
    import lm_eval
    from lm_eval import tasks
    from lm_eval.tasks import TaskManager

    data = datasets.DatasetDict({name: datasets.Dataset.from_list(rows) for name in ("train", "validation", "test")})
    monkeypatch.setattr(datasets, "load_dataset", lambda **_: data)
    return lm_eval.simple_evaluate(
        model="hf",
        model_args={"pretrained": str(model), "device": "cpu"},
        batch_size=1,
        tasks=[task],
        limit=LIMIT,
        bootstrap_iters=0,
        task_manager=TaskManager(include_path=str(Path(str(tasks.__file__)).parent / "kobest"), include_defaults=False),
    )


def _published_rows(path, columns, label):
    with path.open(encoding="utf-8", newline="") as stream:
        return [
            {**{new: row[old] for old, new in columns.items()}, "label": int(row[label[0]]) - label[1]}
            for row in csv.DictReader(stream, delimiter="\t")
        ]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("task", "columns", "label"),
    [
        (
            "copa",
            {"sentence": "premise", "question": "question", "1": "alternative_1", "2": "alternative_2"},
            ("Answer", 1),
        ),
        pytest.param(
            "hellaswag",
            {"context": "context", **{f"choice{n}": f"ending_{n}" for n in range(1, 5)}},
            ("label", 0),
            marks=pytest.mark.deep,
        ),
    ],
)
def test_scores_are_the_harness_own_to_the_last_digit(
    shared_data, tiny_model, tmp_path, monkeypatch, task, columns, label
):
    name = f"kobest_{task}"
    outcome, _ = _run(_suite(name, shared_data / "kobest"), tiny_model, tmp_path)
    rows = _published_rows(shared_data / "kobest" / f"{task}_dev.tsv", columns, label)
    theirs = _harness_alone(name, rows, tiny_model, monkeypatch)
    expected = {metric: theirs["results"][name].get(f"{metric},none") for metric in ("acc", "acc_norm", "f1")}
    ours = {score.name: score.value for score in outcome.scores}
    assert ours == {metric: value for metric, value in expected.items() if value is not None}
    assert [case.score for case in outcome.cases] == [sample["acc"] for sample in theirs["samples"][name]]
    assert sum(case.correct for case in outcome.cases) / LIMIT == ours["acc"]
    assert all(score.interval is not None and score.n == LIMIT for score in outcome.scores)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_was_computed_before_a_kill_is_not_computed_again(shared_data, tiny_model, tmp_path, monkeypatch):
    from evaluation.harness import journaled_model

    suite = _suite("kobest_sentineg", shared_data / "kobest")
    first, steps = _run(suite, tiny_model, tmp_path)
    assert steps[0] == (0, 2 * LIMIT) and steps[-1] == (2 * LIMIT, 2 * LIMIT)
    lines = (tmp_path / "journal.jsonl").read_text().splitlines(keepends=True)
    # as a kill in the middle of a line leaves it
    (tmp_path / "journal.jsonl").write_text("".join(lines[:30]) + lines[30][:20])
    monkeypatch.setattr(journaled_model, "REQUESTS_AT_A_TIME", 1)
    again, steps = _run(suite, tiny_model, tmp_path)
    assert steps[0] == (30, 2 * LIMIT)
    assert len(steps) == 1 + 2 * LIMIT - 30
    assert again == first


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_perplexity_is_that_of_the_models_own_loss(tiny_model, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    texts = ["안전 점검은 매월 첫째 주에 실시합니다.", "통행료 환급은 며칠 안에 처리됩니까?", "휴게소 위생 점검표"]
    path = tmp_path / "texts.txt"
    path.write_text("\n\n".join(texts), encoding="utf-8")
    suite = Suite("texts", str(path), "", [], {}, 1, SuiteKind.PERPLEXITY, perplexity_settings(path))
    outcome, _ = _run(suite, tiny_model, tmp_path, limit=None)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    loss, tokens = 0.0, 0
    for text in texts:
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([[tokenizer.eos_token_id, *ids]])).logits[0, :-1]
        loss -= torch.log_softmax(logits.double(), -1)[range(len(ids)), ids].sum().item()
        tokens += len(ids)
    scores = {score.name: score.value for score in outcome.scores}
    assert scores["perplexity"] == pytest.approx(math.exp(loss / tokens), rel=1e-4)
    assert scores["bits_per_character"] == pytest.approx(loss / math.log(2) / sum(map(len, texts)), rel=1e-4)


def test_texts_come_with_their_documents(tmp_path):
    (tmp_path / "texts.jsonl").write_text(
        '{"text": "하나", "source_document": "d-1"}\n{"messages": [{"role": "user", "content": "둘"}]}\n',
        encoding="utf-8",
    )
    assert [(each.text, each.source_document) for each in texts_of(tmp_path / "texts.jsonl")] == [
        ("하나", "d-1"),
        ("둘", None),
    ]


def test_changed_data_are_another_suite(tmp_path):
    file = tmp_path / "sentineg_dev.tsv"
    file.write_text("ID\tLabel\tText\n1\t1\t좋습니다\n", encoding="utf-8")
    suite, subject = _suite("kobest_sentineg", tmp_path), Subject("tiny", model_path=tmp_path)
    check_harness(suite, subject)
    before = harness_conditions(suite, subject, RunOptions()).comparison_key
    file.write_text("ID\tLabel\tText\n1\t0\t나쁩니다\n", encoding="utf-8")
    with pytest.raises(ConflictError, match="data changed"):
        check_harness(suite, subject)
    changed = _suite("kobest_sentineg", tmp_path)
    assert harness_conditions(changed, subject, RunOptions()).comparison_key != before


def test_the_same_data_in_another_folder_are_the_same_suite(tmp_path):
    keys = set()
    for name in ("here", "there"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "sentineg_dev.tsv").write_text("ID\tLabel\tText\n1\t1\t좋습니다\n", encoding="utf-8")
        suite = _suite("kobest_sentineg", folder)
        keys.add(harness_conditions(suite, Subject("tiny", model_path=tmp_path), RunOptions()).comparison_key)
    assert len(keys) == 1


def test_a_server_that_tells_no_likelihood_of_given_texts_is_refused_early(tmp_path):
    from tests.evaluation.chat_endpoint import MODEL, chat_endpoint

    (tmp_path / "sentineg_dev.tsv").write_text("ID\tLabel\tText\n1\t1\t좋습니다\n", encoding="utf-8")
    with (
        chat_endpoint(lambda _question: "5년") as endpoint,
        pytest.raises(InvalidRequestError, match="does not tell the likelihood"),
    ):
        check_harness(_suite("kobest_sentineg", tmp_path), Subject(MODEL, endpoint_url=endpoint.url))
