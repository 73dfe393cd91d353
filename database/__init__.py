"""SQLAlchemy models, repositories, unit of work and Alembic migrations. Rows stay inside; records come out."""
