"""What processes that train together exchange: orders, sums, weights and gradients.

::

    rank 0                                   every other rank
    order(step) ──────── store ───────────▶  next_order()
    share(weights) ───── broadcast ───────▶  share(weights)
    add(sums) ◀───────── all-reduce ──────▶  add(sums)            some times a step
    agree() ◀─────────── all-reduce ──────▶  agree()              once a step
    collect(gradients) ◀──── reduce ───────  collect(gradients)

Rank 0 decides everything and changes the weights; the others compute the gradients of their
patches. Between two orders they wait, however long rank 0 validates or pauses.
"""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch.distributed import PrefixStore  # type: ignore[attr-defined]

from napari_surfseg.errors import (
    CancelledError,
    DeviceMemoryError,
    SurfsegError,
    TrainingError,
)
from napari_surfseg.losses.whole_batch import MOST_SUMS
from napari_surfseg.out_of_memory import is_out_of_memory
from napari_surfseg.training.rank_watch import RankWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from torch import Tensor
    from torch.distributed import Store  # type: ignore[attr-defined]

    from napari_surfseg.training.rank_place import RankPlace

__all__ = ["RankLostError", "Ranks", "WeightExchange"]

#: Time in which all processes must have started, and in which each must have its part of a step.
START_SECONDS, STEP_SECONDS = 600.0, 1800.0
#: An exchange over a GPU's library is given so long to end by itself once a process is gone.
GRACE_SECONDS = 20.0
#: How long rank 0 waits, at its end, for the others to read that it ends.
GOODBYE_SECONDS = 5.0
#: Orders are kept so long that nobody can still be reading the one that is removed.
ORDERS_KEPT = 64
#: What a message of a step says besides its sums: ranks whose memory ran out, that were stopped,
#: that failed, and that are done.
NO_MEMORY, STOPPED, FAILED, DONE = range(MOST_SUMS, MOST_SUMS + 4)


class RankLostError(TrainingError):
    """One of the processes that train together is gone."""


