"""Downloads by torchvision, on small files that a stand-in for the network serves."""

import gzip
import hashlib
import io
import os
import pickle
import socket
import struct
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import datasets

import bregtutorial as bt
from bregtutorial.data import download

URLOPEN = urllib.request.urlopen
COUNTS = {"train": 20, "t10k": 10}


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def mnist_arrays(part):
    n = COUNTS[part]
    images = (np.arange(n * 784).reshape(n, 28, 28) * (3 if part == "train" else 5) % 256).astype(np.uint8)
    return images, (np.arange(n) % 10).astype(np.uint8)


def cifar_arrays(seed):
    generator = np.random.default_rng(seed)
    return generator.integers(0, 256, (10, 3072), dtype=np.uint8), list(range(10))


def old_pickle(data, labels):
    """A batch whose dtype has a 0 where newer pickles have False, which some versions of numpy deprecate."""
    text = pickle.dumps({"data": data, "labels": labels}, protocol=2)
    start = text.index(b"u1") + 2
    return text[:start] + text[start:].replace(b"\x89\x88\x87", b"K\x00\x86", 1)


def cifar_archive():
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    files = {}
    for seed, name in enumerate(names):
        data, labels = cifar_arrays(seed)
        files[name] = old_pickle(data, labels)
    files["batches.meta"] = pickle.dumps({"label_names": list("abcdefghij")}, protocol=2)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return packed.getvalue(), files


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


class Response(io.BytesIO):
    def __init__(self, url, content):
        super().__init__(content)
        self.url, self.length = url, len(content)


@pytest.fixture
def network(monkeypatch):
    """Small originals with fitting checksums, and a network whose contents and failures a test can set."""
    served, asked = {}, []
    resources = []
    for part in COUNTS:
        for array, kind in zip(mnist_arrays(part), ("images-idx3", "labels-idx1"), strict=True):
            name = f"{part}-{kind}-ubyte.gz"
            served[name] = gzip.compress(idx(array), mtime=0)
            resources.append((name, md5(served[name])))
    archive, files = cifar_archive()
    served["cifar-10-python.tar.gz"] = archive
    for kind in (datasets.MNIST, datasets.FashionMNIST):
        monkeypatch.setattr(kind, "resources", resources)
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5(archive))
    batches = [[name, md5(content)] for name, content in files.items() if name.startswith("data_batch")]
    monkeypatch.setattr(datasets.CIFAR10, "train_list", batches)
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["test_batch", md5(files["test_batch"])]])
    monkeypatch.setitem(datasets.CIFAR10.meta, "md5", md5(files["batches.meta"]))

    def urlopen(request, *args, **kwargs):
        url = request.full_url
        asked.append(url)
        name = url.rsplit("/", 1)[-1]
        if name not in served:
            raise urllib.error.URLError("no route to host")
        return Response(url, served[name])

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    return served, asked


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_a_download_gives_every_image_with_its_label(name, network, tmp_path):
    for split, part in (("train", "train"), ("test", "t10k")):
        found = bt.load_dataset(name, split, root=tmp_path, tier="colab")
        images, labels = mnist_arrays(part)
        assert torch.equal(found.images[:, 0], torch.from_numpy(images))
        assert torch.equal(found.labels, torch.from_numpy(labels).long())
        pixels = mnist_arrays("train")[0] / 255
        assert found.mean == pytest.approx([pixels.mean()])
        assert found.std == pytest.approx([pixels.std()])
        assert len(found.classes) == 10


def test_cifar_keeps_rows_columns_and_colours_apart(network, tmp_path):
    """Also: old pickles give no warning, and warnings are errors here."""
    test = bt.load_dataset("cifar10", "test", root=tmp_path, tier="colab")
    data, labels = cifar_arrays(5)
    assert torch.equal(test.images, torch.from_numpy(data).reshape(10, 3, 32, 32))
    assert test.labels.tolist() == labels
    assert test.classes == tuple("abcdefghij")
    train = np.concatenate([cifar_arrays(seed)[0] for seed in range(5)]).reshape(-1, 3, 1024)
    assert test.mean == pytest.approx(train.mean(axis=(0, 2)) / 255)


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_the_second_call_asks_no_host(name, network, tmp_path):
    _, asked = network
    bt.load_dataset(name, root=tmp_path, tier="colab")
    assert asked
    asked.clear()
    bt.load_dataset(name, "test", root=tmp_path, tier="quick")
    assert not asked


