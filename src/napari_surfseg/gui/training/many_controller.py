"""Counts the pairs of tables and patterns, in a thread, and shows what is wrong with one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_surfseg.config_files import resolve_path
from napari_surfseg.errors import ConfigError
from napari_surfseg.pair_tables import PairList, expand_pairs

if TYPE_CHECKING:
    from napari_surfseg.errors import SurfsegError
    from napari_surfseg.gui.background.threads import Job, Jobs
    from napari_surfseg.gui.training.many_pairs import ManyChoice
    from napari_surfseg.gui.training.protocols import TrainingViewProtocol

__all__ = ["ManyController", "list_pairs"]


def list_pairs(choice: ManyChoice) -> PairList:
    """Make the list of pairs of a table or pattern; looks for every file.

    Raises
    ------
    ConfigError
        Naming the row or the file.
    """
    found = expand_pairs(choice.entry, Path.home(), resolve_path, key="data.train")
    if found is None:
        raise ConfigError(
            f"{choice.title} is no table (a file that ends in .csv or .tsv), and holds no *.",
            field="data.train",
        )
    return found


class ManyController:
    """Joins the list of tables and patterns with their files.

    Parameters
    ----------
    view : TrainingViewProtocol
        Passive.
    jobs : Jobs
        Reads the files.
    """

    def __init__(self, view: TrainingViewProtocol, jobs: Jobs) -> None:
        self._view = view
        self._jobs = jobs
        self._counted: set[ManyChoice] = set()
        view.data.many_changed.connect(self.count)

    def count(self) -> None:
        """Count the pairs of what is new."""
        choices = self._view.data.many_choices()
        self._counted &= set(choices)
        for choice in choices:
            if choice not in self._counted:
                self._counted.add(choice)
                self._start(choice)

    def _start(self, choice: ManyChoice) -> None:
        def work(_job: Job) -> PairList:
            return list_pairs(choice)

        def done(found: PairList) -> None:
            first = [*found.train, *found.validation][0]
            said = f"{len(found.train)} pairs for training"
            if found.validation:
                said += f", {len(found.validation)} for validation"
            self._view.data.set_many_state(choice, f"{said}.", labels=str(first["labels"]))

        def failed(error: SurfsegError) -> None:
            self._view.data.set_many_state(choice, "", error=str(error))

        self._jobs.start(f"many-{choice.title}", work, done=done, failed=failed)
