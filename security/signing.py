"""Signatures over a model's folder, in the format of OpenSSF model signing 1.0, made and checked offline.

A Sigstore bundle holds a DSSE envelope; in it an in-toto statement names every file with its SHA-256, and a digest over
those digests. `model_signing verify key --signature model.sig --public_key KEY FOLDER` checks the same file. The key is a
P-256 key in PEM; the private one may stay on another machine.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from contracts.enums import SignatureState
from contracts.errors import InvalidDataError, InvalidRequestError
from contracts.provenance import SignatureFound
from storage.files import sha256_of_file, write_json_atomically

SIGNATURE_FILE = "model.sig"
PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
BUNDLE_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
IGNORED = (SIGNATURE_FILE, ".git", ".gitattributes", ".github", ".gitignore")
MAX_SIGNATURE_BYTES = 16 << 20


def sign_folder(folder: Path, private_key: Path, *, besides: Sequence[str] = ()) -> str:
    """Write `model.sig` into the folder; the SHA-256 of the public key. Files in `besides` are not signed.

    Raises InvalidRequestError for a key of another kind.
    """
    payload = json.dumps(_statement(folder, (*IGNORED, *besides)), sort_keys=True).encode()
    signature, fingerprint = sign_bytes(_encoded_for_signing(payload), private_key)
    write_json_atomically(
        folder / SIGNATURE_FILE,
        {
            "mediaType": BUNDLE_TYPE,
            "verificationMaterial": {"publicKey": {"hint": fingerprint}, "tlogEntries": []},
            "dsseEnvelope": {
                "payload": base64.b64encode(payload).decode(),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [{"sig": base64.b64encode(signature).decode(), "keyid": ""}],
            },
        },
    )
    return fingerprint


def sign_bytes(content: bytes, private_key: Path) -> tuple[bytes, str]:
    """The signature in DER, which `openssl dgst -sha256 -verify` checks too, and the SHA-256 of the public key.

    Raises InvalidRequestError for a key of another kind.
    """
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(private_key.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise _no_key(private_key, "private") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise _no_key(private_key, "private")
    return key.sign(content, ec.ECDSA(SHA256())), fingerprint_of(key.public_key())


def check_signature(folder: Path, trusted: Sequence[Path]) -> SignatureFound:
    """Is the folder signed, by whom of the trusted public keys, and is every file as it was signed?"""
    path = folder / SIGNATURE_FILE
    if not path.is_file():
        return SignatureFound(state=SignatureState.UNSIGNED)
    try:
        if path.stat().st_size > MAX_SIGNATURE_BYTES:
            raise ValueError("too large")
        bundle = json.loads(path.read_text(encoding="utf-8"))
        envelope = bundle["dsseEnvelope"]
        payload = base64.b64decode(envelope["payload"], validate=True)
        signature = base64.b64decode(envelope["signatures"][0]["sig"], validate=True)
        hint = str(bundle["verificationMaterial"]["publicKey"]["hint"])
        if envelope["payloadType"] != PAYLOAD_TYPE:
            raise ValueError("another payload")
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return SignatureFound(state=SignatureState.BROKEN)
    signer = next((key for key in trusted if _verifies(key, payload, signature)), None)
    if signer is None:
        return SignatureFound(state=SignatureState.UNKNOWN_SIGNER, fingerprint=hint)
    changed = _changed(folder, json.loads(payload))
    return SignatureFound(
        state=SignatureState.CHANGED if changed else SignatureState.INTACT,
        signer=signer.stem,
        fingerprint=fingerprint_of(_public_key(signer)),
        changed=changed,
    )


def make_key_pair(private_key: Path, public_key: Path) -> None:
    """A new P-256 pair: the private key readable by its owner only. Raises InvalidRequestError where a file is there."""
    import os

    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

    for path in (private_key, public_key):
        if path.exists():
            raise InvalidRequestError(
                "There is a file of this name already", value=path, next_step="choose another name for the new key"
            )
        path.parent.mkdir(parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    descriptor = os.open(private_key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public_key.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))


def fingerprint_of(public_key: Any) -> str:
    """SHA-256 of the public key's PEM, as the format has it."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(public_key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)).hexdigest()


def _statement(folder: Path, ignored: Sequence[str]) -> dict[str, Any]:
    resources = [
        {"name": name, "algorithm": "sha256", "digest": sha256_of_file(folder / name)}
        for name in _files(folder, ignored)
    ]
    root = hashlib.sha256(b"".join(bytes.fromhex(resource["digest"]) for resource in resources)).hexdigest()
    return {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": folder.name, "digest": {"sha256": root}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": sorted(ignored),
            },
            "resources": resources,
        },
    }


def _changed(folder: Path, statement: dict[str, Any]) -> list[str]:
    """Files that are not as they were signed: other bytes, gone, or added since."""
    if statement.get("_type") != STATEMENT_TYPE or statement.get("predicateType") != PREDICATE_TYPE:
        return [SIGNATURE_FILE]
    predicate = statement["predicate"]
    signed = {str(resource["name"]): str(resource["digest"]) for resource in predicate["resources"]}
    ignored = [str(name) for name in predicate["serialization"].get("ignore_paths", IGNORED)]
    present = set(_files(folder, ignored))
    return sorted(
        {name for name in present if signed.get(name) != sha256_of_file(folder / name)} | (signed.keys() - present)
    )


def _files(folder: Path, ignored: Sequence[str]) -> list[str]:
    """Names of the files below the folder, in the order in which the format hashes them."""
    names = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if name.split("/")[0] in ignored or name in ignored:
            continue
        if path.is_symlink():
            raise InvalidDataError(
                "A model's folder with a symbolic link in it is not signed",
                value=path,
                allowed="plain files",
                next_step="put the file itself there",
            )
        if path.is_file():
            names.append(name)
    return sorted(names)


def _verifies(public_key: Path, payload: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        _public_key(public_key).verify(signature, _encoded_for_signing(payload), ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def _public_key(path: Path) -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _no_key(path, "public") from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise _no_key(path, "public")
    return key


def _encoded_for_signing(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding, version 1."""
    return b"DSSEv1 %d %s %d %s" % (len(PAYLOAD_TYPE), PAYLOAD_TYPE.encode(), len(payload), payload)


def _no_key(path: Path, kind: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"This is no {kind} key for signatures",
        value=path,
        allowed=f"a {kind} P-256 key in PEM, without a password",
        next_step="make one with `tuneway model signing-key PRIVATE.pem PUBLIC.pem`",
    )
