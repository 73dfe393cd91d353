-- Run once by the postgres image, beside the database `tuneway` that it makes itself.
CREATE DATABASE airflow;
CREATE DATABASE mlflow;
-- a scheduler that died inside its critical section must not keep its lock
ALTER DATABASE airflow SET idle_in_transaction_session_timeout = '60s';
