"""A folder's signature says who signed it and whether every file is as it was then."""

import base64
import json

import pytest

from contracts.enums import SignatureState
from contracts.errors import InvalidRequestError
from security.signing import SIGNATURE_FILE, check_signature, make_key_pair, sign_folder
from tests.security.model_folders import plain_folder


@pytest.fixture
def signed(tmp_path):
    folder = plain_folder(tmp_path / "model")
    make_key_pair(tmp_path / "private.pem", tmp_path / "signers" / "audit-office.pem")
    sign_folder(folder, tmp_path / "private.pem", besides=["README.ko.md"])
    return folder, [tmp_path / "signers" / "audit-office.pem"]


def test_a_signed_folder_is_intact_and_its_signer_is_named(signed, tmp_path):
    folder, trusted = signed
    (folder / "README.ko.md").write_text("written later")
    found = check_signature(folder, trusted)
    assert (found.state, found.signer, found.changed) == (SignatureState.INTACT, "audit-office", [])
    assert (tmp_path / "private.pem").stat().st_mode & 0o777 == 0o400


@pytest.mark.parametrize("change", ["flip", "remove", "add"])
def test_a_changed_a_lost_and_an_added_file_are_named(signed, change):
    folder, trusted = signed
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    if change == "flip":
        weights.write_bytes(content)
    elif change == "remove":
        weights.unlink()
    else:
        (folder / "model-2.safetensors").write_bytes(content)
    found = check_signature(folder, trusted)
    assert found.state is SignatureState.CHANGED
    assert found.changed == ["model-2.safetensors" if change == "add" else "model.safetensors"]


def test_another_signer_a_forged_list_a_broken_file_and_none_are_told_apart(signed, tmp_path):
    folder, trusted = signed
    path = folder / SIGNATURE_FILE
    make_key_pair(tmp_path / "other.pem", tmp_path / "other-public.pem")
    assert check_signature(folder, [tmp_path / "other-public.pem"]).state is SignatureState.UNKNOWN_SIGNER
    bundle = json.loads(path.read_text())
    payload = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    payload["predicate"]["resources"] = []
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    path.write_text(json.dumps(bundle))
    assert check_signature(folder, trusted).state is SignatureState.UNKNOWN_SIGNER
    for text in ("{}", "[", '{"dsseEnvelope": {"payload": "!"}}'):
        path.write_text(text)
        assert check_signature(folder, trusted).state is SignatureState.BROKEN
    path.unlink()
    assert check_signature(folder, trusted).state is SignatureState.UNSIGNED


def test_the_bundle_has_the_fields_of_openssf_model_signing(signed):
    folder, _ = signed
    bundle = json.loads((folder / SIGNATURE_FILE).read_text())
    assert bundle["mediaType"] == "application/vnd.dev.sigstore.bundle.v0.3+json"
    assert len(bundle["verificationMaterial"]["publicKey"]["hint"]) == 64
    statement = json.loads(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    assert statement["predicateType"] == "https://model_signing/signature/v1.0"
    assert [part["name"] for part in statement["predicate"]["resources"]] == [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
    ]


def test_a_key_is_never_written_over_and_no_other_key_is_taken(signed, tmp_path):
    folder, _ = signed
    with pytest.raises(InvalidRequestError, match="already"):
        make_key_pair(tmp_path / "private.pem", tmp_path / "new.pem")
    (tmp_path / "none.pem").write_text("none")
    for path in (tmp_path / "none.pem", tmp_path / "absent.pem"):
        with pytest.raises(InvalidRequestError, match="no private key"):
            sign_folder(folder, path)
