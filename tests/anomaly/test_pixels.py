"""Tails of normal pixels: none is missed, few are taken in vain."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from evalstats.anomaly.images import classified_masks, read_stack
from evalstats.anomaly.pixels import RUN, StackPixels, image_layout, positions


@pytest.mark.parametrize("size", [0, 1, 7, 8, 63, 64, 65, 1000])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("offset", [0, 3])
def test_positions(rng, size, share, offset):
    flags = (rng.random(size + offset) < share)[offset:]
    flags.flags.writeable = False
    np.testing.assert_array_equal(positions(flags), np.flatnonzero(flags))


@pytest.mark.parametrize("side", [64, 65])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int16", "float64"])
@pytest.mark.parametrize("smooth", [0.0, 4.0])
@pytest.mark.parametrize("depth", [3e-4, 0.01, 1.0])
def test_tail_holds_every_pixel_above_its_floor(rng, side, dtype, smooth, depth):
    maps = rng.normal(size=(24, side, side))
    if smooth:
        maps = np.stack([gaussian_filter(image, smooth) for image in maps])
    maps = (1000 * maps).astype(dtype)
    masks = np.zeros(maps.shape, dtype=bool)
    masks[20:, 5:20, 5:20] = True
    layout = image_layout(classified_masks("masks", read_stack("masks", masks)), None)
    tail = StackPixels(layout, read_stack("maps", maps)).tail(depth)
    normal = maps[:20].astype(np.float64)
    wanted = int(np.ceil(depth * normal.size))
    above = normal[normal >= tail.floor]
    np.testing.assert_array_equal(np.sort(tail.scores), np.sort(above))
    assert len(above) >= wanted
    found = maps[20:][masks[20:]].astype(np.float64)
    kept = np.sort(np.concatenate(tail.sets))
    np.testing.assert_array_equal(kept, np.sort(found[found >= tail.floor]))
    assert tail.complete == (depth == 1.0)
    if wanted * RUN <= normal.size // 4 and dtype == "float64":
        assert len(above) <= 2 * wanted
