"""The command line of the BMC simulator: `serval sim`, or `python -m lab.sim`."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from core.errors import RequestError, ServalError
from lab.bmc import Faults
from lab.fleet import Json, Settings, check_credentials, check_faults
from lab.simulator import Simulator

_DESCRIPTION = """\
Simulate thousands of BMCs in one process, each on its own loopback address: IPMI 2.0 over LAN with cipher
suites 3 and 17, power, boot device, and faults. ipmitool, ipmipower, pyghmi and rpower all speak to it."""

_EPILOG = """\
faults, as NAME[:VALUE]=WHERE, where WHERE is all, an address, or a range A-B:
  silent               never answers
  deaf_to:ADDRESS      never answers that source address (one service node)
  latency:SECONDS      every answer is that late
  loss:FRACTION        that part of the datagrams is lost, each way
  duplicate:FRACTION   that part of the datagrams arrives twice, each way
  wrong_password       has another password than the others
  busy[:N]             refuses the next N chassis commands with C0h, without N all
  reply_lost[:N]       carries out the next N changing commands and does not answer
  slow:SECONDS         the power changes that long after the command was accepted
  ignored              accepts power and boot device commands and does nothing

examples:
  serval sim --count 200 --port 6230 --password-file ./secret --control ./sim.sock
  serval sim --count 10000 --latency 0.05 --fault silent=127.1.0.5 --fault loss:0.1=127.1.1.0-127.1.1.255
  ipmitool -I lanplus -C 17 -H 127.1.0.1 -p 6230 -U ADMIN -P ADMIN chassis power status

The control socket takes one JSON object a line; lab/client.py speaks it:
  {"op": "faults", "where": "127.1.0.1-127.1.0.9", "set": {"silent": true}}
  {"op": "heal" | "state" | "counters" | "reset" | "power" | "credentials" | "totals" | "hello", …}
"""


def parser() -> argparse.ArgumentParser:
    """The options of the simulator."""
    made = argparse.ArgumentParser(
        prog="serval sim",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = made.add_argument
    add("--count", type=int, default=1, metavar="N", help="number of BMCs (default 1)")
    add("--base", default="127.1.0.1", metavar="ADDRESS", help="first address (default 127.1.0.1)")
    add("--port", type=int, default=0, help="UDP port of all of them; 0, the default, takes a free one")
    add("--user", default="ADMIN", help="user name (default ADMIN)")
    secret = made.add_mutually_exclusive_group()
    secret.add_argument(
        "--password", default="ADMIN", help="password (default ADMIN); visible to other users"
    )
    secret.add_argument("--password-file", type=Path, metavar="FILE", help="its first line is the password")
    add("--powered", action="store_true", help="start with all nodes on instead of off")
    add("--latency", type=float, default=0.0, metavar="S", help="seconds that every answer takes")
    add("--fault", action="append", default=[], metavar="FAULT=WHERE", help="see below; may be repeated")
    add("--session-timeout", type=float, default=60.0, metavar="S", help="an idle session ends (default 60)")
    add("--seed", type=int, help="makes loss and duplication the same in every run")
    add("--control", metavar="PATH", help="control socket: a path, or 127.0.0.1:PORT")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGINT or SIGTERM; 0 then, 1 when it cannot start. Prints one line when it is ready."""
    options = parser().parse_args(argv)
    try:
        simulator = Simulator(_settings(options))
    except ServalError as error:
        print(f"serval sim: {error.message}", file=sys.stderr)  # noqa: T201
        return 1
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: simulator.stop())
    addresses = list(simulator.fleet.bmcs)
    print(  # noqa: T201
        f"ready: {len(addresses)} BMCs {addresses[0]}-{addresses[-1]} port {simulator.port}", flush=True
    )
    simulator.run()
    return 0


def _settings(options: argparse.Namespace) -> Settings:
    password = (
        _read_password(options.password_file) if options.password_file else os.fsencode(options.password)
    )
    user, password = check_credentials(os.fsencode(options.user), password)
    if not 0 <= options.port <= 65535:
        raise RequestError(f"port {options.port}: a UDP port is 0 to 65535")
    if not options.session_timeout > 0:
        raise RequestError(f"session-timeout {options.session_timeout}: it is more than 0 seconds")
    return Settings(
        count=options.count,
        base=options.base,
        port=options.port,
        user=user,
        password=password,
        powered=options.powered,
        control=options.control,
        session_s=options.session_timeout,
        seed=options.seed,
        faults=_faults(options),
    )


def _read_password(path: Path) -> bytes:
    try:
        return path.read_bytes().split(b"\n", 1)[0].rstrip(b"\r")
    except OSError as error:
        raise RequestError(f"password file {path} cannot be read: {error.strerror}") from None


def _faults(options: argparse.Namespace) -> tuple[tuple[str, Json], ...]:
    latency = (("all", {"latency": options.latency}),) if options.latency else ()
    return (*latency, *(parse_fault(word) for word in options.fault))


def parse_fault(word: str) -> tuple[str, Json]:
    """Where, and which fields of Faults, a --fault option means.

    Raises RequestError, naming the option and its form.
    """
    fault, equals, where = word.partition("=")
    name, _, text = fault.partition(":")
    if not equals or not where:
        raise RequestError(f"--fault {word}: the form is NAME[:VALUE]=WHERE, for example silent=127.1.0.5")
    kind = type(getattr(Faults(), name, None))
    if kind in (float, str) and not text:
        raise RequestError(f"--fault {word}: {name} needs a value, as in {name}:VALUE={where}")
    try:
        value = text if kind is str else json.loads(text or "true")
    except ValueError:
        raise RequestError(f"--fault {word}: {text!r} is not a number") from None
    return where, check_faults({name: value})


if __name__ == "__main__":
    sys.exit(main())
