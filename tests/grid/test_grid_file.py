from pathlib import Path

import pytest

from visual_taxonomy.errors import InputError
from visual_taxonomy.grid.grid_file import Grid, Range, read_grid
from visual_taxonomy.grid.plan import check_objectives, identify, plan

BASE = '[base]\nimg_dir = "images"\ncsv_path = "train.csv"\n'


def read(tmp_path: Path, text: str, **overrides: object) -> Grid:
    path = tmp_path / "grid.toml"
    path.write_text(text, encoding="utf-8")
    return read_grid(path, overrides)


def test_lists_are_crossed_with_each_other_and_with_seeds_and_folds(tmp_path: Path) -> None:
    text = 'loss_type = ["CE", "LA"]\ndropout = [0.1, 0.4]\nseeds = [3, 5]\nfolds = 2\n'
    runs = plan(read(tmp_path, f"{BASE}[grid]\n{text}"))
    assert len(runs) == 2 * 2 * 2 * 2
    assert runs[0].name == "CE/dropout=0.1, seed 3, fold 0"
    assert runs[-1].name == "LA/dropout=0.4, seed 5, fold 1"
    config = runs[-1].config
    assert (config.objective.loss_type, config.model.dropout) == ("LA", 0.4)
    assert (config.data.random_state, config.data.folds, config.data.fold) == (5, 2, 1)


def test_variants_are_single_changes_beside_the_base(tmp_path: Path) -> None:
    text = '[[variants]]\nname = "smooth"\nlabel_smoothing = 0.1\n[[variants]]\nname = "ema"\n'
    grid = read(tmp_path, f"{BASE}{text}ema_decay = 0.99\n")
    assert [each.name for each in grid.variants] == ["base", "smooth", "ema"]
    assert grid.baseline == "base"
    smooth = plan(grid)[1]
    assert smooth.config.objective.label_smoothing == 0.1
    assert smooth.config.optimizer.ema_decay == 0.0


def test_seeds_change_weights_and_batches_but_not_the_rows(tmp_path: Path) -> None:
    runs = plan(read(tmp_path, f"{BASE}[grid]\nseeds = 2\n"))
    assert [(r.config.data.random_state, r.config.data.split_seed) for r in runs] == [
        (0, 42),
        (1, 42),
    ]


def test_all_epochs_are_trained_whatever_the_held_out_rows_say(tmp_path: Path) -> None:
    (run,) = plan(read(tmp_path, f"{BASE}epochs = 70\n"))
    assert run.config.optimizer.patience == 70


def test_the_command_line_overrides_the_base(tmp_path: Path) -> None:
    grid = read(tmp_path, BASE, csv_path="other.csv", epochs=3)
    (run,) = plan(grid)
    assert (run.config.data.csv_path, run.config.optimizer.epochs) == (Path("other.csv"), 3)


def test_sections_of_a_run_may_stand_in_the_base(tmp_path: Path) -> None:
    grid = read(tmp_path, f"{BASE}[base.optimizer]\nepochs = 4\n")
    assert plan(grid)[0].config.optimizer.epochs == 4


