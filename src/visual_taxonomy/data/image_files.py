"""Image files that are named one by one or by their folders, without any table."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from visual_taxonomy.data.images import IMAGE_SUFFIXES
from visual_taxonomy.errors import InputError, shown


def image_files(paths: Sequence[Path]) -> list[Path]:
    """The files of `paths` in their order, and for each folder the images in and below it, sorted.

    A file that is named counts whatever its suffix; in a folder, files count by `IMAGE_SUFFIXES`.
    Hidden files and folders are left out, and links to folders are not followed. What is named
    twice counts once.

    Raises:
        InputError: There is no such file or folder, or a folder has no image.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("b.JPG", "a.png", "notes.txt"):
        ...     (folder / name).touch()
        >>> [path.name for path in image_files([folder / "b.JPG", folder])]
        ['b.JPG', 'a.png']
    """
    found: dict[Path, None] = {}
    for path in paths:
        if path.is_dir():
            inside = sorted(_below(path))
            if not inside:
                raise InputError(
                    f"{shown(path, 500)}: no image in this folder; images end in "
                    f"{', '.join(IMAGE_SUFFIXES)}"
                )
            found |= dict.fromkeys(inside)
        elif path.exists():
            found[path] = None
        else:
            raise InputError(f"{shown(path, 500)}: no such file or folder; check the path")
    return list(found)


def _below(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        # In place, so that os.walk does not go into them: thumbnails, trash, version control.
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.lower().endswith(IMAGE_SUFFIXES) and not name.startswith("."):
                yield Path(parent, name)
