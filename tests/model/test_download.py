import errno
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from visual_taxonomy.errors import InputError
from visual_taxonomy.model import download
from visual_taxonomy.model.backbone import BACKBONES, GCL_URL
from visual_taxonomy.model.download import check_download, download_weights

BODY = bytes(range(256)) * 9_000  # 2.2 MiB: three pieces
FILE = "marqo-gcl-vitb32-127-gs-full_states.pt"


@dataclass
class Server:
    """A web server on this machine, with the vices of the real ones."""

    url: str = ""
    knows_ranges: bool = True
    wrong_ranges: bool = False
    tells_length: bool = True
    cut_at: int | None = None
    requests: list[dict[str, str]] = field(default_factory=list)

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests.append(dict(handler.headers))
        if handler.path != f"/v1/{FILE}":
            handler.send_error(404)
            return
        wanted = re.match(r"bytes=(\d+)-", handler.headers.get("Range", ""))
        start = int(wanted[1]) if wanted and self.knows_ranges else 0
        if start >= len(BODY):
            handler.send_response(416)
            handler.send_header("Content-Range", f"bytes */{len(BODY)}")
            handler.end_headers()
            return
        handler.send_response(206 if start else 200)
        if start:
            start = 1 if self.wrong_ranges else start
            handler.send_header("Content-Range", f"bytes {start}-{len(BODY) - 1}/{len(BODY)}")
        if self.tells_length:
            handler.send_header("Content-Length", str(len(BODY) - start))
        handler.end_headers()
        handler.wfile.write(BODY[start : self.cut_at])


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *arguments: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    state.url = f"http://127.0.0.1:{httpd.server_port}/v1"
    yield state
    httpd.shutdown()
    thread.join()
    httpd.server_close()


def _expect_checksum(monkeypatch: pytest.MonkeyPatch, sha256: str) -> None:
    monkeypatch.setitem(BACKBONES, "ViT-B-32", replace(BACKBONES["ViT-B-32"], sha256=sha256))


def test_a_file_arrives_whole_with_its_checksum_beside_it(server, tmp_path):
    path = download_weights("vit-b-32", tmp_path / "new" / "folder", server.url)
    assert path == tmp_path / "new" / "folder" / FILE
    assert path.read_bytes() == BODY
    digest = hashlib.sha256(BODY).hexdigest()
    assert path.with_name(FILE + ".sha256").read_text() == f"{digest}  {FILE}\n"
    assert sorted(p.name for p in path.parent.iterdir()) == [FILE, FILE + ".sha256"]
    assert server.requests[0]["User-Agent"] == "visual-taxonomy"


def test_the_published_addresses_are_those_of_the_original():
    addresses = [f"{GCL_URL}/{tower.file_name}" for tower in BACKBONES.values()]
    host = "https://marqo-gcl-public.s3.us-west-2.amazonaws.com/v1"
    assert addresses == [
        f"{host}/marqo-gcl-vitb32-127-gs-full_states.pt",
        f"{host}/marqo-gcl-vitl14-124-gs-full_states.pt",
    ]


def test_progress_grows_from_nothing_to_all(server, tmp_path):
    seen: list[tuple[int, int | None]] = []
    download_weights("ViT-B-32", tmp_path, server.url, lambda *counts: seen.append(counts))
    assert seen[0] == (0, len(BODY))
    assert seen[-1] == (len(BODY), len(BODY))
    assert seen == sorted(seen)
    assert len(seen) >= 4


def test_a_partial_file_is_gone_on_with(server, tmp_path):
    (tmp_path / f"{FILE}.part").write_bytes(BODY[:1000])
    seen: list[tuple[int, int | None]] = []
    path = download_weights("ViT-B-32", tmp_path, server.url, lambda *counts: seen.append(counts))
    assert path.read_bytes() == BODY
    assert server.requests[0]["Range"] == "bytes=1000-"
    assert seen[0] == (1000, len(BODY))


@pytest.mark.parametrize("vice", ["knows_ranges", "wrong_ranges"])
def test_a_server_that_cannot_go_on_starts_over(server, tmp_path, vice):
    setattr(server, vice, vice == "wrong_ranges")
    (tmp_path / f"{FILE}.part").write_bytes(b"x" * 1000)
    assert download_weights("ViT-B-32", tmp_path, server.url).read_bytes() == BODY


def test_a_partial_file_that_is_whole_is_only_renamed(server, tmp_path):
    (tmp_path / f"{FILE}.part").write_bytes(BODY)
    assert download_weights("ViT-B-32", tmp_path, server.url).read_bytes() == BODY
    assert len(server.requests) == 1


