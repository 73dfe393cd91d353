"""`tuneway audit` as a person types it, without a platform."""

import json

import pytest

from cli.secret_files import ensure_secrets
from stages.audit import record_action
from tests.cli.command_line import tuneway

pytestmark = pytest.mark.slow


def test_the_trail_is_signed_checked_searched_and_exported(services, tmp_path, database_url):
    ensure_secrets(services.settings)
    installation = {"DATA_DIR": str(services.settings.data_dir), "DATABASE_URL": database_url}
    record_action(services, "김철수", "dataset.exported", "dataset/4", purpose="외부 감사")

    assert json.loads(tuneway("audit", "sign", "--json", **installation).stdout)["id"] == 1
    checked = tuneway("audit", "verify", **{**installation, "LANGUAGE": "ko"})
    assert (checked.returncode, "감사 기록이 온전합니다: 1건" in checked.stderr) == (0, True), checked.stderr
    listed = tuneway("audit", "list", "--action", "dataset.*", "--since", "2026-01-01", **installation)
    assert "외부 감사" in listed.stdout, listed.stderr
    path = tmp_path / "trail.csv"
    arguments = ("audit", "export", str(path), "--purpose", "review", "--by", "kim", "--format", "csv")
    assert json.loads(tuneway(*arguments, "--json", **installation).stdout)["entries"] == 2

    heads = services.settings.audit_dir / "heads.jsonl"
    heads.write_text(heads.read_text().replace('"id":1', '"id":9'))
    broken = tuneway("audit", "verify", "--json", **installation)
    assert (broken.returncode, json.loads(broken.stdout)["is_whole"]) == (1, False)
    assert "Traceback" not in broken.stderr
