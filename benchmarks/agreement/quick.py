"""scikit-learn, scipy and statsmodels: installed with evalstats, so `make test` runs these."""

from collections.abc import Iterator

import numpy as np

import evalstats as es
from benchmarks.agreement.checks import Pair, check, studies


@check("AUROC, ties and weights", "`roc_auc_score`", "scikit-learn")
def auroc() -> Iterator[Pair]:
    """Ranking with ties and fractional weights."""
    from sklearn.metrics import roc_auc_score

    for case in studies():
        y, s, w = case["y"], case["score"], case["weight"]
        yield es.auroc(y, s), roc_auc_score(y, s)
        yield es.auroc(y, s, sample_weight=w), roc_auc_score(y, s, sample_weight=w)


@check("Partial AUROC (McClish)", "`roc_auc_score(max_fpr=)`", "scikit-learn")
def partial_auroc() -> Iterator[Pair]:
    """Areas up to three false positive rates."""
    from sklearn.metrics import roc_auc_score

    for case in studies():
        for limit in (0.05, 0.1, 0.3):
            y, s = case["y"], case["score"]
            yield es.auroc(y, s, max_fpr=limit), roc_auc_score(y, s, max_fpr=limit)


@check(
    "AUROC of classes, one against rest and pairs", "`roc_auc_score(multi_class=)`", "scikit-learn"
)
def multiclass_auroc() -> Iterator[Pair]:
    """Macro averages of both kinds, and the weighted one."""
    from sklearn.metrics import roc_auc_score

    for seed in range(6):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 4, 200)
        p = rng.dirichlet(np.ones(4), 200) + 0.5 * np.eye(4)[y]
        p /= p.sum(axis=1, keepdims=True)
        for kind in ("ovr", "ovo"):
            for average in ("macro", "weighted") if kind == "ovr" else ("macro",):
                found = es.AUROC(
                    multiclass=kind,
                    average=average,
                    inference=es.NoInference(),
                ).fit(y, p)
                theirs = roc_auc_score(y, p, multi_class=kind, average=average)
                yield found.estimate_.value, [theirs]


@check("Average precision, ties and weights", "`average_precision_score`", "scikit-learn")
def average_precision() -> Iterator[Pair]:
    """Step integral."""
    from sklearn.metrics import average_precision_score

    for case in studies():
        y, s, w = case["y"], case["score"], case["weight"]
        yield es.auprc(y, s), average_precision_score(y, s)
        weighted = average_precision_score(y, s, sample_weight=w)
        yield es.auprc(y, s, sample_weight=w), weighted


@check("PR area by trapezoids", "`precision_recall_curve`, `auc`", "scikit-learn")
def trapezoid() -> Iterator[Pair]:
    """The optimistic area, for compatibility."""
    from sklearn.metrics import auc, precision_recall_curve

    for case in studies():
        precision, recall, _ = precision_recall_curve(case["y"], case["score"])
        yield es.auprc(case["y"], case["score"], interpolation="trapezoid"), auc(recall, precision)


@check("AUROC", "`mannwhitneyu`: U / (m n)", "scipy")
def rank_sum() -> Iterator[Pair]:
    """The area is the rank-sum statistic."""
    from scipy.stats import mannwhitneyu

    for case in studies():
        positive, negative = (case["score"][case["y"] == label] for label in (1, 0))
        u = mannwhitneyu(positive, negative).statistic
        yield es.auroc(case["y"], case["score"]), u / (len(positive) * len(negative))


@check("Brier score and log loss", "`brier_score_loss`, `log_loss`", "scikit-learn")
def scores() -> Iterator[Pair]:
    """Plain and weighted."""
    from sklearn.metrics import brier_score_loss, log_loss

    for case in studies():
        y, p, w = case["y"], case["prob"], case["weight"]
        ours = [es.brier_score(y, p), es.log_loss(y, p), es.log_loss(y, p, sample_weight=w)]
        theirs = [brier_score_loss(y, p), log_loss(y, p), log_loss(y, p, sample_weight=w)]
        yield ours, theirs


@check("Interval of the Brier score", "`ttest_1samp`, confidence interval", "scipy")
def t_interval() -> Iterator[Pair]:
    """A mean of independent rows."""
    from scipy.stats import ttest_1samp

    for case in studies():
        estimate = es.BrierScore().fit(case["y"], case["prob"]).estimate_
        expected = ttest_1samp((case["y"] - case["prob"]) ** 2, 0.0).confidence_interval()
        yield [float(end[0]) for end in estimate.confidence_interval()], [*expected]


@check("Paired test of two Brier scores", "`ttest_rel`", "scipy")
def paired_test() -> Iterator[Pair]:
    """Difference of two means on the same rows."""
    from scipy.stats import ttest_rel

    for case in studies():
        y = case["y"]
        models = {"a": case["prob"], "b": 0.9 * case["prob"] + 0.05}
        row = es.BrierScore().fit(y, models).estimate_.compare(adjust=None).row(0, named=True)
        first, second = ((y - p) ** 2 for p in models.values())
        theirs = ttest_rel(first, second)
        yield [row["statistic"], row["p_value"]], [theirs.statistic, theirs.pvalue]


