import io
import zipfile

import pytest
import torch

from visual_taxonomy.archive import find_damage


def archive(**entries: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as opened:
        for name, content in entries.items():
            opened.writestr(name, content)
    return file.getvalue()


def test_what_torch_writes_is_sound() -> None:
    file = io.BytesIO()
    torch.save({"weight": torch.randn(1000), "text": "zari"}, file)
    assert find_damage(file) is None


def test_a_changed_entry_is_named() -> None:
    content = archive(first=b"zari", second=b"woven").replace(b"woven", b"woveo")
    assert find_damage(io.BytesIO(content)) == "the checksum of 'second' differs"


@pytest.mark.parametrize("place", [0, 1])
def test_an_entry_has_one_name(place: int) -> None:
    """In front of its data and in the directory: another in one of them would be another weight."""
    parts = archive(first=b"zari").split(b"first")
    content = parts[0] + (b"other", b"first")[place] + parts[1] + (b"first", b"other")[place]
    assert find_damage(io.BytesIO(content + parts[2])) is not None


def test_no_zip_file_is_damage() -> None:
    assert find_damage(io.BytesIO(b"zari")) == "File is not a zip file"


def test_an_encrypted_or_foreign_entry_is_damage() -> None:
    content = bytearray(archive(first=b"zari"))
    directory = content.index(b"PK\x01\x02")
    content[directory + 8] |= 1
    assert "encrypted" in str(find_damage(io.BytesIO(content)))
    content[directory + 8] = 0
    content[directory + 10] = 77
    assert "compression" in str(find_damage(io.BytesIO(content)))


def test_an_entry_that_is_marked_as_a_folder_is_damage() -> None:
    """Torch reads none of its bytes and gives memory that was never written to."""
    content = bytearray(archive(first=b"zari"))
    content[content.index(b"PK\x01\x02") + 38] |= 0x10
    assert find_damage(io.BytesIO(content)) == "'first' is marked as a folder"