class Ranks:
    """What one of the processes that train together exchanges with the others.

    Parameters
    ----------
    place : RankPlace
        Its number, and how many there are.
    store : Store
        Connects all of them.
    on_lost : callable, optional
        Called from another thread with a sentence, where another process is gone and this one
        waits for it in vain; should end this one.
    """

    def __init__(
        self,
        place: RankPlace,
        store: Store,
        *,
        on_lost: Callable[[str], None] | None = None,
    ) -> None:
        self.place = place
        self._store = PrefixStore("orders", store)
        self._group_store = PrefixStore("group", store)
        self._num_orders = 0
        #: Those that this process started itself.
        self.processes: Sequence[subprocess.Popen[bytes]] = ()
        self._on_lost = on_lost
        self._exchanging_since: float | None = None
        self._is_open = False
        self._message = torch.zeros(DONE + 1, dtype=torch.float64)
        self.device = torch.device("cpu")
        others = range(1, place.count) if place.leads else [0]
        # Its own connection: waiting for an order keeps the first one busy.
        watched: Store = store.clone()  # type: ignore[attr-defined]
        self._watch = RankWatch(PrefixStore("watch", watched), place.rank, others, self._note_lost)

    def connect(self, device: torch.device) -> None:
        """Connect the processes, each with its own device of one kind.

        Raises
        ------
        RankLostError
            If not all of them came within :data:`START_SECONDS`.
        """
        self.device = device
        if device.type == "cuda":
            torch.cuda.set_device(device)
        try:
            dist.init_process_group(
                "nccl" if device.type == "cuda" else "gloo",
                store=self._group_store,
                rank=self.place.rank,
                world_size=self.place.count,
                timeout=timedelta(seconds=START_SECONDS),
                device_id=device if device.type == "cuda" else None,
            )
        except RuntimeError as error:
            raise RankLostError(
                f"Not all of the {self.place.count} processes that are to train together could be "
                f"connected: {_first_line(error)}."
            ) from None
        self._message = self._message.to(device)

    # -- orders --------------------------------------------------------------------------

    def order(self, kind: str, **values: Any) -> None:
        """Give an order to all other processes; ``values`` are plain values and tensors."""
        file = io.BytesIO()
        torch.save({"kind": kind, **values}, file)
        with self._explained():
            self._store.set(str(self._num_orders), file.getvalue())  # type: ignore[arg-type]
            if self._num_orders >= ORDERS_KEPT:
                self._store.delete_key(str(self._num_orders - ORDERS_KEPT))
        self._num_orders += 1

    def next_order(self) -> dict[str, Any]:
        """Wait for the next order, as long as it takes."""
        key = str(self._num_orders)
        with self._explained(is_exchange=False):
            while True:
                try:
                    self._store.wait([key], timedelta(days=1))
                    break
                except dist.DistStoreError:  # a long pause
                    continue
            data = self._store.get(key)
        self._num_orders += 1
        # Only tensors and plain values are read: what lies in the store may be anybody's.
        order: dict[str, Any] = torch.load(io.BytesIO(data), weights_only=True)
        return order

    def answer(self, name: str, message: str = "") -> None:
        """Answer rank 0: done, or a sentence that says why not."""
        with self._explained():
            self._store.set(f"{name}/{self.place.rank}", message)

    def gather(self, name: str, seconds: float = STEP_SECONDS) -> list[str]:
        """Wait for the answers of all other processes, in order of rank.

        Raises
        ------
        RankLostError
            If one of them ends, or does not answer for so long.
        """
        answers = []
        with self._explained():
            for rank in range(1, self.place.count):
                key = f"{name}/{rank}"
                self._wait(key, seconds)
                answers.append(bytes(self._store.get(key)).decode())
                self._store.delete_key(key)
        return answers

    def _wait(self, key: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self._store.check([key]):
            is_gone = any(process.poll() is not None for process in self.processes)
            if is_gone or self._watch.look() or time.monotonic() > until:
                raise RankLostError(self._explain_lost())
            time.sleep(0.05)

    # -- a step --------------------------------------------------------------------------

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Let all processes come to the end of what is done inside, or none.

        Where one fails, it takes part in what the others exchange until they ask whether all are
        done (:meth:`agree`), and learn it.
        """
        self._is_open = True
        try:
            yield
        except RankLostError:
            raise
        except BaseException as error:
            if self._is_open:
                flag = _flag(error)
                if flag == FAILED:
                    self._report_failure(error)
                self._take_part_until_done(flag)
            raise
        finally:
            self._is_open = False

    def add(self, values: Tensor) -> Tensor:
        """Add up numbers over all processes, at most :data:`MOST_SUMS`."""
        self._message.zero_()
        self._message[: len(values)].copy_(values)
        self._exchange_message()
        return self._message[: len(values)].clone()

    def agree(self) -> None:
        """Report that this process is done, and make sure that all are.

        Raises
        ------
        CancelledError, DeviceMemoryError, TrainingError
            If another one was stopped, had too little memory, or failed.
        """
        self._message.zero_()
        self._message[DONE] = 1
        self._exchange_message()
        self._is_open = False
        flags = self._message.tolist()
        if flags[FAILED]:
            raise TrainingError(self._explain_failed())
        if flags[STOPPED]:
            raise CancelledError("It was stopped as asked.")
        if flags[NO_MEMORY]:
            raise DeviceMemoryError(
                "Memory ran out in another of the processes that train together."
            )

    def _report_failure(self, error: BaseException) -> None:
        """Leave the sentence that says why this process failed, for the others."""
        text = str(error) if isinstance(error, SurfsegError) else f"{type(error).__name__}: {error}"
        with contextlib.suppress(RuntimeError):
            self._store.set(f"failed/{self.place.rank}", text)

    def _take_part_until_done(self, flag: int) -> None:
        while True:
            self._message.zero_()
            self._message[flag] = 1
            self._exchange_message()
            flags = self._message.tolist()
            if flags[DONE] or sum(flags[NO_MEMORY:DONE]) >= self.place.count:
                return

    def _exchange_message(self) -> None:
        with self._explained():
            dist.all_reduce(self._message)

    def broadcast(self, values: Tensor) -> None:
        """Give the others what rank 0 has in a tensor."""
        with self._explained():
            dist.broadcast(values, src=0)

    def reduce(self, values: Tensor) -> None:
        """Add a tensor up over all processes, for rank 0."""
        with self._explained():
            dist.reduce(values, dst=0)

    # -- the end -------------------------------------------------------------------------

    def check(self) -> None:
        """Raise :class:`RankLostError` if another process is gone."""
        if self._watch.look():
            raise RankLostError(self._explain_lost())

    def close(self) -> None:
        """Leave the others; rank 0 lets them end."""
        if self.place.leads and not self._watch.look():
            with contextlib.suppress(RankLostError):
                self.order("end")
                self._await_goodbyes()
        elif not self.place.leads:
            with contextlib.suppress(RankLostError):
                self.answer("goodbye")
        self._watch.close()
        if dist.is_initialized():
            with contextlib.suppress(RuntimeError):
                dist.destroy_process_group()
        for process in self.processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GOODBYE_SECONDS)
            process.kill()
            process.wait()

    def _await_goodbyes(self) -> None:
        """Give the others the time to read the last order, which ends with this process."""
        until = time.monotonic() + GOODBYE_SECONDS
        keys = [f"goodbye/{rank}" for rank in range(1, self.place.count)]
        with self._explained():
            while time.monotonic() < until and not self._store.check(keys):
                time.sleep(0.02)

    @contextlib.contextmanager
    def _explained(self, *, is_exchange: bool = True) -> Iterator[None]:
        """Turn what torch says where another process is gone into a sentence."""
        self._exchanging_since = time.monotonic() if is_exchange else None
        try:
            yield
        except RankLostError:
            raise
        except RuntimeError as error:
            if is_out_of_memory(error):
                raise
            raise RankLostError(self._explain_lost(error)) from None
        finally:
            self._exchanging_since = None

    def _explain_lost(self, error: RuntimeError | None = None) -> str:
        until = time.monotonic() + 5.0
        while not self._watch.look() and time.monotonic() < until:
            time.sleep(0.1)  # the system needs a moment to say that a process ended
        who = self._watch.lost
        if not who:
            why = "" if error is None else f" ({_first_line(error)})"
            who = f"One of the {self.place.count} processes did not take part any more{why}."
        return f"{who} {self._explain_end()}"

    def _explain_end(self) -> str:
        return (
            f"Training in {self.place.count} processes ends with it; resuming, also with another "
            "number of them, goes on from last.pt."
        )

    def _explain_failed(self) -> str:
        for rank in range(self.place.count):
            if self._store.check([f"failed/{rank}"]):
                return f"Rank {rank} failed: {bytes(self._store.get(f'failed/{rank}')).decode()}"
        return "Another of the processes that train together failed."

    def _note_lost(self, sentence: str) -> None:
        """End this process where it waits for one that is gone; in the watching thread.

        Rank 0 goes on with whatever else it does: its next step finds out.
        """
        while not self._is_exchanging_for(GRACE_SECONDS):
            if not self.place.leads and self._exchanging_since is None:
                break
            time.sleep(0.2)
        if self.place.leads and self._on_lost is not None:
            self._on_lost(f"{sentence} {self._explain_end()}")
        os._exit(1)

    def _is_exchanging_for(self, seconds: float) -> bool:
        since = self._exchanging_since
        return since is not None and time.monotonic() - since > seconds


class WeightExchange:
    """Brings weights from rank 0 to all, and gradients back, as one piece of memory each.

    Parameters
    ----------
    ranks : Ranks
        Who exchanges.
    network : nn.Module
        The network, the same in all processes.
    """

    def __init__(self, ranks: Ranks, network: torch.nn.Module) -> None:
        self._ranks = ranks
        self._parameters = list(network.parameters())
        self._buffers = [buffer for buffer in network.buffers() if buffer.is_floating_point()]
        self._num_weights = sum(parameter.numel() for parameter in self._parameters)
        count = self._num_weights + sum(buffer.numel() for buffer in self._buffers)
        self._flat = torch.zeros(count, device=ranks.device)
        self._places = self._cut([*self._parameters, *self._buffers])

    @torch.no_grad()
    def share(self) -> None:
        """Let all have the weights of rank 0."""
        own = [*self._parameters, *self._buffers]
        if self._ranks.place.leads:
            torch._foreach_copy_(self._places, own)
        self._ranks.broadcast(self._flat)
        if not self._ranks.place.leads:
            torch._foreach_copy_(own, self._places)

    @torch.no_grad()
    def collect(self) -> None:
        """Let rank 0 have the sum of all gradients."""
        weights = self._flat[: self._num_weights].zero_()
        pairs = [
            (place, parameter.grad)
            for place, parameter in zip(self._places, self._parameters, strict=False)
            if parameter.grad is not None
        ]
        places, gradients = [place for place, _ in pairs], [gradient for _, gradient in pairs]
        torch._foreach_copy_(places, gradients)
        self._ranks.reduce(weights)
        if self._ranks.place.leads:
            torch._foreach_copy_(gradients, places)

    def _cut(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Give views of the piece of memory, as large as the tensors and in their order of axes."""
        places, begin = [], 0
        for tensor in tensors:
            places.append(self._flat.as_strided(tensor.shape, tensor.stride(), begin))
            begin += tensor.numel()
        return places


def _flag(error: BaseException) -> int:
    if isinstance(error, CancelledError):
        return STOPPED
    return NO_MEMORY if is_out_of_memory(error) else FAILED


def _first_line(error: BaseException) -> str:
    return str(error).split("\n", 1)[0].rstrip(".:")
