"""What people change from a page. Each function asks the policies at the moment it is called, whatever the page showed.

All raise UnauthorizedError for a session that has ended, and ForbiddenError, which is audited, for what is not allowed.
"""

from __future__ import annotations

import tempfile
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from contracts.access import ResourceKind
from contracts.errors import NotFoundError
from contracts.experiment_decisions import ConcludeABTestRequest
from contracts.experiments import DropArmRequest
from contracts.job_requests import CreatedJob
from contracts.models import DeployRequest, UndeployRequest
from contracts.promotions import PromoteRequest, StatusRequest
from contracts.uploads import UploadRequest, UploadState
from dashboard import long_actions
from dashboard.reading import check_subject, model_subject
from evaluation.rating_items import rating_of
from security.audit.export import ExportFormat
from stages import accounts, audit, deploying, finishing, suites, uploads
from stages import ask_model as asking
from stages import check_model as checking
from stages import curate as curation
from stages import drop_arms as dropping
from stages import import_dataset as importing
from stages.audit import record_action
from stages.finetuning import create_job, stop_job
from stages.finetuning import start_job as restart
from stages.jobs import find_job, resume_job
from stages.once import once

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from contracts.audit import AuditFilter
    from contracts.datasets import ColumnMapping, DatasetVersion, ImportedDataset, ImportRequest
    from contracts.deployments import DeploymentPlan
    from contracts.enums import ModelStatus, ReviewVerdict
    from contracts.evaluation import TestCase
    from contracts.experiments import ABExperiment, StartABTestRequest
    from contracts.generation import CuratedSamples, CurateRequest, SampleReview
    from contracts.identity import Account, AccountKind, ApiKey, NewAccount, NewApiKey, Role
    from contracts.job_requests import FinetuneJobRequest
    from contracts.models import ModelVersion
    from contracts.promotions import RollbackOutcome
    from contracts.ratings import RatingItem, RatingTask
    from contracts.record import JsonObject
    from contracts.suite_versions import ImportedSuite, ImportSuiteRequest
    from contracts.suites import SuiteVersion
    from contracts.uploads import DatasetUpload
    from dashboard.visits import Visit
    from data_prep.versions.splitting import Ratios
    from stages.ask_model import RunningAnswer
    from stages.promote import PromotionOutcome


def decide_sample(
    visit: Visit,
    sample: SampleReview,
    verdict: ReviewVerdict | None,
    *,
    edited_messages: list[JsonObject] | None = None,
    note: str | None = None,
) -> None:
    """Record what a person says of the sample as it was shown. Raises ConflictError where another was faster."""
    who = visit.require(ResourceKind.GENERATION, "review")
    with visit.unit_of_work() as uow:
        uow.reviews.decide(
            sample.review_id,
            verdict,
            reviewer=who.username,
            seen=sample.reviewed_at,
            edited_messages=edited_messages,
            note=note,
        )


def curate(visit: Visit, request: CurateRequest) -> CuratedSamples:
    """Write the samples that people took as a file for the import."""
    who = visit.require(ResourceKind.GENERATION, "export")
    curated = curation.curate(request, visit)
    record_action(
        visit, who.username, "generation.exported", f"generation/{request.generation_id}", {"rows": curated.rows}
    )
    return curated


def import_dataset(visit: Visit, request: ImportRequest, tell: Callable[[str, int, int], None]) -> ImportedDataset:
    """Bring files in."""
    who = visit.require(ResourceKind.DATASET, "create")
    imported = importing.import_dataset(request, visit, tell)
    record_action(
        visit,
        who.username,
        "dataset.imported",
        f"import/{imported.import_id}",
        {"dataset": request.dataset_name, "rows": imported.total_rows},
    )
    return imported


def begin_upload(visit: Visit, wanted: UploadRequest, upload_id: str) -> DatasetUpload:
    """Make room for a file, or find what has arrived of it. One of which a dataset was made already begins anew."""
    who = visit.require(ResourceKind.DATASET, "create")
    try:
        present = uploads.read_upload(upload_id, visit, user_id=who.user_id)
        if present.state in {UploadState.READY, UploadState.FAILED}:
            uploads.remove_upload(upload_id, visit, user_id=who.user_id)
    except NotFoundError:
        pass
    return uploads.create_upload(wanted, visit, user_id=who.user_id, username=who.username, upload_id=upload_id)


