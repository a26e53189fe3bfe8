"""serval jobs, job, watch, cancel, retry, why and sn, on jobs that a real supervisor has stepped."""

import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import Answer, Shell
from jobstage import JobStage

from cli.context import Context
from cli.entry import run
from core.lease import Lease
from core.states import Outcome
from db import jobs
from db.attempts import Final, Hop
from db.engine import open_engine, reading
from drivers import leases

CLUSTER = """\
mkdef -t node -o sn1,sn2 groups=service setuptftp=1
mkdef -t node -o n[1-6] groups=compute servicenode=sn1,sn2
chdef -t group -o compute mgt=ipmi bmcusername=ADMIN bmcpassword=ADMIN bmc=|n(\\\\d+)|127.1.0.($1)|
"""


@pytest.fixture
def shell(home_env: dict[str, str], redis_url: str, tmp_path: Path) -> Shell:
    """A small cluster, and nobody alive in Redis."""
    with leases.connect(redis_url) as client:
        client.flushall()
    made = Shell({**home_env, "SERVAL_BROKER": redis_url}, tmp_path)
    for line in CLUSTER.splitlines():
        made.ok(line)
    return made


@pytest.fixture
def stage(shell: Shell, tmp_path: Path) -> JobStage:
    """The management node and two service nodes, all alive."""
    return JobStage(open_engine(shell.env["SERVAL_DATABASE"]), tmp_path / "keys")


def ask(shell: Shell, line: str) -> str:
    """The number of a job that was asked for."""
    return shell.ok(f"{line} --no-wait").split()[1]


@pytest.fixture
def lost(shell: Shell, stage: JobStage) -> str:
    """A reset in the middle of which sn1 was lost; sn2 took over, and sn1 told of n2 too late."""
    job = ask(shell, "rpower compute reset")
    first = stage.claim("sn1")
    stage.report(first, Final("n1", Outcome.OK, "reset"), n2="reset", n3="reset")
    stage.live.discard("sn1")
    stage.turn(6)
    second = stage.claim("sn2")
    wrong = [
        Final(node, Outcome.ERROR, f"Incorrect password provided (BMC 127.1.0.{node[1]})", "BmcAuthError")
        for node in ("n5", "n6")
    ]
    stage.report(second, Final("n4", Outcome.OK, "reset"), *wrong)
    stage.report(first, Final("n2", Outcome.OK, "reset"))
    stage.turn()
    return job


def test_jobs_are_listed_newest_first_with_their_counts(shell: Shell, stage: JobStage) -> None:
    assert shell.ok("serval jobs") == "no job was asked yet\n"
    first, second = ask(shell, "rpower compute on"), ask(shell, "rpower n1 stat")
    for _ in range(3):
        stage.serve()
    third = ask(shell, "rpower n1,n2 off")
    lines = shell.ok("serval jobs").splitlines()
    assert lines[0].split() == ["JOB", "STATE", "WHO", "ASKED", "COMMAND", "NODES"]
    assert [line.split()[:3] for line in lines[1:]] == [
        [third, "active", "tester"], [second, "done", "tester"], [first, "done", "tester"],
    ]  # fmt: skip
    assert lines[1].endswith("rpower n1,n2 off   2 go on")
    assert lines[3].endswith("rpower compute on  6 ok")
    assert [line.split()[0] for line in shell.ok("serval jobs -n 1").splitlines()] == ["JOB", third]
    assert len(shell.ok("serval jobs --active").splitlines()) == 2
    told = [json.loads(line) for line in shell.ok("serval jobs --json").splitlines()]
    assert [(one["job"], one["state"], one["counts"], one["open"]) for one in told] == [
        (int(third), "active", {}, 2),
        (int(second), "done", {"ok": 1}, 0),
        (int(first), "done", {"ok": 6}, 0),
    ]  # fmt: skip


