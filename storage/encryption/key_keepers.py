"""Who keeps the key-encryption keys: a file, the environment (development only), or a Vault's transit engine."""

import base64
import json
import os
import secrets
import ssl
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from contracts.errors import DamagedFileError, InvalidRequestError, KeyUnavailableError
from storage.files import write_bytes_atomically

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A key as its keeper encrypted it."""

    kept_by: str
    """Which key-encryption key did: its keeper and version, such as `file:2`."""
    wrapped: str


class KeyKeeper(Protocol):
    """One interface over all keepers. The key-encryption key itself never leaves a Vault."""

    def newest(self) -> str:
        """The name of the key-encryption key that wraps from now on. Raises KeyUnavailableError."""
        ...

    def wrap(self, key: bytes, bound: bytes) -> WrappedKey:
        """Encrypt a key by the newest key-encryption key, bound to these bytes."""
        ...

    def unwrap(self, wrapped: WrappedKey, bound: bytes) -> bytes:
        """The key again. Raises KeyUnavailableError, or DamagedFileError where it is not what was wrapped."""
        ...

    def rotate(self) -> str:
        """Make a newer key-encryption key; those before it still open what they wrapped. Returns its name."""
        ...


class HeldKeys:
    """Key-encryption keys of this process's memory, by their version."""

    kind = "environment"

    def __init__(self, text: str, source: str) -> None:
        """`text`: `version:base64 of 32 bytes`, several divided by commas or lines. Raises InvalidRequestError."""
        self._keys = _parsed(text, source)

    def newest(self) -> str:
        """The highest version."""
        return f"{self.kind}:{max(self._keys)}"

    def wrap(self, key: bytes, bound: bytes) -> WrappedKey:
        """Encrypt by AES-256-GCM under the highest version."""
        name = self.newest()
        nonce = os.urandom(12)
        sealed = AESGCM(self._keys[max(self._keys)]).encrypt(nonce, key, name.encode() + b"\0" + bound)
        return WrappedKey(name, base64.b64encode(nonce + sealed).decode())

    def unwrap(self, wrapped: WrappedKey, bound: bytes) -> bytes:
        """Decrypt by the version that wrapped it."""
        kind, _, version = wrapped.kept_by.partition(":")
        key = self._keys.get(int(version)) if kind == self.kind and version.isdigit() else None
        if key is None:
            raise KeyUnavailableError(
                "The key-encryption key is not there",
                value=wrapped.kept_by,
                allowed=", ".join(f"{self.kind}:{known}" for known in sorted(self._keys)),
                next_step="put that key back beside the newer ones; `tuneway keys status` tells what still needs it",
            )
        try:
            sealed = base64.b64decode(wrapped.wrapped, validate=True)
            return AESGCM(key).decrypt(sealed[:12], sealed[12:], wrapped.kept_by.encode() + b"\0" + bound)
        except (ValueError, InvalidTag) as error:
            raise _not_what_was_wrapped(wrapped) from error

    def rotate(self) -> str:
        """The environment cannot be written: a new key is put there by hand."""
        raise InvalidRequestError(
            "A key in the environment is not changed by a command",
            value=self.newest(),
            next_step=f"add `{max(self._keys) + 1}:<base64 of 32 random bytes>` to "
            "TUNEWAY_KEY_ENCRYPTION_KEYS, start the platform again, then `tuneway keys rotate --no-new-key`",
        )


class KeyFile(HeldKeys):
    """Key-encryption keys in a file that its owner alone may read: one `version:base64` a line."""

    kind = "file"

    def __init__(self, path: Path) -> None:
        """Raises KeyUnavailableError where there is no such file, InvalidRequestError where others may read it."""
        self._path = path
        try:
            mode = path.stat().st_mode & 0o777
            text = path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise KeyUnavailableError(
                "The file of the key-encryption key cannot be read",
                value=f"{path}: {error.strerror if isinstance(error, OSError) else 'not text'}",
                allowed="a file of mode 0400 with one `version:base64` a line",
                next_step="put the key file back from where it is kept; without it nothing that is encrypted can be read",
            ) from error
        if mode & 0o077:
            raise InvalidRequestError(
                "Others may read the file of the key-encryption key",
                value=f"{path}, mode {mode:04o}",
                allowed="mode 0400",
                next_step=f"chmod 0400 {path}, and `tuneway keys rotate` if somebody may have read it",
            )
        super().__init__(text, str(path))

    def rotate(self) -> str:
        """Put a new version into the file; the file is replaced as a whole."""
        version = max(self._keys) + 1
        keys = {**self._keys, version: secrets.token_bytes(KEY_BYTES)}
        try:
            _write_key_file(self._path, keys)
        except OSError as error:
            raise InvalidRequestError(
                "The file of the key-encryption key cannot be written",
                value=f"{self._path}: {error.strerror}",
                next_step=f"let its keeper add the line `{version}:<base64 of 32 random bytes>`, then "
                "`tuneway keys rotate --no-new-key`",
            ) from error
        self._keys = keys
        return self.newest()


