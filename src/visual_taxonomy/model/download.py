"""Fetch published weights: with progress, resume, checksum and an atomic rename."""

import errno
import hashlib
import http.client
import os
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from visual_taxonomy.choice import find
from visual_taxonomy.errors import InputError
from visual_taxonomy.model.backbone import BACKBONES, GCL_URL, ClipTower

Progress = Callable[[int, int | None], None]
"""Called with the bytes there so far and in all; in all is None where the server does not say."""

# Read at a time: progress moves often, and an interruption loses a megabyte at most.
_CHUNK_BYTES = 1 << 20
# Without an answer; a slow mirror takes seconds, a dead one would hang for ever.
_TIMEOUT_SECONDS = 60
# What goes to these never leaves the machine, so nobody can change it on the way.
_LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")


def download_weights(
    name: str, out_dir: Path, base_url: str | None = None, on_progress: Progress | None = None
) -> Path:
    """Fetch the published weights of a backbone into a folder.

    The body goes to `<file>.part`; a later call goes on where an interrupted one stopped. Only a
    complete file gets its name, and `<file>.sha256` beside it in the form of `sha256sum`. A file
    that is there already is returned at once.

    Args:
        name: `ViT-B-32` or `ViT-L-14`.
        out_dir: Folder, made if need be.
        base_url: Folder of a mirror in place of the publisher's; https, or http on this machine.
        on_progress: Called after each piece.

    Returns:
        The path of the file.

    Raises:
        InputError: There is no such name, the server cannot be reached or lacks the file, the
            body is cut off or has another checksum, or the folder cannot be written.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     there = Path(folder, BACKBONES["ViT-B-32"].file_name)
        ...     _ = there.write_bytes(b"downloaded yesterday")
        ...     download_weights("vit-b-32", Path(folder)) == there
        True
    """
    tower = find(BACKBONES, name)
    target = out_dir / tower.file_name
    if target.exists():
        return target
    url = f"{(base_url or GCL_URL).rstrip('/')}/{tower.file_name}"
    address = urlsplit(url)
    if address.scheme != "https" and not (
        address.scheme == "http" and address.hostname in _LOCAL_HOSTS
    ):
        raise InputError(f"{url}: weights are fetched by https only")
    part = target.with_name(target.name + ".part")
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        _fetch(url, part, on_progress or (lambda done, total: None))
        return _publish(tower, part, target)
    except OSError as error:
        raise _cannot_write(part, error) from error


def check_download(path: Path) -> None:
    """Compare a file with the checksum beside it; one without is taken as it is.

    Raises:
        InputError: `<path>.sha256` is there and differs.
    """
    kept = _checksum_file(path)
    if not kept.is_file():
        return
    expected = kept.read_bytes().split()
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not expected or expected[0].lower() != digest.encode():
        raise InputError(
            f"{path}: not the file that was downloaded (its SHA-256 is not that of {kept.name}); "
            "delete both and run `vtax download-weights` again"
        )


def _fetch(url: str, part: Path, on_progress: Progress) -> None:
    """Append to `part` what it lacks of the body at `url`."""
    have = part.stat().st_size if part.exists() else 0
    opened = _open(url, have)
    if opened is None:
        return
    response, done = opened
    with response, part.open("ab") as file:
        # A server that ignores the range sends everything: what is there has to go first.
        file.truncate(done)
        length = response.headers.get("Content-Length")
        total = done + int(length) if length is not None else None
        on_progress(done, total)
        while piece := _read(response, url, part):
            file.write(piece)
            done += len(piece)
            on_progress(done, total)
        # On the disk before the rename: a file that has its name is whole, even after a power cut.
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done != total:
        raise _interrupted(url, part, f"got {done:,} of {total:,} bytes")


def _open(url: str, start: int) -> tuple[http.client.HTTPResponse, int] | None:
    """The body from byte `start` on, or from 0 where the server does not do that.

    Returns:
        The answer and the byte it begins at; None where the body has just `start` bytes.
    """
    headers = {"User-Agent": "visual-taxonomy"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        request = urllib.request.Request(url, headers=headers)
        response = urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS)
    except urllib.error.HTTPError as error:
        # The range begins at the end of the body: all of it is here, if the length is the same.
        if start and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            complete = error.headers.get("Content-Range") == f"bytes */{start}"
            return None if complete else _open(url, 0)
        raise InputError(f"{url}: the server answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise InputError(
            f"{url}: cannot be reached ({error}). Offline, copy the file here from another "
            "machine, or name a mirror"
        ) from error
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        return response, 0
    if response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
        return response, start
    # Another range than was asked for: appended, it would spoil the file.
    response.close()
    return _open(url, 0)


def _read(response: http.client.HTTPResponse, url: str, part: Path) -> bytes:
    try:
        return response.read(_CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _interrupted(url, part, str(error)) from error


def _publish(tower: ClipTower, part: Path, target: Path) -> Path:
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if tower.sha256 and digest != tower.sha256:
        # Or every later call would go on from bytes that are wrong.
        part.unlink()
        raise InputError(
            f"{target.name}: checksum is {digest}, expected {tower.sha256}; the bytes were thrown "
            "away, run the command again"
        )
    # Before the rename: a file without a checksum beside it is taken as it is.
    _checksum_file(target).write_text(f"{digest}  {target.name}\n")
    return part.replace(target)


def _checksum_file(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _interrupted(url: str, part: Path, reason: str) -> InputError:
    return InputError(f"{url}: cut off ({reason}); run the command again to continue {part.name}")


def _cannot_write(part: Path, error: OSError) -> InputError:
    if error.errno == errno.ENOSPC:
        return InputError(
            f"{part}: the disk is full; free some space and run the command again to continue"
        )
    return InputError(f"{part.parent}: cannot be written ({error})")
