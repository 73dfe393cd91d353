"""Larger local models in place of those that ship: real transformers models, small and random."""

import json

import pytest

from contracts.data_policy import QualityPolicy
from contracts.errors import InvalidRequestError
from data_prep.quality.judging import QualityJudge
from data_prep.quality.local_models import open_causal_model, open_toxicity_classifier
from data_prep.rows import Message, Row
from tests.tiny_model import make_tiny_model

TEXTS = ["통행료는 거리에 따라 정해집니다.", "영업관리처에서 담당합니다.", ""]


@pytest.fixture(scope="module")
def causal_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "causal"
    make_tiny_model(folder)
    return folder


@pytest.fixture(scope="module")
def classifier_folder(tmp_path_factory, causal_folder):
    import transformers

    folder = tmp_path_factory.mktemp("models") / "classifier"
    tokenizer = transformers.AutoTokenizer.from_pretrained(causal_folder, local_files_only=True)
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        id2label={0: "clean", 1: "insult", 2: "hate"},
        label2id={"clean": 0, "insult": 1, "hate": 2},
    )
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_a_local_causal_model_judges_fluency(causal_folder):
    fluency = open_causal_model(str(causal_folder))(TEXTS)

    assert fluency.shape == (3,)
    assert all(0 <= value <= 1 for value in fluency)


@pytest.mark.slow
def test_a_local_classifier_judges_toxicity_in_place_of_the_one_that_ships(classifier_folder):
    row = Row("a:1", (Message("user", TEXTS[0]), Message("assistant", TEXTS[1])))
    [alone] = QualityJudge(QualityPolicy(toxicity_model=str(classifier_folder)), 0, 1).judge([row])

    expected = max(open_toxicity_classifier(str(classifier_folder))(TEXTS[:2]))
    assert alone.toxicity == pytest.approx(expected, abs=1e-3)


@pytest.mark.slow
def test_a_classifier_without_a_harmless_label_is_refused(classifier_folder, tmp_path):
    for path in classifier_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["id2label"] = {"0": "A", "1": "B", "2": "C"}
    config["label2id"] = {"A": 0, "B": 1, "C": 2}
    (tmp_path / "config.json").write_text(json.dumps(config))

    with pytest.raises(InvalidRequestError, match="which label"):
        open_toxicity_classifier(str(tmp_path))


@pytest.mark.parametrize("key", ["language_model", "toxicity_model"])
def test_a_folder_without_a_model_is_refused_when_the_judge_is_made(tmp_path, key):
    with pytest.raises(InvalidRequestError, match=key):
        QualityJudge(QualityPolicy(**{key: str(tmp_path)}), 0.7, 5)
