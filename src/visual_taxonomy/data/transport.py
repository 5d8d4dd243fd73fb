"""How batches come from the processes that load them: through shared memory, or through a pipe.

Shared memory is the faster, but containers often have only 64 MB of it. Torch notices a lack of
it only when a batch is on its way: the batch is lost, and whoever waits for it waits for ever.
"""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

SHARED_MEMORY = Path("/dev/shm")

# Room to leave for what else is kept there, such as the loader of the validation.
_SPARE = 1.25

# One note a process is enough, though training and validation both load.
_warned: list[Path] = []


def fits_shared_memory(num_bytes: int) -> bool:
    """Whether so much can be kept in shared memory; the first time not, a warning says what to do.

    Processes that train together share it, and each is taken to need as much. Systems without
    `/dev/shm` keep shared memory elsewhere and have no such limit.
    """
    try:
        status = os.statvfs(SHARED_MEMORY)
    except (OSError, AttributeError):  # not Linux
        return True
    # In this order: where torch is built without it, the second function does not exist.
    is_shared = torch.distributed.is_available() and torch.distributed.is_initialized()
    processes = torch.distributed.get_world_size() if is_shared else 1
    # Each process of a machine has its own loaders, and all share this memory.
    needed, free = int(_SPARE * num_bytes) * processes, status.f_bavail * status.f_frsize
    if needed > free and not _warned:
        _warned.append(SHARED_MEMORY)
        warnings.warn(
            f"{SHARED_MEMORY} has {free >> 20:,} MB free, but loading ahead needs "
            f"{needed >> 20:,} MB: batches come through pipes, which is slower; for more room "
            "start the container with --shm-size=2g (docker, podman), or choose a smaller "
            "`batch_size`",
            stacklevel=3,
        )
    return needed <= free


class ThroughPipe:
    """Wraps a function that gives a named tuple of tensors: another process gets copies of them.

    Tensors that are sent to another process are moved to shared memory; arrays are copied.

    Args:
        function: Called in the loading process.
    """

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def __call__(self, parts: Any) -> "_Parcel":  # noqa: ANN401 - whatever the function takes
        """What becomes the function's result once it has been sent."""
        return _Parcel(self.function(parts))


class _Parcel:
    """Unpickles to the named tuple it was made from."""

    def __init__(self, content: Any) -> None:  # noqa: ANN401 - any named tuple
        self.content = content

    def __reduce__(self) -> tuple[Any, ...]:
        packed = [_pack(each) for each in self.content]
        return _unpack, (type(self.content), packed)


def _pack(value: object) -> object:
    """An array and the order of its dimensions for a tensor; the rest as it is."""
    if not isinstance(value, torch.Tensor):
        return value
    # In the order of memory: arrays lose it on their way, and convolutions go by it.
    order = sorted(range(value.dim()), key=value.stride, reverse=True)
    return value.permute(order).numpy(), order


def _unpack(kind: Callable[..., Any], packed: list[Any]) -> Any:  # noqa: ANN401 - as given
    return kind(*(_restored(each) for each in packed))


def _restored(value: Any) -> Any:  # noqa: ANN401 - as given
    # Only tensors have become tuples; the problems of a batch, a dict, come as they are.
    if not isinstance(value, tuple):
        return value
    array, order = value
    # The inverse order: a view in the layout the batch was made in.
    return torch.from_numpy(array).permute([order.index(k) for k in range(len(order))])
