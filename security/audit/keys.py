"""The Ed25519 key that signs heads of the audit trail."""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from contracts.errors import InvalidDataError, NotFoundError


def new_signing_key() -> str:
    """A new private key as PEM."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def read_signing_key(path: Path) -> Ed25519PrivateKey:
    """The private key of a PEM file. Raises NotFoundError and InvalidDataError."""
    try:
        key = load_pem_private_key(_pem(path), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise _not_a_key(path) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _not_a_key(path)
    return key


def read_public_key(path: Path) -> Ed25519PublicKey:
    """The public key of a PEM file; of a private key's file, the public half. Raises NotFoundError, InvalidDataError."""
    if b"PRIVATE KEY" in (pem := _pem(path)):
        return read_signing_key(path).public_key()
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _not_a_key(path) from error
    if not isinstance(key, Ed25519PublicKey):
        raise _not_a_key(path)
    return key


def public_pem(key: Ed25519PublicKey) -> str:
    """The key as PEM, to be kept where the chain is checked."""
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _pem(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(
            "There is no key to sign or check the audit trail with",
            value=path,
            next_step="run `tuneway migrate` once, which makes it",
        ) from error


def _not_a_key(path: Path) -> InvalidDataError:
    return InvalidDataError(
        "The file is no Ed25519 key",
        value=path,
        allowed="PEM, without a password",
        next_step="put the installation's own key back from its backup; a new key does not fit the old signatures",
    )
