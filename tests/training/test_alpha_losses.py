"""Losses of cutouts, on numbers done by hand, against scikit-image, and on the networks that they train."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from douga_training.alpha_losses import (
    birefnet_loss,
    gradient_loss,
    iou_loss,
    isnet_loss,
    masks_loss,
    pixel_loss,
    similarity,
    ssim_loss,
)
from skimage.metrics import structural_similarity
from torch import Tensor, nn

from douga.networks import birefnet, isnet

TINY = birefnet.BiRefNetConfig(
    16, (1, 1, 2, 1), (1, 2, 2, 4), 4, inner_width=8, aspp_width=16, gradient_width=4, drop_path=0, dropout=0
)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def disc(side: int = 64) -> Tensor:
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    return ((y - 30) ** 2 + (x - 34) ** 2 < 15**2).float()[None, None]


def test_iou_is_averaged_over_images() -> None:
    found, alpha = torch.tensor([[1.0, 1, 0, 0], [0, 0, 0, 0]]), torch.tensor([[1.0, 0, 0, 0], [0, 0, 0, 0]])
    loss = iou_loss(found[:, None, None], alpha[:, None, None])
    assert loss.item() == pytest.approx((1 - 2 / 3 + 0) / 2)  # (1 + 1) / (2 + 1), and nothing on nothing


def test_an_empty_truth_still_pulls() -> None:
    found = torch.full((1, 1, 4, 4), 0.5, requires_grad=True)
    iou_loss(found, torch.zeros(1, 1, 4, 4)).backward()
    assert found.grad is not None
    assert (found.grad > 0).all()


def test_ssim_is_that_of_scikit_image() -> None:
    """Away from the border, which is zeros here and mirrored there."""
    random = np.random.default_rng(0)
    a, b = random.random((2, 40, 50)).astype(np.float32)
    _, similar = structural_similarity(
        a, b, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, full=True
    )
    x, y = torch.from_numpy(np.stack([a, b]))[:, None, None]
    ours = similarity(x, y)[0, 0].numpy()
    np.testing.assert_allclose(ours[11:-11, 11:-11], similar[11:-11, 11:-11], atol=1e-4)
    assert ssim_loss(x, y).item() == pytest.approx(1 - ours.mean(), abs=1e-6)
    assert ssim_loss(x, x).item() == pytest.approx(0, abs=1e-6)


def test_ssim_is_the_same_where_training_casts_to_bfloat16() -> None:
    found, alpha = disc() * 0.98 + 0.01, disc()
    with torch.autocast("cpu", torch.bfloat16):
        cast = ssim_loss(found, alpha)
    torch.testing.assert_close(cast, ssim_loss(found, alpha), atol=1e-5, rtol=0)


def test_toonouts_weights() -> None:
    found, alpha = disc() * 0.8, disc()
    expected = 10 * ssim_loss(found, alpha) + 90 * 0.2 * alpha.mean() + 0.25 * iou_loss(found, alpha)
    torch.testing.assert_close(pixel_loss(found, alpha), expected)


def test_gradients_are_held_against_the_targets_probability() -> None:
    """Logits of 0 against a target of probability 0.5 cost ln 2, at each of the strides."""
    flat = torch.zeros(1, 1, 8, 8)
    seen = birefnet.Supervised(flat, (flat,) * 3, (flat, flat[..., :4, :4], flat), (flat,) * 3)
    assert gradient_loss(seen).item() == pytest.approx(3 * math.log(2))


def test_all_answers_count_in_birefnets_loss() -> None:
    alpha, sure = disc(), 20 * (2 * disc() - 1)
    none = torch.full_like(sure, -20)
    flat = torch.zeros(1, 1, 64, 64)
    right = birefnet.Supervised(sure, (sure,) * 3, (flat,) * 3, (flat,) * 3)
    best = birefnet_loss(right, alpha)
    assert best.item() == pytest.approx(3 * math.log(2), abs=1e-3)
    for i in range(3):
        sides = tuple(none if j == i else sure for j in range(3))
        assert birefnet_loss(right._replace(sides=sides), alpha) > best + 10
    assert birefnet_loss(right._replace(logits=none), alpha) > best + 10


@pytest.mark.parametrize(
    ("synchronisation", "expected"),
    [
        ("l2", 4.0),
        ("l1", 2.0),
        (
            "kl",
            (0.5 * math.log(0.5 / (1 / (1 + math.exp(2)))) + 0.5 * math.log(0.5 / (1 / (1 + math.exp(-2)))))
            / 2,
        ),
    ],
)
def test_features_are_held_against_the_teachers(synchronisation: str, expected: float) -> None:
    """Two channels that differ by 0 and 2 from the teacher's, in each of six stages."""
    alpha, logits = torch.full((1, 1, 2, 2), 0.5), torch.zeros(1, 1, 2, 2)
    own = torch.stack([torch.zeros(2, 2), torch.full((2, 2), 2.0)])[None]
    taught = torch.zeros(1, 2, 2, 2)
    share = 1.0 if synchronisation == "kl" else 0.5  # half of the channels differ
    seen = isnet.Supervised((logits,) * 6, (own,) * 6)
    loss = isnet_loss(seen, alpha, (taught,) * 6, synchronisation=synchronisation)  # type: ignore[arg-type]
    assert loss.item() == pytest.approx(6 * math.log(2) + 6 * share * expected, rel=1e-5)


def test_an_unknown_synchronisation_is_refused() -> None:
    seen = isnet.Supervised((torch.zeros(1, 1, 2, 2),), (torch.zeros(1, 2, 2, 2),))
    with pytest.raises(ValueError, match="choose one of l2, kl, l1"):
        isnet_loss(seen, torch.zeros(1, 1, 2, 2), seen.features, synchronisation="l3")  # type: ignore[arg-type]


def descend(network: nn.Module, loss_of: object, steps: int) -> list[float]:
    optimiser, losses = torch.optim.Adam(network.parameters(), 3e-3), []
    for _ in range(steps):
        optimiser.zero_grad()
        loss = loss_of()  # type: ignore[operator]
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def test_birefnet_learns_a_disc_and_everything_in_it_is_moved() -> None:
    network = birefnet.BiRefNet(TINY).train()
    alpha = disc().repeat(2, 1, 1, 1)
    image = (alpha - 0.5).expand(-1, 3, -1, -1) + 0.1 * torch.randn(2, 3, 64, 64)
    losses = descend(network, lambda: birefnet_loss(network(image), alpha), 12)
    assert losses[-1] < 0.8 * losses[0]
    still = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert [name for name in still if "how_much" not in name and "where" not in name] == []


def test_isnet_learns_from_its_teacher() -> None:
    alpha = disc().repeat(2, 1, 1, 1)
    teacher = isnet.MaskEncoder(isnet.IsNetConfig(8)).train()
    taught = descend(teacher, lambda: masks_loss(teacher(alpha), alpha), 12)
    assert taught[-1] < 0.8 * taught[0]
    with torch.no_grad():
        features = teacher(alpha).features
    network = isnet.IsNet(isnet.IsNetConfig(8)).train()
    image = (alpha - 0.5).expand(-1, 3, -1, -1) + 0.1 * torch.randn(2, 3, 64, 64)
    losses = descend(network, lambda: isnet_loss(network(image), alpha, features), 12)
    assert losses[-1] < 0.8 * losses[0]
    assert all(p.grad is not None and p.grad.any() for p in network.parameters() if p.ndim > 1)
