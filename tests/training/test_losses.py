"""Losses against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from douga_training.losses import cross_entropy, dice, focal, frequency_weights

# Two pixels whose probabilities are 1/4 for class 0 and 3/4 for class 1; the first is class 1, the second 0.
LOGITS = torch.tensor([[[[0.0, 0.0]], [[math.log(3), math.log(3)]]]])  # (1, 2, 1, 2)
IDS = torch.tensor([[[1, 0]]])
SURE, UNSURE = -math.log(0.75), -math.log(0.25)


def test_cross_entropy_is_the_mean_of_minus_the_logarithms() -> None:
    assert cross_entropy(LOGITS, IDS).item() == pytest.approx((SURE + UNSURE) / 2)


def test_cross_entropy_weighs_each_pixel_by_its_class() -> None:
    weighted = cross_entropy(LOGITS, IDS, torch.tensor([1.0, 3.0]))
    assert weighted.item() == pytest.approx((3 * SURE + 1 * UNSURE) / 4)


def test_focal_loss_weighs_by_what_is_missing_to_certainty() -> None:
    assert focal(LOGITS, IDS, gamma=2).item() == pytest.approx((0.25**2 * SURE + 0.75**2 * UNSURE) / 2)
    assert focal(LOGITS, IDS, gamma=1).item() == pytest.approx((0.25 * SURE + 0.75 * UNSURE) / 2)
    assert focal(LOGITS, IDS, gamma=0).item() == pytest.approx(cross_entropy(LOGITS, IDS).item())


def test_dice_is_one_minus_twice_the_overlap_over_the_sum() -> None:
    # Class 1: overlap 3/4, sum of probabilities 3/2, one true pixel; one added above and below.
    assert dice(LOGITS, IDS).item() == pytest.approx(1 - (2 * 0.75 + 1) / (1.5 + 1 + 1))


def test_dice_counts_only_classes_that_are_there_and_never_the_first() -> None:
    three = torch.cat([LOGITS, torch.full((1, 1, 1, 2), -100.0)], 1)
    assert dice(three, IDS).item() == pytest.approx(dice(LOGITS, IDS).item())
    assert dice(LOGITS, torch.zeros_like(IDS)).item() == 0


def test_dice_by_frame_gives_a_small_figure_the_weight_of_a_large_one() -> None:
    ids = torch.zeros(2, 8, 8, dtype=torch.int64)
    ids[0, :, :4], ids[1, 0, :4] = 1, 1  # 32 px and 4 px
    found = ids.clone()
    found[1] = 0  # the small one is missed
    logits = torch.nn.functional.one_hot(found, 2).movedim(-1, 1) * 200.0
    assert dice(logits, ids).item() == pytest.approx(1 - (2 * 32 + 1) / (32 + 36 + 1))
    assert dice(logits, ids, by_frame=True).item() == pytest.approx((0 + 1 - 1 / 5) / 2)


def test_dice_by_frame_leaves_out_frames_without_the_class() -> None:
    ids = torch.cat([IDS, torch.zeros_like(IDS)])
    logits = torch.cat([LOGITS, LOGITS])
    assert dice(logits, ids, by_frame=True).item() == pytest.approx(dice(LOGITS, IDS).item())


def test_losses_are_nothing_where_the_answer_is_sure_and_right() -> None:
    sure = torch.tensor([[[[-50.0, 50.0]], [[50.0, -50.0]]]])
    for loss in (cross_entropy(sure, IDS), focal(sure, IDS), dice(sure, IDS)):
        assert loss.item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("counts", "weights"),
    [
        ([50, 50], [1.0, 1.0]),
        ([75, 25], [0.5, 1.5]),
        ([60, 0, 20], [0.5, 0.0, 1.5]),
        ([1_000_000, 1], [1 / 50.5, 100 / 50.5]),
    ],
)
def test_rare_classes_weigh_more_up_to_a_hundred_times(counts: list[int], weights: list[float]) -> None:
    torch.testing.assert_close(frequency_weights(torch.tensor(counts)), torch.tensor(weights))
