"""`vtax audit`."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from visual_taxonomy.commands.outputs import check_output
from visual_taxonomy.commands.report import renew_report
from visual_taxonomy.commands.terminal import console, terminal
from visual_taxonomy.errors import InputError

if TYPE_CHECKING:
    from visual_taxonomy.audit.finding import Finding
    from visual_taxonomy.config import DataConfig
    from visual_taxonomy.data.label_reading import LabelReading
    from visual_taxonomy.data.table import Table
    from visual_taxonomy.taxonomy import Taxonomy

CONFIG_NAME = "config.toml"
FOLDER_NAME = "audit"
TITLES = {
    "likely_wrong": "{:,} labels that another class fits better, the most suspicious first",
    "contradictions": "{:,} labels of near-duplicates contradicting each other, the clearest first",
    "fillable": "{:,} unknown labels that can be filled in, the surest first",
}
"""Name of the CSV and of the PNG -> what they show."""


@dataclass(frozen=True)
class Audit:
    """List the labels worth a second look, or apply what a person decided about them."""

    run: Path | None = None
    """Folder of `vtax cross-validate` (all rows), or of `vtax train` (its validation rows)."""
    held_out: Path | None = None
    """Held-out predictions; held_out.npz of --run when left out."""
    csv_path: Path | None = None
    """Labelled CSV; that of the run when left out."""
    img_dir: Path | None = None
    """Folder of the images; that of the run when left out."""
    out: Path | None = None
    """Folder for the three lists and their images; `audit` in the run folder when left out."""
    target_precision: float = 0.95
    """Share of the labels filled into holes that are to be right."""
    limit: int | None = None
    """Rows of each list at most; None lists all."""
    overwrite: bool = False
    """Replace existing lists, or an existing --out_csv_path."""
    apply: tuple[Path, ...] | None = None
    """Lists whose column `reviewed` a person has filled in: a class is the new label, + takes the
    suggestion, - empties the label, nothing leaves it as it is. Needs --out_csv_path."""
    out_csv_path: Path | None = None
    """Corrected copy of --csv_path to write, with --apply."""
    attributes_config: Path | None = None
    """Taxonomy, with --apply; that of --run, or built from the CSV, when left out."""
    parq_path: Path | None = None
    """Attribute names of each category, with --apply and a taxonomy built from the CSV."""
    missing_values: tuple[str, ...] | None = None
    """Texts that mean an unknown label; None: those of the run, or else the usual ones."""
    attribute_columns: tuple[str, ...] | None = None
    """Columns that hold labels; None: those of the run, or else found as for training."""

    def __post_init__(self) -> None:
        if not 0 < self.target_precision < 1:
            raise InputError(
                f"--target_precision must lie between 0 and 1, not {self.target_precision}"
            )
        if self.limit is not None and self.limit < 1:
            raise InputError(f"--limit must be 1 or more, not {self.limit}")
        if self.apply is None and self.out_csv_path is not None:
            raise InputError("--out_csv_path needs --apply, the reviewed lists")
        if self.apply is not None and (not self.apply or self.out_csv_path is None):
            raise InputError("--apply needs reviewed lists and --out_csv_path, the copy to write")


class _Source(NamedTuple):
    """Where the labels are from."""

    csv_path: Path
    reading: "LabelReading"
    config: "DataConfig | None"
    """Of the run; None if it is not needed, or there is none."""


def audit(options: Audit) -> int:
    """List the labels worth a second look, or apply what a person decided about them."""
    source = _source(options)
    if options.apply is not None and options.out_csv_path is not None:
        return _apply(options, options.apply, options.out_csv_path, source)
    return _list(options, source)


def _source(options: Audit) -> _Source:
    from visual_taxonomy.data.label_reading import LabelReading, reading_of
    from visual_taxonomy.taxonomy import MISSING_VALUES

    config = None
    if options.run is not None:
        config = _config(options.run / CONFIG_NAME, is_needed=options.csv_path is None)
    csv_path = options.csv_path or (config.csv_path if config else None)
    if csv_path is None:
        raise InputError("name the labelled CSV: --run RUN_FOLDER, or --csv_path")
    markers, columns = options.missing_values, options.attribute_columns
    if markers is None:
        markers = config.missing_values if config else MISSING_VALUES
    if columns is None and config:
        columns = config.attribute_columns
    reading = LabelReading() if config is None else reading_of(config)
    reading = replace(reading, missing_values=markers, attribute_columns=columns)
    return _Source(csv_path, reading, config)


def _config(path: Path, is_needed: bool) -> "DataConfig | None":
    from visual_taxonomy.config import TrainConfig
    from visual_taxonomy.config_values import read_toml

    if path.exists():
        return read_toml(TrainConfig, path).data
    if is_needed:
        raise InputError(
            f"--run {path.parent}: holds no {path.name}, so it is no run folder; name one, or give "
            "--held_out, --csv_path, --img_dir and --out"
        )
    return None


def _held_out_path(options: Audit) -> Path:
    from visual_taxonomy.decision.held_out import HELD_OUT_NAME

    if options.held_out is not None:
        return options.held_out
    if options.run is None:
        raise InputError("name what is to be audited: --run RUN_FOLDER, or --held_out FILE")
    return options.run / HELD_OUT_NAME


def _list(options: Audit, source: _Source) -> int:
    from visual_taxonomy.audit.lists import audit_labels
    from visual_taxonomy.audit.rows import with_labels_of
    from visual_taxonomy.decision.held_out import HeldOut
    from visual_taxonomy.reporting.findings import audit_table
    from visual_taxonomy.witnesses.combining import heard_together

    path = _held_out_path(options)
    folder = options.out or (options.run / FOLDER_NAME if options.run else None)
    if folder is None:
        raise InputError("name the folder for the lists: --out FOLDER")
    _check_lists(options, [source.csv_path, path], folder)
    held_out = HeldOut.read(path)
    table = _table(options, source, held_out.taxonomy)
    rows = with_labels_of(table, held_out, path)
    for note in rows.notes():
        console.print(note)
    heard = heard_together(rows.held_out)
    lists = audit_labels(heard, options.target_precision)
    for name, findings in lists.by_name().items():
        _write(folder / name, findings, table, options.limit)
    console.print(audit_table(lists, heard))
    if not lists.fillable:
        console.print(
            f"no unknown label can be filled in at precision {options.target_precision}; lower "
            "--target_precision, or label more rows"
        )
    console.print(f"lists to review: {folder}")
    if options.run is not None and folder == options.run / FOLDER_NAME:
        renew_report(options.run)  # shows the lists that lie there
    return 0


def _check_lists(options: Audit, inputs: list[Path], folder: Path) -> None:
    for name in TITLES:
        for suffix in (".csv", ".png"):
            check_output("--out", folder / f"{name}{suffix}", inputs, options.overwrite)


def _table(options: Audit, source: _Source, taxonomy: "Taxonomy") -> "Table":
    from visual_taxonomy.data.table import read_table
    from visual_taxonomy.training.row_files import add_files

    config = source.config
    img_dir = options.img_dir or (config.img_dir if config else None)
    table = read_table(
        source.csv_path,
        img_dir,
        taxonomy,
        missing_images="keep",
        reading=source.reading,
        on_note=terminal.note,
    )
    # The validation and test files of the run belong to its own CSV, not to another.
    if config is None or options.csv_path is not None:
        return table
    return add_files(table, replace(config, img_dir=img_dir), terminal.note).table


def _write(path: Path, findings: "list[Finding]", table: "Table", limit: int | None) -> None:
    """The list as CSV, and its first images as PNG; an older PNG of an empty list goes."""
    from visual_taxonomy.audit.review import write_findings
    from visual_taxonomy.reporting.findings import pick_images, plot_findings

    write_findings(path.with_suffix(".csv"), findings[:limit])
    row_of = {product: row for row, product in enumerate(table.ids.tolist())}
    images = pick_images(findings[:limit], lambda finding: table.image(row_of[finding.id]))
    if images:
        title = TITLES[path.name].format(len(findings))
        plot_findings(images, path.with_suffix(".png"), title)
    else:
        path.with_suffix(".png").unlink(missing_ok=True)


def _apply(options: Audit, reviews: tuple[Path, ...], out: Path, source: _Source) -> int:
    from visual_taxonomy.audit.catalogue import Catalogue
    from visual_taxonomy.audit.corrections import apply_reviews

    inputs = [source.csv_path, *reviews, options.attributes_config, options.parq_path]
    check_output("--out_csv_path", out, inputs, options.overwrite)
    catalogue = Catalogue(source.csv_path, _taxonomy(options, source), source.reading)
    applied = apply_reviews(catalogue, reviews, out)
    console.print(
        f"{applied.num_changed:,} labels changed, {applied.already:,} were as reviewed already, "
        f"{applied.left:,} rows left as they are: {out}"
    )
    return 0


def _taxonomy(options: Audit, source: _Source) -> "Taxonomy":
    from visual_taxonomy.data.table import build_taxonomy
    from visual_taxonomy.decision.held_out import HeldOut
    from visual_taxonomy.taxonomy import Taxonomy

    if options.attributes_config is not None:
        return Taxonomy.read(options.attributes_config, source.reading.missing_values)
    if options.run is not None or options.held_out is not None:
        return HeldOut.read(_held_out_path(options)).taxonomy
    return build_taxonomy(source.csv_path, options.parq_path, source.reading)
