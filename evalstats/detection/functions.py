"""Average precision as plain numbers."""

from typing import Any

import numpy as np

from evalstats.detection.average_precision import AveragePrecision
from evalstats.detection.pooled import PooledAveragePrecision
from evalstats.detection.records import truth_of


def average_precision(ground_truth: object, detections: object, **options: Any) -> dict[str, float]:
    """All numbers of a protocol for one detector, as plain numbers.

    Parameters
    ----------
    ground_truth : path, mapping or GroundTruth
        COCO or LVIS annotations.
    detections : path, records, frame or Detections
        Results of one detector.
    **options
        As in :class:`AveragePrecision`: ``protocol``, ``iou_type``, ``max_detections``,
        ``class_budget``, ``ties``, ``iou_thresholds``, ``metrics``, ``box_format``, ``area``.

    Returns
    -------
    dict of str to float
        Such as ``"AP"``, ``"AP50"``, ``"APr"``; NaN where nothing can be found (the references
        write -1).

    Raises
    ------
    InputError
        If records cannot be used.

    Examples
    --------
    >>> import evalstats as es
    >>> truth = {
    ...     "images": [{"id": 1}],
    ...     "categories": [{"id": 1}],
    ...     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}],
    ... }
    >>> found = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 0.9}]
    >>> round(es.average_precision(truth, found)["AP"], 6)
    1.0
    """
    estimator = AveragePrecision(**options)
    columns = estimator.point_columns({"ground_truth": ground_truth, "detections": detections})
    prepared = estimator._prepare(columns)
    values = estimator._evaluate(prepared, np.ones(columns.n))
    return dict(zip(prepared.names, values.tolist(), strict=True))


def pooled_average_precision(
    ground_truth: object, detections: object, **options: Any
) -> dict[str, float]:
    """AP-Pool of one detector, as plain numbers.

    Parameters
    ----------
    ground_truth : path, mapping or GroundTruth
        COCO or LVIS annotations.
    detections : path, records, frame or Detections
        Results of one detector.
    **options
        As in :class:`PooledAveragePrecision`.

    Returns
    -------
    dict of str to float
        ``"AP"`` and, with frequencies, ``"APr"``, ``"APc"``, ``"APf"``; NaN where a pool has no
        object.

    Raises
    ------
    InputError
        If records cannot be used.

    Examples
    --------
    >>> import evalstats as es
    >>> truth = {
    ...     "images": [{"id": 1}],
    ...     "categories": [{"id": 1}],
    ...     "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9]}],
    ... }
    >>> found = [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "score": 0.9}]
    >>> round(es.pooled_average_precision(truth, found)["AP"], 6)
    1.0
    """
    estimator = PooledAveragePrecision(**options)
    columns = estimator.point_columns({"ground_truth": ground_truth, "detections": detections})
    values = estimator._evaluate(estimator._prepare(columns), np.ones(columns.n))
    return dict(zip(estimator._names(truth_of(columns)), values.tolist(), strict=True))
