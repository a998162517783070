"""Sections on ranking: AUROC, AUPRC and the mistakes behind them."""

from typing import Any

import polars as pl

from evalstats.discrimination.auprc import AUPRC
from evalstats.discrimination.auroc import AUROC
from evalstats.discrimination.mistakes import MistakeAnalysis
from evalstats.report.predictions import Predictions, digits, fertility, marriages, tumours
from evalstats.report.section import Figure, Section, Table
from evalstats.results.displays import plot_differences, plot_estimates
from evalstats.results.estimate import Estimate


def malignant_tumours() -> Section:
    """Headline: both areas, paired tests, curves."""
    data = tumours()
    auroc, auprc = _fitted(AUROC(), data), _fitted(AUPRC(), data)
    estimates = [auroc.estimate_, auprc.estimate_]
    differences = _differences_from_best(estimates)
    n, positives = data.frame.height, int(data.frame[data.label].sum())
    return Section(
        title="Malignant tumours",
        intro=(
            f"{n} breast masses of the Wisconsin diagnostic data, {positives} of them malignant. "
            "All three classifiers rank almost perfectly; intervals on the logit scale stay inside "
            f"[0, 1] even here. {_verdict(auroc.estimate_, differences)} All models see the same "
            "tumours, so the differences are paired; p-values are adjusted by Holm's method over "
            "the tests of one metric."
        ),
        tables=(
            _table("tumours", "Malignant tumours: discrimination", estimates),
            Table("tumours-differences", "Difference from the best model", differences),
        ),
        figures=(
            Figure.of_axes("tumours-roc", "ROC curves with pointwise 95% bands.", auroc.plot()),
            Figure.of_axes(
                "tumours-precision-recall",
                "Precision-recall curves with pointwise 95% bands.",
                auprc.plot(),
            ),
            Figure.of_axes(
                "tumours-forest",
                "Estimates with 95% intervals.",
                plot_estimates(_stacked(estimates)),
            ),
            Figure.of_axes(
                "tumours-differences",
                "Paired differences from the best model with 95% intervals and adjusted p-values.",
                plot_differences(differences),
            ),
        ),
        estimates=estimates,
    )


def results_by_subgroup() -> Section:
    """The same metric in groups of one survey."""
    data = marriages()
    auroc = _fitted(AUROC(), data, by="married").estimate_
    auprc = _fitted(AUPRC(), data, by="married").estimate_
    return Section(
        title="Results by subgroup",
        intro=(
            f"{data.frame.height:,} answers to a survey on marriage (Fair 1978): who reports an "
            "affair? Grouped by the length of the marriage. AUROC can be compared between groups; "
            "AUPRC moves with the prevalence of each group, so a higher AUPRC need not mean that "
            "a model ranks this group better."
        ),
        tables=(
            _table("marriages-auroc", "AUROC by length of the marriage", [auroc]),
            _table("marriages-auprc", "AUPRC by length of the marriage", [auprc]),
        ),
        figures=(
            Figure.of_axes("marriages-auroc", "AUROC by group, with 95% intervals.", auroc.plot()),
            Figure.of_axes("marriages-auprc", "AUPRC by group, with 95% intervals.", auprc.plot()),
        ),
        estimates=(auroc, auprc),
    )


def mistakes_by_subgroup() -> Section:
    """Which subgroup AUPRC favours."""
    data = marriages()
    best = _best(_fitted(AUROC(), data).estimate_)
    analysis = MistakeAnalysis().fit(
        data.label, best, group="married", data=data.frame.select(data.label, best, "married")
    )
    amplification = analysis.estimate_.select(metric="amplification")
    return Section(
        title="Whose mistakes count",
        intro=(
            "A ranking mistake is a positive below a negative. AUROC counts all of them alike; "
            "AUPRC counts those at high scores for more, and so pays more attention to the "
            "subgroup that the model scores highest (McDermott et al. 2024). Amplification is the "
            "share of a pair of subgroups in the AUPRC loss over its share in the AUROC loss: "
            "above 1, tuning a model by AUPRC favours that pair.\n\n"
            f"Model: {best}. Intervals by the bootstrap."
        ),
        tables=(_table("mistakes", "Amplification by subgroups of the pair", [amplification]),),
        figures=(
            Figure.of_axes(
                "mistakes",
                "Cumulative share of the loss against the share of rows above the threshold "
                "(left) and amplification by subgroups of the mistaken pair (right).",
                analysis.plot(),
            ),
        ),
        estimates=(analysis.estimate_,),
    )


