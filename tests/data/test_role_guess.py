import polars as pl
import pytest

from visual_taxonomy.data.role_guess import Guess, guess_roles

ROWS = 80


def frame(**columns):
    return pl.DataFrame(
        {name: [str(value(i)) for i in range(ROWS)] for name, value in columns.items()}
    )


def test_an_export_is_understood():
    table = frame(
        title=lambda i: f"Garment number {i}",
        gender=lambda i: "Men" if i % 2 else "Women",
        masterCategory=lambda i: "Apparel",
        articleType=lambda i: "Tops" if i % 3 else "Shirts",
        productId=lambda i: f"P{i}",
        link=lambda i: f"x/{i}.JPG",
    )
    assert guess_roles(table) == Guess("productId", "link", ("gender", "articleType"), ("title",))


def test_a_gender_that_follows_from_the_category_is_not_part_of_it():
    table = frame(
        id=lambda i: i,
        gender=lambda i: "Women" if i % 2 else "Men",
        type=lambda i: "Saree" if i % 2 else "Kilt",
    )
    assert guess_roles(table).category_column == ("type",)


def test_a_column_of_too_many_kinds_is_not_the_category():
    table = frame(id=lambda i: i, category=lambda i: i % 2, subcategory=lambda i: i % 20)
    assert guess_roles(table).category_column == ("category",)


def test_the_usual_name_wins():
    table = frame(id=lambda i: i, Category=lambda i: i % 2, gender=lambda i: i % 4)
    assert guess_roles(table).category_column == ("Category",)


def test_the_first_column_is_the_id_if_its_values_are_distinct():
    assert guess_roles(frame(nr=lambda i: i, color=lambda i: i % 3)).id_column == "nr"
    assert guess_roles(frame(nr=lambda i: i % 9, color=lambda i: i % 3)).id_column is None


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (lambda i: f"{i}.jpg" if i % 10 else f"{i}", "a"),
        (lambda i: f"{i}.jpg" if i % 2 else "x", None),
    ],
)
def test_images_are_told_by_nine_of_ten_suffixes(values, found):
    assert guess_roles(frame(id=lambda i: i, a=values)).image_column == found


def test_images_are_told_by_a_name_if_the_values_may_be_paths():
    assert guess_roles(frame(id=lambda i: i, Image=lambda i: f"tops/{i}")).image_column == "Image"
    assert guess_roles(frame(id=lambda i: i, image=lambda i: "yes")).image_column is None


def test_words_are_texts_of_their_own_in_most_rows():
    table = frame(
        id=lambda i: i,
        name=lambda i: f"red shirt {i}" if i % 4 else "",
        slogan=lambda i: f"now with {i % 5} pockets",
        date=lambda i: f"{i} Jan 2024",
        code=lambda i: f"AB-{i}",
        price=lambda i: f"{i} {i}",
        attr_1=lambda i: f"dark red {i}",
    )
    assert guess_roles(table).text_columns == ("name",)
