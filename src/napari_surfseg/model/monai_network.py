"""MONAI's networks behind the interface of our own.

::

    model.network, model.arguments ──> resolve_monai ──> MonaiArchitecture
                                            │  (built and run on torch's meta device:
                                            │   shapes without numbers, in tenths of a second)
                                            └─> MonaiNetwork, which returns heads as ours does

Importing MONAI takes longer than importing torch, so nothing imports this module unless such a
network is chosen. What a person gives as arguments is compared with the signature of the class
before anything is built.
"""

from __future__ import annotations

import difflib
import enum
import inspect
import json
import types
import typing
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, Literal

import torch
from monai.networks import nets
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.overrides import TorchFunctionMode
from torch.utils._device import _device_constructors

from napari_surfseg.errors import ConfigError
from napari_surfseg.model.halved_convolution import halve_small_convolutions
from napari_surfseg.model.monai_table import MONAI_TABLE, OWN_ARGUMENTS, MonaiEntry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from napari_surfseg.config import Model
    from napari_surfseg.geometry import Size3

__all__ = [
    "MonaiArchitecture",
    "MonaiNetwork",
    "build_monai_network",
    "complete_arguments",
    "resolve_monai",
]

#: Larger ones are refused before they take memory: numbers in weights, and tensors of weights.
MOST_VALUES, MOST_TENSORS = 10**9, 20_000
#: Candidates for the number that edges must be divisible by.
DIVISORS = (1, 2, 3, 4, 6, 8, 9, 12, 16, 18, 24, 27, 32, 36, 48, 54, 64, 81, 96, 128)
#: A surface is rare: the logit that outputs start at, as in our own networks.
FIRST_LOGIT = -1.5
#: Outputs that are scored while training, as of our own networks: coarser ones show no sheet.
MOST_HEADS = 4
#: Beside what the backward pass keeps, these of the largest activations are alive in it.
LIVE_IN_BACKWARD = 2


