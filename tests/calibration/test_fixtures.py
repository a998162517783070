"""Recorded results of torchmetrics, netcal, scikit-learn, uncertainty-calibration and relplot."""

import json

import numpy as np
import pytest

import evalstats as es

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
BINARY = [
    "calibrated", "overconf", "underconf", "shifted", "rounded1", "rounded2", "small", "tiny3",
    "rare", "edges", "edges_lin", "edges15", "zeros_ones_half", "constant", "all_one_class",
    "all_zero_class", "hard", "saturated", "n10000",
]  # fmt: skip
MULTICLASS = ["mc0", "mc1"]
BIN_COUNTS = (1, 10, 15, 20)
NORMS = {"l1": 1, "l2": 2, "max": "max"}


@pytest.fixture(scope="module")
def inputs(reference):
    with np.load(reference / "calibration" / "inputs.npz") as arrays:
        return {name: arrays[name] for name in arrays.files}


@pytest.fixture(scope="module")
def peers(reference):
    return json.loads((reference / "calibration" / "expected_python_peers.json").read_text())


@pytest.fixture(scope="module")
def others(reference):
    return json.loads((reference / "calibration" / "expected_other_peers.json").read_text())


def rows(inputs, case):
    return inputs[f"{case}__y"], inputs[f"{case}__P" if case in MULTICLASS else f"{case}__p"]


@pytest.mark.parametrize("case", BINARY)
def test_torchmetrics(case, inputs, peers):
    y, p = rows(inputs, case)
    for n_bins in BIN_COUNTS:
        for name, norm in NORMS.items():
            ours = es.calibration_error(y, p, n_bins=n_bins, norm=norm, convention="torchmetrics")
            expected = peers[case][f"tm_ece_{name}_{n_bins}"]
            assert ours == pytest.approx(expected, rel=1e-12, abs=1e-12), (n_bins, name)


@pytest.mark.parametrize("case", BINARY)
def test_netcal(case, inputs, peers):
    y, p = rows(inputs, case)
    for n_bins in BIN_COUNTS:
        for rule, binning in (("width", "uniform"), ("mass", "quantile")):
            options = {"n_bins": n_bins, "binning": binning, "convention": "netcal"}
            found = {
                "ece": lambda o: es.calibration_error(y, p, **o),
                "mce": lambda o: es.calibration_error(y, p, norm="max", **o),
                "ace": lambda o: es.ace_netcal(y, p, n_bins=o["n_bins"], binning=o["binning"]),
            }
            for name, compute in found.items():
                expected = peers[case][f"netcal_{name}_{rule}_{n_bins}"]
                if isinstance(expected, dict):
                    with pytest.raises(es.InputError, match="netcal refuses"):
                        compute(options)
                else:
                    assert compute(options) == pytest.approx(expected, rel=1e-12, abs=1e-12), name


@pytest.mark.parametrize("case", BINARY)
def test_scikit_learn_curves(case, inputs, peers):
    y, p = rows(inputs, case)
    for n_bins in (10, 15, 20):
        for strategy in ("uniform", "quantile"):
            fitted = es.CalibrationError(
                n_bins=n_bins,
                binning=strategy,
                convention="scikit-learn",
                inference=es.NoInference(),
            ).fit(y, p)
            expected = peers[case][f"sk_curve_{strategy}_{n_bins}"]
            table = fitted.bins()
            for column, name in (
                ("observed_frequency", "prob_true"),
                ("mean_forecast", "prob_pred"),
            ):
                np.testing.assert_allclose(
                    table[column], expected[name], rtol=1e-12, atol=1e-12, err_msg=strategy
                )


