"""Generated images with defects and anomaly maps of invented models, for demonstrations."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SEED = 11
SIDE = 96


class SyntheticImages(NamedTuple):
    """Masks, maps and kinds of defect.

    Attributes
    ----------
    masks : bool array (n, side, side)
        Ground truth; empty for normal images.
    anomaly_maps : dict of str to float32 array (n, side, side)
        Scores of each invented model.
    defect : list of str
        ``"none"``, ``"spot"`` or ``"scratch"``.
    """

    masks: NDArray[np.bool_]
    anomaly_maps: dict[str, NDArray[np.float32]]
    defect: list[str]


def synthetic_images(n_normal: int = 60, n_anomalous: int = 40) -> SyntheticImages:
    """Normal images first, then spots and scratches of varying contrast; always the same.

    Parameters
    ----------
    n_normal, n_anomalous : int
        Number of images of each class.

    Returns
    -------
    SyntheticImages
        The "sharp" model sees small defects, the "blurred" one smears them, the "nervous" one
        fires on the texture of a few normal images.

    Examples
    --------
    >>> from evalstats.data.synthetic_images import synthetic_images
    >>> images = synthetic_images(6, 4)
    >>> images.masks.shape, sorted(images.anomaly_maps)
    ((10, 96, 96), ['blurred', 'nervous', 'sharp'])
    """
    rng = np.random.default_rng(SEED)
    n = n_normal + n_anomalous
    masks = np.zeros((n, SIDE, SIDE), dtype=bool)
    defect = ["none"] * n_normal
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for image in range(n_normal, n):
        y, x = rng.integers(20, SIDE - 20, 2)
        if image % 2:
            masks[image] = (rows - y) ** 2 + (columns - x) ** 2 <= rng.integers(3, 10) ** 2
            defect.append("spot")
        else:
            slope = rng.normal(scale=0.7)
            near = np.abs(rows - y - slope * (columns - x)) <= 1.5
            masks[image] = near & (np.abs(columns - x) <= rng.integers(8, 19))
            defect.append("scratch")
    contrast = rng.gamma(3.0, 1.3, n)[:, np.newaxis, np.newaxis]
    texture = _smoothed(rng.normal(size=(n, SIDE, SIDE)), 1.0)
    texture /= texture.std()
    signal = contrast * masks
    restless = np.zeros((n, 1, 1))
    restless[rng.choice(n_normal, max(1, n_normal // 20), replace=False)] = 1.2
    maps = {
        "sharp": texture + 1.5 * _smoothed(signal, 0.8),
        "blurred": 0.8 * texture + 1.6 * _smoothed(signal, 3.0),
        "nervous": texture * (1.0 + restless) + 1.5 * _smoothed(signal, 0.8),
    }
    return SyntheticImages(masks, {k: v.astype(np.float32) for k, v in maps.items()}, defect)


def _smoothed(images: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    """Each image under a Gaussian filter."""
    from scipy import ndimage

    return np.asarray(ndimage.gaussian_filter(images, (0.0, width, width)))