@dataclass(frozen=True)
class MonaiArchitecture:
    """A network of MONAI in numbers.

    Attributes
    ----------
    network : str
        Its class.
    arguments : str
        What the class is built with, as JSON.
    patch_size : tuple of int
        Z, Y, X voxels that it is trained with.
    divisor : int
        Number by which every edge of a patch must be divisible.
    has_fixed_size : bool
        Whether it takes no patch of another size.
    head_factors : tuple of (int, int, int)
        Voxels of the patch in a voxel of each output while training, full resolution first.
    head_biases : tuple of str
        Parameters added to those outputs last, where there are such.
    num_parameters : int
        Trainable numbers.
    num_weights : int
        These and the other numbers of the state.
    activation_bytes : int
        What a patch leaves for the backward pass, and the work space of that, in float32.
    finest_values : float
        Numbers a voxel in its largest activation.
    max_learning_rate, ema_decay : float
        As those of our own networks.
    """

    network: str
    arguments: str
    patch_size: Size3
    divisor: int
    has_fixed_size: bool
    head_factors: tuple[Size3, ...]
    head_biases: tuple[str, ...]
    num_parameters: int
    num_weights: int
    activation_bytes: int
    finest_values: float
    max_learning_rate: float
    ema_decay: float = 0.998
    #: Most of them drop something at random, in one way or another.
    is_random: bool = True

    @property
    def window_multiple(self) -> Size3 | None:
        """By what the edges of a window must be divisible; None where its size is fixed."""
        return None if self.has_fixed_size else (self.divisor, self.divisor, self.divisor)

    def head_shapes(self, patch_size: Size3) -> list[Size3]:
        """Shapes of the outputs while training, full resolution first."""
        z, y, x = patch_size
        return [(z // a, y // b, x // c) for a, b, c in self.head_factors]

    def estimate_training_bytes(self, *, batch_size: int = 1, bytes_per_value: int = 4) -> int:
        """Estimate the memory a training step with its patch needs.

        Weights, gradients, two moments and the averaged weights are five copies; what is kept
        for the backward pass was counted; the losses keep about 24 maps a head.
        """
        weights = 5 * 4 * self.num_parameters + 2 * 4 * (self.num_weights - self.num_parameters)
        activations = self.activation_bytes * batch_size * bytes_per_value // 4
        losses = 24 * 4 * sum(map(prod, self.head_shapes(self.patch_size))) * batch_size
        return int(weights + activations + losses)


class MonaiNetwork(nn.Module):
    """A network of MONAI with the outputs of ours.

    Parameters
    ----------
    architecture : MonaiArchitecture
        What it is.
    network : nn.Module
        The network itself; its ``state_dict`` is what MONAI alone can load.

    Notes
    -----
    In training mode :meth:`forward` returns the logits of every head, full resolution first, each
    at its own resolution; in evaluation mode only the full-resolution logits.
    """

    def __init__(self, architecture: MonaiArchitecture, network: nn.Module) -> None:
        super().__init__()
        self.architecture = architecture
        self.network = network

    def forward(self, image: Tensor) -> Tensor | list[Tensor]:
        """Compute logits of (B, 1, Z, Y, X), normalised."""
        heads = _list_heads(self.network, self.network(image))
        return heads[: len(self.architecture.head_factors)] if self.training else heads[0]


def _list_heads(network: nn.Module, outputs: Any) -> list[Tensor]:
    if isinstance(outputs, list | tuple):
        return list(outputs)
    if outputs.ndim == 6:
        # DynUNet enlarges its coarse outputs and stacks them: as they were they are cheaper.
        return [outputs[:, 0], *typing.cast("list[Tensor]", network.heads)]
    return [outputs]


def resolve_monai(model: Model, patch_size: Size3) -> MonaiArchitecture:
    """Turn the ``model`` section into numbers, asking the network itself.

    Raises
    ------
    ConfigError
        If the arguments do not fit the network, or the patch does not.
    """
    name = str(model.network)
    arguments = complete_arguments(model)
    supervised = MONAI_TABLE[name].supervised
    if model.deep_supervision is False:
        arguments = {key: value for key, value in arguments.items() if key not in supervised}
    else:
        arguments = {**supervised, **arguments}
    return _resolve(name, json.dumps(arguments), patch_size)


def build_monai_network(architecture: MonaiArchitecture, *, device: str = "cpu") -> MonaiNetwork:
    """Build a network with fresh weights; on ``meta``, with shapes alone."""
    if device == "meta":
        return MonaiNetwork(architecture, _build_on_meta(architecture))
    network = _build(architecture, architecture.patch_size)
    with torch.no_grad():
        for name in architecture.head_biases:
            network.get_parameter(name).fill_(FIRST_LOGIT)
    if device == "cpu":
        halve_small_convolutions(network)
    return MonaiNetwork(architecture, network.to(device))


# -- arguments ---------------------------------------------------------------------------------


def complete_arguments(model: Model) -> dict[str, Any]:
    """Join what a person gave and what is known of the network.

    The result, given as ``model.arguments``, completes to itself: a checkpoint keeps it.

    Raises
    ------
    ConfigError
        Naming the argument that the class does not take, or not so.
    """
    name = str(model.network)
    entry = MONAI_TABLE[name]
    given = dict(model.arguments or {})
    if model.deep_supervision and not entry.supervised:
        able = [other for other, known in MONAI_TABLE.items() if known.supervised]
        raise ConfigError(
            f"model.deep_supervision is true, but MONAI's {name} has no coarser outputs; leave it "
            f"out, or take one of {', '.join(able)}.",
            field="model.deep_supervision",
        )
    _check_arguments(name, entry, given)
    return _with_lengths(name, {**_listed(entry.arguments), **given})


def _with_lengths(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    """Add what follows from the number of stages, where it was not given."""
    if name == "DynUNet":
        strides = arguments["strides"]
        arguments.setdefault("kernel_size", [3] * len(strides))
        arguments.setdefault("upsample_kernel_size", list(strides[1:]))
        arguments.setdefault("deep_supr_num", max(1, min(2, len(strides) - 2)))
    if name in ("UNet", "AttentionUnet"):
        arguments.setdefault("strides", [2] * (len(arguments["channels"]) - 1))
    return arguments


def _check_arguments(name: str, entry: MonaiEntry, given: Mapping[str, Any]) -> None:
    kinds = _find_kinds(name)
    allowed = [key for key in kinds if key not in OWN_ARGUMENTS and key not in entry.withheld]
    for key, value in given.items():
        field = f"model.arguments.{key}"
        if key in OWN_ARGUMENTS:
            raise ConfigError(
                f"{field} is set by the program, from {OWN_ARGUMENTS[key]}; leave it out.",
                field="model.arguments",
            )
        if key not in allowed:
            close = difflib.get_close_matches(key, allowed, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise ConfigError(
                f"{field} is not an argument of MONAI's {name}{hint} (allowed: "
                f"{', '.join(allowed)}).",
                field="model.arguments",
            )
        if not _is_of_kind(value, kinds[key]):
            raise ConfigError(
                f"{field} is {json.dumps(value)}, but MONAI's {name} takes "
                f"{_describe_kind(kinds[key])} there.",
                field="model.arguments",
            )


def _find_kinds(name: str) -> dict[str, Any]:
    """Find the type of each argument of a class, by name."""
    initial = getattr(nets, name).__init__
    hints = typing.get_type_hints(initial)
    return {
        key: hints.get(key, Any)
        for key, parameter in list(inspect.signature(initial).parameters.items())[1:]
        if parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }


def _is_of_kind(value: Any, kind: Any) -> bool:
    """Whether a plain value is what a type hint asks for."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return True
    if origin in (typing.Union, types.UnionType):
        return any(_is_of_kind(value, one) for one in arguments)
    if origin is Literal:
        return value in arguments
    if kind in (int, bool, str, dict):
        return type(value) is kind
    if kind is float:
        return type(value) in (int, float)
    if kind in (None, type(None)):
        return value is None
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return value in [member.value for member in kind]
    if not _is_list(kind, origin):
        return False
    if not isinstance(value, list | tuple):
        return False
    parts = [one for one in arguments if one is not Ellipsis]
    if origin is tuple and len(parts) > 1 and Ellipsis not in arguments:
        return len(parts) == len(value) and all(map(_is_of_kind, value, parts))
    return all(_is_of_kind(item, parts[0]) for item in value) if parts else True


def _is_list(kind: Any, origin: Any) -> bool:
    found = kind if origin is None else origin
    return isinstance(found, type) and issubclass(found, typing.Sequence) and found is not str


def _describe_kind(kind: Any) -> str:
    """Say in words what a type hint asks for."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        said = [text for text in map(_describe_kind, arguments) if text]
        return " or ".join(dict.fromkeys(said))
    if origin is Literal:
        return " or ".join(map(str, arguments))
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
    words |= {dict: "a mapping", type(None): "null"}
    if kind in words:
        return words[kind]
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return " or ".join(str(member.value) for member in kind)
    if not _is_list(kind, origin):
        return ""
    parts = [_describe_kind(one) for one in arguments if one is not Ellipsis]
    if origin is tuple and len(parts) > 1:
        return f"a list of {len(parts)}: {', '.join(parts)}"
    plural = {"a whole number": "whole numbers", "a number": "numbers"}
    return f"a list of {plural.get(parts[0], parts[0])}" if parts and parts[0] else "a list"


def _listed(value: Any) -> Any:
    """Write tuples as lists, as YAML has them."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value


def _tupled(value: Any) -> Any:
    """Write lists as tuples, as MONAI asks for in places."""
    if isinstance(value, dict):
        return {key: _tupled(item) for key, item in value.items()}
    return tuple(_tupled(item) for item in value) if isinstance(value, list) else value


# -- building ----------------------------------------------------------------------------------


class _TooLargeError(Exception):
    """More weights than any network of use has."""


class _OnMeta(TorchFunctionMode):
    """Makes tensors without numbers, so that any size costs nothing.

    ``torch.device("meta")`` does so, too, but also where a network asks for the numbers, as for
    the rates of its dropout, which it spreads with ``linspace``.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if func in _MAKERS and given.get("device") is None:
            given = {**given, "device": "meta"}
        return func(*args, **given)


_MAKERS = _device_constructors() - {torch.linspace, torch.tensor, torch.as_tensor}


@contextmanager
def _bounded() -> Iterator[None]:
    """Refuse to register more weights than any network of use has."""
    found = [0, 0]

    def count(_module: nn.Module, _name: str, tensor: Tensor | None) -> None:
        if tensor is not None:
            found[0] += tensor.numel()
            found[1] += 1
        if found[0] > MOST_VALUES or found[1] > MOST_TENSORS:
            raise _TooLargeError

    handles = [
        register_module_parameter_registration_hook(count),
        register_module_buffer_registration_hook(count),
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _construct(name: str, arguments: str, patch_size: Size3) -> nn.Module:
    kinds = _find_kinds(name)
    own = {"in_channels": 1, "out_channels": 1, "spatial_dims": 3, "img_size": patch_size}
    values = _tupled(json.loads(arguments))
    values.update((key, value) for key, value in own.items() if key in kinds)
    network: nn.Module = getattr(nets, name)(**values)
    return network


def _build(architecture: MonaiArchitecture, patch_size: Size3) -> nn.Module:
    return _construct(architecture.network, architecture.arguments, patch_size)


def _build_on_meta(architecture: MonaiArchitecture) -> nn.Module:
    with _OnMeta():
        return _build(architecture, architecture.patch_size).to("meta")


# -- what a network says of itself -------------------------------------------------------------


@lru_cache(maxsize=16)
def _resolve(name: str, arguments: str, patch_size: Size3) -> MonaiArchitecture:
    entry = MONAI_TABLE[name]
    run_size = patch_size
    try:
        with _OnMeta(), _bounded():
            if entry.has_fixed_size and entry.divisor:
                run_size = _enlarge(patch_size, entry.divisor)
            network = _construct(name, arguments, run_size).to("meta")
            divisor = entry.divisor or _find_divisor(network)
            run_size = _enlarge(patch_size, divisor)
            run = _run_for_training(network, run_size)
    except _TooLargeError:
        raise ConfigError(
            f"model.arguments make MONAI's {name} larger than {MOST_VALUES // 10**6:,} million "
            f"weights or {MOST_TENSORS:,} layers; make its widths or depths smaller.",
            field="model.arguments",
        ) from None
    except Exception as error:  # noqa: BLE001 - a foreign class can raise anything
        raise _explain(name, error) from None
    return MonaiArchitecture(
        network=name,
        arguments=arguments,
        patch_size=patch_size,
        divisor=divisor,
        has_fixed_size=entry.has_fixed_size,
        head_factors=run.head_factors,
        head_biases=run.head_biases,
        num_parameters=sum(weight.numel() for weight in network.parameters()),
        num_weights=sum(tensor.numel() for tensor in network.state_dict().values()),
        activation_bytes=run.kept_bytes * prod(patch_size) // prod(run_size),
        finest_values=run.largest_values / prod(run_size),
        max_learning_rate=entry.max_learning_rate,
    )


def _explain(name: str, error: Exception) -> ConfigError:
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    shown = text if len(text) < 300 else f"{text[:300]}…"
    return ConfigError(
        f"MONAI's {name} cannot be built with model.arguments as they are: {shown}.",
        field="model.arguments",
    )


def _enlarge(patch_size: Size3, divisor: int) -> Size3:
    """Enlarge a patch to one that fits, for what is asked before it is checked."""
    z, y, x = (-(-edge // divisor) * divisor for edge in patch_size)
    return (max(z, 2 * divisor), y, x) if max(z, y, x) == divisor else (z, y, x)


def _find_divisor(network: nn.Module) -> int:
    """Find by what edges must be divisible, from runs without numbers.

    The three edges of a run have no other divisor in common than the one that is tried.
    """
    network.eval()
    last: Exception = ValueError("it gives no output of the size of its input")
    for divisor in DIVISORS:
        shape = (1, 1, 3 * divisor, 5 * divisor, 7 * divisor)
        try:
            found = _list_heads(network, network(torch.empty(shape)))[0]
        except Exception as error:  # noqa: BLE001 - a shape that does not fit can raise anything
            last = error
            continue
        if tuple(found.shape) == shape:
            return divisor
    raise last


@dataclass(frozen=True)
class _TrainingRun:
    """What one forward pass in training mode shows."""

    head_factors: tuple[Size3, ...]
    head_biases: tuple[str, ...]
    kept_bytes: int
    largest_values: int


def _run_for_training(network: nn.Module, patch_size: Size3) -> _TrainingRun:
    names = {module: name for name, module in network.named_modules()}
    last_biased: dict[tuple[int, ...], str] = {}
    largest = prod(patch_size)

    def look(module: nn.Module, _inputs: Any, output: Any) -> None:
        nonlocal largest
        if not isinstance(output, Tensor):
            return
        largest = max(largest, output.numel())
        bias = getattr(module, "bias", None)
        if isinstance(bias, Tensor) and bias.numel() == 1 and output.ndim == 5:
            last_biased[tuple(output.shape)] = f"{names[module]}.bias"

    kept: dict[int, torch.UntypedStorage] = {}
    own = {weight.untyped_storage()._cdata for weight in network.state_dict().values()}  # noqa: SLF001

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:  # noqa: SLF001
            kept[storage._cdata] = storage  # noqa: SLF001
        return tensor

    handles = [
        module.register_forward_hook(look)
        for module in network.modules()
        if next(module.children(), None) is None
    ]
    try:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            heads = _list_heads(network.train(), network(torch.empty(1, 1, *patch_size)))
    finally:
        for handle in handles:
            handle.remove()
    if tuple(heads[0].shape) != (1, 1, *patch_size):
        raise ValueError(f"its output has the shape {tuple(heads[0].shape)}")
    del heads[MOST_HEADS:]
    factors = [
        tuple(edge // part for edge, part in zip(patch_size, head.shape[2:], strict=True))
        for head in heads
    ]
    return _TrainingRun(
        head_factors=tuple((a, b, c) for a, b, c in factors),
        head_biases=tuple(
            last_biased[shape] for head in heads if (shape := tuple(head.shape)) in last_biased
        ),
        kept_bytes=sum(storage.nbytes() for storage in kept.values())
        + LIVE_IN_BACKWARD * 4 * largest,
        largest_values=largest,
    )
