"""The service that users and programs ask: the A/B router under /v1, the admin API under /api/v1/admin."""
