"""The model card of a bundle, and the list of packages that run it."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from visual_taxonomy.inference.bundle import ONNX, OPENVINO, Bundle
from visual_taxonomy.inference.engines import ENGINE_REGISTRY, ENGINES
from visual_taxonomy.inference.engines.choice import able_engines, graph_engine

RUNTIME = (
    "filelock",
    "numpy",
    "pillow",
    "polars",
    "rich",
    "simplejpeg",
    "tomli-w",
    "typing-extensions",
    "tyro",
)
"""What `vtax predict` imports beside an engine."""

_WORST = 10


def versions() -> dict[str, str]:
    """Installed versions of what makes and runs a bundle."""
    engines = [entry.package for entry in ENGINES.values()]
    names = ["visual-taxonomy", "torch", "timm", "onnx", *engines, *RUNTIME]
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        # What is not installed took no part.
        except PackageNotFoundError:
            continue
    return found


def requirements(bundle: Bundle) -> str:
    """The text of requirements.txt: what runs the bundle's graph without torch."""
    engine = ENGINE_REGISTRY.find(graph_engine(bundle)).package
    # Exactly those it was made with: other versions may compute something else.
    lines = [f"{name}=={bundle.versions[name]}" for name in (*RUNTIME, engine)]
    return "\n".join(sorted(lines)) + "\n"


def card(bundle: Bundle, name: str) -> str:
    """The text of the model card, in Markdown; `name` is its title."""
    model, images = bundle.model, bundle.preprocessing
    height, width = images.image_size
    return "\n".join(
        [
            f"# {name}",
            "",
            f"Attributes of a product from its image: {model.backbone}, "
            f"{len(bundle.taxonomy.categories)} categories, {len(bundle.taxonomy.tasks)} "
            "attributes. Made by `vtax export`; all figures are in `bundle.json`.",
            "",
            "| | |",
            "|---|---|",
            f"| runs with | {_runs_with(bundle)} |",
            f"| checkpoint | {bundle.source['name']}, epoch {bundle.source['epoch'] + 1}, "
            f"SHA-256 {bundle.source['sha256'][:16]} |",
            f"| image | RGB, {height} x {width} pixels (height x width), "
            f"{images.interpolation}, ratio not kept |",
            f"| normalisation | inside the model: mean {_numbers(images.mean)}, "
            f"standard deviation {_numbers(images.std)} |",
            f"| validation | {_validation(bundle.source['metrics'])} |",
            f"| versions | {', '.join(f'{k} {v}' for k, v in bundle.versions.items())} |",
            "",
            *_decision(bundle),
            *_measured(bundle.measured),
            *_use(bundle),
            *_attributes(bundle),
        ]
    )


def _runs_with(bundle: Bundle) -> str:
    """The engines, each with the numbers it computes in; the one that runs the graph first."""
    graph = "int8 products in the backbone, float32 elsewhere" if bundle.int8 else "float32"
    able = able_engines(bundle)
    names = [name for name in able if not ENGINES[name].runs_checkpoints]
    names.sort(key=lambda name: name != graph_engine(bundle))
    parts = [f"{', '.join(names)} (the graph: {graph})"] if names else []
    others = [name for name in able if name not in names]
    return "; ".join([*parts, *(f"{name} (the weights: float32)" for name in others)])


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:.4g}" for value in values)


def _validation(metrics: dict[str, Any]) -> str:
    if "hm" not in metrics:
        return "no scores in the checkpoint"
    return f"HM-F1 {metrics['hm']:.4f}, micro {metrics['micro']:.4f}, macro {metrics['macro']:.4f}"


def _decision(bundle: Bundle) -> list[str]:
    lines = ["## Decision", ""]
    decision, figures = bundle.decision, bundle.decision_figures
    if decision is None:
        return [*lines, "None: the answers are the most probable classes, uncalibrated.", ""]
    rows = decision.fitted_on
    temperatures = [head.temperature for head in decision.heads]
    lines += [
        f"Rule: {decision.rule}. Temperatures {min(temperatures):.2f} to {max(temperatures):.2f}. "
        f"Fitted on {rows.rows:,} rows with {rows.labels:,} labels: {rows.source}.",
        "",
    ]
    if not figures:
        return [*lines, "Not measured: `vtax calibrate` on labelled rows prints figures.", ""]
    hm = {name: figures["scores"][name]["hm"][0] for name in ("argmax", "chosen")}
    ece = {name: figures[name]["ece"][0] for name in ("before", "after")}
    return [
        *lines,
        f"On those rows, each by a fit on the others: HM-F1 {hm['argmax']:.4f} by the most "
        f"probable class, {hm['chosen']:.4f} by the rule; expected calibration error "
        f"{ece['before']:.4f}, {ece['after']:.4f} calibrated.",
        "",
        "| target precision | reached | labels answered |",
        "|---|---|---|",
        *(
            f"| {each['target']:g} | {_share(each['overall']['precision'])} | "
            f"{_share(each['overall']['coverage'])} |"
            for each in figures["precision"]
        ),
        "",
    ]


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.2%}"


def _measured(measured: Any) -> list[str]:  # noqa: ANN401 - plain values of the manifest
    lines = ["## Agreement with the checkpoint", ""]
    if not measured:
        return [*lines, "Not measured: no CSV was given to `vtax export`.", ""]
    worst = sorted(measured["heads"].items(), key=lambda item: item[1])[:_WORST]
    rows = f"{measured['rows']:,} of the {measured['csv_rows']:,} rows of {measured['csv']}"
    return [
        *lines,
        f"{measured['agreement']:.3%} of {measured['labels']:,} labels, on {rows}, are the same "
        f"({measured['engine']}). HM-F1 of the export {measured['hm_export']:.4f}, of the "
        f"checkpoint {measured['hm_checkpoint']:.4f}.",
        "",
        "| attribute (the lowest first) | same labels |",
        "|---|---|",
        *(f"| {name} | {share:.2%} |" for name, share in worst),
        "",
    ]


def _use(bundle: Bundle) -> list[str]:
    lines = [
        "## Use",
        "",
        "```text",
        "vtax predict --ckpt_path THIS_FOLDER --img_dir IMAGES --csv_path TABLE.csv",
        "```",
        "",
    ]
    if bundle.has(ONNX) or bundle.has(OPENVINO):
        lines += [
            "Without torch:",
            "",
            "```text",
            "pip install -r requirements.txt",
            f"pip install --no-deps visual-taxonomy=={bundle.versions['visual-taxonomy']}",
            "```",
            "",
            "The graph takes `images` (uint8, batch x 3 x height x width) and `categories` (int64,",
            "batch; indices in the order of `taxonomy.json`) and gives `logits` (batch x attribute",
            "x class); -inf where the category has no such attribute, or the attribute no such",
            "class.",
            "",
        ]
    return lines


def _attributes(bundle: Bundle) -> list[str]:
    lines = ["## Attributes", "", "| category | attribute | classes |", "|---|---|---|"]
    lines += [
        f"| {task.category} | {task.attribute} | {', '.join(task.classes)} |"
        for task in bundle.taxonomy.tasks
    ]
    return [*lines, ""]
