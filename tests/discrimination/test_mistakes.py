"""Atomic mistakes, the pair decomposition and the fixing simulation."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evalstats.discrimination import curves, kernels, simulation
from evalstats.discrimination import mistake_kernels as mistakes
from evalstats.discrimination.fixing import fix_mistakes
from tests.discrimination.test_kernels import cases, ranked
from tests.oracles import ranking as oracle


@pytest.fixture(scope="module")
def populations(reference):
    """The notebook's populations, and what it gave for them."""
    folder = reference / "discrimination"
    return np.load(folder / "mistakes.npz"), json.loads((folder / "mistakes.json").read_text())


def population(arrays, name):
    """Labels, scores and groups of one population."""
    return (
        arrays[f"{name}__y"].astype(bool),
        arrays[f"{name}__s"],
        arrays[f"{name}__g"].astype(np.int64),
    )


def swapped(scores, i, j):
    """Scores after two rows exchanged theirs."""
    result = scores.copy()
    result[[i, j]] = scores[[j, i]]
    return result


class TestAtomicMistakes:
    def test_fixtures(self, populations):
        arrays, expected = populations
        for name in ("pop0", "pop1", "pop2"):
            y, scores, _ = population(arrays, name)
            found = np.column_stack(mistakes.atomic_mistakes(*ranked(y, scores)))
            peer = np.array(expected[name]["mistakes_pos_neg_dAUROC_dAP"])
            found, peer = (rows[np.argsort(rows[:, 0])] for rows in (found, peer))
            np.testing.assert_allclose(found, peer, rtol=0, atol=1e-13)

    def test_identities_equal_the_notebook(self, populations):
        arrays, expected = populations
        for name in ("pop0", "pop1", "pop2"):
            args = ranked(*population(arrays, name)[:2])
            peer = expected[name]
            assert abs(kernels.ranked_auroc(*args) - peer["nb_expectation_AUROC"]) < 1e-12
            ap = kernels.ranked_average_precision(*args)
            assert abs(ap - peer["nb_expectation_AUPRC"]) < 1e-12

    @given(cases())
    def test_gains_equal_swapped_scores(self, case):
        y, scores, weight = case
        auroc, ap = oracle.auroc(*case), oracle.average_precision(*case)
        rows = zip(*mistakes.atomic_mistakes(*ranked(*case)), strict=True)
        for positive, negative, auroc_gain, ap_gain in rows:
            assert y[positive]
            assert not y[negative]
            assert scores[positive] < scores[negative]
            after = swapped(scores, positive, negative)
            assert oracle.auroc(y, after, weight) - auroc == pytest.approx(auroc_gain, abs=1e-12)
            gain = oracle.average_precision(y, after, weight) - ap
            assert gain == pytest.approx(ap_gain, abs=1e-12)

    @given(st.permutations(list(range(12))))
    def test_untied_count_and_closed_form(self, order):
        y = np.array(order) < 5
        scores = -np.arange(12.0)
        found = mistakes.atomic_mistakes(*ranked(y, scores))
        heads = [r for r in range(1, 12) if not y[r - 1] and y[r]]
        assert found[1].tolist() == [r - 1 for r in heads]
        np.testing.assert_allclose(found[2], 1 / 35, rtol=1e-15)
        expected = [(y[:r].sum() + 1) / (5 * r * (r + 1)) for r in heads]
        np.testing.assert_allclose(found[3], expected, rtol=1e-14)

    def test_highest_score_is_not_the_largest_gain(self):
        y = np.repeat([0, 1, 1, 0, 1, 0], [10, 1, 10, 1, 1, 5]).astype(bool)
        gains = mistakes.atomic_mistakes(*ranked(y, -np.arange(28.0)))[3]
        np.testing.assert_allclose(gains, [0.000758, 0.001976], atol=5e-7)

    def test_weighted_closed_form(self):
        y = np.array([True, False, False, True])
        weight = np.array([2.0, 0.5, 3.0, 1.5])
        found = mistakes.atomic_mistakes(*ranked(y, -np.arange(4.0), weight))
        assert found[2][0] == pytest.approx(4.5 / (3.5 * 3.5))
        assert found[3][0] == pytest.approx(1.5 / 3.5 * 3.5 * 3.0 / (4.0 * 7.0))

    def test_ties_and_perfection_have_none(self):
        y = np.array([True, False, True])
        assert mistakes.atomic_mistakes(*ranked(y, np.zeros(3)))[0].size == 0
        assert mistakes.atomic_mistakes(*ranked(y, y.astype(float)))[0].size == 0


