"""AUPIMO against one pass over memory and against ROC curves of scikit-learn."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

import evalstats as es
from benchmarks.harness import Contest, benchmark

Array = NDArray[np.float64]

N_NORMAL = 100
N_ANOMALOUS = 100
SIDE = 1024
REPLICATES = 2000
PEER_SIDE = 256
PEER_IMAGES = 8
GRID_POINTS = 100
BOUNDS = (1e-5, 1e-4)


@cache
def images(n_normal: int, n_anomalous: int, side: int) -> tuple[NDArray[np.bool_], Array]:
    """Masks that cover about a fortieth of an anomalous image, and float32 maps."""
    rng = np.random.default_rng(0)
    n = n_normal + n_anomalous
    masks = np.zeros((n, side, side), dtype=bool)
    maps = np.empty((n, side, side), dtype=np.float32)
    for image in range(n):
        maps[image] = rng.standard_normal((side, side), dtype=np.float32)
        if image >= n_normal:
            row, column = rng.integers(side // 10, side // 2, 2)
            extent = int(rng.integers(side // 16, side // 4))
            masks[image, row : row + extent, column : column + extent] = True
            maps[image][masks[image]] += 4
    return masks, maps  # type: ignore[return-value]


@benchmark(
    f"AUPIMO, {N_NORMAL} + {N_ANOMALOUS} images of {SIDE}², exact "
    "(literature: 11.2 s of CPU for 160 images of this size, Bertoldo et al. 2024)",
    peer="one `numpy.max` over the normal pixels (the ratio is below 1)",
    size=(N_NORMAL + N_ANOMALOUS) * SIDE**2,
    min_ratio=1 / 6,
    peer_runs=7,
)
def exact() -> Contest:
    """The limit is a pass over memory."""
    masks, maps = images(N_NORMAL, N_ANOMALOUS, SIDE)
    normal = maps[:N_NORMAL]
    return Contest(
        ours=lambda: np.nanmean(es.aupimo(masks, maps, fpr_bounds=BOUNDS)),
        theirs=normal.max,
        same_result=False,
    )


@benchmark(
    f"Bootstrap of AUPIMO, {REPLICATES:,} replicates of both samples, two models of "
    f"{N_NORMAL} + {N_ANOMALOUS} images of {SIDE}²",
    size=2 * (N_NORMAL + N_ANOMALOUS) * SIDE**2,
    max_seconds=3.0,
    runs=3,
)
def bootstrap() -> Contest:
    """The tails are ranked beforehand; a replicate reads no pixel."""
    from evalstats.inference.engine import infer

    masks, maps = images(N_NORMAL, N_ANOMALOUS, SIDE)
    method = es.Bootstrap(n_resamples=REPLICATES, rng=0)
    pimo = es.AUPIMO(fpr_bounds=BOUNDS, inference=es.NoInference())
    pimo.fit(masks, {"a": maps, "b": maps[:, ::-1, ::-1] * np.float32(0.5) + maps})
    columns = pimo._fitted_columns()
    prepared = pimo._prepare(columns)
    problem = pimo._problem(columns, [None], [columns], [prepared], method)
    return Contest(ours=lambda: np.diag(infer(problem, method).covariance))


def curves_by_sklearn() -> Array:
    """Mean AUPIMO from exact ROC curves of scikit-learn, interpolated to a common rate axis."""
    from sklearn.metrics import roc_curve

    masks, maps = images(PEER_IMAGES, PEER_IMAGES, PEER_SIDE)
    normal = maps[:PEER_IMAGES].ravel()
    axis = np.geomspace(1e-4, 1e-2, 1000)
    scores = []
    for image, mask in zip(maps[PEER_IMAGES:], masks[PEER_IMAGES:], strict=True):
        found = image[mask]
        labels = np.repeat([1, 0], [len(found), len(normal)])
        fpr, tpr, _ = roc_curve(labels, np.concatenate([found, normal]), drop_intermediate=False)
        overlap = tpr[np.searchsorted(fpr, axis, side="right") - 1]
        scores.append(np.trapezoid(overlap, np.log(axis)) / np.log(100))
    return np.array(np.mean(scores))


@benchmark(
    f"AUPIMO from ROC curves, {PEER_IMAGES} + {PEER_IMAGES} images of {PEER_SIDE}²",
    peer="scikit-learn `roc_curve` per image against all normal pixels, trapezoid by numpy",
    size=2 * PEER_IMAGES * PEER_SIDE**2,
    min_ratio=50,
)
def roc_peer() -> Contest:
    """One sort of all normal pixels for each anomalous image."""
    masks, maps = images(PEER_IMAGES, PEER_IMAGES, PEER_SIDE)
    return Contest(
        ours=lambda: np.nanmean(es.aupimo(masks, maps, fpr_bounds=(1e-4, 1e-2))),
        theirs=curves_by_sklearn,
    )


def grid_by_torchmetrics() -> float:
    """Mean AUPIMO on a grid of thresholds, from the binned ROC curves of torchmetrics."""
    import torch
    from torchmetrics.functional.classification import binary_roc

    masks, maps = images(PEER_IMAGES, PEER_IMAGES, PEER_SIDE)
    normal = torch.from_numpy(maps[:PEER_IMAGES]).ravel().double()
    # The metric wants probabilities; the thresholds that matter are those of the normal tail.
    grid = torch.linspace(float(normal.quantile(0.98)), float(normal.max()), GRID_POINTS).double()
    scores = []
    for image, mask in zip(maps[PEER_IMAGES:], masks[PEER_IMAGES:], strict=True):
        found = torch.from_numpy(image[mask]).double()
        labels = torch.cat([torch.ones(len(found)), torch.zeros(len(normal))]).long()
        pooled = torch.cat([found, normal])
        fpr, tpr, _ = binary_roc(pooled.sigmoid(), labels, thresholds=grid.sigmoid())
        rate, overlap = fpr.numpy(), tpr.numpy()
        inside = (rate >= 1e-4) & (rate <= 1e-2)
        scores.append(np.trapezoid(overlap[inside], np.log(rate[inside])) / np.log(100))
    return float(np.mean(scores))


@benchmark(
    f"AUPIMO on a grid of {GRID_POINTS} thresholds, {PEER_IMAGES} + {PEER_IMAGES} images of "
    f"{PEER_SIDE}²; ours exact",
    peer="torchmetrics `binary_roc` per image against all normal pixels, trapezoid by numpy",
    size=2 * PEER_IMAGES * PEER_SIDE**2,
    min_ratio=50,
    peer_runs=1,
)
def grid_peer() -> Contest:
    """A comparison of every pixel with every threshold, for each anomalous image."""
    masks, maps = images(PEER_IMAGES, PEER_IMAGES, PEER_SIDE)
    return Contest(
        ours=lambda: np.nanmean(es.aupimo(masks, maps, fpr_bounds=(1e-4, 1e-2))),
        theirs=grid_by_torchmetrics,
        same_result=False,
    )
