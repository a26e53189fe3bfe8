"""rpower and rsetboot with bad input, and with parts of the cluster missing: said clearly, nothing runs."""

import json
import os
import signal
from pathlib import Path

import pytest
from commands import Answer, Shell
from jobstage import JobStage

from core.lease import Lease
from core.states import Outcome
from db import jobs
from db.attempts import Final
from db.engine import open_engine, reading
from drivers import leases
from drivers.freeport import free_port
from drivers.services import redis as embedded

CLUSTER = """\
mkdef -t node -o sn1,sn2 groups=service setuptftp=1
mkdef -t node -o n[1-4] groups=compute servicenode=sn1,sn2
chdef -t group -o compute mgt=ipmi bmcusername=ADMIN bmcpassword=ADMIN bmc=|n(\\\\d+)|127.1.0.($1)|
mkdef -t group -o nobody
"""


@pytest.fixture
def shell(home_env: dict[str, str], redis: embedded.RunningRedis, tmp_path: Path) -> Shell:
    """A small cluster, and nobody alive in Redis."""
    with leases.connect(redis.url) as client:
        client.flushall()
    made = Shell({**home_env, "SERVAL_BROKER": redis.url}, tmp_path)
    for line in CLUSTER.splitlines():
        made.ok(line)
    return made


@pytest.fixture
def stage(shell: Shell, tmp_path: Path) -> JobStage:
    """The management node and two service nodes, all alive."""
    return JobStage(open_engine(shell.env["SERVAL_DATABASE"]), tmp_path / "keys")


def job_count(shell: Shell) -> int:
    """How many jobs are in the database."""
    with reading(open_engine(shell.env["SERVAL_DATABASE"])) as connection:
        return len(jobs.recent(connection, 100))


def refused(shell: Shell, line: str) -> str:
    """What a command that is refused says; it has left no job behind."""
    answer = shell.run(line)
    assert (answer.status, answer.out) == (1, ""), answer
    assert answer.err.startswith("Error: ")
    assert "Traceback" not in answer.err
    assert job_count(shell) == 0
    return answer.err


BAD = [
    ("rpower n1,nosuch on", "nosuch"),
    ("rpower nosuch on", "nosuch"),
    ("rpower n[1-9] on", "n5"),
    ("rpower @nosuchgroup on", "nosuchgroup"),
    ("rpower n1 fly", "Unsupported command: rpower fly. Valid actions: on|off|"),
    ("rpower n1 ON", "Unsupported command: rpower ON"),
    ("rpower n1", "Please enter an action"),
    ("rpower", "the following arguments are required: noderange"),
    ("rpower '' on", "names no node"),
    ("rpower , on", "names no node"),
    ("rpower nobody on", "nobody"),
    ("rpower n1,-n1 on", "names no node"),
    ("rpower 'n[1' on", "n[1"),
    ("rpower n1 on off", "unrecognized arguments: off"),
    ("rpower n1 on --jsn", "unrecognized arguments: --jsn"),
    ("rpower ^/no/such/file on", "/no/such/file"),
    ("rpower 'n1;reboot' on", "n1;reboot"),
    ("rsetboot n1", "Please enter a boot device (net|hd|cd|default|bios|stat)"),
    ("rsetboot n1 floppy", "Unsupported command: rsetboot floppy. Valid devices: net|hd|"),
    ("rsetboot nosuch net", "nosuch"),
    ("rsetboot", "the following arguments are required: noderange"),
]


@pytest.mark.parametrize(("line", "said"), BAD, ids=[line for line, _ in BAD])
def test_what_is_wrong_is_named_and_nothing_runs(shell: Shell, line: str, said: str) -> None:
    assert said in refused(shell, line)


SETTINGS = [
    ("ipmitimeout=abc", "rpower n1 stat"),
    ("ipmitimeout=-1", "rpower n1 stat"),
    ("ipmitimeout=nan", "rsetboot n1 net"),
    ("ipmiretries=many", "rpower n1 on"),
    ("jobstart=soon", "rpower n1 on"),
    ("syspowerinterval=x", "rpower n1 on"),
    ("confirmnodes=few", "rpower n1 off"),
]


