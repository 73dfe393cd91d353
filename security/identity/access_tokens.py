"""Access tokens: JWTs signed with Ed25519. The algorithm, the type and the claims are fixed here, never taken from a token."""

import base64
import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any
from uuid import uuid4

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from contracts.errors import InvalidRequestError, UnauthorizedError

ALGORITHM = "EdDSA"
TYPE = "at+jwt"
"""RFC 9068."""
ISSUER = "tuneway"
AUDIENCE = "tuneway-api"
LIFETIME = timedelta(minutes=15)
LEEWAY = timedelta(seconds=5)
SEALED_TYPE = "tuneway-login+jwt"
SEALED_FOR = timedelta(minutes=10)
REQUIRED = ["iss", "aud", "sub", "exp", "iat", "nbf", "jti", "sid", "role"]
SEED_BYTES = 32


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a valid token says. The role is a hint for clients: what may be done is looked up at each call."""

    username: str
    token_id: str
    session_id: str
    issued_at: datetime
    expires_at: datetime


class SigningKey:
    """One Ed25519 key pair and its public name."""

    def __init__(self, seed: str) -> None:
        """From 32 bytes in URL-safe base64. Raises InvalidRequestError for anything else."""
        try:
            raw = base64.b64decode(seed + "=" * (-len(seed) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        if len(raw) != SEED_BYTES:
            raise InvalidRequestError(
                "The signing key of the access tokens is not valid",
                value=f"{len(raw)} bytes",
                allowed=f"{SEED_BYTES} bytes in URL-safe base64, one key a line, the first one signs",
                next_step="put the file token_key of the secrets folder back from the backup, or remove it and run "
                "`tuneway migrate` to make a new one: everybody has to log in again",
            )
        self.private: Ed25519PrivateKey = Ed25519PrivateKey.from_private_bytes(raw)

    @cached_property
    def public(self) -> Ed25519PublicKey:
        """The half that verifies."""
        return self.private.public_key()

    @cached_property
    def jwk(self) -> dict[str, str]:
        """The public half (RFC 8037) with its thumbprint (RFC 7638) as `kid`."""
        x = _base64url(self.public.public_bytes(Encoding.Raw, PublicFormat.Raw))
        members = {"crv": "Ed25519", "kty": "OKP", "x": x}
        thumbprint = hashlib.sha256(json.dumps(members, separators=(",", ":"), sort_keys=True).encode()).digest()
        return {**members, "kid": _base64url(thumbprint), "alg": ALGORITHM, "use": "sig"}


class AccessTokens:
    """Signs with the first key, verifies with each of them: a new key goes on top, the old one leaves 15 minutes later."""

    def __init__(self, secret: str) -> None:
        """From the secret file's text. Raises InvalidRequestError where a line is not a key."""
        self._keys = [SigningKey(line.strip()) for line in secret.splitlines() if line.strip()] or [SigningKey("")]

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys, for whoever wants to verify a token (RFC 7517)."""
        return {"keys": [key.jwk for key in self._keys]}

    def issue(self, username: str, role: str, projects: list[str], session_id: str, now: datetime) -> str:
        """A token that is good from now on for 15 minutes."""
        key = self._keys[0]
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": username,
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
            "jti": uuid4().hex,
            "sid": session_id,
            "role": role,
            "projects": projects,
        }
        return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"typ": TYPE, "kid": key.jwk["kid"]})

    def seal(self, kept: dict[str, str]) -> str:
        """Signed texts for a browser to keep while it logs in elsewhere; no access token, and none can be made of them."""
        key = self._keys[0]
        claims = {"kept": kept, "exp": datetime.now(UTC) + SEALED_FOR}
        return jwt.encode(claims, key.private, algorithm=ALGORITHM, headers={"typ": SEALED_TYPE, "kid": key.jwk["kid"]})

    def unseal(self, sealed: str) -> dict[str, str]:
        """What was sealed; empty where it was not, or too long ago."""
        try:
            header = jwt.get_unverified_header(sealed)
            key = next((key for key in self._keys if key.jwk["kid"] == header.get("kid")), None)
            if key is None or header.get("typ") != SEALED_TYPE:
                return {}
            claims = jwt.decode(sealed, key.public, algorithms=[ALGORITHM], options={"require": ["exp", "kept"]})
        except (jwt.PyJWTError, ValueError):
            return {}
        kept: dict[str, str] = claims["kept"]
        return kept

    def verify(self, token: str) -> AccessClaims:
        """What the token says. Raises UnauthorizedError when it is not ours, not complete, or not good any more."""
        try:
            header = jwt.get_unverified_header(token)
            key = next((key for key in self._keys if key.jwk["kid"] == header.get("kid")), None)
            if key is None or header.get("typ") != TYPE:
                raise jwt.InvalidTokenError("unknown key or type")
            claims: dict[str, Any] = jwt.decode(
                token,
                key.public,
                algorithms=[ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                leeway=LEEWAY,
                options={"require": REQUIRED, "strict_aud": True},
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise refused(str(error)) from error
        lifetime = claims["exp"] - claims["iat"]
        if (
            not all(isinstance(claims[name], str) for name in ("sub", "jti", "sid"))
            or lifetime > LIFETIME.total_seconds()
        ):
            raise refused("claims of another shape")
        return AccessClaims(
            username=claims["sub"],
            token_id=claims["jti"],
            session_id=claims["sid"],
            issued_at=datetime.fromtimestamp(claims["iat"], UTC),
            expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        )


def refused(why: str) -> UnauthorizedError:
    """The one answer to a call without a good proof."""
    return UnauthorizedError(
        "The call carries no valid access token or key",
        value=why,
        allowed="Authorization: Bearer <access token of POST /api/v1/auth/login, or a service account's key>",
        next_step="log in again, or make a key: `tuneway token create`",
    )


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
