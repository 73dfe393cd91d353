"""The words of the platform: frozen records, closed sets and errors. Imports pydantic and the standard library only."""
