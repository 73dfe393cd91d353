"""One look at everything a registered version says of itself, kept until the next one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from contracts.provenance import ModelCheck
from contracts.record import utc_now
from storage.files import write_text_atomically

if TYPE_CHECKING:
    from stages.services import Services


def check_model(model_id: int, services: Services, *, actor: str) -> ModelCheck:
    """Signed, intact, whose mark it carries, and whether each file and MLflow are as registered.

    Reads every byte of the version and changes nothing of it; the answer is kept. Raises NotFoundError.
    """
    # mlflow comes with it, and takes seconds to import
    from stages.provenance import check_provenance
    from stages.verify_models import verify_models

    with services.unit_of_work() as uow:
        folder = Path(uow.models.get(model_id).model_path)
    check = ModelCheck(
        model_id=model_id,
        provenance=check_provenance(folder, services.settings),
        files=verify_models(services, model_id=model_id),
        checked_at=utc_now(),
        checked_by=actor,
    )
    path = _kept(model_id, services)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomically(path, check.model_dump_json(indent=1) + "\n")
    return check


def last_check(model_id: int, services: Services) -> ModelCheck | None:
    """The newest look; None where nobody has looked."""
    path = _kept(model_id, services)
    return ModelCheck.model_validate_json(path.read_text(encoding="utf-8")) if path.is_file() else None


def _kept(model_id: int, services: Services) -> Path:
    return services.settings.models_dir / "certificates" / f"check-{model_id}.json"
