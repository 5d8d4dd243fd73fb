"""`vtax predict`."""

from pathlib import Path

import pytest

from visual_taxonomy.commands.predict import outputs
from visual_taxonomy.errors import InputError


def test_outputs_of_a_folder_are_one_csv_a_checkpoint(tmp_path: Path) -> None:
    for name in ("best_both.pt", "best_loss.pt", "last.pt", "notes.txt"):
        (tmp_path / name).touch()
    both, loss = outputs(tmp_path, None)
    assert both == (tmp_path / "best_both.pt", tmp_path / "best_both.csv")
    assert loss[1] == tmp_path / "best_loss.csv"
    assert outputs(tmp_path, tmp_path / "csv")[0][1] == tmp_path / "csv" / "best_both.csv"
    assert outputs(both[0], None) == [both]
    with pytest.raises(InputError, match="need a folder, not a file"):
        outputs(tmp_path, tmp_path / "out.csv")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no checkpoint"):
        outputs(tmp_path / "empty", None)


def test_the_csv_of_a_bundle_stands_beside_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model.v1"
    folder.mkdir()
    (folder / "bundle.json").touch()
    assert outputs(folder, None) == [(folder, tmp_path / "model.v1.csv")]
    assert outputs(folder, tmp_path / "a.csv") == [(folder, tmp_path / "a.csv")]
