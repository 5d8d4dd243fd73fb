"""`vtax create-config`."""

from dataclasses import dataclass, field
from pathlib import Path

from visual_taxonomy.commands.outputs import check_output
from visual_taxonomy.commands.terminal import console
from visual_taxonomy.data.label_reading import LabelReading


@dataclass(frozen=True)
class CreateConfig:
    """Build the taxonomy from the labels of a CSV."""

    csv_path: Path
    """Labelled CSV (or Parquet).
    Empty cells mean unknown, and so do NA, N/A, NaN, None, null, ... (--missing_values)."""
    parq_path: Path | None = None
    """Parquet with Category and Attribute_list; by default the names come from the CSV."""
    out_path: Path = Path("config/attrs_config.json")
    """JSON file to write."""
    overwrite: bool = False
    """Replace an existing JSON file that differs."""
    labels: LabelReading = field(default_factory=LabelReading)


def create_config(options: CreateConfig) -> int:
    """Build the taxonomy from the labels of a CSV."""
    from visual_taxonomy.atomic import write_text
    from visual_taxonomy.data.table import build_taxonomy

    inputs = (options.csv_path, options.parq_path)
    check_output("--out_path", options.out_path, inputs, overwrite=True)
    taxonomy = build_taxonomy(options.csv_path, options.parq_path, options.labels)
    text = taxonomy.to_json()
    if not (options.out_path.is_file() and options.out_path.read_bytes() == text.encode()):
        check_output("--out_path", options.out_path, inputs, options.overwrite)
        write_text(options.out_path, text)
    console.print(
        f"{len(taxonomy.categories)} categories, {len(taxonomy.tasks)} attributes: "
        f"{options.out_path}"
    )
    return 0
