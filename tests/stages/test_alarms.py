"""The alarms name metrics that exist and pages that help, and `tuneway doctor` tells those that hold."""

import json
import re

import pytest
import yaml

from serving_api.metrics import _HISTOGRAMS
from settings import Settings
from stages.alarms import alarms_now, alarms_of, read_samples, rules_in
from stages.platform_metrics import METRICS
from tests.conftest import REPOSITORY_ROOT
from tests.ports import free_port

MONITORING = REPOSITORY_ROOT / "monitoring"
RULES = rules_in(REPOSITORY_ROOT)
OF_THE_ROUTER = {
    *(f"tuneway_{name}_bucket" for name in _HISTOGRAMS),
    "tuneway_answers_total",
    "tuneway_in_flight",
    "tuneway_server_breaker_open",
    "tuneway_events_waiting_bytes",
    "tuneway_events_behind",
    "tuneway_events_held",
}
OF_OTHERS = {"up", "cerbos_dev_store_sync_error_count_total"}


def metrics_in(expression):
    without_labels = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\bby \([^)]*\)", "", expression)
    return set(re.findall(r"\b(?:tuneway|cerbos)_[a-z_]+|\bup\b", without_labels))


def test_what_the_router_tells_is_what_is_listed_here():
    source = "".join(
        (REPOSITORY_ROOT / "serving_api" / name).read_text(encoding="utf-8") for name in ("metrics.py", "public.py")
    )
    assert [name for name in OF_THE_ROUTER if name.removeprefix("tuneway_").removesuffix("_bucket") not in source] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alarm_is_about_a_metric_that_exists_and_has_a_page_in_both_languages(rule):
    named = metrics_in(rule["expr"])
    assert named
    assert named <= METRICS.keys() | OF_THE_ROUTER | OF_OTHERS
    page = (REPOSITORY_ROOT / rule["annotations"]["runbook"]).read_text(encoding="utf-8")
    assert page.startswith(f"# {rule['alert']}\n")
    assert "## 한국어" in page and "## English" in page
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert len(rule["annotations"]["summary"].split(" / ")) == 2


def test_every_page_belongs_to_an_alarm():
    pages = {path.stem for path in (REPOSITORY_ROOT / "docs" / "runbooks").glob("*.md")}
    assert pages == {rule["alert"] for rule in RULES}


def test_the_pages_name_commands_that_exist():
    from cli.main import app

    commands = {command.name or getattr(command.callback, "__name__", "") for command in app.registered_commands}
    known = commands | {group.name for group in app.registered_groups}
    for page in (REPOSITORY_ROOT / "docs" / "runbooks").glob("*.md"):
        named = set(re.findall(r"`tuneway ([a-z-]+)", page.read_text(encoding="utf-8")))
        assert named <= known, page


def test_the_pictures_are_of_metrics_that_exist():
    dashboard = json.loads((MONITORING / "grafana" / "dashboards" / "tuneway.json").read_text(encoding="utf-8"))
    targets = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    assert len(targets) > 15
    assert {name for expression in targets for name in metrics_in(expression)} <= METRICS.keys() | OF_THE_ROUTER
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len(set(places)) == len(places)


def test_prometheus_asks_the_ports_of_the_settings():
    ports = Settings(port_base=18000).ports
    targets = yaml.safe_load((MONITORING / "targets.yml").read_text(encoding="utf-8"))
    assert {group["labels"]["job"]: group["targets"] for group in targets} == {
        name: [f"127.0.0.1:{ports[name]}"] for name in ("serving", "runner", "cerbos")
    }


def test_the_rules_that_hold_are_told_with_their_labels_and_page():
    text = (
        'tuneway_job_silence_seconds{job_key="train-7"} 1000\n'
        'tuneway_job_silence_seconds{job_key="train-8"} 3\n'
        'tuneway_disk_free_bytes{host="h"} 6e9\ntuneway_disk_reserve_bytes{host="h"} 5e9\n'
        "tuneway_database_up 1\n"
    )
    silent, full = sorted(alarms_of(RULES, read_samples(text), "ko"), key=lambda alarm: alarm.name, reverse=True)
    assert (silent.name, silent.summary) == ("JobSilent", "train-7이(가) 15분째 진행을 알리지 않습니다")
    assert (full.name, full.runbook) == ("DiskNearlyFull", "docs/runbooks/DiskNearlyFull.md")
    assert alarms_of(RULES, read_samples("tuneway_database_up 0\n"), "en")[0].summary == "PostgreSQL does not answer"


def test_where_no_service_answers_nothing_is_told():
    assert alarms_now(Settings(runner_port=free_port(), serving_port=free_port()), "en") is None
