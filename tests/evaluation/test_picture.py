"""The comparison's picture."""

import pytest

from evaluation.picture import draw_comparison
from tests.evaluation.builders import report, suite


@pytest.mark.slow
def test_the_picture_has_a_row_a_suite(tmp_path):
    from matplotlib.image import imread

    draw_comparison(report(), tmp_path / "one.png")
    draw_comparison(report(extras=[suite("unseen", 50, 1, 35), suite("기존 지식", 50, 50, 49)]), tmp_path / "three.png")
    one, three = imread(tmp_path / "one.png"), imread(tmp_path / "three.png")
    assert three.shape[0] == pytest.approx(3 * one.shape[0], abs=3)
    assert len({tuple(pixel) for pixel in three[:, :, :3].reshape(-1, 3)[::97].tolist()}) > 3
