"""Values for options, valid and invalid, from the annotations of a signature."""

import inspect
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

import evalstats as es
from tests.fuzz.values import JUNK, Rng, pick

NUMBERS: Mapping[Any, tuple[Any, ...]] = {
    int: (1, 2, 3, 5, 10, 15, 0, -1, 10**30),
    float: (0.5, 0.95, 0.05, 1.0, 2.0, 1e-6, 0.0, -0.5, 1e-300, 1e300, float("nan"), float("inf")),
    bool: (True, False),
    str: ("a", "b", "", "nonsense", "<script>"),
}
LABELS: tuple[Any, ...] = (0, 1, "a", True, None, 2.5, "nonsense")

# Where the annotation says too little to ever draw a valid value.
KNOWN: Mapping[str, tuple[Any, ...]] = {
    "axes": ("KTAD", "TAKD", "KTA", "XXXX", ""),
    "rng": (0, 1, None, 2**40, -1, "seed"),
    "fpr_bounds": ((0.01, 0.2), (0.1, 1.0), [(0.01, 0.1), (0.1, 0.5)], (0.2, 0.1), (0, 0), []),
    "n_thresholds": (2, 50, 1000, 1, 0, -5),
    "max_detections": (None, 1, 5, (1, 10), "nonsense", 0, ()),
    "iou_thresholds": (None, [0.5], [0.5, 0.75], [], [2.0], [0.0], [float("nan")]),
    "metrics": (None, ["AP"], ["AP50", "AP"], ["nonsense"], []),
    "quantiles": (None, [0.5], [0.1, 0.5, 0.9], [0.0, 1.0], [], [0.9, 0.1], [float("nan")]),
    "bin_edges": (None, [0, 0.5, 1], [0, 1], [0, 0.5, 0.5, 1], [1, 0], [], [0, float("nan"), 1]),
    "bandwidth": (
        "mse",
        "silverman",
        0.15,
        0.5,
        2.0,
        1e-9,
        0.0,
        -1.0,
        1e9,
        float("nan"),
        "nonsense",
    ),
    "formula": (None, "length", "tanh(std(length))", "__import__('os')", "length +", "a", "", "1"),
    "context": ((), ("difficulty",), ("a", "a"), {}, None),
    "clip": (None, "eps", 0.01, 0.0, 0.6, -1, float("nan"), "nonsense"),
    "controls": (None, ["tokens"], "tokens", {}, ["nonsense"]),
    "c": (1.0, 0.5, 0.0, -1.0, 1e300, float("nan")),
    "scores": (None, ["AMD"], ["amd", "fde"], "amd", [], ["nonsense"]),
    "n_bins": (1, 2, 5, 15, 0, -1, 2.5, "auto", 10**30, None),
    "cutoff": (0.0, 0.1, 5.0, float("nan"), float("inf")),
    "adjust": ("holm", "bonferroni", "bh", "by", "max-t", None, "nonsense"),
    "alternative": ("two-sided", "greater", "less", "nonsense"),
    "ax": (None,),
    "n_resamples": (1, 2, 5, 20, 0, -1, 2.5),
    "n_permutations": (1, 2, 5, 20, 0, -1),
    "n_points": (2, 5, 20, 1, 0, -3),
    "n_folds": (2, 3, 5, 1, 0, 100),
    "cv": (2, 3, 1, 0),
    "ridge": (0.0, 1.0, -1.0, float("nan")),
    "digits": (3, 0, 2, 12, -1, 10**6, 2.5, None),
    "width": (None, 0.05, 0.5, 0.0, -1.0, float("nan"), 1e-9),
}

INFERENCES: tuple[Callable[[Rng], Any], ...] = (
    lambda rng: "auto",
    lambda rng: es.NoInference(),
    lambda rng: es.Analytic(weight_kind=pick(rng, ("probability", "frequency"))),
    lambda rng: es.Jackknife(),
    lambda rng: bootstrap(rng),
    lambda rng: bootstrap(rng),
    lambda rng: pick(rng, ("magic", None, es.Bootstrap, 5, "auto", "auto", es.NoInference())),
)


INTERVALS = ("percentile", "percentile", "basic", "bias_corrected", "bca", "studentized")


def bootstrap(rng: Rng) -> Any:
    """A small bootstrap with any of its options."""
    kind = pick(rng, ("multinomial", "multinomial", "poisson", "bayesian", "multiplier"))
    return es.Bootstrap(
        n_resamples=int(pick(rng, (2, 3, 5, 20))),
        interval=pick(rng, INTERVALS),
        kind=kind,
        stratify=pick(rng, (None, None, None, None, None, None, "y_true", "nonsense", [1, 2, 3])),
        rng=0,
        n_jobs=1,
        double=kind == "multinomial" and rng.random() < 0.2,
    )


def hints_of(function: Any) -> dict[str, Any]:
    """Annotations, resolved where that is possible."""
    try:
        return get_type_hints(function)
    except (NameError, TypeError):
        return {}


def value_for(rng: Rng, name: str, hint: Any, *, junk: float = 0.15) -> Any:
    """A value for the option `name`: junk with the given probability, else of the right type."""
    if rng.random() < junk and name != "ax":  # axes are handed to matplotlib as they are
        return pick(rng, JUNK)
    if name in KNOWN:
        return pick(rng, KNOWN[name])
    choices: list[Any] = []
    for member in get_args(hint) if get_origin(hint) is not Literal and get_args(hint) else (hint,):
        if get_origin(member) is Literal:
            choices += get_args(member)
        elif member in NUMBERS:
            choices.append(pick(rng, NUMBERS[member]))
        elif member is type(None):
            choices.append(None)
        elif member is Hashable:
            choices.append(pick(rng, LABELS))
        elif get_origin(member) in (list, Sequence):
            choices.append(pick(rng, ([0, 1], ["a"], [], [0, 0], [0.5], ["a", "b"], [0, 1, 2])))
    return pick(rng, choices) if choices else pick(rng, JUNK)


def constructor_options(rng: Rng, cls: Any, *, junk: float = 0.05) -> dict[str, Any]:
    """A few constructor options other than the inference."""
    hints = hints_of(cls.__init__)
    names = [
        n for n in inspect.signature(cls.__init__).parameters if n not in ("self", "inference")
    ]
    count = int(pick(rng, (0, 0, 0, 0, 1, 1, 2)))
    chosen = rng.choice(len(names), size=min(count, len(names)), replace=False)
    return {names[i]: value_for(rng, names[i], hints.get(names[i]), junk=junk) for i in chosen}


def keyword_options(rng: Rng, function: Any, *, leave: Sequence[str] = ()) -> dict[str, Any]:
    """A few of the optional arguments of a function or method."""
    hints = hints_of(function)
    names = [
        name
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.default is not inspect.Parameter.empty and name not in leave
    ]
    count = int(pick(rng, (0, 1, 1, 2, 3)))
    chosen = rng.choice(len(names), size=min(count, len(names)), replace=False)
    return {names[i]: value_for(rng, names[i], hints.get(names[i])) for i in chosen}


def described(options: Mapping[str, Any]) -> str:
    """Options as they would be written, cut where they are long."""
    return ", ".join(f"{name}={_short(value)}" for name, value in options.items())


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_short(item)}" for key, item in value.items()) + "}"
    with np.printoptions(threshold=30):
        text = repr(value)
    return text if len(text) < 400 else text[:400] + "..."
