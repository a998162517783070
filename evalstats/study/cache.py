"""Finished steps of a study in a folder, found again by what they were computed from."""

import time
from pathlib import Path

from evalstats.errors import InputError
from evalstats.report.naming import safe_name
from evalstats.study.steps import Step
from evalstats.study.stored import StepResult, load_result, save_result

# A temporary file that a killed run left behind, and no run that is still alive.
STALE_SECONDS = 3600.0


class Cache:
    """Results by the content hash of their steps.

    Parameters
    ----------
    folder : Path or None
        Where they are; None keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self.damaged: list[str] = []

    def path(self, step: Step) -> Path | None:
        """File of a step; None if it cannot be kept."""
        if self.folder is None or step.key is None:
            return None
        return self.folder / f"{safe_name(step.name.lower())}-{step.key[:24]}.zip"

    def load(self, step: Step, *, drawn: bool) -> StepResult | None:
        """The result of a step that is finished; None if there is none.

        Parameters
        ----------
        step : Step
            What was computed.
        drawn : bool
            Whether figures are needed.
        """
        path = self.path(step)
        if path is None or step.identity is None or not path.is_file():
            return None
        try:
            result = load_result(path, step.identity)
        except InputError as error:
            self.damaged.append(f"{step.name}: {error}; computed again")
            return None
        return result if result.drawn or not drawn else None

    def save(self, step: Step, result: StepResult) -> None:
        """Keep the result of a step."""
        path = self.path(step)
        if path is not None and step.identity is not None:
            save_result(result, step.identity, path)

    def prepare(self) -> None:
        """Create the folder, and remove what killed runs left half-written.

        Raises
        ------
        InputError
            If the folder cannot be created.
        """
        if self.folder is None:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"cannot create {str(self.folder)!r}: {error.strerror}") from error
        for leftover in self.folder.glob(".*.zip.*"):
            if time.time() - leftover.stat().st_mtime > STALE_SECONDS:
                leftover.unlink(missing_ok=True)
