"""rmimage: nothing that a node needs, nothing outside of rootimgdir, nothing half removed."""

import subprocess
import sys
from pathlib import Path

import pytest
from commands import Shell
from imagesite import NAME, ImageSite, image_site

from core.bootdoc import BootDoc, Loader, Way
from core.errors import RequestError
from core.wanted import Kind
from db import wanted
from db.engine import one_writer, reading, writing
from db.images import read_image
from routing.imageremoval import rmimage


@pytest.fixture
def site(home_env: dict[str, str], tmp_path: Path) -> ImageSite:
    made = image_site(home_env, tmp_path)
    made.lay_down()
    return made


def boot(site: ImageSite, node: str, folder: str) -> None:
    """What nodeset writes."""
    document = BootDoc(node, "netboot x", Way.IMAGE, Loader.XNBA, "x86_64", kernel=f"{folder}/kernel")
    with writing(site.engine) as connection:
        one_writer(connection)
        wanted.put(connection, Kind.BOOT, {node: (("mn1",), document.to_text())})


def test_an_image_is_removed_with_its_definition_where_asked(site: ImageSite) -> None:
    outside = site.install / "outside"
    outside.mkdir()
    (outside / "file").touch()
    (site.folder() / "rootimg/etc/link").symlink_to(outside)
    (site.folder() / "rootimg.old").symlink_to(outside)
    (site.folder() / "notes").write_text("somebody's\n")
    with writing(site.engine) as connection:
        one_writer(connection)
        wanted.put(connection, Kind.IMAGE, {NAME: (("sn1",), "{}")})
    said = site.do("rmimage", rmimage, image=NAME)
    assert "image.json, initrd-stateless.gz, kernel, rootimg, rootimg.old, rootimg.sfs removed from" in said
    assert site.visible() == {"notes"}
    assert (outside / "file").exists()
    with reading(site.engine) as connection:
        assert not wanted.documents(connection, Kind.IMAGE, [NAME]), "service nodes remove theirs"
    with reading(site.engine) as connection:
        assert read_image(connection, NAME)["profile"] == "compute"
    said = site.do("rmimage", rmimage, image=NAME, xcatdef="1")
    assert "nothing removed" in said and said.endswith("its definition too")
    assert NAME not in site.shell.run("lsdef -t osimage").out


def test_an_image_that_nodes_need_stays(site: ImageSite) -> None:
    shell: Shell = site.shell
    boot(site, "n1", "install/netboot/debian12/x86_64/compute")
    boot(site, "n2", "install/netboot/debian12/x86_64/compute2")
    shell.ok(f"chdef n3 provmethod={NAME}")
    shell.ok("chtab node=n4 chain.currstate='netboot debian12-x86_64-compute'")
    shell.ok("mkdef -t node -o n5,n6 groups=compute")
    shell.ok(f"chtab node=n5 chain.currchain=runcmd=bmcsetup,osimage={NAME}")
    shell.ok("mkdef -t osimage lite osvers=debian12 osarch=x86_64 profile=compute provmethod=statelite")
    shell.ok("chdef n6 provmethod=lite")
    for line in (f"rmimage {NAME}", "rmimage -o debian12 -p compute"):
        answer = shell.run(line)
        assert (answer.status, "used by n[1,3-6]: give them another" in answer.err) == (1, True), answer
    with pytest.raises(RequestError, match=r"used by n\[1,3-6\]"):
        site.do("rmimage", rmimage, image=NAME)
    assert "rootimg" in site.visible()
    assert "removed from" in site.do("rmimage", rmimage, image=NAME, force="1")


def test_what_is_mounted_in_a_tree_is_not_removed(site: ImageSite) -> None:
    place = site.folder() / "rootimg/a b"
    place.mkdir()
    script = f"""mount -t tmpfs none '{place}' && : > '{place}/precious'
        {sys.executable} -c "import sys; sys.path[:0] = {[str(Path.cwd())]}
from pathlib import Path
from core.errors import RequestError
from drivers.images.removal import remove
try:
    remove(Path('{site.folder()}'), lambda *_: None)
except RequestError as error:
    print(error)"
        ls '{place}'"""
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"something is mounted on {place}: umount it first\nprecious\n"
    assert "kernel" in site.visible()
