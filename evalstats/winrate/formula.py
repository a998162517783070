"""Mediators from a formula: terms must change sign when the two sides change places."""

import ast
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evalstats.data.intake import number_array
from evalstats.errors import InputError
from evalstats.options import require_declared_types

Array = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]
POSITION = "position"


def _uncentred_sd(values: Any) -> Array:
    column = np.asarray(values, dtype=np.float64)
    scale = column.std(ddof=1)
    return np.asarray(column / scale if scale > 0 else column * np.nan)


def _of_array(function: Any) -> Any:
    return lambda values: function(np.asarray(values, dtype=np.float64))


FUNCTIONS: dict[str, Any] = {
    "std": _uncentred_sd,
    "tanh": _of_array(np.tanh),
    "log": _of_array(np.log),
    "log1p": _of_array(np.log1p),
    "sqrt": _of_array(np.sqrt),
    "sign": _of_array(np.sign),
    "arcsinh": _of_array(np.arcsinh),
}


MAX_LENGTH = 1000
MAX_TERMS = 200
MAX_POWER = 5
GRAMMAR = (
    "names of mediators, numbers, + - * / : ** and parentheses, and the functions "
    + ", ".join((*FUNCTIONS, "C", "I"))
)


def require_safe_formula(formula: str) -> None:
    """Refuse everything but the grammar; a formula may come from a file or a command line.

    formulaic evaluates what stands inside a call as Python. Here a formula is parsed, never run,
    and only names, numbers, operators and calls of the listed functions with one argument pass;
    the number of terms, the powers and the length are bounded, so that no formula explodes.

    Parameters
    ----------
    formula : str
        Right-hand side of a formula.

    Raises
    ------
    InputError
        If it holds anything else.
    """
    if len(formula) > MAX_LENGTH:
        raise InputError(f"formula has {len(formula)} characters: at most {MAX_LENGTH} are allowed")
    try:
        # An interaction a:b is no Python, but binds like the matrix product, which we do not use.
        if "@" in formula:
            raise SyntaxError("'@' is no operator")
        tree = ast.parse(formula.replace(":", "@"), mode="eval")
        if sum(1 for _ in ast.walk(tree)) > MAX_LENGTH // 2:
            raise InputError("formula is nested too deeply or too long: spell fewer terms out")
        n_terms = _n_terms(tree.body, formula)
    except InputError:
        raise
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise InputError(f"formula={formula!r} cannot be read: {error}; use {GRAMMAR}") from None
    if n_terms > MAX_TERMS:
        raise InputError(f"formula={formula!r} has more than {MAX_TERMS} terms: spell fewer out")


def _n_terms(node: ast.expr, formula: str) -> int:
    """Upper bound of the number of terms of a node, all of whose parts are in the grammar."""
    match node:
        case ast.Name():
            return 1
        case ast.Constant(value=int() | float()) if not isinstance(node.value, bool):
            return 1
        case ast.UnaryOp(op=ast.UAdd() | ast.USub()):
            return _n_terms(node.operand, formula)
        case ast.Call(func=ast.Name(id="C"), args=[ast.Name()], keywords=[]):
            return 1
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if (
            name in FUNCTIONS or name == "I"
        ):
            _n_terms(argument, formula)
            return 1
        case ast.BinOp(op=ast.Add() | ast.Sub()):
            return _n_terms(node.left, formula) + _n_terms(node.right, formula)
        case ast.BinOp(op=ast.Mult() | ast.Div() | ast.MatMult()):
            left, right = _n_terms(node.left, formula), _n_terms(node.right, formula)
            return left + right + left * right
        case ast.BinOp(op=ast.Pow(), right=ast.Constant(value=int() as power)) if (
            1 <= power <= MAX_POWER and not isinstance(node.left, ast.Constant)
        ):
            return int(min((1 + _n_terms(node.left, formula)) ** int(power), 10 * MAX_TERMS))
    shown = ast.unparse(node).replace("@", ":")
    raise InputError(f"formula={formula!r}: {shown!r} is not allowed; use {GRAMMAR}")


