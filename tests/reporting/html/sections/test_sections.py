"""What the sections say, on rows whose figures are known."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import f1_score

from visual_taxonomy.decision.held_out import HeldOut
from visual_taxonomy.errors import InputError
from visual_taxonomy.reporting.html.blocks import Fold, Gallery, Matrix, Share, Table, Text, Tiles
from visual_taxonomy.reporting.html.context import Absent, Context
from visual_taxonomy.reporting.html.plots import Plot
from visual_taxonomy.reporting.html.report import picture_finder
from visual_taxonomy.reporting.html.run_record import RunRecord
from visual_taxonomy.reporting.html.sections import SECTIONS
from visual_taxonomy.reporting.html.sections.attributes import attributes
from visual_taxonomy.reporting.html.sections.audit import likely_wrong
from visual_taxonomy.reporting.html.sections.calibration import calibration
from visual_taxonomy.reporting.html.sections.classes import classes
from visual_taxonomy.reporting.html.sections.confusions import confusions
from visual_taxonomy.reporting.html.sections.decision import decision
from visual_taxonomy.reporting.html.sections.images import confident_errors, uncertain
from visual_taxonomy.reporting.html.sections.overall import overall
from visual_taxonomy.reporting.html.sections.run import run
from visual_taxonomy.reporting.html.sections.tasks import tasks
from visual_taxonomy.reporting.html.sections.training import training
from visual_taxonomy.taxonomy import Taxonomy


def rows_of(names, labels, answers, sure=0.9):
    """Rows of one attribute with these labels, answered so with a probability of `sure`."""
    taxonomy = Taxonomy.from_dict({"Sarees": {"border": list(names)}})
    size, rows = len(names), len(labels)
    probabilities = np.full((rows, 1, size), (1 - sure) / max(1, size - 1), dtype=np.float32)
    probabilities[np.arange(rows), 0, answers] = sure
    counts = {"Sarees/border": [10] * size}
    ids, categories = np.arange(rows).astype(str), np.zeros(rows, dtype=np.int64)
    targets = np.asarray(labels)[:, None]
    return HeldOut(taxonomy, counts, ids, categories, np.arange(rows), probabilities, targets)


@pytest.fixture
def context_of():
    def make(names, labels, answers, **options):
        options = {"rule": "argmax", **options}
        return Context(rows_of(names, np.array(labels), np.array(answers)), **options)

    return make


def block(blocks, kind):
    return next(each for each in blocks if isinstance(each, kind))


def test_scores_are_those_of_scikit_learn(context_of):
    labels, answers = [0] * 30 + [1] * 20 + [2] * 10, [0] * 25 + [1] * 25 + [2] * 10
    blocks = overall(context_of("abc", labels, answers))
    shown = [tile.value for tile in block(blocks, Tiles).tiles][:3]
    micro = f1_score(labels, answers, average="micro")
    macro = f1_score(labels, answers, average="macro")
    hm = 2 * micro * macro / (micro + macro)
    assert shown == [f"{hm:.3f}", f"{micro:.3f}", f"{macro:.3f}"]
    table = block(attributes(context_of("abc", labels, answers)), Table)
    assert table.rows[0][0] == "border"
    assert table.rows[0][1] == pytest.approx(hm)


def test_attributes_behind_the_baseline_are_marked(context_of):
    labels = [0] * 40 + [1] * 5
    table = block(attributes(context_of("ab", labels, [1] * 40 + [0] * 5)), Table)
    assert table.rows[0][2].is_behind
    assert not block(attributes(context_of("ab", labels, labels)), Table).rows[0][2].is_behind


def test_a_checkpoint_without_counts_has_no_baseline(context_of):
    context = context_of("ab", [0, 1] * 10, [0, 1] * 10)
    held_out = replace(context.held_out, class_counts={"Sarees/border": [0, 0]})
    context = replace(context, held_out=held_out)
    assert context.baseline is None
    assert "no baseline" in block(overall(context), Text).text


def test_classes_show_precision_and_recall_by_support(context_of):
    blocks = classes(context_of("abc", [0, 0, 0, 0, 1, 1], [0, 0, 1, 1, 1, 1]))
    (attribute,) = block(blocks, Fold).blocks
    rows = block(attribute.blocks, Table).rows
    assert [row[0] for row in rows] == ["a", "b", "c"]
    assert rows[0][1:] == [10, 4, Share(1.0), Share(0.5), Share(2 / 3)]
    assert rows[1][1:] == [10, 2, Share(0.5), Share(1.0), Share(2 / 3)]
    assert rows[2][3:] == [Share(None)] * 3


def test_confusions_start_with_the_worst_attribute_and_name_the_worst_pair(context_of):
    labels = [0] * 20 + [1] * 10
    blocks = confusions(context_of("abc", labels, [0] * 14 + [1] * 6 + [1] * 10))
    fold = block(blocks, Fold)
    assert fold.is_open
    assert block(fold.blocks, Matrix).counts == [[14, 6], [0, 10]]
    assert block(fold.blocks, Text).text.endswith("“a” answered as “b”, 6 of 20.")


def test_rare_classes_of_a_confusion_become_one_line(context_of):
    labels = np.repeat(np.arange(30), np.arange(30, 0, -1))
    matrix = block(
        block(confusions(context_of([f"c{i}" for i in range(30)], labels, labels)), Fold).blocks,
        Matrix,
    )
    assert len(matrix.names) == 15
    assert matrix.names[-1] == "16 others"
    assert np.sum(matrix.counts) == len(labels)
    assert matrix.share(0, 0) == 1


def test_too_few_labels_have_no_confusions(context_of):
    assert isinstance(confusions(context_of("ab", [0, 1], [1, 0])), Absent)


def test_reliability_and_precision_are_by_hand(context_of):
    labels = np.array([0] * 100)
    blocks = calibration(context_of("ab", labels, [0] * 75 + [1] * 25))
    assert not isinstance(blocks, Absent)
    (_, reliability), (_, precision) = blocks[1].blocks
    before = reliability.curves[0].points
    assert np.mean([x for x, _ in before]) == pytest.approx(0.9)
    assert np.mean([y for _, y in before]) == pytest.approx(0.75)
    coverage, share = precision.curves[0].points[-1]
    assert (coverage, share) == (1.0, 0.75)
    rows = block([each for each in blocks if isinstance(each, Table)][1:], Table).rows
    assert rows[0][0] == "calibration error of the answer (ECE)"


def test_the_decision_lists_the_rules_and_every_attribute(context_of):
    labels = [0, 1] * 60
    blocks = decision(context_of("ab", labels, labels))
    assert block(blocks, Table).rows[0][0] == "the most probable class"
    (row,) = block(block(blocks, Fold).blocks, Table).rows
    assert row[:2] == ["Sarees/border", 120]


def test_a_handful_of_products_is_too_few_to_fit(context_of):
    context = context_of("ab", [0, 1, 0], [0, 1, 1])
    assert isinstance(decision(context), Absent)
    assert isinstance(calibration(context), Absent)
    assert not isinstance(overall(context), Absent)


def test_confident_errors_are_wrong_and_each_product_is_shown_once(held_out, images):
    context = Context(held_out, image=picture_finder(images))
    wrong = {
        (str(held_out.ids[row]), head.task.classes[answer])
        for head, chosen, _ in context.heads
        for row, answer, label in zip(head.rows, chosen, head.labels, strict=True)
        if answer != label
    }
    shown = [dict(each.lines) for each in block(confident_errors(context), Gallery).images]
    assert shown
    assert {(each["id"], each["answer"]) for each in shown} <= wrong
    assert len({each["id"] for each in shown}) == len(shown)


def test_the_most_uncertain_answers_come_first(context_of, images):
    context = context_of("ab", [0, 1] * 4, [0, 1] * 4, image=picture_finder(images))
    context.held_out.probabilities[[4, 1]] = [[[0.45, 0.55]], [[0.6, 0.4]]]
    shown = [dict(each.lines) for each in block(uncertain(context), Gallery).images]
    assert [each["id"] for each in shown][:2] == ["4", "1"]
    assert [each["probability"] for each in shown][:2] == ["55.0%", "60.0%"]
    assert [each["label"] for each in shown][:2] == ["a", "b"]


def test_near_duplicates_are_shown_once(held_out, images):
    same = replace(held_out, groups=np.arange(len(held_out)) % 30 // 15)
    context = Context(same, image=picture_finder(images), rule="argmax")
    assert len(block(uncertain(context), Gallery).images) <= 2


def test_pictures_that_cannot_be_read_leave_the_section_out(held_out, images):
    for path in images.iterdir():
        path.write_bytes(b"damaged")
    context = Context(held_out, image=picture_finder(images))
    assert uncertain(context) == Absent("none of the images could be read")


def test_without_an_error_there_is_none_to_show(context_of):
    context = context_of("ab", [0, 1] * 20, [0, 1] * 20)
    assert confident_errors(context) == Absent("no answer is wrong")


def test_lists_of_an_audit_are_shown_and_counted(context_of, tmp_path, images):
    head = "id,category,attribute,label,suggested,probability\n"
    lines = "7,Sarees,border,a,<b>,0.75\nnowhere,Sarees,border,a,b,0.5\n"
    (tmp_path / "likely_wrong.csv").write_text(head + lines)
    context = context_of("ab", [0, 1] * 20, [0, 1] * 20)
    context = replace(context, audit=tmp_path, image=picture_finder(images))
    blocks = likely_wrong(context)
    assert block(blocks, Text).text.startswith("2 labels are probably wrong; 0 labels of near")
    (image,) = block(blocks, Gallery).images
    assert dict(image.lines) == {
        "label": "a",
        "suggested": "<b>",
        "probability": "75.0%",
        "id": "7",
    }
    (tmp_path / "likely_wrong.csv").write_text("id,label\n1,a\n")
    with pytest.raises(InputError, match=r"not a list of vtax audit: no column attribute, categ"):
        likely_wrong(context)


def test_the_curves_of_the_epochs_skip_what_is_not_finite(context_of):
    rows = [{"epoch": e, "val_loss": v, "hm": 0.5} for e, v in enumerate([2.0, np.inf, 1.0])]
    blocks = training(context_of("ab", [0, 1], [0, 1], run=RunRecord("r", metrics=rows)))
    assert block(blocks, Text).text == "3 epochs. HM was highest in epoch 1: 0.500."
    plots = [plot for _, plot in blocks[1].blocks]
    assert all(isinstance(plot, Plot) for plot in plots)
    assert [curve.name for plot in plots for curve in plot.curves] == ["validation", "HM"]
    assert len(plots[0].paths(plots[0].curves[0])) == 2


def test_tasks_are_shown_where_they_differ(context_of):
    rows = [{"epoch": "2", "task": t, "weight": "1.0", "skipped": s} for t, s in ("a0", "b3")]
    blocks = tasks(context_of("ab", [0, 1], [0, 1], run=RunRecord("r", diagnostics=rows)))
    table = block(block(blocks, Fold).blocks, Table)
    assert table.columns == ["task", "steps skipped"]
    assert table.rows == [["a", 0], ["b", 3]]
    assert "of epoch 3" in block(blocks, Text).text
    same = RunRecord("r", diagnostics=rows[:1])
    assert isinstance(tasks(context_of("ab", [0, 1], [0, 1], run=same)), Absent)


def test_the_run_names_its_data_and_its_processor(context_of):
    record = RunRecord(
        "r",
        {"optimizer": {"epochs": 3, "decay": {"a": 1}}, "stray": 7},
        [{"seconds": 60.0}, {"seconds": 60.0}],
        environment={"processor": "a fast one"},
        data=("abc", 1200),
    )
    facts, fold = run(context_of("ab", [0, 1], [0, 1], run=record))
    assert dict(facts.facts) == {
        "held-out rows": "2",
        "rows of the file": "1,200",
        "digest of ids and labels": "abc",
        "training time": "2.0 minutes",
        "processor": "a fast one",
    }
    assert dict(fold.blocks[0].facts) == {"epochs": "3", "decay": "a = 1"}


def test_every_section_can_be_absent_or_built(context_of):
    context = context_of("a", [0, 0], [0, 0])
    for section in SECTIONS.values():
        built = section.build(context)
        assert isinstance(built, Absent) or built
