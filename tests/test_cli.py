"""The commands of a terminal: what they print, write and refuse, and that Ctrl-C says how to go on."""

from __future__ import annotations

import signal

import pytest

from bregtutorial import cli, results
from bregtutorial.recipes import RECIPES, parse

SMALL = ("--tier", "quick", "--epochs", "1", "--size", "256")


def test_list_names_every_recipe(capsys):
    assert cli.main(["list"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list(RECIPES)
    assert cli.main(["list", "convnet-l1"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 7


def test_run_prints_its_epochs_and_writes_the_record_that_it_names(tmp_path, capsys):
    words = ["run", "mnist-mlp/linbreg-0.1", *SMALL, "--seed", "2"]
    assert cli.main([*words, "--save", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("epoch 1, train_loss ")
    record = results.read(tmp_path / "mnist-mlp" / "linbreg-0.1-quick-seed2.json")
    assert parse(record["command"]) == parse(" ".join(["python -m bregtutorial", *words]))


def test_a_stopped_run_goes_on(tmp_path, monkeypatch, capsys):
    words = ["run", "mnist-mlp/sgd", *SMALL[:2], "--epochs", "3", "--size", "256"]
    whole = cli.main([*words, "--save", str(tmp_path / "whole")])

    def interrupt(row):
        if row["epoch"] == 2:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(cli, "_print_row", interrupt)
        assert cli.main([*words, "--checkpoint", str(tmp_path / "run")]) == cli.INTERRUPTED
    said = capsys.readouterr().err
    assert str(tmp_path / "run") in said
    assert cli.GO_ON in said
    parts = cli.main([*words, "--checkpoint", str(tmp_path / "run"), "--save", str(tmp_path / "parts")])
    assert whole == parts == 0
    finals = [results.load("mnist-mlp", root=tmp_path / name)[0].final for name in ("whole", "parts")]
    assert finals[0] == finals[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rin"], "did you mean 'run'?"),
        (["grow", "mnist-mlp/sgd", "--device", "cuda"], "grow runs on the CPU and does not compile"),
        (["run", "mnist-mlp/sgd", "--threads", "-1"], "threads must be an integer of at least 1, got -1"),
        (["run", "mnist-mlp/sgd", "--device", "gpu"], "device must be 'cpu', 'cuda' or 'mps', got 'gpu'"),
        (["run", "mnist-mlp/linberg-0.1"], "did you mean 'mnist-mlp/linbreg-0.1'?"),
        (["run", "mnist-mlp/sgd", "--epohcs", "3"], "'--epohcs' means nothing here; did you mean '--epochs'?"),
        (["run", "mnist-mlp/sgd", "--epoch", "3"], "did you mean '--epochs'?"),
        (["run", "mnist-mlp/sgd", "--tier", "quik"], "did you mean 'quick'?"),
        (["run", "mnist-mlp/sgd", "--epochs", "0"], "epochs must be an integer of at least 1, got 0"),
        (["run", "mnist-mlp/sgd", "--epochs", "many"], "invalid int value: 'many'"),
        (["run", "mnist-mlp/sgd", "--data", "dgits", *SMALL], "did you mean 'digits'?"),
        (["list", "mnist-mpl"], "did you mean 'mnist-mlp'?"),
        (["table", "7"], "choose from"),
        ([], "COMMAND"),
    ],
)
def test_what_is_not_understood_is_answered_with_what_was_near(words, message, capsys):
    assert cli.main(words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert message in printed.err


@pytest.mark.parametrize(("kind", "number"), [("table", "1"), ("table", "2"), ("table", "3")])
def test_a_table_is_the_comparison(kind, number, capsys):
    assert cli.main([kind, number]) == 0
    assert capsys.readouterr().out.rstrip() == repr(results.compare(f"{kind} {number}"))


@pytest.mark.parametrize("ending", ["png", "svg"])
def test_a_figure_is_drawn_and_its_numbers_are_printed(ending, tmp_path, capsys):
    path = tmp_path / f"picture.{ending}"
    assert cli.main(["figure", "2", "--output", str(path)]) == 0
    assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")
    assert repr(results.compare("figure 2")) in capsys.readouterr().out


def test_a_figure_without_runs_says_how_to_record_them(tmp_path, capsys):
    assert cli.main(["figure", "3", "--results", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert "not recorded: python -m bregtutorial run mnist-mlp/sgd --tier full --save results" in printed.out
    assert "nothing was recorded" in printed.err