@pytest.mark.parametrize(("setting", "line"), SETTINGS, ids=[setting for setting, _ in SETTINGS])
def test_a_bad_setting_is_named_with_its_value(shell: Shell, setting: str, line: str) -> None:
    shell.ok(f"chdef -t site clustersite {setting}")
    key, _, value = setting.partition("=")
    said = refused(shell, line)
    assert f"site.{key} is '{value}'" in said
    assert f"chdef -t site clustersite {key}=" in said


def test_an_interval_without_a_number_of_nodes_is_refused(shell: Shell) -> None:
    shell.ok("chdef -t site clustersite syspowerinterval=5")
    assert "'syspowermaxnodes' is required" in refused(shell, "rpower n1 on")


def test_redis_that_is_down_is_named_and_no_job_is_left(shell: Shell) -> None:
    port = free_port()
    deaf = Shell({**shell.env, "SERVAL_BROKER": f"redis://:hush@127.0.0.1:{port}/0"}, shell.cwd)
    for line in ("rpower compute on", "rsetboot n1 net", "rpower n1 stat --plan", "rpower n1 on --no-wait"):
        said = refused(deaf, line)
        assert f"Redis at 127.0.0.1:{port} cannot be used" in said
        assert "hush" not in said


@pytest.mark.timeout(20, func_only=True)
def test_redis_that_is_frozen_is_given_up(shell: Shell, redis: embedded.RunningRedis) -> None:
    os.kill(redis.pid, signal.SIGSTOP)
    try:
        said = refused(shell, "rpower compute on")
    finally:
        os.kill(redis.pid, signal.SIGCONT)
    assert f"Redis at 127.0.0.1:{redis.port} does not answer in time" in said


def test_without_a_redis_the_way_to_start_one_is_said(shell: Shell) -> None:
    env = {key: value for key, value in shell.env.items() if key != "SERVAL_BROKER"}
    for line in ("rpower compute on", "rpower compute on --plan"):
        assert "Start it with: serval up" in refused(Shell(env, shell.cwd), line)


def plain(shell: Shell, line: str) -> Answer:
    """The answer to a command that must fail; the database cannot be asked."""
    answer = shell.run(line)
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith("Error: ")
    assert "Traceback" not in answer.err
    return answer


@pytest.mark.timeout(20, func_only=True)
def test_postgresql_that_is_down_is_named_without_the_password(tmp_path: Path) -> None:
    port = free_port()
    url = f"postgresql+psycopg2://serval:hush@127.0.0.1:{port}/cluster"
    shell = Shell({"SERVAL_HOME": str(tmp_path / "home"), "SERVAL_DATABASE": url}, tmp_path)
    for line in ("rpower n1 on", "serval jobs", "serval why n1", "serval cancel 1", "serval sn"):
        answer = plain(shell, line)
        assert f"PostgreSQL database cluster on 127.0.0.1:{port}" in answer.err
        assert "hush" not in answer.err


def test_a_sqlite_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/missing/serval.db"
    shell = Shell({"SERVAL_HOME": str(tmp_path / "home"), "SERVAL_DATABASE": url}, tmp_path)
    assert f"{tmp_path}/missing/serval.db" in plain(shell, "rpower n1 on").err


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "serval.db"
    file.write_text("this is no database\n" * 100)
    shell = Shell({"SERVAL_HOME": str(tmp_path / "home"), "SERVAL_DATABASE": f"sqlite:///{file}"}, tmp_path)
    assert str(file) in plain(shell, "rpower n1 on").err


@pytest.mark.timeout(60, func_only=True)
def test_a_job_that_no_management_node_takes_is_cancelled(shell: Shell) -> None:
    answer = shell.run("rpower n1,n2 on")
    assert (answer.status, answer.out) == (1, "")
    assert "no management node worker took the job, so it was cancelled" in answer.err
    assert "serval up" in answer.err
    told = json.loads(shell.ok("serval jobs --json"))
    assert (told["counts"], told["open"]) == ({"cancelled": 2}, 0)


