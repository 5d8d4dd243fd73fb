"""Nothing waits for a named pipe, a socket or a device."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from visual_taxonomy.checkpoint import read_checkpoint
from visual_taxonomy.config import TrainConfig
from visual_taxonomy.config_values import read_toml
from visual_taxonomy.data.images import UnreadableImage, read_image
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.table import build_taxonomy
from visual_taxonomy.errors import InputError
from visual_taxonomy.regular_file import irregular_kind, reading, require_regular
from visual_taxonomy.taxonomy import Taxonomy

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without named pipes")


@pytest.fixture(autouse=True)
def no_waiting() -> Iterator[None]:
    """Fail instead of hanging."""

    def fail(*_: object) -> None:
        pytest.fail("waited for ten seconds")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "a.pipe"
    os.mkfifo(path)
    return path


READERS: dict[str, Callable[[Path], object]] = {
    "CSV": LabelFile,
    "checkpoint": read_checkpoint,
    "config": lambda path: read_toml(TrainConfig, path),
    "taxonomy": Taxonomy.read,
}


@pytest.mark.parametrize("reader", READERS)
def test_a_named_pipe_is_refused_by_every_reader(pipe: Path, reader: str) -> None:
    with pytest.raises(InputError, match=r"a\.pipe: is a named pipe, which cannot be read twice"):
        READERS[reader](pipe)


def test_a_named_pipe_is_no_parquet(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    os.mkfifo(path)
    csv = tmp_path / "a.csv"
    csv.write_text("id,Category,color\n1,a,red\n")
    with pytest.raises(InputError, match=r"a\.parquet: is a named pipe"):
        LabelFile(path)
    with pytest.raises(InputError, match=r"a\.parquet: is a named pipe"):
        build_taxonomy(csv, path)


def test_a_pipe_named_like_an_image_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "000001.jpg"
    os.mkfifo(path)
    with pytest.raises(UnreadableImage, match=r"^a named pipe, not an image$"):
        read_image(path)


def test_devices_and_sockets_are_no_images_either(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        with pytest.raises(UnreadableImage, match=r"^a socket, not an image$"):
            read_image(path)
    with pytest.raises(UnreadableImage, match=r"^a device, not an image$"):
        read_image(Path("/dev/zero"))


def test_files_folders_and_links_to_files_are_regular(tmp_path: Path) -> None:
    file, link = tmp_path / "a", tmp_path / "b"
    file.touch()
    link.symlink_to(file)
    for path in (file, link, tmp_path):
        assert irregular_kind(path) is None
        require_regular(path)
    with pytest.raises(FileNotFoundError):
        require_regular(tmp_path / "none")


def test_why_a_file_cannot_be_read_is_said_in_one_way(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"no\.csv: no such file; check the name$"),
        reading(tmp_path / "no.csv", "the name"),
    ):
        raise AssertionError("the block runs for files only")
    with (
        pytest.raises(InputError, match=r": is a folder; name the file in it$"),
        reading(tmp_path, "the name"),
    ):
        tmp_path.read_text()
    with (
        pytest.raises(InputError, match=r"cannot be read \(Permission denied\); check the path$"),
        reading(tmp_path, "the name"),
    ):
        raise PermissionError(13, "Permission denied")
