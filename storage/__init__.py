"""Durable files: temporary name, fsync, rename, manifest last; and the folder of a job."""