def make_key_file(path: Path) -> None:
    """A file with a first, random key of mode 0400; of two processes the first one's stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_key_file(path, {1: secrets.token_bytes(KEY_BYTES)}, replace=False)


class VaultTransit:
    """The transit engine of a HashiCorp Vault or OpenBao: keys are wrapped there, over HTTP.

    The engine's key must be of type `aes256-gcm96`, whose `associated_data` binds what is wrapped to its place.
    """

    def __init__(
        self,
        address: str,
        token: str,
        key_name: str,
        *,
        mount: str = "transit",
        ca_file: Path | None = None,
        timeout_seconds: float = 5.0,
    ) -> None:
        self._base = f"{address.rstrip('/')}/v1/{mount.strip('/')}"
        self._token, self._key_name, self._timeout = token, key_name, timeout_seconds
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if address.startswith("https://"):
            context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
            handlers.append(urllib.request.HTTPSHandler(context=context))
        self._opener = urllib.request.build_opener(*handlers)

    def newest(self) -> str:
        """The engine's latest version of the key."""
        return self._named(int(self._ask("GET", f"keys/{self._key_name}")["latest_version"]))

    def wrap(self, key: bytes, bound: bytes) -> WrappedKey:
        """Let the engine encrypt a key."""
        ciphertext = str(
            self._ask("POST", f"encrypt/{self._key_name}", plaintext=_base64(key), associated_data=_base64(bound))[
                "ciphertext"
            ]
        )
        # "vault:v3:…"
        return WrappedKey(self._named(int(ciphertext.split(":")[1].removeprefix("v"))), ciphertext)

    def unwrap(self, wrapped: WrappedKey, bound: bytes) -> bytes:
        """Let the engine decrypt it."""
        answer = self._ask(
            "POST", f"decrypt/{self._key_name}", ciphertext=wrapped.wrapped, associated_data=_base64(bound)
        )
        try:
            return base64.b64decode(str(answer["plaintext"]), validate=True)
        except (KeyError, ValueError) as error:
            raise _not_what_was_wrapped(wrapped) from error

    def rotate(self) -> str:
        """Let the engine make a new version; its policy must allow `keys/NAME/rotate`."""
        self._ask("POST", f"keys/{self._key_name}/rotate")
        return self.newest()

    def _named(self, version: int) -> str:
        return f"vault:{self._key_name}:{version}"

    def _ask(self, method: str, path: str, **body: str) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - the address is a setting of the site, http or https
            f"{self._base}/{path}",
            data=json.dumps(body).encode() if method == "POST" else None,
            method=method,
            headers={"X-Vault-Token": self._token, "Content-Type": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=self._timeout) as response:
                said = response.read()
            return dict(json.loads(said)["data"]) if said else {}
        except urllib.error.HTTPError as error:
            if error.code == 400 and path.startswith("decrypt/"):
                raise _not_what_was_wrapped(WrappedKey(self._key_name, "")) from error
            raise self._refused(error.code, error.read()) from error
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise KeyUnavailableError(
                "The Vault that keeps the key-encryption key does not answer",
                value=f"{self._base}: {error}",
                next_step="see that it runs, is unsealed and can be reached; nothing encrypted is read until then",
            ) from error

    def _refused(self, status: int, said: bytes) -> KeyUnavailableError:
        reasons = ""
        with suppress(ValueError, AttributeError, TypeError):
            reasons = "; ".join(map(str, json.loads(said).get("errors", [])))
        return KeyUnavailableError(
            "The Vault refuses to work with the key-encryption key",
            value=f"status {status}: {reasons[:200]}",
            allowed=f"a token whose policy allows encrypt, decrypt and read of {self._key_name}",
            next_step="check the token, the policy and whether the Vault is sealed",
        )


def _parsed(text: str, source: str) -> dict[int, bytes]:
    keys: dict[int, bytes] = {}
    for number, line in enumerate(text.replace(",", "\n").splitlines(), 1):
        if not line.strip():
            continue
        version, _, encoded = line.strip().partition(":")
        try:
            key = base64.b64decode(encoded, validate=True)
        except ValueError:
            key = b""
        if not version.isdigit() or int(version) in keys or len(key) != KEY_BYTES or not any(key):
            # the line is not repeated: it holds a secret
            raise InvalidRequestError(
                "A key-encryption key is not valid",
                value=f"{source}, entry {number}",
                allowed="`version:base64 of 32 random bytes`, each version once",
                next_step='make one with `python3 -c "import os,base64;print(base64.b64encode(os.urandom(32)).decode())"`',
            )
        keys[int(version)] = key
    if not keys:
        raise KeyUnavailableError(
            "There is no key-encryption key", value=source, next_step="see docs/encryption.md for where it is put"
        )
    return keys


def _write_key_file(path: Path, keys: dict[int, bytes], *, replace: bool = True) -> None:
    lines = "".join(f"{version}:{_base64(key)}\n" for version, key in sorted(keys.items()))
    write_bytes_atomically(path, lines.encode("ascii"), mode=0o400, replace=replace)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _not_what_was_wrapped(wrapped: WrappedKey) -> DamagedFileError:
    return DamagedFileError(
        "A wrapped key is not what was wrapped",
        value=wrapped.kept_by,
        next_step="restore the keyring from its backup; if nobody should have touched it, look at who did",
    )
