"""Preference pairs from files, A/B ratings and experts' ratings become a dataset version that a dpo recipe trains on."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.errors import InvalidDataError, InvalidRequestError
from stages.owners import claim_for_starter
from storage.files import folder_written_whole, write_json_atomically
from storage.stored_files import sha256_of_stored_folder

if TYPE_CHECKING:
    from contracts.datasets import DatasetVersion
    from contracts.preferences import PreferencesRequest
    from stages.services import Services


def make_preferences(request: PreferencesRequest, services: Services) -> DatasetVersion:
    """The version; the same pairs again are the same version. Raises InvalidDataError where there are none."""
    from data_prep.contamination.test_suites import read_test_suites
    from data_prep.imports.input_files import resolve_input_file
    from data_prep.masking.masker import Masker
    from data_prep.policies import load_policy
    from data_prep.preferences import pairs_of_ratings, read_pairs, write_preferences
    from stages.pseudonyms import pseudonym_key
    from stages.rating_tasks import expert_pairs

    settings = services.settings
    if request.pairs_file is None and request.experiment_id is None and request.rating_task is None:
        raise InvalidRequestError(
            "Preferences come from a file, from an A/B test or from a rating task",
            next_step="give pairs_file, experiment_id, rating_task, or several of them",
        )
    roots = settings.allowed_input_roots
    policy = load_policy(request.policy, relative_to=settings.repository_root, allowed_roots=roots)
    suites = read_test_suites(request.test_suites, relative_to=settings.repository_root, allowed_roots=roots)
    pairs = []
    if request.pairs_file is not None:
        path = resolve_input_file(request.pairs_file, relative_to=settings.repository_root, allowed_roots=roots)
        pairs += read_pairs(path)
    if request.experiment_id is not None:
        with services.unit_of_work() as uow:
            uow.experiments.get(request.experiment_id)
            answers = uow.experiments.rated_answers(request.experiment_id, services.recorded_text.opened)
        pairs += pairs_of_ratings(answers, request.min_rating_difference)
    if request.rating_task is not None:
        pairs += expert_pairs(request.rating_task, services)
    if not pairs:
        raise InvalidDataError(
            "There are no preference pairs",
            value=request.pairs_file or request.rating_task or f"experiment {request.experiment_id}",
            allowed="at least one question with two answers whose mean ratings differ by "
            f"{request.min_rating_difference:g} or more",
            next_step="wait for more ratings, lower min_rating_difference, or give a pairs_file",
        )
    home = settings.datasets_dir / "preferences" / request.dataset_name
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".new-") as made:
        written = write_preferences(
            pairs, Path(made), Masker(policy.masking, pseudonym_key(settings, request.dataset_name)), suites.cases
        )
        if not written.samples["train"]:
            raise InvalidDataError(
                "No preference pair is left to learn from",
                value=", ".join(f"{reason} {count}" for reason, count in written.removed.items()),
                next_step="look at the pairs: the two answers must differ, hold no personal data of the kinds for which "
                "the policy drops a row, and ask nothing that a test suite asks",
            )
        digest = sha256_of_stored_folder(Path(made), "*.parquet")
        folder = home / digest[:16]
        with folder_written_whole(folder) as temporary:
            shutil.copytree(made, temporary, dirs_exist_ok=True)
            write_json_atomically(temporary / "preferences.json", request.model_dump(mode="json"))
    with services.unit_of_work() as uow:
        version = uow.datasets.add(
            name=request.dataset_name,
            content_hash=digest,
            file_path=str(folder),
            total_samples=sum(written.samples.values()),
            train_samples=written.samples["train"],
            val_samples=written.samples["validation"],
            test_samples=0,
            removed=written.removed,
            masked=written.masked,
            quality_score=1.0,
            categories={"preference": sum(written.samples.values())},
            metadata={"request": request.model_dump(mode="json"), "kind": "preferences"},
        )
        claim_for_starter(ResourceKind.DATASET, version.dataset_id, services, uow)
        return version