def test_a_job_is_folded_by_outcome_and_message(shell: Shell, lost: str) -> None:
    page = shell.ok(f"serval job {lost}")
    assert f"job {lost}: rpower compute reset\nasked by tester at " in page
    assert "6 of 6 nodes have ended: 2 ok, 2 error, 2 unknown\n" in page
    assert "n[1,4]: 2 ok: reset\n" in page
    assert "n[5-6]: 2 error: Incorrect password provided (BMC ADDRESS)\n" in page
    assert re.search(r"^n\[2-3\]: 2 unknown: 'reset' may have been sent, then sn1 gave no beat", page, re.M)
    assert "sn2 took over n[4-6] (3 nodes) after sn1 gave no beat for 3 s\n" in page
    assert re.search(r"^sn1 +3 +1 +0 +2$", page, re.M)
    assert re.search(r"^sn2 +3 +1 +2 +0$", page, re.M)
    assert re.search(r"^ *\d+ +sn1 +sn1 +6: n\[1-6\] .*sn1 gave no beat for 3 s$", page, re.M)
    assert re.search(r" fence: .*to the next service node \(n\[4-6\]\)$", page, re.M)
    assert re.search(r" late: late answer from sn1 \(ok: reset\).* \(n2\)$", page, re.M)


def test_a_job_as_json_is_one_line(shell: Shell, lost: str) -> None:
    line, rest = shell.ok(f"serval job {lost} --json").split("\n")
    told = json.loads(line)
    assert rest == ""
    assert [(one["outcome"], one["count"], one["nodes"]) for one in told["outcomes"]] == [
        ("ok", 2, "n[1,4]"), ("error", 2, "n[5-6]"), ("unknown", 2, "n[2-3]"),
    ]  # fmt: skip
    assert told["service_nodes"] == {"sn1": {"ok": 1, "unknown": 2}, "sn2": {"ok": 1, "error": 2}}
    assert [one["sn"] for one in told["attempts"]] == ["sn1", "sn2"]
    assert "late" in {one["kind"] for one in told["events"]}


def test_a_job_says_where_its_nodes_are_and_what_it_waits_for(shell: Shell, stage: JobStage) -> None:
    first, second = ask(shell, "rpower compute on"), ask(shell, "rpower n1,n2 off")
    assert "no management node has taken it yet" in shell.ok(f"serval job {first}")
    held = stage.claim("sn1")
    stage.report(held, Final("n1", Outcome.OK, "on"), n2="on")
    page = shell.ok(f"serval job {first}")
    assert "1 of 6 nodes have ended: 1 ok, 5 go on\n" in page
    assert "n2: 1 issued by sn1\nn[3-6]: 4 claimed by sn1\n" in page
    waits = f"waits for job {first} (rpower compute on, asked by tester): 1 nodes\n"
    assert waits in shell.ok(f"serval job {second}")


def test_why_tells_every_step_in_order(shell: Shell, lost: str) -> None:
    lines = shell.ok("serval why n5").splitlines()
    assert lines[0].startswith(f"n5 in job {lost} (rpower compute reset, ")
    told = [re.sub(r"^  \d\d:\d\d:\d\d\.\d{3}  ", "", line) for line in lines[1:]]
    assert told[0] == "asked by tester; its service nodes: sn1,sn2"
    assert re.fullmatch(r"attempt \d+: given to sn1 in a batch of 6, queue sn1", told[1])
    assert re.fullmatch(r"attempt \d+: claimed by sn1", told[2])
    assert re.fullmatch(r"attempt \d+: sn1 gave no beat for 3 s: to the next service node", told[3])
    assert any(re.fullmatch(r"attempt \d+: given to sn2 in a batch of 3, queue sn2", line) for line in told)
    assert any("→ sn2" in line for line in told)
    assert told[-1].startswith(
        "error: Incorrect password provided (BMC 127.1.0.5), from sn2 (after sn1 gave no beat"
    )
    assert not any("late answer" in line for line in told)