def formula_variables(formula: str) -> list[str]:
    """Names of the columns that a formula needs, without its functions, in order."""
    from formulaic import Formula
    from formulaic.errors import FormulaicError

    require_declared_types(formula_variables, {"formula": formula})
    if "~" in formula:
        raise InputError(f"formula={formula!r} has a left-hand side: name mediators only")
    require_safe_formula(formula)
    try:
        parsed = Formula(formula)
    except FormulaicError as error:
        raise InputError(f"formula={formula!r} cannot be read: {error}") from error
    names = {str(name) for name in parsed.required_variables} - set(FUNCTIONS)
    return sorted(names, key=lambda name: (formula.index(name), name))


def side_names(variable: str) -> tuple[str, str]:
    """Columns of a mediator on the model's and on the baseline's side."""
    return f"{variable}_model", f"{variable}_baseline"


def mediator_of(variable: str) -> str:
    """Mediator that a name in a formula belongs to: ``length_model`` belongs to ``length``."""
    for suffix in ("_model", "_baseline"):
        if variable.endswith(suffix):
            return variable.removesuffix(suffix)
    return variable


def formula_terms(
    formula: str, columns: Columns, context: Collection[str]
) -> tuple[list[str], Array, NDArray[np.bool_]]:
    """Evaluate a formula on both orders of the sides and tell mediators from context.

    Parameters
    ----------
    formula : str
        Right-hand side, such as ``"tanh(std(length)) + position"``.
    columns : mapping of str to array
        For each mediator its two sides; ``position`` and context as they are.
    context : collection of str
        Variables that describe the instruction and so may enter symmetrically.

    Returns
    -------
    names : list of str
        Names of the terms, without the intercept (which is the model effect).
    matrix : float64 array (n, terms)
        Values.
    mediator : bool array (terms,)
        Which terms are antisymmetric contrasts of the two sides.

    Raises
    ------
    InputError
        If a term is neither antisymmetric nor made of context alone.
    """
    require_safe_formula(formula)
    names, forward = _evaluate(formula, _contrasts(columns, context, swapped=False))
    _, backward = _evaluate(formula, _contrasts(columns, context, swapped=True))
    size = np.maximum(np.abs(forward).max(axis=0, initial=0.0), 1e-300)
    mediator = np.abs(forward + backward).max(axis=0, initial=0.0) <= 1e-9 * size
    unchanged = np.abs(forward - backward).max(axis=0, initial=0.0) <= 1e-9 * size
    for term, name in enumerate(names):
        described = any(variable in name for variable in context)
        if not mediator[term] and not (unchanged[term] and described):
            raise InputError(
                f"formula: the term {name!r} does not change sign when model and baseline change "
                "places: write it as a contrast f(x_baseline) - f(x_model) or an odd function of "
                "one, or declare its variables in context="
            )
    return names, forward, mediator


def _contrasts(columns: Columns, context: Collection[str], *, swapped: bool) -> Columns:
    data: dict[str, NDArray[Any]] = {}
    for name, column in columns.items():
        if name in context:
            data[name] = column
        elif name == POSITION:
            data[name] = -column.astype(np.float64) if swapped else column.astype(np.float64)
        elif name.endswith("_model"):
            variable = name.removesuffix("_model")
            model, baseline = side_names(variable)
            own, other = (number_array(side, columns[side]) for side in (model, baseline))
            if swapped:
                own, other = other, own
            # Baseline minus model is AlpacaEval's order, in which its coefficients are published.
            data.update({model: own, baseline: other, variable: other - own})
    return data


def _evaluate(formula: str, data: Columns) -> tuple[list[str], Array]:
    import polars as pl
    from formulaic import Formula
    from formulaic.errors import FormulaicError

    try:
        # What is not finite is refused below, by its term and row.
        with np.errstate(all="ignore"):
            matrix = Formula(formula).get_model_matrix(
                pl.DataFrame(dict(data)), context=FUNCTIONS, output="numpy", na_action="ignore"
            )
    except (FormulaicError, ArithmeticError) as error:
        raise InputError(f"formula={formula!r} cannot be evaluated: {error}") from error
    names = [str(name) for name in matrix.model_spec.column_names]
    kept = [position for position, name in enumerate(names) if name != "Intercept"]
    values = np.asarray(matrix, dtype=np.float64)[:, kept]
    if not bool(np.isfinite(values).all()):
        row, term = np.argwhere(~np.isfinite(values))[0]
        raise InputError(
            f"formula: the term {names[kept[term]]!r} is {values[row, term]} in row {row}: a "
            "mediator must vary and be finite"
        )
    return [names[position] for position in kept], values
