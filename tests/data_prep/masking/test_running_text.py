"""Names in running text: what the model finds where no title or label helps, and what it must leave."""

import json

import pytest

from contracts.data_policy import MaskingPolicy
from contracts.errors import InvalidRequestError
from data_prep.masking.masker import Masker, find_personal_data, mask
from data_prep.masking.name_model import WEIGHTS_FILE
from data_prep.quality import corpora

NAMES = ("김민수", "박지영", "이서준", "최은경", "정우성", "한지민", "오세훈", "강동원")
STORIES = (
    "어제 저녁 {}은 친구들과 함께 영화를 보러 갔다.",
    "이번 대회에서 {}이 1위를 차지했다고 주최 측이 밝혔다.",
    "경찰은 {} 씨를 불러 조사하고 있다.",
    "가수 {}의 새 노래가 공개됐다.",
)


def names_in(text: str) -> list[str]:
    return [text[one.start : one.end] for one in find_personal_data([text])[0]]


@pytest.mark.parametrize("story", STORIES)
def test_names_are_found_in_the_middle_of_a_story(story):
    found = [names_in(story.format(name)) == [name] for name in NAMES]

    assert sum(found) >= len(NAMES) - 1


def test_foreign_names_are_found_whole():
    assert names_in("배우 톰 크루즈가 감독 크리스토퍼 놀란과 만났다.") == ["톰 크루즈", "크리스토퍼 놀란"]


def test_a_surname_alone_is_found_before_its_title_and_masked_nowhere_else():
    assert (
        mask(["경찰은 박모(43)씨를 붙잡았다. 박수를 받았다."])[0].text
        == "경찰은 [이름]모(43)씨를 붙잡았다. 박수를 받았다."
    )


def test_seaweed_is_nobodys_name():
    assert names_in("김 생산어업과 마른 김 가공공장을 지원한다.") == []
    assert names_in("이날 김 의원은 회의에 나오지 않았다.") == ["김"]


def test_the_beginning_of_an_ordinary_word_is_nobodys_name():
    assert names_in("여성이 유리천장 현상을 겪고 있다는 지적이 있다.") == []


def test_a_name_in_one_sentence_of_a_long_text_is_found():
    filler = "신청서는 담당 부서에서 접수한 날부터 확인한 뒤 처리해 드립니다. " * 12

    assert names_in(f"{filler}어제 배우 김민수가 무대에 올랐다. {filler}") == ["김민수"]


def test_masked_names_and_what_stands_around_them_stay():
    masked = mask(["어제 저녁 김민수는 박지영과 함께 영화를 보러 갔다."])[0].text

    assert masked == "어제 저녁 [이름]는 [이름]과 함께 영화를 보러 갔다."
    assert mask([masked])[0].text == masked


def test_offsets_are_those_of_the_text_with_emoji_and_conjoining_jamo():
    text = "ᄏᄏ😀 가수 김민수의 노래가 좋다ᄒᄒ"

    assert names_in(text) == ["김민수"]


@pytest.mark.parametrize(
    "text",
    [
        "제설자재 재고를 매주 확인합니다.",
        "오인식이 잦은 차로의 영상을 다시 봅니다.",
        "유료도로법 제15조제2항에 따라 긴급자동차는 통행료를 내지 않습니다.",
        "2026가합12345 사건의 변론기일은 2026.3.4. 14:00입니다.",
        "경기도 성남시 수정구 산 12-3번지, 면적 1,204㎡",
        "규격 KX-2301-A, 수량 30개, 금액 1,250,000원",
    ],
)
def test_office_texts_hold_no_names(text):
    assert "[이름]" not in mask([text])[0].text


@pytest.mark.slow
def test_hardly_any_utterance_of_small_talk_is_taken_for_a_name(shared_data):
    texts = [text for pair in corpora.read_chatbot(shared_data) for text in pair][::4]

    found = Masker().find_rows([[text] for text in texts])

    assert sum(bool(data[0]) for data in found) <= 0.005 * len(texts)


def test_the_weights_fit_into_the_repository():
    assert WEIGHTS_FILE.stat().st_size < 2 * 1024 * 1024


@pytest.fixture(scope="module")
def person_model(tmp_path_factory):
    """A token classifier with random weights whose bias sees a person in every token."""
    torch = pytest.importorskip("torch")
    import tokenizers
    import transformers

    folder = tmp_path_factory.mktemp("person-model")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "가", "나"]
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel({word: n for n, word in enumerate(words)}, "[UNK]"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    model = transformers.BertForTokenClassification(
        transformers.BertConfig(
            vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8,
            max_position_embeddings=32, num_labels=2, id2label={0: "O", 1: "B-PS"}, label2id={"O": 0, "B-PS": 1},
        )
    )  # fmt: skip
    with torch.no_grad():
        model.classifier.bias[:] = torch.tensor([0.0, 50.0])
    model.save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_a_larger_local_model_finds_names_in_place_of_the_one_that_ships(person_model):
    masker = Masker(MaskingPolicy(name_model=str(person_model)))

    assert masker.mask(["도로 위"]).texts == ("[이름] [이름]",)


@pytest.mark.slow
def test_a_larger_model_reads_a_text_longer_than_itself_to_its_end(person_model):
    text = "가 " * 100

    found = Masker(MaskingPolicy(name_model=str(person_model))).find([text])[0]

    assert len(found) == 100


def test_a_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(InvalidRequestError, match=r"masking\.name_model is no model folder"):
        Masker(MaskingPolicy(name_model=str(tmp_path)))


@pytest.mark.slow
def test_a_model_without_a_label_for_persons_is_refused(person_model, tmp_path):
    for path in person_model.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    config["id2label"], config["label2id"] = {"0": "O", "1": "B-LC"}, {"O": 0, "B-LC": 1}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")

    with pytest.raises(InvalidRequestError, match="where the model of masking"):
        Masker(MaskingPolicy(name_model=str(tmp_path)))
