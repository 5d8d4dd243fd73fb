"""Which file of a folder is the image of which product."""

import os
from pathlib import Path

from visual_taxonomy.data.images import IMAGE_SUFFIXES
from visual_taxonomy.errors import InputError


class ImageFolder:
    """The images of a folder by product id; the folder is read once.

    The image of product 1163 is `001163` or `1163` with one of `IMAGE_SUFFIXES`, in upper or
    lower case; of several files for one product the first by that order counts.

    Raises:
        InputError: There is no such folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "000007.JPG").touch()
        >>> images = ImageFolder(folder)
        >>> images.find("7"), images.find("8"), images.usual_name("8")
        ('000007.JPG', None, '000008.jpg')
    """

    def __init__(self, path: Path) -> None:
        try:
            with os.scandir(path) as entries:
                names = [os.path.splitext(entry.name) for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            raise InputError(f"{path}: no such image folder; check `img_dir`") from None
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"{path}: cannot be read ({reason}); check `img_dir`") from None
        images = [(stem, suffix) for stem, suffix in names if suffix.lower() in IMAGE_SUFFIXES]
        # The preferred suffix last, where it replaces the others in the dict; names break ties, as
        # the order of scandir is that of the disk.
        images.sort(key=lambda name: (IMAGE_SUFFIXES.index(name[1].lower()), name), reverse=True)
        self._names = {stem: stem + suffix for stem, suffix in images}

    def find(self, product_id: str) -> str | None:
        """The file's name, None if there is none."""
        return self._names.get(padded(product_id)) or self._names.get(product_id)

    @staticmethod
    def usual_name(product_id: str) -> str:
        """The name a product's image usually has."""
        return padded(product_id) + IMAGE_SUFFIXES[0]


def padded(product_id: str) -> str:
    """An id as the usual name of its image has it: a number with six digits at least.

    Example:
        >>> padded("7"), padded("a7")
        ('000007', 'a7')
    """
    # isdecimal alone accepts the digits of every script, which no file name is padded with.
    if product_id.isascii() and product_id.isdecimal():
        # Zeros are dropped first: 00001163 is the product 1163, too.
        return product_id.lstrip("0").zfill(6)
    return product_id
