"""Targets ``oracle:<Estimator>``: values of valid but extreme data against slow definitions."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import evalstats as es
from tests.fuzz.harness import Target, Trial, WrongError
from tests.fuzz.values import Rng, pick
from tests.oracles import (
    anomaly,
    calibration,
    detection,
    discontinuity,
    fairness,
    judgements,
    ranking,
    regressions,
    scores,
    trajectory,
)

# Estimator, arguments of fit, and the values that it must give.
Case = tuple[Any, dict[str, Any], Any]
POINTS = es.NoInference()


def targets() -> list[Target]:
    """One target for each registered estimator."""
    return [Target(f"oracle:{name}", _drawer(name), SHARES.get(name, 0.5)) for name in ORACLES]


SHARES = {
    "BradleyTerry": 0.1,
    "AveragePrecision": 0.2,
    "PooledAveragePrecision": 0.2,
    "AUPIMO": 0.2,
    "AUPRO": 0.3,
    "LengthControlledWinRate": 0.3,
    "CalibrationSlope": 0.3,
    "ReliabilityDiagram": 0.5,
    "DistributionRDD": 0.5,
}


def _size(rng: Rng) -> int:
    return int(pick(rng, (2, 3, 5, 8, 13, 21)))


def _labels(rng: Rng, n: int) -> Any:
    y = rng.random(n) < pick(rng, (0.5, 0.1, 0.9))
    y[:2] = [True, False]
    return y


def _weight(rng: Rng, n: int) -> Any:
    """Counts, fractions or very unequal weights, some of them 0; the first two rows have some."""
    weight = pick(
        rng,
        (
            np.ones(n),
            rng.integers(0, 4, n).astype(float),
            rng.random(n),
            10.0 ** rng.integers(-9, 9, n),
        ),
    )
    weight[:2] = np.maximum(weight[:2], 1e-9)
    return weight


def _scores(rng: Rng, n: int) -> Any:
    """Ties, zeros of both signs, subnormal, huge and adjacent numbers, and several types."""
    values = pick(
        rng,
        (
            rng.normal(size=n),
            rng.integers(0, 3, n).astype(float),
            np.zeros(n),
            rng.choice([0.0, -0.0, 5e-324, -5e-324], n),
            rng.choice([1e308, -1e308, 1e300, 0.0], n),
            1.0 + np.spacing(1.0) * rng.integers(0, 3, n),
            2.0**53 + rng.integers(0, 3, n),
            rng.normal(size=n).astype(np.float32),
            rng.integers(-3, 3, n).astype(np.int8),
            2**62 + rng.integers(0, 3, n),
            rng.random(n) < 0.5,
        ),
    )
    return values if rng.random() < 0.8 else values.astype(values.dtype.newbyteorder())


def _probabilities(rng: Rng, n: int) -> Any:
    return pick(
        rng,
        (
            rng.random(n),
            rng.integers(0, 5, n) / 4,
            np.full(n, 0.5),
            rng.choice([0.1, 0.2, 0.3, 0.6, 0.7], n),
            rng.choice([1e-300, 0.5, 1 - 1e-16], n),
            rng.random(n).astype(np.float32).astype(float),
        ),
    )


def _auroc(rng: Rng) -> Case:
    n = _size(rng)
    y, s, w = _labels(rng, n), _scores(rng, n), _weight(rng, n)
    limit = pick(rng, (None, None, 0.3, 0.9))
    model = es.AUROC(inference=POINTS, max_fpr=limit)
    if limit is None:
        value = ranking.auroc(y, s, w)
    else:  # on McClish's scale, where chance is 1/2 and a perfect ranking 1
        chance = limit**2 / 2
        value = 0.5 + 0.5 * (ranking.partial_auroc(y, s, w, limit) - chance) / (limit - chance)
    return model, {"y_true": y, "y_score": s, "sample_weight": w}, [value]


def _auprc(rng: Rng) -> Case:
    n = _size(rng)
    y, s, w = _labels(rng, n), _scores(rng, n), _weight(rng, n)
    arguments = {"y_true": y, "y_score": s, "sample_weight": w}
    return es.AUPRC(inference=POINTS), arguments, [ranking.average_precision(y, s, w)]


def _mistakes(rng: Rng) -> Case:
    n = _size(rng) + 2
    y, s, w = _labels(rng, n), _scores(rng, n), np.maximum(_weight(rng, n), 1e-9)
    group = np.arange(n) % 2
    losses = np.concatenate([loss.ravel() for loss in ranking.subgroup_losses(y, s, w, group)])
    arguments = {"y_true": y, "y_score": s, "group": group, "sample_weight": w}
    return es.MistakeAnalysis(inference=POINTS), arguments, losses


def _forecast(rng: Rng) -> tuple[Any, Any, Any]:
    n = _size(rng)
    return _labels(rng, n), _probabilities(rng, n), _weight(rng, n)


def _row_mean(model: Any, score: str) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        y, p, w = _forecast(rng)
        p = np.clip(p, 1e-12, 1 - 1e-12)
        rows = [scores.row_score(v, o, score) for v, o in zip(p, y, strict=True)]
        arguments = {"y_true": y, "y_prob": p, "sample_weight": w}
        return model(inference=POINTS), arguments, [float(w @ rows) / w.sum()]

    return draw


def _balance(rng: Rng) -> Case:
    y, p, w = _forecast(rng)
    arguments = {"y_true": y, "y_prob": p, "sample_weight": w}
    return es.BalanceScore(inference=POINTS), arguments, [calibration.balance(y, p, w)]


def _calibration_error(rng: Rng) -> Case:
    y, p, w = _forecast(rng)
    norm, n_bins = pick(rng, (1, 2, "max")), int(pick(rng, (1, 2, 4, 10, 15)))
    model = es.CalibrationError(norm=norm, n_bins=n_bins, inference=POINTS)
    value = calibration.uniform_error(y, p, n_bins, norm, w)
    return model, {"y_true": y, "y_prob": p, "sample_weight": w}, [value]


def _reliability(rng: Rng) -> Case:
    y, p, w = _forecast(rng)
    terms = scores.corp(p.tolist(), y.tolist(), w.tolist(), "brier")
    arguments = {"y_true": y, "y_prob": p, "sample_weight": w}
    return es.ReliabilityDiagram(inference=POINTS), arguments, list(terms.values())


def _slope(rng: Rng) -> Case:
    n = 40
    p = np.clip(rng.random(n), 0.02, 0.98)
    y, w = rng.random(n) < p, rng.integers(1, 4, n).astype(float)
    arguments = {"y_true": y, "y_prob": p, "sample_weight": w}
    value = regressions.calibration_line(y, p, w)
    return es.CalibrationSlope(inference=POINTS), arguments, value


def _distance(rng: Rng) -> Case:
    n = max(5, _size(rng))
    x = pick(
        rng, (rng.normal(size=n), rng.integers(0, 3, n).astype(float), 1e50 * rng.normal(size=n))
    )
    y = rng.normal(size=n) + pick(rng, (0.0, 1e6))
    x[0], x[1] = x[0] + 1.0, x[1] - abs(x).max()
    own = [fairness.dcov2(v, v, unbiased=True) for v in (x, y)]
    if min(v / fairness.distances(u).mean() ** 2 for v, u in zip(own, (x, y), strict=True)) < 1e-6:
        raise ValueError("a variance of 0, up to rounding: draw again")
    value = fairness.dcov2(x, y, unbiased=True) / np.sqrt(own[0] * own[1])
    model = es.DistanceCovariance(inference=POINTS, continuous=["age"])
    return model, {"prediction": x, "protected": {"age": y}}, {"dCor²": value}


def _discontinuity(rng: Rng) -> Case:
    n = 60
    x = np.round(rng.uniform(-1, 1, n), int(pick(rng, (2, 15))))
    y = rng.normal(size=n) + (x >= 0) * pick(rng, (0.0, 1e6))
    w = rng.uniform(0.5, 2.0, n)
    h, name, p = (
        float(pick(rng, (0.7, 0.95, 3.0))),
        pick(rng, ("triangular", "uniform")),
        int(pick(rng, (1, 2))),
    )
    model = es.DistributionRDD(bandwidth=h, kernel=name, p=p, quantiles=[0.5], inference=POINTS)
    value = discontinuity.jump(x, y, h, name, p, w)
    return model, {"running": x, "outcome": y, "sample_weight": w}, [value]


def _win_rate(rng: Rng) -> Case:
    n = _size(rng)
    preference = pick(rng, (1.0 + rng.random(n), rng.choice([0.0, 1.0, 1.5, 2.0], n)))
    return (
        es.WinRate(inference=POINTS),
        {"preference": preference},
        [judgements.win_rate(preference)],
    )


def _length_controlled(rng: Rng) -> Case:
    n = 30
    lengths = rng.integers(10, 10 ** int(pick(rng, (2, 4, 9))), (2, n))
    preference = 1.0 + rng.uniform(0.05, 0.95, n)
    value = regressions.length_controlled(preference - 1.0, *lengths)
    model = es.LengthControlledWinRate(inference=POINTS)
    arguments = {"preference": preference, "length_model": lengths[0]}
    return model, arguments | {"length_baseline": lengths[1]}, [value]


def _reward(rng: Rng) -> Case:
    n = _size(rng)
    outcome = rng.choice(["win_much", "win", "tie", "lose", "lose_much"], n)
    arguments = {"outcome": outcome, "model": np.array(["m"] * n), "item": np.arange(n)}
    model = es.WildBenchReward(margin=-1, inference=POINTS)
    return model, arguments, [judgements.wildbench_reward(outcome)]


def _mark(rng: Rng) -> Case:
    n = _size(rng)
    score = pick(rng, (rng.integers(1, 11, n), rng.uniform(1, 10, n), np.full(n, 5)))
    arguments = {"score": score, "model": np.array(["m"] * n), "item": np.arange(n)}
    return es.WildBenchScore(inference=POINTS), arguments, [judgements.wildbench_score(score)]


def _battles(rng: Rng) -> Case:
    names = np.array(["a", "b", "<c>"])
    pairs = np.array([(0, 1), (1, 2), (2, 0)] * 6)
    a, b = names[pairs[:, 0]], names[pairs[:, 1]]
    outcome = rng.choice([0.0, 0.5, 1.0], len(a))
    outcome[:6] = [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    weight = rng.integers(1, 4, len(a)).astype(float)
    ratings = regressions.bradley_terry(a, b, outcome, weight)
    arguments = {"model_a": a, "model_b": b, "outcome": outcome, "sample_weight": weight}
    return es.BradleyTerry(inference=POINTS), arguments, ratings


def _maps(rng: Rng) -> tuple[Any, Any, Any]:
    masks = np.zeros((5, 5, 6), dtype=bool)
    masks[3, 1:3, 2:5] = masks[4, 0, 0] = masks[4, 3:, 3] = True
    maps = rng.normal(size=masks.shape) + masks
    maps = pick(
        rng, (maps, np.round(maps), maps.astype(np.float32), 1e300 * maps, np.zeros(maps.shape))
    )
    return masks, maps, rng.uniform(0.5, 2.0, 5)


def _aupimo(rng: Rng) -> Case:
    masks, maps, weight = _maps(rng)
    bounds = pick(rng, ((0.02, 0.3), (0.1, 1.0)))
    ties = pick(rng, ("half", "conservative", "optimistic"))
    own = anomaly.aupimo(maps, masks, bounds, ties, weight)
    shown = ~np.isnan(own)
    model = es.AUPIMO(fpr_bounds=bounds, ties=ties, inference=POINTS)
    arguments = {"masks": masks, "anomaly_maps": maps, "sample_weight": weight}
    return model, arguments, [np.average(own[shown], weights=weight[shown])]


def _aupro(rng: Rng) -> Case:
    masks, maps, weight = _maps(rng)
    limit = float(pick(rng, (0.3, 0.05, 1.0)))
    arguments = {"masks": masks, "anomaly_maps": maps, "sample_weight": weight}
    return (
        es.AUPRO(max_fpr=limit, inference=POINTS),
        arguments,
        [anomaly.aupro(maps, masks, limit, weight)],
    )


def _paths(rng: Rng) -> tuple[Any, Any, Any]:
    agents = int(pick(rng, (2, 4)))
    truth = rng.normal(size=(3, agents, 2))
    samples = rng.normal(size=(15, 3, agents, 2)) + pick(rng, (0.0, 1e3))
    return truth, samples, np.arange(agents) // 2


def _amd(rng: Rng) -> Case:
    truth, samples, scene = _paths(rng)
    value = trajectory.amd_of_gaussians(truth, samples, scene, 1e-6)
    model = es.AMD(max_components=1, inference=POINTS)
    return model, {"trajectory": truth, "samples": samples, "scene": scene}, [value]


def _amv(rng: Rng) -> Case:
    truth, samples, scene = _paths(rng)
    value = trajectory.amv(samples, scene, 1e-6)
    arguments = {"trajectory": truth, "samples": samples, "scene": scene}
    return es.AMV(inference=POINTS), arguments, [value]


def _trajectory(rng: Rng) -> Case:
    truth, samples, _ = _paths(rng)
    steps, agents = truth.shape[:2]
    cells = [(t, a) for t in range(steps) for a in range(agents)]
    energy = np.mean(
        [trajectory.energy_score(samples[:, t, a], truth[t, a], fair=True) for t, a in cells]
    )
    away = np.linalg.norm(samples - truth, axis=3)
    model = es.TrajectoryScores(scores=["energy score", "ADE", "FDE"], inference=POINTS)
    expected = {"energy score": energy, "ADE": away.mean(), "FDE": away[:, -1].mean()}
    return model, {"trajectory": truth, "samples": samples}, expected


def _boxes(rng: Rng) -> tuple[Any, Any, list[Any], list[Any]]:
    def place() -> dict[str, Any]:
        x, side = int(8 * rng.integers(0, 3)), [int(v) for v in 16 * rng.integers(1, 3, 2)]
        return {
            "image": int(rng.integers(1, 4)),
            "category": int(rng.integers(1, 3)),
            "box": (x, 0, *side),
        }

    objects = [place() | {"crowd": False, "ignored": False} for _ in range(int(rng.integers(1, 7)))]
    for item in objects:
        item["area"] = item["box"][2] * item["box"][3]
    found = [
        place() | {"score": float(pick(rng, (0.25, 0.5, 1.0)))}
        for _ in range(int(rng.integers(1, 9)))
    ]
    document = {
        "images": [{"id": i} for i in (1, 2, 3)],
        "categories": [{"id": c} for c in (1, 2)],
        "annotations": [
            {
                "id": k,
                "image_id": o["image"],
                "category_id": o["category"],
                "bbox": o["box"],
                "area": o["area"],
            }
            for k, o in enumerate(objects)
        ],
    }
    results = [
        {
            "image_id": d["image"],
            "category_id": d["category"],
            "bbox": d["box"],
            "score": d["score"],
        }
        for d in found
    ]
    return document, results, objects, found


def _precision(pooled: bool) -> Callable[[Rng], Case]:
    def draw(rng: Rng) -> Case:
        document, results, objects, found = _boxes(rng)
        by_category, pool = detection.average_precision(
            (1, 2, 3), (1, 2), objects, found, {1: 1, 2: 1, 3: 1}, 0.5, limits=(0, 10**10)
        )
        values = [float(ap) for ap, _ in by_category.values() if ap is not None]
        cls = es.PooledAveragePrecision if pooled else es.AveragePrecision
        model = cls(iou_thresholds=[0.5], metrics=["AP"], inference=POINTS)
        expected = float(pool[0]) if pooled else float(np.mean(values))
        arguments = {
            "ground_truth": es.read_ground_truth(document),
            "detections": es.read_detections(results),
        }
        return model, arguments, [expected]

    return draw


ORACLES: Mapping[str, Callable[[Rng], Case]] = {
    "AMD": _amd,
    "AMV": _amv,
    "AUPIMO": _aupimo,
    "AUPRC": _auprc,
    "AUPRO": _aupro,
    "AUROC": _auroc,
    "AveragePrecision": _precision(False),
    "BalanceScore": _balance,
    "BradleyTerry": _battles,
    "BrierScore": _row_mean(es.BrierScore, "brier"),
    "CalibrationError": _calibration_error,
    "CalibrationSlope": _slope,
    "DistanceCovariance": _distance,
    "DistributionRDD": _discontinuity,
    "LengthControlledWinRate": _length_controlled,
    "LogLoss": _row_mean(es.LogLoss, "log"),
    "MistakeAnalysis": _mistakes,
    "PooledAveragePrecision": _precision(True),
    "ReliabilityDiagram": _reliability,
    "TrajectoryScores": _trajectory,
    "WildBenchReward": _reward,
    "WildBenchScore": _mark,
    "WinRate": _win_rate,
}


def _drawer(name: str) -> Callable[[Rng], Trial]:
    def draw(rng: Rng) -> Trial:
        model, arguments, expected = ORACLES[name](rng)
        return Trial(
            lambda: model.fit(**arguments).estimate_,
            (*arguments, "model"),
            arguments,
            lambda estimate: _compare(estimate, expected),
            f"{model!r}.fit(**{arguments!r}) should give {expected!r}",
        )

    return draw


def _compare(estimate: Any, expected: Any) -> None:
    if isinstance(expected, Mapping):
        labels = estimate.terms["metric"].to_list()
        if not set(expected) <= set(labels):
            labels = estimate.terms["model"].to_list()
        found = [estimate.value[labels.index(name)] for name in expected]
        expected = list(expected.values())
    else:
        found = estimate.value[: len(expected)]
    size = max(1.0, float(np.max(np.abs(expected))))
    if not np.allclose(found, expected, rtol=1e-8, atol=1e-9 * size, equal_nan=True):
        raise WrongError(f"value {found}, by the definition {expected}")
