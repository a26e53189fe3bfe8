"""Documents of desired state: their texts are written by hand, for speed, and must be JSON all the same."""

import json
from dataclasses import asdict

from hypothesis import given
from hypothesis import strategies as st

from core import bootdoc, dhcpdoc
from core.bootdoc import BootDoc, Loader, Way
from core.dhcpdoc import DhcpDoc, DhcpHost

text = st.text(max_size=20)
texts = st.lists(text, max_size=3).map(tuple)
boot_docs = st.builds(
    BootDoc,
    node=text,
    state=text,
    way=st.sampled_from(Way),
    loader=st.sampled_from(Loader),
    arch=text,
    macs=texts,
    ip=text,
    kernel=text,
    initrd=text,
    cmdline=text,
    server=text,
    http_port=st.integers(1, 65535),
    tftpdir=text,
    proxy=st.booleans(),
)
hosts = st.lists(st.builds(DhcpHost, mac=text, ip=text, name=text), max_size=3).map(tuple)
dhcp_docs = st.builds(
    DhcpDoc, node=text, hosts=hosts, loader=text, server=text, pool=texts, proxy=st.booleans()
)


@given(boot_docs)
def test_a_boot_document_is_json_in_the_order_of_its_fields(doc: BootDoc) -> None:
    assert doc.to_text() == json.dumps(asdict(doc))
    assert bootdoc.from_text(doc.to_text()) == doc


@given(dhcp_docs)
def test_a_dhcp_document_is_json_in_the_order_of_its_fields(doc: DhcpDoc) -> None:
    assert doc.to_text() == json.dumps(asdict(doc))
    assert dhcpdoc.from_text(doc.to_text()) == doc


@given(boot_docs, text, texts, text, text, text)
def test_the_document_of_a_node_differs_in_what_is_its_own(
    doc: BootDoc, node: str, macs: tuple[str, ...], ip: str, cmdline: str, server: str
) -> None:
    own = {"node": node, "macs": macs, "ip": ip, "cmdline": cmdline, "server": server}
    assert asdict(doc.of(node, macs, ip, cmdline, server)) == asdict(doc) | own
