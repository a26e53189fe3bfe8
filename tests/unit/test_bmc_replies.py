"""Completion codes of commands that change a node: a refusal is final, a doubt is not a refusal."""

import pytest

from drivers.bmc.contract import Target, Verdict
from drivers.bmc.replies import Replies

REPLIES = Replies(Target("n1", "127.1.0.1", b"user", b"secret"))


@pytest.mark.parametrize("code", [0xC0, 0xC1, 0xCC, 0xD4, 0xD5, 0xFF])
def test_a_refusal_is_of_the_node(code: int) -> None:
    reply = REPLIES.completed(code, "reset")
    assert (reply.verdict, reply.error) == (Verdict.NODE, "BmcRefused")


@pytest.mark.parametrize("code", [0xC3, 0xCE])
def test_a_bmc_that_cannot_tell_leaves_the_reset_unknown(code: int) -> None:
    reply = REPLIES.completed(code, "reset")
    assert (reply.verdict, reply.sent) == (Verdict.LOST, "reset")
    assert "127.1.0.1" in reply.text
