"""Normalising many rows gives what normalising each text gives."""

from hypothesis import given
from hypothesis import strategies as st

from data_prep.normalisation import normalise, normalise_rows
from data_prep.rows import Message, Row

CHARACTERS = " \n\t\r.a가각나\u1100\u1161\u11a8e\u0301\0\u3000\u200d\x85\u2028😀\U0001d15e\u00c5\u212b\ufb01ㅋ"


def _row(text: str) -> Row:
    return Row("a:1", (Message("user", "물음"), Message("assistant", text)), {"source": text, "turns": 2})


@given(st.lists(st.text(CHARACTERS, max_size=8) | st.text(max_size=20), max_size=8))
def test_every_text_is_normalised_as_if_it_were_alone(texts):
    rows = normalise_rows([_row(text) for text in texts])

    assert [(row.answer, row.metadata) for row in rows] == [
        (normalise(text), {"source": normalise(text), "turns": 2}) for text in texts
    ]


def test_every_character_is_normalised_beside_others_and_with_an_accent():
    planes = [chr(code) for code in range(0x20000) if not 0xD800 <= code < 0xE000]
    texts = [f"a{character}b" for character in planes] + [f"{character}\u0301" for character in planes]

    rows = normalise_rows([Row("a:1", (Message("user", text),)) for text in texts])

    assert [row.question for row in rows] == [normalise(text) for text in texts]


def test_a_row_that_is_normal_stays_the_same_object():
    row = _row("통행료는 어떻게 냅니까?\n영업소에서 냅니다 😀.")

    assert normalise_rows([row])[0] is row