def test_why_shows_late_answers_and_several_jobs(shell: Shell, stage: JobStage, lost: str) -> None:
    assert "late answer from sn1 (ok: reset)" in shell.ok("serval why n2")
    newest = ask(shell, "rpower n2,n3 stat")
    assert shell.ok("serval why n2").endswith("now           waiting\n")
    stage.serve()
    stage.serve()
    assert shell.ok("serval why n2 -n 5").count("\n") > shell.ok("serval why n2").count("\n")
    heads = [line for line in shell.ok("serval why n2,n3 -n 2").splitlines() if not line.startswith(" ")]
    assert [line.split(" (")[0] for line in heads] == [
        f"n2 in job {newest}", f"n2 in job {lost}", f"n3 in job {newest}", f"n3 in job {lost}",
    ]  # fmt: skip
    steps = [json.loads(line) for line in shell.ok(f"serval why n2 --job {lost} --json").splitlines()]
    assert [one["kind"] for one in steps] == ["asked", "bound", "claimed", "fence", "outcome", "late"]
    assert {one["node"] for one in steps} == {"n2"}


def test_why_shows_that_an_unknown_node_was_sent_nothing(shell: Shell, stage: JobStage) -> None:
    """sn1 could not hear whether its mark was durable, so it sent nothing; it is, so the node is unknown."""
    job = ask(shell, "rpower n1 reset")
    first = stage.claim("sn1")
    stage.report(first, n1="reset")
    stage.live.discard("sn1")
    stage.turn(6)
    stage.report(first, Hop("n1", "sn1 could not confirm the mark", "Unsent", sent=False))
    told = shell.ok("serval why n1")
    assert "unknown" in told
    assert "late word from sn1: nothing was sent (sn1 could not confirm the mark)" in told
    with stage.running(lambda _sn, node: Final(node, Outcome.OK, "reset")):
        answer = shell.run(f"serval retry {job} --unknown")
    assert answer.err.startswith("n1: late word from sn1: nothing was sent")


def test_what_a_service_node_says_cannot_pose_as_another_line(shell: Shell, stage: JobStage) -> None:
    with stage.running(lambda _sn, node: Final(node, Outcome.OK, "on\nn2: off\x1b[2J")):
        said = shell.run("rpower n1 stat")
    assert said.out == "n1: on\\nn2: off\\x1b[2J\n"


def test_why_knows_a_node_that_was_removed(shell: Shell, lost: str) -> None:
    shell.ok("rmdef n5")
    assert f"n5 in job {lost}" in shell.ok("serval why n5")


def test_watch_on_a_pipe_prints_plain_lines_and_the_failed_nodes(shell: Shell, lost: str) -> None:
    answer = shell.run(f"serval watch {lost}")
    assert answer.status == 1
    assert answer.out.startswith(f"job {lost}: rpower compute reset\njob {lost}: 6 of 6: 2 ok, 2 error, ")
    assert "\x1b" not in answer.out + answer.err
    assert "n[5-6]: 2 error: Incorrect password provided (BMC ADDRESS)\n" in answer.err


def test_watch_follows_a_job_to_its_end(shell: Shell, stage: JobStage) -> None:
    job = ask(shell, "rpower compute on")
    with stage.running():
        out = shell.ok(f"serval watch {job}")
    assert re.search(rf"job {job}: 6 of 6: 6 ok, (\d+/s, )?sn1 6\n$", out)


def test_watch_on_a_terminal_draws_a_bar(shell: Shell, stage: JobStage) -> None:
    job = ask(shell, "rpower compute on")
    out, err = io.StringIO(), io.StringIO()
    env = {**shell.env, "TERM": "xterm"}
    context = Context(out, err, io.StringIO(), env, shell.cwd, "tester", terminal=True)
    with stage.running():
        assert run("serval", ["watch", job], context) == 0
    assert "\x1b[" in out.getvalue()
    assert "6/6" in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", out.getvalue())
    assert err.getvalue() == ""


class Interrupting(io.StringIO):
    """An output at whose first progress line the user presses Ctrl-C."""

    def write(self, text: str) -> int:
        """Take the text."""
        if " of " in text:
            raise KeyboardInterrupt
        return super().write(text)


