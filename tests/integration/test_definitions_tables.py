"""tabdump and tabrestore: a table comes back as it went, or not at all."""

import shlex
from pathlib import Path

import pytest
from commands import Shell
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.errors import DefinitionError
from db.engine import open_engine, reading, writing
from db.tabio import dump, parse, restore
from db.tables import DOCS, TABLES, key_names

#: Everything that both databases can hold, with much of what CSV stumbles over.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
CELL = st.one_of(TEXT, st.text("\",\n\r\\#'|; ", max_size=6), st.just(""))
ROW = st.tuples(CELL.filter(bool), CELL, CELL, CELL, CELL, CELL)
ROWS = st.lists(ROW, max_size=8, unique_by=lambda row: row[:2])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ROWS)
def test_a_dump_restores_to_the_same(database_url: str, rows: list[tuple[str, ...]]) -> None:
    names = list(TABLES["passwd"].c.keys())
    with writing(open_engine(database_url)) as connection:
        quoted = [['"' + cell.replace('"', '""') + '"' for cell in (*row, "")] for row in rows]
        text = "\n".join(["#" + ",".join(names), *map(",".join, quoted)])
        restore(connection, "passwd", text, append=False)
        first = "\n".join(dump(connection, "passwd")) + "\n"
        restore(connection, "passwd", first, append=False)
        assert "\n".join(dump(connection, "passwd")) + "\n" == first
    stored = {tuple(row[name] or "" for name in names) for row in parse(TABLES["passwd"], first)}
    assert stored == {(*row, "") for row in rows}


@settings(max_examples=300, deadline=None)
@given(st.text('#",\n\r keyusernampodx', max_size=60))
def test_nonsense_is_read_or_refused(text: str) -> None:
    for one in (text, "#key,username\n" + text):
        try:
            rows = parse(TABLES["passwd"], one)
        except DefinitionError as error:
            assert error.message
        else:
            assert all(row["key"] for row in rows)


@pytest.fixture
def shell(home_env: dict[str, str], tmp_path: Path) -> Shell:
    """Somebody with an empty database."""
    return Shell(home_env, tmp_path)


def save(folder: Path, table: str, text: str) -> str:
    file = folder / f"{table}.csv"
    file.write_text(text, encoding="utf-8")
    return shlex.quote(str(file))


def test_a_dump_is_written_as_xcat_writes_it(shell: Shell) -> None:
    shell.call("mkdef", ["n1", "groups=a,b", 'usercomment=say "hi", twice'])
    assert shell.ok("tabdump nodelist") == (
        "#node,groups,status,statustime,appstatus,appstatustime,primarysn,hidden,updatestatus,"
        "updatestatustime,zonename,comments,disable\n"
        '"n1","a,b",,,,,,,,,,"say ""hi"", twice",\n'
    )


def test_a_dump_of_an_old_release_restores(shell: Shell, tmp_path: Path) -> None:
    old = (
        "#node,groups,status,appstatus,primarysn,comments,disable\n"
        '"sn1","service,ipmi,all",,,,,\n'
        "\n"
        '"blade01","all,ls21",,,,"two\nlines",\n'
    )
    assert shell.ok(f"tabrestore {save(tmp_path, 'nodelist', old)}") == ""
    assert shell.ok("nodels") == "blade01\nsn1\n"
    assert shell.ok("nodels sn1 groups") == "sn1: service,ipmi,all\n"


