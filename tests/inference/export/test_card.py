from dataclasses import replace

from visual_taxonomy.inference.bundle import ONNX, OPENVINO, TAXONOMY, WEIGHTS, Bundle
from visual_taxonomy.inference.export import card as module
from visual_taxonomy.inference.export.card import card, requirements, versions

MEASURED = {
    "csv": "labelled.csv",
    "csv_rows": 5000,
    "engine": "onnxruntime",
    "rows": 1200,
    "labels": 3000,
    "agreement": 0.9987,
    "heads": {f"Sarees/a{i}": 1 - i / 100 for i in range(20)},
    "hm_checkpoint": 0.63019,
    "hm_export": 0.6299,
}


def test_the_card_says_what_the_model_takes_and_gives(bundle: Bundle) -> None:
    text = card(bundle, "my-model")
    assert text.startswith("# my-model\n")
    assert "RGB, 32 x 48 pixels (height x width), bicubic, ratio not kept" in text
    assert "mean 0.5, 0.5, 0.5, standard deviation 0.5, 0.5, 0.5" in text
    assert "| runs with | onnxruntime, openvino (the graph: float32); torch (the weights" in text
    assert "| Kurtis | sleeve | short, long, three-quarter |" in text
    assert "no scores in the checkpoint" in text
    assert bundle.source["sha256"][:16] in text


def test_the_card_counts_epochs_from_one(bundle: Bundle) -> None:
    text = card(replace(bundle, source={**bundle.source, "name": "best.pt", "epoch": 7}), "x")
    assert "| checkpoint | best.pt, epoch 8, SHA-256 " in text


def test_the_card_shows_the_validation_scores(bundle: Bundle) -> None:
    metrics = {"hm": 0.63019, "micro": 0.75, "macro": 0.558}
    text = card(replace(bundle, source={**bundle.source, "metrics": metrics}), "x")
    assert "HM-F1 0.6302, micro 0.7500, macro 0.5580" in text


def test_the_card_shows_what_was_measured_the_worst_heads_first(bundle: Bundle) -> None:
    text = card(replace(bundle, measured=MEASURED, int8=True), "x")
    assert (
        "99.870% of 3,000 labels, on 1,200 of the 5,000 rows of labelled.csv, are the same "
        "(onnxruntime)" in text
    )
    assert "HM-F1 of the export 0.6299, of the checkpoint 0.6302" in text
    rows = [line for line in text.splitlines() if line.startswith("| Sarees/a")]
    assert rows[0] == "| Sarees/a19 | 81.00% |"
    assert len(rows) == 10


def test_the_card_names_the_engines_with_what_each_computes_in(bundle: Bundle) -> None:
    """8 bits are in the graph alone; the engine that runs it by default stands first."""
    int8 = "int8 products in the backbone, float32 elsewhere"
    weights = "; torch (the weights: float32) |"
    eight = replace(bundle, int8=True)
    assert f"| runs with | openvino, onnxruntime (the graph: {int8}){weights}" in card(eight, "x")
    measured = replace(eight, measured={**MEASURED, "engine": "onnxruntime"})
    assert f"| runs with | onnxruntime, openvino (the graph: {int8}){weights}" in card(
        measured, "x"
    )
    graph = replace(eight, files={OPENVINO: "", TAXONOMY: ""})
    assert f"| runs with | openvino (the graph: {int8}) |" in card(graph, "x")
    alone = replace(bundle, files={WEIGHTS: "", TAXONOMY: ""})
    assert "| runs with | torch (the weights: float32) |" in card(alone, "x")


def test_only_a_folder_with_a_graph_explains_use_without_torch(bundle: Bundle) -> None:
    assert "Without torch:" in card(bundle, "x")
    assert "Without torch:" not in card(replace(bundle, files={WEIGHTS: "", TAXONOMY: ""}), "x")


def test_requirements_pin_what_runs_the_graph_and_leave_torch_out(bundle: Bundle) -> None:
    names = [line.split("==")[0] for line in requirements(bundle).splitlines()]
    assert names == sorted([*module.RUNTIME, "onnxruntime"])
    openvino = replace(bundle, files={OPENVINO: "", ONNX: ""})
    assert "openvino==" in requirements(openvino)
    assert "openvino==" in requirements(replace(bundle, measured={"engine": "openvino"}))


def test_versions_leave_out_what_is_not_installed(monkeypatch) -> None:
    monkeypatch.setattr(module, "RUNTIME", ("no-such-package", "numpy"))
    assert "numpy" in versions()
    assert "no-such-package" not in versions()
