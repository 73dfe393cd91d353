#!/bin/sh
# Puts the database password, which is a file, into the three database URLs, then becomes the command.
set -eu
address="tuneway:$(cat /run/secrets/postgres_password)@${POSTGRES_ADDRESS:-postgres:5432}"
export TUNEWAY_DATABASE_URL="postgresql+psycopg://$address/tuneway"
export TUNEWAY_AIRFLOW_DATABASE_URL="postgresql+psycopg2://$address/airflow"
export TUNEWAY_MLFLOW_DATABASE_URL="postgresql+psycopg2://$address/mlflow"
exec "$@"
