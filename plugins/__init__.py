"""What Airflow's UI shows of the platform. Every Airflow process imports this: settings and links, nothing heavy."""
