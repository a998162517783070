"""AUPIMO: definitions, invariances, both samples, deep tails, refusals."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import evalstats as es
from evalstats.anomaly import ranked
from evalstats.anomaly.pixels import StackPixels, at_least, image_layout
from evalstats.errors import EvalstatsWarning
from tests.anomaly.support import BOUNDS, stack
from tests.oracles import anomaly as oracle

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
TIES = ("half", "conservative", "optimistic")


def fitted(maps, masks, *, weight=None, by=None, cluster=None, **options):
    options = {"fpr_bounds": BOUNDS, "inference": es.Analytic(), **options}
    return es.AUPIMO(**options).fit(masks, maps, sample_weight=weight, by=by, cluster=cluster)


class TestDefinition:
    @given(st.integers(0, 10**6), st.sampled_from(TIES), st.sampled_from([None, 1, 0]))
    def test_equals_the_definition(self, seed, ties, decimals):
        maps, masks = stack(np.random.default_rng(seed), 6, 7, decimals=decimals)
        scores = es.aupimo(masks, maps, fpr_bounds=BOUNDS, ties=ties)
        expected = oracle.aupimo(maps, masks, BOUNDS, ties)
        np.testing.assert_allclose(scores, expected, atol=1e-12)

    @pytest.mark.parametrize("kind", ["mean", "pooled", "max", "quantile"])
    @pytest.mark.parametrize("ragged", [False, True])
    @pytest.mark.parametrize("weighted", [False, True])
    def test_shared_rates(self, rng, kind, ragged, weighted):
        maps, masks = stack(rng, 9, 8, decimals=1, ragged=ragged)
        weight = rng.integers(0, 4, 9).astype(float) if weighted else np.ones(9)
        weight[[0, 1, 2, 4]] = 1.0
        pimo = fitted(
            maps,
            masks,
            weight=weight,
            shared_fpr=kind,
            shared_quantile=0.6,
            inference=es.NoInference(),
        )
        expected = oracle.aupimo(maps, masks, BOUNDS, weight=weight, kind=kind, quantile=0.6)
        present = weight > 0
        scores = pimo.image_scores()["score"].to_numpy()
        np.testing.assert_allclose(scores[present], expected[present], atol=1e-12)
        anomalous = np.isfinite(expected)
        mean = np.average(expected[anomalous], weights=weight[anomalous])
        assert pimo.estimate_.value[0] == pytest.approx(mean, abs=1e-12)

    def test_perfect_empty_and_random(self, rng):
        maps, masks = stack(rng, 30, 20, strength=0.0)
        assert es.aupimo(masks, maps + 100 * masks, fpr_bounds=BOUNDS)[0] == 1.0
        assert es.aupimo(masks, maps - 100 * masks, fpr_bounds=BOUNDS)[0] == 0.0
        # A model whose overlap equals the rate scores (U - L) / log(U / L).
        many = fitted(*stack(rng, 900, 20, strength=0.0)).estimate_
        expected = (0.3 - 0.01) / np.log(30)
        assert abs(many.value[0] - expected) < 4 * many.standard_error[0]

    def test_several_bounds_in_one_pass(self, rng):
        maps, masks = stack(rng)
        pairs = [(0.01, 0.1), (0.05, 0.5), (0.1, 1.0)]
        together = fitted(maps, masks, fpr_bounds=pairs).estimate_
        assert together.terms["fpr_bounds"].to_list() == ["0.01 to 0.1", "0.05 to 0.5", "0.1 to 1"]
        for position, pair in enumerate(pairs):
            alone = fitted(maps, masks, fpr_bounds=pair).estimate_
            assert alone.value[0] == together.value[position]
            error = together.standard_error[position]
            assert alone.standard_error[0] == pytest.approx(error, rel=1e-12)

    def test_low_scores_may_mean_anomalous(self, rng):
        maps, masks = stack(rng)
        expected = es.aupimo(masks, maps, fpr_bounds=BOUNDS)
        turned = es.aupimo(masks, -maps, fpr_bounds=BOUNDS, higher_is_anomalous=False)
        np.testing.assert_array_equal(turned, expected)

    def test_ignored_pixels_do_not_exist(self, rng):
        maps, masks = stack(rng)
        ignore = np.zeros_like(masks)
        ignore[:, :2] = True
        expected = es.aupimo(masks[:, 2:], maps[:, 2:], fpr_bounds=BOUNDS)
        wild = np.where(ignore, 1e6, maps)
        scores = es.aupimo(masks, wild, fpr_bounds=BOUNDS, ignore=ignore)
        np.testing.assert_array_equal(scores, expected)


class TestInvariance:
    """Bit for bit, in exact mode."""

    @pytest.mark.parametrize("ragged", [False, True])
    def test_order_of_images(self, rng, ragged):
        maps, masks = stack(rng, 14, decimals=1, ragged=ragged)
        order = rng.permutation(14)
        moved = [maps[i] for i in order], [masks[i] for i in order]
        whole = fitted(maps, masks).estimate_
        assert fitted(*moved).estimate_.value[0] == whole.value[0]
        scores = es.aupimo(masks, maps, fpr_bounds=BOUNDS)
        np.testing.assert_array_equal(
            es.aupimo(moved[1], moved[0], fpr_bounds=BOUNDS), scores[order]
        )

    @pytest.mark.parametrize("change", [np.exp, np.arctan, lambda x: 3 * x**3 + 1e4])
    def test_monotone_transforms(self, rng, change):
        maps, masks = stack(rng, decimals=2)
        for ties in TIES:
            expected = es.aupimo(masks, maps, fpr_bounds=BOUNDS, ties=ties)
            found = es.aupimo(masks, change(maps), fpr_bounds=BOUNDS, ties=ties)
            np.testing.assert_array_equal(found, expected)

    def test_duplicated_normal_images(self, rng):
        maps, masks = stack(rng)
        normal = ~masks.any(axis=(1, 2))
        doubled = [np.concatenate([both, both[normal]]) for both in (masks, maps)]
        scores = es.aupimo(masks, maps, fpr_bounds=BOUNDS)
        found = es.aupimo(*doubled, fpr_bounds=BOUNDS)[: len(maps)]
        np.testing.assert_allclose(found, scores, rtol=1e-14)

    def test_depth_of_the_tail(self, rng, monkeypatch):
        """A deeper tail adds pixels without credit, and nothing else."""
        maps, masks = stack(rng, 12, 30)
        expected = fitted(maps, masks)
        monkeypatch.setattr("evalstats.anomaly.aupimo.MARGIN", 100.0)
        deep = fitted(maps, masks)
        assert deep.estimate_ == expected.estimate_
        assert deep._prepare(deep._fitted_columns()).ladders[0].level(0).complete

    def test_sampled_cut_off_keeps_every_pixel_above(self, rng, monkeypatch):
        maps, masks = stack(rng, 12, 40)
        expected = es.aupimo(masks, maps, fpr_bounds=(0.001, 0.01))
        for sample in (50, 500, 5000):
            monkeypatch.setattr("evalstats.anomaly.pixels.SAMPLE", sample)
            found = es.aupimo(masks, maps, fpr_bounds=(0.001, 0.01))
            np.testing.assert_array_equal(found, expected)

    def test_floor_is_rounded_towards_more_pixels(self):
        scores = np.array([0.1, 0.3, 0.7], dtype=np.float32)
        assert len(at_least(scores, float(np.float64(0.3)))) == 2
        assert len(at_least(scores, np.nextafter(float(scores[1]), 1.0))) >= 1
        assert len(at_least(scores.astype(np.float16), 1e30)) <= 3
        assert len(at_least(np.array([True, False]), 1.0)) == 1


class TestTwoSamples:
    def test_influence_is_the_derivative(self, rng):
        maps, masks = stack(rng, 14, decimals=1, ragged=True)
        for kind in ("mean", "pooled"):
            pimo = fitted(maps, masks, shared_fpr=kind, fpr_bounds=[BOUNDS, (0.02, 1.0)])
            prepared = pimo._prepare(pimo._fitted_columns())
            weight = rng.uniform(0.5, 2.0, 14)
            influence = prepared.influence(weight)
            for row in range(14):
                step = 1e-6 * (np.arange(14) == row)
                change = prepared.means(weight + step) - prepared.means(weight - step)
                np.testing.assert_allclose(influence[row], change / 2e-6, atol=1e-7)

    def test_variance_is_the_sum_of_both_samples(self, rng):
        maps, masks = stack(rng, 40, 12)
        pimo = fitted(maps, masks)
        anomalous = masks.any(axis=(1, 2))
        scores = es.aupimo(masks, maps, fpr_bounds=BOUNDS)[anomalous]
        columns = pimo._fitted_columns()
        influence = pimo._prepare(columns).influence(np.ones(40))[:, 0]
        n0 = int((~anomalous).sum())
        h = n0 * influence[~anomalous]
        variance = scores.var(ddof=1) / len(scores) + (h**2).sum() / (n0 * (n0 - 1))
        assert h.sum() == pytest.approx(0.0, abs=1e-9)
        assert pimo.estimate_.standard_error[0] == pytest.approx(variance**0.5, rel=1e-10)

    def test_analytic_error_is_the_bootstrap_error(self, rng):
        maps, masks = stack(rng, 240, 16, strength=1.5)
        analytic = fitted(maps, masks).estimate_
        resampled = fitted(maps, masks, inference=es.Bootstrap(rng=1)).estimate_
        ratio = resampled.standard_error[0] / analytic.standard_error[0]
        assert ratio == pytest.approx(1.0, abs=0.06)

    def test_bootstrap_keeps_both_sample_sizes(self, rng):
        maps, masks = stack(rng, 12)
        # One good anomalous image among bad ones, and only one anomalous image resampled away.
        estimate = fitted(maps, masks, inference=es.Bootstrap(500, rng=0)).estimate_
        assert estimate.n_failed == 0

    def test_replicate_equals_duplicated_images(self, rng):
        maps, masks = stack(rng, 15, 10, decimals=1)
        pimo = fitted(maps, masks)
        prepared = pimo._prepare(pimo._fitted_columns())
        for _ in range(20):
            counts = rng.multinomial(15, np.ones(15) / 15)
            if not counts[::3].any() or not np.delete(counts, np.s_[::3]).any():
                continue
            rows = np.repeat(np.arange(15), counts)
            expected = fitted(maps[rows], masks[rows], inference=es.NoInference()).estimate_
            assert prepared.means(counts.astype(float))[0] == pytest.approx(
                expected.value[0], abs=1e-13
            )

    def test_deepens_where_resampling_drops_the_owner_of_the_tail(self, rng):
        maps, masks = stack(rng, 30, 40)
        maps[1] += 50.0
        bounds = (1e-4, 1e-3)
        pimo = fitted(maps, masks, fpr_bounds=bounds, inference=es.NoInference())
        prepared = pimo._prepare(pimo._fitted_columns())
        whole = np.ones(30)
        without = whole.copy()
        without[1] = 0.0
        first = prepared.ladders[0].level(0)
        assert set(first.owner.tolist()) == {0}
        kept = np.flatnonzero(without)
        expected = es.aupimo(masks[kept], maps[kept], fpr_bounds=bounds)
        found = np.nanmean(expected)
        assert prepared.means(without)[0] == pytest.approx(found, abs=1e-13)
        assert prepared.means(whole)[0] < found

    def test_never_ignores_a_tail_that_is_too_short(self, rng, monkeypatch):
        maps, masks = stack(rng, 30, 40)
        maps[1] += 50.0
        monkeypatch.setattr(ranked, "LARGEST_TAIL", 10)
        pimo = fitted(maps, masks, fpr_bounds=(1e-4, 1e-3), inference=es.NoInference())
        prepared = pimo._prepare(pimo._fitted_columns())
        without = np.ones(30)
        without[1] = 0.0
        assert np.isnan(prepared.means(without)).all()
        assert np.isnan(prepared.influence(without)).all()

    def test_clusters_of_images(self, rng):
        maps, masks = stack(rng, 40, 12)
        doubled = np.repeat(np.arange(40), 2)
        twice = fitted(maps[doubled], masks[doubled], cluster=doubled).estimate_
        once = fitted(maps, masks).estimate_
        assert twice.value[0] == pytest.approx(once.value[0], abs=1e-13)
        assert twice.standard_error[0] == pytest.approx(once.standard_error[0], rel=1e-10)

    def test_paired_difference(self, rng):
        maps, masks = stack(rng, 60, 12)
        other = maps + 0.1 * rng.normal(size=maps.shape)
        both = fitted({"a": maps, "b": other}, masks).estimate_
        table = both.compare("b")
        # The same images: the difference is known far better than either mean.
        assert table["standard_error"][0] < 0.5 * both.standard_error.min()

    def test_value_at_the_end_of_the_range_has_an_interval(self, rng):
        maps, masks = stack(rng, 30, 10)
        pimo = es.AUPIMO(fpr_bounds=BOUNDS, inference=es.Bootstrap(50, rng=0))
        estimate = pimo.fit(masks, maps + 100 * masks).estimate_
        low, high = estimate.confidence_interval()
        assert estimate.value[0] == high[0] == 1.0
        # Ten images at 1: Clopper and Pearson's lower limit.
        assert low[0] == pytest.approx(0.025**0.1)


class TestDiagnostics:
    def test_healthy_data_warn_of_nothing(self, rng):
        maps, masks = stack(rng, 90, 30)
        with warnings.catch_warnings():
            warnings.simplefilter("error", EvalstatsWarning)
            fitted(maps, masks, fpr_bounds=(1e-3, 1e-2))

    def test_few_pixels_above_the_lower_bound(self, rng):
        maps, masks = stack(rng, 90, 30)
        with pytest.warns(EvalstatsWarning, match=r"\[low-resolution\] the \d+ normal pixels put"):
            fitted(maps, masks, fpr_bounds=(1e-5, 1e-3))

    def test_clipped_maps(self, rng):
        maps, masks = stack(rng, 90, 30)
        with pytest.warns(EvalstatsWarning, match=r"\[low-resolution\].*share the highest score"):
            fitted(np.minimum(maps, 1.0), masks)

    def test_one_image_owns_the_tail(self, rng):
        maps, masks = stack(rng, 90, 30)
        maps[1] += 5
        with pytest.warns(EvalstatsWarning, match=r"\[few-tail-images\].*1\.\d effective"):
            pimo = fitted(maps, masks, fpr_bounds=(1e-3, 1e-2))
        row = pimo.diagnostics().row(0, named=True)
        assert row["tail_share_top1"] > 0.9
        assert row["leave_one_out_high"] > pimo.estimate_.value[0] + 0.05
        assert row["normal_pixels"] == 60 * 900
        assert row["expected_below_lower"] == pytest.approx(54.0)

    def test_leave_one_out_range(self, rng):
        maps, masks = stack(rng, 12, 10)
        row = fitted(maps, masks).diagnostics().row(0, named=True)
        normal = np.flatnonzero(~masks.any(axis=(1, 2)))
        means = []
        for unit in normal:
            kept = np.delete(np.arange(12), unit)
            means.append(np.nanmean(es.aupimo(masks[kept], maps[kept], fpr_bounds=BOUNDS)))
        assert row["leave_one_out_low"] == pytest.approx(min(means), abs=1e-12)
        assert row["leave_one_out_high"] == pytest.approx(max(means), abs=1e-12)


class TestRefusals:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"mode": "fast"}, "mode='fast' is unknown"),
            ({"ties": "random"}, "ties='random' is unknown"),
            ({"shared_fpr": "median"}, "shared_fpr='median' is unknown"),
            ({"shared_quantile": 1.0}, r"shared_quantile=1.0: it lies in \(0, 1\)"),
            ({"fpr_bounds": []}, "fpr_bounds is an empty list"),
            ({"fpr_bounds": 0.1}, r"fpr_bounds=0.1: expected a tuple"),
            ({"fpr_bounds": [BOUNDS, BOUNDS]}, "fpr_bounds repeats a pair"),
            ({"fpr_bounds": (0.1, float("nan"))}, "0 < lower < upper <= 1"),
            ({"interval": "t"}, "interval='t': choose 'logit' or 'wald'"),
            ({"mode": "grid"}, "mode='grid' gives point estimates only"),
            ({"mode": "grid", "inference": "auto", "shared_fpr": "max"}, "shared_fpr='mean' only"),
        ],
    )
    def test_parameters(self, rng, options, message):
        maps, masks = stack(rng)
        with pytest.raises(es.InputError, match=message):
            fitted(maps, masks, **options)

    def test_grid_takes_neither_weights_nor_sizes_nor_states(self, rng):
        maps, masks = stack(rng, ragged=True)
        grid = es.AUPIMO(fpr_bounds=BOUNDS, mode="grid", n_thresholds=2000)
        with pytest.raises(es.InputError, match="mode='grid' needs images of one size, but"):
            grid.fit(masks, maps)
        maps, masks = stack(rng)
        with pytest.raises(es.InputError, match="mode='grid' takes no sample_weight"):
            grid.fit(masks, maps, sample_weight=np.ones(12))
        with pytest.raises(es.InputError, match="mode='grid' takes no ignore masks"):
            grid.fit(masks, maps, masks & False)
        with pytest.raises(es.InputError, match="mode='grid' has no mergeable state"):
            grid.partial(masks, maps)
        with pytest.raises(es.InputError, match="mode='grid' keeps scores only"):
            grid.fit(masks, maps).curves()

    def test_standard_error_needs_two_images_of_each_class(self, rng):
        maps, masks = stack(rng)
        kept = np.array([0, 1, 3])
        with pytest.raises(es.InputError, match=r"one normal image only.*NoInference"):
            fitted(maps[kept], masks[kept])
        value = fitted(maps[kept], masks[kept], inference=es.NoInference()).estimate_.value
        assert np.isfinite(value).all()
        with pytest.raises(es.InputError, match="masks hold no anomalous image with positive w"):
            fitted(maps, masks, weight=1.0 - masks.any(axis=(1, 2)))

    def test_no_influence_for_extreme_rates(self, rng):
        maps, masks = stack(rng)
        with pytest.raises(es.InputError, match=r"Analytic\(\) needs influence"):
            fitted(maps, masks, shared_fpr="max")
        estimate = fitted(maps, masks, shared_fpr="max", inference=es.Bootstrap(50, rng=0))
        assert estimate.estimate_.standard_error[0] > 0


def test_no_image_is_copied_into_memory(rng):
    """A layout over a stack holds no pixel of it."""
    maps, masks = stack(rng)
    pimo = fitted(maps, masks)
    columns = pimo._fitted_columns()
    held = columns.models["anomaly_maps"]["anomaly_maps"]
    assert held.images is maps
    layout = image_layout(columns.single["masks"], None)
    assert StackPixels(layout, held).tail(0.1).floor > maps.min()
