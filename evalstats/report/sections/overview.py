"""First section of the demo report: one question per method, all in one family of tests."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl

from evalstats.inference.multiplicity import adjusted_p_values
from evalstats.report.section import Figure, Section, Table
from evalstats.results.displays import plot_differences
from evalstats.results.estimate import Estimate

TITLE = "Headline results"
FIGURES = ("estimate", "standard_error", "ci_low", "ci_high")


class Claim(NamedTuple):
    """A comparison that the data of a run cannot choose.

    Attributes
    ----------
    section : str
        Title of the section that holds the estimate.
    position : int
        Place among the estimates of that section.
    metric : str
        Metric within the estimate.
    model, reference : str
        Who is compared with whom.
    sign : int
        1 where larger values are better, otherwise -1.
    """

    section: str
    position: int
    metric: str
    model: str
    reference: str
    sign: int = 1


CLAIMS = (
    Claim("Malignant tumours", 0, "AUROC", "gradient boosting", "logistic regression"),
    Claim("Malignant tumours", 1, "AUPRC", "gradient boosting", "logistic regression"),
    Claim("Countries as clusters", 0, "AUROC", "gradient boosting", "logistic regression"),
    Claim("Ten digits", 1, "AUPRC", "gradient boosting", "logistic regression"),
    Claim(
        "Probabilities as frequencies",
        2,
        "Brier score",
        "gradient boosting",
        "logistic regression",
        -1,
    ),
    Claim("Length-controlled win rates", 1, "Length-controlled win rate", "concise", "verbose"),
    Claim("Defects found at few false alarms", 0, "AUPIMO", "sharp", "blurred"),
    Claim("Object detectors", 1, "AP", "calibrated", "raw"),
    Claim("Trajectory forecasts", 0, "energy score", "calibrated", "too narrow", -1),
    Claim("A fair motor tariff", 0, "dCor²", "fair", "plain", -1),
)
DAM = "Thresholds: regression discontinuity"
SHORT = {"Pooled average precision": "AP-Pool", "Length-controlled win rate": "LC win rate"}


def headline(sections: Sequence[Section]) -> Section:
    """Estimates and paired tests of every method on one page.

    Parameters
    ----------
    sections : sequence of Section
        The sections of the report, with their estimates.

    Returns
    -------
    Section
        To be shown first.
    """
    by_title = {section.title: section for section in sections}
    claims = [claim for claim in CLAIMS if claim.section in by_title]
    selected = [_selected(by_title[claim.section], claim) for claim in claims]
    values = pl.concat(
        [_values(claim, estimate) for claim, estimate in zip(claims, selected, strict=True)]
    )
    tests = [_difference(claim, found) for claim, found in zip(claims, selected, strict=True)]
    if DAM in by_title:
        tests.append(_dam(by_title[DAM].estimates[1]))
    differences = _adjusted(pl.concat(tests))
    return Section(
        title=TITLE,
        intro=(
            "One comparison per question, written into the program, so that the results of a run "
            "cannot choose it; the sections below show everything else. Both models of a row saw "
            "the same units, so their difference is paired, and its interval is not what the two "
            "intervals of the estimates suggest. "
            f"P-values are adjusted by Holm's method over all {differences.height} tests of this "
            f"table: {_count(differences)}."
        ),
        tables=(
            Table("headline", "Estimates with 95% intervals", values),
            Table(
                "headline-differences",
                "Paired differences, one family of tests",
                differences,
                note="Metrics have different units: win rates are in percent",
            ),
        ),
        figures=(
            Figure.of_axes(
                "headline-differences",
                "Differences in units of their standard errors, with 95% intervals and adjusted "
                "p-values, each turned so that the model is better than its reference to the "
                "right of 0.",
                plot_differences(_standardised(differences, claims)),
            ),
        ),
    )


def _selected(section: Section, claim: Claim) -> Estimate:
    return section.estimates[claim.position].select(metric=claim.metric)


def _shown_metric(estimate: Estimate, claim: Claim) -> str:
    return SHORT.get(estimate.name, claim.metric)


def _values(claim: Claim, estimate: Estimate) -> pl.DataFrame:
    frame = estimate.to_frame().filter(pl.col("model").is_in([claim.model, claim.reference]))
    return frame.select(
        pl.lit(claim.section).alias("question"),
        pl.lit(_shown_metric(estimate, claim)).alias("metric"),
        "model",
        *FIGURES,
        pl.col("n").cast(pl.Int64),
    )


def _difference(claim: Claim, estimate: Estimate) -> pl.DataFrame:
    pairs = estimate.compare(claim.reference, adjust=None).filter(pl.col("model") == claim.model)
    return pairs.select(
        pl.lit(claim.section).alias("question"),
        pl.lit(_shown_metric(estimate, claim)).alias("metric"),
        "model",
        pl.lit(claim.reference).alias("reference"),
        *FIGURES,
        "statistic",
        "p_value",
    )


def _dam(effect: Estimate) -> pl.DataFrame:
    """The effect of a threshold is a difference already."""
    return effect.to_frame().select(
        pl.lit(DAM).alias("question"),
        pl.lit("flow of the Nile").alias("metric"),
        pl.lit("with the dam").alias("model"),
        pl.lit("without").alias("reference"),
        *FIGURES,
        effect.test()["statistic"],
        effect.test()["p_value"],
    )


def _adjusted(differences: pl.DataFrame) -> pl.DataFrame:
    p_value = differences["p_value"].to_numpy()
    statistic = differences["statistic"].to_numpy()
    adjusted = adjusted_p_values(
        p_value,
        "holm",
        statistic=statistic,
        covariance=np.eye(len(p_value)),
        df=np.inf,
        two_sided=True,
    )
    return differences.drop("statistic").with_columns(p_adjusted=adjusted, adjust=pl.lit("holm"))


def _count(differences: pl.DataFrame) -> str:
    significant = int((differences["p_adjusted"] < 0.05).sum())
    verb = "is" if significant == 1 else "are"
    return f"{significant or 'none'} of the differences {verb} significant at the 5% level"


def _standardised(differences: pl.DataFrame, claims: Sequence[Claim]) -> pl.DataFrame:
    """Differences in standard errors, turned so that more is better."""
    differences = differences.head(len(claims))
    unit = pl.Series("unit", [claim.sign for claim in claims]) / differences["standard_error"]
    low, high = differences["ci_low"] * unit, differences["ci_high"] * unit
    return differences.select(
        (pl.col("question") + ": " + pl.col("metric")).alias("model"),
        pl.lit("the reference, in standard errors").alias("reference"),
        pl.col("estimate") * unit,
        pl.lit(1.0).alias("standard_error"),
        pl.Series("ci_low", np.minimum(low, high)),
        pl.Series("ci_high", np.maximum(low, high)),
        "p_value",
        "p_adjusted",
        "adjust",
    )
