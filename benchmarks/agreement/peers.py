"""Peers that only the benchmark environment has."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np

import evalstats as es
from benchmarks.agreement.checks import Pair, check, studies


@check("Squared distance covariance and correlation, unbiased", "`u_distance_*_sqr`", "dcor")
def distance_covariance() -> Iterator[Pair]:
    """Continuous, tied and several-dimensional variables."""
    import dcor

    for seed in range(8):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=150)
        y = np.round(x + rng.normal(size=150), seed % 3)
        z = np.column_stack([y, rng.normal(size=150)])
        for other in (y, z):
            yield (
                es.distance_covariance_squared(x, other),
                dcor.u_distance_covariance_sqr(x, other),
            )
            yield (
                es.distance_correlation_squared(x, other),
                dcor.u_distance_correlation_sqr(x, other),
            )


@check("Squared distance covariance, biased", "`distance_covariance_sqr`", "dcor")
def biased_distance_covariance() -> Iterator[Pair]:
    """V-statistic."""
    import dcor

    for seed in range(8):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=150)
        y = np.round(x + rng.normal(size=150), seed % 3)
        ours = es.distance_covariance_squared(x, y, estimator="biased")
        yield ours, dcor.distance_covariance_sqr(x, y)


SINGLE = "the peer computes in single precision"


@check("AUROC and average precision", "`binary_auroc`, ...", "torchmetrics", 2e-5, SINGLE)
def torch_ranking() -> Iterator[Pair]:
    """Exact modes, on probabilities."""
    import torch
    from torchmetrics.functional.classification import binary_auroc, binary_average_precision

    for case in studies():
        y, p = torch.from_numpy(case["y"]), torch.from_numpy(case["prob"])
        yield es.auroc(case["y"], case["prob"]), float(binary_auroc(p, y))
        yield es.auprc(case["y"], case["prob"]), float(binary_average_precision(p, y))


@check(
    "Calibration error, norms 1, 2 and max",
    "`binary_calibration_error`",
    "torchmetrics",
    2e-5,
    SINGLE,
)
def torch_calibration() -> Iterator[Pair]:
    """Fifteen bins of equal width."""
    import torch
    from torchmetrics.functional.classification import binary_calibration_error

    for case in studies():
        y, p = torch.from_numpy(case["y"]), torch.from_numpy(case["prob"])
        for ours, theirs in ((1, "l1"), (2, "l2"), ("max", "max")):
            found = es.calibration_error(case["y"], case["prob"], norm=ours)  # type: ignore[arg-type]
            yield found, float(binary_calibration_error(p, y, n_bins=15, norm=theirs))


@check("Expected calibration error", "`ECE(15).measure`", "netcal")
def netcal_error() -> Iterator[Pair]:
    """Fifteen bins of equal width."""
    from netcal.metrics import ECE

    for case in studies():
        yield es.ece(case["y"], case["prob"]), ECE(15).measure(case["prob"], case["y"])


@check("Energy score and CRPS", "`es_ensemble`, `crps_ensemble`", "scoringrules")
def ensembles() -> Iterator[Pair]:
    """Means over agents and steps, V-statistics."""
    from scoringrules import crps_ensemble, es_ensemble

    for seed in range(4):
        rng = np.random.default_rng(seed)
        truth = rng.normal(size=(3, 20, 2))
        samples = truth + rng.normal(size=(40, 3, 20, 2))
        theirs = [
            es_ensemble(truth[t], samples[:, t], m_axis=0, v_axis=-1, backend="numpy")
            for t in range(3)
        ]
        yield es.energy_score(truth, samples, fair=False), np.mean(theirs)
        fitted = es.TrajectoryScores(scores=["CRPS"], fair=False, inference=es.NoInference())
        given = fitted.fit(truth, samples).estimate_.value
        crps = crps_ensemble(truth, np.moveaxis(samples, 0, -1), estimator="nrg", backend="numpy")
        yield given, [crps.mean()]


@check("DeLong's paired test: z and p", "`Delong_test`", "mlstatkit", 1e-8)
def delong() -> Iterator[Pair]:
    """Two models on the same rows."""
    from MLstatkit import Delong_test

    for case in studies():
        rng = np.random.default_rng(1)
        other = case["score"] + rng.normal(size=len(case["y"]))
        estimate = es.AUROC().fit(case["y"], {"a": case["score"], "b": other}).estimate_
        row = estimate.compare(adjust=None).row(0, named=True)
        found = Delong_test(case["y"], case["score"], other)
        yield [abs(row["statistic"]), row["p_value"]], [abs(float(found[0])), float(found[1])]


@check("Detection: the twelve numbers of COCO", "`COCOeval`", "pycocotools")
def coco() -> Iterator[Pair]:
    """Generated images, boxes."""
    from pycocotools.coco import COCO  # type: ignore[import-untyped]
    from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]

    from benchmarks.detection import plain_document
    from evalstats.detection.synthetic import synthetic_detections, synthetic_ground_truth

    for seed in range(4):
        rng = np.random.default_rng(seed)
        truth = synthetic_ground_truth(rng, 60, 8, federated=False)
        found = synthetic_detections(rng, truth, noise=12)
        results = np.column_stack(
            [found.image_ids[found.image], found.box, found.score, found.category_id]  # type: ignore[list-item]
        )
        with contextlib.redirect_stdout(io.StringIO()):
            library: Any = COCO()
            library.dataset = plain_document(truth)
            library.createIndex()
            evaluation = COCOeval(library, library.loadRes(results), "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
        ours = list(es.average_precision(truth, found).values())
        yield ours, evaluation.stats


@check("Detection: the thirteen numbers of LVIS", "`LVISEval`", "lvis")
def lvis() -> Iterator[Pair]:
    """Federated lists of verified categories."""
    from lvis import LVIS, LVISEval, LVISResults  # type: ignore[import-not-found]

    from benchmarks.detection import federated_sample

    # The peer still asks for an alias that NumPy has dropped.
    vars(np).setdefault("float", float)
    truth, found, path, records = federated_sample(40, 10)
    with contextlib.redirect_stdout(io.StringIO()):
        library = LVIS(path)
        evaluation = LVISEval(library, LVISResults(library, records), "bbox")
        evaluation.run()
    ours = es.average_precision(truth, found, protocol="lvis")
    shared = [name for name in ours if name in evaluation.results]
    yield [ours[name] for name in shared], [evaluation.results[name] for name in shared]


@check("Discontinuity at a fixed bandwidth, order 1 and 2", "`rdrobust`, conventional", "rdrobust")
def discontinuity() -> Iterator[Pair]:
    """Scalar outcomes, triangular and Epanechnikov kernels."""
    from rdrobust import rdrobust

    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = rng.uniform(-1, 1, 400)
        y = x + (x >= 0) + rng.normal(size=400)
        for order in (1, 2):
            for kernel in ("triangular", "epanechnikov"):
                rdd = es.DistributionRDD(p=order, bandwidth=0.5, kernel=kernel)
                theirs = rdrobust(y, x, h=0.5, b=0.5, p=order, kernel=kernel)
                yield rdd.fit(x, y).estimate_.value[:1], [float(theirs.coef.iloc[0, 0])]