def test_ctrl_c_ends_the_watching_and_not_the_job(shell: Shell, stage: JobStage) -> None:
    job = ask(shell, "rpower compute on")
    err = io.StringIO()
    context = Context(Interrupting(), err, io.StringIO(), shell.env, shell.cwd, "tester", terminal=False)
    assert run("serval", ["watch", job], context) == 130
    assert (
        f"job {job} goes on. Watch it: serval watch {job}   Cancel it: serval cancel {job}" in err.getvalue()
    )
    assert "6 go on" in shell.ok("serval jobs")
    stage.serve()
    stage.serve()
    assert "6 ok" in shell.ok(f"serval job {job}")


def test_cancel_ends_what_is_not_sent_and_names_what_was(shell: Shell, stage: JobStage) -> None:
    job = ask(shell, "rpower compute reset")
    held = stage.claim("sn1")
    stage.report(held, Final("n1", Outcome.OK, "reset"), n2="reset")
    assert shell.ok(f"serval cancel {job}") == (
        f"job {job}: 4 (n[3-6]) cancelled; nothing was sent to them\n"
        f"1 (n2) had been sent already and will end by themselves: serval watch {job}\n"
        "1 had ended before\n"
    )
    stage.report(held, Final("n2", Outcome.OK, "reset"))
    stage.turn()
    assert "6 of 6 nodes have ended: 2 ok, 4 cancelled" in shell.ok(f"serval job {job}")
    assert f"job {job} is no step of a chain" in shell.run(f"serval cancel {job} --chain").err
    again = shell.run(f"serval cancel {job}")
    assert (again.status, again.out) == (1, "")
    assert again.err == f"job {job} was over already: 2 ok, 4 cancelled\n"


def test_cancel_works_without_redis(shell: Shell) -> None:
    job = ask(shell, "rpower n1 on")
    deaf = Shell({**shell.env, "SERVAL_BROKER": "redis://127.0.0.1:1/0"}, shell.cwd)
    assert deaf.ok(f"serval cancel {job}") == f"job {job}: 1 (n1) cancelled; nothing was sent to them\n"


def test_retry_asks_again_for_the_failed_nodes(shell: Shell, stage: JobStage, lost: str) -> None:
    with stage.running(lambda _sn, node: Final(node, Outcome.OK, "reset")):
        assert shell.ok(f"serval retry {lost}") == "n5: reset\nn6: reset\n"
    newest = json.loads(shell.ok("serval jobs -n 1 --json"))
    assert newest["label"] == f"rpower compute reset (retry of {lost})"
    assert newest["size"] == 2
    again = shell.run(f"serval retry {newest['job']}")
    assert (again.status, again.err) == (0, "")
    assert "every node is ok" in again.out


def test_retry_unknown_says_first_what_came_in_late(shell: Shell, stage: JobStage, lost: str) -> None:
    with stage.running(lambda _sn, node: Final(node, Outcome.OK, "reset")):
        answer = shell.run(f"serval retry {lost} --unknown")
    assert answer.status == 0
    assert sorted(answer.out.splitlines()) == ["n2: reset", "n3: reset", "n5: reset", "n6: reset"]
    assert answer.err.startswith("n2: late answer from sn1 (ok: reset)")
    assert "n3" not in answer.err


def test_retry_of_a_job_with_unknown_nodes_alone_says_how(shell: Shell, stage: JobStage) -> None:
    job = ask(shell, "rpower n1 nmi")
    stage.report(stage.claim("sn1"), n1="nmi")
    stage.turn(6)
    answer = shell.run(f"serval retry {job}")
    assert answer.status == 1
    assert answer.err.endswith(f"for the unknown ones: serval retry {job} --unknown\n")


def test_retry_of_rsetboot_keeps_device_and_mode(shell: Shell, stage: JobStage) -> None:
    job = ask(shell, "rsetboot n1 net -p -u")
    stage.live -= {"sn1", "sn2"}
    stage.turn(8)
    stage.turn(8)
    assert "n1: 1 unreached: sn1 has given no sign of life for " in shell.ok(f"serval job {job}")
    again = ask(shell, f"serval retry {job} -V")
    with reading(stage.engine) as connection:
        old, new = jobs.info(connection, int(job)), jobs.info(connection, int(again))
    assert old is not None and new is not None
    assert (new.spec, new.command, new.label) == (old.spec, "rsetboot", f"rsetboot n1 net (retry of {job})")


