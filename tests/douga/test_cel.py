"""Stage one's mask after the network: specks."""

import numpy as np

from douga.cel import without_specks


def test_islands_go_and_what_is_large_enough_stays() -> None:
    mask = np.array(
        [
            [1, 1, 0, 0, 0, 0],
            [1, 1, 0, 0, 1, 0],
            [0, 0, 0, 0, 0, 1],
            [0, 1, 0, 0, 0, 0],
        ],
        np.uint8,
    )
    two = without_specks(mask, 2)  # the diagonal pair is one island
    np.testing.assert_array_equal(two[3], [0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(two[:3], mask[:3])
    np.testing.assert_array_equal(without_specks(mask, 3)[:, 2:], 0)
    np.testing.assert_array_equal(without_specks(mask, 0), mask)
