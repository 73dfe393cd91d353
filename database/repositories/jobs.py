"""Fine-tuning jobs and their checkpoints."""

from datetime import UTC
from typing import ClassVar

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from contracts.access import EVERYTHING, Visibility
from contracts.enums import JobStatus, Method
from contracts.errors import NotFoundError
from contracts.job_requests import QueuedTraining
from contracts.jobs import FinetuningJob, SavedCheckpoint
from contracts.lists import ListRequest, Page
from contracts.record import JsonObject
from contracts.training import CheckpointRecord, JobProgress, TrainingReport, TrainRequest
from database.models import FinetuningJob as FinetuningJobRow
from database.models import TrainingCheckpoint
from database.repositories.ownership import restricted
from database.repositories.paging import Column, read_page

BYTES_PER_GB = 1_000_000_000


def _record(row: FinetuningJobRow) -> FinetuningJob:
    return FinetuningJob(
        job_id=row.id,
        job_name=row.job_name,
        base_model=row.base_model,
        base_model_path=row.base_model_path,
        dataset_id=row.dataset_id,
        method=Method(row.method),
        hyperparameters=row.hyperparameters,
        mlflow_run_id=row.mlflow_run_id,
        status=JobStatus(row.status),
        progress=None if row.progress is None else JobProgress.model_validate(row.progress),
        output_dir=row.output_dir,
        checkpoint_dir=row.checkpoint_dir,
        logs_path=row.logs_path,
        gpu_ids=row.gpu_ids,
        start_time=row.start_time,
        end_time=row.end_time,
        error=row.error,
        report=None if row.report is None else TrainingReport.model_validate(row.report),
        dag_run_id=row.dag_run_id,
    )


