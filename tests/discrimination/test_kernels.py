"""The kernels against literal definitions, recorded peers and exact special cases."""

import json
from fractions import Fraction
from math import fsum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalstats.discrimination import curve_kernels, kernels
from evalstats.discrimination.point import standardised_partial_auroc
from evalstats.kernels import classes as point
from evalstats.kernels.ranking import rank_descending
from tests.oracles import ranking as oracle


@st.composite
def cases(draw, max_size=40):
    """Labels, scores with many ties, weights with zeros; both classes have weight."""
    n = draw(st.integers(2, max_size))
    y = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    y[0], y[1] = True, False
    scores = np.array(draw(st.lists(st.integers(0, max_size // 2), min_size=n, max_size=n))) / 7
    weight = np.array(draw(st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.7]), min_size=n, max_size=n)))
    weight[:2] = 1.3, 0.6
    return y, scores, weight


def ranked(y, scores, weight=None):
    """Arguments of a kernel on a ranking."""
    order, last_in_block = rank_descending(scores)
    weight = np.ones(order.size) if weight is None else weight
    return y[order], last_in_block, order, weight


@pytest.fixture(scope="module")
def binary(reference):
    """Inputs of the binary fixtures as (y, scores, weight), and what the peers gave."""
    folder = reference / "discrimination"
    arrays = np.load(folder / "binary.npz")
    expected = json.loads((folder / "binary.json").read_text())
    inputs = {}
    for case in expected:
        if not case.startswith("_"):
            y = arrays[f"{case}__y"].astype(bool)
            weight = arrays.get(f"{case}__w", np.ones(y.size))
            inputs[case] = (y, arrays[f"{case}__s"], weight)
    return inputs, expected


@pytest.fixture(scope="module")
def delong(reference):
    """Inputs of the DeLong fixtures as (y, scores of all models), and what pROC gave."""
    folder = reference / "discrimination"
    arrays = np.load(folder / "delong.npz")
    expected = json.loads((folder / "delong.json").read_text())
    inputs = {
        case: (arrays[f"{case}__y"].astype(bool), arrays[f"{case}__S"])
        for case in expected
        if f"{case}__y" in arrays
    }
    return inputs, expected


class TestRanking:
    def test_descending_blocks(self):
        order, last_in_block = rank_descending(np.array([0.0, 2.0, -0.0, 2.0, 1.0]))
        assert sorted(order[:2]) == [1, 3]
        assert order[2] == 4
        assert sorted(order[3:]) == [0, 2]
        np.testing.assert_array_equal(last_in_block, [False, True, True, False, True])
        assert order.dtype == np.int64
        assert order.flags.c_contiguous

    def test_wide_integers_are_not_rounded(self):
        scores = np.array([2**53, 2**53 + 1], dtype=np.int64)
        assert rank_descending(scores).last_in_block.all()
        assert point.unweighted_auroc(np.array([False, True]), scores) == 1.0
        assert point.unweighted_average_precision(np.array([False, True]), scores) == 1.0

    @pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int64, np.float16, np.float32])
    def test_dtypes(self, dtype, rng):
        scores = rng.integers(0, 2, 50).astype(dtype)
        order, last_in_block = rank_descending(scores)
        assert (np.diff(scores[order].astype(float)) <= 0).all()
        assert last_in_block.sum() == np.unique(scores).size

    def test_strided_and_empty(self):
        assert rank_descending(np.arange(10.0)[::-2]).order.tolist() == [0, 1, 2, 3, 4]
        assert rank_descending(np.empty(0)).order.size == 0


