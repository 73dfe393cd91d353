"""What is remembered of a row."""

import numpy as np
import pytest
from datasketch import MinHash
from hypothesis import given
from hypothesis import strategies as st

from contracts.data_policy import DuplicatePolicy
from contracts.enums import DuplicateMode
from contracts.errors import InvalidDataError
from data_prep.duplicates.exact import content_key
from data_prep.duplicates.fingerprints import Fingerprints, check_recipe, fingerprint_rows
from data_prep.duplicates.near import jaccard, shingles
from data_prep.duplicates.shingles import ShingleSets, compared_characters, shingle_hash
from data_prep.normalisation import comparable
from data_prep.rows import Message, Row

TEXTS = st.text(alphabet=st.sampled_from("가나다각ㄱ\u1100\u1161 .,!ABßİ12３\n😀́"), max_size=30)


def row(question: str, answer: str, *, system: str = "") -> Row:
    turns = (Message("system", system),) if system else ()
    return Row("a:1", (*turns, Message("user", question), Message("assistant", answer)))


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=8))
def test_signatures_are_those_of_datasketch(texts):
    found = fingerprint_rows([row(*pair) for pair in texts], DuplicatePolicy())

    for index, pair in enumerate(texts):
        plain = MinHash(num_perm=128, hashfunc=shingle_hash)
        plain.update_batch([shingle.encode() for shingle in shingles("\n".join(pair))])
        assert (found.signatures[index] == plain.hashvalues).all()
        assert found.minhash(index).jaccard(plain) == 1


@given(st.lists(TEXTS, min_size=2, max_size=6))
def test_similarities_are_those_of_the_plain_rule(texts):
    sets = ShingleSets(5)
    sets.add(texts)
    first, second = np.triu_indices(len(texts))

    found = sets.jaccard(first, second)

    expected = [jaccard(shingles(texts[a]), shingles(texts[b])) for a, b in zip(first, second, strict=True)]
    assert found.tolist() == expected


@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=2, max_size=6))
def test_content_keys_are_equal_where_the_plain_ones_are(texts):
    rows = [row(*pair) for pair in texts]
    found = fingerprint_rows(rows, DuplicatePolicy()).content

    for first in range(len(rows)):
        for second in range(len(rows)):
            assert (found[first] == found[second]).all() == (content_key(rows[first]) == content_key(rows[second]))


def test_a_fingerprint_does_not_depend_on_the_rows_around_it():
    rows = [row(f"질문 {number}", "가나다라마바사" * number) for number in range(50)]

    whole = fingerprint_rows(rows, DuplicatePolicy())
    parts = Fingerprints.concatenate(fingerprint_rows(rows[at : at + 7], DuplicatePolicy()) for at in range(0, 50, 7))

    assert (whole.records == parts.records).all()


def test_the_system_prompt_does_not_count_for_the_signature_but_for_equality():
    plain, prompted = fingerprint_rows(
        [row("질문", "대답"), row("질문", "대답", system="규칙")], DuplicatePolicy()
    ).records

    assert (plain["signature"] == prompted["signature"]).all()
    assert (plain["content"] != prompted["content"]).any()


def test_saved_fingerprints_come_back(tmp_path):
    made = fingerprint_rows([row("질문", "대답 12")], DuplicatePolicy())

    made.save(tmp_path / "a.npy")

    assert (Fingerprints.load(tmp_path / "a.npy").records == made.records).all()


@pytest.mark.parametrize("content", [b"", b"no array", b"\x93NUMPY\x01\x00"])
def test_another_file_is_refused(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)

    with pytest.raises(InvalidDataError, match="cannot be read"):
        Fingerprints.load(tmp_path / "a.npy")


def test_fingerprints_of_another_policy_are_refused():
    made = fingerprint_rows([row("질문", "대답")], DuplicatePolicy())

    with pytest.raises(InvalidDataError, match="another duplicate policy"):
        check_recipe(made, DuplicatePolicy(mode=DuplicateMode.ANSWER))


def test_no_rows_have_no_fingerprints():
    assert len(fingerprint_rows([], DuplicatePolicy())) == 0


def test_every_character_is_compared_as_the_plain_rule_says():
    texts = [f"a{chr(code)}가" for code in range(0x20000) if not 0xD800 <= code < 0xE000]

    points, lengths = compared_characters(texts)

    compared = [comparable(text) for text in texts]
    assert lengths.tolist() == list(map(len, compared))
    assert "".join(map(chr, points.tolist())) == "".join(compared)