def test_restoring_replaces_and_appending_adds(shell: Shell, tmp_path: Path) -> None:
    shell.ok("chdef -t site a=1 b=2")
    shell.ok(f"tabrestore -a {save(tmp_path, 'site', '#key,value' + chr(10) + 'b,3' + chr(10) + 'c,4')}")
    assert shell.ok("tabdump site") == '#key,value,comments,disable\n"a","1",,\n"b","3",,\n"c","4",,\n'
    shell.ok("tabrestore site.csv")
    assert shell.ok("tabdump site") == '#key,value,comments,disable\n"b","3",,\n"c","4",,\n'


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "first line"),
        ("key,value\na,b\n", "first line"),
        ("#key,nosuch\na,b\n", "no column 'nosuch'"),
        ("#value,comments\na,b\n", "'key'"),
        ("#key,value,value\na,b,c\n", "once"),
        ("#key,value\na,b\nc\n", "line 3"),
        ("#key,value\na,b\nc,d,e\n", "line 3"),
        ('#key,value\n"a,b\n', "line"),
        ('#key,value\n"a"b,c\n', "line 2"),
        ("#key,value\n,b\n", "no key"),
        ("#key,value\na,b\na,c\n", "two rows"),
        ("#key,value\na,b\0c\n", "NUL"),
        ("#key,value\na,********\n", "line 2'; lsdef"),
    ],
)
def test_a_bad_dump_changes_nothing(shell: Shell, tmp_path: Path, text: str, part: str) -> None:
    shell.ok("chdef -t site kept=1")
    answer = shell.run(f"tabrestore {save(tmp_path, 'site', text)}")
    assert (answer.status, answer.out) == (1, "")
    assert part in answer.err
    assert shell.ok("tabdump site") == '#key,value,comments,disable\n"kept","1",,\n'


@pytest.mark.parametrize("name", ["nosuch", "alembic_version", "job", "site;x"])
def test_only_xcat_tables_can_be_named(shell: Shell, tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.csv").write_text("#key\na\n")
    assert "No such table" in shell.call("tabdump", [name]).err
    assert "No such table" in shell.call("tabrestore", [f"{name}.csv"]).err


def test_a_file_that_cannot_be_read(shell: Shell, tmp_path: Path) -> None:
    assert "site.csv cannot be read" in shell.run("tabrestore site.csv").err
    (tmp_path / "site.csv").write_bytes(b"#key,value\na,\xff\n")
    assert "not UTF-8" in shell.run("tabrestore site.csv").err


@pytest.mark.parametrize(
    ("condition", "keys"),
    [
        ("key==b", "b"), ("key!=b", "ac"), ("value=~1%", "ac"), ("value!~1%", "b"), ("key>a", "bc"),
        ("key>=b", "bc"), ("key<b", "a"), ("key<=b", "ab"), ("comments==", "abc"), ("value==' OR 1", ""),
    ],
)  # fmt: skip
def test_rows_are_chosen_by_conditions(shell: Shell, condition: str, keys: str) -> None:
    shell.ok("chdef -t site a=10 b=20 c=11")
    found = shell.call("tabdump", ["-w", condition, "site"]).out.splitlines()[1:]
    assert [line[1] for line in found] == list(keys)


def test_conditions_that_are_none(shell: Shell) -> None:
    assert "no condition" in shell.run("tabdump -w nonsense site").err
    assert "no column 'x'" in shell.run("tabdump -w x==1 site").err


def test_every_table_and_column_explains_itself(shell: Shell) -> None:
    assert shell.ok("tabdump").split() == sorted(TABLES)
    assert [line.split(":")[0] for line in shell.ok("tabdump -d").splitlines()] == sorted(DOCS)
    for name, table in TABLES.items():
        lines = shell.ok(f"tabdump -d {name}").splitlines()
        columns = [line for line in lines if not line.startswith("\t")]  # the site's keys are listed too
        assert [line.partition(":\t")[0] for line in columns] == list(table.c.keys())
        assert all(line.endswith(".") for line in lines)


def test_every_table_dumps_and_restores_empty(shell: Shell, tmp_path: Path) -> None:
    for name in TABLES:
        dumped = shell.ok(f"tabdump {name}")
        shell.ok(f"tabrestore {save(tmp_path, name, dumped)}")


def test_tables_end_as_in_xcat() -> None:
    for table in TABLES.values():
        assert list(table.c.keys())[-2:] == ["comments", "disable"]
        assert key_names(table)


def test_unknown_tables_are_refused_by_the_library(database_url: str) -> None:
    with reading(open_engine(database_url)) as connection, pytest.raises(DefinitionError):
        dump(connection, "job")
