"""The site's OpenID Connect provider: authorisation code with PKCE. What an ID token must be is fixed here, never taken from it."""

import base64
import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import jwt

from contracts.errors import InvalidRequestError, UnauthorizedError, UnavailableError

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""Signatures with a public key only: never HMAC, never none."""
REQUIRED = ["iss", "aud", "sub", "exp", "iat", "nonce"]
LEEWAY_SECONDS = 30
OLDEST_SECONDS = 600
"""An ID token that was made longer ago belongs to no login of now."""
METADATA_SECONDS = 600.0
KEYS_AGAIN_SECONDS = 30.0
"""A token with an unknown key makes the keys be read again, but not more often."""
TIMEOUT_SECONDS = 5.0
MOST_BYTES = 1_000_000
SCOPES = "openid profile email groups"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a login keeps until the browser comes back."""

    state: str
    nonce: str
    verifier: str

    @classmethod
    def fresh(cls) -> "Challenge":
        """256 random bits each."""
        return cls(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(32))


class OidcProvider:
    """One provider, by its discovery document. Safe to use from several threads."""

    def __init__(
        self,
        issuer: str,
        client_id: str,
        client_secret: str | None,
        *,
        scopes: str = SCOPES,
        ca_file: str | None = None,
    ) -> None:
        """Raises InvalidRequestError for an issuer that is not HTTPS, unless it is on this machine."""
        _refuse_plain(issuer, "issuer")
        self._issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._scopes = scopes
        # the site's provider is within the site: a proxy for the outside must not catch the call
        self._client = httpx.Client(
            timeout=TIMEOUT_SECONDS, trust_env=False, verify=ca_file or True, follow_redirects=False
        )
        self._metadata: tuple[float, dict[str, Any]] | None = None
        self._keys: tuple[float, dict[str, dict[str, Any]]] | None = None

    def authorization_url(self, redirect_uri: str, challenge: Challenge) -> str:
        """Where the browser logs in. Raises UnavailableError where the provider does not answer."""
        digest = hashlib.sha256(challenge.verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": self._scopes,
            "state": challenge.state,
            "nonce": challenge.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        endpoint = self._endpoint("authorization_endpoint")
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"

    def claims(self, code: str, redirect_uri: str, challenge: Challenge) -> dict[str, Any]:
        """Who logged in, by the code that the browser brought.

        Raises UnauthorizedError for a code or token that is not good, UnavailableError where the provider does not answer.
        """
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": challenge.verifier,
        }
        auth = None
        if self._client_secret is None:
            form["client_id"] = self._client_id
        else:
            auth = httpx.BasicAuth(_quoted(self._client_id), _quoted(self._client_secret))
        try:
            response = self._client.post(
                self._endpoint("token_endpoint"), data=form, auth=auth or httpx.USE_CLIENT_DEFAULT
            )
        except httpx.HTTPError as error:
            raise _away(error) from error
        if response.status_code >= 500:
            raise _away(f"status {response.status_code}")
        answer = _json(response)
        token = answer.get("id_token")
        if response.status_code != 200 or not isinstance(token, str):
            raise refused(f"the provider refused the code: {str(answer.get('error', response.status_code))[:100]}")
        return self._verified(token, challenge.nonce)

    def _verified(self, token: str, nonce: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            algorithm = str(header.get("alg"))
            if algorithm not in ALGORITHMS:
                raise jwt.InvalidAlgorithmError(f"algorithm {algorithm[:20]}")
            key = jwt.PyJWK(self._key(str(header.get("kid", "")), algorithm), algorithm=algorithm)
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._client_id,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": REQUIRED},
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise refused(str(error)) from error
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else self._client_id) != self._client_id:
            raise refused("the token was made for another client")
        if not secrets.compare_digest(str(claims["nonce"]).encode(), nonce.encode()):
            raise refused("the token belongs to another login")
        if claims["iat"] < time.time() - OLDEST_SECONDS or not isinstance(claims["sub"], str) or not claims["sub"]:
            raise refused("the token is too old, or names nobody")
        return claims

    def _key(self, kid: str, algorithm: str) -> dict[str, Any]:
        now = time.monotonic()
        read_at, keys = self._keys or (0.0, {})
        if self._keys is None or (kid not in keys and now - read_at > KEYS_AGAIN_SECONDS):
            found = self._get(self._endpoint("jwks_uri")).get("keys")
            keys = {
                str(key.get("kid", "")): key
                for key in (found if isinstance(found, list) else [])
                if isinstance(key, dict) and key.get("use", "sig") == "sig" and key.get("kty") in {"RSA", "EC", "OKP"}
            }
            self._keys = (now, keys)
        key = keys.get(kid)
        if key is None or key.get("alg", algorithm) != algorithm:
            raise jwt.InvalidKeyError("the provider has no such key")
        return key

    def _endpoint(self, name: str) -> str:
        now = time.monotonic()
        if self._metadata is None or now - self._metadata[0] > METADATA_SECONDS:
            metadata = self._get(f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            if metadata.get("issuer") != self._issuer:
                raise InvalidRequestError(
                    "The provider calls itself by another name",
                    value=str(metadata.get("issuer"))[:200],
                    allowed=self._issuer,
                    next_step="set TUNEWAY_OIDC_ISSUER to the name that the provider's discovery document gives",
                )
            self._metadata = (now, metadata)
        url = self._metadata[1].get(name)
        if not isinstance(url, str):
            raise _away(f"its discovery document has no {name}")
        _refuse_plain(url, name)
        return url

    def _get(self, url: str) -> dict[str, Any]:
        try:
            response = self._client.get(url)
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise _away(error) from error
        return _json(response)


def refused(why: str) -> UnauthorizedError:
    """The one answer to a login at the provider that did not succeed."""
    return UnauthorizedError(
        "The login at the site's provider did not succeed", value=why, next_step="log in again from the beginning"
    )


def values_of(claims: Mapping[str, Any], path: str) -> list[str]:
    """The texts of a claim: one text or a list of them; `realm_access.roles` looks into objects. Empty where it is not there."""
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
    if isinstance(found, str):
        return [found]
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def _quoted(text: str) -> str:
    """RFC 6749, 2.3.1: name and secret are form-encoded before they become a password."""
    return urlencode({"": text})[1:]


def _json(response: httpx.Response) -> dict[str, Any]:
    try:
        answer = response.json() if len(response.content) <= MOST_BYTES else None
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise _away("an answer of another shape")
    return answer


def _away(why: object) -> UnavailableError:
    return UnavailableError(
        "The site's OIDC provider does not answer as it should",
        value=str(why)[:300],
        next_step="try again later, or log in with a password of this platform",
    )


def _refuse_plain(url: str, name: str) -> None:
    parts = urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise InvalidRequestError(
            f"The provider's {name} must be an HTTPS address",
            value=url[:200],
            allowed="https://..., or http:// on this machine",
            next_step="correct TUNEWAY_OIDC_ISSUER, or the provider's own addresses",
        )
