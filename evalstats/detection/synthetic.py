"""Generated ground truth and detectors, for examples, tests and the demo."""

import numpy as np

from evalstats.detection.records import Categories, Detections, GroundTruth, Ragged

SIDE = 640


def synthetic_ground_truth(
    rng: np.random.Generator,
    n_images: int,
    n_categories: int = 12,
    *,
    objects: float = 4.0,
    federated: bool = True,
) -> GroundTruth:
    """Images with boxes of categories whose frequencies fall like a power law.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    n_images, n_categories : int
        Size.
    objects : float, default 4.0
        Mean number of objects in an image.
    federated : bool, default True
        Add LVIS lists: in each image a few absent categories are verified.

    Returns
    -------
    GroundTruth
        Generated images.
    """
    share = 1.0 / np.arange(1, n_categories + 1)
    share /= share.sum()
    counts = 1 + rng.poisson(objects - 1, n_images)
    total = int(counts.sum())
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    category = rng.choice(n_categories, total, p=share).astype(np.int64)
    side = np.exp(rng.normal(4.0, 0.9, (total, 2))).clip(8, 400)
    box = np.column_stack([rng.uniform(0, SIDE - side[:, 0]), rng.uniform(0, SIDE - side[:, 1])])
    box = np.column_stack([box, side])
    frequency = np.digitize(np.arange(n_categories), [n_categories / 3, 2 * n_categories / 3])
    negative, incomplete = None, None
    if federated:
        present = np.zeros((n_images, n_categories), dtype=bool)
        present[np.repeat(np.arange(n_images), counts), category] = True
        negative = _ragged(~present & (rng.random(present.shape) < 0.5))
        incomplete = _ragged(present & (rng.random(present.shape) < 0.1))
    return GroundTruth(
        image_ids=np.arange(n_images),
        offsets=offsets,
        category=category,
        box=box,
        area=side.prod(axis=1),
        ignore=np.zeros(total, np.uint8),
        crowd=np.zeros(total, np.uint8),
        annotation_id=np.arange(1, total + 1),
        categories=Categories(
            np.arange(1, n_categories + 1),
            tuple(f"category {number}" for number in range(1, n_categories + 1)),
            (2 - frequency).astype(np.int64),
        ),
        size=np.full((n_images, 2), SIDE),
        negative=negative,
        not_exhaustive=incomplete,
    )


def synthetic_detections(
    rng: np.random.Generator,
    truth: GroundTruth,
    *,
    quality: float = 1.0,
    noise: float = 6.0,
    shift: float = 0.0,
) -> Detections:
    """A detector that finds most objects, with false alarms and category-dependent scores.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness.
    truth : GroundTruth
        What is to be found.
    quality : float, default 1.0
        Separation of the scores of hits from those of false alarms.
    noise : float, default 6.0
        False alarms in an image.
    shift : float, default 0.0
        Spread of category-dependent shifts of the scores, which hurt the pooled metric only.

    Returns
    -------
    Detections
        Scored boxes.
    """
    n_images, n_categories = len(truth), len(truth.categories.ids)
    owner = np.repeat(np.arange(n_images), np.diff(truth.offsets))
    found = np.flatnonzero(rng.random(len(owner)) < 0.85)
    jitter = rng.normal(0, 0.12, (len(found), 4)) * np.tile(truth.box[found, 2:], 2)
    hit = truth.box[found] + jitter
    hit[:, 2:] = np.abs(hit[:, 2:]) + 1
    false = rng.poisson(noise, n_images)
    total = int(false.sum())
    side = np.exp(rng.normal(4.0, 0.9, (total, 2))).clip(8, 400)
    alarm = np.column_stack([rng.uniform(0, SIDE / 2, (total, 2)), side])
    image = np.concatenate([owner[found], np.repeat(np.arange(n_images), false)])
    category = np.concatenate([truth.category[found], rng.integers(0, n_categories, total)])
    strength = np.concatenate(
        [rng.normal(quality, 1.0, len(found)), rng.normal(-quality, 1.0, total)]
    )
    strength += shift * rng.normal(size=n_categories)[category]
    order = np.argsort(image, kind="stable")
    return Detections(
        image_ids=truth.image_ids,
        offsets=np.searchsorted(image[order], np.arange(n_images + 1)).astype(np.int64),
        category_id=truth.categories.ids[category[order]],
        score=1 / (1 + np.exp(-strength[order])),
        row=np.arange(len(order)),
        box=np.concatenate([hit, alarm])[order],
        boxes_first=True,
    )


def example_detections(
    rng: np.random.Generator, n: int
) -> tuple[GroundTruth, dict[str, Detections]]:
    """Small valid arguments of ``fit`` for two detectors."""
    truth = synthetic_ground_truth(rng, n, 6)
    return truth, {
        "a": synthetic_detections(rng, truth, quality=1.0),
        "b": synthetic_detections(rng, truth, quality=0.7, shift=0.5),
    }


def _ragged(chosen: "np.typing.NDArray[np.bool_]") -> Ragged:
    offsets = np.concatenate([[0], np.cumsum(chosen.sum(axis=1))]).astype(np.int64)
    return Ragged(offsets, np.nonzero(chosen)[1].astype(np.int64))
