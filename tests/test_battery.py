"""Every registered estimator keeps the contract.

Being registered is being tested. A legitimate exception is declared on the estimator, as
``exceptions = {"name_of_the_check": "reason"}``; checks are named after the functions below.

Of scikit-learn's estimator checks those on parameters, cloning, pickling and representation apply
and are here. Those that call ``fit(X, y)`` on a design matrix and then predict or transform do not:
an estimator of a metric takes labels and scores, and what it returns is an ``Estimate``.
"""

import copy
import dataclasses
import inspect
import pickle
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import check_no_attributes_set_in_init

import evalstats as es
from evalstats.data.state import State
from tests.battery_support import (
    ArrowOnly,
    N,
    as_columns,
    assert_same_numbers,
    checksum,
    deterministic,
    drawn_weights,
    example,
    fit,
    mapped,
    per_row,
    registered,
    taken,
)

pytestmark = pytest.mark.filterwarnings("ignore::evalstats.errors.EvalstatsWarning")
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(params=registered(), ids=lambda cls: cls.__name__)
def cls(request):
    check = request.function.__name__.removeprefix("test_")
    if check in request.param.exceptions:
        pytest.skip(request.param.exceptions[check])
    return request.param


def test_exceptions_name_checks(cls):
    checks = {name.removeprefix("test_") for name in globals() if name.startswith("test_")}
    assert set(cls.exceptions) <= checks
    assert all(len(reason) > 20 for reason in cls.exceptions.values())


def test_public_name(cls):
    assert getattr(es, cls.__name__) is cls


# The estimator object ---------------------------------------------------------------------------


def test_constructor_is_keyword_only_and_does_no_work(cls):
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters)
    assert all(parameter.default is not parameter.empty for parameter in parameters)
    estimator = cls(level=17.0)
    assert estimator.level == 17.0
    assert vars(estimator).keys() == {parameter.name for parameter in parameters}
    check_no_attributes_set_in_init(cls.__name__, cls())


def test_shared_parameters(cls):
    params = cls().get_params()
    assert params["inference"] == "auto"
    assert params["level"] == 0.95
    assert params["nan_policy"] == "raise"


def test_get_set_params(cls):
    estimator = cls()
    before = estimator.get_params()
    assert estimator.set_params(level=0.5) is estimator
    assert estimator.get_params(deep=False) == {**before, "level": 0.5}
    with pytest.raises(es.InputError, match="'levle' is no parameter"):
        estimator.set_params(levle=0.5)


def test_clone(cls):
    arguments = example(cls)
    estimator = cls(level=0.8, inference=es.Bootstrap(n_resamples=20, rng=3)).fit(**arguments)
    copied = clone(estimator)
    assert copied.get_params() == estimator.get_params()
    assert not hasattr(copied, "estimate_")
    assert copied.fit(**arguments).estimate_ == estimator.estimate_


def test_pickle_unfitted_and_fitted(cls):
    unfitted = pickle.loads(pickle.dumps(cls(level=0.8)))
    assert unfitted.get_params() == cls(level=0.8).get_params()
    assert not unfitted.__sklearn_is_fitted__()
    fitted = cls().fit(**example(cls))
    assert fitted.__sklearn_is_fitted__()
    assert pickle.loads(pickle.dumps(fitted)).estimate_ == fitted.estimate_
    assert copy.deepcopy(fitted).estimate_ == fitted.estimate_


def test_repr_shows_what_was_changed(cls):
    assert repr(cls()) == f"{cls.__name__}()"
    assert repr(cls(level=0.9)) == f"{cls.__name__}(level=0.9)"


def test_fit_returns_self_and_refits(cls):
    arguments = example(cls)
    estimator = cls()
    assert estimator.fit(**arguments) is estimator
    first = estimator.estimate_
    assert estimator.fit(**example(cls, seed=5)).estimate_ != first
    assert estimator.fit(**arguments).estimate_ == first


def test_positional_roles(cls):
    arguments = example(cls)
    assert cls().fit(*arguments.values()).estimate_ == cls().fit(**arguments).estimate_


# The estimate -----------------------------------------------------------------------------------


