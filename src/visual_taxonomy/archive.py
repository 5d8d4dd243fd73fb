"""Whether a zip file, such as `torch.save` writes, holds what was written."""

import errno
import zipfile
import zlib
from typing import IO

# RuntimeError: an entry that a flipped bit marks as encrypted; NotImplementedError: as compressed
# in a way that zipfile does not know.
_UNREADABLE = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)

# Flag for which torch takes an entry as empty: its weight is whatever the memory held.
_FOLDER = 0x10


def find_damage(file: IO[bytes]) -> str | None:
    """Why a zip file is not what was written; None where every entry fits its CRC-32.

    `torch.load` compares no checksum, so a flipped bit of a weight is another weight. Here each
    entry of the directory must have its own name in front of its data, data of the CRC-32 that the
    directory holds, and not be marked as a folder. So a flipped bit in data, names, sizes or
    offsets is found; one in dates or padding is not, and changes nothing that is read (tried for
    every bit of one: `BIT_FLIPS=9000 pytest tests/test_bit_flips.py -k directory`).

    Args:
        file: Open for reading; its position is moved.

    Example:
        >>> import io, torch
        >>> file = io.BytesIO()
        >>> torch.save({"weight": torch.zeros(100)}, file)
        >>> find_damage(file) is None
        True
        >>> content = file.getvalue()
        >>> find_damage(io.BytesIO(content.replace(bytes(400), bytes(399) + b"!")))
        "the checksum of 'archive/data/0' differs"
    """
    try:
        with zipfile.ZipFile(file) as archive:
            damaged = archive.testzip()
            folders = [each.filename for each in archive.infolist() if each.external_attr & _FOLDER]
    except _UNREADABLE as error:
        return str(error) or type(error).__name__
    except OSError as error:
        if error.errno != errno.EINVAL:  # the disk's own trouble
            raise
        return "an entry lies before the file begins"
    if folders:
        return f"'{folders[0]}' is marked as a folder"
    return None if damaged is None else f"the checksum of '{damaged}' differs"