@pytest.mark.parametrize("case", BINARY)
def test_uncertainty_calibration(case, inputs, others):
    y, p = rows(inputs, case)
    expected = others[case]

    def ours(**options):
        return es.calibration_error(y, p, convention="uncertainty-calibration", **options)

    for n_bins in (10, 15):
        equal_mass = {"n_bins": n_bins, "binning": "quantile"}
        found = {
            "ece_width": ours(n_bins=n_bins),
            "ece_mass": ours(**equal_mass),
            "l2_plugin_mass": ours(norm=2, **equal_mass),
        }
        if "l2_debiased_mass_15" in expected and len(y) > 2 * n_bins:
            found["l2_debiased_mass"] = ours(norm=2, debias=True, **equal_mass)
        for name, value in found.items():
            assert value == pytest.approx(expected[f"uc_{name}_{n_bins}"], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("case", ["calibrated", "overconf", "rounded2", "constant", "n10000"])
def test_unclipped_square(case, inputs, others):
    y, p = rows(inputs, case)
    estimator = es.CalibrationError(binning="quantile", norm=2, inference=es.NoInference())
    found = estimator.fit(y, p).unclipped()["estimate"][0]
    expected = others[case]["uc_square_debiased_unclipped_mass_15"]
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-14)


@pytest.mark.parametrize("case", ["small", "tiny3"])
def test_bins_of_single_rows_are_not_corrected(case, inputs):
    y, p = rows(inputs, case)
    with pytest.raises(es.InputError, match="fewer than two rows"):
        es.calibration_error(y, p, norm=2, debias=True, binning="quantile", n_bins=len(y))


def test_one_bin_per_value_cannot_be_corrected_on_continuous_forecasts(inputs, others):
    y, p = rows(inputs, "calibrated")
    assert others["calibrated"]["uc_l2_debiased_discrete"] == 0.0
    with pytest.raises(es.InputError, match="100% of the weight"):
        es.calibration_error(y, p, norm=2, debias=True, binning="unique")


@pytest.mark.parametrize("case", ["rounded1", "edges", "hard", "constant"])
def test_one_bin_per_value_of_rounded_forecasts(case, inputs, others):
    y, p = rows(inputs, case)
    found = es.calibration_error(y, p, norm=2, debias=True, binning="unique")
    assert found == pytest.approx(others[case]["uc_l2_debiased_discrete"], rel=1e-12)


