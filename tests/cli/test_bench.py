"""`tuneway bench train` as a person types it."""

from tests.cli.command_line import tuneway


def test_a_gpu_benchmark_without_a_gpu_is_refused_with_what_to_do(monkeypatch, capsys):
    import pytest
    import typer

    from cli import bench

    monkeypatch.setattr(bench, "real_gpus", lambda: 0)
    with pytest.raises(typer.Exit) as ended:
        bench.train(on_gpu=True, as_json=True)
    assert ended.value.exit_code == 2
    assert "--gpu" in capsys.readouterr().err


def test_the_benchmarks_are_listed():
    listed = tuneway("bench", "--help").stdout
    assert "train" in listed
    assert "router" in listed
