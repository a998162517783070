"""The sentence for the methods section."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from evalstats.data.columns import Columns
from evalstats.inference.methods import Analytic, Bootstrap, Inference, Jackknife


@cache
def package_version() -> str:
    """Version of the installed distribution."""
    try:
        return version("evalstats-metrics")
    except PackageNotFoundError:
        return "unknown"


def methods_sentence(
    what: str,
    unit: str,
    citation_keys: tuple[str, ...],
    columns: Columns,
    method: Inference,
    analytic_name: str,
    interval_phrase: str | None = None,
) -> str:
    """Describe metric, interval, unit, weights and clusters in one sentence with citation keys."""
    keys = " ".join(f"[{key}]" for key in citation_keys)
    parts = [what, interval_phrase or _interval_phrase(method, analytic_name)]
    if columns.cluster is not None:
        parts.append(f"clustered by {int(columns.cluster.max()) + 1} clusters")
    if columns.weight is not None:
        parts.append("with sample weights")
    if columns.group is not None:
        parts.append(f"estimated separately in {len(columns.group_labels)} groups")
    sample = f"n = {columns.n} {unit}s"
    text = f"{parts[0]} {', '.join(parts[1:])} ({sample}; evalstats {package_version()})"
    return f"{text} {keys}.".replace("  ", " ").replace(" .", ".")


def _interval_phrase(method: Inference, analytic_name: str) -> str:
    if isinstance(method, Analytic):
        return f"by {analytic_name}"
    if isinstance(method, Jackknife):
        return "by the jackknife"
    if isinstance(method, Bootstrap):
        stratified = "double " if method.double else ""
        stratified += "stratified " if method.stratify is not None else ""
        names = {
            "bca": "BCa",
            "bias_corrected": "bias-corrected normal",
            "expanded": "expanded percentile",
        }
        interval = names.get(method.interval, method.interval)
        return (
            f"by the {stratified}{method.kind} bootstrap ({interval} interval, "
            f"{method.n_resamples} replicates)"
        )
    return "not computed (point estimates only)"
