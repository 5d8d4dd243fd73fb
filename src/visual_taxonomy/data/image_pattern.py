"""The images of a product by a pattern of their names: `{id}_*.jpg`."""

import fnmatch
import os
import posixpath
import re
from bisect import bisect_left
from pathlib import Path

from visual_taxonomy.data.image_folder import padded
from visual_taxonomy.data.images import IMAGE_SUFFIXES
from visual_taxonomy.errors import InputError, shown

_ID = "{id}"
_WILDCARD = re.compile(r"[*?\[]")


def check_pattern(pattern: str) -> None:
    """Refuse a pattern that cannot be looked up.

    Raises:
        InputError: It has no {id} or a wildcard before it, or leads out of the folder.

    Example:
        >>> check_pattern("*.jpg")
        Traceback (most recent call last):
        ...
        visual_taxonomy.errors.InputError: `image_pattern` '*.jpg' has no {id}, ...
    """
    name = f"`image_pattern` '{shown(pattern)}'"
    before, found, _ = pattern.partition(_ID)
    if not found:
        raise InputError(f"{name} has no {_ID}, the place of the product's id: '{_ID}_*.jpg'")
    if _WILDCARD.search(before) or _WILDCARD.search(posixpath.dirname(pattern)):
        raise InputError(
            f"{name} has a wildcard before {_ID} or in a folder; put it behind, into the last "
            f"part: '{_ID}_*.jpg', '{_ID}/*.jpg'"
        )
    if pattern.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", pattern):
        raise InputError(f"{name} leads out of the image folder; leave '..' and the first / out")


class ImagePattern:
    """The images below a folder by a pattern; each folder is read once.

    Args:
        root: The folder of the images.
        pattern: A path below it with `{id}`, and behind that `*`, `?` or `[...]` in its last part.

    Raises:
        InputError: There is no such folder, or the pattern cannot be looked up.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("7_front.jpg", "7_back.jpg", "77_front.jpg"):
        ...     (folder / name).touch()
        >>> ImagePattern(folder, "{id}_*.jpg").find("7")
        ['7_back.jpg', '7_front.jpg']
    """

    def __init__(self, root: Path, pattern: str) -> None:
        check_pattern(pattern)
        if not root.is_dir():
            raise InputError(f"{root}: no such image folder; check `img_dir`")
        self._root, self._pattern = root, pattern
        self._folders: dict[str, list[str]] = {}

    def find(self, product_id: str) -> list[str]:
        """The paths of a product's images below the folder, sorted; `7` also matches `000007`."""
        for name in dict.fromkeys((product_id, padded(product_id))):
            found = self._find(name)
            if found:
                return found
        return []

    def _find(self, product_id: str) -> list[str]:
        parent, last = posixpath.split(self._pattern)
        folder = parent.replace(_ID, product_id)
        names = self._names(folder)
        literal, has_id, rest = last.partition(_ID)
        start, rest = (literal + product_id, rest) if has_id else ("", last)
        # Escaped: an id may hold a bracket, which is no wildcard there.
        matches = re.compile(re.escape(start) + fnmatch.translate(rest)).match
        begin = bisect_left(names, start)
        found = []
        # Sorted, so those of one start are neighbours, and no other needs a look.
        while begin < len(names) and names[begin].startswith(start):
            is_image = names[begin].lower().endswith(IMAGE_SUFFIXES)
            if is_image and matches(names[begin]):
                found.append(posixpath.join(folder, names[begin]))
            begin += 1
        return found

    def _names(self, folder: str) -> list[str]:
        if folder not in self._folders:
            try:
                with os.scandir(self._root / folder) as entries:
                    self._folders[folder] = sorted(entry.name for entry in entries)
            except OSError:
                self._folders[folder] = []
        return self._folders[folder]
