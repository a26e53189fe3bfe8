"""mkdef, chdef, lsdef, rmdef and nodels, word for word as xCAT's, on both databases."""

from pathlib import Path

import pytest
from commands import Answer, Shell

CLUSTER = """\
mkdef -t node -o node01-node02 groups=compute,all mgt=ipmi arch=x86_64
mkdef -t node -o node06 groups=other,all mgt=hmc
chdef -t group -o compute bmc=|node(\\\\d+)|bmc($1)| bmcusername=ADMIN bmcpassword=secret mgt=ipmi
chdef -t group -o compute servicenode=sn1,sn2
"""
NODE01 = """\
Object name: node01
    arch=x86_64
    bmc=bmc01
    bmcpassword=secret
    bmcusername=ADMIN
    groups=compute,all
    mgt=ipmi
    servicenode=sn1,sn2
"""
ONE = "1 object definitions have been created or modified.\n"
PARTLY = "Error: One or more errors occurred when attempting to create or modify xCAT object definitions.\n"


@pytest.fixture
def shell(home_env: dict[str, str], tmp_path: Path) -> Shell:
    """A small cluster."""
    made = Shell(home_env, tmp_path)
    for line in CLUSTER.splitlines():
        words = line.replace("\\\\", "\\").split()
        answer = made.call(words[0], words[1:])
        assert (answer.status, answer.err) == (0, "")
    return made


