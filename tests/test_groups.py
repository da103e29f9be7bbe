"""The partitions: which entries form a group, seen through sums over hand-made blocks."""

import pytest
import torch

from bregtutorial.groups import GROUPS, canonical, group_norms, group_shape, group_size, reduced_dims

SHAPES = {"matrix": (3, 4), "conv1d": (3, 4, 5), "conv2d": (3, 4, 5, 2), "conv3d": (3, 4, 5, 2, 6)}
PAIRS = [(name, groups) for name in SHAPES for groups in GROUPS if not (name == "matrix" and groups == "kernels")]


def one_group(w: torch.Tensor, groups: str, i: int, j: int) -> torch.Tensor:
    """The group that holds the entry (i, j, ...), by plain indexing."""
    return {"filters": w[i], "rows": w[i], "inputs": w[:, j], "columns": w[:, j], "kernels": w[i, j]}[groups]


@pytest.mark.parametrize(("shape", "groups"), PAIRS)
def test_a_norm_is_the_norm_of_the_slice_and_stands_where_the_slice_is(shape: str, groups: str) -> None:
    w = torch.randn(SHAPES[shape], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    norms = group_norms(w, groups).expand(w.shape)
    for i in range(w.shape[0]):
        for j in range(w.shape[1]):
            found = norms[i, j].flatten()
            torch.testing.assert_close(found, one_group(w, groups, i, j).norm().expand(found.shape))


@pytest.mark.parametrize(("shape", "groups"), PAIRS)
def test_groups_are_a_partition(shape: str, groups: str) -> None:
    full = SHAPES[shape]
    small = group_shape(groups, full)
    assert len(small) == len(full)
    assert torch.Size(small).numel() * group_size(groups, full) == torch.Size(full).numel()
    assert torch.zeros(full).add(torch.zeros(small)).shape == full
    assert one_group(torch.zeros(full), groups, 0, 0).numel() == group_size(groups, full)


def test_norms_ignore_the_memory_format() -> None:
    w = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(1))
    for groups in GROUPS:
        torch.testing.assert_close(group_norms(w.to(memory_format=torch.channels_last), groups), group_norms(w, groups))


def test_synonyms_mean_the_same() -> None:
    assert canonical("rows") == "filters"
    assert canonical("columns") == "inputs"
    assert reduced_dims("rows", 4) == reduced_dims("filters", 4) == (1, 2, 3)
    assert reduced_dims("columns", 2) == reduced_dims("inputs", 2) == (0,)


def test_a_kernel_of_a_pointwise_convolution_is_a_single_weight() -> None:
    w = torch.tensor([[[[-3.0]], [[4.0]]]])
    assert group_size("kernels", w.shape) == 1
    assert torch.equal(group_norms(w, "kernels"), w.abs())


@pytest.mark.parametrize(
    ("groups", "text"),
    [
        ("kernel", "did you mean 'kernels'"),
        ("row", "did you mean 'rows'"),
        ("xyz", "must be one of"),
        (None, "got None"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_one(groups: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        canonical(groups)


@pytest.mark.parametrize(("groups", "ndim"), [("kernels", 2), ("filters", 1), ("columns", 1), ("rows", 0)])
def test_groups_that_do_not_exist_are_refused_and_never_reduce_everything(groups: str, ndim: int) -> None:
    with pytest.raises(ValueError, match=f"{groups!r} needs weights with at least . dims, got {ndim}"):
        reduced_dims(groups, ndim)
    with pytest.raises(ValueError, match="at least"):
        group_norms(torch.ones((2,) * ndim), groups)
