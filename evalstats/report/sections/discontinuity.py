"""Section on discontinuity designs: two breaks in climate records, years as units."""

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from evalstats.discontinuity.rdd import DistributionRDD
from evalstats.report.section import Figure, Section, Table
from evalstats.results.displays import plot_discontinuity, plot_effect_curve
from evalstats.results.layout import format_p

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CLIMATE_SHIFT = 1976.5
ASWAN_DAM = 1898.5
DECILES = np.arange(1, 10) / 10.0


def breaks_in_climate_records() -> Section:
    """Sea temperatures about the climate shift of 1976, and the Nile about the dam of 1898."""
    from statsmodels.datasets import elnino, nile

    sea = elnino.load_pandas().data
    months = sea.drop(columns="YEAR").to_numpy()
    # Deviations from each month's mean: a year's distribution should not be its seasons.
    anomalies = months - months.mean(axis=0)
    shift = DistributionRDD(cutoff=CLIMATE_SHIFT, quantiles=DECILES).fit(
        sea["YEAR"].to_numpy(), anomalies
    )
    river = nile.load_pandas().data
    dam = DistributionRDD(cutoff=ASWAN_DAM).fit(
        river["year"].to_numpy(), {"Nile": river["volume"].to_numpy()}
    )
    drawn = shift.multiplier_bootstrap(9999)
    p_null = float(drawn.tests()["p_value"][0])
    drop = float(dam.estimate_.value[0])
    low, high = dam.estimate_.confidence_interval()
    return Section(
        title="Thresholds: regression discontinuity",
        intro=(
            "What changes where a running variable crosses a threshold? A unit may carry a whole "
            "distribution of outcomes, and the effect is then a curve over its quantiles. Here "
            f"units are {shift.estimate_.n_units} years with twelve monthly sea surface "
            "temperatures each (El Niño region), and the threshold is the Pacific climate shift "
            f"of 1976. That no decile changes is not rejected (p = {format_p(p_null)}). One number "
            "per unit is the ordinary design: with the dam at Aswan the yearly flow of the Nile "
            f"changes by {drop / 10:.1f} cubic kilometres (95% interval {float(low[0]) / 10:.1f} "
            f"to {float(high[0]) / 10:.1f}).\n\n"
            "The window is selected from the data; a quadratic fit removes the bias that it "
            "leaves. Time as the running variable is an illustration: years depend on each other, "
            "and anything else that changed then is part of the effect."
        ),
        tables=(
            Table(
                "discontinuity",
                "Change of the quantiles of a year's monthly temperatures in 1976, in degrees",
                shift.estimate_.to_frame(),
            ),
            Table(
                "discontinuity-windows",
                "What each side of the threshold rests on",
                _windows(shift.diagnostics(), dam.diagnostics()),
            ),
        ),
        figures=(
            Figure.of_axes(
                "discontinuity-effect",
                "Effect on each decile with pointwise 95% intervals (strong) and the band that "
                "holds for all deciles at once (faint).",
                plot_effect_curve(shift.uniform_band()),
            ),
            Figure.of_axes(
                "discontinuity-years",
                "Yearly quantiles of the temperature anomaly (means of bins) and the quadratic "
                "fits on both sides.",
                _drawn_years(shift),
            ),
        ),
        estimates=(shift.estimate_, dam.estimate_),
    )


def _windows(*tables: pl.DataFrame) -> pl.DataFrame:
    names = ("El Niño", "Nile")
    renamed = [
        table.with_columns(pl.lit(name).alias("model"))
        for table, name in zip(tables, names, strict=True)
    ]
    return pl.concat(renamed).select(
        "model", "side", "n", "n_window", "effective_n", pl.col("bandwidth_max").alias("bandwidth")
    )


def _drawn_years(shift: DistributionRDD) -> "Axes":
    axes = plot_discontinuity(
        shift.binned_quantiles(14), shift.fitted_curves(), cutoff=CLIMATE_SHIFT
    )
    axes.set_xlabel("Year")
    axes.set_ylabel("Temperature anomaly in degrees")
    return axes
