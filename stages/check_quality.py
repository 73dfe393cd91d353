"""Stage check_quality: may GPU time be spent on a dataset version?"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.datasets import QualityReport
from contracts.preferences import PreferencesRequest
from data_prep.checking import check_version
from data_prep.checking_preferences import check_preferences, holds_preferences
from data_prep.contamination.test_suites import read_test_suites
from data_prep.masking.masker import Masker
from data_prep.policies import load_policy
from stages.progress import LoggedProgress
from stages.suites import suite_path
from storage.files import read_json

if TYPE_CHECKING:
    from contracts.data_policy import DataPolicy
    from contracts.datasets import QualityRequest
    from data_prep.rows import OnProgress
    from settings import Settings
    from stages.services import Services


def check_quality(request: QualityRequest, services: Services, on_progress: OnProgress | None = None) -> QualityReport:
    """Check the version's files again, record the outcome, and report it; a failed check is no error here."""
    settings = services.settings
    with services.unit_of_work() as uow:
        version = uow.datasets.get(request.dataset_id)
    suites = read_test_suites(
        [suite_path(given, services) for given in request.test_suites],
        relative_to=settings.repository_root,
        allowed_roots=settings.allowed_input_roots,
    )
    folder = Path(version.file_path)
    if holds_preferences(folder):
        checks = check_preferences(folder, request, suites.cases, Masker(_policy_of_pairs(folder, settings).masking))
    else:
        with tempfile.TemporaryDirectory(prefix="tuneway-check-") as work_dir:
            checks = check_version(folder, request, suites.cases, Path(work_dir), on_progress or LoggedProgress())
    with services.unit_of_work() as uow:
        uow.datasets.record_checks(request.dataset_id, checks)
    return QualityReport(
        dataset_id=request.dataset_id,
        passed=all(check.passed for check in checks),
        quality_score=version.quality_score,
        checks=checks,
    )


def _policy_of_pairs(folder: Path, settings: Settings) -> DataPolicy:
    """The policy by which the pairs were masked."""
    request = PreferencesRequest.model_validate(read_json(folder / "preferences.json"))
    return load_policy(request.policy, relative_to=settings.repository_root, allowed_roots=settings.allowed_input_roots)