def take_part(visit: Visit, upload_id: str, offset: int, content: bytes) -> DatasetUpload:
    """Keep the next part of a file. Raises ConflictError where the file does not go on there, TooLargeError."""
    who = visit.require(ResourceKind.DATASET, "create")
    present = uploads.read_upload(upload_id, visit, user_id=who.user_id)
    most = present.size_bytes or uploads.most_upload_bytes(visit.settings)
    if offset + len(content) > most:
        raise uploads.too_large(offset + len(content), most)
    with uploads.receiving(upload_id, visit, user_id=who.user_id, offset=offset) as writer:
        writer.write(content)
    return uploads.read_upload(upload_id, visit, user_id=who.user_id)


def make_dataset(
    visit: Visit, upload: DatasetUpload, name: str, description: str | None, columns: ColumnMapping
) -> None:
    """Begin to make a version of the dataset from a file that has arrived; it goes on in a process of its own.

    Raises ForbiddenError where the dataset is there and is not theirs to extend, ConflictError.
    """
    who = visit.require(ResourceKind.DATASET, "create")
    with visit.unit_of_work() as uow:
        present = [version.dataset_id for version in uow.datasets.of_name(name)]
    if present:
        visit.require(ResourceKind.DATASET, "extend", present[-1])
    wanted = UploadRequest(
        name=name,
        file_name=upload.file_name,
        description=description,
        size_bytes=upload.received_bytes,
        columns=columns,
    )
    uploads.describe_upload(upload.upload_id, wanted, visit, user_id=who.user_id)
    finishing.go_on(upload.upload_id, visit, user_id=who.user_id)


def go_on_with_upload(visit: Visit, upload_id: str) -> None:
    """See that somebody works on a file that is to become a dataset: a killed process is followed by another."""
    who = visit.require(ResourceKind.DATASET, "create")
    finishing.go_on(upload_id, visit, user_id=who.user_id)


def forget_upload(visit: Visit, upload_id: str) -> None:
    """Remove an upload with what has arrived of it; a dataset that came of it stays."""
    who = visit.require(ResourceKind.DATASET, "create")
    uploads.remove_upload(upload_id, visit, user_id=who.user_id)


def split_dataset(visit: Visit, dataset_id: int, ratios: Ratios) -> DatasetVersion:
    """Cut the version's rows in other ratios: a new version. Raises ConflictError where it is not the newest."""
    who = visit.require(ResourceKind.DATASET, "split", dataset_id)
    # pyarrow comes with it
    from stages.dataset_versions import split_version

    return split_version(dataset_id, ratios, visit, who.username)


def start_job(visit: Visit, request: FinetuneJobRequest, key: str) -> CreatedJob:
    """Start a fine-tuning job, once under each key with the same request; `stages.finetuning.create_job` says what it raises."""
    who = visit.require(ResourceKind.JOB, "create")
    visit.require(ResourceKind.DATASET, "read", request.dataset_id)
    fingerprint = sha256(request.model_dump_json().encode()).hexdigest()
    return once(
        who.user_id,
        f"dashboard-{key}-{fingerprint[:16]}",
        fingerprint,
        lambda: create_job(request, visit, who),
        CreatedJob,
        visit,
        is_final=lambda job: job.is_started,
    )


def start_again(visit: Visit, job_id: int) -> CreatedJob:
    """Start a job that was kept while Airflow was away."""
    visit.require(ResourceKind.JOB, "resume", job_id)
    return restart(job_id, visit)


def stop(visit: Visit, job_id: int) -> int | None:
    """Stop the job; the step from which it can go on, None where no checkpoint was saved."""
    who = visit.require(ResourceKind.JOB, "stop", job_id)
    _, step = stop_job(job_id, visit)
    record_action(visit, who.username, "job.stopped", f"job/{job_id}")
    return step


def resume(visit: Visit, job_id: int, checkpoint: str | None) -> None:
    """Let the job go on from the checkpoint, or from its last one."""
    who = visit.require(ResourceKind.JOB, "resume", job_id)
    resume_job(find_job(f"train-{job_id}", visit.settings), checkpoint, visit.settings)
    record_action(visit, who.username, "job.resumed", f"job/{job_id}")


