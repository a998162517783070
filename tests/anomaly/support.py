"""Small stacks of images with ties, several sizes and weights."""

import numpy as np

BOUNDS = (0.01, 0.3)


def stack(rng, n=12, side=9, *, decimals=None, ragged=False, strength=2.0):
    """Maps and masks; every third image is anomalous. A list where sizes differ."""
    maps, masks = [], []
    for i in range(n):
        shape = (side + i % 3, side + 2 * (i % 2)) if ragged else (side, side)
        mask = np.zeros(shape, dtype=bool)
        if i % 3 == 0:
            mask[2 : 4 + i % 2, 1 : 5 + i % 3] = True
            mask[-2:, -1:] = True
        image = rng.normal(size=shape) + strength * mask
        maps.append(image if decimals is None else np.round(image, decimals))
        masks.append(mask)
    return (maps, masks) if ragged else (np.array(maps), np.array(masks))
