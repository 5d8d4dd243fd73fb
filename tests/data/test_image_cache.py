import errno
import multiprocessing
import os
import pickle
import shutil
import signal
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visual_taxonomy.data import image_cache
from visual_taxonomy.data.image_cache import (
    CachedImages,
    cache_in_folder,
    cache_in_memory,
    cached_size,
    open_cache,
    shrink,
)
from visual_taxonomy.data.images import UnreadableImage, decode_image
from visual_taxonomy.errors import InputError

SIZE = (16, 12)
FORK = multiprocessing.get_context("fork")  # a fresh interpreter imports torch for seconds


def draw(path: Path, seed: int, width: int = 40, height: int = 50) -> Path:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 4, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    image.save(path, quality=95)
    return path


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "images"
    folder.mkdir()
    return [draw(folder / f"{number}.jpg", number) for number in range(6)]


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that were decoded."""
    names = []

    def count(path: Path, **options: object) -> np.ndarray:
        names.append(path.name)
        return decode_image(path, **options)

    monkeypatch.setattr(image_cache, "decode_image", count)
    return names


def expected(path: Path) -> np.ndarray:
    """By Pillow: the width falls to 12, the height by as much."""
    with Image.open(path) as image:
        small = image.resize((13, 16), Image.Resampling.BICUBIC)
    return np.asarray(small).astype(int)


def check(images: CachedImages, paths: list[Path]) -> None:
    assert len(images) == len(paths)
    for row, path in enumerate(paths):
        assert abs(images(row) - expected(path)).max() <= 2


def sums(images: CachedImages) -> list[int]:
    return [zlib.crc32(images(row)) for row in range(len(images))]


def build(tmp_path: Path, paths: list[Path], **options: object) -> CachedImages:
    return cache_in_folder(tmp_path / "cache", paths, SIZE, **options)


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_images_are_those_of_the_files_reduced(tmp_path, paths, workers):
    check(build(tmp_path, paths, workers=workers), paths)


def test_images_in_memory_are_the_same(paths):
    check(cache_in_memory(paths, SIZE), paths)
    check(open_cache(Path("ram"), paths, SIZE), paths)


def test_the_second_time_no_image_is_decoded(tmp_path, paths, decoded):
    open_cache(tmp_path / "cache", paths, SIZE)
    assert sorted(decoded) == [path.name for path in paths]
    index = next((tmp_path / "cache").glob("index*"))
    written = index.stat().st_mtime_ns
    check(build(tmp_path, paths), paths)
    assert len(decoded) == len(paths)
    assert index.stat().st_mtime_ns == written


def test_images_stay_when_the_files_are_gone(tmp_path, paths):
    images = [build(tmp_path, paths), cache_in_memory(paths, SIZE)]
    want = [expected(path) for path in paths]
    shutil.rmtree(paths[0].parent)
    for cached in images:
        assert all(abs(cached(row) - want[row]).max() <= 2 for row in range(len(paths)))


def test_new_and_changed_images_are_read_and_the_others_stay(tmp_path, paths, decoded):
    build(tmp_path, paths[:4])
    decoded.clear()
    draw(paths[1], 99)
    os.utime(paths[2], ns=(0, 0))
    check(build(tmp_path, paths), paths)
    assert sorted(decoded) == ["1.jpg", "2.jpg", "4.jpg", "5.jpg"]
    decoded.clear()
    check(build(tmp_path, paths[::-1]), paths[::-1])
    assert decoded == []


def test_an_image_that_changes_while_a_run_reads_it_stays_as_it_was_for_that_run(tmp_path, paths):
    before = build(tmp_path, paths)
    want = expected(paths[0])
    draw(paths[0], 99)
    check(build(tmp_path, paths), paths)
    assert abs(before(0) - want).max() <= 2


def test_another_size_is_another_cache(tmp_path, paths):
    build(tmp_path, paths)
    assert cache_in_folder(tmp_path / "cache", paths, (20, 10))(0).shape == (20, 16, 3)
    check(build(tmp_path, paths), paths)


def test_rows_may_share_an_image(tmp_path, paths, decoded):
    rows = [paths[0], paths[1], paths[0]]
    check(build(tmp_path, rows), rows)
    assert len(decoded) == 2


def test_no_images_are_a_cache_too(tmp_path):
    assert len(build(tmp_path, [])) == 0


def test_what_is_returned_can_be_written_to_and_changes_nothing(tmp_path, paths):
    images = build(tmp_path, paths)
    images(0)[:] = 0
    check(images, paths)


def test_an_unreadable_image_says_why_until_it_is_mended(tmp_path, paths):
    paths[2].write_bytes(b"%PDF")
    paths[3].unlink()
    for cached in (build(tmp_path, paths), build(tmp_path, paths), cache_in_memory(paths, SIZE)):
        assert list(cached.problems) == [2, 3]
        with pytest.raises(UnreadableImage, match="not a JPEG"):
            cached(2)
        with pytest.raises(UnreadableImage, match="the file is missing"):
            cached(3)
        assert abs(cached(4) - expected(paths[4])).max() <= 2
    for row in (2, 3):
        draw(paths[row], row)
    check(build(tmp_path, paths), paths)


@pytest.mark.parametrize("place", ["folder", "memory"])
def test_another_process_reads_the_same_images(tmp_path, paths, place):
    cached = build(tmp_path, paths) if place == "folder" else cache_in_memory(paths, SIZE)
    check(cached, paths)  # the file is mapped now, and must not be sent along
    answers = FORK.Queue()
    sent = pickle.dumps(cached)
    reader = FORK.Process(target=lambda: answers.put(sums(pickle.loads(sent))))
    reader.start()
    assert answers.get(timeout=60) == sums(cached)
    reader.join()


def test_a_build_that_is_killed_loses_no_finished_image(tmp_path, decoded):
    folder = tmp_path / "images"
    folder.mkdir()
    paths = [draw(folder / f"{number:04d}.jpg", number) for number in range(200)]
    cache = tmp_path / "cache"

    def build_slowly() -> None:
        image_cache._SECONDS_BETWEEN_COMMITS, image_cache._CHUNK = 0, 8
        cache_in_folder(cache, paths, SIZE, 2, lambda *_: time.sleep(0.01))

    builder = FORK.Process(target=build_slowly)
    builder.start()
    while not list(cache.glob("index_*")):
        assert builder.is_alive()
        time.sleep(0.005)
    time.sleep(0.1)
    builder.kill()
    builder.join()
    assert builder.exitcode == -signal.SIGKILL
    with next(cache.glob("pixels_*")).open("ab") as file:
        file.write(b"half an image")
    check(build(tmp_path, paths), paths)
    assert 0 < len(decoded) < 200
    decoded.clear()
    check(build(tmp_path, paths), paths)
    assert decoded == []


def test_an_interrupted_build_keeps_what_it_has(tmp_path, paths, decoded, monkeypatch):
    monkeypatch.setattr(image_cache, "_CHUNK", 2)

    def interrupt(done: int, total: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path, paths, on_progress=interrupt)
    decoded.clear()
    check(build(tmp_path, paths), paths)
    assert sorted(decoded) == ["4.jpg", "5.jpg"]


def test_progress_counts_the_images_to_do(tmp_path, paths, monkeypatch):
    monkeypatch.setattr(image_cache, "_CHUNK", 2)
    seen = []
    build(tmp_path, paths[:3])
    build(tmp_path, paths, on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 3), (3, 3)]


def test_several_processes_build_once(tmp_path, paths):
    answers = FORK.Queue()

    def count() -> None:
        done = [0]
        build(tmp_path, paths, on_progress=lambda *numbers: done.append(numbers[0]))
        answers.put(done[-1])

    builders = [FORK.Process(target=count) for _ in range(2)]
    for builder in builders:
        builder.start()
    counts = [answers.get(timeout=60) for _ in builders]
    for builder in builders:
        builder.join()
    assert sorted(counts) == [0, len(paths)]
    check(build(tmp_path, paths), paths)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [cut, flip, Path.unlink, Path.touch])
@pytest.mark.parametrize("part", ["pixels", "index"])
def test_a_damaged_cache_is_built_anew(tmp_path, paths, decoded, part, damage):
    build(tmp_path, paths)
    decoded.clear()
    damage(next((tmp_path / "cache").glob(f"{part}_*")))
    check(build(tmp_path, paths), paths)
    assert len(decoded) == (0 if damage is Path.touch else len(paths))


def spoil(images: CachedImages, row: int) -> None:
    """Flip a bit of one image that the look at the opening misses."""
    content = bytearray(images.path.read_bytes())
    content[int(images.places[row, 0]) + 5] ^= 1
    images.path.write_bytes(content)


@pytest.fixture
def unseen(monkeypatch):
    """No image is looked at when a cache is opened, as most are not where there are many."""
    monkeypatch.setattr(image_cache, "_CHECKED", 0)


@pytest.mark.usefixtures("unseen")
@pytest.mark.parametrize("sent", [False, True])
def test_a_damaged_image_is_decoded_again_when_it_is_used(tmp_path, paths, decoded, sent):
    before = sums(build(tmp_path, paths))
    spoil(build(tmp_path, paths), 2)
    decoded.clear()
    images = build(tmp_path, paths)
    assert decoded == []
    if sent:
        images = pickle.loads(pickle.dumps(images))
    assert sums(images) == before
    assert decoded == ["2.jpg"]


@pytest.mark.usefixtures("unseen")
@pytest.mark.parametrize("change", [Path.unlink, lambda path: draw(path, 99)])
def test_a_damaged_image_that_cannot_be_had_again_is_unreadable(tmp_path, paths, change):
    images = build(tmp_path, paths)
    spoil(images, 2)
    change(paths[2])
    with pytest.raises(UnreadableImage, match=r"pixels_16x12\.bin is damaged; delete that"):
        images(2)
    assert abs(images(3) - expected(paths[3])).max() <= 2


@pytest.mark.usefixtures("unseen")
def test_a_damaged_image_whose_index_is_gone_is_unreadable(tmp_path, paths):
    images = build(tmp_path, paths)
    spoil(images, 2)
    next((tmp_path / "cache").glob("index_*")).unlink()
    with pytest.raises(UnreadableImage, match="is damaged; delete that file"):
        images(2)


def test_an_image_is_compared_with_its_checksum_once(tmp_path, paths, monkeypatch):
    images = build(tmp_path, paths)
    calls = []
    crc32 = zlib.crc32
    monkeypatch.setattr(zlib, "crc32", lambda data: calls.append(1) or crc32(data))
    for _ in range(2):
        images(0)
    assert len(calls) == 1


def test_what_a_killed_build_left_is_removed(tmp_path, paths):
    build(tmp_path, paths)
    left = tmp_path / "cache" / ".index_16x12.0123456789ab.json"
    left.touch()
    build(tmp_path, paths)
    assert not left.exists()


def test_a_cache_of_another_version_is_built_anew(tmp_path, paths, decoded, monkeypatch):
    build(tmp_path, paths)
    decoded.clear()
    monkeypatch.setattr(image_cache, "_VERSION", 2)
    check(build(tmp_path, paths), paths)
    assert len(decoded) == len(paths)


def test_a_run_that_reads_a_cache_does_not_notice_that_it_is_built_anew(tmp_path, paths):
    before = build(tmp_path, paths)
    check(before, paths)
    next((tmp_path / "cache").glob("index_*")).unlink()
    check(build(tmp_path, paths), paths)
    check(before, paths)


def test_a_folder_that_cannot_be_written_is_refused(tmp_path, paths):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(InputError, match=r"`image_cache` .*cache: cannot be written \(File exists"):
        build(tmp_path, paths)


@pytest.mark.parametrize("place", ["folder", "ram"])
def test_a_full_disk_is_an_input_error(tmp_path, paths, monkeypatch, place):
    def refuse(*_args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(image_cache._Build, "_append", refuse)
    place = tmp_path / "cache" if place == "folder" else Path("ram")
    with pytest.raises(InputError, match=r"`image_cache` .*: no space left; name a folder on"):
        open_cache(place, paths, SIZE)


def test_a_system_without_anonymous_files_asks_for_a_folder(paths, monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    with pytest.raises(InputError, match="`image_cache=ram` needs Linux; name a folder instead"):
        cache_in_memory(paths, SIZE)


def test_memory_is_free_when_the_last_user_is_gone(paths):
    cached = cache_in_memory(paths, SIZE)
    name = os.readlink(cached.path)
    del cached
    opened = [Path(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")]
    assert name not in [os.readlink(fd) for fd in opened if fd.is_symlink()]


@pytest.mark.parametrize(
    ("size", "least", "small"),
    [
        ((512, 384), (256, 256), (341, 256)),
        ((384, 512), (256, 256), (256, 341)),
        ((500, 500), (183, 137), (183, 183)),
        ((100, 300), (120, 10), (100, 300)),
    ],
)
def test_both_sides_cover_the_size_and_none_is_enlarged(size, least, small):
    assert shrink(np.zeros((*size, 3), np.uint8), least).shape == (*small, 3)


def test_the_cached_size_leaves_room_for_crops():
    """A crop of 0.9 of the area has 0.9 of each side or more."""
    assert cached_size((224, 224)) == (256, 256)
    assert cached_size((160, 120)) == (183, 138)
    for side in (32, 160, 224, 336):
        assert cached_size((side, side))[0] * 0.9 > side
