"""One frozen record of everything that decides how an experiment comes out.

Book: Experiments, "MNIST and the MLP".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from bregtutorial import regularizers
from bregtutorial.regularizers import L1, Regularizer, describe
from bregtutorial.tiers import TIERS, one_of

OPTIMIZERS = ("sgd", "adam", "linbreg", "adabreg", "proxsgd")
PRECISIONS = ("float32", "bfloat16", "float16")
SCHEDULES = ("constant", "plateau", "cosine")
PENALISED = ("conv", "linear", "other")  # kinds of parameters that may carry a penalty
_REGULARIZERS = {cls.name: cls for cls in vars(regularizers).values() if isinstance(getattr(cls, "name", None), str)}


@dataclass(frozen=True)
class Penalty:
    """A regularizer and its strength.

    Attributes:
        lam: strength, >= 0, in the optimizer's own unit.
        reg: regularizer.

    Book: Experiments, "MNIST and the MLP".
    """

    lam: float
    reg: Regularizer = L1()  # noqa: RUF009  (frozen, holds no state)


@dataclass(frozen=True)
class Budget:
    """What a tier may change: data, epochs, widths and, where layers are narrow, the initial density.

    Attributes:
        data: name of the data set, see :func:`bregtutorial.load_dataset`.
        epochs: passes over the training images.
        widths: of the model, see ``bregtutorial.recipes.MODELS``.
        size: number of training images, a stratified part; ``None`` takes all.
        density: initial density where narrower layers need a larger one; ``None`` takes the recipe's.

    Book: Experiments, "MNIST and the MLP".
    """

    data: str
    epochs: int
    widths: tuple[int, ...]
    size: int | None = None
    density: float | None = None


@dataclass(frozen=True)
class Recipe:
    """Everything that decides how an experiment comes out, but for seed and machine.

    A penalty makes the Bregman optimizers and ProxSGD take its proximal operator. SGD and Adam have none, and get the
    penalty added to the loss: the Lasso by subgradients.

    Attributes:
        name: ``experiment/variant``.
        how: where the numbers come from or how they were tuned, in a sentence.
        model: a key of ``bregtutorial.recipes.MODELS``.
        quick, colab, full: the budgets of the three tiers.
        task: a key of ``bregtutorial.recipes.TASKS``.
        holdout: share of the training images held out for validation.
        optimizer: ``"sgd"``, ``"adam"``, ``"linbreg"``, ``"adabreg"`` or ``"proxsgd"``.
        lr: step size before any schedule.
        momentum: of SGD (torch's, with ``dampening=0``), LinBreg (in the dual) and ProxSGD.
        nesterov: SGD's look-ahead.
        betas, eps: of Adam and AdaBreg.
        delta: parameter of the elastic net.
        weight_decay: of SGD and Adam, on weights of Linear and Conv layers only; decoupled for Adam.
        conv, linear, other: penalty on each kind of parameters, see :func:`bregtutorial.parameter_groups`.
        density: initial density, 1 for a dense start.
        init_groups: what :func:`bregtutorial.sparse_init_` masks as a whole, ``None`` for single weights.
        gain: factor of all initial weights, after masking.
        schedule: of the step size: ``"constant"``, ``"plateau"`` (halved when the training loss has not fallen by 1 %
            for five epochs, as in the paper) or ``"cosine"`` (to zero, step by step).
        warmup: share of all steps over which ``"cosine"`` first rises linearly.
        target_density: density that :class:`bregtutorial.TargetDensity` steers to, ``None`` for constant penalties.
        target_start: density that it steers to at first, ``None`` for the same throughout.
        target_span: begin and end, as shares of all steps, of the cubic ramp from the one to the other.
        prune_density: density after magnitude pruning, which ramps up during training; ``None`` prunes nothing.
        prune_span: begin and end of that ramp as shares of all steps; what follows is fine-tuning.
        threshold: after training, groups whose root mean square is smaller become zero; ``None`` leaves all.
        batch_size: images of a step, over all processes.
        augment: of the training images, see :class:`bregtutorial.data.Loader`.
        sizes: pairs of a share of all epochs and the side of the images from then on, see
            :class:`bregtutorial.data.Resized`; empty leaves images as they are.
        noise, blur: of the inputs in restoration, see :class:`bregtutorial.data.Corrupted`.
        label_smoothing: of the training loss.
        clip: largest norm of the whole gradient, ``None`` for no clipping.
        precision: ``"float32"``, ``"bfloat16"`` or ``"float16"``: what forward and backward compute in.
        channels_last: memory format of images and convolutions.
        seed: of initialisation, order of batches and augmentation.

    Book: Experiments, "MNIST and the MLP".
    """

    name: str
    how: str
    model: str
    quick: Budget
    colab: Budget
    full: Budget
    task: str = "classification"
    holdout: float = 0.0
    optimizer: str = "linbreg"
    lr: float = 0.1
    momentum: float = 0.0
    nesterov: bool = False
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    delta: float = 1.0
    weight_decay: float = 0.0
    conv: Penalty | None = None
    linear: Penalty | None = None
    other: Penalty | None = None
    density: float = 1.0
    init_groups: str | None = None
    gain: float = 1.0
    schedule: str = "constant"
    warmup: float = 0.0
    target_density: float | None = None
    target_start: float | None = None
    target_span: tuple[float, float] = (0.1, 0.7)
    prune_density: float | None = None
    prune_span: tuple[float, float] = (0.1, 0.7)
    threshold: float | None = None
    batch_size: int = 128
    augment: str | None = None
    sizes: tuple[tuple[float, int], ...] = ()
    noise: float = 0.0
    blur: tuple[int, float] | None = None
    label_smoothing: float = 0.0
    clip: float | None = None
    precision: str = "float32"
    channels_last: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        one_of("optimizer", self.optimizer, OPTIMIZERS)
        one_of("schedule", self.schedule, SCHEDULES)
        if self.name.count("/") != 1:
            raise ValueError(f"name must be experiment/variant, got {self.name!r}")
        if self.weight_decay and self.optimizer not in ("sgd", "adam"):
            raise ValueError(f"weight_decay is for sgd and adam, got {self.weight_decay} with {self.optimizer}")
        if self.sizes and self.task != "classification":
            raise ValueError(f"sizes are for images with labels, got {self.sizes} with task={self.task!r}")

    @property
    def experiment(self) -> str:
        """What stands before the slash."""
        return self.name.split("/")[0]

    @property
    def variant(self) -> str:
        """What stands behind the slash."""
        return self.name.split("/")[1]

    @property
    def penalties(self) -> dict[str, Penalty]:
        """The penalty of every kind of parameters that has one."""
        found = ((kind, getattr(self, kind)) for kind in PENALISED)
        return {kind: penalty for kind, penalty in found if penalty is not None}

    @property
    def budgets(self) -> dict[str, Budget]:
        """The budget of every tier."""
        return {"quick": self.quick, "colab": self.colab, "full": self.full}


def to_plain(thing: Any) -> Any:
    """A recipe, or a part of one, as what JSON knows.

    Example:
        >>> to_plain(Penalty(0.1))
        {'lam': 0.1, 'reg': {'name': 'l1'}}

    Book: Experiments, "MNIST and the MLP".
    """
    if isinstance(thing, Regularizer):
        return describe(thing)
    if is_dataclass(thing):
        return {f.name: to_plain(getattr(thing, f.name)) for f in fields(thing)}
    return [to_plain(part) for part in thing] if isinstance(thing, tuple) else thing


def from_plain(plain: Mapping[str, Any]) -> Recipe:
    """The recipe that :func:`to_plain` wrote; settings that it does not know yet take their defaults.

    Raises:
        TypeError: a setting that no recipe has.

    Example:
        >>> from bregtutorial.recipes import get
        >>> recipe = get("mnist-mlp/linbreg-0.1")
        >>> from_plain(to_plain(recipe)) == recipe
        True

    Book: Experiments, "MNIST and the MLP".
    """
    known: dict[str, Any] = {name: _tuples(value) for name, value in plain.items()}
    known |= {tier: Budget(**{**plain[tier], "widths": tuple(plain[tier]["widths"])}) for tier in TIERS}
    known |= {kind: _penalty(plain[kind]) for kind in PENALISED if plain.get(kind) is not None}
    return Recipe(**known)


def _tuples(thing: Any) -> Any:
    return tuple(_tuples(part) for part in thing) if isinstance(thing, list) else thing


def _penalty(plain: Mapping[str, Any]) -> Penalty:
    settings = dict(plain["reg"])
    return Penalty(plain["lam"], _REGULARIZERS[settings.pop("name")](**settings))
