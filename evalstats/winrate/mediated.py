"""Intake of estimators with mediators: presets, formulas, difficulty and gamed judgements."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from evalstats.data.columns import Columns, Role
from evalstats.errors import InputError
from evalstats.estimator import Estimator
from evalstats.winrate.coding import Coding, require_coding
from evalstats.winrate.design import DIFFICULTY, LENGTH, length_term
from evalstats.winrate.difficulty import (
    by_key,
    by_position,
    given_difficulty,
    joint_difficulty_of,
)
from evalstats.winrate.fit import Penalty, Target
from evalstats.winrate.formula import POSITION, formula_variables, mediator_of, side_names
from evalstats.winrate.gamed import Gamed, gamed_judgements
from evalstats.winrate.judgements import Judgements, gather

Preset = Literal["alpaca_v1", "alpaca_noreg", "alpaca_minimal", "balanced"]
Alignment = Literal["key", "position"]


class MediatedEstimator(Estimator):
    """Base of the estimators that control pairwise preferences for mediators."""

    preset: Preset
    formula: str | None
    coding: Coding
    alignment: Alignment
    difficulty: object
    gamed: object
    target: Target
    penalty: Penalty | None
    strength: float
    context: Sequence[str]
    repeats: bool

    @property
    def _balanced(self) -> bool:
        return self.preset == "balanced" and self.formula is None

    def _formula_arguments(
        self,
        position: object,
        mediators: Mapping[str, tuple[Any, Any]] | None,
        context: Mapping[str, Any] | None,
        named: bool,
    ) -> dict[str, object]:
        arguments: dict[str, object] = {}
        for variable in self._variables():
            if variable == POSITION:
                arguments[POSITION] = position
            elif variable in self.context:
                default = variable if named else None
                arguments[variable] = (context or {}).get(variable, default)
            elif variable not in (LENGTH, DIFFICULTY):
                names = side_names(variable)
                pair = (mediators or {}).get(variable, names if named else (None, None))
                arguments.update(zip(names, pair, strict=True))
        return arguments

    def _variables(self) -> list[str]:
        """Mediators and context that the formula names."""
        if self.formula is None:
            return []
        known = formula_variables(self.formula)
        found = [name if name in self.context else mediator_of(name) for name in known]
        return list(dict.fromkeys(found))

    def _active_roles(self) -> tuple[Role, ...]:
        roles = list(self.roles)
        variables = self._variables()
        if self.formula is not None and LENGTH not in variables:
            roles = [
                replace(role, required=False) if role.name.startswith(LENGTH) else role
                for role in roles
            ]
        roles.append(Role("baseline", "code", required=False))
        if isinstance(self.difficulty, str) and self.difficulty != "joint":
            roles.append(Role(DIFFICULTY, "score"))
        for variable in variables:
            if variable == POSITION:
                roles.append(Role(POSITION, "score"))
            elif variable in self.context and variable != DIFFICULTY:
                roles.append(Role(variable, "code"))
            elif variable not in (LENGTH, DIFFICULTY):
                model, baseline = side_names(variable)
                roles += [Role(model, "score", per_model=True), Role(baseline, "score")]
        return tuple(roles)

    def _may_be_missing(self) -> tuple[str, ...]:
        return ("preference",) if str(self.nan_policy) == "predict" else ()

    def _check_params(self) -> None:
        policy = self.nan_policy
        if str(policy) == "predict":
            probe = copy.copy(self)
            probe.nan_policy = "raise"
            Estimator._check_params(probe)
        else:
            super()._check_params()
        require_coding(self.coding)
        _require_choice("preset", self.preset, get_args(Preset))
        _require_choice("alignment", self.alignment, get_args(Alignment))
        _require_choice("target", self.target, get_args(Target))
        _require_choice("penalty", self.penalty, (None, *get_args(Penalty)))
        if not (np.isfinite(self.strength) and self.strength >= 0):
            raise InputError(f"strength={self.strength!r}: a penalty is a finite number >= 0")
        if self.formula is not None and self.gamed is not None:
            raise InputError("gamed rows carry lengths only: use them with a preset, not a formula")

    def _validate(self, columns: Columns) -> Judgements:
        if str(self.nan_policy) == "predict":
            self._require_some_preference(columns)
        judged = gather(columns, self._active_roles(), self.coding, repeats=self.repeats)
        _require_one_baseline(columns)
        if self._balanced:
            return judged
        gamed = self._gamed()
        if gamed is not None and judged.group is None and "stratify" not in judged.single:
            known = set(judged.labels)
            extra = [label for label in dict.fromkeys(gamed.labels) if label not in known]
            if isinstance(self.difficulty, Mapping) or not isinstance(self.difficulty, str):
                judged = judged.with_items(extra)
        return self._with_difficulty(judged)

    def _require_some_preference(self, columns: Columns) -> None:
        for name, column in columns.models["preference"].items():
            if column.dtype.kind == "f" and bool(np.isnan(column).all()):
                raise InputError(f"every preference of {name!r} is missing: nothing can be fitted")

    def _gamed(self) -> Gamed | None:
        if self.gamed is None or self.preset != "alpaca_v1":
            return None
        return gamed_judgements(self.gamed, self.coding)

    def _with_difficulty(self, columns: Judgements) -> Judgements:
        """Attach the difficulty to every judgement, by key unless the old table is wanted."""
        wanted = self.preset != "alpaca_minimal" or self.formula is not None
        if self.difficulty is None or not wanted:
            blocks = {
                name: replace(block, values=_without(block.values, DIFFICULTY))
                for name, block in columns.blocks.items()
            }
            return replace(columns, blocks=blocks)
        of_item = np.full(columns.n, np.nan)
        blocks = {}
        if isinstance(self.difficulty, str) and self.difficulty == "joint":
            terms = {name: length_term(b, name) for name, b in columns.blocks.items()}
            of_item = joint_difficulty_of(columns, terms)
        elif isinstance(self.difficulty, str):
            for block in columns.blocks.values():
                of_item[block.item] = block.values[DIFFICULTY].astype(np.float64)
        else:
            labels, values = given_difficulty(self.difficulty)
            of_item = by_key(labels, values, columns.labels)
        for name, block in columns.blocks.items():
            own = of_item[block.item]
            if self.alignment == "position":
                if isinstance(self.difficulty, str):
                    raise InputError("alignment='position' needs a table of difficulties")
                own = by_position(values, len(block.item), name)
            blocks[name] = replace(block, values={**block.values, DIFFICULTY: own})
        return replace(columns, blocks=blocks, extra={**columns.extra, DIFFICULTY: of_item})


def _require_choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    if value not in allowed:
        options = ", ".join(repr(option) for option in allowed)
        raise InputError(f"{name}={value!r} is unknown: choose one of {options}")


def _require_one_baseline(columns: Columns) -> None:
    if "baseline" not in columns.single:
        return
    names = list(dict.fromkeys(columns.single["baseline"].tolist()))
    if len(names) > 1:
        raise InputError(
            f"baseline has {len(names)} values ({names[0]!r}, {names[1]!r}, ...): compare with one "
            "baseline at a time, or use BradleyTerry for all pairs"
        )


def _without(values: dict[str, NDArray[Any]], name: str) -> dict[str, NDArray[Any]]:
    return {key: column for key, column in values.items() if key != name}