@pytest.mark.parametrize(
    ("line", "answer"),
    [
        ("lsdef --show-secrets node01", Answer(0, NODE01, "")),
        ("lsdef node01", Answer(0, NODE01.replace("secret", "********"), "")),
        ("lsdef node01-node02 -i mgt -c", Answer(0, "node01: mgt=ipmi\nnode02: mgt=ipmi\n", "")),
        ("lsdef node06 -i servicenode", Answer(0, "Object name: node06\n    servicenode=\n", "")),
        ("lsdef", Answer(0, "node01  (node)\nnode02  (node)\nnode06  (node)\n", "")),
        ("lsdef -t group", Answer(0, "all  (group)\ncompute  (group)\nother  (group)\n", "")),
        ("lsdef -t node -w mgt==hmc", Answer(0, "node06  (node)\n", "")),
        ("lsdef -t node -w mgt=~^(hmc|x)$ -w arch!=x", Answer(0, "node06  (node)\n", "")),
        ("lsdef -t group -w grouptype==dynamic", Answer(0, "No object definitions have been found\n", "")),
        (
            "lsdef -t group -o other -l",
            Answer(0, "Object name: other\n    grouptype=static\n    members=node06\n", ""),
        ),
        ("lsdef -t group -o other", Answer(0, "Object name: other\n    grouptype=static\n", "")),
        (
            "lsdef nosuch",
            Answer(
                1,
                "No object definitions have been found\n",
                "Error: Could not find an object named 'nosuch' of type 'node'.\n",
            ),
        ),
        ("lsdef -t site", Answer(0, "clustersite  (site)\n", "")),
        (
            "mkdef node01 groups=x",
            Answer(
                1,
                "",
                "Warning: A definition for 'node01' already exists. No changes will be made.  "
                "Run again with '-f' option to force replace.\n"
                "Error: 0 object definitions have been created or modified.\n",
            ),
        ),
        ("mkdef n1 groups=all", Answer(0, ONE, "")),
        ("chdef n1 groups=all", Answer(0, ONE + "New object definitions 'n1' have been created.\n", "")),
        ("chdef node01 os=alma9", Answer(0, ONE, "")),
        (
            "chdef newnode2 mgt=ipmi",
            Answer(
                1,
                "",
                "Error: Attribute 'groups' is not specified for node 'newnode2', skipping to the next node.\n"
                + PARTLY,
            ),
        ),
        (
            "chdef node01 foo=1",
            Answer(
                1,
                "",
                "Error: 'foo' is not a valid attribute name for an object type of 'node'.\n"
                "Error: Skipping to the next attribute.\n" + PARTLY,
            ),
        ),
        (
            "chdef node01 groups+=x",
            Answer(
                1,
                "",
                "Error: 'groups+' is not a valid attribute name for an object type of 'node'.\n"
                "Error: Skipping to the next attribute.\n" + PARTLY,
            ),
        ),
        (
            "chdef -t group -o other bmc=b",
            Answer(
                1,
                "",
                "Error: Cannot set the attr='bmc' attribute unless mgt value is ipmi or openbmc or redfish.\n"
                + PARTLY,
            ),
        ),
        ("chdef node01 -n m1", Answer(0, "Changed the object name from node01 to m1.\n", "")),
        ("rmdef node01", Answer(0, "1 object definitions have been removed.\n", "")),
        (
            "rmdef n9",
            Answer(
                1,
                "No objects have been removed from the xCAT database.\n",
                "Error: Could not find an object named 'n9' of type 'node'.\n",
            ),
        ),
        ("rmdef -t node -a -f", Answer(0, "3 object definitions have been removed.\n", "")),
        ("nodels", Answer(0, "node01\nnode02\nnode06\n", "")),
        ("nodels node01 groups", Answer(0, "node01: compute,all\n", "")),
        (
            "nodels node01 nodehm.mgt ipmi.bmc",
            Answer(0, "node01: nodehm.mgt: ipmi\nnode01: ipmi.bmc: bmc01\n", ""),
        ),
        (
            "nodels node01 noderes.servicenode -b",
            Answer(0, "node01: sn1,sn2 (inherited from group compute)\n", ""),
        ),
        ("nodels all nodehm.mgt==hmc", Answer(0, "node06\n", "")),
        ("nodels all ipmi.password", Answer(0, "node01: ********\nnode02: ********\nnode06: \n", "")),
        ("nodels bogus", Answer(1, "", "Error: Invalid nodes and/or groups in noderange: bogus\n")),
    ],
)
def test_answers(shell: Shell, line: str, answer: Answer) -> None:
    assert shell.run(line) == answer


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("chdef node01 bmcpassword=********", "hidden value"),
        ("chdef node01", "No attributes"),
        ("chdef os=x", "No object names"),
        ("mkdef -t kit k1 num=1", "not a valid object type"),
        ("mkdef /etc/.* groups=x", "must be named"),
        ("mkdef -t group ^/etc/passwd groups=x", "no name for a group"),
        ("chdef ^/nosuch os=x", "nosuch"),
        ("chdef -t site -o other a=b", "clustersite"),
        ("mkdef -t group g -d", "-d needs -w"),
        ("mkdef -t group g -d -w os", "no criterion"),
        ("chdef node01 -n node02", "exists"),
        ("chdef node09 -n node10", "Could not find"),
        ("rmdef", "Name the objects"),
        ("rmdef -a", "needs -f"),
        ("rmdef -t site clustersite", "cannot be removed"),
        ("lsdef -c node01", "needs -i"),
        ("lsdef node01 -i nosuch", "not a valid attribute"),
        ("lsdef node01 os=x", "chdef"),
        ("lsdef --nosuch", "usage: lsdef"),
        ("nodels node01 nosuch", "no table"),
        ("nodels node01 nodehm.nosuch", "no column"),
        ("nodels node01 site.key", "no table"),
    ],
)
def test_what_cannot_be_done_is_said_and_changes_nothing(shell: Shell, line: str, part: str) -> None:
    before = dump_all(shell)
    answer = shell.run(line)
    assert (answer.status, answer.out) == (1, "")
    assert part in answer.err
    assert dump_all(shell) == before


def dump_all(shell: Shell) -> list[str]:
    """Every table."""
    return [shell.ok(f"tabdump {table}") for table in shell.ok("tabdump").split()]


def test_definitions_start_with_nothing_at_all(tmp_path: Path) -> None:
    shell = Shell({"SERVAL_HOME": str(tmp_path / "new" / "home")}, tmp_path)
    assert shell.ok("lsdef") == "No object definitions have been found\n"
    shell.ok("mkdef n1 groups=all")
    assert shell.ok("lsdef") == "n1  (node)\n"


def test_stanzas_come_back_as_they_went(shell: Shell) -> None:
    written = shell.ok("lsdef -z --show-secrets all")
    assert written.startswith("# <xCAT data object stanza file>\n\nnode01:\n    objtype=node\n    arch=x86")
    shell.ok("rmdef all")
    assert shell.ok("mkdef -z", stdin=written) == "3 object definitions have been created or modified.\n"
    assert shell.ok("lsdef -z --show-secrets all") == written


