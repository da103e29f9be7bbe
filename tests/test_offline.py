"""Tests reach no other computer, nor do the processes that they start; and that this is so."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest
from offline import NetworkForbidden

import bregtutorial as bt

HOST, ADDRESS = "data.example.org", "192.0.2.1"  # a name and an address that nobody has (RFC 2606, RFC 5737)


def datagram() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as s:
        s.sendto(b"hello", (ADDRESS, 53))


def connection(family: int, address: tuple[str, int]) -> None:
    with socket.socket(family) as s:
        s.connect_ex(address)


@pytest.mark.parametrize(
    ("what", "host"),
    [
        (lambda: socket.create_connection((HOST, 443), timeout=1), HOST),
        (lambda: urllib.request.urlopen(f"https://{HOST}/train.gz", timeout=1), HOST),
        (lambda: urllib.request.urlopen(f"http://{ADDRESS}/", timeout=1), ADDRESS),
        (lambda: connection(socket.AF_INET, (ADDRESS, 80)), ADDRESS),
        (lambda: connection(socket.AF_INET6, ("2001:db8::1", 80)), "2001:db8::1"),
        (datagram, ADDRESS),
        (lambda: socket.gethostbyname(HOST), HOST),
        (lambda: socket.getaddrinfo(HOST.encode(), 80), HOST),
    ],
)
def test_another_computer_is_refused_by_name_and_nothing_hides_it(what, host):
    with pytest.raises(NetworkForbidden, match=f"a test wants to reach .*{host}"):  # noqa: SIM117
        with contextlib.suppress(Exception):
            what()


def test_a_forgotten_stand_in_is_found(tmp_path):
    """The package turns failures of the network into a message of its own, which a test could take for that."""
    with pytest.raises(NetworkForbidden, match="reach ossci-datasets"):
        bt.load_dataset("mnist", root=tmp_path, tier="colab")
    assert not list(tmp_path.iterdir())


def answer(server: socket.socket) -> None:
    with server.accept()[0] as caller:
        caller.sendall(b"x")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_this_computer_may_talk_to_itself(host):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        server = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip("no IPv6 here")
    with server, socket.create_connection(server.getsockname()[:2], timeout=5) as client:
        answering = threading.Thread(target=answer, args=(server,))
        answering.start()
        assert client.recv(1) == b"x"
        answering.join()


def test_a_socket_of_the_file_system_is_no_network(tmp_path):
    if not hasattr(socket, "AF_UNIX"):
        pytest.skip("needs sockets of the file system")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        client.connect(str(tmp_path / "s"))
    assert Path(tmp_path / "s").exists()


def test_processes_that_a_test_starts_are_refused_too():
    code = f"import socket\ntry:\n  socket.create_connection(({HOST!r}, 80))\nexcept Exception: print('hidden')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert not done.stdout
    assert f"a test wants to reach {HOST}" in done.stderr