@check("CORP terms of the Brier score", "`IsotonicRegression`", "scikit-learn")
def corp() -> Iterator[Pair]:
    """Decomposition by the isotonic fit of the forecasts."""
    from sklearn.isotonic import IsotonicRegression

    for case in studies():
        y, p = case["y"], case["prob"]
        fitted = IsotonicRegression().fit_transform(p, y)
        before, after = ((item - y) ** 2 for item in (p, fitted))
        base = y.mean() * (1 - y.mean())
        found = es.corp_decomposition(y, p)
        ours = [found["miscalibration"], found["discrimination"], found["uncertainty"]]
        yield ours, [before.mean() - after.mean(), base - after.mean(), base]


@check(
    "Calibration intercept, slope and their errors",
    "`Logit`",
    "statsmodels",
    tolerance=1e-6,
    explanation="Newton's method is stopped at other tolerances",
)
def slope() -> Iterator[Pair]:
    """Model-based and sandwich standard errors."""
    from statsmodels.api import Logit, add_constant

    for case in studies():
        design = add_constant(np.log(case["prob"] / (1 - case["prob"])))
        n = len(case["y"])
        for name, kind, factor in (
            ("model", "nonrobust", 1.0),
            ("sandwich", "HC0", np.sqrt(n / (n - 1))),
        ):
            fitted = Logit(case["y"], design).fit(disp=0, cov_type=kind, tol=1e-12)
            found = es.calibration_regression(
                case["y"],
                case["prob"],
                covariance=name,  # type: ignore[arg-type]
            )
            ours = [found[key] for key in ("intercept", "slope", "intercept_se", "slope_se")]
            yield ours, [*fitted.params, *(factor * fitted.bse)]


@check(
    "Bradley-Terry differences and errors",
    "`Logit` without intercept, HC0",
    "statsmodels",
    tolerance=1e-6,
    explanation="Newton's method is stopped at other tolerances",
)
def bradley_terry() -> Iterator[Pair]:
    """Log-odds of battles among four models."""
    from statsmodels.api import Logit

    for seed in range(6):
        rng = np.random.default_rng(seed)
        n, strength = 300, np.array([0.8, 0.2, -0.3, -0.7])
        first = rng.integers(0, 4, n)
        second = (first + rng.integers(1, 4, n)) % 4
        chance = 1 / (1 + np.exp(strength[second] - strength[first]))
        outcome = (rng.random(n) < chance).astype(np.int64)
        names = np.array(["m0", "m1", "m2", "m3"])
        estimate = es.BradleyTerry().fit(names[first], names[second], outcome).estimate_
        design = np.eye(4)[first] - np.eye(4)[second]
        fitted = Logit(outcome, design[:, 1:]).fit(disp=0, cov_type="HC0", tol=1e-12)
        rows = estimate.terms["model"].to_list()
        contrast = np.zeros((3, 4))
        for k in range(3):
            contrast[k, rows.index(f"m{k + 1}")] = 1.0
            contrast[k, rows.index("m0")] = -1.0
        found = estimate.contrast(contrast, ["1", "2", "3"])
        scale = np.log(10.0) / 400.0
        errors = np.sqrt(n / (n - 1)) * fitted.bse
        yield [*(scale * found.value), *(scale * found.standard_error)], [*fitted.params, *errors]


@check("Adjusted p-values: Holm, Bonferroni, BH, BY", "`multipletests`", "statsmodels")
def adjusted() -> Iterator[Pair]:
    """All pairs of five models."""
    from statsmodels.stats.multitest import multipletests

    names = {"holm": "holm", "bonferroni": "bonferroni", "bh": "fdr_bh", "by": "fdr_by"}
    for seed in range(3):
        rng = np.random.default_rng(seed)
        y = rng.integers(0, 2, 300)
        models = {str(k): y * 0.3 * k + rng.normal(size=300) for k in range(5)}
        estimate = es.AUROC().fit(y, models).estimate_
        for ours, theirs in names.items():
            table = estimate.compare(adjust=ours)
            expected = multipletests(table["p_value"].to_numpy(), method=theirs)[1]
            yield table["p_adjusted"].to_numpy(), expected


@check("Friedman test of models over blocks", "`friedmanchisquare`", "scipy")
def friedman() -> Iterator[Pair]:
    """Mean ranks of five models on 30 units, with ties."""
    import polars as pl
    from scipy.stats import friedmanchisquare

    for seed in range(5):
        rng = np.random.default_rng(seed)
        values = np.round(rng.normal(size=(30, 5)) + 0.2 * np.arange(5), seed % 2 + 1)
        frame = pl.DataFrame(
            {
                "unit": np.repeat(np.arange(30), 5),
                "model": np.tile([f"m{k}" for k in range(5)], 30),
                "score": values.ravel(),
            }
        )
        test = es.rank_models(frame).friedman()
        theirs = friedmanchisquare(*values.T)
        yield [test.statistic, test.p_value], [theirs.statistic, theirs.pvalue]
