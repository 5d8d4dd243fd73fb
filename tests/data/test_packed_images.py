"""Images that stand in a Parquet file: read in parts, copied out, and listed like files."""

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image

from visual_taxonomy.data import packed_images
from visual_taxonomy.data.duplicates import fingerprints
from visual_taxonomy.data.image_cache import cache_in_folder
from visual_taxonomy.data.images import UnreadableImage, decode_image
from visual_taxonomy.data.label_file import LabelFile
from visual_taxonomy.data.label_reading import LabelReading
from visual_taxonomy.data.packed_images import Origin, PackedImages
from visual_taxonomy.data.parquet_images import Cell, image_columns, read_cells
from visual_taxonomy.data.table import Table, read_table
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.image_stamps import ImageStamps
from visual_taxonomy.taxonomy import Taxonomy
from visual_taxonomy.training.data_record import changes, record, write_record

READING = LabelReading(image_column="image")
TAXONOMY = Taxonomy.from_dict({"A": {"color": ["red", "blue"]}})


def png(level: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((9, 7, 3), level, np.uint8)).save(file, "PNG")
    return file.getvalue()


def write(path: Path, images: list[object], kind: pl.DataType | type[pl.DataType]) -> Path:
    count = len(images)
    columns = {"id": [f"P-{k}" for k in range(count)], "Category": ["A"] * count}
    columns |= {"color": ["red", "blue"] * (count // 2) + ["red"] * (count % 2)}
    frame = pl.DataFrame(columns).with_columns(image=pl.Series(images, dtype=kind))
    frame.write_parquet(path, row_group_size=3)
    return path


def read(path: Path, folder: Path | None = None, **options: object) -> Table:
    return read_table(path, folder, TAXONOMY, reading=READING, **options)  # type: ignore[arg-type]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path / "a.parquet", [png(k) for k in range(8)], pl.Binary)


def level(table: Table, row: int) -> int:
    return int(decode_image(table.image(row))[0, 0, 0])


def test_bytes_are_the_images_of_their_rows(path: Path) -> None:
    table = read(path)
    assert [level(table, row) for row in range(8)] == list(range(8))
    assert table.image(5) == png(5)
    assert table.images.place(5) == f"{path}, row 6, column 'image'"
    part = table.take(np.array([6, 2]))
    assert [level(part, row) for row in range(2)] == [6, 2]


def test_rows_without_any_value_shift_no_image(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", [png(k) for k in range(4)], pl.Binary)
    frame = pl.read_parquet(path).with_row_index("row")
    blank = pl.when(pl.col("row") != 1)
    names = ("id", "Category", "color")
    frame.with_columns(blank.then(pl.col(n)).alias(n) for n in names).drop("row").write_parquet(
        path
    )
    table = read(path)
    assert [level(table, row) for row in range(3)] == [0, 2, 3]
    assert table.images.place(1) == f"{path}, row 3, column 'image'"


def test_cells_of_hugging_face_are_bytes_or_paths(tmp_path: Path) -> None:
    (tmp_path / "tops").mkdir()
    (tmp_path / "tops" / "1.png").write_bytes(png(40))
    cells = [{"bytes": png(3), "path": "gone.png"}, {"bytes": None, "path": "tops/1.png"}]
    kind = pl.Struct({"bytes": pl.Binary, "path": pl.String})
    path = write(tmp_path / "a.parquet", cells, kind)
    table = read(path, tmp_path)
    assert [level(table, row) for row in range(2)] == [3, 40]
    assert table.image(1) == tmp_path / "tops" / "1.png"
    with pytest.raises(InputError, match=r"a\.parquet: its images are files, named by column 'im"):
        read(path)


def test_a_path_in_a_struct_never_leaves_the_folder(tmp_path: Path) -> None:
    kind = pl.Struct({"bytes": pl.Binary, "path": pl.String})
    path = write(tmp_path / "a.parquet", [{"bytes": None, "path": "../secret.png"}], kind)
    with pytest.raises(InputError, match=r"row 1, column 'image': '\.\./secret\.png' leads out"):
        read(path, tmp_path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"tops/1.png", "not a JPEG"), (None, "the file is empty"), (b"", "the file is empty")],
)
def test_bytes_that_are_no_image_are_one_bad_row(
    tmp_path: Path, content: bytes | None, reason: str
) -> None:
    table = read(write(tmp_path / "a.parquet", [png(1), content, png(2)], pl.Binary))
    assert [level(table, row) for row in (0, 2)] == [1, 2]
    with pytest.raises(UnreadableImage, match=reason):
        decode_image(table.image(1))
    assert fingerprints(table.images)[:, 0].tolist() == [1, 0, 1]


def test_a_folder_is_needed_for_images_that_are_files(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,Category,color\n1,A,red\n")
    with pytest.raises(InputError, match=r"are files, named by the ids; name their folder"):
        read_table(tmp_path / "a.csv", None, TAXONOMY)


def test_a_column_of_images_that_nobody_named_is_suggested(path: Path) -> None:
    with pytest.raises(InputError, match=r"column 'image' holds images: give `image_column=image`"):
        read_table(path, None, TAXONOMY)
    with pytest.raises(InputError, match=r"column 'image': holds images, expected text"):
        LabelFile(path, LabelReading(id_column="image")).column("id")


def test_images_are_not_read_with_the_labels(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("reads all columns")

    monkeypatch.setattr(pl, "read_parquet", refuse)
    assert LabelFile(path, READING).columns == ["id", "Category", "color"]


def test_only_the_rows_that_are_wanted_are_given(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visual_taxonomy.data.parquet_images._PART", 2)
    found = dict(read_cells(path, "image", np.array([1, 6])))
    assert found == {1: [Cell(png(1))], 6: [Cell(png(6))]}


def test_text_in_a_column_of_bytes_is_no_image_column(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", [b"tops/1.png"] * 2, pl.Binary)
    assert image_columns(path) == []
    assert image_columns(path, ["image"]) == ["image"]


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_other_processes_see_the_same_images(path: Path) -> None:
    table = read(path)
    expected = table.image(3)
    # As a process that was started afresh gets it, and as one that was forked off does.
    assert pickle.loads(pickle.dumps(table)).image(3) == expected
    reader, writer = os.pipe()
    if not os.fork():
        os.write(writer, bytes(table.image(3)))  # type: ignore[arg-type]
        os._exit(0)
    os.wait()
    assert os.read(reader, 1 << 16) == expected
    os.close(reader)
    os.close(writer)


def test_a_changed_file_changes_the_stamps_of_its_images(path: Path, tmp_path: Path) -> None:
    table = read(path)
    before = ImageStamps(table)(0, 8)
    write_record(tmp_path / "data.parquet", record(table))
    assert changes(tmp_path / "data.parquet", record(read(path))) == []
    os.utime(path, ns=(0, 5))
    assert ImageStamps(read(path))(0, 8) != before
    assert "8 images have another time of change" in str(
        changes(tmp_path / "data.parquet", record(read(path)))
    )


def test_packed_images_are_cached_like_files(path: Path, tmp_path: Path) -> None:
    images = read(path).images
    cached = cache_in_folder(tmp_path / "cache", images, (9, 7))
    assert [int(cached(row)[0, 0, 0]) for row in range(8)] == list(range(8))
    decoded: list[int] = []
    cache_in_folder(tmp_path / "cache", images, (9, 7), 1, lambda done, _: decoded.append(done))
    assert decoded == []


def test_a_full_disk_for_temporary_files_is_named(
    monkeypatch: pytest.MonkeyPatch, make_full: Callable[..., object]
) -> None:
    monkeypatch.setattr(packed_images.tempfile, "TemporaryFile", make_full)
    with pytest.raises(InputError, match=r"copied there out of their table.*TMPDIR=FOLDER"):
        PackedImages([(1, b"x" * 10)], Origin(Path("a.parquet"), "image", 0, 0))


@pytest.fixture
def make_full() -> Callable[..., object]:
    # Of this device every writing fails, as on a full disk.
    return lambda **_: open("/dev/full", "wb")


def test_a_damaged_file_is_an_input_error(path: Path) -> None:
    file = LabelFile(path, READING)
    content = bytearray(path.read_bytes())
    start = content.index(png(0)[:20])
    content[start - 40 : start + 400] = b"\xff" * 440
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.parquet, column 'image': damaged"):
        list(read_cells(file.path, "image", file.source_rows))


@pytest.mark.parametrize("name", ["\0a1:0", "\0"])
def test_no_text_is_taken_for_an_image_that_was_packed(tmp_path: Path, name: str) -> None:
    """Names of packed images begin with a null character, and a table may hold any text."""
    struct = pl.Struct({"bytes": pl.Binary, "path": pl.String})
    cells: list[tuple[list[object], object]] = [
        ([{"bytes": None, "path": name}], struct),
        ([name], pl.String),
        ([[name]], pl.List(pl.String)),
    ]
    for images, kind in cells:
        path = write(tmp_path / "a.parquet", images, kind)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="leads out of the image folder"):
            read(path, tmp_path)
