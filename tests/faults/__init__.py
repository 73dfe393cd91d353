"""A seeded campaign: pipelines and live traffic while something dies, fills, breaks off, jumps or rots."""
