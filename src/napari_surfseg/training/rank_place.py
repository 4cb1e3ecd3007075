"""Which of the processes that train together this one is; nothing here imports torch.

``torchrun`` says it in the environment, and so does a run that starts its own processes, one a
GPU (``training.gpus``).
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_surfseg.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["RankPlace", "find_place", "quiet_libraries", "share_batch"]

NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class RankPlace:
    """The place of a process among those that train together.

    Attributes
    ----------
    rank : int
        Its number; 0 holds the run folder and decides.
    count : int
        How many there are.
    local_rank : int
        Its number on its machine, and that of its GPU.
    """

    rank: int
    count: int
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether it is the one that decides."""
        return self.rank == 0


def find_place(environment: Mapping[str, str] | None = None) -> RankPlace | None:
    """Read the place that ``torchrun`` gave this process; None where it trains alone.

    Raises
    ------
    ConfigError
        If what the environment says is no such place.
    """
    known = os.environ if environment is None else environment
    if not all(known.get(name) for name in NAMES):
        return None
    try:
        rank, count = int(known["RANK"]), int(known["WORLD_SIZE"])
        local_rank = int(known.get("LOCAL_RANK") or rank)
    except ValueError:
        rank, count, local_rank = -1, 0, 0
    if not 0 <= rank < count:
        raise ConfigError(
            f"The environment says RANK={known['RANK']} and WORLD_SIZE={known['WORLD_SIZE']}, but "
            "they must be a number of a process, from 0, and how many there are; start the "
            "processes with torchrun."
        )
    return RankPlace(rank, count, local_rank) if count > 1 else None


def share_batch(batch_size: int, count: int) -> int:
    """Return the patches of a batch for each of so many processes.

    Raises
    ------
    ConfigError
        If they cannot all have as many.
    """
    if batch_size % count:
        raise ConfigError(
            f"training.train_batch_size is {batch_size}, but {count} processes share each batch, "
            f"so that it must be a multiple of {count}; a batch of {count} is one patch for each.",
            field="training.train_batch_size",
        )
    return batch_size // count


def quiet_libraries() -> None:
    """Leave out torch's stack traces where another process ends; before torch is imported."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
