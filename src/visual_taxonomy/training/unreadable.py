"""Images that a run could not read: counted once each, named, and listed in a file."""

import csv
import io
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from visual_taxonomy.atomic import write_text
from visual_taxonomy.data.dataset import Batch
from visual_taxonomy.data.images import NO_IMAGE
from visual_taxonomy.data.table import Table
from visual_taxonomy.errors import InputError
from visual_taxonomy.training.parallel import Parallel

UNREADABLE_NAME = "unreadable.csv"
TRAINING, VALIDATION = "training", "validation"

# Images that a message names; the file has them all.
_NAMED = 3


@dataclass
class Unreadable:
    """What this process has seen of the images of a run.

    Example:
        >>> import torch
        >>> rows = torch.tensor([0, 1])
        >>> seen = Unreadable()
        >>> seen.add(TRAINING, Batch(rows, -rows, rows, rows, {1: "the file is empty"}))
        >>> seen.reasons, seen.readable
        ({('training', 1): 'the file is empty'}, {'training': 1})
    """

    reasons: dict[tuple[str, int], str] = field(default_factory=dict)
    """Part and number of an image -> why it could not be read."""
    readable: dict[str, int] = field(default_factory=dict)
    """Part -> images that were read, over all epochs."""
    _reported: int = 0

    def add(self, part: str, batch: Batch) -> None:
        """Take note of a batch as the loader gave it."""
        read = int((batch.categories != NO_IMAGE).sum())
        self.readable[part] = self.readable.get(part, 0) + read
        for number, reason in batch.problems.items():
            self.reasons[part, number] = reason

    def watching(self, part: str, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The same batches, each taken note of."""
        for batch in batches:
            self.add(part, batch)
            yield batch

    def check(self, parallel: Parallel, tables: Mapping[str, Table]) -> dict[tuple[str, int], str]:
        """What all processes have found; call it on all of them.

        Raises:
            InputError: Of the training or of the validation rows seen, no image can be read.
        """
        seen = parallel.gather_objects((self.reasons, self.readable))
        reasons = {key: why for each, _ in seen for key, why in sorted(each.items())}
        for part, table in tables.items():
            # A part that nobody has looked at yet is not in `readable`.
            looked_at = [readable[part] for _, readable in seen if part in readable]
            if looked_at and not any(looked_at):
                found = {row: why for (of, row), why in reasons.items() if of == part}
                if found:
                    row = min(found)
                    raise InputError(
                        f"no image of the {part} rows can be read, first {table.images.place(row)} "
                        f"({found[row]}); check `img_dir` and the images"
                    )
        return reasons

    def report(self, parallel: Parallel, tables: Mapping[str, Table], folder: Path) -> None:
        """The same; warn of those that are new and list all in unreadable.csv.

        Raises:
            InputError: As `check`, or the disk is full.
        """
        reasons = self.check(parallel, tables)
        # Images are only ever added, so their number tells whether there is a new one.
        if len(reasons) == self._reported or not parallel.is_first:
            return
        self._reported = len(reasons)
        path = folder / UNREADABLE_NAME
        rows = [(tables[part], row, why) for (part, row), why in sorted(reasons.items())]
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["id", "path", "reason"])
        writer.writerows(
            (table.ids[table.row_of(number)], table.images.place(number), why)
            for table, number, why in rows
        )
        write_text(path, text.getvalue())
        named = "; ".join(f"{table.images.place(row)} ({why})" for table, row, why in rows[:_NAMED])
        verb = "was" if len(rows) == 1 else "were"
        count = f"{len(rows):,} image{'s' * (len(rows) > 1)}"
        more = ", ..." if len(rows) > _NAMED else ""
        warnings.warn(
            f"{count} could not be read and {verb} skipped: {named}{more}; "
            f"all are listed in {path}",
            stacklevel=2,
        )

    def load(self, tables: Mapping[str, Table], folder: Path) -> None:
        """Know the images of the file that an earlier part of the run has left."""
        path = folder / UNREADABLE_NAME
        if not path.exists():
            return
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        known: dict[str, dict[str, str]] = {}
        for row in rows:
            known.setdefault(row["id"], {})[row["path"]] = row["reason"]
        for part, table in tables.items():
            for place, product in enumerate(table.ids.tolist()):
                of_product, numbers = known.get(product, {}), table.numbers(place)
                for number in numbers if of_product else ():
                    # A single image is known by its id: the folder may have moved.
                    is_single = len(numbers) == 1
                    name = next(iter(of_product)) if is_single else table.images.place(number)
                    reason = of_product.get(name)
                    if reason is not None:
                        self.reasons[part, number] = reason
        self._reported = len(self.reasons)
