"""Containers, sizes and number types of images, and the message for each fault."""

import numpy as np
import polars as pl
import pytest

import evalstats as es
from tests.anomaly.support import BOUNDS, stack

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")


@pytest.fixture
def images(rng):
    return stack(rng, 9, 8, decimals=1)


def scores(maps, masks, **options):
    return es.aupimo(masks, maps, fpr_bounds=BOUNDS, **options)


class TestContainers:
    @pytest.mark.parametrize(
        "convert",
        [
            list,
            tuple,
            lambda a: a.tolist(),
            lambda a: [image.tolist() for image in a],
            lambda a: [pl.DataFrame(image).to_numpy() for image in a],
            lambda a: pl.Series(a),
            lambda a: np.ma.MaskedArray(a, np.zeros(a.shape, dtype=bool)),
        ],
        ids=["list", "tuple", "nested", "list of lists", "columns first", "polars", "masked"],
    )
    def test_equal_arrays(self, images, convert):
        maps, masks = images
        np.testing.assert_array_equal(scores(convert(maps), convert(masks)), scores(maps, masks))

    def test_object_array_of_images(self, rng):
        maps, masks = stack(rng, ragged=True)
        boxed = np.empty(len(maps), dtype=object)
        boxed[:] = maps
        np.testing.assert_array_equal(scores(boxed, masks), scores(maps, masks))

    def test_memory_maps_are_not_loaded(self, images, tmp_path):
        maps, masks = images
        np.save(tmp_path / "maps.npy", maps)
        mapped = np.load(tmp_path / "maps.npy", mmap_mode="r")
        pimo = es.AUPIMO(fpr_bounds=BOUNDS, inference=es.NoInference()).fit(masks, mapped)
        held = pimo._fitted_columns().models["anomaly_maps"]["anomaly_maps"].images
        assert np.shares_memory(held, mapped)
        np.testing.assert_array_equal(scores(mapped, masks), scores(maps, masks))

    def test_columns_of_images_in_a_frame(self, images):
        maps, masks = images
        frame = pl.DataFrame({"mask": masks, "a": maps, "b": -maps})
        pimo = es.AUPIMO(fpr_bounds=BOUNDS, inference=es.NoInference())
        estimate = pimo.fit("mask", ["a", "b"], data=frame).estimate_
        assert estimate.value[0] == pytest.approx(np.nanmean(scores(maps, masks)), abs=1e-15)
        assert estimate.terms["model"].to_list() == ["a", "b"]


class TestNumbers:
    @pytest.mark.parametrize(
        "dtype", ["f2", "f4", "f8", "g", ">f4", ">f8", "i1", "u1", "i2", "u2", "i4", "i8", "?"]
    )
    def test_equal_float64(self, images, dtype):
        maps, masks = images
        converted = np.round(10 * maps if dtype[0] in "iu" else maps, 1)
        if "u" in dtype:
            converted = converted + 60
        converted = converted.astype(dtype)
        exact = converted.astype(np.float64)
        np.testing.assert_array_equal(scores(converted, masks), scores(exact, masks))
        low = scores(converted, masks, higher_is_anomalous=False)
        np.testing.assert_array_equal(low, scores(-exact, masks))

    @pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.int8])
    def test_masks(self, images, dtype):
        maps, masks = images
        np.testing.assert_array_equal(scores(maps, masks.astype(dtype)), scores(maps, masks))

    def test_negative_zero_ties_with_zero(self):
        maps = np.array([[[0.0, -0.0] * 5], [[-0.0, 0.0] * 5]])
        masks = np.array([[[0] * 10], [[1] * 10]])
        found = scores(maps, masks, ties="conservative")
        assert found[1] == 0.0

    def test_huge_float32_sums_are_no_infinities(self, images):
        maps, masks = images
        wide = (maps * 1e37).astype(np.float32)
        expected = scores(wide.astype(np.float64), masks)
        np.testing.assert_array_equal(scores(wide, masks), expected)


class TestFaults:
    def test_images(self, images):
        maps, masks = images
        holed, infinite = maps.copy(), maps.copy()
        holed[4, 2, 2] = np.nan
        infinite[[4, 6], 0, 0] = np.inf
        table = {
            r"anomaly_maps has 1 missing value \(first in row 4\)": holed,
            r"anomaly_maps has 2 infinite maps \(first in row 4\)": infinite,
            r"anomaly_maps has shape \(8, 7\) in image 0, but the mask has \(8, 8\)": maps[..., 1:],
            "anomaly_maps has 8 rows but masks has 9": maps[1:],
            "anomaly_maps is complex": maps + 0j,
            "anomaly_maps has dtype <U32": maps.astype(str),
            r"anomaly_maps has shape \(8,\) in image 2": [*maps[:2], maps[2, 0], *maps[3:]],
            r"anomaly_maps has shape \(9, 64\): pass images": maps.reshape(9, -1),
            "anomaly_maps is a generator: pass an array or a list": (image for image in maps),
            r"integers beyond 2\*\*53 in image 0": np.full(maps.shape, 2**60),
            "anomaly_maps='x' is a name, but no frame was given": "x",
        }
        for message, value in table.items():
            with pytest.raises(es.InputError, match=message):
                scores(value, masks)

    def test_models(self, images):
        maps, masks = images
        with pytest.raises(es.InputError, match=r"anomaly_maps\['b'\] has shape \(8, 7\) in image"):
            es.AUPIMO().fit(masks, {"a": maps, "b": maps[..., 1:]})
        with pytest.raises(es.InputError, match="several models: use AUPIMO"):
            scores({"a": maps, "b": maps}, masks)

    def test_ignore(self, images):
        maps, masks = images
        with pytest.raises(es.InputError, match="ignore leaves no pixel of image 0"):
            scores(maps, masks, ignore=np.ones_like(masks))
        with pytest.raises(es.InputError, match="ignore leaves no mask pixel of image 0"):
            scores(maps, masks, ignore=masks)
        with pytest.raises(es.InputError, match=r"ignore has shape \(8, 7\) in image 0"):
            scores(maps, masks, ignore=masks[..., 1:])
        with pytest.raises(es.InputError, match="ignore has dtype float64"):
            scores(maps, masks, ignore=maps)

    def test_dropped_images(self, images):
        maps, masks = images
        holed = maps.copy()
        holed[4, 2, 2] = np.nan
        pimo = es.AUPIMO(fpr_bounds=BOUNDS, inference=es.NoInference(), nan_policy="omit")
        estimate = pimo.fit(masks, holed).estimate_
        kept = np.delete(np.arange(9), 4)
        assert estimate.n_dropped == 1
        expected = np.nanmean(scores(maps[kept], masks[kept]))
        assert estimate.value[0] == pytest.approx(expected, abs=1e-15)
