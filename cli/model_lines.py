"""What the commands over model versions say in the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cli.screen import Screen
    from contracts.models import ModelVersion


def title_of(version: ModelVersion) -> str:
    """`regulations@3`, as commands take it."""
    return f"{version.model_name}@{version.version}"


def warn_of_mlflow(error: str | None, screen: Screen) -> None:
    """MLflow does not show it yet; nothing where it does."""
    if error is not None:
        screen.warn("model.mlflow_lags", error=error)
