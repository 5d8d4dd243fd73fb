import polars as pl
import pytest

from visual_taxonomy.grid import provenance
from visual_taxonomy.grid.provenance import code, digest_of_data
from visual_taxonomy.version import __version__

ROW = {"id": "7", "labels": 1, "size": 2, "modified_ns": 3}


@pytest.mark.parametrize("name", ROW)
def test_data_have_another_digest_when_any_column_differs(name: str) -> None:
    other = ROW | {name: "8" if name == "id" else 9}
    assert digest_of_data(pl.DataFrame([ROW])) != digest_of_data(pl.DataFrame([other]))


def test_code_is_version_commit_and_source(monkeypatch: pytest.MonkeyPatch) -> None:
    found = code()
    assert found["code_version"] == __version__
    assert len(found["code_digest"] or "") == 16
    commit = found["code_commit"]
    assert commit is None or len(commit) == 40
    monkeypatch.setattr(provenance, "_PACKAGE", provenance._PACKAGE / "grid")
    code.cache_clear()
    try:
        assert code()["code_digest"] != found["code_digest"]
        # A folder that is no checkout of ours has no commit of ours.
        assert code()["code_commit"] is None
    finally:
        code.cache_clear()
