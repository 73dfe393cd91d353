"""Who keeps keys, and the keyring over it."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest

from contracts.errors import DamagedFileError, InvalidRequestError, KeyUnavailableError, NotFoundError
from storage.encryption.container import EncryptedReader, EncryptedWriter
from storage.encryption.key_keepers import HeldKeys, KeyFile, KeyKeeper, VaultTransit, WrappedKey, make_key_file
from storage.encryption.keyring import Keyring
from storage.encryption.values import ValueCipher, is_sealed
from tests.storage.encryption.keys import make_keyring
from tests.storage.encryption.vault import TOKEN, Vault, running_vault


def entry(version: int) -> str:
    return f"{version}:{base64.b64encode(os.urandom(32)).decode()}"


@pytest.fixture
def vault() -> Iterator[Vault]:
    with running_vault() as server:
        yield server


@pytest.fixture(params=["file", "environment", "vault"])
def keeper(request: pytest.FixtureRequest, tmp_path: Path, vault: Vault) -> KeyKeeper:
    if request.param == "environment":
        return HeldKeys(entry(1), "the test")
    if request.param == "vault":
        return VaultTransit(vault.url, TOKEN, "tuneway")
    make_key_file(tmp_path / "keys")
    return KeyFile(tmp_path / "keys")


def test_every_keeper_opens_what_it_wrapped_and_only_there(keeper: KeyKeeper) -> None:
    key = os.urandom(32)
    wrapped = keeper.wrap(key, b"here")
    assert keeper.unwrap(wrapped, b"here") == key
    assert wrapped.kept_by == keeper.newest()
    with pytest.raises(DamagedFileError):
        keeper.unwrap(wrapped, b"there")


@pytest.mark.parametrize("keeper", ["file", "vault"], indirect=True)
def test_a_newer_key_wraps_and_the_older_one_still_opens(keeper: KeyKeeper) -> None:
    wrapped = keeper.wrap(b"k" * 32, b"")
    assert keeper.rotate() == keeper.newest() != wrapped.kept_by
    assert keeper.wrap(b"k" * 32, b"").kept_by == keeper.newest()
    assert keeper.unwrap(wrapped, b"") == b"k" * 32


def test_a_key_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    make_key_file(path)
    first = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o400
    make_key_file(path)
    assert path.read_text() == first
    KeyFile(path).rotate()
    assert path.stat().st_mode & 0o777 == 0o400
    path.chmod(0o440)
    with pytest.raises(InvalidRequestError, match="Others may read"):
        KeyFile(path)


@pytest.mark.parametrize("text", ["1:abc", "x:" + "A" * 44, "1:" + base64.b64encode(bytes(32)).decode(), "234"])
def test_a_weak_or_broken_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        HeldKeys(text, "the test")
    assert text not in str(refused.value)


def test_no_key_at_all_is_refused() -> None:
    with pytest.raises(KeyUnavailableError, match="no key-encryption key"):
        HeldKeys("\n", "the test")


def test_the_environments_keys_are_changed_by_hand() -> None:
    keys = HeldKeys(f"{entry(1)},{entry(2)}", "the test")
    assert keys.newest() == "environment:2"
    with pytest.raises(InvalidRequestError, match="not changed by a command"):
        keys.rotate()


def test_a_missing_version_is_named(tmp_path: Path) -> None:
    make_key_file(tmp_path / "keys")
    with pytest.raises(KeyUnavailableError, match=r"file:9"):
        KeyFile(tmp_path / "keys").unwrap(WrappedKey("file:9", "AAAA"), b"")


def test_a_vault_that_refuses_or_is_gone_is_told_apart_from_damage(vault: Vault) -> None:
    with pytest.raises(KeyUnavailableError, match="status 403: permission denied"):
        VaultTransit(vault.url, "wrong", "tuneway").newest()
    vault.is_sealed = True
    with pytest.raises(KeyUnavailableError, match="sealed"):
        VaultTransit(vault.url, TOKEN, "tuneway").wrap(b"k" * 32, b"")
    with pytest.raises(KeyUnavailableError, match="does not answer"):
        VaultTransit("http://127.0.0.1:9", TOKEN, "tuneway", timeout_seconds=1).newest()


def test_the_vault_is_asked_once_a_scope_not_once_a_file(vault: Vault, tmp_path: Path) -> None:
    def keyring() -> Keyring:
        return Keyring(tmp_path / "keyring", VaultTransit(vault.url, TOKEN, "tuneway"))

    writing = keyring()
    for name in "abc":
        with EncryptedWriter(tmp_path / name, writing, "dataset/a") as stream:
            stream.write(name.encode())
    reading = keyring()
    vault.asked.clear()
    for name in "abc":
        with EncryptedReader(tmp_path / name, reading) as reader:
            assert reader.read() == name.encode()
    assert vault.asked == ["/v1/transit/decrypt/tuneway"]


def test_a_scopes_first_key_is_the_same_for_all_who_ask_at_once(tmp_path: Path) -> None:
    keyrings = [make_keyring(tmp_path) for _ in range(8)]
    found: list[tuple[str, bytes]] = []
    threads = [Thread(target=lambda k=k: found.append(k.current_key("dataset/a"))) for k in keyrings]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_keys_wrapped_by_the_older_key_are_wrapped_anew(tmp_path: Path) -> None:
    keyring = make_keyring(tmp_path)
    before = keyring.current_key("dataset/a")
    newest = keyring.keeper.rotate()
    assert keyring.rewrap("dataset/a") == 1
    assert keyring.rewrap("dataset/a") == 0
    assert [key.kept_by for key in keyring.scope_keys("dataset/a").keys] == [newest]
    # the older one may go now
    lines = (tmp_path / "key-encryption-keys").read_text().splitlines(keepends=True)
    (tmp_path / "key-encryption-keys").chmod(0o600)
    (tmp_path / "key-encryption-keys").write_text(lines[1])
    assert make_keyring(tmp_path).current_key("dataset/a") == before


def test_an_erased_scope_is_lost_and_says_so_also_to_who_had_opened_it(tmp_path: Path) -> None:
    keyring, other = make_keyring(tmp_path), make_keyring(tmp_path)
    path, value = tmp_path / "file", ValueCipher(keyring, "dataset/a").seal(b"v", "here")
    with EncryptedWriter(path, keyring, "dataset/a") as stream:
        stream.write(b"secret")
    reading = ValueCipher(other, "dataset/a")
    assert reading.open(value, "here") == b"v"
    wrapped = keyring.scope_keys("dataset/a").keys[0].wrapped
    keyring.erase("dataset/a")
    for keys in (keyring, other):
        with pytest.raises(KeyUnavailableError, match="was erased: its key is gone for good"):
            EncryptedReader(path, keys)
    with pytest.raises(KeyUnavailableError, match="erased"):
        reading.open(value, "here")
    assert wrapped not in "".join(file.read_text() for file in keyring.folder.iterdir())
    with pytest.raises(NotFoundError):
        keyring.erase("dataset/a")
    # the name can be used again, with another key
    with EncryptedWriter(path, other, "dataset/a") as stream:
        stream.write(b"new")
    with EncryptedReader(path, keyring) as reader:
        assert reader.read() == b"new"


def test_a_wrapped_key_of_one_scope_does_not_serve_another(tmp_path: Path) -> None:
    keyring = make_keyring(tmp_path)
    keyring.current_key("dataset/a")
    text = (keyring.folder / "dataset%2Fa.json").read_text()
    (keyring.folder / "dataset%2Fb.json").write_text(text.replace("dataset/a", "dataset/b"))
    with pytest.raises(DamagedFileError):
        keyring.current_key("dataset/b")


def test_a_value_in_the_alphabet_of_before_opens(tmp_path: Path) -> None:
    cipher = ValueCipher(make_keyring(tmp_path), "traffic")
    sealed = [cipher.seal(bytes([number]) * 50, "query/1") for number in range(20)]
    assert any("+" in text or "/" in text for text in sealed), "there is something to translate"
    for number, text in enumerate(sealed):
        before = text.replace("+", "-").replace("/", "_")
        assert cipher.open(before, "query/1") == cipher.open(text, "query/1") == bytes([number]) * 50


def test_a_value_opens_at_its_place_only(tmp_path: Path) -> None:
    keyring = make_keyring(tmp_path)
    cipher = ValueCipher(keyring, "traffic")
    sealed = cipher.seal("질문".encode(), "query/1")
    assert is_sealed(sealed)
    assert sealed != cipher.seal("질문".encode(), "query/1")
    assert ValueCipher(make_keyring(tmp_path), "traffic").open(sealed, "query/1").decode() == "질문"
    for text, context in [
        (sealed, "query/2"),
        (sealed[:-6] + "AAAAAA", "query/1"),
        (sealed[:40], "query/1"),
        ("tw1:not base64!", "query/1"),
        ("질문", "query/1"),
    ]:
        with pytest.raises(DamagedFileError):
            cipher.open(text, context)
