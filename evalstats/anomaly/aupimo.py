"""Area under the per-image overlap curve."""

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
import polars as pl
from numpy.typing import NDArray

from evalstats.anomaly import diagnostics, views
from evalstats.anomaly.grid import GridPrepared, grid_scores
from evalstats.anomaly.images import ImageStack
from evalstats.anomaly.localisation import (
    LocalisationEstimator,
    anomalous_images,
    bounds_label,
    model_terms,
)
from evalstats.anomaly.pixels import Layout, StackPixels, image_layout
from evalstats.anomaly.ranked import MARGIN, LogRule, Prepared, Rule, SharedRate
from evalstats.data.columns import Columns
from evalstats.data.intake import NanPolicy
from evalstats.errors import InputError
from evalstats.estimator import Diagnosis
from evalstats.inference.methods import Bootstrap, Inference, InferenceOption, NoInference
from evalstats.options import MAX_COUNT, require_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]
Ties = Literal["half", "conservative", "optimistic"]
Bounds = tuple[float, float]
TIE_PARTS = {"half": 0.5, "conservative": 0.0, "optimistic": 1.0}


class AUPIMO(LocalisationEstimator):
    r"""Mean area under the per-image overlap curve: how much of each defect is found.

    At thresholds where a model (nearly) never fires on normal images, which share of the pixels of
    a defect does it find? The score of an anomalous image averages this over the logarithm of the
    false positive rate of the normal images, between two bounds. Computed exactly, without a grid.

    Parameters
    ----------
    fpr_bounds : (float, float) or list of such pairs, default (1e-5, 1e-4)
        Range of the shared false positive rate; several pairs give one term each.
    mode : {"exact", "grid"}
        ``"grid"`` repeats the reference implementation with its threshold grid, for comparison
        with published numbers: no weights, images of one size, point estimates only.
    ties : {"half", "conservative", "optimistic"}
        Mask pixels that tie with normal pixels take the mean of both credits, the lower or the
        higher one.
    n_thresholds : int, default 300_000
        Thresholds of the grid.
    force : bool, default False
        Accept 30 thresholds of the grid or fewer between the bounds.
    shared_fpr : {"mean", "pooled", "max", "quantile"}
        How the rates of the normal images become one: their mean (the paper), all pixels pooled,
        the largest, or the `shared_quantile` of them.
    shared_quantile : float in (0, 1), default 0.95
        Used by ``shared_fpr="quantile"``.
    higher_is_anomalous : bool, default True
        False where low scores mean anomalous; never guessed from the data.
    interval : {"logit", "wald"}
        Scale of the analytic interval.
    inference : "auto", Analytic, Bootstrap, Jackknife or NoInference
        "auto" is the bootstrap of normal and of anomalous images, each on its own, with expanded
        percentiles.
    level : float, default 0.95
        Confidence level.
    nan_policy : {"raise", "omit"}
        Refuse or drop images with missing values.

    Attributes
    ----------
    estimate_ : Estimate
        One term per model (and pair of bounds, and group): the mean over anomalous images.

    Notes
    -----
    With the share p(s) of normal pixels at or above a score s, averaged over normal images,

    .. math:: \mathrm{AUPIMO}_i = \frac1{P_i}\sum_{s\in\text{mask}_i} W(p(s)),\qquad
        W(p)=\frac{\log U-\log\operatorname{clip}(p,L,U)}{\log(U/L)} ,

    the mean truncated log p-value of the pixels of the defect. One pass over the pixels finds the
    tail of m normal pixels that matters, O(pixels + m log m); a bootstrap replicate costs
    O(m + entries) and reads no pixel, unless it drops the images that own the tail, which is then
    deepened. Memory beside the images: O(m).

    References
    ----------
    Bertoldo, Ameln, Vaidya and Akcay (2024), BMVC. Exchange of sum and integral: no reference, see
    the documentation. Influence of two samples: DeLong et al. (1988); clusters: Obuchowski (1997).

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> rng = np.random.default_rng(0)
    >>> masks = np.zeros((30, 64, 64), dtype=bool)
    >>> masks[20:, 20:30, 20:30] = True
    >>> maps = rng.normal(size=masks.shape) + 4.5 * masks
    >>> pimo = es.AUPIMO(fpr_bounds=(1e-3, 1e-2), inference=es.Analytic()).fit(masks, maps)
    >>> pimo.estimate_.value.round(3).tolist()
    [0.957]
    """

    metric: ClassVar[str] = "AUPIMO"
    verb: ClassVar[str] = "aupimo"
    citation_keys: ClassVar[tuple[str, ...]] = ("bertoldo2024",)

    def __init__(
        self,
        *,
        fpr_bounds: Bounds | list[Bounds] = (1e-5, 1e-4),
        mode: Literal["exact", "grid"] = "exact",
        ties: Ties = "half",
        n_thresholds: int = 300_000,
        force: bool = False,
        shared_fpr: SharedRate = "mean",
        shared_quantile: float = 0.95,
        higher_is_anomalous: bool = True,
        interval: Literal["logit", "wald"] = "logit",
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.fpr_bounds = fpr_bounds
        self.mode = mode
        self.ties = ties
        self.n_thresholds = n_thresholds
        self.force = force
        self.shared_fpr = shared_fpr
        self.shared_quantile = shared_quantile
        self.higher_is_anomalous = higher_is_anomalous
        self.interval = interval
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    # Views --------------------------------------------------------------------------------------

    def image_scores(self) -> pl.DataFrame:
        """Score of every image, for distributions, worst cases and tests.

        Returns
        -------
        polars.DataFrame
            ``image`` (row of ``fit``), ``anomalous``, ``mask_pixels``, ``model``, ``fpr_bounds``,
            the group if there was ``by=``, and ``score``: null for normal images.
        """
        return views.image_scores(self)

    def compare_images(
        self,
        *,
        protocol: Literal["two-sided", "aupimo-paper"] = "two-sided",
        test: Literal["wilcoxon", "t", "sign-flip"] = "wilcoxon",
        adjust: str | None = "holm",
        zero: float = 0.0,
        n_resamples: int = 9999,
        rng: Any = 0,
    ) -> pl.DataFrame:
        """Paired tests of the image scores of all models, *given* the normal images.

        They take the scores of the anomalous images as the sample and the normal images as fixed,
        so they say nothing about other normal images; ``estimate_.compare`` covers both samples.
        For scores of several data sets pass the frames of :meth:`image_scores` to
        :func:`evalstats.rank_models`.

        Parameters
        ----------
        protocol : {"two-sided", "aupimo-paper"}
            The second is the published one: one-sided in the direction of the observed ranks,
            differences up to 1e-3 as zero, no adjustment; it leaves no other option but `test`.
        test : {"wilcoxon", "t", "sign-flip"}
            Signed-rank test, paired t test or permutation of signs.
        adjust : {"holm", "bonferroni", "bh", "by"} or None
            Adjustment within each group and pair of bounds.
        zero : float, default 0
            Differences up to this size count as zero for the signed-rank test.
        n_resamples, rng
            Of the sign flips.

        Returns
        -------
        polars.DataFrame
            One row per pair of models: mean difference, Hodges-Lehmann ``shift``, ``wins``,
            ``ties``, ``losses``, ``p_value``, ``p_adjusted``, and more; see
            ``evalstats.inference.rank_tests.pairwise_tests``.

        Raises
        ------
        InputError
            With one model, or with weights or clusters, which these tests do not know.
        """
        options = {"adjust": adjust, "zero": zero, "n_resamples": n_resamples, "rng": rng}
        return views.compare_images(self, protocol, test, options)

    def representative_images(
        self,
        model: str | None = None,
        *,
        outliers: Literal["none", "low", "high", "both"] = "none",
        avoid_repeats: bool = True,
    ) -> pl.DataFrame:
        """Images whose scores are nearest to the statistics of a box plot.

        Parameters
        ----------
        model : str, optional
            Needed where there are several.
        outliers : {"none", "low", "high", "both"}
            Also list the scores outside the whiskers.
        avoid_repeats : bool, default True
            Take the next nearest unused image, if it is within 0.01.

        Returns
        -------
        polars.DataFrame
            ``statistic``, ``value``, ``image``, ``score``, ascending. Of equally near images the
            first one is taken.
        """
        from evalstats.anomaly.representative import representative_images

        own = views.scores_of_model(self, model)
        return representative_images(own, outliers=outliers, avoid_repeats=avoid_repeats)

    def curves(self, *, n_points: int = 200, fpr_range: Bounds | None = None) -> pl.DataFrame:
        """PIMO curves: overlap of every anomalous image by the shared false positive rate.

        Parameters
        ----------
        n_points : int, default 200
            Points on a logarithmic axis.
        fpr_range : (float, float), optional
            A tenth of the lowest bound to the highest bound by default.

        Returns
        -------
        polars.DataFrame
            ``model``, ``image``, ``fpr``, ``overlap``.
        """
        return views.curves(self, n_points, fpr_range)

    def thresholds_at(
        self, fpr: float | Sequence[float] | None = None, *, n_resamples: int = 2000, rng: Any = 0
    ) -> pl.DataFrame:
        """Operating threshold of each model at a shared false positive rate.

        Parameters
        ----------
        fpr : float or sequence of float, optional
            Rates; the bounds by default.
        n_resamples : int, default 2000
            Bootstrap replicates over the normal images, for the interval; 0 for none.
        rng : int, SeedSequence, Generator or None, default 0
            Source of randomness.

        Returns
        -------
        polars.DataFrame
            ``model``, ``fpr``, ``estimate`` (lowest threshold whose rate does not exceed `fpr`,
            predictions being ``score >= threshold``), ``achieved_fpr``, ``ci_low``, ``ci_high``.
        """
        return views.thresholds_at(self, fpr, n_resamples, rng)

    def diagnostics(self) -> pl.DataFrame:
        """How well the normal images resolve the bounds, and who owns the tail.

        Returns
        -------
        polars.DataFrame
            Per model and bounds: ``normal_pixels``, ``expected_below_lower`` (pixels times the
            lower bound), ``distinct_in_band``, ``share_at_maximum``, ``tail_share_top1``,
            ``tail_share_top3``, ``effective_normal_images``, and the range of the mean when one
            normal image is left out.
        """
        return diagnostics.diagnostics(self)

    def companions(self) -> pl.DataFrame:
        """Pixel AUROC and AP, AUPRO and IoU over the band of each model: points for context.

        Returns
        -------
        polars.DataFrame
            ``model``, ``metric``, ``estimate``.
        """
        from evalstats.anomaly.companions import companions

        return companions(self)

    def plot(
        self,
        ax: "Axes | None" = None,
        *,
        kind: Literal["curves", "scores", "estimates"] = "curves",
        **options: Any,
    ) -> "Axes":
        """Draw PIMO curves, the scores of the images, or the estimates.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; a new figure by default.
        kind : {"curves", "scores", "estimates"}
            Median curve over images with its middle half on a logarithmic axis, the bounds shaded;
            a box and a strip of all scores per model; or means with intervals.
        **options
            As in :func:`evalstats.results.displays.plot_pimo_curves`,
            :func:`~evalstats.results.displays.plot_image_scores` and
            :func:`~evalstats.results.displays.plot_estimates`.

        Returns
        -------
        matplotlib Axes
            The axes drawn on.
        """
        from evalstats.results.displays import plot_image_scores, plot_pimo_curves

        if kind == "curves":
            return plot_pimo_curves(self.curves(), self._bounds(), ax=ax, **options)
        if kind == "scores":
            return plot_image_scores(self.image_scores(), ax=ax, **options)
        if kind != "estimates":
            raise InputError(f"kind={kind!r}: choose 'curves', 'scores' or 'estimates'")
        return super().plot(ax, **options)

    # The contract -------------------------------------------------------------------------------

    def _bounds(self) -> list[Bounds]:
        given = self.fpr_bounds
        pairs: list[Any] = list(given) if isinstance(given, list) else [given]
        if isinstance(given, list) and len(given) == 2 and all(np.isscalar(b) for b in given):
            pairs = [tuple(given)]
        for pair in pairs:
            try:
                lower, upper = (float(bound) for bound in pair)
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"fpr_bounds={given!r}: pass (lower, upper) or a list of such pairs"
                ) from error
            if not 0 < lower < upper <= 1:
                raise InputError(
                    f"fpr_bounds holds ({lower:g}, {upper:g}): bounds must satisfy "
                    "0 < lower < upper <= 1 (the axis is logarithmic)"
                )
        if not pairs:
            raise InputError("fpr_bounds is an empty list: pass at least one pair")
        return [(float(lower), float(upper)) for lower, upper in pairs]

    def _check_params(self) -> None:
        super()._check_params()
        labels = [bounds_label(pair) for pair in self._bounds()]
        if len(set(labels)) < len(labels):
            raise InputError(f"fpr_bounds repeats a pair: {labels}")
        for name, allowed in (
            ("mode", ("exact", "grid")),
            ("ties", tuple(TIE_PARTS)),
            ("shared_fpr", ("mean", "pooled", "max", "quantile")),
        ):
            if getattr(self, name) not in allowed:
                raise InputError(f"{name}={getattr(self, name)!r} is unknown: choose of {allowed}")
        if not 0 < self.shared_quantile < 1:
            raise InputError(f"shared_quantile={self.shared_quantile!r}: it lies in (0, 1)")
        if self.mode == "grid":
            self._check_grid()

    def _check_grid(self) -> None:
        K: object = self.n_thresholds
        if not (isinstance(K, int | np.integer) and K >= 2):
            raise InputError(f"n_thresholds={K!r}: pass a whole number of at least 2")
        require_count("n_thresholds", K, minimum=2, maximum=10 * MAX_COUNT)
        if self.shared_fpr != "mean":
            raise InputError("mode='grid' knows shared_fpr='mean' only, as the reference does")
        if self.inference != "auto" and not isinstance(self.inference, NoInference):
            raise InputError(
                "mode='grid' gives point estimates only: its values are no function of weights; "
                "use mode='exact' for inference"
            )

    def _validate(self, columns: Columns) -> Columns:
        columns = super()._validate(columns)
        if self.mode == "grid" and columns.weight is not None:
            raise InputError("mode='grid' takes no sample_weight: use mode='exact'")
        if self.mode == "grid" and "ignore" in columns.single:
            raise InputError("mode='grid' takes no ignore masks: use mode='exact'")
        return columns

    def _layout(self, masks: ImageStack, ignore: ImageStack | None) -> Layout:
        return image_layout(masks, ignore)

    def _rules(self) -> list[Rule]:
        part = TIE_PARTS[self.ties]
        return [LogRule(lower, upper, part) for lower, upper in self._bounds()]

    def _margin(self) -> float:
        return min(1.0, MARGIN * max(upper for _, upper in self._bounds()))

    def _shared_rate(self) -> SharedRate:
        return self.shared_fpr

    def _shared_quantile(self) -> float:
        return self.shared_quantile

    def _prepare(self, columns: Columns) -> Any:
        anomalous = anomalous_images(columns)
        if self.mode == "exact" or bool(anomalous.all()) or not bool(anomalous.any()):
            return super()._prepare(columns)
        blocks: list[Array] = []
        layout = None
        for source in self._sources(columns):
            if not isinstance(source, StackPixels):
                raise AssertionError("states are refused in grid mode")
            layout = source.layout
            blocks.append(
                grid_scores(layout, source.maps, self._bounds(), self.n_thresholds, self.force)
            )
        if layout is None:
            raise AssertionError("there is at least one model")
        return GridPrepared(layout.set_unit, np.concatenate(blocks))

    def _require_mergeable(self) -> None:
        if self.mode == "grid":
            raise InputError("mode='grid' has no mergeable state: use mode='exact'")

    def _has_influence(self, columns: Columns) -> bool:  # noqa: ARG002
        return self.mode == "exact" and self.shared_fpr in ("mean", "pooled")

    def _default_inference(self, columns: Columns) -> Inference:  # noqa: ARG002
        return NoInference() if self.mode == "grid" else Bootstrap(interval="expanded", rng=0)

    def _terms(self, columns: Columns) -> list[dict[str, Hashable]]:
        return model_terms(self.metric, columns, [bounds_label(pair) for pair in self._bounds()])

    def _require_defined(self, columns: Columns, prepared: Any, value: Array) -> None:
        super()._require_defined(columns, prepared, value)
        if isinstance(prepared, Prepared):
            diagnostics.require_resolution(prepared, self._bounds())

    def _diagnose(self, columns: Columns, prepared: Any) -> list[Diagnosis]:
        if not isinstance(prepared, Prepared):
            return []
        weights = np.ones(columns.n) if columns.weight is None else columns.weight
        return diagnostics.diagnose(prepared, columns.model_names, self._bounds(), weights)
