"""Constructor parameters by scikit-learn's rules, without importing scikit-learn."""

import inspect
from collections.abc import Callable
from functools import update_wrapper
from types import MethodType
from typing import Any, Self

from evalstats.errors import InputError


class OptionNamedAsMethod:
    """Method whose name is also that of a constructor parameter, such as ``fit="robust"``.

    Access gives the method; assignment sets the parameter, which ``get_params`` reads.

    Parameters
    ----------
    method : callable
        The method.
    """

    def __init__(self, method: Callable[..., Any]) -> None:
        self.method = method
        update_wrapper(self, method)  # type: ignore[arg-type]

    def __get__(self, instance: object, owner: type) -> Callable[..., Any]:
        return self.method if instance is None else MethodType(self.method, instance)

    def __set__(self, instance: object, value: object) -> None:
        vars(instance)[self.method.__name__] = value


class Configured:
    """Keyword-only parameters that ``get_params``, ``set_params``, ``clone`` and ``repr`` know."""

    @classmethod
    def _parameter_names(cls) -> list[str]:
        return list(inspect.signature(cls.__init__).parameters)[1:]

    def get_params(self, deep: bool = True) -> dict[str, Any]:  # noqa: ARG002
        """Return the constructor parameters, as scikit-learn does.

        Parameters
        ----------
        deep : bool, default True
            Accepted for scikit-learn; no parameter is itself an estimator.

        Returns
        -------
        dict
            Parameter names and values, unchanged since construction or ``set_params``.
        """
        return {name: vars(self)[name] for name in self._parameter_names()}

    def set_params(self, **params: Any) -> Self:
        """Set constructor parameters by name.

        Parameters
        ----------
        **params
            Parameter names and values.

        Returns
        -------
        Estimator
            The estimator itself.

        Raises
        ------
        InputError
            If a name is no parameter.
        """
        known = self._parameter_names()
        for name, value in params.items():
            if name not in known:
                raise InputError(
                    f"{name!r} is no parameter of {type(self).__name__}: choose from {known}"
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = inspect.signature(type(self).__init__).parameters
        changed = [
            f"{name}={value!r}"
            for name, value in self.get_params().items()
            if repr(value) != repr(defaults[name].default)
        ]
        return f"{type(self).__name__}({', '.join(changed)})"
