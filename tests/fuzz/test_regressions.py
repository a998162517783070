"""What the fuzzing harness has found, one case each, so that it stays found."""

import json
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest

import evalstats as es

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")

Y = np.array([0, 1, 0, 1, 1, 0, 1, 0, 0, 1])
P = np.array([0.1, 0.6, 0.4, 0.3, 0.9, 0.2, 0.7, 0.5, 0.35, 0.8])
X = np.linspace(-1, 1, 10)
TRUTH = np.random.default_rng(0).normal(size=(3, 4, 2))
DRAWN = np.random.default_rng(1).normal(size=(12, 3, 4, 2))
MASKS = np.zeros((4, 6, 6), dtype=bool)
MASKS[2:, 2:4, 2:4] = True
MAPS = np.random.default_rng(2).normal(size=MASKS.shape)


def auroc(**options):
    return es.AUROC(**options).fit(Y, P)


def estimate(**options):
    return auroc(**options).estimate_


def twice_named():
    frame = pd.DataFrame({"y": Y, "p": P})
    return es.AUROC().fit("y", "p", data=pd.concat([frame, frame], axis=1))


def nested():
    frame = pl.DataFrame({"y": Y, "p": np.column_stack([P, P])})
    return es.AUROC().fit("y", "p", data=frame)


def int128():
    frame = pl.DataFrame({"y": Y, "p": pl.Series(range(10), dtype=pl.Int128)})
    return es.AUROC().fit("y", "p", data=frame)


def group_without_weight():
    return es.LogLoss().fit(Y, P, by=Y, sample_weight=1 - Y)


def text_lengths():
    lengths = np.array(["3"] * 10, dtype=object)
    lengths[0] = "<b>"
    return es.LengthControlledWinRate().fit(1 + P, length_model=lengths, length_baseline=X + 2)


def arrays_as_labels():
    labels = np.empty(10, dtype=object)
    labels[:] = [[value] for value in Y]
    return es.AUROC().fit(labels, P)


def lone_surrogate():
    return es.AUROC().fit(Y, {"\ud800": P})


def samples(value):
    changed = DRAWN.copy()
    changed[0, 0, 0] = value
    return changed


def glm(**options):
    return es.FairGLM(**options).fit(np.column_stack([X, P]), P, protected=X)


def saved(tmp, **changes):
    """A saved estimate with arrays changed, or left out where None is given."""
    path = tmp / "changed"
    es.AUPRC().fit(Y, P).estimate_.save(path)
    with np.load(path) as archive:
        arrays = {**archive, **changes}
    with open(path, "wb") as file:
        np.savez(file, **{name: array for name, array in arrays.items() if array is not None})
    return es.Estimate.load(path)


def test_saved_files_without_what_their_intervals_need_are_refused(tmp_path):
    assert len(saved(tmp_path)) == 1
    with pytest.raises(es.InputError, match=r"small_sample need \['n_positive'\]"):
        saved(tmp_path, **{"support.n_positive": None})
    with pytest.raises(es.InputError, match=r"replicates has dtype float64 and shape \(\)"):
        saved(tmp_path, replicates=np.array(0.5))


def test_huge_hypotheses_are_rejected_without_overflow():
    table = estimate(inference=es.Bootstrap(9)).test(null=1e308)
    assert table["p_value"][0] == 0.0


def test_numpy_numbers_are_strengths():
    assert np.isfinite(glm(strength=np.float32(0.5)).coef_).all()


def test_integers_of_128_bits_are_refused_in_files(tmp_path):
    path = tmp_path / "dt.jsonl"
    box = '"bbox": [1, 1, 4, 4], "score": 0.5'
    path.write_text(f'{{"image_id": {2**70}, "category_id": 1, {box}}}\n')
    with pytest.raises(es.InputError, match="image_id"):
        es.read_detections(path)


