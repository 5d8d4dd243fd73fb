"""Which request a finished CSV answers: a small hidden file beside it."""

import hashlib
import json
from pathlib import Path

from visual_taxonomy.atomic import write_text

_PROBLEMS = "unreadable_images"


def receipt_path(path: Path) -> Path:
    """Where the receipt of a CSV stands."""
    return path.with_name(f".{path.name}.done.json")


def write_receipt(path: Path, finished: Path, request: str, images: str, problems: int) -> None:
    """Write which request a CSV answers.

    Written before the CSV gets its name: after a crash in between, the receipt speaks of another
    content than the file has, and counts for nothing.

    Args:
        path: The CSV.
        finished: The file that is about to become it.
        request: From `request_of`.
        images: Stamp of all images.
        problems: How many of them could not be read.
    """
    content = {"request": request, "images": images, _PROBLEMS: problems, **_identity(finished)}
    write_text(receipt_path(path), json.dumps(content, indent=2) + "\n")


def read_receipt(path: Path, request: str) -> tuple[str, int] | None:
    """Images' stamp and number of unreadable images if the CSV is the answer to a request.

    None if it is not: no file, no receipt, another request, or a file that was changed since.
    """
    try:
        content = json.loads(receipt_path(path).read_text(encoding="utf-8"))
        if content["request"] != request or not _identity(path).items() <= content.items():
            return None
        return str(content["images"]), int(content[_PROBLEMS])
    # Whatever is wrong with a receipt, the remedy is the same: predict again.
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _identity(path: Path) -> dict[str, object]:
    with path.open("rb") as file:
        return {
            "size": path.stat().st_size,
            "sha256": hashlib.file_digest(file, "sha256").hexdigest(),
        }
