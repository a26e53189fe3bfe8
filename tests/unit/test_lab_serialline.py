"""The laboratory's hands on a serial line: here a shell behind a socket."""

import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import UnavailableError
from lab.serialline import SerialLine


@pytest.fixture
def line(tmp_path: Path) -> Iterator[SerialLine]:
    place = tmp_path / "serial"
    with socket.socket(socket.AF_UNIX) as ear:
        ear.bind(str(place))
        ear.listen()

        def answer() -> None:
            peer, _ = ear.accept()
            with peer:
                subprocess.run(["sh"], stdin=peer, stdout=peer, stderr=peer, cwd=tmp_path, check=False)

        shell = threading.Thread(target=answer)
        shell.start()
        with SerialLine(place, 20) as made:
            yield made
        shell.join()


def test_commands_have_a_status_and_what_they_wrote(line: SerialLine) -> None:
    assert line.run("echo one; echo two; (exit 3)") == (3, "one\ntwo")
    assert line.run("true") == (0, "")
    assert line.must("printf x") == "x"
    with pytest.raises(UnavailableError, match="exit status 1"):
        line.must("false")


def test_files_come_as_they_are_and_for_nobody_else(line: SerialLine, tmp_path: Path) -> None:
    text = "".join(f'key{number} = "$HOME `x` \\\\ \' ü {number}"\n' for number in range(400))
    line.write(str(tmp_path / "folder/file"), text)
    file = tmp_path / "folder/file"
    assert (file.read_text(), file.stat().st_mode & 0o777) == (text, 0o600)
    assert [path.name for path in file.parent.iterdir()] == ["file"]


def test_a_line_that_is_gone_is_said(line: SerialLine) -> None:
    with pytest.raises(UnavailableError, match="was switched off"):
        line.run("exit")
