"""`tuneway prune`: what it would remove, as a person sees it."""

import json
import os

from settings import Settings
from tests.cli.command_line import tuneway


def test_a_dry_run_names_what_is_old_and_leaves_it(tmp_path):
    log = Settings(data_dir=tmp_path).airflow_home / "logs" / "dag_id=tolls" / "attempt=1.log"
    log.parent.mkdir(parents=True)
    log.write_text("one line\n", encoding="utf-8")
    os.utime(log, (1_600_000_000, 1_600_000_000))

    done = tuneway("prune", "--dry-run", "--json", DATA_DIR=str(tmp_path))

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["freed_bytes"] == 9
    assert log.exists()
