"""What the plots say, read from the figure before it is written."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text


@pytest.fixture
def figure_of(monkeypatch):
    """Call a plot function; returns its figure, drawn but not written."""

    def call(plot, *args, **options):
        figures = []

        def keep(figure, path):
            figures.append(figure)

        with monkeypatch.context() as patch:
            patch.setitem(plot.__globals__, "save_figure", keep)
            plot(*args, **options)
        (figure,) = figures
        # Without a canvas of its own, each question for the size of a text would draw a new one.
        FigureCanvasAgg(figure).draw()
        return figure

    return call


@pytest.fixture
def texts_of(figure_of):
    """Call a plot function; returns its texts (no ticks), checked to lie inside the figure."""

    def call(plot, *args, **options):
        figure = figure_of(plot, *args, **options)
        texts = [*figure.texts]
        for axes in figure.axes:
            texts += [*axes.texts, *(text for text in axes.get_children() if type(text) is Text)]
        texts = [text for text in texts if text.get_text()]
        width, height = figure.bbox.width, figure.bbox.height
        for text in texts:
            box = text.get_window_extent()
            assert box.x0 >= 0, text
            assert box.y0 >= 0, text
            assert box.x1 <= width, text
            assert box.y1 <= height, text
        return {text.get_text(): text for text in texts}

    return call
