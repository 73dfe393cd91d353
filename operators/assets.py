"""What the pipelines make, as Airflow's asset graph shows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.sdk import Asset

if TYPE_CHECKING:
    from contracts.record import JsonObject, Record

DATASET_VERSIONS = Asset(name="dataset_versions", uri="x-tuneway://dataset-versions", group="dataset")
"""A new dataset version that may be trained on."""

FINETUNED_MODELS = Asset(name="finetuned_models", uri="x-tuneway://finetuned-models", group="model")
"""A fine-tuning job has ended with weights."""

MODEL_VERSIONS = Asset(name="model_versions", uri="x-tuneway://model-versions", group="model")
"""A model passed the gate and was registered."""

IDENTITIES = (
    "dataset_id", "name", "version", "content_hash", "job_id", "job_name", "weights_sha256", "mlflow_run_id",
    "model_id", "model_name", "finetuning_job_id",
)  # fmt: skip
"""Fields that identify what was made, whichever record has them."""


def asset_facts(record: Record) -> JsonObject:
    """The immutable ids of a record, for the extra of an asset event."""
    return record.model_dump(mode="json", include=set(IDENTITIES))
