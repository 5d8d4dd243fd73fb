"""What the command line says about an exception: one line, a remedy, an exit status.

Commands let errors of the system pass; here is the one place that knows the words for them. Some
libraries hide the system's error number in an exception of their own (torch, polars, safetensors,
loading processes); it is read from the text there.
"""

import errno
import os
import re
from collections.abc import Iterator
from importlib.util import find_spec
from typing import NamedTuple

from visual_taxonomy.commands.arguments import as_flags
from visual_taxonomy.commands.screen import STDOUT
from visual_taxonomy.commands.terminal import EXIT_FAILED, EXIT_INPUT
from visual_taxonomy.errors import InputError, SystemLimitError


class Failure(NamedTuple):
    """How a command ends."""

    message: str
    """For the person at the keyboard."""
    status: int
    """Of the process."""


_ELSEWHERE = "name a folder that you can write to"
_LOST = "check the disk or the connection, and start the command again"
# Error number -> what it means, what to do.
_SYSTEM: dict[int, tuple[str, str]] = {
    errno.ENOENT: ("no such file or folder", "check the path"),
    errno.EACCES: ("no permission", f"change its rights, or {_ELSEWHERE}"),
    errno.EPERM: ("not permitted", f"change its rights, or {_ELSEWHERE}"),
    errno.EROFS: ("the disk is read-only", _ELSEWHERE),
    errno.EISDIR: ("is a folder", "name a file, or move the folder away"),
    errno.ENOTDIR: ("a file where a folder has to be", "name another path"),
    errno.EEXIST: ("already exists", "remove it or name another path"),
    errno.ENOTEMPTY: ("the folder is not empty", "remove it or name another path"),
    errno.ENOSPC: ("no space left on the disk", "free some or name a folder on another disk"),
    errno.EDQUOT: ("your share of the disk is used up", "free some or name another disk"),
    errno.EFBIG: ("larger than a file may be here", "raise `ulimit -f` or name another disk"),
    errno.ENAMETOOLONG: ("the name is too long", "choose a shorter one"),
    errno.EMFILE: ("too many open files", "raise `ulimit -n`, or use fewer workers"),
    errno.ENFILE: ("too many open files on this machine", "close programs or use fewer workers"),
    errno.EAGAIN: ("no process can be started", "raise `ulimit -u`, or use fewer workers"),
    errno.EPIPE: ("closed by the program that read it", "let it read to the end"),
    errno.EIO: ("the disk cannot be read or written", _LOST),
    errno.ESTALE: ("the network disk has lost the file", _LOST),
    errno.ENODEV: ("no such device", "check the path"),
    errno.ENXIO: ("no such device", "check the path"),
    errno.ELOOP: ("its links lead in a circle", "name the file itself"),
    errno.EBUSY: ("in use by another program", "end that program, or name another path"),
    errno.ETXTBSY: ("in use by another program", "end that program, or name another path"),
    errno.EXDEV: ("on another disk", "name a folder on the same disk"),
    errno.EINVAL: ("the system does not take this name or file", "name another path"),
    errno.ETIMEDOUT: ("no answer in time", _LOST),
    errno.ECONNREFUSED: ("the connection was refused", _LOST),
    errno.ECONNRESET: ("the connection broke", _LOST),
    errno.ENETUNREACH: ("the network cannot be reached", _LOST),
    errno.EHOSTUNREACH: ("the machine cannot be reached", _LOST),
}

# Module -> the extra that installs it.
_EXTRAS = {
    "onnx": "export",
    "onnxscript": "export",
    "onnxruntime": "runtime",
    "openvino": "openvino",
    "torchjd": "torchjd",
    "wandb": "wandb",
    "mlflow": "mlflow",
    "tensorboard": "tensorboard",
    "optuna": "search",
}

# Modules of the packages that vtax needs without any extra.
_ALWAYS = (
    "torch",
    "torchvision",
    "timm",
    "lightning",
    "matplotlib",
    "numpy",
    "PIL",
    "polars",
    "safetensors",
    "simplejpeg",
    "filelock",
    "tomli_w",
)

# Module -> its name for pip, where they differ.
_DISTRIBUTIONS = {"PIL": "pillow", "tomli_w": "tomli-w"}

_NUMBER = re.compile(r"\[Errno (\d+)\]|\(os error (\d+)\)|Error code (\d+) \(")
_WRITING = re.compile(r"while writing (.+)")
_FROM_WORKER = re.compile(r"Caught (\w+) in \w+ worker process .*Original Traceback", re.DOTALL)
# Words of libraries that had too little memory.
_NO_MEMORY = (
    "DefaultCPUAllocator: can't allocate memory",
    "std::bad_alloc",
    "bad allocation",
    "failed to map segment from shared object",
)
_OUR_FAULTS = (AssertionError, AttributeError, IndexError, KeyError, NameError, TypeError)