@pytest.mark.parametrize("name", list(download.DOWNLOADS))
def test_a_host_that_is_down_gives_one_message_with_the_ways_out(name, network, tmp_path):
    served, _ = network
    served.clear()
    with pytest.raises(ConnectionError) as caught:
        bt.load_dataset(name, root=tmp_path, tier="colab")
    message, source = str(caught.value), download.DOWNLOADS[name]
    archives, urls = download._archives(name)
    assert f"could not download {source.megabytes} MB" in message
    assert "no route to host" in message
    assert all(url in message for url in urls)
    assert all(str(tmp_path / source.folder / file) in message for file, _ in archives)
    assert f"load_dataset('{source.instead}')" in message
    assert caught.value.__suppress_context__
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", list(download.DOWNLOADS))
def test_the_quick_tier_downloads_nothing(name, network, tmp_path):
    _, asked = network
    with pytest.raises(FileNotFoundError, match="the quick tier downloads nothing") as caught:
        bt.load_dataset(name, root=tmp_path / "none", tier="quick")
    source = download.DOWNLOADS[name]
    assert f"tier='colab' download {source.megabytes} MB" in str(caught.value)
    assert f"load_dataset('{source.instead}')" in str(caught.value)
    assert not asked
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_what_the_message_asks_for_is_enough(name, network, tmp_path):
    """Archives put in place by hand are unpacked without any network, in the quick tier, too."""
    served, asked = network
    for file, _ in download._archives(name)[0]:
        target = tmp_path / download.DOWNLOADS[name].folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(served[file])
    served.clear()
    assert len(bt.load_dataset(name, root=tmp_path, tier="quick").classes) == 10
    assert not asked


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_download_that_breaks_off_leaves_nothing_behind(name, network, tmp_path):
    served, _ = network
    last = download._archives(name)[0][-1][0]
    served[last] = served[last][: len(served[last]) // 2]
    with pytest.raises(ConnectionError, match="corrupted"):
        bt.load_dataset(name, root=tmp_path, tier="colab")
    assert not download.is_whole(name, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "victim"),
    [("mnist", "MNIST/raw/train-images-idx3-ubyte"), ("cifar10", "cifar-10-batches-py/data_batch_3")],
)
@pytest.mark.parametrize("length", [0, 3, 10, 500])
def test_a_file_cut_short_counts_as_missing_and_is_fetched_again(name, victim, length, network, tmp_path):
    whole = bt.load_dataset(name, root=tmp_path, tier="colab").fingerprint()
    path = tmp_path / victim
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(FileNotFoundError):
        bt.load_dataset(name, root=tmp_path, tier="quick")
    assert bt.load_dataset(name, root=tmp_path, tier="colab").fingerprint() == whole


def test_an_archive_cut_short_is_no_archive(network, tmp_path):
    served, _ = network
    for file, _ in download._archives("mnist")[0]:
        (tmp_path / "MNIST/raw").mkdir(parents=True, exist_ok=True)
        (tmp_path / "MNIST/raw" / file).write_bytes(served[file][:-1])
    with pytest.raises(FileNotFoundError):
        bt.load_dataset("mnist", root=tmp_path, tier="quick")


def test_a_silent_host_is_given_up(network, monkeypatch, tmp_path):
    """The limit on waiting holds during the download and is put back afterwards."""
    seen = []

    def urlopen(*args, **kwargs):
        seen.append(socket.getdefaulttimeout())
        raise TimeoutError("timed out")

    monkeypatch.setattr(urllib.request, "urlopen", urlopen)
    before = socket.getdefaulttimeout()
    with pytest.raises(ConnectionError, match="timed out"):
        bt.load_dataset("cifar10", root=tmp_path, tier="colab")
    assert set(seen) == {download.TIMEOUT}
    assert socket.getdefaulttimeout() == before


def test_a_host_that_takes_the_call_and_says_nothing_costs_the_limit_and_no_more(network, monkeypatch, tmp_path):
    """Over a real socket: the limit reaches the place where the waiting is done."""
    monkeypatch.setattr(urllib.request, "urlopen", URLOPEN)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr(datasets.MNIST, "mirrors", [f"http://127.0.0.1:{server.getsockname()[1]}/"])
        monkeypatch.setattr(download, "TIMEOUT", 0.5)
        begin = time.monotonic()
        with pytest.raises(ConnectionError, match=r"(?s)Tried http://127\.0\.0\.1.*timed out.*Ways out"):
            bt.load_dataset("mnist", root=tmp_path, tier="colab")
        assert time.monotonic() - begin < 30
    assert not list(tmp_path.iterdir())


def test_ctrl_c_leaves_nothing_half_done(network, monkeypatch, tmp_path):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(urllib.request, "urlopen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bt.load_dataset("mnist", root=tmp_path, tier="colab")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_a_flipped_bit_is_no_download(name, network, tmp_path):
    served, _ = network
    last = download._archives(name)[0][-1][0]
    middle = len(served[last]) // 2
    served[last] = served[last][:middle] + bytes([served[last][middle] ^ 1]) + served[last][middle + 1 :]
    with pytest.raises(ConnectionError, match="corrupted"):
        bt.load_dataset(name, root=tmp_path, tier="colab")
    assert not list(tmp_path.iterdir())


def test_a_flipped_bit_in_photographs_is_found_and_they_are_fetched_again(network, tmp_path):
    """MNIST states lengths, no checksum: of its unpacked files only the length is looked at."""
    whole = bt.load_dataset("cifar10", root=tmp_path, tier="colab").fingerprint()
    path = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileNotFoundError):
        bt.load_dataset("cifar10", root=tmp_path, tier="quick")
    assert bt.load_dataset("cifar10", root=tmp_path, tier="colab").fingerprint() == whole


@pytest.mark.skipif(os.name == "nt", reason="needs the users of POSIX")
@pytest.mark.parametrize("below", ["", "below"])
def test_a_folder_that_cannot_be_written_is_named_with_the_way_out(below, network):
    _, asked = network
    was = os.geteuid()
    with tempfile.TemporaryDirectory() as folder:  # everybody may enter it, which is not so for pytest's
        os.chmod(folder, 0o555)
        message = rf"load_dataset\('mnist'\) cannot write here: Permission denied; .* BREGTUTORIAL_DATA: '{folder}"
        if was == 0:
            os.seteuid(65534)  # root may write everywhere
        try:
            with pytest.raises(PermissionError, match=message):
                bt.load_dataset("mnist", root=Path(folder) / below, tier="colab")
        finally:
            os.seteuid(was)
            os.chmod(folder, 0o755)
    assert not asked


def test_the_root_is_the_argument_then_the_variable_then_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("BREGTUTORIAL_DATA", str(tmp_path / "variable"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert download.data_root(tmp_path) == tmp_path
    assert download.data_root() == tmp_path / "variable"
    monkeypatch.delenv("BREGTUTORIAL_DATA")
    assert download.data_root() == tmp_path / "cache" / "bregtutorial"