class TestPointValues:
    @given(cases())
    def test_equal_the_definitions(self, case):
        args = ranked(*case)
        assert kernels.ranked_auroc(*args) == pytest.approx(oracle.auroc(*case), abs=1e-12)
        ap = oracle.average_precision(*case)
        assert kernels.ranked_average_precision(*args) == pytest.approx(ap, abs=1e-12)

    @given(cases(), st.floats(0.01, 1.0))
    def test_partial_area(self, case, max_fpr):
        expected = oracle.partial_auroc(*case, max_fpr)
        assert kernels.partial_auroc(*ranked(*case), max_fpr) == pytest.approx(expected, abs=1e-12)

    @given(cases())
    def test_merge_of_sorted_classes_equals_the_scan(self, case):
        y, scores, _ = case
        args = ranked(y, scores)
        assert point.unweighted_auroc(y, scores) == kernels.ranked_auroc(*args)
        ap = kernels.ranked_average_precision(*args)
        assert point.unweighted_average_precision(y, scores) == pytest.approx(ap, abs=1e-15)

    @given(cases())
    def test_integer_weight_is_repetition(self, case):
        y, scores, weight = case
        copies = np.ceil(weight).astype(int)
        repeated = ranked(np.repeat(y, copies), np.repeat(scores, copies))
        args = ranked(y, scores, copies.astype(float))
        assert kernels.ranked_auroc(*args) == kernels.ranked_auroc(*repeated)
        assert kernels.ranked_average_precision(*args) == pytest.approx(
            kernels.ranked_average_precision(*repeated), abs=1e-14
        )

    @pytest.mark.parametrize("label", [True, False])
    def test_one_class(self, label):
        y = np.full(5, label)
        scores = np.arange(5.0)
        args = ranked(y, scores)
        assert np.isnan(kernels.ranked_auroc(*args))
        assert np.isnan(point.unweighted_auroc(y, scores))
        assert np.isnan(kernels.partial_auroc(*args, 0.5))
        assert np.isnan(kernels.auroc_influence(*args)).all()
        assert np.isnan(kernels.ranked_average_precision(*args))
        assert np.isnan(point.unweighted_average_precision(y, scores))
        assert np.isnan(kernels.average_precision_influence(*args)).all()

    def test_class_without_weight(self):
        y = np.array([True, False, False])
        args = ranked(y, np.arange(3.0), np.array([0.0, 1.0, 1.0]))
        assert np.isnan(kernels.ranked_auroc(*args))
        assert np.isnan(kernels.ranked_average_precision(*args))

    def test_perfect_never_exceeds_one(self, rng):
        y = np.arange(300) < 100
        for _ in range(50):
            args = ranked(y, -np.arange(300.0), rng.exponential(size=300))
            assert kernels.ranked_auroc(*args) <= 1.0
            assert kernels.ranked_average_precision(*args) == 1.0

    def test_more_pairs_than_31_bits(self):
        m = 70_000
        positives = np.arange(m) + 0.5
        negatives = np.arange(m, dtype=float)
        assert point.auroc_from_sorted(positives, negatives) == m * (m + 1)
        y = np.repeat([True, False], m)
        scores = np.concatenate([positives, negatives])
        assert point.unweighted_auroc(y, scores) == float(Fraction(m + 1, 2 * m))
        assert kernels.ranked_auroc(*ranked(y, scores)) == float(Fraction(m + 1, 2 * m))

    def test_fixtures(self, binary):
        inputs, expected = binary
        for case, (y, scores, weight) in inputs.items():
            if case in {"all_pos", "all_neg"}:
                continue
            args = ranked(y, scores, weight)
            peer = expected[case]
            assert abs(kernels.ranked_auroc(*args) - peer["sk_roc_auc"]) < 1e-12
            ap = kernels.ranked_average_precision(*args)
            assert abs(ap - peer["sk_average_precision"]) < 1e-12
            assert abs(curve_kernels.trapezoid(*args) - peer["sk_pr_trapezoid"]) < 1e-12
            for max_fpr in (0.05, 0.1, 0.3, 1.0):
                area = kernels.partial_auroc(*args, max_fpr)
                standardised = standardised_partial_auroc(area, max_fpr)
                assert abs(standardised - peer[f"sk_roc_auc_max_fpr_{max_fpr}"]) < 1e-12

    def test_partial_areas_of_proc(self, delong):
        inputs, expected = delong
        checked = 0
        for case, (y, S) in inputs.items():
            for row in expected[case]["pROC"]["partial"]:
                args = ranked(y, np.ascontiguousarray(S[:, row["model"]]))
                if row["focus"] == "sensitivity":
                    # With classes and order exchanged, the rates exchange their roles.
                    args = ranked(~y.astype(bool), -np.ascontiguousarray(S[:, row["model"]]))
                width = 1.0 - row["range"][0]
                area = kernels.partial_auroc(*args, width)
                if row["correct"]:
                    area = standardised_partial_auroc(area, width)
                if row["auc"] != "nan":
                    assert abs(area - row["auc"]) < 1e-13
                    checked += 1
        assert checked > 20


