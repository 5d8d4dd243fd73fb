"""`vtax create-config`."""

from dataclasses import dataclass, field
from pathlib import Path

from visual_taxonomy.commands.terminal import console
from visual_taxonomy.data.label_reading import LabelReading


@dataclass(frozen=True)
class CreateConfig:
    """Build the taxonomy from the labels of a CSV."""

    csv_path: Path
    """Labelled CSV (or Parquet); empty = unknown, and so are NA, N/A, NaN, None, null, ...
    (--missing_values)."""
    parq_path: Path | None = None
    """Parquet with Category and Attribute_list; names come from the CSV when left out."""
    out_path: Path = Path("config/attrs_config.json")
    """JSON file to write."""
    labels: LabelReading = field(default_factory=LabelReading)


def create_config(options: CreateConfig) -> int:
    """Build the taxonomy from the labels of a CSV."""
    from visual_taxonomy.atomic import write_text
    from visual_taxonomy.data.table import build_taxonomy

    taxonomy = build_taxonomy(options.csv_path, options.parq_path, options.labels)
    write_text(options.out_path, taxonomy.to_json())
    console.print(
        f"{len(taxonomy.categories)} categories, {len(taxonomy.tasks)} attributes: "
        f"{options.out_path}"
    )
    return 0
