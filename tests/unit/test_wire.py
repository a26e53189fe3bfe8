"""Frames between client and command server, over a real pair of sockets."""

from _socket import socket as Socket  # noqa: N812
from _socket import socketpair
from typing import Any

import pytest

from cli import wire
from cli.wire import ConversationLost


class Prompt:
    """A client's socket whose server has done everything and gone before `sendmsg` returns."""

    def __init__(self, ours: Socket, theirs: Socket) -> None:
        self._ours, self._theirs = ours, theirs

    def sendmsg(self, *arguments: Any) -> int:
        sent: int = self._ours.sendmsg(*arguments)
        wire.receive_with_streams(self._theirs)
        wire.send(self._theirs, "status", b"0")
        self._theirs.close()
        return sent

    def sendall(self, data: bytes) -> None:
        self._ours.sendall(data)


def test_a_server_that_has_answered_already_is_no_lost_conversation() -> None:
    ours, theirs = socketpair()
    wire.send_with_streams(Prompt(ours, theirs), wire.frame("run", b"x"), [0, 1, 2])  # type: ignore[arg-type]
    assert wire.receive(ours) == ("status", b"0")


def test_a_server_that_is_gone_is_one() -> None:
    ours, theirs = socketpair()
    theirs.close()
    with pytest.raises(ConversationLost):
        wire.send_with_streams(ours, wire.frame("run", b"x"), [0])
    with pytest.raises(ConversationLost):
        wire.receive(ours)
