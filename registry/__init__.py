"""MLflow: runs of fine-tuning jobs and registered model versions. The only package that imports `mlflow`."""