def start_experiment(visit: Visit, request: StartABTestRequest) -> ABExperiment:
    """Start an A/B test that is the starter's. Raises as `stages.start_ab_test` does; the same name again is the same test."""
    who = visit.require(ResourceKind.AB_TEST, "create")
    for arm in request.planned_arms:
        visit.require(ResourceKind.MODEL, "read", arm.model_id)
    # scipy comes with it
    from stages.start_ab_test import start_ab_test

    started = start_ab_test(request, visit)
    with visit.unit_of_work() as uow:
        uow.ownership.claim(ResourceKind.AB_TEST, started.experiment_id, who.user_id)
    record_action(visit, who.username, "experiment.start_asked", f"experiment/{started.experiment_id}")
    return started


def answer_experiment(visit: Visit, experiment_id: int, winner: str | None, *, reason: str) -> None:
    """Answer an A/B test's decision; it is carried out. Raises ConflictError where another was faster and said otherwise."""
    who = visit.require(ResourceKind.AB_TEST, "conclude", experiment_id)
    # mlflow comes with it, and takes seconds to import
    from stages.conclude_ab_test import conclude_ab_test

    conclude_ab_test(
        ConcludeABTestRequest(experiment_id=experiment_id, winner=winner, actor=who.username, reason=reason), visit
    )


def drop_arm(visit: Visit, experiment_id: int, arm: str, *, reason: str) -> ABExperiment:
    """Send one of several new models no more users. Raises ConflictError where the test cannot do without it."""
    who = visit.require(ResourceKind.AB_TEST, "stop", experiment_id)
    request = DropArmRequest(experiment_id=experiment_id, arm=arm, actor=who.username, reason=reason)
    return dropping.drop_arm(request, visit)


def rate_item(visit: Visit, task: RatingTask, item: RatingItem, value: str, comment: str) -> None:
    """Record what an expert says of an item; said again, the newest counts."""
    who = visit.require(ResourceKind.RATING_TASK, "rate")
    with visit.unit_of_work() as uow:
        uow.ratings.rate([rating_of(task, item, who.username, value, comment)])


def take_rating_back(visit: Visit, item: RatingItem) -> None:
    """Forget what an expert said of an item."""
    who = visit.require(ResourceKind.RATING_TASK, "rate")
    with visit.unit_of_work() as uow:
        uow.ratings.take_back(item.item_key, who.username)


def put_case(visit: Visit, suite_id: int, case: TestCase, seen: datetime | None) -> SuiteVersion:
    """Store a test case. Raises UnusableCaseError, ConflictError where another was faster."""
    who = visit.require(ResourceKind.SUITE, "update")
    return suites.put_case(suite_id, case, visit, actor=who.username, seen=seen)


def remove_case(visit: Visit, suite_id: int, case_id: str) -> SuiteVersion:
    """Take a test case out. Raises ConflictError, NotFoundError."""
    who = visit.require(ResourceKind.SUITE, "update")
    return suites.remove_case(suite_id, case_id, visit, actor=who.username)


def lock_suite(visit: Visit, suite_id: int) -> SuiteVersion:
    """Close a version of a suite against changes."""
    who = visit.require(ResourceKind.SUITE, "lock")
    return suites.lock_suite(suite_id, visit, actor=who.username)


def import_suite(visit: Visit, request: ImportSuiteRequest) -> ImportedSuite:
    """Bring a file of test cases in, or say what it would bring."""
    who = visit.require(ResourceKind.SUITE, "create")
    return suites.import_suite(request, visit, actor=who.username)


def promote_model(
    visit: Visit, model_id: int, *, reason: str, override: bool, replaces: int | None
) -> PromotionOutcome:
    """Staging to production. Raises ConflictError without a passed gate or an override, and where another was faster."""
    who = visit.require(ResourceKind.MODEL, "promote", model_id)
    # mlflow comes with it, and takes seconds to import
    from stages.promote import promote

    promoted = promote(
        PromoteRequest(model_id=model_id, actor=who.username, reason=reason, override=override, replaces=replaces),
        visit,
    )
    long_actions.forget(visit, model_subject(model_id))
    return promoted


def deploy_model(visit: Visit, model_id: int) -> DeploymentPlan:
    """Begin to put the version into service beside the present one; it goes on in a process of its own."""
    who = visit.require(ResourceKind.MODEL, "deploy", model_id)
    return deploying.ask_deployment(DeployRequest(model_id=model_id), visit, actor=who.username)