def test_a_search_has_ranges(tmp_path: Path) -> None:
    text = "[search]\nscratch_lr = { low = 1e-4, high = 1e-2, log = true }\n"
    assert read(tmp_path, BASE + text).search == {"scratch_lr": Range(1e-4, 1e-2, True)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[gird]\n", "'gird' is none of: base, grid, .*Did you mean 'grid'"),
        ("[base]\nepoch = 3\n", r"\[base\]: 'epoch' is none of: .*Did you mean 'epochs'"),
        ("[base]\nrun_name = 'a'\n", "'run_name' cannot be set here: the ledger names the runs"),
        ("[base]\npatience = 3\n", "'patience' cannot be set here: all runs take all `epochs`"),
        ("[base]\nfinal = true\n", "'final' cannot be set here: a run without held-out rows"),
        ("[grid]\nlosstype = ['CE']\n", r"\[grid\]: 'losstype' .*Did you mean 'loss_type'"),
        ("[grid]\nloss_type = 'CE'\n", "'loss_type' must be a list of values"),
        ("[grid]\nrandom_state = [1]\n", "'random_state' is given by `seeds` of"),
        ("[grid]\nseeds = [1, 1]\n", r"seeds = \[1, 1\] cannot be used"),
        ("[grid]\nseeds = 0\n", "seeds = 0 cannot be used"),
        ("[grid]\nfolds = 1\n", "folds = 1 cannot be used; give their number"),
        ("grid = 3\n", r"'grid' must be a table, \[grid\]"),
        ("[[variants]]\ndropout = 0.1\n", "number 1 of .* has no name"),
        ("[[variants]]\nname = 'a'\n", "variant 'a': it changes nothing"),
        ("variants = 3\n", "'variants' must be tables"),
        ("[[variants]]\nname='a'\ndrop_out = 0.1\n", "variant 'a': 'drop_out' .*Did you mean"),
        (
            "[[variants]]\nname='a'\ndropout=0\n[[variants]]\nname='a'\ndropout=1\n",
            "two variants are called 'a'",
        ),
        ("baseline = 'LDMA'\n[grid]\nloss_type = ['LDAM']\n", "baseline: 'LDMA' is none of: LDAM"),
        ("[search]\ndropout = [0, 1]\n", r"\[search\]: dropout = \[0, 1\] cannot be used"),
        ("[search]\ndropout = {low = 0, high = 1, log = true}\n", "cannot be used; give the two"),
    ],
)
def test_what_is_wrong_in_a_grid_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(tmp_path, text)


def test_a_refused_combination_is_named_before_anything_runs(tmp_path: Path) -> None:
    text = "[grid]\nfeature_views = [0, 2]\n"
    with pytest.raises(InputError, match=r"'feature_views=2'.*`feature_views` needs"):
        plan(read(tmp_path, BASE + text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("loss_type = ['CE', 'LDMA']", "'LDMA': 'LDMA' is none of: .*LDAM"),
        ("method = ['PCGard']", "'PCGard': 'PCGard' is none of: .*PCGrad"),
        (
            "method = ['UW']\nupdate_weights_every = [4]",
            "'UW/update_weights_every=4': .*no weights",
        ),
        ("loss_parameters = [{ tua = 1 }]", "CE: 'tua' is none of"),
        ("loss_type = ['LDAM']\nlabel_smoothing = [0.1]", "LDAM/label_smoothing=0.1.*smoothing"),
    ],
)
def test_losses_and_methods_are_built_before_anything_runs(
    tmp_path: Path, text: str, message: str
) -> None:
    runs = plan(read(tmp_path, f"{BASE}[grid]\n{text}\n"))
    with pytest.raises(InputError, match=message):
        check_objectives(runs, tmp_path / "grid.toml")


def test_a_run_is_named_by_what_changes_its_numbers(tmp_path: Path) -> None:
    (run,) = plan(read(tmp_path, BASE))
    (moved,) = plan(read(tmp_path, BASE, csv_path="elsewhere.csv", val_workers=1))
    (other,) = plan(read(tmp_path, BASE, epochs=3))
    assert identify(run, "rows") == identify(moved, "rows")
    assert len({identify(run, "rows"), identify(other, "rows"), identify(run, "others")}) == 3


def test_a_run_is_named_by_the_content_of_its_weights(tmp_path: Path) -> None:
    names = []
    for place, content in (("a", b"1"), ("b", b"1"), ("c", b"2")):
        (tmp_path / place).write_bytes(content)
        (run,) = plan(read(tmp_path, BASE, pretrained_ckpt=str(tmp_path / place)))
        names.append(identify(run, "rows"))
    assert names[0] == names[1] != names[2]
