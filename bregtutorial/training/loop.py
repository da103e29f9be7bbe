"""``fit``: one loop for a CPU, a GPU, or several processes."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from torch import nn
from torch.nn import functional as F

from bregtutorial import processes
from bregtutorial.sparsity import density
from bregtutorial.tiers import one_of
from bregtutorial.training.evaluation import PRECISIONS, Measure, evaluate, measures_of, mode
from bregtutorial.training.keeper import Keeper
from bregtutorial.training.run import Row, Run
from bregtutorial.training.step import Step


def fit(
    model: nn.Module,
    optimizer: Any,
    train: Any,
    *,
    epochs: int,
    test: Any = None,
    loss: Measure = F.cross_entropy,
    metrics: Mapping[str, Measure] | None = None,
    schedules: Iterable[Any] = (),
    precision: str = "float32",
    channels_last: bool = False,
    compile: bool | Mapping[str, Any] = False,
    clip: float | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: float = 300.0,
    resume: bool = True,
    observe: Callable[[nn.Module], Row] | None = None,
    log: Callable[[Row], Any] | None = None,
    progress: bool | None = None,
) -> list[Row]:
    """Train ``model``, and return the history: a row an epoch.

    A row holds ``epoch`` (from 1), ``step``, ``train_loss``, ``train_accuracy``, ``test_loss``, ``test_accuracy``,
    ``density``, ``lr`` of the first group, ``lam`` of the first penalised group, and ``seconds``.

    Args:
        model: afterwards, each of its modules is in the mode (training or evaluation) it was in.
        optimizer: of this package or of ``torch.optim``. If it has an attribute ``network``, that one is trained.
        train: batches ``(x, y)`` with a length, such as a :class:`bregtutorial.data.Loader`; they are moved to the
            model's device. With ``state_dict`` and ``load_state_dict`` it can be resumed in the midst of an epoch. A
            plain ``DataLoader`` has neither: its checkpoints fall on ends of epochs, and Ctrl-C loses what came after
            the last one. Of random numbers torch's are resumed, not those of numpy or Python.
        epochs: passes over ``train``, those before a stop included.
        test: batches to evaluate after every epoch, or a dict of several, whose names take the place of ``test``.
        loss: of outputs and targets, a mean over the batch.
        metrics: name to function, as ``loss``; default: the accuracy where the loss is the cross-entropy.
        schedules: their ``step()`` follows every step of the optimizer, so their periods count steps; a
            ``ReduceLROnPlateau`` gets the training loss after every epoch.
        precision: ``"float32"``, or ``"bfloat16"`` or ``"float16"`` for autocast; weights and duals stay float32.
        channels_last: convert model and batches to that memory format, which is faster for many convolutions.
        compile: compile the network; a dict is handed to ``torch.compile``.
        clip: largest norm of the gradient.
        checkpoint: folder for checkpoints and ``history.jsonl``; without it nothing is written.
        checkpoint_every: seconds from one checkpoint to the next; the end of the run is always saved.
        resume: go on from the newest checkpoint in the folder; ``False`` removes what is there.
        observe: called with the model after every epoch; the numbers that it returns by name join the row.
        log: called with every row.
        progress: show a bar on stderr; default: if that is a terminal.

    Raises:
        ValueError: for an argument out of its range, or a checkpoint of another run.
        RuntimeError: the loss is not finite; the message names epoch and step, and the last checkpoint is kept.
        OSError: nothing can be written into the folder.

    Example:
        >>> import bregtutorial as bt
        >>> train = bt.data.Loader(bt.load_dataset("textures", size=100), 20)
        >>> model = bt.models.resnet((4, 8), (1, 1))
        >>> opt = bt.LinBreg(bt.parameter_groups(model, lam=0.1), lr=0.1)
        >>> [row["step"] for row in bt.fit(model, opt, train, epochs=2)]
        [5, 10]

    Book: Experiments, "MNIST and the MLP"; Frontiers, "Scaling out".
    """
    _check(model, optimizer, train, epochs, precision, clip)
    options: dict[str, Any] = {"precision": precision, "channels_last": channels_last}
    step = Step(model, optimizer, measures_of(loss, metrics), [*schedules], compile=compile, clip=clip, **options)
    run = Run(step, train)
    keeper = Keeper(run, checkpoint, checkpoint_every)
    keeper.resume() if resume else keeper.clear()
    if len(run.rows) > epochs:
        raise ValueError(f"the run in {checkpoint} has {len(run.rows)} epochs already, more than epochs={epochs}")
    with mode(model, training=True), keeper, _bar(progress, epochs * len(train), run.step) as bar:
        while len(run.rows) < epochs:
            for x, y in train:
                run.add_batch(x, y)
                bar.update()
                keeper.after_step()
            run.settle()
            results = _test(step.model, test, {"loss": loss, "metrics": metrics, **options})
            row = run.end_epoch(results | (observe(step.model) if observe else {}))
            bar.set_postfix(row, refresh=False)
            if log is not None and processes.rank() == 0:
                log(dict(row))
            keeper.after_epoch(row, last=len(run.rows) == epochs)
    return run.rows


def _test(model: nn.Module, test: Any, options: Mapping[str, Any]) -> Row:
    """Results on one test set or several."""
    sets = {} if test is None else test if isinstance(test, Mapping) else {"test": test}
    results: Row = {}
    for name, batches in sets.items():
        results |= evaluate(model, batches, name=name, **options)
    return results


def _check(model: nn.Module, optimizer: Any, train: Any, epochs: int, precision: str, clip: float | None) -> None:
    if not isinstance(epochs, int) or epochs < 0:
        raise ValueError(f"epochs must be an integer of at least 0, got {epochs!r}")
    if clip is not None and not clip > 0:
        raise ValueError(f"clip must be the largest norm of a gradient, so > 0, got {clip!r}")
    if one_of("precision", precision, PRECISIONS) == "float16" and hasattr(optimizer, "network"):
        raise ValueError(f"precision='float16' does not suit {type(optimizer).__name__}, use 'bfloat16'")
    lengths = processes.gather(len(train))
    if min(lengths) == 0:
        raise ValueError("train has no batches")
    if len(set(lengths)) > 1:
        raise ValueError(f"the processes must take equally many steps, got {lengths} batches: use drop_last=True")
    density(model)  # now, and not after an epoch: a model without weights to count is refused
    mine = {id(p) for p in model.parameters()}
    if not any(id(p) in mine for group in optimizer.param_groups for p in group["params"]):
        raise ValueError("optimizer holds no parameter of the model: build it from the model that is trained")


def _bar(show: bool | None, total: int, done: int) -> Any:
    """A bar of steps on stderr; by default nothing where nobody looks, or where stderr is not for that."""
    if show is None:
        show = sys.stderr is not None and sys.stderr.isatty()
    if not show or processes.rank() != 0:
        from tqdm import tqdm

        return tqdm(disable=True)
    from tqdm.auto import tqdm

    return tqdm(total=total, initial=done, unit="step", dynamic_ncols=True)