class JobRepository:
    """Rows of finetuning_jobs and training_checkpoints."""

    SORTED_BY: ClassVar[dict[str, Column]] = {
        "created_at": FinetuningJobRow.created_at,
        "job_name": FinetuningJobRow.job_name,
        "status": FinetuningJobRow.status,
    }

    def __init__(self, session: Session) -> None:
        self._session = session

    def create(
        self,
        request: TrainRequest,
        *,
        hyperparameters: JsonObject,
        base_model_path: str,
        output_dir: str | None = None,
        checkpoint_dir: str | None = None,
        logs_path: str | None = None,
    ) -> int:
        """The job's id; the same job_name again is the row that is there."""
        self._session.execute(
            insert(FinetuningJobRow)
            .values(
                job_name=request.job_name,
                base_model=request.base_model,
                dataset_id=request.dataset_id,
                method=request.method.value,
                hyperparameters=hyperparameters,
                base_model_path=base_model_path,
                output_dir=output_dir,
                checkpoint_dir=checkpoint_dir,
                logs_path=logs_path,
            )
            .on_conflict_do_nothing(index_elements=["job_name"])
        )
        return self._session.execute(
            select(FinetuningJobRow.id).where(FinetuningJobRow.job_name == request.job_name)
        ).scalar_one()

    def set_folders(self, job_id: int, *, output_dir: str, checkpoint_dir: str, logs_path: str) -> None:
        """Where the job writes; known once its id is."""
        self._update(job_id, output_dir=output_dir, checkpoint_dir=checkpoint_dir, logs_path=logs_path)

    def queue(self, job_id: int, request: QueuedTraining) -> None:
        """What Airflow is to hand over for the job; the first request stays."""
        self._session.execute(
            update(FinetuningJobRow)
            .where(FinetuningJobRow.id == job_id, FinetuningJobRow.request.is_(None))
            .values(request=request.model_dump(mode="json"))
        )

    def queued(self, job_id: int) -> QueuedTraining | None:
        """What was asked for the job; None where it was not queued for Airflow. Raises NotFoundError."""
        self.get(job_id)
        request = self._session.execute(
            select(FinetuningJobRow.request).where(FinetuningJobRow.id == job_id)
        ).scalar_one()
        return None if request is None else QueuedTraining.model_validate(request)

    def dag_run_name(self, job_id: int) -> str:
        """The name under which Airflow is asked to start the job: always the same, and never another job's.

        A database that was put back from a backup gives numbers out again; the moment tells the jobs apart.
        """
        created_at = self._session.execute(
            select(FinetuningJobRow.created_at).where(FinetuningJobRow.id == job_id)
        ).scalar_one()
        return f"job-{job_id}-{created_at.astimezone(UTC):%Y%m%dT%H%M%S%f}"

    def set_dag_run(self, job_id: int, dag_run_id: str) -> None:
        """The run that starts the job."""
        self._update(job_id, dag_run_id=dag_run_id)

    def end_pending(self, job_id: int, status: JobStatus, error: JsonObject) -> bool:
        """End a job that nobody has begun; whether it was such a one."""
        ended = self._session.execute(
            update(FinetuningJobRow)
            .where(FinetuningJobRow.id == job_id, FinetuningJobRow.status == JobStatus.PENDING.value)
            .values(status=status.value, error=error, end_time=func.now())
            .returning(FinetuningJobRow.id)
        )
        return ended.scalar_one_or_none() is not None

    def get(self, job_id: int) -> FinetuningJob:
        """The job. Raises NotFoundError."""
        row = self._session.get(FinetuningJobRow, job_id)
        if row is None:
            raise NotFoundError(
                "There is no such fine-tuning job", value=job_id, next_step="list them on the dashboard's first page"
            )
        return _record(row)

    def find(self, job_name: str) -> FinetuningJob | None:
        """The job of that name."""
        row = self._session.execute(
            select(FinetuningJobRow).where(FinetuningJobRow.job_name == job_name)
        ).scalar_one_or_none()
        return None if row is None else _record(row)

    def newest(
        self, status: JobStatus | None = None, limit: int = 20, visible: Visibility = EVERYTHING
    ) -> list[FinetuningJob]:
        """Jobs, newest first, as far as they may be seen."""
        query = restricted(select(FinetuningJobRow), FinetuningJobRow.created_by, visible)
        query = query.order_by(FinetuningJobRow.id.desc()).limit(limit)
        if status is not None:
            query = query.where(FinetuningJobRow.status == status.value)
        return [_record(row) for row in self._session.execute(query).scalars()]

    def page(
        self,
        listing: ListRequest,
        visible: Visibility,
        *,
        status: JobStatus | None = None,
        method: Method | None = None,
        base_model: str | None = None,
        dataset_id: int | None = None,
    ) -> Page[FinetuningJob]:
        """The jobs of that kind, as far as they may be seen."""
        query = restricted(select(FinetuningJobRow), FinetuningJobRow.created_by, visible)
        if status is not None:
            query = query.where(FinetuningJobRow.status == status.value)
        if method is not None:
            query = query.where(FinetuningJobRow.method == method.value)
        if base_model is not None:
            query = query.where(FinetuningJobRow.base_model == base_model)
        if dataset_id is not None:
            query = query.where(FinetuningJobRow.dataset_id == dataset_id)
        return read_page(self._session, query, listing, self.SORTED_BY, FinetuningJobRow.id, _record)

    def measured_speeds(
        self, base_model_path: str, method: Method, num_gpus: int, limit: int, *, num_nodes: int = 1
    ) -> list[float]:
        """Tokens a second of the newest finished jobs of this model, method and number of devices."""
        rows = self._session.execute(
            select(FinetuningJobRow.report)
            .where(
                FinetuningJobRow.base_model_path == base_model_path,
                FinetuningJobRow.method == method.value,
                FinetuningJobRow.status == JobStatus.COMPLETED.value,
                FinetuningJobRow.hyperparameters["num_gpus"].as_integer() == num_gpus,
                func.coalesce(FinetuningJobRow.hyperparameters["num_nodes"].as_integer(), 1) == num_nodes,
                FinetuningJobRow.report.is_not(None),
            )
            .order_by(FinetuningJobRow.id.desc())
            .limit(limit)
        ).scalars()
        speeds = [TrainingReport.model_validate(report).tokens_per_second for report in rows]
        return [speed for speed in speeds if speed > 0]

    def mark_running(self, job_id: int, gpu_ids: list[int], mlflow_run_id: str | None = None) -> None:
        """An attempt has started."""
        values: dict[str, object] = {
            "status": JobStatus.RUNNING.value,
            "gpu_ids": ",".join(str(index) for index in gpu_ids),
            "start_time": func.coalesce(FinetuningJobRow.start_time, func.now()),
            "end_time": None,
            "error": None,
        }
        if mlflow_run_id is not None:
            values["mlflow_run_id"] = mlflow_run_id
        self._update(job_id, **values)

    def record_progress(self, job_id: int, progress: JobProgress) -> None:
        """The newest progress."""
        self._update(job_id, progress=progress.model_dump(mode="json"))

    def set_mlflow_run(self, job_id: int, run_id: str) -> None:
        """The job's MLflow run."""
        self._update(job_id, mlflow_run_id=run_id)

    def record_checkpoint(self, job_id: int, checkpoint: CheckpointRecord) -> None:
        """Add or replace the checkpoint of that name."""
        values = {
            "step": checkpoint.step,
            "epoch": checkpoint.epoch,
            "metrics": dict(checkpoint.metrics),
            "file_path": checkpoint.path,
            "file_size_gb": checkpoint.size_bytes / BYTES_PER_GB,
        }
        self._session.execute(
            insert(TrainingCheckpoint)
            .values(job_id=job_id, checkpoint_name=checkpoint.name, **values)
            .on_conflict_do_update(index_elements=["job_id", "checkpoint_name"], set_=values)
        )

    def set_checkpoints(self, job_id: int, checkpoints: list[CheckpointRecord]) -> None:
        """These are the job's checkpoints, and no others."""
        for checkpoint in checkpoints:
            self.record_checkpoint(job_id, checkpoint)
        names = [checkpoint.name for checkpoint in checkpoints]
        self._session.execute(
            delete(TrainingCheckpoint).where(
                TrainingCheckpoint.job_id == job_id, TrainingCheckpoint.checkpoint_name.not_in(names)
            )
        )

    def checkpoints(self, job_id: int) -> list[SavedCheckpoint]:
        """The job's checkpoints, by step."""
        query = select(TrainingCheckpoint).where(TrainingCheckpoint.job_id == job_id).order_by(TrainingCheckpoint.step)
        return [
            SavedCheckpoint(
                checkpoint_id=row.id,
                name=row.checkpoint_name,
                step=row.step,
                epoch=row.epoch or 0.0,
                path=row.file_path or "",
                size_bytes=round((row.file_size_gb or 0.0) * BYTES_PER_GB),
                metrics=row.metrics,
            )
            for row in self._session.execute(query).scalars()
        ]

    def complete(self, job_id: int, report: TrainingReport) -> None:
        """The job has its result."""
        self._update(
            job_id,
            status=JobStatus.COMPLETED.value,
            report=report.model_dump(mode="json"),
            output_dir=report.output_path,
            end_time=func.coalesce(FinetuningJobRow.end_time, func.now()),
            error=None,
        )

    def fail(self, job_id: int, status: JobStatus, error: JsonObject) -> None:
        """The job ended without its result."""
        self._update(job_id, status=status.value, error=error, end_time=func.now())

    def _update(self, job_id: int, **values: object) -> None:
        self._session.execute(update(FinetuningJobRow).where(FinetuningJobRow.id == job_id).values(**values))
