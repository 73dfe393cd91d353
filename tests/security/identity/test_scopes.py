"""A key's scopes narrow what its account's role may."""

import pytest

from security.identity.opaque_tokens import generate_key, generate_refresh_token, hash_token, key_prefix
from security.identity.scopes import covers


@pytest.mark.parametrize(
    ("scopes", "is_covered"),
    [
        (None, True),
        (["job:stop"], True),
        (["job:*"], True),
        (["*:stop"], True),
        (["*:*"], True),
        ([], False),
        (["job:read", "model:stop"], False),
        (["jo:stop", "job:sto"], False),
    ],
)
def test_a_scope_covers_its_resource_and_action_only(scopes, is_covered):
    assert covers(scopes, "job", "stop") is is_covered


def test_a_key_is_known_by_its_prefix_and_proved_by_its_hash():
    key = generate_key()
    assert key_prefix(key.text) == key.prefix
    assert key.hashed == hash_token(key.text)
    assert key.text not in key.hashed
    assert generate_key().text != key.text


def test_what_is_no_key_has_no_prefix():
    for text in ("", "twk_", generate_refresh_token(), generate_key().text + "x", "a.b.c"):
        assert key_prefix(text) is None, text