@pytest.mark.parametrize("case", BINARY)
def test_relplot(case, inputs, others):
    y, p = rows(inputs, case)
    found = es.calibration_error(y, p, n_bins=10, convention="relplot")
    assert found == pytest.approx(others[case]["relplot_binnedECE_10"], rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("case", BINARY)
def test_balance_score(case, inputs, peers):
    y, p = rows(inputs, case)
    expected = peers[case]["accuracy_minus_mean_conf"]
    assert es.balance_score(y, p) == pytest.approx(expected, abs=1e-12)
    one_bin = peers[case]["tm_top_label_1bin_abs"]
    assert abs(es.balance_score(y, p)) == pytest.approx(one_bin, abs=1e-6)
    assert es.calibration_error(y, p, target="top_label", n_bins=1) == pytest.approx(
        one_bin, abs=1e-6
    )


@pytest.mark.parametrize("case", MULTICLASS)
def test_several_classes(case, inputs, peers, others):
    y, p = rows(inputs, case)
    top = {"target": "top_label"}
    for n_bins in (10, 15):
        for name, norm in NORMS.items():
            ours = es.calibration_error(
                y, p, n_bins=n_bins, norm=norm, convention="torchmetrics", **top
            )
            assert ours == pytest.approx(peers[case][f"tm_ece_{name}_{n_bins}"], rel=1e-6)
        for rule, binning in (("width", "uniform"), ("mass", "quantile")):
            options = {"n_bins": n_bins, "binning": binning, **top}
            ours = es.calibration_error(y, p, convention="netcal", **options)
            assert ours == pytest.approx(peers[case][f"netcal_ece_{rule}_{n_bins}"], rel=1e-12)
            ours = es.ace_netcal(y, p, **options)
            assert ours == pytest.approx(peers[case][f"netcal_ace_{rule}_{n_bins}"], rel=1e-12)
        classwise = peers[case][f"netcal_classwise_ece_width_{n_bins}"]
        ours = es.calibration_error(y, p, n_bins=n_bins, target="classwise", convention="netcal")
        assert ours == pytest.approx(np.mean(classwise), rel=1e-12)
    assert es.balance_score(y, p) == pytest.approx(
        peers[case]["accuracy_minus_mean_conf"], abs=1e-12
    )
    for rule, binning in (("width", "uniform"), ("mass", "quantile")):
        for target, name in (("classwise", "marginal"), ("top_label", "top-label")):
            ours = es.calibration_error(
                y, p, target=target, binning=binning, convention="uncertainty-calibration"
            )
            expected = others[case][f"uc_ece_{rule}_15_{name}"]
            assert ours == pytest.approx(expected, rel=1e-12)


def test_adaptive_error_of_nixon_is_the_plain_mean_over_classes_and_ranges(inputs):
    y, p = rows(inputs, "mc0")
    gaps = []
    for label in range(p.shape[1]):
        order = np.argsort(p[:, label], kind="stable")
        gaps += [
            abs((y[part] == label).mean() - p[part, label].mean())
            for part in np.array_split(order, 15)
        ]
    assert es.ace_nixon(y, p) == pytest.approx(np.mean(gaps), rel=1e-12)


BAD = {
    "p_gt_1": ([0, 1, 1], [0.1, 0.5, 1.2], r"y_prob is 1.2 in row 2"),
    "p_lt_0": ([0, 1, 1], [-0.1, 0.5, 0.9], r"y_prob is -0.1 in row 0"),
    "nan": ([0, 1, 1], [np.nan, 0.5, 0.9], r"y_prob has 1 missing value \(first in row 0\)"),
    "infinite": ([0, 1, 1], [0.2, np.inf, 0.9], r"1 infinite values \(first in row 1\)"),
    "logits": ([0, 1, 1], [-3.0, 0.5, 2.0], "these look like logits"),
    "percentages": ([0, 1, 1], [3.0, 50.0, 99.0], "these look like percentages"),
    "labels_012": ([0, 1, 2], [0.1, 0.5, 0.9], r"y_true is 2 in row 2"),
    "labels_12": ([1, 2, 2], [0.1, 0.5, 0.9], r"y_true is 2 in row 1"),
    "labels_pm1": ([-1, 1, 1], [0.1, 0.5, 0.9], r"y_true is -1 in row 0"),
    "probabilities": ([0.2, 1, 1], [0.1, 0.5, 0.9], r"y_true is 0.2 in row 0"),
    "len": ([0, 1, 1], [0.1, 0.5], r"y_prob has 2 rows but y_true has 3"),
    "empty": ([], [], "y_true is empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_that_peers_let_pass_is_refused(case):
    y, p, message = BAD[case]
    for function in (es.ece, es.balance_score, es.ace_nixon, es.calibration_summary):
        with pytest.raises(es.InputError, match=message):
            function(y, p)


def test_other_labels_need_the_positive_one():
    p = [0.1, 0.5, 0.9]
    assert es.balance_score([1, 2, 2], p, pos_label=2) == es.balance_score([0, 1, 1], p)
    assert es.calibration_error([-1, 1, 1], p, pos_label=1) == es.ece([0, 1, 1], p)
    matrix = np.array([[0.2, 0.7], [0.5, 0.5]])
    with pytest.raises(es.InputError, match=r"y_prob sums to 0.9 in row 0"):
        es.balance_score([0, 1], matrix)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_bins": 0}, "n_bins=0"),
        ({"n_bins": 2.5}, "n_bins=2.5"),
        ({"n_bins": 5, "binning": "quantile"}, r"n_bins=5 exceeds the number of rows \(3\)"),
        ({"binning": "equal"}, "binning='equal'"),
        ({"norm": 3}, "norm=3"),
        ({"norm": "max", "debias": True}, "norm='max' has no bias correction"),
        ({"target": "both"}, "target='both'"),
        ({"edges": "open"}, "edges='open'"),
        ({"convention": "sklearn"}, "convention='sklearn'"),
        ({"convention": "netcal", "edges": "left"}, "sets the edges itself"),
        ({"convention": "torchmetrics", "binning": "quantile"}, "has no equal-mass bins"),
        ({"bin_edges": [0, 0.5, 0.5, 1]}, "increase strictly from 0 to 1"),
        ({"bin_edges": [0.1, 0.5, 1]}, "increase strictly from 0 to 1"),
        ({"bin_edges": [0, 0.5, 0.9]}, "increase strictly from 0 to 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(es.InputError, match=message):
        es.calibration_error([0, 1, 1], [0.1, 0.5, 0.9], **options)
