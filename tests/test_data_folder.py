"""The reader's own images."""

import numpy as np
import pytest
import torch
from PIL import Image

import bregtutorial as bt


def paint(path, value, size=(6, 6), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, value).save(path)


@pytest.fixture
def split_folders(tmp_path):
    for part, n in (("train", 3), ("test", 2)):
        for i in range(n):
            paint(tmp_path / part / "dark" / f"{i}.png", (10 + i, 20, 30))
            paint(tmp_path / part / "bright" / f"{i}.png", (240 + i, 250, 200))
    return tmp_path


@pytest.fixture
def one_folder(tmp_path):
    for name, n in (("a", 10), ("b", 5)):
        for i in range(n):
            paint(tmp_path / name / f"{i}.png", (100 * (name == "b") + i, 0, 0))
    return tmp_path


def test_sixteen_bits_keep_their_levels_and_pixels_without_a_white_are_refused(tmp_path):
    ramp = (np.arange(64, dtype=np.uint16) * 1000).reshape(8, 8)
    for name in "ab":
        (tmp_path / "train" / name).mkdir(parents=True)
        Image.fromarray(ramp).save(tmp_path / "train" / name / "ramp.png")
    images = bt.load_dataset("folder", root=tmp_path, image_size=8).images
    assert torch.equal(images[0, 0], torch.from_numpy((ramp >> 8).astype(np.uint8)))
    Image.fromarray(np.ones((8, 8), dtype=np.float32)).save(tmp_path / "train" / "b" / "share.tiff")
    with pytest.raises(ValueError, match=r"share\.tiff is no readable image .*floating-point"):
        bt.load_dataset("folder", root=tmp_path, image_size=8)


def colours(images):
    return images[:, :, 0, 0].tolist()


def test_split_folders_are_read_in_the_order_of_their_names(split_folders):
    train = bt.load_dataset("folder", root=split_folders, image_size=6)
    assert train.classes == ("bright", "dark")
    assert train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert colours(train.images) == [[240 + i, 250, 200] for i in range(3)] + [[10 + i, 20, 30] for i in range(3)]
    test = bt.load_dataset("folder", "test", root=split_folders, image_size=6)
    assert colours(test.images) == [[240 + i, 250, 200] for i in range(2)] + [[10 + i, 20, 30] for i in range(2)]
    assert (test.mean, test.std) == (train.mean, train.std)
    assert train.name == f"folder:{split_folders.name}"


def test_test_images_alone_still_get_the_constants_for_training(split_folders):
    test = bt.load_dataset("folder", "test", root=split_folders, image_size=5)
    assert test.mean == bt.load_dataset("folder", root=split_folders, image_size=5).mean


def test_a_class_missing_among_the_test_images_keeps_the_other_labels(split_folders):
    for path in (split_folders / "test" / "bright").iterdir():
        path.unlink()
    (split_folders / "test" / "bright").rmdir()
    assert bt.load_dataset("folder", "test", root=split_folders).labels.tolist() == [1, 1]


def test_one_folder_is_split_80_to_20_in_every_class(one_folder):
    train, test = (bt.load_dataset("folder", split, root=one_folder) for split in ("train", "test"))
    assert train.labels.bincount().tolist() == [8, 4]
    assert test.labels.bincount().tolist() == [2, 1]
    reds = [red for red, _, _ in colours(train.images) + colours(test.images)]
    assert sorted(reds) == [*range(10), *range(100, 105)]
    assert all(
        (red >= 100) == (label == 1) for (red, _, _), label in zip(colours(train.images), train.labels, strict=True)
    )


def test_the_split_of_one_folder_follows_the_seed(one_folder):
    def chosen(seed):
        return colours(bt.load_dataset("folder", "test", root=one_folder, seed=seed).images)

    assert chosen(0) == chosen(0)
    assert len({str(chosen(seed)) for seed in range(6)}) > 1


def test_images_are_cut_to_the_central_square_before_they_shrink(tmp_path):
    """A wide image with a red square in the middle and blue sides becomes red."""
    pixels = np.zeros((10, 30, 3), dtype=np.uint8)
    pixels[:, :, 2], pixels[:, 10:20] = 255, (255, 0, 0)
    for part in ("train", "test"):
        (tmp_path / part / "only").mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / part / "only" / "wide.png")
    images = bt.load_dataset("folder", root=tmp_path, image_size=5).images
    assert torch.equal(images, torch.tensor([255, 0, 0], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 5, 5))


def test_rows_and_columns_keep_their_places(tmp_path):
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    (tmp_path / "train" / "only").mkdir(parents=True)
    Image.fromarray(pixels).save(tmp_path / "train" / "only" / "0.png")
    images = bt.load_dataset("folder", root=tmp_path, image_size=4).images
    assert torch.equal(images[0], torch.from_numpy(pixels).permute(2, 0, 1))


def test_grey_images_have_one_channel(split_folders):
    paint(split_folders / "train" / "dark" / "palette.gif", 0, mode="P")
    assert bt.load_dataset("folder", root=split_folders, grey=True).images.shape == (7, 1, 32, 32)
    assert bt.load_dataset("folder", root=split_folders).images.shape == (7, 3, 32, 32)


def test_other_files_are_passed_over(split_folders):
    (split_folders / "train" / "dark" / "notes.txt").write_text("no image")
    (split_folders / "train" / "dark" / ".hidden.png").write_text("no image")
    (split_folders / "train" / ".cache").mkdir()
    assert len(bt.load_dataset("folder", root=split_folders)) == 6


@pytest.mark.parametrize("content", [b"", b"not an image", None])
def test_a_bad_image_is_named(split_folders, content):
    bad = split_folders / "train" / "dark" / "bad.png"
    if content is None:  # a real image, cut off
        paint(bad, (1, 2, 3), size=(200, 200))
        content = bad.read_bytes()[:-40]
    bad.write_bytes(content)
    with pytest.raises(ValueError, match=r"bad\.png is no readable image"):
        bt.load_dataset("folder", root=split_folders)


def test_a_missing_root_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none' is no folder; .* root/train/<class>/<image>"):
        bt.load_dataset("folder", root=tmp_path / "none")


def test_an_empty_root_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no folder of a class"):
        bt.load_dataset("folder", root=tmp_path)


def test_an_empty_class_is_named(split_folders):
    (split_folders / "train" / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"empty holds no image \(\.bmp"):
        bt.load_dataset("folder", root=split_folders)


def test_a_missing_split_is_named(tmp_path):
    paint(tmp_path / "train" / "a" / "0.png", (1, 2, 3))
    with pytest.raises(FileNotFoundError, match="test is missing"):
        bt.load_dataset("folder", "test", root=tmp_path)


def test_a_class_without_training_images_is_named(split_folders):
    paint(split_folders / "test" / "new" / "0.png", (1, 2, 3))
    with pytest.raises(ValueError, match=r"has the classes \['new'\], which .*train has not"):
        bt.load_dataset("folder", "test", root=split_folders)


def test_a_folder_too_small_to_split_is_named(tmp_path):
    paint(tmp_path / "a" / "0.png", (1, 2, 3))
    with pytest.raises(FileNotFoundError, match="no class has the 3 images"):
        bt.load_dataset("folder", "test", root=tmp_path)


def test_a_wrong_image_size_is_named(split_folders):
    with pytest.raises(ValueError, match="image_size must be at least 1 pixel, got 0"):
        bt.load_dataset("folder", root=split_folders, image_size=0)