REFUSED = [
    (lambda: auroc(level=[0.9]), "level="),
    (lambda: auroc(inference=np.ones(2)), "inference="),
    (lambda: auroc(interval=["logit"]), "interval="),
    (lambda: auroc(max_fpr="0.1"), "max_fpr='0.1': expected a number or None"),
    (lambda: auroc(normalize="no"), "normalize='no': expected True or False"),
    (lambda: es.AUPRC(labels=5).fit(Y, P), "labels=5: expected a list"),
    (lambda: es.Bootstrap(n_resamples=1), "n_resamples=1: give an integer of at least 2"),
    (lambda: es.Bootstrap(n_resamples=10**9), "n_resamples=1000000000.*at most"),
    (lambda: es.Bootstrap(n_jobs="all"), "n_jobs='all'"),
    (lambda: es.Bootstrap(interval=["bca"]), "interval="),
    (lambda: auroc(inference=es.Bootstrap(5, rng=-1)), "rng=-1"),
    (lambda: auroc(inference=es.Bootstrap(5, rng="seed")), "rng='seed'"),
    (
        lambda: auroc(inference=es.Bootstrap(9, kind="multiplier", interval="bias_corrected")),
        "kind='multiplier' has no bias_corrected",
    ),
    (twice_named, "data cannot be read as a frame"),
    (nested, r"y_score\['p'\] holds \(2,\) values in each row"),
    (int128, "p"),
    (group_without_weight, "by: the group 1 has no row with a positive sample_weight"),
    (text_lengths, "length_model must hold real numbers"),
    (arrays_as_labels, "holds no single values"),
    (lone_surrogate, "no Unicode text"),
    (lambda: es.AUROC().fit(Y, P, sample_weight=np.full(10, 1e300)), "sample_weight is 1e\\+300"),
    (lambda: es.AUROC().fit(Y, P, sample_weight=np.full(10, 5e-324)), "sample_weight is"),
    (lambda: es.ece(Y, P, n_bins=10**30), "n_bins=1000000000.*at most"),
    (lambda: es.calibration_summary(Y, P, n_bins=10**30), "n_bins"),
    (lambda: es.hosmer_lemeshow_test(Y, P, n_groups=None), "n_groups=None: expected an integer"),
    (lambda: es.smooth_calibration_error(Y, P, width="wide"), "width='wide'"),
    (lambda: es.brier_score(Y, [[0.5], 1]), "y_prob cannot be read as an array"),
    (lambda: es.BalanceScore(pos_label=[1]).fit(Y.astype(str), P), "pos_label"),
    (lambda: es.ace_netcal([1], [0.48], binning="quantile"), "binning='quantile'"),
    (lambda: es.distance_covariance_squared(X * 1e200, P), "x is of size 1e\\+200"),
    (lambda: es.distance_covariance_squared(X, P, estimator=[1]), "estimator"),
    (lambda: es.joint_distance_covariance_squared(X, P, c=1e300), "c=1e\\+300"),
    (lambda: es.joint_distance_covariance_squared(X, P, c="1"), "c='1'"),
    (
        lambda: es.jensen_shannon_divergence([0.5], [1], bandwidth="silverman"),
        "bandwidth='silverman'",
    ),
    (lambda: glm(strength=1e300), "strength=1e\\+300"),
    (lambda: glm(c=np.ones(2)), "c="),
    (lambda: glm().predict([["a", "b"]]), "X cannot be used"),
    (lambda: es.FairGLM().fit(np.ones((3, 1)), np.ones(4)), "X or y cannot be used"),
    (lambda: es.amd_amv(TRUTH, DRAWN, reg_covar="x"), "reg_covar='x'"),
    (lambda: es.amd_amv(TRUTH, samples(1e308)), "samples holds a coordinate"),
    (lambda: es.energy_score(TRUTH, samples(1e308)), "samples holds a coordinate"),
    (lambda: es.amd_amv(TRUTH, DRAWN, rng=-1), "rng=-1"),
    (
        lambda: es.AMV().fit(TRUTH, es.WeightedSamples(DRAWN, np.full(12, "x"))),
        "probability must hold real numbers",
    ),
    (
        lambda: es.aupimo(MASKS, MAPS, fpr_bounds=(0.1, 1.0), mode="grid", n_thresholds=2**31),
        "n_thresholds=2147483648.*at most",
    ),
    (lambda: es.win_rate([1.0], coding={}), "coding"),
    (lambda: es.win_rate(["<b>"]), "preference must hold real numbers"),
    (lambda: es.rank_models({"a": X * 1j, "b": X}), r"scores\['a'\] must hold real numbers"),
    (lambda: es.citations({}), "no citation"),
    (lambda: estimate().test(null="x"), "null='x'"),
    (lambda: estimate().contrast("x", ["a"]), "matrix must hold real numbers"),
    (lambda: estimate().contrast([[np.nan]], ["a"]), "matrix must be"),
    (lambda: estimate().contrast([[1.0]], None), "labels=None"),
    (lambda: estimate().contrast(np.ones((2, 2, 1)), ["a"]), "matrix must be"),
    (lambda: estimate().select(model=np.ones(2)), "no term has"),
    (lambda: estimate().to_html(digits=None), "digits=None"),
    (lambda: estimate().to_markdown(level="0.9"), "level='0.9'"),
    (lambda: estimate().to_latex(label=(1, 2)), "label="),
    (lambda: auroc().curves(n_resamples="many"), "n_resamples='many'"),
    (
        lambda: es.MistakeAnalysis(inference=es.NoInference()).fit(Y, P).simulate_fixes(-1),
        "n_steps=-1",
    ),
    (lambda: es.read_detections([3]), "row 0 is no record"),
    (lambda: es.read_detections({"image_id": 3.0}), "image_id is a"),
    (lambda: es.DetectionStream([], class_budget=0), "class_budget=0"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[text[:40] for _, text in REFUSED])
def test_refused_by_name(call, message):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", es.EvalstatsWarning)
        with pytest.raises(es.InputError, match=message):
            call()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[" * 100_000,
        b"\xff\xfe{}",
        b"null",
        b'{"images": 3, "annotations": [], "categories": []}',
        b'{"images": [3], "annotations": [], "categories": []}',
        b'{"images": [{"id": 1e308}], "annotations": [], "categories": []}',
        b'{"images": [{"id": 99999999999999999999999}], "annotations": [], "categories": []}',
        b"\x1f\x8b truncated",
    ],
)
def test_damaged_ground_truth(tmp_path, content):
    path = tmp_path / "gt.json"
    path.write_bytes(content)
    with pytest.raises(es.InputError):
        es.read_ground_truth(path)


