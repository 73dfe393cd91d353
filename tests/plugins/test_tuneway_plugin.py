"""What every Airflow process loads of ours."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from settings import load_settings


def test_the_side_bar_leads_to_this_installations_services():
    from plugins.tuneway_plugin import navigation

    settings = load_settings()
    assert {view["href"] for view in navigation()} == {
        settings.resolved_dashboard_url,
        settings.resolved_mlflow_tracking_url,
    }
    assert all(view["destination"] == "nav" for view in navigation())


def test_the_link_beside_every_task_needs_no_service():
    from plugins.tuneway_plugin import TunewayPlugin

    (link,) = TunewayPlugin.global_operator_extra_links
    dashboard = load_settings().resolved_dashboard_url
    assert link.get_link(None, ti_key=None) == dashboard
    key = SimpleNamespace(dag_id="train_model", run_id="manual 1")
    assert link.get_link(None, ti_key=key) == f"{dashboard}/runs?run=train_model%2Fmanual+1"
    key = SimpleNamespace(dag_id="finetune_pipeline", run_id="demo")
    assert link.get_link(None, ti_key=key) == f"{dashboard}/runs?run=demo"


def test_a_tasks_button_leads_to_its_job_and_its_model():
    from operators.links import JobLink, ModelLink

    dashboard = load_settings().resolved_dashboard_url
    task = SimpleNamespace(job_id=7, model_id=3)
    assert JobLink().get_link(task, ti_key=None) == f"{dashboard}/jobs?job=7"
    assert ModelLink().get_link(task, ti_key=None) == f"{dashboard}/models?model=3"
    assert ModelLink().get_link(SimpleNamespace(), ti_key=None) == f"{dashboard}/models"


def test_names_are_not_taken_twice():
    from plugins.tuneway_plugin import TunewayPlugin

    names = [link.name for link in (*TunewayPlugin.operator_extra_links, *TunewayPlugin.global_operator_extra_links)]
    assert len(set(names)) == len(names)


@pytest.mark.slow
def test_airflow_accepts_it_and_nothing_heavy_comes_with_it():
    script = """
import sys
from airflow import plugins_manager
loaded, errors = plugins_manager._get_plugins()
assert not errors, errors
assert "tuneway" in {plugin.name for plugin in loaded}
heavy = [name for name in ("torch", "mlflow", "transformers", "database.models", "stages.train") if name in sys.modules]
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
