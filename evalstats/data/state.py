"""Mergeable summaries of part of the data, as versioned Arrow tables."""

import io
import json
from dataclasses import dataclass

import polars as pl

from evalstats.errors import InputError

STATE_VERSION = 1
HEADER = "__state__"


@dataclass(frozen=True, eq=False)
class State:
    """What an estimator keeps of the rows it has seen: an Arrow table and what it means.

    Parameters
    ----------
    definition : str
        Estimator and options; only states of the same definition may be merged.
    table : polars.DataFrame
        The summary itself; also available to any Arrow consumer by the PyCapsule interface.
    """

    definition: str
    table: pl.DataFrame

    def to_bytes(self) -> bytes:
        """Serialise as an Arrow IPC file.

        Returns
        -------
        bytes
            Table and definition, for :meth:`from_bytes`.
        """
        header = json.dumps({"version": STATE_VERSION, "definition": self.definition})
        buffer = io.BytesIO()
        self.table.with_columns(pl.lit(header, pl.Categorical).alias(HEADER)).write_ipc(buffer)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, content: bytes) -> "State":
        """Read what :meth:`to_bytes` wrote.

        Parameters
        ----------
        content : bytes
            A serialised state.

        Returns
        -------
        State
            The state.

        Raises
        ------
        InputError
            If `content` is no state or was written by a newer version.
        """
        try:
            table = pl.read_ipc(io.BytesIO(content))
            header = json.loads(table[HEADER].cast(pl.String)[0])
        except (pl.exceptions.PolarsError, OSError, ValueError, IndexError) as error:
            raise InputError(f"content is no serialised state: {error}") from error
        if header["version"] > STATE_VERSION:
            raise InputError(
                f"the state has version {header['version']}, this evalstats reads up to "
                f"{STATE_VERSION}: upgrade evalstats"
            )
        return cls(header["definition"], table.drop(HEADER))

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)
