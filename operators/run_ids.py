"""How runs and jobs are numbered; imports nothing."""

MAIN_DAG = "finetune_pipeline"


def pipeline_run_id(dag_id: str, run_id: str) -> str:
    """A run's id in PostgreSQL. Airflow's is unique within a DAG only, so the smaller DAGs' ids carry theirs."""
    return run_id if dag_id == MAIN_DAG else f"{dag_id}/{run_id}"


def finetuning_job_id(job_key: str) -> int | None:
    """The row that a job of the runner is about (`train-7`, `evaluate-7`); None for one that has none."""
    kind, _, number = job_key.rpartition("-")
    return int(number) if kind in {"train", "evaluate", "compress"} and number.isdigit() else None
