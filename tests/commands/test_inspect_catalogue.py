"""`vtax inspect`."""

from pathlib import Path

import pytest

from visual_taxonomy import cli
from visual_taxonomy.errors import InputError

ROWS = "".join(f"P{i},Tops,{('navy', 'Navy Blue', '')[i % 3]},{i}.50\n" for i in range(30))


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    path = tmp_path / "export.csv"
    path.write_text("sku,type,color,price\n" + ROWS, encoding="utf-8")
    return path


def test_a_catalogue_is_shown_and_its_roles_are_written(
    export: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["inspect", str(export), "--img_dir", "images"]) == 0
    printed = capsys.readouterr().out
    for text in (
        "export.csv: 30 rows",
        "left out: numbers",
        "1 categories: Tops 30",
        "color: may mean the same: Navy Blue, navy",
        "images: 0 found, 30 missing, first 'P0'",
        "images: 0 broken (0 files opened, 0 decoded)",
        "use it: --catalogue catalogue.toml",
    ):
        assert text in printed
    assert 'id_column = "sku"' in Path("catalogue.toml").read_text(encoding="utf-8")


def test_the_same_guess_may_be_written_again_and_another_may_not(export: Path) -> None:
    assert cli.run(["inspect", "--csv_path", str(export)]) == 0
    assert cli.run(["inspect", str(export)]) == 0
    with pytest.raises(InputError, match=r"--out catalogue\.toml: already exists"):
        cli.run(["inspect", str(export), "--category_name", "Shirts"])
    assert cli.run(["inspect", str(export), "--category_name", "Shirts", "--overwrite"]) == 0
    assert 'category_name = "Shirts"' in Path("catalogue.toml").read_text(encoding="utf-8")


def test_one_catalogue_is_needed(export: Path) -> None:
    for arguments in ([], [str(export), "--csv_path", str(export)]):
        with pytest.raises(InputError, match="give one catalogue"):
            cli.run(["inspect", *arguments])


def test_urls_in_place_of_images_are_said(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    export.write_text("sku,color,image\n1,red,http://a/1.jpg\n2,blue,http://a/2.jpg\n")
    assert cli.run(["inspect", str(export), "--img_dir", "images"]) == 0
    assert "'http://a/1.jpg' is a URL" in capsys.readouterr().err


def test_broken_images_are_named(export: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i in range(9):
        Path(f"images/P{i}.jpg").write_text(f"page {i}")
    assert cli.run(["inspect", str(export), "--img_dir", "images", "--all_images"]) == 0
    printed = capsys.readouterr().out
    assert "images: 9 broken (9 files opened, 0 decoded)" in printed
    assert "  P0.jpg: not a JPEG, PNG, WebP, BMP or GIF image" in printed
    assert "  and 3 more; --report lists them" in printed
    assert "P6.jpg" not in printed


def test_a_page_replaces_a_page_and_nothing_else(export: Path) -> None:
    for _ in range(2):
        assert cli.run(["inspect", str(export), "--report", "page.html"]) == 0
    assert "<h1>export.csv</h1>" in Path("page.html").read_text(encoding="utf-8")
    Path("mine.html").write_text("mine")
    with pytest.raises(InputError, match=r"--report mine\.html: already exists"):
        cli.run(["inspect", str(export), "--report", "mine.html"])
    with pytest.raises(InputError, match=r"--out and --report both name a\.toml"):
        cli.run(["inspect", str(export), "--report", "a.toml", "--out", "a.toml"])
