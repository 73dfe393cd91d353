"""An access token is taken only as it was issued: every other algorithm, type, key, audience or missing claim is refused."""

import base64
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from contracts.errors import InvalidRequestError, UnauthorizedError
from security.identity.access_tokens import AccessTokens, SigningKey

SEED = base64.urlsafe_b64encode(bytes(range(32))).decode()
OTHER = base64.urlsafe_b64encode(bytes(range(1, 33))).decode()
TOKENS = AccessTokens(SEED)


def now():
    return datetime.now(UTC)


def claims(**changes):
    moment = now()
    whole = {
        "iss": "tuneway", "aud": "tuneway-api", "sub": "kim", "iat": moment, "nbf": moment,
        "exp": moment + timedelta(minutes=10), "jti": "j", "sid": "s", "role": "viewer",
    }  # fmt: skip
    return {name: value for name, value in {**whole, **changes}.items() if value is not None}


def signed(payload, *, key=None, algorithm="EdDSA", **headers):
    own = SigningKey(SEED)
    return jwt.encode(
        payload,
        own.private if key is None else key,
        algorithm=algorithm,
        headers={"typ": "at+jwt", "kid": own.jwk["kid"], **headers},
    )


def test_what_was_issued_is_verified_and_says_the_same():
    moment = now().replace(microsecond=0)
    found = TOKENS.verify(TOKENS.issue("kim", "analyst", ["roads"], "session-1", moment))
    assert (found.username, found.session_id) == ("kim", "session-1")
    assert found.issued_at == moment
    assert found.expires_at == moment + timedelta(minutes=15)


def test_each_token_has_an_id_of_its_own():
    issued = {TOKENS.verify(TOKENS.issue("kim", "viewer", [], "s", now())).token_id for _ in range(5)}
    assert len(issued) == 5


def test_the_handmade_token_of_these_tests_is_good_until_something_is_changed():
    assert TOKENS.verify(signed(claims())).username == "kim"


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "exp", "iat", "nbf", "jti", "sid", "role"])
def test_a_token_without_one_of_its_claims_is_refused(name):
    with pytest.raises(UnauthorizedError):
        TOKENS.verify(signed(claims(**{name: None})))


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "somebody"},
        {"aud": "other-api"},
        {"aud": ["tuneway-api", "other-api"]},
        {"exp": timedelta(minutes=-1)},
        {"nbf": timedelta(minutes=5)},
        {"exp": timedelta(days=1)},
        {"sid": 7},
    ],
)
def test_a_token_for_others_or_of_another_time_or_too_long_a_life_is_refused(change):
    values = {name: now() + value if isinstance(value, timedelta) else value for name, value in change.items()}
    with pytest.raises(UnauthorizedError):
        TOKENS.verify(signed(claims(**values)))


def test_another_type_is_refused():
    with pytest.raises(UnauthorizedError):
        TOKENS.verify(signed(claims(), typ="JWT"))


def test_neither_no_signature_nor_an_hmac_with_the_public_key_is_taken():
    public = SigningKey(SEED).public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    for token in (
        signed(claims(), key="", algorithm="none"),
        signed(claims(), key=public, algorithm="HS256"),
        signed(claims(), key=SigningKey(OTHER).private),
        signed(claims(), kid="unknown"),
        "not.a.token",
        "",
    ):
        with pytest.raises(UnauthorizedError):
            TOKENS.verify(token)


def test_a_changed_payload_is_refused():
    head, payload, signature = signed(claims()).split(".")
    changed = {**json.loads(base64.urlsafe_b64decode(payload + "==")), "sub": "admin"}
    forged = base64.urlsafe_b64encode(json.dumps(changed).encode()).rstrip(b"=").decode()
    with pytest.raises(UnauthorizedError):
        TOKENS.verify(f"{head}.{forged}.{signature}")


def test_a_new_key_signs_while_the_old_one_still_verifies():
    old = TOKENS.issue("kim", "viewer", [], "s", now())
    both = AccessTokens(f"{OTHER}\n{SEED}\n")
    assert both.verify(old).username == "kim"
    new = both.issue("kim", "viewer", [], "s", now())
    with pytest.raises(UnauthorizedError):
        TOKENS.verify(new)
    assert [key["kid"] for key in both.jwks()["keys"]] == [SigningKey(OTHER).jwk["kid"], SigningKey(SEED).jwk["kid"]]


def test_the_published_keys_verify_with_nothing_else_at_hand():
    (published,) = TOKENS.jwks()["keys"]
    assert "d" not in published
    token = TOKENS.issue("kim", "viewer", [], "s", now())
    key = jwt.PyJWK(published)
    assert jwt.get_unverified_header(token)["kid"] == published["kid"]
    assert jwt.decode(token, key, algorithms=["EdDSA"], audience="tuneway-api")["sub"] == "kim"


def test_the_thumbprint_is_the_one_of_the_rfc():
    # RFC 8037, appendix A.1 and A.3
    seed = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
    assert SigningKey(seed).jwk["x"] == "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    assert SigningKey(seed).jwk["kid"] == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("secret", ["", "short", "!" * 43, SEED + "AAAA"])
def test_what_is_no_key_is_refused(secret):
    with pytest.raises(InvalidRequestError, match="signing key"):
        AccessTokens(secret)
