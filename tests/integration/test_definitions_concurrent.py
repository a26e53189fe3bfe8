"""Many processes define at once, and nothing that one wrote is lost."""

import multiprocessing
from collections.abc import Mapping
from pathlib import Path

from commands import Shell

#: Each waits for all others, at most ten seconds.
WRITERS = 12
ROUNDS = 2


def _write(env: Mapping[str, str], cwd: Path, number: int) -> None:
    shell = Shell(env, cwd)
    for turn in range(ROUNDS):
        shell.ok(f"chdef shared -p groups=w{number}r{turn}")
        assert shell.run(f"chdef own{number}x{turn} groups=all os=o{number} servicenode=sn{turn}").status == 0
        shell.ok(f"chdef -t group -o all -p members=base{number}")
        shell.ok(f"chtab key=forwarders site.value+=10.1.{number}.{turn}")
        shell.ok(f"nodech shared postscripts.postscripts,=s{number}r{turn}")
        shell.ok(f"chdef -t site -p nameservers=10.0.{number}.{turn} key{number}x{turn}=v")


def test_nothing_is_lost(home_env: dict[str, str], tmp_path: Path) -> None:
    shell = Shell(home_env, tmp_path)
    shell.ok("mkdef shared groups=first")
    shell.ok(f"mkdef base[0-{WRITERS - 1}] groups=base")
    processes = [
        multiprocessing.Process(target=_write, args=(home_env, tmp_path, number)) for number in range(WRITERS)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0] * WRITERS

    turns = [(number, turn) for number in range(WRITERS) for turn in range(ROUNDS)]
    groups = shell.ok("nodels shared groups").strip().removeprefix("shared: ").split(",")
    assert sorted(groups) == sorted(["first", *(f"w{number}r{turn}" for number, turn in turns)])
    scripts = shell.ok("nodels shared postscripts.postscripts").strip().removeprefix("shared: ").split(",")
    assert sorted(scripts) == sorted(f"s{number}r{turn}" for number, turn in turns)
    forwarders = shell.ok("gettab key=forwarders site.value").strip().split(",")
    assert sorted(forwarders) == sorted(f"10.1.{number}.{turn}" for number, turn in turns)
    own = {f"own{number}x{turn}" for number, turn in turns}
    assert set(shell.ok("nodels all").split()) == {*own, *(f"base{number}" for number in range(WRITERS))}
    site = shell.ok("lsdef -t site -l")
    assert all(f"key{number}x{turn}=v" in site for number, turn in turns)
    assert all(f"10.0.{number}.{turn}" in site for number, turn in turns)