@pytest.mark.parametrize(
    "change",
    [
        {"version": None},
        {"fields": None},
        {"fields": {}},
        {"format": "something else"},
        {"fields": {"level": 2}},
        {"fields": {"interval": [1, 2, 3]}},
        {"fields": {"scale": "nonsense"}},
    ],
)
def test_damaged_estimates(tmp_path, change):
    path = tmp_path / "saved.npz"
    estimate().save(path)
    with np.load(path) as archive:
        arrays = {name: archive[name] for name in archive.files}
    document = json.loads(arrays["meta"].tobytes())
    if change.get("fields"):
        change = {"fields": document["fields"] | change["fields"]}
    arrays["meta"] = np.frombuffer(json.dumps(document | change).encode(), dtype=np.uint8)
    np.savez(path, **arrays)
    with pytest.raises(es.InputError, match="saved"):
        es.Estimate.load(path)


@pytest.mark.parametrize("name", ["value", "covariance", "terms", "meta", "n"])
def test_estimates_with_arrays_of_other_shapes(tmp_path, name):
    path = tmp_path / "saved.npz"
    estimate().save(path)
    with np.load(path) as archive:
        arrays = {key: archive[key] for key in archive.files}
    arrays[name] = arrays[name][:0]
    np.savez(path, **arrays)
    with pytest.raises(es.InputError, match="saved"):
        es.Estimate.load(path)


# Numbers that were wrong, or an exception where a number is due ----------------------------------


def test_an_auroc_within_rounding_of_the_end_has_an_interval():
    for level in (1e-6, 0.95):
        result = es.AUROC(level=level).fit([1, 0, 0], [3.0, 1.0, 2.0]).estimate_
        low, high = result.confidence_interval()
        assert 0 <= low[0] <= result.value[0] == high[0] == 1.0


def test_adjusted_p_values_do_not_undercut():
    method = es.Bootstrap(20, rng=0, n_jobs=1)
    fitted = es.AUPRO(max_fpr=0.5, inference=method).fit(MASKS, {"a": MAPS, "b": MAPS**2})
    table = fitted.estimate_.compare(adjust="max-t")
    assert (table["p_adjusted"] >= table["p_value"]).all()


def test_venn_abers_with_weights_that_vanish():
    weight = np.where(np.arange(10) % 2, 1e10, 1e-10)
    value = es.VennABERS().fit(P, Y, weight).predict_proba(P)
    assert np.isfinite(value).all()


def test_few_rows_of_an_unbiased_statistic_are_no_division_by_zero():
    with np.errstate(all="raise"), pytest.raises(es.InputError):
        es.distance_covariance_squared([1.0, 2.0], [0.0, 1.0])


def test_a_warning_points_to_the_line_of_the_user():
    fitted = es.TrajectoryScores(inference=es.NoInference()).fit(TRUTH, DRAWN)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fitted.horizon()
    assert all("options.py" not in item.filename for item in caught)


def test_an_empty_option_on_the_command_line_is_refused(tmp_path, capsys):
    from evalstats.cli import app

    path = tmp_path / "rows.csv"
    pl.DataFrame({"s": [1, 2], "m": ["a", "b"], "i": [0, 1]}).write_csv(path)
    with pytest.raises(SystemExit) as stopped:
        app(["wildbench-score", str(path), "--score", "s", "--model", "", "--item", "i"])
    assert stopped.value.code == 2
    assert "there is no column ''" in capsys.readouterr().err