class TestDecomposition:
    @given(cases())
    def test_curves_add_up(self, case):
        args = ranked(*case)
        rate, *losses = mistakes.loss_curves(*args)
        assert rate[-1] == pytest.approx(1.0)
        sums = [loss.sum() for loss in losses]
        auroc, ap = 1 - oracle.auroc(*case), 1 - oracle.average_precision(*case)
        np.testing.assert_allclose(sums, [auroc, ap, auroc, ap], rtol=0, atol=1e-12)

    @given(cases())
    def test_curves_by_pairs(self, case):
        y, scores, weight = case
        _, *losses = mistakes.loss_curves(*ranked(*case))
        distinct = sorted(set(scores.tolist()), reverse=True)
        expected = np.zeros((4, len(distinct)))
        W = weight[y].sum() * weight[~y].sum()
        for i in np.flatnonzero(y & (weight > 0)):
            for j in np.flatnonzero(~y & (scores >= scores[i])):
                c = weight[i] * weight[j] * (0.5 if scores[i] == scores[j] else 1.0) / W
                d = weight[i] * weight[j] / (weight[y].sum() * weight[scores >= scores[i]].sum())
                expected[:2, distinct.index(scores[i])] += c, d
                expected[2:, distinct.index(scores[j])] += c, d
        np.testing.assert_allclose(losses, expected, rtol=0, atol=1e-12)

    def test_half_rate(self):
        rate = np.array([0.1, 0.5, 1.0])
        assert mistakes.firing_rate_at_share(rate, np.array([0.0, 4.0, 0.0]), 0.5) == pytest.approx(
            0.3
        )
        assert mistakes.firing_rate_at_share(rate, np.array([1.0, 0.0, 1.0]), 0.5) == 0.1
        assert mistakes.firing_rate_at_share(rate, np.array([1.0, 0.0, 1.0]), 1.0) == 1.0
        assert np.isnan(mistakes.firing_rate_at_share(rate, np.zeros(3), 0.5))

    @given(cases(), st.integers(0, 1000))
    def test_subgroup_matrices(self, case, seed):
        y, scores, weight = case
        group = np.random.default_rng(seed).integers(0, 3, y.size)
        M, D = mistakes.subgroup_losses(*ranked(*case), group, 3)
        assert M.sum() == pytest.approx(1 - oracle.auroc(*case), abs=1e-12)
        assert D.sum() == pytest.approx(1 - oracle.average_precision(*case), abs=1e-12)
        W = weight[y].sum() * weight[~y].sum()
        for g in range(3):
            rows = group == g
            pairs = weight[rows & y].sum() * weight[rows & ~y].sum()
            if pairs > 0:
                auroc = oracle.auroc(y[rows], scores[rows], weight[rows])
                assert M[g, g] * W / pairs == pytest.approx(1 - auroc, abs=1e-12)

    def test_one_class_is_undefined(self):
        args = ranked(np.ones(4, dtype=bool), np.arange(4.0))
        M, D = mistakes.subgroup_losses(*args, np.zeros(4, dtype=np.int64), 1)
        assert np.isnan(M).all()
        assert np.isnan(D).all()
        assert np.isnan(mistakes.loss_curves(*args)).all()

    def test_top_gain_shares(self):
        gains = np.array([0.1, 0.5, 0.3, 0.1])
        group = np.array([1, 0, 1, 1])
        gain, count = mistakes.top_gain_shares(gains, group, 2, 0.8)
        np.testing.assert_allclose(gain, [0.625, 0.375])
        np.testing.assert_allclose(count, [0.5, 0.5])
        assert np.isnan(mistakes.top_gain_shares(gains[:0], group[:0], 2, 0.5)).all()


