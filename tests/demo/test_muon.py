import pytest

from demo.muon import muon, orthogonalized

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("shape", [(64, 192), (192, 64), (96, 96)])
def test_it_steps_as_torchs_own_does_to_the_digits_of_bfloat16(shape):
    import torch

    torch.manual_seed(0)
    start = torch.randn(shape)
    ours, theirs = (torch.nn.Parameter(start.clone()) for _ in range(2))
    optimizers = muon([ours], 1e-2, 0.01), torch.optim.Muon([theirs], lr=1e-2, weight_decay=0.01)
    for _ in range(5):
        gradient = torch.randn(shape)
        for parameter, optimizer in zip((ours, theirs), optimizers, strict=True):
            parameter.grad = gradient.clone()
            optimizer.step()
    moved = (ours - start).norm()
    assert (ours - theirs).norm() < 0.02 * moved


def test_every_singular_value_comes_near_one():
    import torch

    torch.manual_seed(1)
    values = torch.linalg.svdvals(orthogonalized(torch.randn(48, 160)))
    assert values.min() > 0.6
    assert values.max() < 1.25