def test_estimate_members(cls):
    estimate = cls().fit(**example(cls)).estimate_
    k = len(estimate.value)
    assert len(estimate) == k == estimate.terms.height
    assert estimate.value.dtype == estimate.standard_error.dtype == np.float64
    assert estimate.value.shape == estimate.standard_error.shape == (k,)
    assert estimate.covariance.shape == (k, k)
    assert estimate.name == cls.metric
    assert estimate.unit == cls.unit
    assert estimate.n_units == N
    assert estimate.n_clusters is None
    assert estimate.level == 0.95
    assert isinstance(estimate.inference, str)
    assert {"metric", "model"} <= set(estimate.terms.columns)
    assert estimate.terms.n_unique() == k
    assert cls.verb
    assert cls.roles


def test_estimate_is_immutable(cls):
    estimate = cls(inference=es.Bootstrap(n_resamples=20, rng=0)).fit(**example(cls)).estimate_
    with pytest.raises(dataclasses.FrozenInstanceError):
        estimate.level = 0.5
    for name in ("value", "standard_error", "covariance", "replicates"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(estimate, name)[0] = 0.0


def test_covariance_belongs_to_the_standard_errors(cls):
    estimate = fit(cls, example(cls))
    variance = np.diag(estimate.covariance)
    np.testing.assert_allclose(estimate.standard_error**2, variance, rtol=1e-12, atol=1e-30)
    np.testing.assert_allclose(estimate.covariance, estimate.covariance.T, rtol=1e-12, atol=1e-30)
    roots = np.linalg.eigvalsh(np.nan_to_num(estimate.covariance))
    assert roots.min() >= -1e-12 * max(roots.max(), 1e-30)


def test_intervals_nest_and_stay_in_range(cls):
    estimate = cls().fit(**example(cls)).estimate_
    narrow, wide = estimate.confidence_interval(0.5), estimate.confidence_interval(0.99)
    band = estimate.confidence_interval(0.99, simultaneous=True)
    defined = np.isfinite(narrow.low)
    assert defined.any()
    assert (wide.low <= narrow.low)[defined].all()
    assert (wide.high >= narrow.high)[defined].all()
    assert (narrow.low <= estimate.value)[defined].all()
    assert (estimate.value <= narrow.high)[defined].all()
    assert np.nanmin(wide.low) >= cls.value_range[0]
    assert np.nanmax(wide.high) <= cls.value_range[1]
    usable = np.isfinite(band.low)
    assert (band.high - band.low)[usable].sum() >= (wide.high - wide.low)[usable].sum() * 0.98


def test_no_inference_gives_points_only(cls):
    arguments = example(cls)
    estimate = cls(inference=es.NoInference()).fit(**arguments).estimate_
    np.testing.assert_array_equal(estimate.value, cls().fit(**arguments).estimate_.value)
    assert np.isnan(estimate.standard_error).all()
    assert np.isnan(estimate.confidence_interval()).all()


def test_save_and_load(cls, tmp_path):
    bootstrap = es.Bootstrap(n_resamples=30, interval="bca", rng=1)
    for inference in ("auto", bootstrap, es.NoInference()):
        estimate = cls(inference=inference).fit(**example(cls)).estimate_
        estimate.save(tmp_path / "saved")
        loaded = es.Estimate.load(tmp_path / "saved")
        assert loaded == estimate
        assert str(loaded) == str(estimate)
        assert loaded.methods() == estimate.methods()
        assert list(tmp_path.iterdir()) == [tmp_path / "saved"]
        for field in dataclasses.fields(estimate):
            assert type(getattr(loaded, field.name)) is type(getattr(estimate, field.name))


def test_tidy_frame(cls):
    estimate = cls().fit(**example(cls)).estimate_
    frame = estimate.to_frame()
    assert isinstance(frame, pl.DataFrame)
    tail = ["estimate", "standard_error", "ci_low", "ci_high", "n", "inference"]
    assert frame.columns == [*estimate.terms.columns, *tail]
    assert frame.schema["n"] == pl.Int64
    assert all(frame.schema[name] == pl.Float64 for name in tail[:4])
    np.testing.assert_array_equal(frame["estimate"].to_numpy(), estimate.value)
    low, high = estimate.confidence_interval(0.5)
    np.testing.assert_array_equal(estimate.to_frame(0.5)["ci_low"].to_numpy(), low)
    np.testing.assert_array_equal(estimate.to_frame(0.5)["ci_high"].to_numpy(), high)


def test_tables(cls):
    estimate = cls().fit(**example(cls)).estimate_
    assert estimate.name in str(estimate)
    assert "\\toprule" in estimate.to_latex()
    assert "<table" in estimate.to_html()
    assert estimate._repr_html_() == estimate.to_html()
    assert "|" in estimate.to_markdown()
    for model in estimate.terms["model"].unique():
        for table in (str(estimate), estimate.to_latex(), estimate.to_html()):
            assert model in table


def test_methods_sentence(cls):
    sentence = cls().fit(**example(cls)).estimate_.methods()
    assert cls.metric in sentence
    assert "evalstats" in sentence
    assert sentence.endswith(".")
    assert all(f"[{key}]" in sentence for key in cls.citation_keys)


def test_citations_are_known(cls):
    bibliography = es.citations()
    assert all(f"{{{key}," in bibliography for key in cls.citation_keys)


def test_plots(cls):
    from matplotlib.axes import Axes

    fitted = cls().fit(**example(cls))
    for drawn in (fitted.plot(), fitted.estimate_.plot()):
        assert all(isinstance(axes, Axes) for axes in np.ravel(drawn))


def test_compare(cls):
    estimate = cls().fit(**example(cls)).estimate_
    table = estimate.compare()
    assert {
        "reference",
        "estimate",
        "standard_error",
        "ci_low",
        "ci_high",
        "statistic",
        "p_value",
        "p_adjusted",
        "adjust",
    } <= set(table.columns)
    assert table.height >= 1
    first = table.row(0, named=True)
    others = {name: first[name] for name in estimate.terms.columns if name != "model"}
    minuend = estimate.select(**others, model=first["model"]).value[0]
    subtrahend = estimate.select(**others, model=first["reference"]).value[0]
    assert first["estimate"] == pytest.approx(minuend - subtrahend, abs=1e-14)
    reversed_table = estimate.compare(reference=first["model"])
    assert reversed_table["estimate"][0] == pytest.approx(-first["estimate"], abs=1e-14)
    with pytest.raises(es.InputError, match="reference='nobody' is no model"):
        estimate.compare("nobody")


def test_contrast_is_an_estimate(cls):
    estimate = cls().fit(**example(cls)).estimate_
    k = len(estimate)
    matrix = np.linspace(-1, 1, 2 * k).reshape(2, k)
    combined = estimate.contrast(matrix, ["a", "b"])
    np.testing.assert_allclose(combined.value, matrix @ estimate.value, rtol=1e-12)
    if np.isfinite(estimate.covariance).all():
        expected = matrix @ estimate.covariance @ matrix.T
        np.testing.assert_allclose(combined.covariance, expected, rtol=1e-9, atol=1e-18)
    assert combined.to_frame()["contrast"].to_list() == ["a", "b"]
    with pytest.raises(es.InputError, match="columns"):
        estimate.contrast(np.ones((1, k + 1)), ["a"])


# Invariances ------------------------------------------------------------------------------------


def test_permutation_of_rows(cls, rng):
    arguments = example(cls)
    order = rng.permutation(N)
    assert_same_numbers(fit(cls, taken(arguments, order)), fit(cls, arguments))


def test_integer_weight_is_repetition(cls, rng):
    arguments = example(cls)
    copies = rng.integers(1, 4, N)
    repeated = taken(arguments, np.repeat(np.arange(N), copies))
    expected = fit(cls, repeated)
    weighted = fit(cls, arguments, sample_weight=copies)
    np.testing.assert_allclose(weighted.value, expected.value, rtol=1e-12)
    if np.isfinite(expected.standard_error).any():
        counts = cls(inference=es.Analytic(weight_kind="frequency"))
        counts.fit(**arguments, sample_weight=copies)
        assert_same_numbers(counts.estimate_, expected)


def test_weight_zero_is_absence(cls, rng):
    arguments = example(cls)
    present = rng.random(N) < 0.8
    weight = np.where(present, drawn_weights(cls, rng, 0.5, 2.0), 0.0)
    kept = np.flatnonzero(present)
    weighted = fit(cls, arguments, sample_weight=weight)
    absent = fit(cls, taken(arguments, kept), sample_weight=weight[kept])
    assert_same_numbers(weighted, absent)
    assert weighted.n_units == absent.n_units == len(kept)


def test_unit_weights_change_nothing(cls):
    arguments = example(cls)
    assert_same_numbers(fit(cls, arguments, sample_weight=np.ones(N)), fit(cls, arguments))


def test_scale_of_weights_does_not_matter(cls, rng):
    arguments = example(cls)
    weight = rng.uniform(0.1, 3.0, N)
    assert_same_numbers(
        fit(cls, arguments, sample_weight=1e6 * weight), fit(cls, arguments, sample_weight=weight)
    )


def test_groups_equal_separate_fits(cls, rng):
    arguments = example(cls)
    group = np.array(["north", "south", "west"])[rng.integers(0, 3, N)]
    together = fit(cls, arguments, by=group)
    assert together.terms["group"].unique().sort().to_list() == ["north", "south", "west"]
    assert together.n_units == N
    for name in ("north", "south", "west"):
        rows = np.flatnonzero(group == name)
        part = together.select(group=name)
        alone = fit(cls, taken(arguments, rows))
        assert_same_numbers(part, alone)
        assert part.terms.drop("group").equals(alone.terms)
        assert part.n.tolist() == [len(rows)] * len(part)


def test_groups_equal_separate_fits_within_clusters(cls, rng):
    arguments = example(cls)
    cluster = rng.integers(0, 90, N)
    together = fit(cls, arguments, by=cluster % 2, cluster=cluster)
    for parity in (0, 1):
        rows = np.flatnonzero(cluster % 2 == parity)
        alone = fit(cls, taken(arguments, rows), cluster=cluster[rows])
        assert_same_numbers(together.select(group=parity), alone)


def test_labels_of_clusters_do_not_matter(cls, rng):
    arguments = example(cls)
    cluster = rng.integers(0, 60, N)
    names = np.array([f"patient {name}" for name in rng.permutation(60)])[cluster]
    expected = fit(cls, arguments, cluster=cluster)
    assert_same_numbers(fit(cls, arguments, cluster=names), expected)
    assert expected.n_clusters == len(np.unique(cluster))


def test_models_do_not_influence_each_other(cls):
    arguments = example(cls)
    role = next(name for name, value in arguments.items() if isinstance(value, dict))
    together = fit(cls, arguments)
    for model, column in arguments[role].items():
        alone = fit(cls, {**arguments, role: {model: column}})
        assert_same_numbers(alone, together.select(model=model))


@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
def test_merge(cls, rng, weighted):
    arguments = example(cls)
    weight = drawn_weights(cls, rng, 0.1, 3.0) if weighted else None
    whole = fit(cls, arguments, sample_weight=weight)
    estimator = deterministic(cls, arguments)
    for n_parts in (1, 2, 3, 5):
        part_of_row = rng.integers(0, n_parts, N)
        states = []
        for part in rng.permutation(n_parts):
            rows = np.flatnonzero(part_of_row == part)
            state = estimator.partial(
                **taken(arguments, rows), sample_weight=None if weight is None else weight[rows]
            )
            states.append(State.from_bytes(state.to_bytes()))
        flat = estimator.finalize(estimator.merge(*states))
        assert_same_numbers(flat, whole)
        assert flat.n_units == N
        assert flat.terms.equals(whole.terms)
        nested = states[0]
        for state in states[1:]:
            nested = estimator.merge(state, nested)
        assert_same_numbers(estimator.finalize(nested), whole)


def test_analytic(cls, rng):
    arguments = taken(example(cls, 60), np.arange(60))
    estimator = cls(inference=es.Analytic())
    weight = rng.integers(1, 4, 60).astype(float)
    columns = estimator._columns(arguments, sample_weight=weight)
    prepared = estimator._prepare(columns)
    influence = estimator._influence(prepared, weight)
    step = 1e-5
    for row in range(60):
        change = step * (np.arange(60) == row)
        up, down = (estimator._evaluate(prepared, weight + s * change) for s in (1, -1))
        np.testing.assert_allclose(influence[row], (up - down) / (2 * step), atol=1e-9)
    np.testing.assert_allclose(weight @ influence, 0.0, atol=1e-12)


# Inputs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["polars", "lazy", "pandas", "pyarrow", "arrow capsule"])
def test_frames_equal_arrays(cls, kind, rng):
    arguments = example(cls)
    frame, names = as_columns(arguments)
    weight, cluster = drawn_weights(cls, rng, 0.5, 2.0), rng.integers(0, 60, N)
    group = np.array(["a", "b"])[cluster % 2]
    frame = frame.with_columns(
        pl.Series("w", weight), pl.Series("patient", cluster), pl.Series("site", group)
    )
    data = {
        "polars": lambda: frame,
        "lazy": lambda: frame.lazy(),
        "pandas": lambda: pd.DataFrame(frame.to_dict(as_series=False), index=np.arange(N) + 7),
        "pyarrow": frame.to_arrow,
        "arrow capsule": lambda: ArrowOnly(frame),
    }[kind]()
    estimator = cls()
    from_frame = estimator.fit(
        **names, data=data, sample_weight="w", cluster="patient", by="site"
    ).estimate_
    from_arrays = cls().fit(**arguments, sample_weight=weight, cluster=cluster, by=group).estimate_
    assert from_frame.to_frame().drop("inference").rows() == (
        from_arrays.to_frame().drop("inference").rows()
    )
    assert from_frame == dataclasses.replace(from_arrays, terms=from_frame.terms)


def test_series_equal_arrays(cls):
    arguments = example(cls)
    expected = cls().fit(**arguments).estimate_
    for convert in (
        pl.Series,
        lambda column: pd.Series(column, index=np.arange(len(column))[::-1]),
        np.ndarray.tolist,
        lambda column: np.ma.MaskedArray(column, np.zeros(len(column), dtype=bool)),
    ):
        assert cls().fit(**mapped(arguments, convert)).estimate_ == expected


def _holed_role(cls, arguments):
    """Role that brings the numbers of models or, where models are rows, the outcomes."""
    given = {role.name: role for role in cls.roles if role.name in arguments}
    named = [name for name, value in arguments.items() if isinstance(value, dict)]
    return given[named[0] if named else next(n for n, r in given.items() if _is_value(r))]


def _is_value(role):
    return role.kind in ("score", "label") and not role.name.startswith("model")


def _as_float(dtype):
    def cast(array):
        return array.astype(dtype) if array.dtype.kind == "f" else array

    return cast


def _as_integer(dtype):
    def cast(array):
        if array.dtype.kind != "f":
            return array
        # Probabilities and preferences stay what they are, other numbers keep a digit if it fits.
        within = array.min() >= 0 and array.max() <= 2
        factor = 1.0 if within else min(10.0, np.iinfo(dtype).max / np.abs(array).max())
        return np.round(factor * array).astype(dtype)

    return cast


@pytest.mark.parametrize(
    "cast",
    [
        _as_float(np.float32),
        _as_float(np.float16),
        _as_integer(np.int8),
        _as_integer(np.int16),
        _as_integer(np.int64),
        _as_float(np.longdouble),
    ],
    ids=["float32", "float16", "int8", "int16", "int64", "longdouble"],
)
def test_dtypes_of_numbers(cls, cast):
    converted = mapped(example(cls), cast)
    in_float64 = mapped(
        converted, lambda column: column.astype(np.float64) if column.dtype.kind in "fi" else column
    )
    assert_same_numbers(fit(cls, converted), fit(cls, in_float64), error=1e-12)


def test_dtypes_of_labels(cls):
    arguments = example(cls)
    expected = fit(cls, arguments)

    labels = [role.name for role in cls.roles if role.kind == "label"]
    for dtype in (bool, np.int8, np.uint8, np.int32, np.float64, object):
        converted = {name: arguments[name].astype(dtype) for name in labels}
        assert fit(cls, {**arguments, **converted}) == expected


@pytest.mark.parametrize(
    "layout", ["read-only", "strided", "reversed", "memory-mapped", "big-endian", "column of 2-D"]
)
def test_layouts_are_read_and_left_alone(cls, layout, tmp_path):
    arguments = example(cls)
    expected = cls().fit(**arguments).estimate_
    paths = iter(range(100))

    def arranged(array):
        if layout == "strided":
            return np.repeat(array, 2, axis=0)[::2]
        if layout == "reversed":
            return array[::-1].copy()[::-1]
        if layout == "big-endian":
            return array.astype(array.dtype.newbyteorder(">"))
        if layout == "column of 2-D":
            return np.stack([array, array], axis=1)[:, 1]
        if layout == "memory-mapped":
            path = tmp_path / f"{next(paths)}.npy"
            np.save(path, array)
            return np.load(path, mmap_mode="r")
        array = array.copy()
        array.flags.writeable = False
        return array

    given = mapped(arguments, arranged)
    before = checksum(given)
    weight = np.ones(N)
    weight.flags.writeable = False
    assert cls().fit(**given).estimate_ == expected
    cls(inference=es.Bootstrap(n_resamples=5, rng=0)).fit(**given, sample_weight=weight)
    assert checksum(given) == before


def test_masked_rows_are_missing(cls, rng):
    arguments = example(cls)
    role, value = next(iter(arguments.items()))
    missing = rng.random(N) < 0.1

    def masked_array(array):
        return np.ma.MaskedArray(array, per_row(missing, array))

    if isinstance(value, dict):
        model, column = next(iter(value.items()))
        hidden = {**value, model: masked_array(column)}
    else:
        hidden = masked_array(value)
    masked = {**arguments, role: hidden}
    with pytest.raises(es.InputError, match=rf"{role}.* has {missing.sum()} missing values"):
        cls().fit(**masked)
    expected = fit(cls, taken(arguments, np.flatnonzero(~missing)))
    omitted = deterministic(cls, arguments, nan_policy="omit").fit(**masked).estimate_
    assert_same_numbers(omitted, expected)
    assert omitted.n_dropped == missing.sum()
    assert omitted.n_units == N - missing.sum()


def test_nan_policy_omit(cls, rng):
    arguments = example(cls)
    role = _holed_role(cls, arguments)
    missing = rng.random(N) < 0.1

    def holed(array):
        kind = float if array.dtype.kind in "biuf" else object
        return np.where(per_row(missing, array), np.nan, array.astype(kind))

    value = arguments[role.name]
    if role.per_model:
        model, column = next(iter(value.items()))
        given = {**arguments, role.name: {**value, model: holed(column)}}
    else:
        given = {**arguments, role.name: holed(value)}
    weight = np.where(np.arange(N) == 3, np.nan, 1.0)
    kept = np.flatnonzero(~missing & (np.arange(N) != 3))
    with pytest.warns(es.EvalstatsWarning, match=r"\[rows-dropped\]"):
        omitted = deterministic(cls, arguments, nan_policy="omit").fit(
            **given, sample_weight=weight
        )
    assert_same_numbers(omitted.estimate_, fit(cls, taken(arguments, kept)))
    assert omitted.estimate_.n_dropped == N - len(kept)


# Threads and seeds ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["multinomial", "poisson", "bayesian"])
def test_same_bits_on_any_number_of_threads(cls, kind):
    arguments = example(cls)

    def run(n_jobs=None):
        method = es.Bootstrap(n_resamples=60, kind=kind, rng=7, n_jobs=n_jobs)
        return cls(inference=method).fit(**arguments, cluster=np.arange(N) // 2).estimate_

    single = run(1)
    assert single.replicates.shape == (60 - single.n_failed, len(single))
    assert run(2) == single
    assert run(1) == single
    for n_jobs in (1, 2):
        with joblib.parallel_config(n_jobs=n_jobs):
            assert run() == single
    other = es.Bootstrap(n_resamples=60, kind=kind, rng=8)
    differing = cls(inference=other).fit(**arguments).estimate_
    assert not np.array_equal(differing.replicates, single.replicates)


def test_replicates_do_not_depend_on_how_many_follow(cls):
    arguments = example(cls)

    def replicates(n_resamples):
        method = es.Bootstrap(n_resamples=n_resamples, rng=7)
        return cls(inference=method).fit(**arguments).estimate_.replicates

    np.testing.assert_array_equal(replicates(60)[:31], replicates(31))


def test_default_inference_is_reproducible(cls):
    arguments = example(cls)
    assert cls().fit(**arguments).estimate_ == cls().fit(**arguments).estimate_


# Bad input --------------------------------------------------------------------------------------


def test_unknown_column_lists_the_known_ones(cls):
    frame, names = as_columns(example(cls))
    role = next(iter(names))
    target = names[role] if isinstance(names[role], str) else names[role][0]
    wrong = {**names, role: target + "x"}
    with pytest.raises(es.InputError) as caught:
        cls().fit(**wrong, data=frame)
    message = str(caught.value)
    assert message.startswith(f"{role}: there is no column {target + 'x'!r}")
    assert f"Did you mean {target!r}?" in message
    assert all(repr(name) in message for name in frame.columns)
    with pytest.raises(es.InputError, match=r"cluster: there is no column 'c'"):
        cls().fit(**names, data=frame, cluster="c")
    with pytest.raises(es.InputError, match=r"by: there is no column 'c'"):
        cls().fit(**names, data=frame, by=["c"])
    with pytest.raises(es.InputError, match=r"sample_weight: there is no column 'c'"):
        cls().fit(**names, data=frame.lazy(), sample_weight="c")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"level": 0.0}, "level=0.0"),
        ({"level": 1}, "level=1"),
        ({"level": 95}, "level=95"),
        ({"level": float("nan")}, "level=nan"),
        ({"nan_policy": "drop"}, "nan_policy='drop'"),
        ({"inference": "magic"}, "inference='magic'"),
        ({"inference": es.Bootstrap}, "inference=<class"),
    ],
)
def test_bad_parameters_are_refused_by_fit(cls, params, message):
    with pytest.raises(es.InputError) as caught:
        cls(**params).fit(**example(cls))
    assert message in str(caught.value)


