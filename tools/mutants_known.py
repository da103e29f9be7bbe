"""For tools/mutate.py: the tests that concern a file, quick ones first; and mutants that no test can tell from it."""

_OPTIM = [
    "test_optim_reference.py",
    "test_optim_reductions.py",
    "test_optim_tensors.py",
    "test_optim_torch.py",
    "test_optim_errors.py",
    "test_optim_frugal.py",
    "test_optim_stateful.py",
    "test_optim_compile.py",
]
_REGS = ["test_regularizers.py", "test_prox_properties.py", "test_optim_mirror_map.py", "test_schedules.py"]
TESTS = {
    "bregtutorial/regularizers/entrywise.py": [*_REGS, "test_optim_errors.py"],
    "bregtutorial/regularizers/grouped.py": _REGS,
    "bregtutorial/regularizers/protocol.py": ["test_regularizers.py", "test_optim_errors.py"],
    "bregtutorial/regularizers/spectral.py": _REGS,
    "bregtutorial/optim/_base.py": ["test_optim_errors.py", "test_optim_checkpoints.py", *_OPTIM],
    "bregtutorial/optim/_dual.py": ["test_optim_lam.py", *_OPTIM],
    "bregtutorial/optim/adabreg.py": _OPTIM,
    "bregtutorial/optim/linbreg.py": _OPTIM,
    "bregtutorial/optim/proxsgd.py": _OPTIM,
}

# (file, changed line): why nothing changes
_GROUPED, _BASE = "bregtutorial/regularizers/grouped.py", "bregtutorial/optim/_base.py"
_ADABREG = "bregtutorial/optim/adabreg.py"
EQUIVALENT: dict[tuple[str, str], str] = {
    (_GROUPED, "for _ in range(65):"): "after 64 halvings no float64 is left between the bounds",
    (
        _GROUPED,
        "awake = group_norms(soft(v, middle * self.l1_ratio), self.groups) >= middle * (1 - self.l1_ratio) * size",
    ): "a tie moves the bound by one rounding",
    (_ADABREG, "if all((isinstance(rate, Tensor) for rate in rates)):"): "of a group all rates are tensors, or none is",
    (_BASE, "close = get_close_matches(str(key), list(self.defaults), n=2)"): "only the first is told",
}
