"""Frames over TLS in pieces of any size, and certificates that are known, unknown or not certificates."""

import select
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli import wire
from cli.link import CHUNK, Link
from cli.wire import ConversationLost
from core.errors import RequestError, UnavailableError
from drivers import tls
from drivers.certificate import certificate_file, fingerprint, make_certificate

#: Rows that somebody may have written.
PEM = ("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----")
BROKEN = {
    "a": "rubbish",
    "b": "",
    "c": "é",
    "d": "\n\n".join(PEM),
    "e": "\nAAAA\n".join(PEM),
    "f": "\né\n".join(PEM),
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of two hosts."""
    folder = tmp_path_factory.mktemp("keys") / "keys"
    for name in ("mn1", "sn1", "stranger"):
        make_certificate(folder, name)
    return folder


def meet(keys: Path, client: str, known: dict[str, str], expected: str) -> tuple[object, object]:
    """What either side of a handshake comes to: server's, client's; an exception is an answer."""
    found: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            sock, _ = listener.accept()
            try:
                found.append(tls.accept(sock, certificate_file(keys, "mn1"), known))
            except UnavailableError as error:
                sock.close()
                found.append(error)

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        try:
            reached: object = tls.connect("127.0.0.1", port, certificate_file(keys, client), expected)
        except UnavailableError as error:
            reached = error
        thread.join()
    return found[0], reached


def test_certificates_are_made_once_and_private(keys: Path) -> None:
    text = make_certificate(keys, "sn1")
    assert make_certificate(keys, "sn1") == text
    assert "PRIVATE" not in text
    assert certificate_file(keys, "sn1").stat().st_mode & 0o077 == 0
    assert fingerprint(text) != fingerprint(make_certificate(keys, "mn1"))
    for name in ("../sn1", "", "a/b"):
        with pytest.raises(RequestError):
            make_certificate(keys, name)


def test_a_member_is_known_by_its_certificate(keys: Path) -> None:
    known = {name: make_certificate(keys, name) for name in ("sn1", "mn1")} | BROKEN
    served, reached = meet(keys, "sn1", known, make_certificate(keys, "mn1"))
    assert isinstance(served, tuple)
    assert served[1] == "sn1"
    assert isinstance(reached, ssl.SSLSocket)
    served[0].close()
    reached.close()


def test_strangers_are_turned_away_on_both_sides(keys: Path) -> None:
    known = {"sn1": make_certificate(keys, "sn1")}
    served, reached = meet(keys, "stranger", known, make_certificate(keys, "mn1"))
    assert isinstance(served, tls.Stranger)
    if isinstance(reached, ssl.SSLSocket):  # TLS 1.3: the client learns of it when it reads
        link = Link(reached)
        select.select([link], [], [], 10)
        with pytest.raises(ConversationLost):
            link.take()
        link.close()
    _, reached = meet(keys, "sn1", known, make_certificate(keys, "stranger"))
    assert isinstance(reached, tls.Stranger)


@pytest.fixture(scope="module")
def pair(keys: Path) -> Iterator[tuple[ssl.SSLSocket, Link]]:
    """A peer that writes bytes, and the link that reads them."""
    known = {"sn1": make_certificate(keys, "sn1")}
    served, reached = meet(keys, "sn1", known, make_certificate(keys, "mn1"))
    assert isinstance(served, tuple)
    assert isinstance(reached, ssl.SSLSocket)
    yield served[0], Link(reached)
    served[0].close()
    reached.close()


FRAMES = st.lists(st.tuples(st.sampled_from(["out", "err", "status"]), st.binary(max_size=200)), max_size=8)


@settings(deadline=None, max_examples=60)
@given(frames=FRAMES, cuts=st.lists(st.integers(1, 300), max_size=8), most=st.sampled_from([None, 1, 2]))
def test_frames_come_whole_however_they_were_cut(
    pair: tuple[ssl.SSLSocket, Link], frames: list[tuple[str, bytes]], cuts: list[int], most: int | None
) -> None:
    peer, link = pair
    data = b"".join(wire.frame(word, rest) for word, rest in frames)
    for cut in [*cuts, len(data)]:
        if data:
            peer.sendall(data[:cut])
            data = data[cut:]
    found: list[tuple[str, bytes]] = []
    while len(found) < len(frames):
        got = link.take(most)
        assert most is None or len(got) <= most
        found += got
    assert found == frames
    assert link.take() == []


def test_much_is_sent_when_the_other_side_reads(pair: tuple[ssl.SSLSocket, Link]) -> None:
    peer, link = pair
    link.put("text", b"x" * (400 * CHUNK))
    link.flush()
    assert link.unsent
    got = []

    def read() -> None:
        got.append(wire.receive(peer))

    reader = threading.Thread(target=read)
    reader.start()
    link.finish(30)
    reader.join()
    assert got == [("text", b"x" * (400 * CHUNK))]


def test_a_frame_beyond_all_bounds_ends_it(pair: tuple[ssl.SSLSocket, Link]) -> None:
    peer, link = pair
    peer.sendall((wire.MOST + 1).to_bytes(4, "big"))
    select.select([link], [], [], 10)
    with pytest.raises(ConversationLost, match="a frame of"):
        link.take()