WEIGHT = np.ones(N)
BAD_SHARED = [
    ({"sample_weight": -WEIGHT}, r"sample_weight is -1\.0 in row 0"),
    ({"sample_weight": np.where(np.arange(N) == 5, np.inf, 1)}, "sample_weight is inf in row 5"),
    ({"sample_weight": np.where(np.arange(N) == 5, np.nan, 1)}, r"sample_weight has 1 missing.*5"),
    ({"sample_weight": WEIGHT[1:]}, rf"sample_weight has {N - 1} rows"),
    ({"sample_weight": 0 * WEIGHT}, "sample_weight is 0 in every row"),
    ({"sample_weight": WEIGHT.astype(str).astype("U9") + "x"}, "sample_weight has dtype"),
    ({"sample_weight": np.column_stack([WEIGHT, WEIGHT])}, "sample_weight must be one-dim"),
    ({"sample_weight": "w"}, "sample_weight='w' is a name"),
    ({"sample_weight": WEIGHT * 1j}, "sample_weight has dtype complex128"),
    ({"cluster": np.arange(N - 1)}, f"cluster has {N - 1} rows"),
    ({"cluster": np.zeros(N)}, r"cluster has one value \(0\.0\) only"),
    ({"cluster": [None] + [1, 2] * (N // 2 - 1) + [1]}, r"cluster has 1 missing value .*row 0"),
    ({"by": ["a"] * (N - 1)}, rf"by\['group'\] has {N - 1} rows"),
    ({"by": [None] + ["a"] * (N - 1)}, r"by\['group'\] has 1 missing value .*row 0"),
]


@pytest.mark.parametrize(("options", "message"), BAD_SHARED, ids=[m[:40] for _, m in BAD_SHARED])
def test_bad_shared_arguments(cls, options, message):
    with pytest.raises(es.InputError, match=message):
        cls().fit(**example(cls), **options)


def test_bad_columns(cls):
    arguments = example(cls)
    role = _holed_role(cls, arguments)
    name, value = role.name, arguments[role.name]
    column = next(iter(value.values())) if role.per_model else value
    first = next(iter(arguments))
    fourth = per_row(np.arange(N) == 4, column)
    kind = np.result_type(column, float) if column.dtype.kind in "biuf" else object
    holed = np.where(fourth, np.nan, column.astype(kind))
    table = {
        rf"{name} has 1 missing value \(first in row 4\)": holed,
        rf"{name} (has 1 infinite.*row 4|is inf in row 4)": np.where(
            fourth, np.inf, column.astype(kind)
        ),
        rf"{name} is (complex|\(.*j\) in row)": (column if kind is not object else np.ones(N)) + 0j,
        rf"{name} (has dtype object|has .*row 0|is <object.* row 0)": np.array([object()] * N),
        rf"{name} is required": None,
        rf"{name}='s' is a name, but no frame was given": "s",
        rf"{name} is a generator": (value for value in column),
    }
    if name != first:
        table[rf"{name} has {N - 1} rows but {first} has {N}"] = column[1:]
    if role.per_model:
        table |= {
            rf"{name}\['b'\] has 1 missing value \(first in row 4\)": {"a": column, "b": holed},
            rf"{name}\['b'\] has {N - 1} rows": {"a": column, "b": column[:-1]},
            rf"{name} has dtype": np.array(["x"] * N),
            rf"{name} is an empty mapping": {},
            rf"{name} names the model '1' twice": {1: column, "1": column},
        }
    if role.per_model and column.ndim == 1:
        table[rf"{name} must have one column per model"] = np.ones((N, 2, 2))
    for message, given in table.items():
        with pytest.raises(es.InputError, match=message):
            cls().fit(**{**arguments, name: given})


def test_bad_frames(cls):
    arguments = example(cls)
    frame, names = as_columns(arguments)
    role = _holed_role(cls, arguments)
    if role.per_model:
        with pytest.raises(es.InputError, match=rf"{role.name} names the column .* twice"):
            cls().fit(**{**names, role.name: names[role.name] * 2}, data=frame)
    with pytest.raises(es.InputError, match="data is a int, which is no data frame"):
        cls().fit(**names, data=3)
    with pytest.raises(es.InputError, match="data is a ndarray, which is no data frame"):
        cls().fit(**names, data=np.ones((N, 3)))
    twice = pd.concat([frame.to_pandas()] * 2, axis=1)
    with pytest.raises((es.InputError, ValueError)):
        cls().fit(**names, data=twice)
    column = names[role.name][0] if role.per_model else names[role.name]
    null = frame.with_columns(pl.when(pl.int_range(N) != 2).then(pl.col(column)).alias(column))
    with pytest.raises(es.InputError, match=r"has 1 missing value \(first in row 2\)"):
        cls().fit(**names, data=null)


def test_empty_input(cls):
    arguments = example(cls)
    first = next(iter(arguments))
    with pytest.raises(es.InputError, match=f"{first} is empty"):
        cls().fit(**taken(arguments, np.arange(0)))
    frame, names = as_columns(arguments)
    with pytest.raises(es.InputError, match=f"{first} is empty"):
        cls().fit(**names, data=frame.head(0))


def test_every_row_missing_under_omit(cls):
    arguments = example(cls)
    role = _holed_role(cls, arguments)
    value = arguments[role.name]
    shape = np.shape(next(iter(value.values())) if role.per_model else value)
    with pytest.raises(es.InputError, match="every row has a missing value"):
        cls(nan_policy="omit").fit(**{**arguments, role.name: np.full(shape, np.nan)})


# Presence everywhere ----------------------------------------------------------------------------


def test_command_line_verb(cls):
    cli = pytest.importorskip("evalstats.cli")

    verb = cli.VERBS[cls.verb]
    assert verb.home.endswith(f":{cls.__name__}") or cls.__name__ in verb.fits


def test_documentation_page(cls):
    pages = [page.read_text(encoding="utf-8") for page in (ROOT / "docs" / "methods").glob("*.md")]
    assert any(cls.__name__ in page for page in pages)