def test_retry_leaves_out_nodes_that_are_gone(shell: Shell, stage: JobStage, lost: str) -> None:
    shell.ok("rmdef n5")
    with stage.running(lambda _sn, node: Final(node, Outcome.OK, "reset")):
        answer = shell.run(f"serval retry {lost}")
    assert (answer.status, answer.out) == (1, "n6: reset\n")
    assert answer.err == "n5: no longer defined, not asked again\n"


def test_silent_bmcs_are_folded_over_addresses_and_service_nodes(shell: Shell, stage: JobStage) -> None:
    def silent(_sn: str, node: str) -> Hop:
        return Hop(node, f"BMC 127.1.0.{node[1]} did not answer within 15 s (timeout)", "BmcSilent")

    job = ask(shell, "rpower compute stat")
    for _ in range(5):
        stage.serve(silent)
    why = "BMC ADDRESS did not answer within 15 s (timeout)"
    assert f"n[1-6]: 6 unreached: sn1: {why}; sn2: {why}\n" in shell.ok(f"serval job {job}")


BAD = [
    ("serval job", "the following arguments are required: ID"),
    ("serval job 4711", "there is no job 4711"),
    ("serval job x", "'x' is not a job number"),
    ("serval job -- -1", "'-1' is not a job number"),
    ("serval job 99999999999999999999999", "is not a job number"),
    ("serval job ١", "is not a job number"),
    ("serval watch 4711", "there is no job 4711"),
    ("serval cancel 4711", "there is no job 4711"),
    ("serval cancel compute", "'compute' is not a job number"),
    ("serval retry 4711", "there is no job 4711"),
    ("serval jobs -n 0", "-n 0: it must be a whole number"),
    ("serval jobs -n many", "-n many: it must be a whole number"),
    ("serval jobs 5", "unrecognized arguments: 5"),
    ("serval why nosuch", "nosuch"),
    ("serval why n1", "n1 was part of no job"),
    ("serval why n1 --job 4711", "there is no job 4711"),
    ("serval why n1 -n -3", "-n"),
    ("serval sn forget nosuch", "nosuch has not joined"),
    ("serval sn forget", "unknown words: forget"),
    ("serval sn remember sn1", "unknown words: remember sn1"),
    ("serval frobnicate", "serval has no subcommand 'frobnicate'"),
]


@pytest.mark.parametrize(("line", "said"), BAD, ids=[line for line, _ in BAD])
def test_bad_input_is_named(shell: Shell, line: str, said: str) -> None:
    answer = shell.run(line)
    assert (answer.status, answer.out) == (1, "")
    assert answer.err.startswith("Error: ")
    assert said in answer.err


def test_why_refuses_more_nodes_than_anybody_reads(shell: Shell) -> None:
    shell.ok("mkdef -t node -o m[1-33] groups=many")
    answer = shell.run("serval why many")
    assert answer.status == 1
    assert "'many' names 33 nodes" in answer.err


# -- members -------------------------------------------------------------------------------------------


Beating = Callable[..., None]


@pytest.fixture
def beating(redis_url: str) -> Iterator[Beating]:
    """Starts members that beat in Redis until the end of the test."""
    stop = threading.Event()
    threads: list[threading.Thread] = []

    def start(name: str, **told: object) -> None:
        def loop() -> None:
            with leases.connect(redis_url) as client:
                beat = 0
                while not stop.wait(0.1):
                    beat += 1
                    lease = {"name": name, "beat": beat, "boot": "b", "release": "0.1.0", **told}
                    leases.publish(client, Lease(**lease))  # type: ignore[arg-type]

        threads.append(threading.Thread(target=loop, daemon=True))
        threads[-1].start()

    yield start
    stop.set()
    for thread in threads:
        thread.join(timeout=5)


def rows(answer: Answer) -> dict[str, list[str]]:
    """The table of `serval sn` by name."""
    return {line.split()[0]: line.split()[1:] for line in answer.out.splitlines()[1:]}


