"""`serval check`: a healthy cluster has no finding, and each way to break it has exactly its own."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.checks import Cluster, Finding, Level, Member, findings
from core.checks.cluster import Values, word

CN = {
    "nodehm.mgt": "ipmi",
    "nodehm.conserver": "sn1",
    "noderes.monserver": "sn1",
    "noderes.servicenode": "sn1,sn2",
}
SN = {
    "nodehm.mgt": "ipmi",
    "servicenode.nfsserver": "0",
    "noderes.servicenode": "mn1",
    "noderes.xcatmaster": "mn1",
}
NET = {"net": "10.0.0.0", "mask": "255.255.0.0"}
HEALTHY = Cluster(
    mn="mn1",
    release="1.0",
    nodes={
        "mn1": {"hosts.ip": "10.0.0.1"},
        "sn1": {**SN, "hosts.ip": "10.0.0.11", "ipmi.bmc": "10.9.0.11"},
        "sn2": {**SN, "hosts.ip": "10.0.0.12", "ipmi.bmc": "10.9.0.12"},
        "n1": {**CN, "hosts.ip": "10.0.1.1", "ipmi.bmc": "10.9.1.1", "mac.mac": "02:00:00:00:00:01"},
        "n2": {**CN, "hosts.ip": "10.0.1.2", "ipmi.bmc": "10.9.1.2", "mac.mac": "02:00:00:00:00:02"},
    },
    groups={"n1": ["compute"], "n2": ["compute"]},
    service_nodes=frozenset({"sn1", "sn2"}),
    site={"master": "10.0.0.1", "sharedtftp": "0"},
    networks={
        "a": {**NET, "dynamicrange": "10.0.9.1-10.0.9.9", "dhcpserver": "sn1", "nameservers": "<xcatmaster>"}
    },
    members={name: Member(live=True, release="1.0", ahead=-0.4) for name in ("mn1", "sn1", "sn2")},
)


def broken(node: str = "", values: Values | None = None, /, **changes: object) -> Cluster:
    """The healthy cluster with more values for one node, or with other fields."""
    nodes = (
        {**HEALTHY.nodes, node: {**HEALTHY.nodes.get(node, {}), **(values or {})}} if node else HEALTHY.nodes
    )
    return replace(HEALTHY, nodes=nodes, **changes)  # type: ignore[arg-type]


def net(**row: str) -> dict[str, Values]:
    """The networks table with one row."""
    return {"a": {**NET, **row}}


def only(cluster: Cluster, check: str) -> Finding:
    """The finding, which must be the only one."""
    [(name, found)] = findings(cluster)
    assert name == check
    assert found.mend
    return found


def told(cluster: Cluster, check: str) -> tuple[str, str, str]:
    """Level, what it is about, and the command, of the only finding."""
    one = only(cluster, check)
    return str(one.level), one.about, one.mend


def test_a_healthy_cluster_has_nothing_to_mend() -> None:
    assert list(findings(HEALTHY)) == []
    assert list(findings(Cluster(site={"master": "mn1"}))) == []


def test_names_in_a_pool_are_nodes() -> None:
    cluster = broken("n1", {"noderes.servicenode": "sn1,sn9"})
    mend = "mkdef sn9 groups=service,all setupnfs=1 servicenode=mn1"
    assert told(cluster, "pool_members_are_nodes") == ("error", "n1", mend)


def test_names_in_a_pool_are_service_nodes() -> None:
    cluster = broken("n1", {"noderes.servicenode": "sn1,n2"})
    assert told(cluster, "pool_members_are_service_nodes") == ("error", "n1", "chdef n2 setupnfs=1")


def test_names_of_a_pool_may_be_full_names() -> None:
    assert not list(findings(broken("n1", {"noderes.servicenode": "SN1.c.net,sn2,mn1"})))


def test_a_service_nodes_own_service_node_is_the_mn() -> None:
    cluster = broken("sn2", {"noderes.servicenode": "sn1"})
    assert told(cluster, "service_nodes_belong_to_the_mn") == ("error", "sn2", "chdef sn2 servicenode=mn1")


@pytest.mark.parametrize("attribute", ["xcatmaster", "tftpserver", "nfsserver"])
def test_one_server_beside_a_pool(attribute: str) -> None:
    level, about, mend = told(broken("n2", {f"noderes.{attribute}": "sn1"}), "servers_are_blank_with_pools")
    assert (level, about) == ("error", "n2")
    assert mend.startswith(f"chdef n2 {attribute}=")


@pytest.mark.parametrize("site", [{"master": "10.0.0.1"}, {"master": "10.0.0.1", "sharedtftp": "1"}])
def test_sharedtftp_with_pools(site: dict[str, str]) -> None:
    told_ = told(broken(site=site), "sharedtftp_is_off_with_pools")
    assert told_ == ("error", "site.sharedtftp", "chdef -t site clustersite sharedtftp=0")


@pytest.mark.parametrize("column", ["nodehm.conserver", "noderes.monserver"])
def test_consoles_and_monitoring_with_pools(column: str) -> None:
    attribute = column.partition(".")[2]
    level, about, mend = told(broken("n1", {column: ""}), "consoles_are_named_with_pools")
    assert (level, about, mend) == ("warning", "n1", f"chdef n1 {attribute}=sn1")


@pytest.mark.parametrize("attribute", ["tftpserver", "nameservers"])
def test_servers_of_networks_with_pools(attribute: str) -> None:
    cluster = broken(networks=net(**{attribute: "10.0.0.11"}))
    expected = ("warning", "network a", f"chdef -t network a {attribute}=")
    assert told(cluster, "networks_leave_servers_to_pools") == expected


def test_a_dynamic_range_without_a_server() -> None:
    cluster = broken(networks=net(dynamicrange="10.0.9.1-10.0.9.9"))
    expected = ("error", "network a", "chdef -t network a dhcpserver=sn1")
    assert told(cluster, "dynamic_ranges_have_a_server") == expected


@pytest.mark.parametrize("server", ["sn2,sn1", "other"])
def test_a_dhcp_server_that_is_not_one_member(server: str) -> None:
    level, about, mend = told(broken(networks=net(dhcpserver=server)), "dhcp_servers_are_one_member")
    assert (level, about) == ("error", "network a")
    assert mend in ("chdef -t network a dhcpserver=sn2", "chdef -t network a dhcpserver=sn1")


def test_a_node_in_no_network_of_its_service_nodes() -> None:
    cluster = broken("n1", {"hosts.ip": "10.77.0.1"})
    level, about, _ = told(cluster, "nodes_share_a_network_with_a_server")
    assert (level, about) == ("warning", "n1")
    second = {"b": {"net": "10.77.0.0", "mask": "/24"}, **HEALTHY.networks}
    reached = replace(cluster, networks=second, addresses_of={"sn2": ["10.0.0.12", "10.77.0.12"]})
    assert list(findings(reached)) == []


def test_a_service_node_in_no_network_of_the_mn() -> None:
    far = {"b": {"net": "10.77.0.0", "mask": "255.255.255.0"}, **HEALTHY.networks}
    cluster = broken("sn2", {"hosts.ip": "10.77.0.12"}, networks=far)
    level, about, _ = told(cluster, "service_nodes_share_a_network_with_the_mn")
    assert (level, about) == ("warning", "sn2")
    assert list(findings(replace(cluster, mn_networks=["10.77.0.0/24"]))) == []


def test_a_node_whose_name_does_not_resolve() -> None:
    lost = broken("n1", {"hosts.ip": ""}, unresolved=frozenset({"n1"}))
    expected = ("warning", "n1", "chdef n1 ip=ADDRESS; makehosts n1")
    assert told(lost, "nodes_have_addresses") == expected


def test_a_bmc_whose_name_does_not_resolve() -> None:
    lost = broken("n1", {"ipmi.bmc": "n1-bmc:6230"}, unresolved=frozenset({"n1-bmc"}))
    assert told(lost, "bmc_names_resolve") == ("error", "n1", "chdef n1 bmc=ADDRESS")


def test_a_server_whose_name_does_not_resolve() -> None:
    lost = broken("n1", {"nodehm.conserver": "con"}, unresolved=frozenset({"con"}))
    level, about, _ = told(lost, "server_names_resolve")
    assert (level, about) == ("error", "con")


def test_names_that_nobody_answered_in_time() -> None:
    level, about, _ = told(broken(late=frozenset({"n1", "n2"})), "names_are_looked_up_in_time")
    assert (level, about) == ("warning", "n[1-2]")


def test_a_node_without_hardware_control() -> None:
    cluster = broken("n1", {"nodehm.mgt": "", "ipmi.bmc": ""})
    expected = ("warning", "n1", "chdef n1 mgt=ipmi bmc=ADDRESS")
    assert told(cluster, "nodes_have_hardware_control") == expected


@pytest.mark.parametrize("method", ["ipmi", "redfish"])
def test_hardware_control_without_a_bmc(method: str) -> None:
    cluster = broken("n1", {"nodehm.mgt": method, "ipmi.bmc": ""})
    assert told(cluster, "nodes_have_hardware_control") == ("error", "n1", "chdef n1 bmc=ADDRESS")


@pytest.mark.parametrize("written", ["02:00:00:00:00:01", "02-00-00-00-00-09!x|020000000001!*NOIP*"])
def test_a_mac_address_of_two_nodes(written: str) -> None:
    found = only(broken("n2", {"mac.mac": written}), "mac_addresses_are_unique")
    assert (found.about, found.level) == ("n[1-2]", Level.ERROR)
    assert "02:00:00:00:00:01" in found.sentence


def test_an_ip_address_of_two_nodes() -> None:
    cluster = broken("n2", {"hosts.ip": "10.0.1.1"})
    assert told(cluster, "ip_addresses_are_unique") == ("error", "n[1-2]", "chdef n2 ip=ADDRESS")


def test_a_bmc_of_two_nodes() -> None:
    cluster = broken("n2", {"ipmi.bmc": "10.9.1.1"})
    assert told(cluster, "bmcs_are_unique") == ("error", "n[1-2]", "chdef n2 bmc=ADDRESS")
    assert list(findings(broken("n2", {"ipmi.bmc": "10.9.1.1:6231"}))) == []


def test_a_group_that_holds_itself() -> None:
    cluster = broken(membergroups={"a": ["b"], "b": ["c", "d"], "c": ["a"], "x": ["a"], "d": []})
    found = only(cluster, "groups_do_not_hold_themselves")
    assert (found.about, found.mend) == ("group a", "chtab groupname=c nodegroup.membergroups=")
    assert found.sentence.endswith("a → b → c → a")


@given(st.dictionaries(st.sampled_from("abcde"), st.lists(st.sampled_from("abcde"), unique=True), max_size=5))
def test_mending_every_cycle_that_is_found_leaves_none(held: dict[str, list[str]]) -> None:
    for _ in range(26):
        found = [one for name, one in findings(broken(membergroups=held)) if name.startswith("groups")]
        if not found:
            return
        for one in found:
            _, name, rest = one.mend.split()
            held = {**held, name.partition("=")[2]: [w for w in rest.partition("=")[2].split(",") if w]}
    raise AssertionError(held)


def test_a_regex_value_that_cannot_be_read() -> None:
    bad = {(node, "hosts.ip"): f"hosts.ip of {node}: Regex value |(|x|: unbalanced" for node in ("n1", "n2")}
    expected = ("error", "n[1-2]", "nodech n[1-2] hosts.ip=VALUE")
    assert told(broken(unreadable=bad), "regex_values_can_be_read") == expected


def test_a_regex_value_that_does_not_match() -> None:
    rules = {("compute", "vpd.serial"): r"|node(\d+)|S($1)|", ("far", "vpd.serial"): "|.*|x|"}
    cluster = broken("n1", {"vpd.serial": "n1"}, written=rules)
    assert told(cluster, "regex_values_apply") == ("warning", "n1", "nodegrpch compute vpd.serial=VALUE")
    own = {("n1", "vpd.serial"): "|n(.*)|n($1)|", **rules}
    assert list(findings(replace(cluster, written=own))) == []
    assert list(findings(replace(cluster, written={**rules, ("n1", "vpd.serial"): "n1"}))) == []


@pytest.mark.parametrize("image", ["", "gone"])
def test_a_nodeset_state_without_its_osimage(image: str) -> None:
    values = {"chain.currstate": "install rocky9-x86_64", "nodetype.provmethod": image}
    expected = ("error", "n1", "chdef n1 provmethod=OSIMAGE")
    assert told(broken("n1", values), "booted_osimages_exist") == expected


def test_a_nodeset_state_with_its_osimage() -> None:
    values = {"chain.currstate": "install rocky9-x86_64", "nodetype.provmethod": "rocky9"}
    assert list(findings(broken("n1", values, osimages=frozenset({"rocky9"})))) == []


def test_a_site_without_a_master() -> None:
    cluster = broken(site={"sharedtftp": "0"})
    expected = ("error", "site.master", "chdef -t site clustersite master=mn1")
    assert told(cluster, "the_master_is_named") == expected


def members(**changes: object) -> Cluster:
    """The healthy cluster with another lease of sn2."""
    told = replace(HEALTHY.members["sn2"], **changes)  # type: ignore[arg-type]
    return broken(members={**HEALTHY.members, "sn2": told})


def test_a_service_node_that_is_not_live() -> None:
    cluster = members(live=False, reason="sn2 has never given a sign of life", release="", ahead=None)
    found = only(cluster, "members_are_live")
    assert (found.about, found.sentence) == ("sn2", "has never given a sign of life")
    assert found.mend == "serval worker  # on sn2"


def test_a_service_node_that_has_not_joined() -> None:
    assert told(members(joined=False), "members_have_joined")[:2] == ("error", "sn2")


def test_a_service_node_of_another_release() -> None:
    assert told(members(release="0.9"), "releases_are_the_same")[:2] == ("warning", "sn2")


@pytest.mark.parametrize("ahead", [-7.0, 3600.0])
def test_a_service_node_with_another_time(ahead: float) -> None:
    assert told(members(ahead=ahead), "clocks_agree") == ("warning", "sn2", "ssh sn2 chronyc makestep")
    assert list(findings(members(ahead=None))) == []


def test_a_member_that_was_drained_and_forgotten() -> None:
    found = only(members(drained="drained by root: disk swap"), "members_are_drained")
    assert found.sentence == "drained by root: disk swap; it gets no new work"
    assert found.mend == "serval sn undrain sn2"


def test_leases_that_cannot_be_read() -> None:
    cluster = broken(members={}, no_leases="no Redis")
    assert told(cluster, "leases_can_be_read") == ("error", "Redis", "serval up")


@pytest.mark.parametrize(("text", "quoted"), [("n[1-2],sn1", "n[1-2],sn1"), ("a b;$(x)", "'a b;$(x)'")])
def test_values_cannot_escape_from_the_command(text: str, quoted: str) -> None:
    assert word(text) == quoted


COLUMNS = sorted({*CN, *SN, "mac.mac", "hosts.ip", "ipmi.bmc", "chain.currstate"})
NETWORK = ["net", "mask", "dhcpserver", "nameservers", "dynamicrange"]
WORDS = st.text(max_size=6)


@given(
    st.dictionaries(WORDS, st.dictionaries(st.sampled_from(COLUMNS), WORDS)),
    st.dictionaries(WORDS, st.dictionaries(st.sampled_from(NETWORK), WORDS)),
)
def test_no_value_stops_the_checks(nodes: dict[str, Values], networks: dict[str, Values]) -> None:
    cluster = Cluster(nodes=nodes, networks=networks, service_nodes=frozenset(list(nodes)[:1]))
    assert all(one.sentence and one.mend for _, one in findings(cluster))