def finish(stage: JobStage) -> None:
    """Enough turns for any job to end."""
    for _ in range(4):
        stage.serve()


TABLE_VALUES = [
    ("chdef n1 'bmc=|n(|10.0.0.1|'", "n1", "Regex value |n(|10.0.0.1|: the pattern cannot be read"),
    ("chdef n1 'bmc=|n(\\d+)|10.0.0.($9)|'", "n1", "Could not resolve 10.0.0. to an address"),
    ("chdef n1 mgt=ipmi bmc=no-such-host.invalid", "n1", "Could not resolve no-such-host.invalid"),
    ("chdef n1 bmcusername=12345678901234567", "n1", "user name is longer than IPMI's 16 bytes"),
]


@pytest.mark.parametrize(
    ("change", "node", "said"), TABLE_VALUES, ids=["pattern", "reference", "host name", "user name"]
)
def test_a_bad_table_value_fails_its_node_and_no_other(
    shell: Shell, stage: JobStage, change: str, node: str, said: str
) -> None:
    shell.ok(change)
    job = shell.ok("rpower n1,n2 on --no-wait").split()[1]
    finish(stage)
    answer = shell.run(f"serval watch {job}")
    assert answer.status == 1
    assert answer.err.startswith(f"{node}: 1 error: ")
    assert said in answer.err
    assert "n2" not in answer.err
    assert "1 ok, 1 error" in shell.ok(f"serval job {job}")


def test_an_unreadable_pool_fails_its_node_at_once(shell: Shell, stage: JobStage) -> None:
    shell.ok("chdef n1 'servicenode=|n(|sn1|'")
    job = shell.ok("rpower n1,n2 on --no-wait").split()[1]
    assert "n1: 1 unreached" in shell.ok(f"serval job {job}") or "n1: 1 error" in shell.ok(
        f"serval job {job}"
    )
    finish(stage)
    assert "n2: 1 ok: on" in shell.ok(f"serval job {job}")


def test_a_node_without_bmc_says_what_to_set(shell: Shell, stage: JobStage) -> None:
    shell.ok("mkdef -t node -o bare groups=all servicenode=sn1")
    with stage.running():
        answer = shell.run("rpower bare on")
    assert (answer.status, answer.out) == (1, "")
    assert answer.err == "bare: [mn1]: Error: no hardware control is set; try: chdef bare mgt=ipmi\n"


def test_results_come_as_text_and_as_json(shell: Shell, stage: JobStage) -> None:
    def one_wrong(_sn: str, node: str) -> Final:
        if node == "n2":
            return Final(node, Outcome.ERROR, "Incorrect password provided", "BmcAuthError")
        return Final(node, Outcome.OK, "on")

    with stage.running(one_wrong):
        text = shell.run("rpower compute on")
        told = shell.run("rpower compute on --json")
    assert (text.status, told.status) == (1, 1)
    assert sorted(text.out.splitlines()) == ["n1: on", "n3: on", "n4: on"]
    assert "n2: [sn1]: Error: Incorrect password provided\n" in text.err
    lines = {one["node"]: one for one in map(json.loads, told.out.splitlines())}
    assert {node: (one["outcome"], one["value"]) for node, one in lines.items()} == {
        "n1": ("ok", "on"), "n2": ("error", None), "n3": ("ok", "on"), "n4": ("ok", "on"),
    }  # fmt: skip


def test_a_plan_writes_no_row_and_sends_nothing(
    shell: Shell, stage: JobStage, redis: embedded.RunningRedis
) -> None:
    answer = shell.run("rpower compute reset --plan")
    assert (answer.status, answer.err) == (1, "")
    assert answer.out.startswith("nobody: 4 nodes: n[1-4] (sn1 ")
    with leases.connect(redis.url) as client:
        assert client.llen("sn1") == 0
        leases.publish(client, Lease(name="sn1", beat=1, boot="b"))
    assert job_count(shell) == 0
    told = json.loads(shell.run("rpower compute reset --plan --json").out)
    assert (told["sn"], told["count"], told["nodes"]) == (None, 4, "n[1-4]")
