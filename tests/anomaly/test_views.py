"""Scores per image, curves, operating thresholds, companions, files."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import wilcoxon

import evalstats as es
from evalstats.anomaly.files import ImageFiles, pair_folders, read_image
from tests.anomaly.support import BOUNDS, stack
from tests.oracles import anomaly as oracle

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")


def fitted(maps, masks, **options):
    given = {name: options.pop(name) for name in ("by", "sample_weight") if name in options}
    options = {"fpr_bounds": BOUNDS, "inference": es.NoInference(), **options}
    return es.AUPIMO(**options).fit(masks, maps, **given)


class TestImageScores:
    def test_tidy(self, rng):
        maps, masks = stack(rng)
        pairs = [BOUNDS, (0.1, 1.0)]
        frame = fitted({"a": maps, "b": -maps}, masks, fpr_bounds=pairs).image_scores()
        assert frame.columns == [
            "image",
            "anomalous",
            "mask_pixels",
            "model",
            "fpr_bounds",
            "score",
        ]
        assert frame.height == 12 * 2 * 2
        own = frame.filter(model="b", fpr_bounds="0.1 to 1")
        expected = es.aupimo(masks, -maps, fpr_bounds=(0.1, 1.0))
        np.testing.assert_array_equal(own["score"].to_numpy(), expected)
        assert own["mask_pixels"].to_list() == masks.sum(axis=(1, 2)).tolist()
        assert own["score"].is_null().to_list() == (~own["anomalous"]).to_list()

    def test_groups_have_their_own_normal_images(self, rng):
        maps, masks = stack(rng, 24)
        group = np.repeat(["x", "y"], 12)
        frame = fitted(maps, masks, by=group).image_scores()
        for name in ("x", "y"):
            rows = np.flatnonzero(group == name)
            own = frame.filter(group=name)
            assert own["image"].to_list() == rows.tolist()
            expected = es.aupimo(masks[rows], maps[rows], fpr_bounds=BOUNDS)
            np.testing.assert_array_equal(own["score"].to_numpy(), expected)

    def test_of_the_grid(self, rng):
        maps, masks = stack(rng, 12, 40)
        frame = fitted(maps, masks, mode="grid", n_thresholds=20_000).image_scores()
        expected = es.aupimo(masks, maps, fpr_bounds=BOUNDS, mode="grid", n_thresholds=20_000)
        np.testing.assert_array_equal(frame["score"].to_numpy(), expected)
        assert frame["mask_pixels"].to_list() == masks.sum(axis=(1, 2)).tolist()

    def test_representative_images(self, rng):
        maps, masks = stack(rng, 60)
        pimo = fitted({"a": maps, "b": -maps}, masks)
        frame = pimo.representative_images("a")
        assert set(frame["statistic"]) >= {"median", "mean", "upper whisker"}
        assert frame["image"].n_unique() == frame.height
        with pytest.raises(es.InputError, match=r"several models: pass model=, one of \['a', 'b'"):
            pimo.representative_images()
        with pytest.raises(es.InputError, match="model='c' is no model"):
            pimo.representative_images("c")
        with pytest.raises(es.InputError, match="outliers='all'"):
            pimo.representative_images("a", outliers="all")

    def test_need_the_data(self, rng):
        with pytest.raises(es.InputError, match="holds no data"):
            es.AUPIMO().image_scores()


class TestCurves:
    def test_area_of_the_curve_is_the_score(self, rng):
        maps, masks = stack(rng, 12, 12)
        pimo = fitted(maps, masks, ties="half")
        curves = pimo.curves(n_points=4001, fpr_range=BOUNDS)
        expected = pimo.image_scores().drop_nulls("score")["score"].to_numpy()
        for score, (_, part) in zip(
            expected, curves.group_by("image", maintain_order=True), strict=True
        ):
            area = np.trapezoid(part["overlap"], np.log(part["fpr"])) / np.log(30)
            assert area == pytest.approx(score, abs=2e-3)

    def test_overlap_at_a_rate(self, rng):
        maps, masks = stack(rng, 12, 12)
        curves = fitted(maps, masks).curves(n_points=5, fpr_range=(0.05, 0.5))
        normal = np.sort(maps[~masks.any(axis=(1, 2))].ravel())[::-1]
        first = curves.filter(image=0)
        for rate, overlap in first.select("fpr", "overlap").iter_rows():
            allowed = int(np.floor(rate * normal.size + 1e-9))
            expected = np.mean(maps[0][masks[0]] > normal[allowed])
            assert overlap == pytest.approx(expected, abs=1e-12)

    def test_range_is_checked(self, rng):
        maps, masks = stack(rng)
        with pytest.raises(es.InputError, match="fpr_range"):
            fitted(maps, masks).curves(fpr_range=(0.0, 0.1))


class TestThresholds:
    def test_lowest_threshold_within_the_rate(self, rng):
        maps, masks = stack(rng, 12, 12, decimals=1)
        normal = maps[~masks.any(axis=(1, 2))]
        table = fitted(maps, masks).thresholds_at([0.013, 0.1, 0.4], n_resamples=0)
        for row in table.iter_rows(named=True):
            fired = np.mean(normal >= row["estimate"])
            assert fired == pytest.approx(row["achieved_fpr"], abs=1e-12)
            assert fired <= row["fpr"]
            below = np.nextafter(row["estimate"], -np.inf)
            assert np.mean(normal >= below) > row["fpr"]

    def test_interval_covers_the_normal_images(self, rng):
        maps, masks = stack(rng, 60, 12)
        pimo = fitted(maps, masks)
        table = pimo.thresholds_at(n_resamples=300)
        assert table["fpr"].to_list() == [0.01, 0.3]
        assert (table["ci_low"] < table["estimate"]).all()
        assert (table["estimate"] < table["ci_high"]).all()
        clustered = es.AUPIMO(fpr_bounds=BOUNDS).fit(masks, maps, cluster=np.arange(60) // 2)
        assert clustered.thresholds_at(n_resamples=50).height == 2

    def test_low_scores(self, rng):
        maps, masks = stack(rng)
        high = fitted(maps, masks).thresholds_at(0.1, n_resamples=20).row(0, named=True)
        low = fitted(-maps, masks, higher_is_anomalous=False)
        mirrored = low.thresholds_at(0.1, n_resamples=20).row(0, named=True)
        assert mirrored["estimate"] == -high["estimate"]
        assert (mirrored["ci_low"], mirrored["ci_high"]) == (-high["ci_high"], -high["ci_low"])

    def test_refusals(self, rng):
        maps, masks = stack(rng)
        with pytest.raises(es.InputError, match="rates lie strictly between"):
            fitted(maps, masks).thresholds_at(1.0)
        with pytest.raises(es.InputError, match="'mean' and 'pooled'"):
            fitted(maps, masks, shared_fpr="max").thresholds_at()


class TestCompanions:
    @pytest.mark.parametrize("decimals", [None, 1])
    def test_iou_over_the_band(self, rng, decimals):
        maps, masks = stack(rng, 9, 8, decimals=decimals)
        frame = fitted(maps, masks).companions()
        found = frame.filter(metric="mean IoU, FPR 0.01 to 0.3")["estimate"].item()
        expected = oracle.iou_over_band(maps, masks, BOUNDS)
        assert found == pytest.approx(expected.mean(), abs=5e-4)

    def test_weights_are_refused(self, rng):
        maps, masks = stack(rng)
        with pytest.raises(es.InputError, match="companions are unweighted"):
            fitted(maps, masks, sample_weight=np.ones(12)).companions()

    def test_ignored_pixels_do_not_exist(self, rng):
        maps, masks = stack(rng)
        ignore = np.zeros_like(masks)
        ignore[:, :2] = True
        pimo = es.AUPIMO(fpr_bounds=BOUNDS, inference=es.NoInference())
        found = pimo.fit(masks, np.where(ignore, 50.0, maps), ignore).companions()
        expected = pimo.fit(masks[:, 2:], maps[:, 2:]).companions()
        np.testing.assert_allclose(found["estimate"], expected["estimate"], atol=1e-12)


class TestFiles:
    @pytest.fixture
    def folders(self, tmp_path, rng):
        pillow = pytest.importorskip("PIL.Image")
        maps, masks = stack(rng, 9, 8)
        for kind in ("good", "bad"):
            for name in ("maps", "masks"):
                (tmp_path / name / kind).mkdir(parents=True)
        for i, (image, mask) in enumerate(zip(maps.astype(np.float32), masks, strict=True)):
            kind = "bad" if mask.any() else "good"
            if i % 2:
                np.save(tmp_path / "maps" / kind / f"{i}.npy", image)
            else:
                pillow.fromarray(image).save(tmp_path / "maps" / kind / f"{i}.tiff")
            if mask.any():
                picture = pillow.fromarray((255 * mask).astype(np.uint8))
                picture.save(tmp_path / "masks" / "bad" / f"{i}_mask.png")
        return tmp_path, maps.astype(np.float32), masks

    def test_pairs(self, folders):
        path, maps, masks = folders
        with pytest.raises(es.InputError, match="has no mask of 'good/1', 'good/2', 'good/4' and"):
            pair_folders(path / "masks", {"m": path / "maps"})
        paired = pair_folders(path / "masks", {"m": path / "maps"}, unmasked_are_normal=True)
        number = [int(name.split("/")[1]) for name in paired.names]
        scores = es.aupimo(paired.masks, paired.maps["m"], fpr_bounds=BOUNDS)
        expected = es.aupimo(masks, maps, fpr_bounds=BOUNDS)[number]
        np.testing.assert_array_equal(scores, expected)

    def test_faults(self, folders, tmp_path):
        path, maps, _ = folders
        with pytest.raises(es.InputError, match="is no folder"):
            pair_folders(path / "masks", {"m": path / "none"})
        (path / "empty").mkdir()
        with pytest.raises(es.InputError, match=r"holds no .npy, .png, .tif, .tiff file"):
            pair_folders(path / "masks", {"m": path / "empty"})
        np.save(path / "empty" / "0.npy", maps[0])
        with pytest.raises(es.InputError, match="maps of 'n' and 'm' differ in"):
            pair_folders(path / "masks", {"m": path / "maps", "n": path / "empty"})
        np.save(path / "masks" / "orphan.npy", maps[0] > 0)
        with pytest.raises(es.InputError, match=r"holds masks without a map: 'orphan.npy'"):
            pair_folders(path / "masks", {"m": path / "maps"}, unmasked_are_normal=True)
        (path / "broken.png").write_bytes(b"no picture")
        with pytest.raises(es.InputError, match="cannot be read as an image"):
            read_image(path / "broken.png")
        np.save(path / "colour.npy", np.ones((4, 4, 3)))
        with pytest.raises(es.InputError, match=r"has shape \(4, 4, 3\): one channel"):
            read_image(path / "colour.npy")
        np.save(path / "levels.npy", np.arange(16).reshape(4, 4))
        paths = [path / "levels.npy"]
        from evalstats.anomaly.files import MaskFiles

        with pytest.raises(es.InputError, match=r"holds the values \[0, 1, 2, 3\]: a mask has 0"):
            MaskFiles(paths, ImageFiles(paths))[0]


def test_frames_are_polars(rng):
    maps, masks = stack(rng)
    pimo = fitted(maps, masks)
    for frame in (pimo.image_scores(), pimo.curves(), pimo.diagnostics(), pimo.companions()):
        assert isinstance(frame, pl.DataFrame)


class TestCompareImages:
    def models(self, rng, n=60):
        maps, masks = stack(rng, n)
        other = maps + 0.7 * rng.normal(size=maps.shape)
        return {"a": maps, "b": other, "c": other + 0.5 * rng.normal(size=maps.shape)}, masks

    def test_signed_ranks_of_the_scores(self, rng):
        maps, masks = self.models(rng)
        pairs = fitted(maps, masks).compare_images()
        assert pairs.select("model", "reference").rows() == [("a", "b"), ("a", "c"), ("b", "c")]
        anomalous = masks.any(axis=(1, 2))
        scores = {m: es.aupimo(masks, maps[m], fpr_bounds=BOUNDS)[anomalous] for m in maps}
        difference = scores["a"] - scores["b"]
        row = pairs.row(0, named=True)
        expected = wilcoxon(difference, zero_method="wilcox", method=row["method"])
        assert row["p_value"] == pytest.approx(expected.pvalue, rel=1e-12)
        assert row["estimate"] == pytest.approx(difference.mean(), rel=1e-12)
        first, second = np.triu_indices(len(difference))
        assert row["shift"] == np.median((difference[first] + difference[second]) / 2)
        assert row["wins"] == (difference > 0).sum()
        assert row["losses"] == (difference < 0).sum()
        p = pairs["p_value"].to_numpy()
        holm = np.minimum(np.maximum.accumulate(np.sort(p) * [3, 2, 1]), 1)
        np.testing.assert_allclose(np.sort(pairs["p_adjusted"].to_numpy()), holm, rtol=1e-12)

    def test_published_protocol(self, rng):
        maps, masks = self.models(rng)
        pimo = fitted(maps, masks)
        ours = pimo.compare_images(protocol="aupimo-paper")
        frame = pimo.image_scores().filter("anomalous")
        direct = es.rank_models(frame, unit="image").pairwise(protocol="aupimo-paper")
        assert ours.equals(direct)
        assert ours["alternative"].unique().to_list() == ["greater"]

    def test_each_group_and_pair_of_bounds_is_tested_alone(self, rng):
        maps, masks = self.models(rng)
        group = np.repeat(["x", "y"], 30)
        pairs = fitted(maps, masks, by=group, fpr_bounds=[BOUNDS, (0.1, 1.0)]).compare_images()
        assert pairs.height == 3 * 2 * 2
        rows = group == "y"
        part = {name: own[rows] for name, own in maps.items()}
        alone = fitted(part, masks[rows]).compare_images()
        own = pairs.filter(group="y", fpr_bounds="0.01 to 0.3").drop("group", "fpr_bounds")
        assert own.equals(alone)

    def test_refusals(self, rng):
        maps, masks = self.models(rng)
        with pytest.raises(es.InputError, match="choose 'two-sided' or 'aupimo-paper'"):
            fitted(maps, masks).compare_images(protocol="paper")
        with pytest.raises(es.InputError, match="at least 2 models"):
            fitted(maps["a"], masks).compare_images()
        weighted = fitted(maps, masks, sample_weight=np.arange(60) + 1)
        with pytest.raises(es.InputError, match=r"use estimate_\.compare"):
            weighted.compare_images()
