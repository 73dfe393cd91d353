"""The colours of compared runs are told apart by everybody."""

from itertools import combinations

import numpy as np
import pytest

from dashboard.reading import MOST_COMPARED
from dashboard.theme import RUN_COLOURS, RUN_DASHES

# what an eye without one kind of cone sees of linear RGB (Machado, Oliveira and Fernandes, 2009, severity 1)
VISIONS = {
    "normal": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
XYZ_OF_RGB = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
LIGHT_PAGE, DARK_PAGE = "#ffffff", "#12161d"


def linear(colour: str) -> np.ndarray:
    shares = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    return np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    share = XYZ_OF_RGB @ rgb / WHITE
    x, y, z = np.where(share > 0.008856, np.cbrt(share), 7.787 * share + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISIONS)
def test_any_two_runs_differ_in_colour_for_every_eye(vision):
    seen = [lab(np.clip(np.array(VISIONS[vision]) @ linear(colour), 0, 1)) for colour in RUN_COLOURS]
    assert len(seen) == MOST_COMPARED
    assert min(np.linalg.norm(one - other) for one, other in combinations(seen, 2)) > 18


@pytest.mark.parametrize("page", [LIGHT_PAGE, DARK_PAGE])
def test_every_run_stands_out_from_the_page(page):
    def luminance(colour: str) -> float:
        return float((XYZ_OF_RGB @ linear(colour))[1])

    for colour in RUN_COLOURS:
        darker, lighter = sorted((luminance(colour), luminance(page)))
        assert (lighter + 0.05) / (darker + 0.05) > 2


def test_any_two_runs_differ_without_colour():
    assert len(set(RUN_DASHES)) == len(RUN_DASHES) == MOST_COMPARED
