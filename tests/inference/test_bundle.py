import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from visual_taxonomy.decision.decision import Decision
from visual_taxonomy.errors import InputError
from visual_taxonomy.inference.bundle import (
    FORMAT,
    MANIFEST,
    ONNX,
    OPENVINO,
    TAXONOMY,
    WEIGHTS,
    Bundle,
    checksums,
    is_bundle,
    read_bundle,
    write_manifest,
)


@pytest.fixture
def folder(bundle: Bundle, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(bundle.folder, tmp_path / "copy"))


def edit(folder: Path, **changes: object) -> None:
    """Change values of a manifest without a checksum, as version 0.1 wrote it."""
    content = json.loads((folder / MANIFEST).read_text())
    content.pop("sha256", None)
    (folder / MANIFEST).write_text(json.dumps({**content, **changes}))


def test_what_was_written_is_read(bundle: Bundle) -> None:
    assert read_bundle(bundle.folder) == bundle


def test_every_field_survives_the_file(bundle: Bundle, folder: Path, decision: Decision) -> None:
    written = replace(
        bundle,
        folder=folder,
        int8=True,
        class_counts={"Sarees/border": [1, 2, 3]},
        decision=decision,
        measured={"agreement": 1.0},
    )
    write_manifest(written)
    assert read_bundle(folder) == written


def test_the_manifest_says_how_images_are_prepared_and_leaves_room_for_decisions(
    bundle: Bundle,
) -> None:
    content = json.loads((bundle.folder / MANIFEST).read_text())
    assert content["format"] == FORMAT
    assert content["decision"] == {}
    assert content["preprocessing"] == {
        "image_size": [32, 48],
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "resize": "bicubic",
        "color": "RGB",
    }
    assert {"visual-taxonomy", "torch", "onnxruntime"} <= content["versions"].keys()


def test_checksums_are_those_of_sha256(bundle: Bundle) -> None:
    for name in (TAXONOMY, WEIGHTS, ONNX):
        expected = hashlib.sha256((bundle.folder / name).read_bytes()).hexdigest()
        assert bundle.files[name] == expected
    assert checksums(bundle.folder).items() > bundle.files.items()


def test_a_bundle_knows_what_it_holds(bundle: Bundle) -> None:
    assert (bundle.has(WEIGHTS), bundle.has(ONNX), bundle.has(OPENVINO)) == (True, True, False)


def test_a_bundle_is_a_folder_with_a_manifest(bundle: Bundle, tmp_path: Path) -> None:
    assert is_bundle(bundle.folder)
    assert not is_bundle(tmp_path)
    assert not is_bundle(bundle.folder / MANIFEST)


def test_a_folder_without_manifest_is_no_bundle(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"not a bundle of `vtax export` \(bundle\.json is missing\)"
    ):
        read_bundle(tmp_path)


@pytest.mark.parametrize("name", [TAXONOMY, WEIGHTS, ONNX])
def test_an_altered_file_is_refused(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[-2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}: not the file that was exported"):
        read_bundle(folder)


def test_an_altered_value_of_the_manifest_is_refused(folder: Path) -> None:
    text = (folder / MANIFEST).read_text()
    (folder / MANIFEST).write_text(text.replace("0.5", "0.7", 1))
    with pytest.raises(InputError, match=r"bundle\.json: not what was exported \(its SHA-256 dif"):
        read_bundle(folder)


def test_the_manifest_may_be_laid_out_anew(folder: Path, bundle: Bundle) -> None:
    (folder / MANIFEST).write_text(json.dumps(json.loads((folder / MANIFEST).read_text())))
    assert replace(read_bundle(folder), folder=bundle.folder) == bundle


def test_a_bundle_of_a_version_without_that_checksum_is_read(folder: Path, bundle: Bundle) -> None:
    edit(folder)
    assert "sha256" not in json.loads((folder / MANIFEST).read_text())
    assert replace(read_bundle(folder), folder=bundle.folder) == bundle


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / ONNX).unlink()
    with pytest.raises(InputError, match=r"model\.onnx: missing from the bundle"):
        read_bundle(folder)


def test_a_file_outside_the_folder_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").write_text("")
    files = json.loads((folder / MANIFEST).read_text())["files"]
    edit(folder, files={**files, "../other": hashlib.sha256(b"").hexdigest()})
    with pytest.raises(InputError, match="missing from the bundle"):
        read_bundle(folder)


def test_another_format_is_refused(folder: Path) -> None:
    edit(folder, format=FORMAT + 1)
    with pytest.raises(InputError, match="format 3, but this version of vtax reads format 2"):
        read_bundle(folder)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"format": 1}', '{"format": 1, "files": 3}'])
def test_a_damaged_manifest_is_named(folder: Path, text: str) -> None:
    (folder / MANIFEST).write_text(text)
    with pytest.raises(InputError, match=r"bundle\.json: damaged .* export the checkpoint again"):
        read_bundle(folder)
