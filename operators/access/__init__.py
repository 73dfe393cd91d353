"""Who gets into Airflow, and what they may do there: the platform's accounts and policies."""
