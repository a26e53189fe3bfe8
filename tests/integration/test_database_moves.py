"""serval db and serval import-xcat: everything arrives, or nothing does."""

import csv
import io
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import Shell
from postgres_server import PostgresServer

from db import schema, transfer
from db.engine import Engine, has_password, open_engine, reading, writing
from db.jobtables import event

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shell(home_env: dict[str, str], tmp_path: Path) -> Shell:
    """Somebody with a small site."""
    one = Shell(home_env, tmp_path)
    one.ok("mkdef n[1-30] groups=all,x mgt=ipmi")
    one.ok(r"chtab node=x 'ipmi.bmc=|n(\d+)|10.0.0.($1)|' ipmi.username=ü")
    one.ok("mkdef -t network net1 net=10.0.0.0 mask=255.0.0.0")
    with writing(open_engine(one.env["SERVAL_DATABASE"])) as connection:
        for number in range(3):
            connection.execute(
                event.insert().values(job_id=number, at=number / 3, kind="k", nodes="n", message="m")
            )
        connection.execute(event.delete().where(event.c.job_id == 2))
    return one


@pytest.fixture
def other_url(request: pytest.FixtureRequest, database_url: str, tmp_path: Path) -> Iterator[str]:
    """An empty database of the other kind."""
    if database_url.startswith("postgresql"):
        yield f"sqlite:///{tmp_path / 'other.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    server.execute("DROP DATABASE IF EXISTS other WITH (FORCE)")
    server.execute("CREATE DATABASE other")
    yield server.url("other")
    open_engine(server.url("other")).dispose()


def sums(url: str) -> dict[str, transfer.Sum]:
    with reading(open_engine(url)) as connection:
        return {name: transfer.table_sum(connection, one) for name, one in transfer.tables_in_use().items()}


def migrate(shell: Shell, url: str) -> None:
    out = shell.ok("serval db migrate --to -", stdin=f"{url}\n")
    assert "holds the same as" in out
    assert "serval.toml" in out


def test_a_site_moves_and_moves_back(shell: Shell, other_url: str, tmp_path: Path) -> None:
    own = shell.env["SERVAL_DATABASE"]
    before = sums(own)
    migrate(shell, other_url)
    assert sums(own) == sums(other_url) == before
    moved = Shell({**shell.env, "SERVAL_DATABASE": other_url}, tmp_path)
    assert moved.ok("lsdef all") == shell.ok("lsdef all")
    assert "No fault was found" in moved.ok("serval db check")
    migrate(moved, f"sqlite:///{tmp_path / 'back.db'}")
    assert sums(f"sqlite:///{tmp_path / 'back.db'}") == before


def test_numbers_are_not_given_out_twice(shell: Shell, other_url: str) -> None:
    migrate(shell, other_url)
    with writing(open_engine(other_url)) as connection:
        connection.execute(event.insert().values(job_id=9, at=1.0, kind="k", nodes="n", message="m"))
        assert sorted(connection.execute(event.select()).scalars()) == [1, 2, 4]


def test_a_target_with_rows_is_refused(shell: Shell, other_url: str, tmp_path: Path) -> None:
    Shell({**shell.env, "SERVAL_DATABASE": other_url}, tmp_path).ok("chtab key=a site.value=1")
    before = sums(other_url)
    answer = shell.run("serval db migrate --to -", stdin=other_url)
    assert (answer.status, "is not empty" in answer.err) == (1, True)
    assert sums(other_url) == before


