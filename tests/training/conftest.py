"""What the tests of training share: a small folder of productions."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six productions of 320 x 180, the even ones with their broadcast twins. Not to be changed."""
    from douga_training.simulate.production import broadcast_scene, composite_scene, draw_scene
    from douga_training.simulate.store import write_production

    folder = tmp_path_factory.mktemp("scenes")
    for seed in range(6):
        scene = draw_scene(seed, (320, 180), shot="close_up")
        lossless = composite_scene(scene)
        write_production(folder, lossless, None if seed % 2 else broadcast_scene(scene, lossless))
    return folder
