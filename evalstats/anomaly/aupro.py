"""Area under the per-region overlap curve."""

from collections.abc import Hashable
from typing import ClassVar, Literal

from numpy.typing import ArrayLike

from evalstats.anomaly.images import ImageStack
from evalstats.anomaly.localisation import LocalisationEstimator, model_terms
from evalstats.anomaly.pixels import Layout, region_layout
from evalstats.anomaly.ranked import LinearRule, Rule
from evalstats.data.columns import Columns
from evalstats.data.intake import NanPolicy
from evalstats.errors import InputError
from evalstats.inference.methods import Analytic, Inference, InferenceOption, NoInference
from evalstats.options import typed_options

# Background moves less between resamples than the far tail does.
REGION_MARGIN = 1.5


class AUPRO(LocalisationEstimator):
    """Mean recall of connected regions, averaged over the false positive rate up to a limit.

    Regions are 8-connected components of the masks, each image separately. The rate is pooled over
    the background pixels of all images, anomalous ones included.

    Parameters
    ----------
    max_fpr : float in (0, 1], default 0.3
        Limit of the false positive rate, on a linear axis; the area is divided by it.
    higher_is_anomalous : bool, default True
        False where low scores mean anomalous.
    interval : {"logit", "wald"}
        Scale of the analytic interval.
    inference : "auto", Analytic, Bootstrap, Jackknife or NoInference
        "auto" is the influence of normal and anomalous images.
    level : float, default 0.95
        Confidence level.
    nan_policy : {"raise", "omit"}
        Refuse or drop images with missing values.

    Attributes
    ----------
    estimate_ : Estimate
        One term per model (and group).

    Notes
    -----
    Exact: one point of the curve per distinct score, linear between them. With the share p(s) of
    background pixels at or above s, it is the mean over regions of the mean of
    ``max(0, 1 - p / max_fpr)`` over their pixels. A large limit needs a large tail: O(m log m) time
    and O(m) memory for the m background pixels up to one and a half times the limit.

    References
    ----------
    Bergmann, Batzner, Fauser, Sattlegger and Steger (2021), International Journal of Computer
    Vision 129.

    Examples
    --------
    >>> import numpy as np
    >>> import evalstats as es
    >>> rng = np.random.default_rng(0)
    >>> masks = np.zeros((30, 32, 32), dtype=bool)
    >>> masks[20:, 10:15, 10:15] = True
    >>> pro = es.AUPRO().fit(masks, rng.normal(size=masks.shape) + 2 * masks)
    >>> pro.estimate_.value.round(3).tolist()
    [0.756]
    """

    metric: ClassVar[str] = "AUPRO"
    verb: ClassVar[str] = "aupro"
    citation_keys: ClassVar[tuple[str, ...]] = ("bergmann2021",)
    needs_normal: ClassVar[bool] = False

    def __init__(
        self,
        *,
        max_fpr: float = 0.3,
        higher_is_anomalous: bool = True,
        interval: Literal["logit", "wald"] = "logit",
        inference: InferenceOption = "auto",
        level: float = 0.95,
        nan_policy: NanPolicy = "raise",
    ) -> None:
        self.max_fpr = max_fpr
        self.higher_is_anomalous = higher_is_anomalous
        self.interval = interval
        self.inference = inference
        self.level = level
        self.nan_policy = nan_policy

    def _check_params(self) -> None:
        super()._check_params()
        if isinstance(self.max_fpr, bool) or not 0 < self.max_fpr <= 1:
            raise InputError(f"max_fpr={self.max_fpr!r}: the false positive rate lies in (0, 1]")

    def _layout(self, masks: ImageStack, ignore: ImageStack | None) -> Layout:
        return region_layout(masks, ignore)

    def _rules(self) -> list[Rule]:
        return [LinearRule(float(self.max_fpr))]

    def _margin(self) -> float:
        return min(1.0, REGION_MARGIN * self.max_fpr)

    def _default_inference(self, columns: Columns) -> Inference:  # noqa: ARG002
        return Analytic()

    def _terms(self, columns: Columns) -> list[dict[str, Hashable]]:
        return model_terms(self.metric, columns, [""])


@typed_options
def aupro(
    masks: ArrayLike,
    anomaly_maps: ArrayLike,
    *,
    max_fpr: float = 0.3,
    higher_is_anomalous: bool = True,
    ignore: ArrayLike | None = None,
) -> float:
    """Area under the per-region overlap curve of one model, as a plain number.

    Parameters
    ----------
    masks : array-like (N, H, W) or list of 2-D arrays
        Ground truth, bool or 0/1.
    anomaly_maps : array-like (N, H, W) or list of 2-D arrays
        Scores of one model.
    max_fpr : float in (0, 1], default 0.3
        Limit of the false positive rate.
    higher_is_anomalous : bool, default True
        False where low scores mean anomalous.
    ignore : array-like (N, H, W) or list of 2-D arrays, optional
        True where a pixel is left out.

    Returns
    -------
    float
        Value in [0, 1].

    Raises
    ------
    InputError
        If the images cannot be used or one class is absent.

    Examples
    --------
    >>> import evalstats as es
    >>> normal, defect = [[0.1, 0.4], [0.2, 0.3]], [[0.9, 0.35], [0.1, 0.0]]
    >>> round(es.aupro([[[0, 0], [0, 0]], [[1, 1], [0, 0]]], [normal, defect], max_fpr=1.0), 6)
    0.916667
    """
    estimator = AUPRO(
        max_fpr=max_fpr, higher_is_anomalous=higher_is_anomalous, inference=NoInference()
    )
    columns = estimator.point_columns(
        {"masks": masks, "anomaly_maps": anomaly_maps, "ignore": ignore}
    )
    return estimator.point_value(columns)