def test_a_partial_file_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / f"{FILE}.part").write_bytes(BODY + b"more")
    assert download_weights("ViT-B-32", tmp_path, server.url).read_bytes() == BODY


def test_a_server_that_does_not_tell_the_length_is_believed(server, tmp_path):
    server.tells_length = False
    seen: list[tuple[int, int | None]] = []
    path = download_weights("ViT-B-32", tmp_path, server.url, lambda *counts: seen.append(counts))
    assert path.read_bytes() == BODY
    assert seen[-1] == (len(BODY), None)


def test_a_body_cut_off_is_an_error_and_what_came_is_kept_to_go_on_from(server, tmp_path):
    server.cut_at = 1_500_000
    with pytest.raises(InputError, match=r"cut off \(.*run the command again"):
        download_weights("ViT-B-32", tmp_path, server.url)
    assert not (tmp_path / FILE).exists()
    assert (tmp_path / f"{FILE}.part").read_bytes() == BODY[:1_500_000]
    server.cut_at = None
    assert download_weights("ViT-B-32", tmp_path, server.url).read_bytes() == BODY
    assert server.requests[-1]["Range"] == "bytes=1500000-"


def test_a_connection_lost_on_the_way_keeps_what_came(server, tmp_path, monkeypatch):
    read = download._read
    pieces = iter([True, False])

    class Lost:
        def read(self, size: int) -> bytes:
            raise ConnectionResetError("reset by peer")

    monkeypatch.setattr(
        download, "_read", lambda body, *rest: read(body if next(pieces) else Lost(), *rest)
    )
    with pytest.raises(InputError, match=r"cut off \(reset by peer\)"):
        download_weights("ViT-B-32", tmp_path, server.url)
    assert (tmp_path / f"{FILE}.part").stat().st_size == 1 << 20


def test_a_checksum_that_is_right_is_accepted(server, tmp_path, monkeypatch):
    _expect_checksum(monkeypatch, hashlib.sha256(BODY).hexdigest())
    assert download_weights("ViT-B-32", tmp_path, server.url).exists()


def test_a_checksum_that_is_wrong_is_an_error_and_nothing_is_left(server, tmp_path, monkeypatch):
    _expect_checksum(monkeypatch, "0" * 64)
    with pytest.raises(InputError, match=f"{FILE}: checksum is [0-9a-f]+, expected 000"):
        download_weights("ViT-B-32", tmp_path, server.url)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_returned_at_once(tmp_path):
    (tmp_path / FILE).write_bytes(b"mine")
    path = download_weights("ViT-B-32", tmp_path, "http://127.0.0.1:1/nobody/listens")
    assert path.read_bytes() == b"mine"


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(InputError, match="Did you mean 'ViT-B-32'"):
        download_weights("ViT-B32", tmp_path)


def test_a_file_the_server_lacks_is_named(server, tmp_path):
    with pytest.raises(InputError, match=f"{FILE}: the server answers 404"):
        download_weights("ViT-B-32", tmp_path, server.url + "/elsewhere")


def test_a_server_out_of_reach_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"cannot be reached .*Offline, copy the file"):
        download_weights("ViT-B-32", tmp_path, "http://127.0.0.1:1")


@pytest.mark.parametrize("url", ["http://mirror.example/v1", "file:///etc", "ftp://127.0.0.1"])
def test_only_https_is_used_beyond_this_machine(url, tmp_path):
    with pytest.raises(InputError, match="by https only"):
        download_weights("ViT-B-32", tmp_path, url)


def test_a_full_disk_is_said_and_what_came_is_kept(server, tmp_path, monkeypatch):
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download.os, "fsync", full)
    with pytest.raises(InputError, match="the disk is full"):
        download_weights("ViT-B-32", tmp_path, server.url)
    assert (tmp_path / f"{FILE}.part").read_bytes() == BODY


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file: cannot be written"):
        download_weights("ViT-B-32", Path(tmp_path, "file"), "http://127.0.0.1:1")


def test_a_download_that_changed_is_refused_and_one_that_did_not_is_not(server, tmp_path):
    path = download_weights("ViT-B-32", tmp_path, server.url)
    check_download(path)
    path.write_bytes(b"!" + BODY[1:])
    with pytest.raises(InputError, match=r"not the file that was downloaded .*delete both and run"):
        check_download(path)
    path.with_name(FILE + ".sha256").write_text("")
    with pytest.raises(InputError, match="not the file that was downloaded"):
        check_download(path)


def test_a_file_without_a_checksum_beside_it_is_taken_as_it_is(tmp_path):
    (tmp_path / "mine.pt").write_bytes(b"mine")
    check_download(tmp_path / "mine.pt")
