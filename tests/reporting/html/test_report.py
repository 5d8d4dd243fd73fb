import re
from dataclasses import replace

import html5lib
import numpy as np
import pytest
from PIL import Image

from visual_taxonomy.errors import InputError
from visual_taxonomy.reporting.html.context import Context
from visual_taxonomy.reporting.html.report import (
    REPORT_NAME,
    is_report,
    picture_finder,
    report_run,
    write_report,
)
from visual_taxonomy.reporting.html.sections import SECTIONS
from visual_taxonomy.taxonomy import Taxonomy

FIVE_MEGABYTES = 5 * 1024 * 1024


def parse(html):
    return html5lib.HTMLParser(strict=True).parse(html)


def test_page_parses_strictly(context, html_of):
    parse(html_of(context))


def test_names_of_strangers_are_text(context, html_of, hostile, page_of):
    html = html_of(context)
    page = page_of(html)
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "iframe", "object", "base"})
    assert not [name for _, found in page.elements for name in found if name.startswith("on")]
    text = "".join(page.texts)
    for name in hostile:
        assert name in text
    assert "49" not in re.findall(r"<th scope=\"row\">(.*?)</th>", html)


def test_characters_that_html_forbids_are_replaced(context, html_of):
    html = html_of(context)
    assert "a\ufffdb\ufffd\ufffd\ufffdc" in html
    assert not set(html) & {"\x00", "\x85", "\ufffe", "\ud800"}


def test_nothing_is_fetched(context, html_of, page_of):
    page = page_of(html_of(context))
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "data", "poster", "xlink:href"):
            assert attributes.get(name, "#").startswith(("data:", "#")), (tag, attributes)
        assert "url(" not in attributes.get("style", "")
    css = page.texts[page.texts.index(next(t for t in page.texts if ":root" in t))]
    assert not re.search(r"url\(|@import|https?:", css)
    policy = next(a["content"] for t, a in page.elements if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")


def test_thumbnails_lie_in_the_page(context, html_of, page_of):
    page = page_of(html_of(context))
    sources = [a["src"] for tag, a in page.elements if tag == "img"]
    assert 2 <= len(sources) <= 36
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)


def test_every_anchor_has_its_section(context, html_of, page_of):
    page = page_of(html_of(context))
    places = [a["id"] for tag, a in page.elements if tag == "section"]
    links = [a["href"][1:] for tag, a in page.elements if tag == "a"]
    assert links == places
    assert len(set(places)) == len(places)
    assert set(places) - {"absent"} <= set(SECTIONS)


def test_sections_without_inputs_are_named_with_the_reason(held_out, html_of, page_of):
    html = html_of(Context(held_out))
    parse(html)
    absent = "".join(page_of(html[html.index('id="absent"') :]).texts)
    assert "Training: no run folder was given" in absent
    assert "Confident errors: the images are not where the run had them" in absent
    assert "Where classes are confused" not in absent


def test_many_classes_and_noisy_pictures_stay_below_five_megabytes(tmp_path, draw):
    words = [f"class number {i} of a long tail with a long name" for i in range(300)]
    taxonomy = Taxonomy.from_dict(
        {**{f"c{i}": {f"a{j}": words for j in range(2)} for i in range(3)}, "none": {"a": ["b"]}}
    )
    held_out = draw(taxonomy, rows=120)
    held_out = replace(held_out, ids=np.arange(120).astype(str))
    folder = tmp_path / "noise"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    for row in range(120):
        Image.fromarray(noise).save(folder / f"{row:06d}.bmp")
    path = tmp_path / "report.html"
    write_report(Context(held_out, None, picture_finder(folder)), path)
    assert path.stat().st_size < FIVE_MEGABYTES


def test_answers_that_are_no_numbers_are_left_out(held_out, html_of, page_of):
    probabilities = held_out.probabilities.copy()
    probabilities[::2] = np.nan
    html = html_of(Context(replace(held_out, probabilities=probabilities)))
    parse(html)
    assert "nan" not in "".join(page_of(html).texts).lower()


def test_rows_without_a_label_are_refused(held_out, tmp_path):
    blank = replace(held_out, targets=np.full_like(held_out.targets, -1))
    with pytest.raises(InputError, match="nothing to report: no held-out row has a label"):
        write_report(Context(blank), tmp_path / "report.html")


def test_a_taxonomy_of_one_class_has_a_report(html_of, draw):
    held_out = draw(Taxonomy.from_dict({"a": {"b": ["c"]}, "d": {"e": ["f"]}}), rows=5)
    parse(html_of(Context(held_out)))


@pytest.mark.parametrize("labels", [1, 3])
def test_a_few_labels_have_a_report(held_out, html_of, labels):
    targets = held_out.targets.copy()
    targets[labels:] = -1
    parse(html_of(Context(replace(held_out, targets=targets))))


def test_a_report_is_known_by_its_mark(context, tmp_path):
    write_report(context, tmp_path / "a.html", title="x" * 5000)
    (tmp_path / "b.html").write_text("<html></html>")
    assert is_report(tmp_path / "a.html")
    assert not is_report(tmp_path / "b.html")
    assert not is_report(tmp_path / "missing.html")


def test_a_run_folder_needs_held_out_predictions(tmp_path):
    with pytest.raises(InputError, match=r"held_out.npz: no held-out predictions; `vtax train`"):
        report_run(tmp_path)
    with pytest.raises(InputError, match="no such run folder"):
        report_run(tmp_path / "missing")


def test_a_run_folder_gets_its_report(tmp_path, taxonomy, draw):
    held_out = draw(taxonomy)
    held_out.write(tmp_path / "held_out.npz")
    assert report_run(tmp_path) == tmp_path / REPORT_NAME
    parse((tmp_path / REPORT_NAME).read_text(encoding="utf-8"))


def test_a_missing_picture_folder_is_no_error(tmp_path):
    assert picture_finder(tmp_path / "gone") is None
    assert picture_finder(None) is None