class TestInfluence:
    @given(cases(max_size=15))
    def test_auroc_is_the_derivative(self, case):
        expected = oracle.derivative(oracle.auroc, *case, step=1e-7)
        np.testing.assert_allclose(kernels.auroc_influence(*ranked(*case)), expected, atol=5e-6)

    @given(cases(max_size=15))
    def test_average_precision_is_the_derivative(self, case):
        expected = oracle.derivative(oracle.average_precision, *case, step=1e-7)
        values = kernels.average_precision_influence(*ranked(*case))
        np.testing.assert_allclose(values, expected, atol=5e-6)

    @given(cases())
    def test_weighted_sum_is_zero(self, case):
        args = ranked(*case)
        assert abs(case[2] @ kernels.auroc_influence(*args)) < 1e-12
        assert abs(case[2] @ kernels.average_precision_influence(*args)) < 1e-12

    def test_zero_weight_above_all_others(self):
        y = np.array([True, False, True, False])
        scores = np.array([3.0, 3.0, 2.0, 1.0])
        weight = np.array([0.0, 0.0, 1.0, 1.0])
        values = kernels.average_precision_influence(*ranked(y, scores, weight))
        expected = oracle.derivative(oracle.average_precision, y, scores, weight, step=1e-7)
        np.testing.assert_allclose(values, expected, atol=1e-6)

    def test_delong_variance_of_proc(self, delong):
        inputs, expected = delong
        for case in ("small3", "ties2", "imbal4"):
            y, S = inputs[case]
            for model, variance in enumerate(expected[case]["pROC"]["var"]):
                u = kernels.auroc_influence(*ranked(y, np.ascontiguousarray(S[:, model])))
                m, n = y.sum(), (~y).sum()
                mine = m / (m - 1) * (u[y] ** 2).sum() + n / (n - 1) * (u[~y] ** 2).sum()
                assert mine == pytest.approx(variance, rel=1e-10, abs=1e-14)


