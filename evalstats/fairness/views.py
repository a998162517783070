"""What the plots of an audit draw."""

from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from evalstats.data.columns import Columns
from evalstats.errors import InputError
from evalstats.fairness.encoding import geometry_of
from evalstats.fairness.geometry import CellGeometry, Ranking
from evalstats.fairness.groups import joint_groups

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from evalstats.fairness.distance_covariance import DistanceCovariance

POINTS = 400


def draw(
    audit: "DistanceCovariance",
    columns: Columns,
    ax: "Axes | None",
    what: str,
    options: dict[str, Any],
) -> "Axes":
    """One of the plots of an audit, for one model."""
    from evalstats.results import displays

    model = options.pop("model", columns.model_names[0])
    if model not in columns.model_names:
        raise InputError(f"model={model!r} was not fitted: choose from {columns.model_names}")
    if what == "interactions":
        return displays.plot_interactions(audit.interactions(), ax=ax, **options)
    if what == "groups":
        frame = audit.groups().filter((pl.col("model") == model) & pl.col("estimate").is_finite())
        return displays.plot_groups(frame, ax=ax, **options)
    if what != "distributions":
        raise InputError(
            f"what={what!r}: choose 'distributions', 'interactions', 'groups' or 'estimates'"
        )
    return displays.plot_distributions(distribution_frame(columns, model), ax=ax, **options)


def distribution_frame(columns: Columns, model: str) -> pl.DataFrame:
    """Distribution function of the prediction in each joint level, and how they differ.

    The biased dCov2 is the integral over t of -2 f(t)' B f(t), with the shares f_k(t) of rows in
    cell k at or below t and the centred distances B of the cells: a weighted Cramer-von Mises
    distance. Columns ``curve`` ("distribution" or "integrand"), ``group``, ``n``, ``value``,
    ``share``.
    """
    labels, codes = joint_groups(columns)
    weights = np.ones(columns.n) if columns.weight is None else columns.weight
    values = np.asarray(columns.models["prediction"][model], dtype=np.float64)
    ranking = Ranking.of(values)
    ordered = values[ranking.order]
    places = np.unique(np.linspace(0, len(values) - 1, POINTS).astype(np.int64))
    table = np.zeros((len(places), len(labels)))
    for group in range(len(labels)):
        inside = (codes[ranking.order] == group) * weights[ranking.order]
        table[:, group] = np.cumsum(inside)[places]
    mass = np.bincount(codes, weights, len(labels))
    counts = np.bincount(codes, minlength=len(labels))
    with np.errstate(invalid="ignore", divide="ignore"):
        share = table / mass
    frames = [
        pl.DataFrame(
            {
                "curve": "distribution",
                "group": labels[group],
                "n": int(counts[group]),
                "value": ordered[places],
                "share": share[:, group],
            }
        )
        for group in np.argsort(-counts)
    ]
    named = [item for item in columns.extra["attributes"].values() if item.kind != "continuous"]
    geometry = geometry_of(
        named, [columns.models["protected"][item.name] for item in named], joint=False, c=0.0
    )
    if isinstance(geometry, CellGeometry):
        matrix, _ = geometry.centred_similarity(weights, False)
        f = table / mass.sum()
        # With c = 0 the similarity is minus the centred distance.
        integrand = 2.0 * ((f @ matrix) * f).sum(axis=1)
        frames.append(
            pl.DataFrame(
                {
                    "curve": "integrand",
                    "group": None,
                    "n": columns.n,
                    "value": ordered[places],
                    "share": integrand,
                },
                schema=frames[0].schema,
            )
        )
    return pl.concat(frames)