def test_stanzas_of_several_types_and_defaults(shell: Shell) -> None:
    text = """\
        default-node:
            groups=all
            os=alma9
        a1:
            objtype=node
        a2:
            objtype=node
            os="rocky9"
        ag:
            objtype=group
            members=a1,a2
        clustersite:
            objtype=site
            domain=cluster.net
    """
    assert "4 object definitions" in shell.ok("chdef -z profile=x", stdin=text)
    assert shell.ok("lsdef a1,a2 -i groups,os,profile -c").splitlines() == [
        "a1: groups=all,ag", "a1: os=alma9", "a1: profile=x",
        "a2: groups=all,ag", "a2: os=rocky9", "a2: profile=x",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["os=x\n", "n1:\n  groups\n", "", "n 1:\n groups=all\n", "n1:\n objtype=x\n"]
)
def test_stanzas_that_cannot_be_read(shell: Shell, text: str) -> None:
    before = dump_all(shell)
    answer = shell.run("mkdef -z", stdin=text)
    assert (answer.status, answer.out) == (1, "")
    assert dump_all(shell) == before


def test_lists_are_added_to_and_taken_from(shell: Shell) -> None:
    shell.ok("chdef node01 -p groups=gpu,compute servicenode=sn3")
    assert shell.ok("lsdef node01 -i groups,servicenode -c") == (
        "node01: groups=compute,all,gpu\nnode01: servicenode=sn1,sn2,sn3\n"
    )
    shell.ok("chdef node01 -m groups=all,nosuch servicenode=sn2")
    assert shell.ok("lsdef node01 -i groups,servicenode -c") == (
        "node01: groups=compute,gpu\nnode01: servicenode=sn1,sn3\n"
    )


def test_members_of_a_group_are_kept_with_the_nodes(shell: Shell) -> None:
    shell.ok("mkdef -t group g members=node01-node02")
    assert "members=node01,node02" in shell.ok("lsdef -t group g -l")
    shell.ok("chdef -t group g -p members=node06")
    shell.ok("chdef -t group g -m members=node01")
    assert "members=node02,node06" in shell.ok("lsdef -t group g -l")
    shell.ok("chdef -t group g members=node01")
    assert shell.ok("nodels g") == "node01\n"
    shell.ok("chdef -t group g -n h")
    assert shell.ok("nodels h groups") == "node01: compute,all,h\n"
    shell.ok("rmdef -t group h")
    assert shell.ok("nodels node01 groups") == "node01: compute,all\n"
    assert shell.run("chdef -t group g members=node01,nosuch").status == 1


def test_removing_leaves_no_row(shell: Shell) -> None:
    shell.ok("chdef node01 bmc=x servicenode=sn9 setupnfs=1")
    shell.ok("rmdef node01")
    shell.ok("rmdef -t group compute")
    assert not any('"node01"' in table or "compute" in table for table in dump_all(shell))


def test_replacing_forgets_what_was_there(shell: Shell) -> None:
    shell.ok("chdef node06 os=alma9 arch=x86_64")
    shell.ok("mkdef -f node06 groups=all os=rocky9")
    assert shell.ok("lsdef node06") == "Object name: node06\n    groups=all\n    os=rocky9\n"


def test_an_emptied_attribute_lets_the_group_through(shell: Shell) -> None:
    shell.ok("chdef node01 servicenode=sn9")
    shell.ok("chdef node01 servicenode= os=")
    assert shell.ok("lsdef node01 -i servicenode,os -c") == "node01: os=\nnode01: servicenode=sn1,sn2\n"
    assert '"node01"' not in shell.ok("tabdump servicenode")


def test_bmc_attributes_follow_mgt(shell: Shell) -> None:
    shell.ok("chdef node06 mgt=openbmc bmc=o6 consport=2200")
    shell.ok("chdef node01 bmc=i1")
    assert '"node06","o6","2200"' in shell.ok("tabdump openbmc")
    shell.ok("chdef node06 mgt=redfish bmc=https://r6")
    assert '"node06","https://r6","2200"' in shell.ok("tabdump openbmc")
    assert "bmc=https://r6" in shell.ok("lsdef node06")
    assert '"node01","i1"' in shell.ok("tabdump ipmi")
    shell.ok("chdef node06 mgt=ipmi")
    assert "bmc=" not in shell.ok("lsdef node06")


