"""What a result rests on: versions of the software, and whatever the caller adds."""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

SOFTWARE = ("evalstats-metrics", "numpy", "scipy", "polars", "numba", "scikit-learn", "statsmodels")


def software_versions() -> dict[str, str]:
    """Versions that decide the numbers.

    Returns
    -------
    dict of str to str
        Python, the operating system and the packages that compute.
    """
    found = {
        "Python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processors": str(os.cpu_count()),
    }
    for name in SOFTWARE:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def complete(manifest: Mapping[str, object] | None) -> dict[str, object]:
    """Add the versions of the software where the manifest has none.

    Parameters
    ----------
    manifest : mapping, optional
        Nested mappings, lists and scalars.

    Returns
    -------
    dict
        The manifest, its entries in the given order, then ``"software"``.
    """
    entries = dict(manifest or {})
    entries.setdefault("software", software_versions())
    return entries


def as_text(value: object) -> str:
    """Scalar of a manifest as a reader expects it.

    Parameters
    ----------
    value : object
        Anything that is no mapping and no list.

    Returns
    -------
    str
        Plain text.
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
