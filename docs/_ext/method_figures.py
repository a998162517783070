"""Draw the figures of the method pages when the site is built.

Most come from the sections of the demo report, so that page and report show the same; the rest is
drawn here. A page includes ``generated/figures/NAME.svg``.
"""

import os
import warnings
from pathlib import Path

import evalstats as es
from evalstats.report.section import Figure
from evalstats.report.sections import (
    anomaly,
    calibration,
    detection,
    discontinuity,
    discrimination,
    fairness,
    trajectory,
    winrate,
)
from evalstats.results.displays import plot_estimates

# Section that draws a figure, and the figures that are taken from it.
FROM_REPORT = {
    discrimination.malignant_tumours: ("tumours-roc", "tumours-differences"),
    discrimination.mistakes_by_subgroup: ("mistakes",),
    calibration.probabilities_as_frequencies: ("reliability", "reliability-recalibrated"),
    detection.detectors: ("detection-curves", "detection-categories"),
    winrate.length_controlled_win_rates: ("win-rates", "win-rates-matrix"),
    fairness.fair_motor_tariff: ("fairness-distributions", "fairness-path"),
    trajectory.crowd_forecasts: ("forecasts-plane", "forecasts-calibration"),
    anomaly.defects_at_few_false_alarms: ("aupimo-curves", "aupimo-image"),
    discontinuity.breaks_in_climate_records: ("discontinuity-effect", "discontinuity-years"),
}


def ratings() -> Figure:
    """Bradley-Terry ratings of invented models, with and without a control for length."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(3)
    names = np.array(["amber", "birch", "cedar", "dune", "ember"])
    skill = np.array([0.9, 0.5, 0.2, -0.4, -1.0])
    mean_length = np.array([300.0, 700.0, 420.0, 650.0, 380.0])
    first = rng.integers(0, 5, 4000)
    second = (first + rng.integers(1, 5, 4000)) % 5
    length = [mean_length[side] * rng.uniform(0.5, 1.5, 4000) for side in (first, second)]
    longer = (length[0] - length[1]) / (length[0] + length[1] + 1)
    chance = 1 / (1 + np.exp(-(skill[first] - skill[second] + 2.0 * longer)))
    battles = pl.DataFrame(
        {
            "a": names[first],
            "b": names[second],
            "won": (rng.random(4000) < chance).astype(float),
            "length_a": length[0],
            "length_b": length[1],
        }
    )
    plain = es.BradleyTerry().fit("a", "b", "won", data=battles)
    controlled = es.BradleyTerry(controls=["length"]).fit("a", "b", "won", data=battles)
    frames = [
        fitted.estimate_.to_frame()
        .filter(pl.col("model").is_in(names.tolist()))
        .with_columns(metric=pl.lit(label))
        .select("metric", "model", "estimate", "standard_error", "ci_low", "ci_high")
        for fitted, label in ((plain, "plain"), (controlled, "length controlled"))
    ]
    return Figure.of_axes("ratings", "", plot_estimates(pl.concat(frames)))


def average_ranks() -> Figure:
    """Average-rank diagram of six invented models on forty units."""
    import numpy as np

    rng = np.random.default_rng(5)
    difficulty = rng.normal(size=40)
    scores = {
        f"model {letter}": difficulty + rng.normal(shift, 0.6, 40)
        for letter, shift in zip("ABCDEF", (0.6, 0.5, 0.2, 0.15, -0.2, -0.7), strict=True)
    }
    return Figure.of_axes("average-ranks", "", es.rank_models(scores).plot())


OWN = {"ratings": ratings, "average-ranks": average_ranks}
NAMES = frozenset(OWN) | {name for names in FROM_REPORT.values() for name in names}


def make_figures(folder: Path, newer_than: float = 0.0) -> None:
    """Write every figure that is missing, or older than the code, as SVG."""
    import matplotlib

    matplotlib.use("agg")
    folder.mkdir(parents=True, exist_ok=True)

    def is_current(name: str) -> bool:
        path = folder / f"{name}.svg"
        return path.exists() and path.stat().st_mtime > newer_than

    def write(figure: Figure) -> None:
        (folder / f"{figure.name}.svg").write_bytes(figure.drawn(["svg"]).forms["svg"])

    with warnings.catch_warnings():
        # What is suspicious in the example is said in the report, not in the log of the build.
        warnings.simplefilter("ignore", es.EvalstatsWarning)
        for make, names in FROM_REPORT.items():
            if not all(map(is_current, names)):
                for figure in make().figures:
                    if figure.name in names:
                        write(figure)
        for name, make in OWN.items():
            if not is_current(name):
                write(make())


def _on_start(app):
    sources = [*Path(es.__file__).parent.rglob("*.py"), Path(__file__)]
    make_figures(
        Path(app.srcdir, "generated", "figures"), max(os.path.getmtime(path) for path in sources)
    )


def setup(app):
    """Draw before the pages are read."""
    app.connect("builder-inited", _on_start)
    return {"parallel_read_safe": True}
