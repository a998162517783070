"""US Senate elections: equal to rdrobust at given windows, and sane at the selected one."""

import json

import numpy as np
import polars as pl
import pytest

import evalstats as es

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
NAMES = {"tri": "triangular", "epa": "epanechnikov", "uni": "uniform"}


@pytest.fixture
def senate(reference):
    frame = pl.read_parquet(reference / "rdd" / "real_senate.parquet")
    recorded = json.loads((reference / "rdd" / "real.json").read_text())
    return frame, recorded["rdrobust_2.1.1_senate"], recorded["r3d"]


def test_conventional_and_bias_corrected_estimates(senate):
    frame, recorded, _ = senate
    for key, wanted in recorded.items():
        if key == "default":
            continue
        h, kernel, p = key.split("|")
        options = {"bandwidth": float(h), "kernel": NAMES[kernel]}
        fitted = es.DistributionRDD(p=int(p), **options).fit("margin", "vote", data=frame)
        assert fitted.estimate_.value[0] == pytest.approx(wanted["conv"], rel=1e-10)
        # Bias correction at equal windows is the fit of the next order.
        higher = es.DistributionRDD(p=int(p) + 1, **options).fit("margin", "vote", data=frame)
        assert higher.estimate_.value[0] == pytest.approx(wanted["bc"], rel=1e-9)


def test_selected_windows(senate):
    frame, recorded, r3d = senate
    ours = es.DistributionRDD().fit("margin", "vote", data=frame)
    width = ours.diagnostics()["bandwidth_min"][0]
    assert 15 < width < 60
    low, high = ours.estimate_.confidence_interval()
    assert low[0] < recorded["default"]["bc"] < high[0]
    fraction = frame.with_columns(pl.col("margin") / 100)
    scaled = es.DistributionRDD().fit("margin", "vote", data=fraction)
    np.testing.assert_allclose(scaled.estimate_.value, ours.estimate_.value, rtol=1e-8)
    theirs = next(item for item in r3d if item["data"] == "senate" and "h_selected" in item)
    compat = es.DistributionRDD(
        compat="r3d", method="local_polynomial", kernel="epanechnikov", quantiles=[0.25, 0.5, 0.75]
    ).fit("margin", "vote", data=frame)
    np.testing.assert_allclose(compat.estimate_.value, theirs["tau"], rtol=1e-8)
    assert compat.diagnostics()["bandwidth_min"][0] == pytest.approx(theirs["h_selected"][0])
