"""Images named by a column of a file: their paths below the folder of the images.

Shapes: N rows.
"""

import os
import posixpath
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl

from visual_taxonomy.data.images import IMAGE_SUFFIXES
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.errors import InputError, shown

NO_NAME = "(no image named)"
"""Stands for the name of an image that has none; a file of this name does not exist."""

# Two letters at least in front of the colon: C:// is a drive, which is refused below.
_URL = r"^[A-Za-z][A-Za-z0-9+.-]+://"
# Drives and backslashes too, on any system: a catalogue that is accepted here works elsewhere.
_OUTSIDE = r"^[/\\]|^[A-Za-z]:|\x00|(^|[/\\])\.\.([/\\]|$)"
_SHARED_ROWS = 10
"""An image of fewer rows may be one garment in several sizes; of more, it is worth a note."""


class ImagePaths:
    r"""The images below a folder by their paths in it; each folder is read once.

    A path may lack the suffix, have backslashes or start with `./`. A link counts if the file it
    leads to is below the folder, too.

    Args:
        root: The folder of the images.

    Raises:
        InputError: There is no such folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "tops").mkdir()
        >>> (folder / "tops" / "7.PNG").touch()
        >>> images = ImagePaths(folder)
        >>> images.find("tops/7"), images.find(".\\tops\\7.PNG"), images.find("tops/8.jpg")
        ('tops/7.PNG', 'tops/7.PNG', None)
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise InputError(f"{root}: no such image folder; check `img_dir`")
        self._root = root
        self._real_root = os.path.realpath(root)
        self._folders: dict[str, _Folder] = {}

    def find(self, path: str) -> str | None:
        """The path of the file, with slashes and suffix; None if there is none.

        Raises:
            LeadsOutside: A link on the way leads out of the folder.
        """
        found = self._find(path)
        # As it is written first: on Linux a backslash may be part of a name.
        return self._find(path.replace("\\", "/")) if found is None and "\\" in path else found

    def _find(self, path: str) -> str | None:
        parent, name = posixpath.split(posixpath.normpath(path))
        folder = self._folders.get(parent)
        if folder is None:
            folder = self._folders[parent] = self._read(parent)
        # A full name counts before a stem: "7" may be a file beside "7.jpg".
        file = name if name in folder.files else folder.by_stem.get(name)
        if file is None:
            return None
        inside = posixpath.join(parent, file)
        # Only links are resolved: realpath asks the system about every folder on the way, each
        # time.
        if folder.is_outside or (file in folder.links and not self._holds(self._root / inside)):
            raise LeadsOutside
        return inside

    def _read(self, parent: str) -> "_Folder":
        try:
            return _Folder(self._root / parent, not self._holds(self._root / parent))
        except OSError:
            # Remembered as empty, so that its other images do not ask for it again.
            return _Folder(None, is_outside=False)

    def _holds(self, path: Path) -> bool:
        real = os.path.realpath(path)
        # Not by the start of the text: "/images2" starts like "/images".
        return os.path.commonpath([real, self._real_root]) == self._real_root


class LeadsOutside(Exception):  # noqa: N818 - it says what the path does
    """A link leads out of the folder of the images."""


class _Folder:
    """The names in one folder; none if there is no such folder."""

    def __init__(self, path: Path | None, is_outside: bool) -> None:
        self.is_outside = is_outside
        self.files: set[str] = set()
        self.links: set[str] = set()
        if path is not None:
            with os.scandir(path) as entries:
                for entry in entries:
                    self.files.add(entry.name)
                    if entry.is_symlink():
                        self.links.add(entry.name)
        # Sorted, because the order of scandir is that of the disk: which of 7.jpg and 7.JPG counts
        # must not depend on it.
        split = [os.path.splitext(name) for name in sorted(self.files)]
        images = [(stem, suffix) for stem, suffix in split if suffix.lower() in IMAGE_SUFFIXES]
        # The preferred suffix last, where it replaces the others of its stem in the dict below.
        images.sort(key=lambda name: IMAGE_SUFFIXES.index(name[1].lower()), reverse=True)
        self.by_stem = {stem: stem + suffix for stem, suffix in images}


def find_named_images(
    file: LabelFile,
    rows: np.ndarray,
    column: str,
    paths: pl.Series,
    img_dir: Path,
    missing_images: str,
    on_note: Callable[[str], None] = lambda note: None,
) -> list[str]:
    """[V] the paths of the images below their folder, `NO_NAME` or as given where there is none.

    Args:
        file: The rows.
        rows: [V] which row each image is of.
        column: The column that names them.
        paths: [V] what it says.
        img_dir: The folder.
        missing_images: "error", or "keep" rows without an image.
        on_note: Called if many rows have one image.

    Raises:
        InputError: A path is a URL or leads out of the folder, or an image is missing.
    """
    check_paths(file, rows, column, paths)
    images = ImagePaths(img_dir)
    found: dict[str, str | None] = {}
    for path in paths.unique().to_list():
        try:
            found[path] = images.find(path) if path else None
        except LeadsOutside:
            raise file.error(
                rows[(paths == path).to_numpy()],
                column,
                f"'{shown(path)}' is reached by a link that leads out of {img_dir}; copy the image "
                "into this folder, or choose an `img_dir` that holds both",
            ) from None
    missing = np.array([found[path] is None for path in paths.to_list()], dtype=bool)
    if missing.any() and missing_images == "error":
        raise _missing(file, rows, column, paths, np.flatnonzero(missing), img_dir)
    _note_shared(file, column, paths, on_note)
    return [found[path] or path or NO_NAME for path in paths.to_list()]


def check_paths(file: LabelFile, rows: np.ndarray, column: str, paths: pl.Series) -> None:
    """Refuse what names no place below a folder, whatever is in it; see `find_named_images`.

    Raises:
        InputError: A path is a URL, absolute, or has `..` in it.
    """
    urls = np.flatnonzero(paths.str.contains(_URL).to_numpy())
    if len(urls):
        raise file.error(
            rows[urls],
            column,
            f"'{shown(paths[int(urls[0])])}' is a URL, and nothing is downloaded here; fetch the "
            "images first (put the URLs into urls.txt, then: wget --no-clobber --directory-prefix "
            "IMAGES --input-file urls.txt) and put the names of the files into the column",
        )
    outside = np.flatnonzero(paths.str.contains(_OUTSIDE).to_numpy())
    if len(outside):
        raise file.error(
            rows[outside],
            column,
            f"'{shown(paths[int(outside[0])])}' leads out of the image folder; use paths relative "
            "to `img_dir`, without '..'",
        )


def _missing(
    file: LabelFile,
    rows: np.ndarray,
    column: str,
    paths: pl.Series,
    missing: np.ndarray,
    img_dir: Path,
) -> InputError:
    path = paths[int(missing[0])]
    problem = f"'{shown(path)}': no such file in {img_dir}" if path else "names no image"
    # `img_dir` may already be the folder that the paths begin with; then the bare name is in it.
    first = img_dir / re.split(r"[/\\]", path)[-1]
    nearer = f"; {first} exists: check `img_dir`" if path and first.is_file() else ""
    return InputError(
        f"{file.path}, row {file.line(int(rows[missing[0]]))}, column '{shown(column)}': "
        f"{problem} ({len(missing):,} of {len(paths):,} rows have no image){nearer}; add the "
        "images, remove the rows, or correct `img_dir`"
    )


def _note_shared(
    file: LabelFile, column: str, paths: pl.Series, on_note: Callable[[str], None]
) -> None:
    counts = paths.filter(paths != "").alias("path").value_counts(sort=True)
    if not len(counts) or counts["count"][0] < _SHARED_ROWS:
        return
    shared = counts.filter(pl.col("count") >= _SHARED_ROWS)
    on_note(
        f"note: {file.path}, column '{shown(column)}': '{shown(counts['path'][0])}' is the image "
        f"of {counts['count'][0]:,} rows ({shared['count'].sum():,} rows have one of "
        f"{len(shared):,} images that {_SHARED_ROWS} rows or more share); if it is a placeholder, "
        "empty these cells or remove the rows"
    )


def folder_states(img_dir: Path, names: set[str]) -> dict[str, tuple[int, int]]:
    """Name of an image -> size and time of change of its file; one pass over each folder."""
    by_folder: dict[str, set[str]] = {}
    for name in names:
        by_folder.setdefault(posixpath.dirname(name), set()).add(posixpath.basename(name))
    found: dict[str, tuple[int, int]] = {}
    for folder, wanted in by_folder.items():
        try:
            entries = os.scandir(img_dir / folder)
        except OSError:  # the folder of a missing image; that of all images was looked at before
            continue
        with entries:
            for entry in entries:
                if entry.name in wanted:
                    try:
                        state = entry.stat()
                    except OSError:  # a broken link; training will say that it cannot be read
                        continue
                    name = posixpath.join(folder, entry.name)
                    found[name] = (state.st_size, state.st_mtime_ns)
    return found