def test_site_is_one_object(shell: Shell) -> None:
    shell.ok("chdef -t site domain=cluster.net master=mn1")
    shell.ok("chdef -t site -o clustersite -p nameservers=10.0.0.1,10.0.0.2 master=mn1")
    shell.ok("chdef -t site domain=")
    assert shell.ok("lsdef -t site -l") == (
        "Object name: clustersite\n    master=mn1\n    nameservers=10.0.0.1,10.0.0.2\n"
    )


HOSTILE = [
    "$(touch pwned)", "`touch pwned`", "'; DROP TABLE nodelist; --", "%(x)s %s", "{0.__class__}",
    "a\nnode02:\n    os=b", "\x1b[2Jcleared", "../../etc/passwd", "é€𝄞", '"', "\\",
    "|(|", "|n|(1/0)|", "|n|(9**9**9)|", "/[/x/",
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_are_stored_and_nothing_more(shell: Shell, tmp_path: Path, value: str) -> None:
    assert shell.call("chdef", ["node01", f"usercomment={value}", f"os={value}"]).status == 0
    shown = shell.run("lsdef node01")
    assert shown.status == 0
    assert "\x1b" not in shown.out
    assert all(line.startswith(("Object name: node01", "    ")) for line in shown.out.splitlines())
    assert len([line for line in shown.out.splitlines() if line.startswith("    os=")]) == 1
    assert shell.run("nodels node02").out == "node02\n"
    assert value.replace('"', '""') in shell.ok("tabdump nodetype")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("value", ["a\0b", "\udcff"])
def test_text_that_no_database_can_hold_is_refused(shell: Shell, value: str) -> None:
    answer = shell.call("chdef", ["node01", f"os={value}"])
    assert (answer.status, answer.out) == (1, "")
    assert "'os'" in answer.err


@pytest.mark.parametrize("command", ["mkdef", "chdef", "lsdef", "rmdef", "tabdump", "tabrestore", "nodels"])
def test_every_command_explains_itself(shell: Shell, command: str) -> None:
    assert f"usage: {command}" in shell.ok(f"{command} --help")


def test_a_dynamic_group_that_cannot_be_read_is_named(shell: Shell) -> None:
    shell.ok("mkdef -t group bad -d -w os==alma9")
    shell.ok("chdef -t group bad wherevals=nonsense")
    answer = shell.run("lsdef -t group -l")
    assert answer.status == 0
    assert "Object name: other\n" in answer.out
    assert "group 'bad'" in answer.err
    assert "group 'bad'" in shell.run("nodels bad").err
    assert shell.run("chdef bad os=x").status == 1


def test_a_dynamic_group_is_selected_anew_at_each_use(shell: Shell) -> None:
    shell.ok("mkdef -t group hot -d -w status=~hot -w arch==x86_64")
    assert shell.ok("nodels hot") == ""
    shell.ok("chdef node01,node06 status=too-hot")
    assert shell.ok("nodels hot") == "node01\n"
    assert "wherevals=status=~hot::arch==x86_64" in shell.ok("lsdef -t group hot")
    shell.ok("mkdef -t group cold -w status!~hot")
    assert shell.ok("nodels cold groups") == "node02: compute,all,cold\n"


def test_hidden_nodes_are_listed_on_demand(shell: Shell) -> None:
    shell.ok("chdef node06 hidden=1")
    assert "node06" not in shell.ok("lsdef") + shell.ok("nodels")
    assert "node06" in shell.ok("lsdef -S")
    assert "node06" in shell.ok("nodels -S")
    assert "node06" in shell.ok("lsdef node06")


def test_a_name_that_a_dump_brought_in_cannot_pose_as_output(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "nodelist.csv").write_text('#node,groups\n"n1\n    os=fake","all"\n')
    shell.ok("tabrestore nodelist.csv")
    for line in ("lsdef", "lsdef -l", "nodels", "nodels all groups"):
        assert "n1\\n    os=fake" in shell.ok(line)
    assert shell.ok("rmdef -t node -a -f") == "1 object definitions have been removed.\n"


def test_a_database_that_is_down_is_named(tmp_path: Path) -> None:
    env = {"SERVAL_HOME": str(tmp_path), "SERVAL_DATABASE": "postgresql://serval:sesame@127.0.0.1:1/serval"}
    for line in ("lsdef", "mkdef n1 groups=all", "tabdump site", "nodels"):
        answer = Shell(env, tmp_path).run(line)
        assert (answer.status, answer.out) == (1, "")
        assert "PostgreSQL database serval on 127.0.0.1:1" in answer.err
        assert "sesame" not in answer.err
