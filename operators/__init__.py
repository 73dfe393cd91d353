"""Airflow adapters: a request in, one stage, a JSON record out; retry, fail or defer; triggers; pool slots."""