def undeploy_model(visit: Visit, model_id: int) -> None:
    """Begin to take the version out of service: the answers that have begun come to their end first."""
    who = visit.require(ResourceKind.MODEL, "deploy", model_id)

    def do() -> None:
        from stages.undeploy import undeploy

        undeploy(UndeployRequest(model_id=model_id, actor=who.username), visit)

    long_actions.begin(visit, model_subject(model_id), "undeploy", who.username, do)


def roll_back_model(visit: Visit, model_id: int, *, reason: str) -> None:
    """Begin to go from this version in production back to the one before, with the service."""
    who = visit.require(ResourceKind.MODEL, "roll_back", model_id)

    def do() -> RollbackOutcome:
        # mlflow comes with it
        from stages.roll_back import roll_back_version

        return roll_back_version(model_id, visit, actor=who.username, reason=reason)

    long_actions.begin(visit, model_subject(model_id), "roll_back", who.username, do)


def set_model_aside(visit: Visit, model_id: int, status: ModelStatus, *, reason: str) -> ModelVersion:
    """Archive the version, or take it back into staging. Raises ConflictError for one that is in use."""
    who = visit.require(ResourceKind.MODEL, "promote", model_id)
    # mlflow comes with it
    from stages.promote import set_aside

    request = StatusRequest(model_id=model_id, actor=who.username, reason=reason)
    aside = set_aside(request, status, visit)
    long_actions.forget(visit, model_subject(model_id))
    return aside


def check_model(visit: Visit, model_id: int) -> None:
    """Begin to look at the version's files, signature and mark; what was found is kept."""
    who = visit.require(ResourceKind.MODEL, "verify", model_id)
    long_actions.begin(
        visit,
        check_subject(model_id),
        "verify",
        who.username,
        lambda: checking.check_model(model_id, visit, actor=who.username),
    )


def ask_model(visit: Visit, model_id: int, question: str, system_prompt: str) -> RunningAnswer:
    """Begin to ask the version's own server; that it was asked is audited, what was asked is not kept."""
    who = visit.require(ResourceKind.MODEL, "read", model_id)
    record_action(visit, who.username, "model.asked", f"model/{model_id}", {"characters": len(question)})
    return asking.ask_model(model_id, question, visit, system_prompt=system_prompt)


def add_account(visit: Visit, username: str, role: Role, kind: AccountKind, projects: list[str]) -> NewAccount:
    """Make an account; a person's password is answered once. Raises InvalidRequestError, ConflictError."""
    who = visit.require(ResourceKind.USER, "create")
    return accounts.add_account(username, role, who.username, visit, kind=kind, projects=projects)


def grant(visit: Visit, username: str, role: Role, projects: list[str]) -> Account:
    """Change what an account is and whose work it sees. Raises ConflictError where no administrator would be left."""
    who = visit.require(ResourceKind.USER, "update")
    return accounts.grant(username, who.username, visit, role=role, projects=projects)


def set_active(visit: Visit, username: str, is_active: bool) -> Account:
    """Let an account in, or out at once. Raises ConflictError where no administrator would be left."""
    who = visit.require(ResourceKind.USER, "update")
    return accounts.set_active(username, is_active, who.username, visit)


def reset_password(visit: Visit, username: str) -> NewAccount:
    """Another password, answered once; the account's sessions end."""
    who = visit.require(ResourceKind.USER, "update")
    return accounts.set_password(username, who.username, visit)


def create_key(visit: Visit, username: str, name: str, scopes: list[str], days: int) -> NewApiKey:
    """A key for a program, answered once. Raises InvalidRequestError."""
    who = visit.require(ResourceKind.TOKEN, "create")
    return accounts.create_key(username, name, scopes, timedelta(days=days), who.username, visit)


def revoke_key(visit: Visit, prefix: str) -> ApiKey:
    """Refuse a key from now on."""
    who = visit.require(ResourceKind.TOKEN, "revoke")
    return accounts.revoke_key(prefix, who.username, visit)


def export_audit(visit: Visit, wanted: AuditFilter, purpose: str) -> bytes:
    """The entries that match as CSV; the export is an entry itself. Raises InvalidRequestError without a purpose."""
    who = visit.require(ResourceKind.AUDIT, "export")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "audit.csv"
        audit.export_audit(wanted, path, ExportFormat.CSV, visit, actor=who.username, purpose=purpose)
        return path.read_bytes()
