"""A grid of images with lines of text below each."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from visual_taxonomy.reporting.style import GRID, HEAD, MARGIN, add_axes, new_figure

WIDTH = 3.2
"""Inches an image is wide, and high at most."""

LINE = 0.185
"""Inches a line of text takes."""

TEXT_SIZE = 7.5
_GAP = 0.4


def draw_sheet(
    images: Sequence[Image.Image],
    num_lines: Sequence[int],
    write_lines: Callable[[Axes, int], None],
    title: str,
    subtitle: str,
    columns: int = 4,
) -> Figure:
    """Draw images row by row, each row as high as its longest text.

    Args:
        images: In any mode of Pillow; at least one.
        num_lines: Of the text below each.
        write_lines: Writes the lines of the image of a number into axes that are `WIDTH` wide and
            measured in inches from their top left corner.
        title: Of the figure.
        subtitle: Below the title.
        columns: Images side by side, >= 1.
    """
    columns = min(columns, len(images))
    shelves = [range(len(images))[i : i + columns] for i in range(0, len(images), columns)]
    heights = [LINE * max(num_lines[i] for i in shelf) for shelf in shelves]
    figure = new_figure(
        max(columns * (WIDTH + _GAP) - _GAP + 2 * MARGIN, 6.5),
        HEAD + sum(heights) + len(shelves) * (WIDTH + _GAP + 0.15),
        title,
        subtitle,
    )
    top = HEAD
    for shelf, height in zip(shelves, heights, strict=True):
        for column, i in enumerate(shelf):
            left = MARGIN + column * (WIDTH + _GAP)
            _draw_image(figure, images[i], left, top)
            axes = add_axes(figure, left, top + WIDTH + 0.12, WIDTH, height)
            axes.set_axis_off()
            axes.set_xlim(0, WIDTH)
            axes.set_ylim(height, 0)
            write_lines(axes, i)
        top += WIDTH + height + _GAP + 0.15
    return figure


def _draw_image(figure: Figure, image: Image.Image, left: float, top: float) -> None:
    """The image on a light square, whole, its sides in proportion."""
    small = image.convert("RGBA")
    # 3.2 inches at 150 dpi are 480 pixels: more would take memory and not be seen.
    small.thumbnail((512, 512))
    axes = add_axes(figure, left, top, WIDTH, WIDTH)
    axes.set_frame_on(True)
    axes.set_facecolor("#f4f5f7")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_color(GRID)
    axes.imshow(small, interpolation="lanczos")
    side = max(small.size)
    # imshow has the centre of the first pixel at 0, so its edge is at -0.5.
    axes.set_xlim((small.width - side) / 2 - 0.5, (small.width + side) / 2 - 0.5)
    axes.set_ylim((small.height + side) / 2 - 0.5, (small.height - side) / 2 - 0.5)
