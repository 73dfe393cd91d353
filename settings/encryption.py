"""The keys of this installation, as its settings say."""

import re
from pathlib import Path

from contracts.errors import InvalidRequestError, KeyUnavailableError
from settings.model import Settings
from storage.encryption.installed import Installation, install_keyring
from storage.encryption.key_keepers import HeldKeys, KeyFile, KeyKeeper, VaultTransit, make_key_file
from storage.encryption.keyring import Keyring

DEFAULT_KEY_FILE = "key_encryption_keys"
TRAFFIC_SCOPE = "traffic"
"""Of recorded questions and answers."""

_OF_DATASETS = frozenset({"versions", "preferences", "generations"})
_IMPORT = re.compile(r"^\.?(?P<name>.+)-[0-9a-f]{16}(\.[0-9a-f]{32}\.tmp)?$")


def use_encryption(settings: Settings) -> Installation:
    """Let this process write and read what lies in the data folder with the installation's keys."""
    return install_keyring(
        settings.data_dir, lambda: open_keyring(settings), scope_of, encrypts=settings.encryption == "on"
    )


def open_keyring(settings: Settings) -> Keyring:
    """The keyring with its keeper. Raises KeyUnavailableError or InvalidRequestError."""
    return Keyring(settings.keyring_dir, _keeper(settings))


def dataset_scope(name: str) -> str:
    """What is erased with a dataset."""
    return f"dataset/{name}"


def scope_of(path: Path) -> str:
    """What a file belongs to, by its path below the data folder: its dataset, else the folder in which it lies."""
    parts = path.parts
    if parts[0] == "datasets" and len(parts) > 2:
        if parts[1] in _OF_DATASETS:
            return dataset_scope(parts[2])
        if parts[1] == "imports" and (found := _IMPORT.match(parts[2])):
            return dataset_scope(found["name"])
    # what is made from recorded texts is lost with them
    return TRAFFIC_SCOPE if parts[0] == "replays" else parts[0]


def key_file(settings: Settings) -> Path:
    """Where the key-encryption key lies, for key_keeper=file."""
    return settings.key_file or settings.secrets_dir / DEFAULT_KEY_FILE


def require_kept_apart(settings: Settings) -> None:
    """Raise InvalidRequestError where the key-encryption key lies beside what it protects; for production."""
    if settings.key_keeper == "vault":
        return
    file = key_file(settings).resolve()
    if settings.key_keeper == "environment" or file.is_relative_to(settings.data_dir.resolve()):
        raise InvalidRequestError(
            "In production mode the key-encryption key does not lie beside what it protects",
            value="the environment" if settings.key_keeper == "environment" else file,
            allowed="a key file of mode 0400 outside the data folder, or a Vault",
            next_step="move the file away, name it in TUNEWAY_KEY_FILE, or set TUNEWAY_KEY_KEEPER=vault",
        )


def _keeper(settings: Settings) -> KeyKeeper:
    if settings.production:
        require_kept_apart(settings)
    if settings.key_keeper == "vault":
        return _vault(settings)
    if settings.key_keeper == "environment":
        if settings.key_encryption_keys is None:
            raise _missing("TUNEWAY_KEY_ENCRYPTION_KEYS", "one or more `version:base64 of 32 random bytes`")
        return HeldKeys(settings.key_encryption_keys.get_secret_value(), "TUNEWAY_KEY_ENCRYPTION_KEYS")
    path = key_file(settings)
    if not path.exists() and settings.key_file is None:
        if any(settings.keyring_dir.glob("*.json")):
            raise KeyUnavailableError(
                "The file of the key-encryption key is gone, and files are encrypted by it",
                value=path,
                next_step="put it back from where its copy is kept; a new one would not open what is there",
            )
        make_key_file(path)
    return KeyFile(path)


def _vault(settings: Settings) -> VaultTransit:
    if settings.vault_url is None or not settings.vault_url.startswith(("https://", "http://")):
        raise _missing("TUNEWAY_VAULT_URL", "an address such as https://vault.example:8200")
    if settings.vault_token_file is None:
        raise _missing("TUNEWAY_VAULT_TOKEN_FILE", "a file that holds the token")
    try:
        token = settings.vault_token_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise KeyUnavailableError(
            "The token for the Vault cannot be read",
            value=f"{settings.vault_token_file}: {error.strerror}",
            next_step="check TUNEWAY_VAULT_TOKEN_FILE and the file's permissions",
        ) from error
    return VaultTransit(
        settings.vault_url, token, settings.vault_key, mount=settings.vault_mount, ca_file=settings.vault_ca_file
    )


def _missing(variable: str, allowed: str) -> InvalidRequestError:
    return InvalidRequestError(
        f"The setting {variable} is missing", value=None, allowed=allowed, next_step=f"set {variable}"
    )
