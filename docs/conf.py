"""Sphinx: the pages of this folder and the docstrings as a site; `make docs-site` builds it."""

from pathlib import Path

from sphinx.application import Sphinx

project = "Visual Taxonomy"
copyright = "the Visual Taxonomy authors"
extensions = ["myst_parser", "sphinx.ext.apidoc", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = project
exclude_patterns = ["_build"]
myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]
default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_inherit_docstrings = False  # of torch: they speak of other pages than these
# The front door lists names of other pages; each is documented where it is defined.
autodoc_default_options = {"ignore-module-all": True}
# In annotations, values of a Literal ("csv") and short names that two modules have (Table) are
# looked up like any name, and found twice; such a link goes to the first.
suppress_warnings = ["ref.python"]
apidoc_modules = [
    {
        "path": "../src/visual_taxonomy",
        "destination": "reference/api",
        "separate_modules": True,
        "module_first": True,
    }
]
_SECTIONS = ("Args:", "Returns:", "Raises:", "Yields:", "Warns:", "References:", "Example:")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", write_command_page)
    # Before Napoleon, which has 500: it takes the sections apart.
    app.connect("autodoc-process-docstring", mark_formulas, priority=400)


def write_command_page(app: Sphinx) -> None:
    """The help of every command, from the files that a test holds against the command line."""
    page = ["# Commands", ""]
    for path in sorted((Path(app.srcdir).parent / "tests/help").glob("*.txt")):
        page += [f"## vtax {path.stem}", "", "```text", path.read_text().rstrip(), "```", ""]
    (Path(app.srcdir) / "reference/commands.md").write_text("\n".join(page))


def mark_formulas(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Make indented formulas of a docstring literal blocks, and keep |x| from being a reference."""
    marked: list[str] = []
    section = False
    for line in lines:
        is_indented = line.startswith("    ")
        if line.strip() and not is_indented:
            section = line.strip() in _SECTIONS
        elif is_indented and not section and not (marked and marked[-1].startswith("    ")):
            marked += ["::", ""] if marked and not marked[-1].strip() else ["", "::", ""]
        is_prose = (section or not is_indented) and not line.lstrip().startswith((">>>", "..."))
        marked.append(line.replace("|", r"\|") if is_prose else line)
    lines[:] = marked
