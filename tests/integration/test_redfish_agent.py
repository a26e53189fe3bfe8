"""IPMI and Redfish in one job: definitions, sealed credentials, one attempt, and a service node's agent."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Shell
from jobstage import JobStage
from redfish_rig import PASSWORD, RESET, USER, Certificate, Service, hang, make_certificate

from core.power import Action
from core.states import Outcome
from db import jobs
from db.engine import open_engine, reading, writing
from db.home import Home, open_home
from drivers.bmc.contract import Driver
from drivers.bmc.engine import Engine
from drivers.bmc.redfish import RedfishDriver
from lab.fleet import Settings
from lab.simulator import Simulator
from routing.agent import Agent
from routing.asking import Asked, new_job
from routing.credentials import look_up

BASE = "127.1.7.1"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def services(certificate: Certificate) -> Iterator[list[Service]]:
    running = [Service(certificate) for _ in range(4)]
    yield running
    for service in running:
        service.stop()


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(Settings(count=3, base=BASE, seed=7)) as running:
        running.control.power("all", True)
        yield running


@pytest.fixture
def home(home_env: dict[str, str]) -> Home:
    return open_home(home_env)


@pytest.fixture
def shell(
    home_env: dict[str, str], tmp_path: Path, certificate: Certificate, services: list[Service],
    simulator: Simulator,
) -> Shell:  # fmt: skip
    """n1 to n3 with IPMI, n4 verified, n5 pinned for openbmc, n6 pinned wrongly, n7 with a wrong password."""
    made = Shell(home_env, tmp_path)
    authorities = tmp_path / "ca.pem"
    authorities.write_text(certificate.ca)
    ports = [service.port for service in services]
    for line in (
        f"chdef -t site clustersite bmcca={authorities} ipmitimeout=0.4 ipmiretries=3",
        f"mkdef -t node n[1-3] groups=all mgt=ipmi bmc='|n(\\d)|127.1.7.$1:{simulator.port}|'"
        " bmcusername=ADMIN bmcpassword=ADMIN",
        f"mkdef -t node n4 groups=all mgt=redfish bmc=127.0.0.1:{ports[0]}",
        f"mkdef -t node n5 groups=all mgt=openbmc bmc=https://127.0.0.1:{ports[1]}#sha256:{certificate.fingerprint}",
        f"mkdef -t node n6 groups=all mgt=redfish bmc=127.0.0.1:{ports[2]}#sha256:{'0' * 64}",
        f"mkdef -t node n7 groups=all mgt=redfish bmc=127.0.0.1:{ports[3]}"
        f" bmcusername={USER} bmcpassword=swordfish",
        "mkdef -t node n8 groups=all mgt=redfish bmc=ftp://127.0.0.1",
    ):
        made.ok(line)
    rows = "#key,username,password,cryptmethod,authdomain,comments,disable\n"
    for key in ("redfish", "openbmc"):
        rows += f'"{key}","{USER}","{PASSWORD}",,,,\n'
    (tmp_path / "passwd.csv").write_text(rows)
    made.run(f"tabrestore {tmp_path / 'passwd.csv'}")
    return made


@pytest.fixture
def agent(home: Home) -> Iterator[Agent]:
    engine, redfish = Engine(), RedfishDriver()
    methods: dict[str, Driver] = {"ipmi": engine, "redfish": redfish, "openbmc": redfish}

    def no_fallback() -> Driver:
        raise AssertionError("no BMC here is foreign")

    made = Agent(home, methods.__getitem__, no_fallback)
    yield made
    made.close()
    redfish.close()
    engine.close()


def ask(home: Home, stage: JobStage, agent: Agent, action: Action) -> dict[str, jobs.NodeResult]:
    """The results of a job on all nodes, done by the agent of mn1."""
    engine = open_engine(home.database)
    nodes = [f"n{number}" for number in range(1, 9)]
    with writing(engine) as connection:
        asked = new_job(connection, Asked(action.value, "rpower", action, nodes, "test", "tester"), "mn1")
        number = jobs.enter(connection, asked, time.time())
    for _ in range(100):
        stage.turn()
        while stage.parcels:
            agent.work(stage.parcels.pop(0).attempt)
        with reading(engine) as connection:
            found = {result.node: result for result in jobs.results(connection, number)}
        if len(found) == len(nodes) and all(result.outcome for result in found.values()):
            return found
        time.sleep(0.05)
    raise AssertionError(found)


def test_mixed(shell: Shell, home: Home, agent: Agent, services: list[Service], simulator: Simulator) -> None:
    stage = JobStage(open_engine(home.database), home.keys, ("mn1",))
    found = ask(home, stage, agent, Action.STAT)
    assert {node for node, result in found.items() if result.text == "on"} == {"n1", "n2", "n3", "n4", "n5"}
    found = ask(home, stage, agent, Action.RESET)
    assert [found[f"n{number}"].text for number in range(1, 6)] == ["reset"] * 5
    assert [found[f"n{number}"].error for number in range(6, 9)] == [
        "BmcRefused", "BmcAuthError", "NoBmcAddress",
    ]  # fmt: skip
    assert "not the pinned one" in found["n6"].text
    assert simulator.control.received("reset") == {f"127.1.7.{number}": 1 for number in range(1, 4)}
    assert [service.state.received["POST", RESET] for service in services] == [1, 1, 0, 0]
    assert not any(word in str(result) for result in found.values() for word in (PASSWORD, "swordfish"))


def test_no_answer_leaves_one_unknown_and_the_others_done(
    shell: Shell, home: Home, agent: Agent, services: list[Service]
) -> None:
    services[0].state.faults["POST", RESET] = hang
    stage = JobStage(open_engine(home.database), home.keys, ("mn1",))
    found = ask(home, stage, agent, Action.RESET)
    assert found["n4"].outcome == Outcome.UNKNOWN
    assert [found[node].text for node in ("n1", "n2", "n3", "n5")] == ["reset"] * 4
    assert services[0].state.received["POST", RESET] == 1


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("bmctls=none", "site.bmctls is 'none'; it must be verify, accept or sha256:FINGERPRINT"),
        ("bmcca=/nonexistent/ca.pem", "site.bmcca: /nonexistent/ca.pem cannot be read: No such file"),
        ("bmcca=/etc/passwd", "site.bmcca: /etc/passwd holds no certificate (PEM)"),
    ],
)
def test_settings_that_cannot_be_used_stop_the_nodes_that_need_them(
    shell: Shell, home: Home, setting: str, words: str
) -> None:
    shell.ok(f"chdef -t site clustersite {setting}")
    with reading(open_engine(home.database)) as connection:
        found, failed = look_up(connection, [f"n{number}" for number in range(1, 8)])
    assert failed["n4"][0] == "DefinitionError"
    assert failed["n4"][1].startswith(words)
    assert {"n1", "n2", "n3", "n5", "n6"} <= found.keys()
