"""The loader's state: a resumed epoch goes on with exactly the batches that were left."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import bregtutorial as bt
from bregtutorial.data import ImageSet, Loader


def numbered(n):
    """Images that show their own number, so that a batch tells which images it holds."""
    images = torch.arange(n).to(torch.uint8).view(n, 1, 1, 1)
    return ImageSet(images, torch.arange(n), tuple(map(str, range(n))), "numbered")


@settings(deadline=None)
@given(stop=st.integers(0, 9), batch_size=st.integers(3, 9), seed=st.integers(0, 3))
def test_a_resumed_loader_gives_exactly_the_batches_that_were_left(stop, batch_size, seed):
    train = bt.load_dataset("textures", size=20)
    options = {"augment": "crop-flip", "seed": seed}

    def walk(loader, n_epochs):
        for _ in range(n_epochs):
            for images, labels in loader:
                yield loader.state_dict(), images, labels

    whole = list(walk(Loader(train, batch_size, **options), 3))
    state = Loader(train, batch_size, **options).state_dict() if stop == 0 else whole[stop - 1][0]
    resumed = Loader(train, batch_size, **options)
    resumed.load_state_dict(json.loads(json.dumps(state)))
    rest = list(walk(resumed, 3 - resumed.epoch))
    for after, before in zip(rest, whole[stop:], strict=True):
        assert after[0] == before[0]
        assert torch.equal(after[1], before[1])
        assert torch.equal(after[2], before[2])


def test_the_state_passes_through_a_safe_file(tmp_path):
    loader = Loader(numbered(10), 3)
    next(iter(loader))
    torch.save(loader.state_dict(), tmp_path / "state.pt")
    assert torch.load(tmp_path / "state.pt", weights_only=True) == loader.state_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 4}, "saved with batch_size=3, this loader has 4"),
        ({"seed": 1}, "saved with seed=0, this loader has 1"),
        ({"augment": "flip"}, "saved with augment=None, this loader has 'flip'"),
        ({"world_size": 2}, "saved with world_size=1, this loader has 2"),
        ({"dataset": numbered(11)}, "saved with images=10, this loader has 11"),
    ],
)
def test_a_state_of_other_batches_is_refused(change, message):
    state = Loader(numbered(10), 3).state_dict()
    other = Loader(**{"dataset": numbered(10), "batch_size": 3, **change})
    with pytest.raises(ValueError, match=message):
        other.load_state_dict(state)


def test_a_state_without_a_place_is_refused():
    loader = Loader(numbered(10), 3)
    state = {**loader.state_dict(), "epoch": None}
    with pytest.raises(ValueError, match="needs the integers epoch and batch, got None and 0"):
        loader.load_state_dict(state)
