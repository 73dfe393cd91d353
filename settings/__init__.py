"""One typed settings object; the only place that reads the environment."""

from settings.model import Settings, language, load_settings
from settings.secrets import SecretName, read_secret, refuse_weak_secrets

__all__ = ["SecretName", "Settings", "language", "load_settings", "read_secret", "refuse_weak_secrets"]