class TestFixing:
    @given(
        cases(max_size=12),
        st.sampled_from(["argmax", "highest_score", "random"]),
        st.integers(0, 1000),
    )
    def test_trajectory_equals_recomputation(self, case, policy, seed):
        y, scores, weight = case
        weight = np.maximum(weight, 0.25)
        rng = np.random.default_rng(seed)
        group = rng.integers(0, 2, y.size)
        steps = fix_mistakes(
            y,
            scores,
            n_steps=40,
            policy=policy,
            weight=weight,
            group=group,
            n_groups=2,
            rng=rng,
        )
        current = scores
        for step in range(steps.auroc.size):
            expected = (
                oracle.auroc(y, current, weight),
                oracle.average_precision(y, current, weight),
            )
            assert (steps.auroc[step], steps.ap[step]) == pytest.approx(expected, abs=1e-12)
            for g in range(2):
                rows = group == g
                args = ranked(y[rows], current[rows], weight[rows])
                expected = kernels.ranked_auroc(*args), kernels.ranked_average_precision(*args)
                got = steps.group_auroc[step, g], steps.group_ap[step, g]
                np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
            if step < len(steps.swapped):
                positive, negative = steps.swapped[step]
                assert current[positive] < current[negative]
                current = swapped(current, positive, negative)
        np.testing.assert_array_equal(steps.scores, current)
        if len(steps.swapped) < 40:
            assert mistakes.atomic_mistakes(*ranked(y, current, weight))[0].size == 0

    def test_joining_tied_negatives_costs_average_precision(self):
        y = np.arange(20) >= 10
        scores = np.repeat([1.0, 0.0], 10)
        assert mistakes.atomic_mistakes(*ranked(y, scores))[3][0] == pytest.approx(-0.04)
        steps = fix_mistakes(y, scores, n_steps=100)
        assert steps.ap[1] - steps.ap[0] == pytest.approx(-0.04)
        assert len(steps.swapped) == 10
        assert steps.ap[-1] == pytest.approx(1.0)

    @pytest.mark.parametrize("policy", ["argmax", "highest_score", "random"])
    def test_runs_until_perfect(self, policy, rng):
        y = np.arange(12) % 3 == 0
        scores = rng.permutation(12).astype(float)
        steps = fix_mistakes(y, scores, n_steps=1000, policy=policy, rng=rng)
        assert len(steps.swapped) == round((1 - oracle.auroc(y, scores, np.ones(12))) * 32)
        assert steps.auroc[-1] == pytest.approx(1.0)
        assert steps.ap[-1] == pytest.approx(1.0)

    def test_argmax_takes_the_largest_gain(self, rng):
        y = rng.random(200) < 0.3
        scores = rng.normal(size=200)
        steps = fix_mistakes(y, scores, n_steps=50)
        current = scores
        for positive, negative in steps.swapped:
            best = mistakes.atomic_mistakes(*ranked(y, current))[3].max()
            after = swapped(current, positive, negative)
            gain = oracle.average_precision(y, after, np.ones(200))
            gain -= oracle.average_precision(y, current, np.ones(200))
            assert gain == pytest.approx(best, abs=1e-12)
            current = after

    def test_notebook_trajectory(self, populations):
        arrays, expected = populations
        for name in ("pop0", "pop1"):
            y, scores, group = population(arrays, name)
            steps = fix_mistakes(
                y,
                scores,
                n_steps=26,
                policy="highest_score",
                group=group,
                n_groups=2,
                spare_lowest_pair=True,
            )
            mine = [steps.auroc, steps.ap]
            for g in range(2):
                mine += [steps.group_auroc[:, g], steps.group_ap[:, g]]
            peer = np.array(expected[name]["nb_fix_by_AUPRC_trajectory"]["rows"])
            np.testing.assert_allclose(np.column_stack(mine)[:26], peer, rtol=0, atol=1e-12)
            after = arrays[f"{name}__s_after_26_fixes"]
            np.testing.assert_array_equal(steps.scores, after)

    @pytest.mark.parametrize("target", [0.85, 0.65])
    @pytest.mark.parametrize("policy", ["highest_score", "random"])
    def test_notebook_experiment(self, populations, target, policy):
        name = "AUROC" if policy == "random" else "AUPRC"
        peer = populations[1]["_experiment_fix_mistakes"][f"auroc_{target}_optimise_{name}"]
        results = []
        for seed in range(20):
            halves = [
                simulation.sample_at_auroc(
                    200, target, prevalence, rng=seed, scale_to_prevalence=True
                )
                for prevalence in (0.05, 0.01)
            ]
            steps = fix_mistakes(
                np.concatenate([half[1] for half in halves]),
                np.concatenate([half[0] for half in halves]),
                n_steps=49,
                policy=policy,
                group=np.repeat([0, 1], 200),
                n_groups=2,
                rng=np.random.default_rng(seed),
                spare_lowest_pair=True,
            )
            columns = [steps.auroc, steps.ap, *steps.group_auroc.T, *steps.group_ap.T]
            results.append(np.column_stack(columns)[peer["steps"]])
        difference = np.abs(np.mean(results, axis=0) - np.array(peer["mean"]))
        if policy == "highest_score":
            assert difference.max() < 1e-12
        else:
            assert difference[0].max() < 1e-12
            assert (difference <= 3 * np.array(peer["sd_over_seeds"]) / np.sqrt(20) + 1e-12).all()


