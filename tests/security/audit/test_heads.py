"""Heads are signed, in order, and survive a kill in the middle of a line."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from contracts.errors import InvalidDataError, NotFoundError
from security.audit.heads import append_head, is_genuine, read_heads, sign_head
from security.audit.keys import new_signing_key, public_pem, read_public_key, read_signing_key

KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key()


@pytest.fixture
def heads(tmp_path):
    path = tmp_path / "audit" / "heads.jsonl"
    for place in (3, 7, 9):
        append_head(path, place, bytes([place]) * 32, KEY)
    return path


def test_what_was_signed_is_read_back(heads):
    found, refused = read_heads(heads, PUBLIC)
    assert [(head.id, head.hash) for head in found] == [(n, bytes([n]).hex() * 32) for n in (3, 7, 9)]
    assert refused == []


def test_the_same_end_is_signed_once(heads):
    assert append_head(heads, 9, bytes([9]) * 32, KEY) is None
    assert len(read_heads(heads, PUBLIC)[0]) == 3


def test_no_field_of_a_head_can_be_changed():
    head = sign_head(3, bytes(32), KEY)
    assert is_genuine(head, PUBLIC)
    for changes in ({"id": 4}, {"hash": "00"}, {"previous": "a"}, {"key_id": "b"}, {"signature": "AAAA"}):
        assert not is_genuine(head.model_copy(update=changes), PUBLIC)
    assert not is_genuine(head, Ed25519PrivateKey.generate().public_key())


def test_a_head_taken_out_of_the_middle_is_told(heads):
    first, _, last = heads.read_bytes().splitlines(keepends=True)
    heads.write_bytes(first + last)
    assert read_heads(heads, PUBLIC)[1] == [2]


def test_a_line_that_a_kill_cut_off_is_left_behind(heads):
    with heads.open("ab") as stream:
        stream.write(b'{"id": 11, "ha')
    assert len(read_heads(heads, PUBLIC)[0]) == 3
    append_head(heads, 12, bytes(32), KEY)
    found, refused = read_heads(heads, PUBLIC)
    assert ([head.id for head in found], refused) == ([3, 7, 9, 12], [])


def test_a_line_that_is_no_head_is_refused(heads):
    heads.write_bytes(b"{}\n")
    with pytest.raises(InvalidDataError, match="no head"):
        read_heads(heads, PUBLIC)


def test_keys_come_from_files(tmp_path):
    path = tmp_path / "key"
    with pytest.raises(NotFoundError):
        read_signing_key(path)
    path.write_text(new_signing_key())
    key = read_signing_key(path)
    (tmp_path / "public").write_text(public_pem(key.public_key()))
    assert read_public_key(tmp_path / "public") == read_public_key(path) == key.public_key()
    path.write_text("not a key")
    with pytest.raises(InvalidDataError, match="no Ed25519 key"):
        read_signing_key(path)
