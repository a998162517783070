"""Tails of normal pixels: none is missed, few are taken in vain."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from evalstats.anomaly.images import classified_masks, read_stack
from evalstats.anomaly.kernels import slot_counts
from evalstats.anomaly.pixels import StackPixels, image_layout, positions
from evalstats.anomaly.ranked import _buckets
from evalstats.anomaly.runs import RUN, scan


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


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int32", "bool"])
@pytest.mark.parametrize("size", [1, RUN - 1, RUN, 3 * RUN + 5])
@pytest.mark.parametrize("shift", [-100.0, 0.0, 100.0])
def test_scan_finds_the_peak_of_every_run(rng, dtype, size, shift):
    image = (rng.normal(scale=5, size=(1, size)) + shift).astype(dtype)
    image.flags.writeable = False
    seen = scan(image)
    runs = [image[0, start : start + RUN].max() for start in range(0, size, RUN)]
    np.testing.assert_array_equal(seen.peaks, np.array(runs))
    assert seen.peaks.dtype == image.dtype
    assert seen.finite


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("value", [np.nan, -np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, RUN, 3 * RUN + 4])
def test_scan_sees_what_is_not_finite(dtype, value, place):
    image = np.zeros((1, 3 * RUN + 5), dtype=dtype)
    image[0, 7] = np.finfo(dtype).max
    image[0, 8] = -np.finfo(dtype).max
    assert scan(image).finite
    image[0, place] = value
    assert not scan(image).finite


def test_scan_orders_zeros_and_subnormal_numbers():
    image = np.full((1, RUN), -1e-45, dtype=np.float32)
    assert scan(image).peaks[0] == np.float32(-1e-45)
    image[0, 3] = -0.0
    assert scan(image).peaks[0] == 0.0
    image[0, 4] = 1e-45
    assert scan(image).peaks[0] == np.float32(1e-45)


@pytest.mark.parametrize(
    "tail",
    [
        [],
        [2.0],
        [1e300, 3.0, 2.0, 1.0],
        [1e308, 0.0, -1e308],
        [5.0, 4.0, *np.linspace(1.0, 1.0 - 1e-9, 5000)],
        np.linspace(3.0, -3.0, 20_000),
    ],
)
@pytest.mark.parametrize("n", [0, 10, 20_000])
def test_slots_agree_with_a_sorted_search(rng, tail, n):
    tail = np.array(tail, dtype=np.float64)
    spread = np.concatenate([rng.normal(size=n // 2), rng.choice(np.append(tail, 1.0), n - n // 2)])
    scores = np.concatenate([spread, [1.7e308, -1.7e308, 0.0]]) if n else spread
    starts, scale = _buckets(tail)
    slots, counts = slot_counts(scores, np.append(tail, -np.inf), starts, scale)
    before = np.searchsorted(-tail, -scores, side="left")
    tied = np.append(tail, -np.inf)[before] == scores
    wanted, number = np.unique(2 * before + tied, return_counts=True)
    np.testing.assert_array_equal(slots, wanted)
    np.testing.assert_array_equal(counts, number)