@pytest.mark.parametrize("table", ["nodelist", "event", "networks"])
def test_an_interruption_leaves_the_target_empty(
    shell: Shell, other_url: str, table: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a signal raises between any two tables."""
    own = shell.env["SERVAL_DATABASE"]
    before = sums(own)
    real = transfer.table_sum

    def interrupted(connection: object, one: object) -> transfer.Sum:
        if getattr(one, "name", "") == table:
            raise KeyboardInterrupt
        return real(connection, one)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(transfer, "table_sum", interrupted)
        assert shell.run("serval db migrate --to -", stdin=other_url).status == 130
    assert sums(own) == before
    assert {one.rows for one in sums(other_url).values()} == {0}


def test_what_does_not_arrive_is_noticed(
    shell: Shell, other_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = transfer.bulk_insert
    with monkeypatch.context() as patch:
        patch.setattr(transfer, "bulk_insert", lambda to, table, rows: real(to, table, rows[1:]))
        answer = shell.run("serval db migrate --to -", stdin=other_url)
    assert (answer.status, "arrived; nothing was kept" in answer.err) == (1, True)
    assert {one.rows for one in sums(other_url).values()} == {0}


def test_nobody_writes_to_the_source_meanwhile(shell: Shell, other_url: str) -> None:
    source: Engine = open_engine(shell.env["SERVAL_DATABASE"])
    with transfer._held(source):
        quick = open_engine(shell.env["SERVAL_DATABASE"] + quick_words(source))
        with pytest.raises(Exception, match=r"lock"), writing(quick) as connection:
            connection.execute(event.delete())
        quick.dispose()


def quick_words(engine: Engine) -> str:
    """What of a URL makes a writer give up soon."""
    if engine.dialect.name == "sqlite":
        return "?timeout=0.1"
    return ("&" if "?" in str(engine.url) else "?") + "options=-c%20lock_timeout%3D100"


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("serval db migrate --to postgresql://u:secret@h/d", "standard input"),
        ("serval db migrate --to mysql://h/d", "Serval runs on sqlite and postgresql"),
        ("serval db migrate", "--to URL"),
        ("serval db backup", "take a FILE"),
        ("serval db restore nowhere", "no file"),
        ("serval db check x", "take a FILE"),
        ("serval db nosuch", "invalid choice"),
    ],
)
def test_what_is_refused(shell: Shell, line: str, part: str) -> None:
    answer = shell.run(line)
    assert answer.status == 1
    assert part in answer.err
    assert "secret" not in answer.err


def test_passwords_in_urls() -> None:
    assert [has_password(url) for url in ("postgresql://u:p@h/d", "postgresql://u@h/d", "sqlite:///x")] == [
        True, False, False,
    ]  # fmt: skip


def test_the_same_database_is_no_target(shell: Shell) -> None:
    answer = shell.run("serval db migrate --to -", stdin=shell.env["SERVAL_DATABASE"])
    assert (answer.status, "Both are the same" in answer.err) == (1, True)


def test_backup_and_restore(shell: Shell, tmp_path: Path) -> None:
    before = sums(shell.env["SERVAL_DATABASE"])
    shell.ok("serval db backup save.db")
    assert (tmp_path / "save.db").stat().st_mode & 0o777 == 0o600
    assert "exists" in shell.run("serval db backup save.db").err
    shell.ok("rmdef n1-n30")
    assert "is not empty" in shell.run("serval db restore save.db").err
    shell.ok("serval db restore save.db --replace")
    assert sums(shell.env["SERVAL_DATABASE"]) == before
    assert sorted(file.name for file in tmp_path.glob("*save*")) == ["save.db"]


def test_a_new_database_is_made_once(shell: Shell, other_url: str, tmp_path: Path) -> None:
    new = Shell({**shell.env, "SERVAL_DATABASE": other_url}, tmp_path)
    assert "serval db upgrade" in new.run("serval db check").err
    assert "from nothing" in new.ok("serval db init")
    assert "is up to date" in new.ok("serval db upgrade")
    with writing(open_engine(other_url)) as connection:
        connection.exec_driver_sql("DROP TABLE nodepos")
    assert "nodepos" in new.run("serval db check").err


# From xCAT


def write_dump(folder: Path, tables: dict[str, list[list[str]]]) -> None:
    """The files of dumpxCATdb: a header without quotes, values with them, nothing for what is not set."""
    folder.mkdir(exist_ok=True)
    for table, (header, *rows) in tables.items():
        out = io.StringIO()
        csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
        text = out.getvalue().replace('""', "\0").replace(',""', ",").replace('"",', ",")
        text = text.replace("\0,", ",").replace(",\0", ",").replace("\0", '""')
        (folder / f"{table}.csv").write_text("#" + ",".join(header) + "\n" + text)


SEED = {
    "nodelist": [
        ["node", "groups", "status", "appstatus", "primarysn", "comments", "disable"],
        ["sn1", "service,ipmi,all", "", "", "", "", ""],
        ["sn2", "service,ipmi,all", "", "", "", "", ""],
        ["blade01", "all,ls21,bc01,blade,compute,compute1", "", "", "", "", ""],
    ],
    "servicenode": [
        ["node", "nameserver", "dhcpserver", "tftpserver", "nfsserver", "comments", "disable"],
        ["service", "1", "1", "1", "1", 'Starts "all" services', ""],
    ],
    "noderes": [
        ["node", "servicenode", "netboot", "installnic", "xcatmaster", "comments", "disable"],
        ["compute1", "sn1,sn2", "pxe", "eth0", "", "", ""],
    ],
    "site": [["key", "value", "comments", "disable"], ["master", "mn1", "", ""], ["odd", "1", "", ""]],
}


@pytest.fixture
def fresh(home_env: dict[str, str], tmp_path: Path) -> Shell:
    """Somebody with an empty database."""
    return Shell(home_env, tmp_path)


def test_the_tables_of_the_guide_are_taken_over(fresh: Shell, tmp_path: Path) -> None:
    write_dump(tmp_path / "dump", SEED)
    dry = fresh.run("serval import-xcat --dry-run dump")
    assert (dry.status, "7 rows would be taken over" in dry.out) == (0, True)
    assert fresh.ok("nodels") == ""
    answer = fresh.run("serval import-xcat dump")
    assert (answer.status, "7 rows were taken over and compared" in answer.out) == (0, True)
    assert "keeps and does not read: odd" in answer.err
    assert "servicenode=sn1,sn2" in fresh.ok("lsdef blade01")
    assert "setupnfs=1" in fresh.ok("lsdef sn1")
    again = fresh.run("serval import-xcat dump")
    assert (again.status, "has definitions already" in again.err) == (1, True)
    assert fresh.run("serval import-xcat --replace dump").status == 0


def test_what_has_no_place_is_kept_aside(fresh: Shell, tmp_path: Path) -> None:
    tables = {
        **SEED,
        "nodelist": [
            ["node", "groups", "oldcolumn", "disable"],
            ["n1", "all", "v,1", ""],
            ["n2", "all", "", ""],
        ],
        "zvm": [["node", "hcp"], ["n1", "h"]],
        "teal": [["a"]],
    }
    write_dump(tmp_path / "dump", tables)
    answer = fresh.run("serval import-xcat dump")
    assert answer.status == 0
    assert "nodelist: oldcolumn (1 rows)" in answer.err
    assert "Table zvm (1 rows)" in answer.err
    aside = Path(fresh.env["SERVAL_HOME"]) / "from-xcat"
    assert sorted(file.name for file in aside.iterdir()) == ["nodelist.csv", "zvm.csv"]
    assert (aside / "nodelist.csv").read_text() == '#node,oldcolumn\n"n1","v,1"\n'
    assert (aside / "zvm.csv").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("table", "text", "part"),
    [
        ("nodelist", '#node,groups\n"a"\n', "line 2: 1 values for 2 columns"),
        ("nodelist", '#node,groups\n"a","b"\n"a","c"\n', "two rows with the key a"),
        ("nodelist", '#node,groups\n,"b"\n', "line 2: no node"),
        ("nodelist", "node,groups\n", "is no header"),
        ("nodelist", '#groups\n"b"\n', "the keys"),
        ("nodelist", '#node\n"b\n', "line 2"),
        ("nosuch", "", "is no header"),
    ],
)
def test_a_dump_that_does_not_fit_changes_nothing(
    fresh: Shell, tmp_path: Path, table: str, text: str, part: str
) -> None:
    write_dump(tmp_path / "dump", {key: value for key, value in SEED.items() if key != table})
    (tmp_path / "dump" / f"{table}.csv").write_text(text)
    answer = fresh.run("serval import-xcat dump")
    assert answer.status == 1
    assert part in answer.err
    assert fresh.ok("tabdump site") == "#key,value,comments,disable\n"


def test_five_thousand_nodes(fresh: Shell, tmp_path: Path) -> None:
    """By the rules of the reference: groups with regex rows, pools, multi-row tables, quotes and newlines."""
    nodes = [f"n{number:04}" for number in range(5_000)]
    bmc = r"|n(\d+)|10.0.($1/250).($1%250)|"
    macs = [f"02:00:00:00:{place // 256:02x}:{place % 256:02x}" for place in range(5_000)]
    tables: dict[str, list[list[str]]] = {
        "nodelist": [["node", "groups", "status", "comments", "disable"]],
        "ipmi": [["node", "bmc", "username", "password"], ["compute", bmc, "u", 'p"w']],
        "nodehm": [["node", "mgt", "comments"], ["compute", "ipmi", "two\nlines"]],
        "noderes": [["node", "servicenode"]],
        "switch": [["node", "switch", "port"]],
        "mac": [["node", "interface", "mac"]],
    }
    tables["nodelist"] += [
        [one, f"compute,rack{at % 50},all", "booted", "", ""] for at, one in enumerate(nodes)
    ]
    tables["noderes"] += [[f"rack{rack}", f"sn{rack % 4},sn{(rack + 1) % 4}"] for rack in range(50)]
    tables["switch"] += [[node, "sw1", str(port)] for node in nodes[:100] for port in (1, 2)]
    tables["mac"] += [[node, "", mac] for node, mac in zip(nodes, macs, strict=True)]
    write_dump(tmp_path / "dump", tables)
    fresh.ok("serval import-xcat dump")
    assert len(fresh.ok("nodels compute").splitlines()) == 5_000
    out = fresh.ok("lsdef n4321 -i bmc,servicenode")
    assert out.splitlines()[1:] == ["    bmc=10.0.17.71", "    servicenode=sn1,sn2"]
    for table, (_, *rows) in tables.items():
        dumped = fresh.ok(f"tabdump {table}")
        assert len(list(csv.reader(io.StringIO(dumped)))) == len(rows) + 1


def test_a_killed_move_leaves_all_or_nothing(shell: Shell, other_url: str, tmp_path: Path) -> None:
    """A process killed at many moments; after the last one the move is simply done again."""
    own = shell.env["SERVAL_DATABASE"]
    before = sums(own)
    program = "from cli.entry import main; main('serval', 'r')"
    for delay in (0.3, 0.5, 0.6, 0.7, 0.8, 1.0):
        with subprocess.Popen(
            [sys.executable, "-c", program, "db", "migrate", "--to", "-"], cwd=ROOT, env=dict(shell.env),
            text=True, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            process.stdin.write(f"{other_url}\n")
            process.stdin.close()
            time.sleep(delay)
            process.kill()
        assert sums(own) == before
        schema.upgrade(open_engine(other_url))
        there = sums(other_url)
        if there == before:
            return
        assert {one.rows for one in there.values()} == {0}
    migrate(shell, other_url)
    assert sums(other_url) == before