class TestPrecisionRecallAreas:
    @given(cases())
    def test_interpolations(self, case):
        args = ranked(*case)
        for n_levels, area in ((11, curve_kernels.interp11), (101, curve_kernels.interp101)):
            expected = oracle.interpolated_at_levels(*case, n_levels)
            assert area(*args) == pytest.approx(expected, abs=1e-12)
        expected = oracle.interp_all(*case)
        assert curve_kernels.interp_all(*args) == pytest.approx(expected, abs=1e-12)

    @given(cases(max_size=7))
    def test_tie_orders(self, case):
        y, scores, _ = case
        args = ranked(y, scores)
        worst, mean, best = oracle.tie_orders_average_precision(y, scores)
        value = curve_kernels.worst_tied_average_precision(*args)
        assert value == pytest.approx(worst, abs=1e-12)
        value = curve_kernels.expected_tied_average_precision(*args)
        assert value == pytest.approx(mean, abs=1e-12)
        value = curve_kernels.best_tied_average_precision(*args)
        assert value == pytest.approx(best, abs=1e-12)

    @pytest.mark.parametrize("counts", [(0, 3000, 3000), (40, 1100, 2), (3, 2000, 90_000)])
    def test_many_copies_have_the_value_of_their_sum(self, counts):
        # A block on top, then a tied block of p positives and n negatives; P positives are above.
        above, p, n = counts
        top = [above, 2 * above + 1]
        y = np.array([True, False, True, False])
        scores = np.array([2.0, 2.0, 1.0, 1.0])
        args = ranked(y, scores, np.array([*top, p, n], dtype=float))
        N, j, i = float(top[1]), np.arange(1.0, p + 1), np.arange(float(p + n))
        first = np.arange(1.0, above + 1)
        for worst in (True, False):
            below = n if worst else 0
            total = fsum(first / (first + N * worst)) + fsum((above + j) / (above + N + j + below))
            area = curve_kernels.tied_average_precision(*args, worst)
            assert area == pytest.approx(total / (above + p), rel=1e-13)
        growth = (p - 1) / (p + n - 1)
        tied = p / (p + n) * fsum((above + 1 + i * growth) / (above + N + 1 + i))
        t, k = above + N, np.arange(above + N)
        head = above / t * fsum((1 + k * (above - 1) / (t - 1)) / (1 + k)) if above else 0.0
        area = curve_kernels.expected_tied_average_precision(*args)
        assert area == pytest.approx((head + tied) / (above + p), rel=1e-13)

    @pytest.mark.parametrize("count", [1e9, 1e20, 1e29])
    def test_huge_copies_are_not_counted_one_by_one(self, count):
        y, scores = np.array([True, False]), np.zeros(2)
        # One positive in ten at every place: the mean is the prevalence; the worst order has the
        # integral of x / (x + 9) over [0, 1].
        args = ranked(y, scores, np.array([count, 9 * count]))
        area = curve_kernels.expected_tied_average_precision(*args)
        assert area == pytest.approx(0.1, rel=1e-7)
        worst = curve_kernels.worst_tied_average_precision(*args)
        assert worst == pytest.approx(1 - 9 * np.log(10 / 9), rel=1e-7)
        # Few positives behind many negatives: no digits are lost.
        args = ranked(y, scores, np.array([1e6, count * 1e6]))
        worst = curve_kernels.worst_tied_average_precision(*args)
        assert worst == pytest.approx((1e6 + 1) / 2 / (count * 1e6), rel=1e-8)

    def test_davis_goadrich_is_the_limit_of_random_tie_breaks(self, rng):
        y = rng.random(30) < 0.4
        scores = np.round(rng.normal(size=30) + y, 0)
        copies = np.full(30, 20_000.0)
        limit = curve_kernels.expected_tied_average_precision(*ranked(y, scores, copies))
        assert curve_kernels.davis_goadrich(*ranked(y, scores)) == pytest.approx(limit, abs=3e-5)

    def test_davis_goadrich_of_one_block_is_prevalence(self):
        y = np.array([True, False, False, False])
        assert curve_kernels.davis_goadrich(*ranked(y, np.zeros(4))) == 0.25

    def test_chance_level(self):
        for n, n_positive in ((1, 1), (2, 1), (5, 2), (6, 6)):
            y = np.arange(n) < n_positive
            _, mean, _ = oracle.tie_orders_average_precision(y, np.zeros(n))
            value = curve_kernels.chance_average_precision(n, n_positive)
            assert value == pytest.approx(mean, abs=1e-13)
        assert np.isnan(curve_kernels.chance_average_precision(4, 0))

    @pytest.mark.parametrize(
        "area",
        [
            curve_kernels.trapezoid,
            curve_kernels.davis_goadrich,
            curve_kernels.interp11,
            curve_kernels.interp101,
            curve_kernels.interp_all,
            curve_kernels.expected_tied_average_precision,
            curve_kernels.best_tied_average_precision,
            curve_kernels.worst_tied_average_precision,
        ],
    )
    def test_without_positives_and_without_negatives(self, area):
        assert np.isnan(area(*ranked(np.zeros(3, dtype=bool), np.arange(3.0))))
        assert area(*ranked(np.ones(3, dtype=bool), np.arange(3.0))) == pytest.approx(1.0)
