"""Passwords are hashed with argon2id, and those guessed first are refused."""

import pytest

from contracts.errors import InvalidRequestError
from security.identity.passwords import (
    hash_password,
    needs_rehash,
    random_password,
    refuse_weak_password,
    verify_password,
)


def test_only_the_password_itself_fits_its_hash_and_each_hash_has_a_salt():
    first, second = hash_password("다리 위의 안개 7"), hash_password("다리 위의 안개 7")
    assert first != second
    assert first.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert verify_password("다리 위의 안개 7", first)
    assert not verify_password("다리 위의 안개 8", first)


def test_what_is_no_hash_fits_nothing():
    assert not verify_password("x", "plain text")


def test_a_hash_of_weaker_parameters_is_to_be_made_again():
    assert not needs_rehash("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA")
    assert needs_rehash("$argon2id$v=19$m=1024,t=1,p=1$c2FsdA$aGFzaA")


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "5 characters"),
        ("x" * 257, "257 characters"),
        ("aaaabbbbccccdddd", "4 different characters"),
        ("kim.minsu-2026!", "contains the user name"),
        ("Password1234", "is a common word with little beside it"),
    ],
)
def test_a_weak_password_is_refused_without_being_repeated(password, why):
    with pytest.raises(InvalidRequestError) as refused:
        refuse_weak_password(password, "kim.minsu")
    assert refused.value.value == why
    assert password not in refused.value.sentence()


def test_a_random_password_is_never_weak():
    for _ in range(50):
        # a name that random letters cannot spell: no random password has a dot
        refuse_weak_password(random_password(), "kim.minsu")