def countries_as_clusters() -> Section:
    """Repeated observations: intervals that know about them."""
    data = fertility()
    rows = _fitted(AUROC(), data).estimate_
    clusters = _fitted(AUROC(), data, cluster="country").estimate_
    both = pl.concat(
        [
            estimate.to_frame().with_columns(pl.lit(label).alias("sampled"))
            for estimate, label in (
                (rows, "rows"),
                (clusters, "countries"),
            )
        ]
    ).select("metric", "sampled", pl.exclude("metric", "sampled"))
    differences = _differences_from_best([clusters])
    widening = clusters.standard_error / rows.standard_error - 1
    return Section(
        title="Countries as clusters",
        intro=(
            f"{clusters.n_clusters} countries, each observed every fifth year: will fertility fall "
            "by at least a tenth within five years? Classifiers were trained on other countries. "
            "The rows of one country resemble one another, so they carry less information than "
            "as many independent rows. Sampling whole countries widens the standard errors by "
            f"{100 * widening.min():.0f} to {100 * widening.max():.0f}%, "
            "and leaves the estimates as they are."
        ),
        tables=(
            Table(
                "countries",
                "AUROC when rows or whole countries are taken as sampled",
                both,
                note=_sample(clusters),
            ),
            Table(
                "countries-differences",
                "Difference from the best model, clustered by country",
                differences,
            ),
        ),
        figures=(
            Figure.of_axes(
                "countries",
                "AUROC with 95% intervals when rows or whole countries are taken as sampled.",
                plot_estimates(both),
            ),
            Figure.of_axes(
                "countries-differences",
                "Paired differences from the best model, clustered by country.",
                plot_differences(differences),
            ),
        ),
        estimates=(clusters,),
    )


def digits_by_class() -> Section:
    """Several classes: means over classes and each class alone."""
    digit, scores = digits()
    macro = [
        AUROC(multiclass="ovr").fit(digit, scores).estimate_,
        AUPRC(multiclass="ovr").fit(digit, scores).estimate_,
    ]
    per_class = AUPRC(multiclass="ovr", average=None).fit(digit, scores).estimate_
    hardest = per_class.terms.with_columns(value=per_class.value).sort("value")["class"][0]
    worst = per_class.select(**{"class": hardest})
    return Section(
        title="Ten digits",
        intro=(
            f"{len(digit):,} handwritten digits, each class against the rest. The mean over "
            "classes has a standard error of its own, which takes into account that all classes "
            f"are measured on the same images. The hardest digit is {hardest}."
        ),
        tables=(
            _table("digits", "Ten digits: mean over classes", macro),
            Table(
                "digits-differences",
                "Difference of the means from the best model",
                _differences_from_best(macro),
            ),
            _table("digits-hardest", f"AUPRC of the digit {hardest} against the rest", [worst]),
        ),
        figures=(
            Figure.of_axes(
                "digits-by-class",
                "AUPRC of each digit against the rest, with 95% intervals.",
                per_class.plot(),
            ),
        ),
        estimates=(*macro, per_class),
    )


def _fitted(estimator: Any, data: Predictions, **roles: str) -> Any:
    return estimator.fit(data.label, data.models, data=data.frame, **roles)


def _best(estimate: Estimate) -> str:
    return str(estimate.terms["model"][int(estimate.value.argmax())])


def _verdict(estimate: Estimate, differences: pl.DataFrame) -> str:
    """What the headline shows, in words."""
    significant = int((differences["p_adjusted"] < 0.05).sum())
    best = _best(estimate)
    top = estimate.select(model=best)
    low, high = top.confidence_interval()
    return (
        f"{best.capitalize()} has the highest AUROC, {top.value[0]:.3f} [{low[0]:.3f}, "
        f"{high[0]:.3f}]; {significant or 'none'} of the {differences.height} differences "
        "from the best model below is significant at the 5% level."
    )


def _differences_from_best(estimates: list[Estimate]) -> pl.DataFrame:
    return pl.concat([estimate.compare(_best(estimate)) for estimate in estimates])


def _stacked(estimates: list[Estimate]) -> pl.DataFrame:
    return pl.concat([estimate.to_frame() for estimate in estimates])


def _table(name: str, title: str, estimates: list[Estimate], note: str = "") -> Table:
    frame = _stacked(estimates)
    if "group" in frame.columns:
        # Models of one group stand together, to be compared.
        frame = frame.select("metric", "group", pl.exclude("metric", "group"))
    return Table(
        name,
        title,
        frame,
        note=note,
        level=estimates[0].level,
        higher_is_better=estimates[0].higher_is_better,
    )


def _sample(estimate: Estimate) -> str:
    sample = f"{estimate.n_units:,} {estimate.unit}s"
    return sample if estimate.n_clusters is None else f"{sample} in {estimate.n_clusters} clusters"