def test_sn_shows_live_members_and_what_they_serve(shell: Shell, stage: JobStage, beating: Beating) -> None:
    for name in ("sn1", "sn2"):
        beating(name)
    beating("mn1", role="mn")
    shell.ok("chdef n1,n2 servicenode=sn2,sn1")
    ask(shell, "rpower n3 on")
    stage.turn()
    answer = shell.run("serval sn")
    assert (answer.status, answer.err) == (0, "")
    assert rows(answer) == {
        "mn1": ["mn", "live", "0.1.0", "1", "yes", "0", "2", "2", "-"],
        "sn1": ["sn", "live", "0.1.0", "1", "yes", "1", "4", "6", "-"],
        "sn2": ["sn", "live", "0.1.0", "1", "yes", "0", "2", "6", "-"],
    }
    told = [json.loads(line) for line in shell.ok("serval sn --json").splitlines()]
    assert [(one["name"], one["state"], one["first"], one["any"]) for one in told] == [
        ("mn1", "live", 2, 2), ("sn1", "live", 4, 6), ("sn2", "live", 2, 6),
    ]  # fmt: skip


def test_sn_names_who_cannot_work_and_why(shell: Shell, stage: JobStage, beating: Beating) -> None:
    beating("mn1", role="mn")
    beating("sn1", database_ok=False)
    beating("sn3")
    answer = shell.run("serval sn")
    found = rows(answer)
    assert answer.status == 1
    assert found["sn1"][1] == "unusable"
    assert "sn1 cannot reach the database" in answer.out
    assert found["sn2"][1] == "dead"
    assert found["sn3"][1:5] == ["unusable", "0.1.0", "1", "no"]
    assert "it has not joined" in answer.out


def test_sn_does_not_mind_a_dead_member_that_no_pool_names(
    shell: Shell, stage: JobStage, beating: Beating
) -> None:
    beating("mn1", role="mn")
    beating("sn1")
    shell.ok("chdef n[1-6] servicenode=sn1")
    answer = shell.run("serval sn")
    assert rows(answer)["sn2"][1] == "dead"
    assert answer.status == 0


def test_sn_names_strangers_in_pools(shell: Shell, stage: JobStage, beating: Beating) -> None:
    for name in ("mn1", "sn1", "sn2"):
        beating(name)
    shell.ok("chdef n1 servicenode=typo")
    answer = shell.run("serval sn")
    assert answer.status == 1
    assert answer.err.startswith("n1: passed over typo: not a service node")


def test_sn_says_to_whom_nodes_cannot_report(shell: Shell, stage: JobStage, beating: Beating) -> None:
    beating("mn1", role="mn", load={"status_port": 3002.0})
    beating("sn1", load={"status_port": 0.0})
    beating("sn2")
    answer = shell.run("serval sn")
    assert answer.status == 0
    assert answer.err == "sn1: its port for node status is taken: nodes cannot report to it\n"


def test_a_member_that_is_forgotten_may_join_again(shell: Shell, stage: JobStage, beating: Beating) -> None:
    for name in ("mn1", "sn1", "sn2"):
        beating(name)
    assert shell.ok("serval sn forget sn1").startswith("sn1 is forgotten")
    answer = shell.run("serval sn")
    assert rows(answer)["sn1"][1] == "unusable"
    assert answer.status == 1


def test_sn_says_which_redis_does_not_answer(shell: Shell) -> None:
    deaf = Shell({**shell.env, "SERVAL_BROKER": "redis://:secret@127.0.0.1:1/0"}, shell.cwd)
    answer = deaf.run("serval sn")
    assert (answer.status, answer.out) == (1, "")
    assert "127.0.0.1:1" in answer.err
    assert "secret" not in answer.err


# -- the simulator -------------------------------------------------------------------------------------


def test_sim_helps_and_refuses(shell: Shell) -> None:
    assert "Simulate thousands of BMCs" in shell.ok("serval sim --help")
    bad = shell.run("serval sim --count 1 --fault nonsense=all")
    assert (bad.status, bad.out) == (1, "")
    assert "nonsense" in bad.err
    assert shell.run("serval sim --port many").status == 1
