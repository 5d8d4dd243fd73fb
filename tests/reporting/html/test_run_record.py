import json
import math

import polars as pl
import pytest

from visual_taxonomy.errors import InputError
from visual_taxonomy.reporting.html.run_record import (
    ENVIRONMENT_NAME,
    read_run,
    record_environment,
)
from visual_taxonomy.version import __version__


def test_an_empty_folder_is_a_run_of_which_nothing_is_known(tmp_path):
    record = read_run(tmp_path)
    assert (record.name, record.config, record.metrics) == (tmp_path.name, {}, [])
    assert record.picture_folder is None
    assert record.data is None


def test_all_files_of_a_run_are_read(tmp_path):
    (tmp_path / "config.toml").write_text('[data]\nimg_dir = "images"\n')
    (tmp_path / "metrics.csv").write_text("epoch,hm,val_loss\n0,0.5,\n1,nan,x\n")
    (tmp_path / "task_diagnostics.csv").write_text("epoch,task,weight\n0,a,1\n1,a,2\n1,b,3\n")
    record = read_run(tmp_path)
    assert str(record.picture_folder) == "images"
    assert record.metrics[0]["hm"] == 0.5
    assert math.isnan(record.metrics[0]["val_loss"])
    assert math.isnan(record.metrics[1]["val_loss"])
    assert [row["task"] for row in record.diagnostics] == ["a", "b"]


def test_the_digest_is_of_the_rows_not_of_their_order(tmp_path):
    digests = []
    for name, rows in (("a", [0, 1]), ("b", [1, 0]), ("c", [0, 0])):
        folder = tmp_path / name
        folder.mkdir()
        ids, labels = ["x", "y"], [7, 8]
        pl.DataFrame(
            {"id": [ids[i] for i in rows], "labels": [labels[i] for i in rows]}
        ).write_parquet(folder / "data.parquet")
        digests.append(read_run(folder).data)
    assert digests[0] == digests[1] != digests[2]
    assert digests[0][1] == 2


def test_the_environment_is_recorded_by_name(tmp_path):
    record_environment(tmp_path)
    facts = read_run(tmp_path).environment
    assert facts["vtax"] == __version__
    assert {"Python", "torch", "processor", "finished"} <= facts.keys()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (ENVIRONMENT_NAME, "{", "not the JSON of a run"),
        (ENVIRONMENT_NAME, "[]", "expected a JSON object"),
        ("metrics.csv", '"', "not a CSV of a run"),
        ("config.toml", "=", "not a TOML file"),
        ("data.parquet", "x", "not the record of a run's data"),
    ],
)
def test_damaged_files_are_named(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=f"{name}: .*{message}|{name}: {message}"):
        read_run(tmp_path)


def test_files_that_are_no_text_are_named(tmp_path):
    (tmp_path / "metrics.csv").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"metrics.csv: cannot be read"):
        read_run(tmp_path)


def test_files_too_large_to_be_ours_are_refused(tmp_path, monkeypatch):
    from visual_taxonomy.reporting.html import run_record

    monkeypatch.setattr(run_record, "_MOST_BYTES", 10)
    (tmp_path / ENVIRONMENT_NAME).write_text(json.dumps({"a": "b" * 20}))
    with pytest.raises(InputError, match="larger than 10 bytes"):
        read_run(tmp_path)