class TestSimulation:
    def test_expected_auroc_and_prevalence(self):
        values = []
        for seed in range(200):
            scores, y = simulation.sample_at_auroc(200, 0.8, 0.2, rng=seed)
            assert y.sum() == 40
            values.append(kernels.ranked_auroc(*ranked(y, scores)))
        assert np.mean(values) == pytest.approx(0.8, abs=4 * np.std(values) / np.sqrt(200))

    @pytest.mark.parametrize("calibration", ["platt", "isotonic"])
    def test_calibrated_mean(self, calibration):
        scores, y = simulation.sample_at_auroc(2000, 0.8, 0.3, rng=0, calibration=calibration)
        assert scores.mean() == pytest.approx(0.3, abs=1e-3)
        assert np.corrcoef(scores, y)[0, 1] > 0.3

    def test_platt_equals_the_private_implementation_of_scikit_learn(self):
        from sklearn.calibration import _SigmoidCalibration

        raw, y = simulation.sample_at_auroc(500, 0.8, 0.3, rng=1)
        scores, _ = simulation.sample_at_auroc(500, 0.8, 0.3, rng=1, calibration="platt")
        peer = _SigmoidCalibration().fit(raw, y).predict(raw)
        np.testing.assert_allclose(scores, peer, atol=1e-4)


def test_log_roc_area(populations):
    arrays, expected = populations
    prevalences = ("0.3", "0.6", "0.9", "0.98")
    for name, (prevalence, ap, area) in zip(
        prevalences, expected["_aulroc_prev_ap_aulroc"], strict=True
    ):
        y, scores = arrays[f"aulroc_{name}__y"].astype(bool), arrays[f"aulroc_{name}__s"]
        assert prevalence == float(name)
        assert abs(kernels.ranked_average_precision(*ranked(y, scores)) - ap) < 1e-12
        assert abs(curves.log_roc_area(y, scores) - area) < 1e-12
    assert curves.log_roc_area(np.array([False, True]), np.array([1.0, 0.0])) == -np.inf
    assert np.isnan(curves.log_roc_area(np.array([True, True]), np.array([1.0, 0.0])))
