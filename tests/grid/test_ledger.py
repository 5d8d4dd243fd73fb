import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from visual_taxonomy.errors import InputError
from visual_taxonomy.grid.ledger import FAILED, OK, SCHEMA, Ledger


def add_rows(folder: Path, names: list[str]) -> None:
    ledger = Ledger(folder)
    for name in names:
        ledger.add({"digest": name, "status": OK})
        ledger.merge()


def test_two_processes_that_add_at_once_lose_no_row(tmp_path: Path) -> None:
    # Processes of their own: threads of polars do not survive a fork of this one.
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_ledger import Path, add_rows\n"
        "add_rows(Path(sys.argv[1]), sys.argv[2:])"
    )
    names = [[f"{k}{i:02}" for i in range(15)] for k in "ab"]
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), *each]) for each in names
    ]
    assert [each.wait(60) for each in processes] == [0, 0]
    found = pl.read_parquet(tmp_path / "ledger.parquet")
    assert found["digest"].to_list() == sorted(names[0] + names[1])


def test_the_order_of_the_rows_does_not_depend_on_who_ended_first(tmp_path: Path) -> None:
    for number, order in enumerate((["a", "b", "c"], ["c", "a", "b"])):
        add_rows(tmp_path / str(number), order)
    first, second = (pl.read_parquet(tmp_path / n / "ledger.parquet") for n in "01")
    assert first.equals(second)


def test_rows_whose_files_were_tidied_away_stay(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    add_rows(tmp_path, ["a"])
    ledger.row_path("a").unlink()
    ledger.add({"digest": "b", "status": FAILED, "reason": "killed"})
    assert ledger.merge().select("digest", "status").rows() == [("a", OK), ("b", FAILED)]
    assert ledger.has("a")


def test_a_run_that_is_forgotten_has_no_row(tmp_path: Path) -> None:
    add_rows(tmp_path, ["a", "b"])
    ledger = Ledger(tmp_path)
    ledger.forget("a")
    assert ledger.merge()["digest"].to_list() == ["b"]
    assert not ledger.has("a")


def test_a_run_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    ledger, other = Ledger(tmp_path), Ledger(tmp_path)
    with ledger.claim("a") as is_held, other.claim("a") as is_held_too, other.claim("b") as is_free:
        assert (is_held, is_held_too, is_free) == (True, False, True)
    with other.claim("a") as is_held:
        assert is_held


def test_an_empty_ledger_has_all_columns(tmp_path: Path) -> None:
    assert dict(Ledger(tmp_path).merge().schema) == {k: v() for k, v in SCHEMA.items()}


def test_damage_is_named_with_the_file(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.add({"digest": "a"})
    ledger.row_path("a").write_text("{}")
    with pytest.raises(InputError, match=r"a\.json: not the row of a run, or damaged; delete it"):
        ledger.merge()
    ledger.row_path("a").unlink()
    ledger.path.write_bytes(b"PAR1")
    with pytest.raises(InputError, match=r"ledger\.parquet: not a ledger of `vtax compare`"):
        ledger.merge()