def explain(error: BaseException) -> Failure | None:
    """What to say about an exception; None for a fault of this program."""
    if isinstance(error, InputError):
        return Failure(as_flags(_own_words(error)), EXIT_INPUT)
    if isinstance(error, SystemLimitError):
        return Failure(as_flags(str(error)), EXIT_FAILED)
    # Before any text is searched: a KeyError may quote words that mean something below.
    if isinstance(error, _OUR_FAULTS):
        return None
    # Before ImportError, which a library that cannot be mapped for want of memory raises.
    if (need := _memory(error)) is not None:
        return Failure(need, EXIT_FAILED)
    if isinstance(error, ImportError):
        return _package(error)
    if isinstance(error, RecursionError):
        return _nesting(error)
    if isinstance(error, UnicodeError):
        return Failure(f"text that is not valid Unicode ({error}); rename or re-save it", 2)
    return _system(error)


def _own_words(error: InputError) -> str:
    """The message; an error of a loading process brings its traceback along, which is left out."""
    text = str(error)
    if not _FROM_WORKER.match(text):
        return text
    return text.rpartition(f"{InputError.__name__}: ")[2].strip()


def _memory(error: BaseException) -> str | None:
    text = str(error)
    if type(error).__name__ == "OutOfMemoryError":  # of torch, which is not imported for a name
        return (
            f"the device is out of memory ({_first_line(text)}); use a smaller --batch_size or "
            "--image_size, --precision bf16, a higher --unlock_block, or a smaller --backbone"
        )
    if type(error).__name__ == "BrokenProcessPool":
        return "a process of this command was killed, most likely because memory ran out"
    number = error.errno if isinstance(error, OSError) else _number_in(text)
    if (
        isinstance(error, MemoryError)
        or number == errno.ENOMEM
        or any(sign in text for sign in _NO_MEMORY)
    ):
        detail = f" ({_first_line(text)})" if text else ""
        return (
            f"out of memory{detail}; a smaller batch size, smaller images or fewer workers "
            "need less"
        )
    return None


def _package(error: ImportError) -> Failure | None:
    name = (error.name or "").partition(".")[0]
    if not name or name == "visual_taxonomy":
        return None
    if not isinstance(error, ModuleNotFoundError):
        reason = _first_line(str(error))
        return Failure(f"a package cannot be loaded ({reason}); install it again", EXIT_INPUT)
    needed = [name]
    if name in _ALWAYS:  # name the others too: few want to install one package after the other
        needed += [other for other in _ALWAYS if other != name and not find_spec(other)]
    install = " ".join(map(_pip_name, needed))
    text = f"this needs the package {name}, which is not installed: pip install {install}"
    return Failure(text, EXIT_INPUT)


def _pip_name(module: str) -> str:
    if module in _EXTRAS:
        return f"'visual-taxonomy[{_EXTRAS[module]}]'"
    return _DISTRIBUTIONS.get(module, module)


def _nesting(error: RecursionError) -> Failure | None:
    """Lists in lists, thousands deep, in a JSON or TOML file; any other recursion is our fault."""
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] in ("json", "tomllib"):
            return Failure("a JSON or TOML file is nested too deeply to be read", EXIT_INPUT)
        trace = trace.tb_next
    return None


def _system(error: BaseException) -> Failure | None:
    for cause in _causes(error):
        number = cause.errno if isinstance(cause, OSError) else None
        number = number or _number_in(str(cause))
        place = _place(error) or _place(cause) or (STDOUT if number == errno.EPIPE else "")
        if number == errno.EEXIST and os.path.isfile(place):
            number = errno.ENOTDIR  # how pathlib reports a file where it has to make a folder
        if number in _SYSTEM:
            words, remedy = _SYSTEM[number]
            text = f"{place}: {words}; {remedy}" if place else f"{words}; {remedy}"
            return Failure(text, EXIT_INPUT)
        if isinstance(cause, OSError):
            words = os.strerror(number) if number else _first_line(str(cause))
            return Failure(f"{place or 'file or network'}: {words or type(cause).__name__}", 2)
    if place := _written(error):  # torch does not tell why it cannot write
        words = _first_line(str(error))
        why = "is the disk full, or is it larger than `ulimit -f` allows?"
        return Failure(f"{place}: cannot be written ({words}); {why}", EXIT_INPUT)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and those it came from; not those that a fault of ours hides behind."""
    current: BaseException | None = error
    # Bounded: exceptions can be chained by hand, even to a circle.
    for _ in range(10):
        if current is None or isinstance(current, _OUR_FAULTS):
            return
        yield current
        following = current.__cause__
        if following is None and not current.__suppress_context__:
            following = current.__context__
        current = following


def _number_in(text: str) -> int | None:
    if found := _NUMBER.search(text):
        return int(next(filter(None, found.groups())))
    return next((number for number in _SYSTEM if os.strerror(number) in text), None)


def _place(error: BaseException) -> str:
    if written := _written(error):
        return written
    name = getattr(error, "filename", None)
    return os.fsdecode(name) if isinstance(name, str | bytes) else str(name or "")


def _written(error: BaseException) -> str:
    notes = "\n".join(getattr(error, "__notes__", ()))
    found = _WRITING.search(notes)
    return found.group(1) if found else ""


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0].rstrip(".")
