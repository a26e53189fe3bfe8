"""genimage's options that decide what is built, and those that a queue cannot honour."""

from pathlib import Path

import pytest
from imagesite import NAME, ImageSite, image_site

from core.errors import DefinitionError
from db.engine import reading, writing
from db.images import write_image
from routing.osimages import recipe, source

NETWORK = "etc/systemd/network/81-serval-otherifce.network"


@pytest.fixture
def site(sqlite_url: str, tmp_path: Path) -> ImageSite:
    env = {"SERVAL_HOME": str(tmp_path / "home"), "SERVAL_DATABASE": sqlite_url}
    made = image_site(env, tmp_path)
    made.lay_down()
    return made


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--interactive", "built in a queue, where nobody can be asked. genimage --dryrun prints"),
        ("-l much", "-l 'much': it is an amount of memory, such as 800m, 2g or 40%"),
        ("-l '2g rd.break'", "it is an amount of memory"),
        ("--permission rwx", "--permission 'rwx': it is a mode, such as 755"),
        ("--update --noupdate", "not allowed with argument --update"),
        ("-r 'ib0 eth1'", "'ib0 eth1' is no name of an interface"),
    ],
)
def test_what_means_nothing_is_refused(site: ImageSite, words: str, said: str) -> None:
    answer = site.shell.run(f"genimage {NAME} {words}")
    assert (answer.status, said in answer.err) == (1, True), answer


def test_options_set_attributes_as_in_xcat(site: ImageSite) -> None:
    answer = site.shell.run(f"genimage {NAME} -r ib0,ib1 --permission 777 -k 6.1 -l 40% --noupdate")
    assert "serval up" in answer.err, "nobody is there to build it"
    told = site.shell.ok(f"lsdef -t osimage -o {NAME}")
    for line in ("otherifce=ib0,ib1", "permission=777", "kernelver=6.1"):
        assert f"    {line}\n" in told
    with reading(site.engine) as connection:
        files = recipe(source(connection, site.home, NAME)).files
    assert files[NETWORK] == "[Match]\nName=ib0 ib1\n\n[Network]\nDHCP=yes\n"


def test_other_interfaces_cannot_write_into_the_file(site: ImageSite) -> None:
    with writing(site.engine) as connection:
        write_image(connection, NAME, {"otherifce": "ib0\n[Network]"})
    with reading(site.engine) as connection, pytest.raises(DefinitionError, match="no name of an interface"):
        recipe(source(connection, site.home, NAME))


def test_the_sites_keys_lie_beside_its_lists(site: ImageSite) -> None:
    key = site.install / "custom/netboot/debian/RPM-GPG-KEY-site"
    key.parent.mkdir(parents=True)
    key.touch()
    with reading(site.engine) as connection:
        assert recipe(source(connection, site.home, NAME)).keys == (key,)


def test_a_list_of_the_site_that_cannot_be_read_is_not_passed_over(site: ImageSite) -> None:
    """Else the shipped one would be taken, and nobody would notice."""
    own = site.install / "custom/netboot/debian/compute.pkglist"
    own.parent.mkdir(parents=True)
    own.symlink_to("/nowhere/compute.pkglist")
    answer = site.shell.run(f"genimage {NAME} --dryrun")
    assert answer.status == 1
    assert "custom/netboot/debian/compute.pkglist cannot be read: No such file or directory" in answer.err
    own.unlink()
    own.write_text("# nothing yet\n")
    assert (
        "there is no package in /install/custom/netboot/debian/compute.pkglist"
        in site.shell.run(f"genimage {NAME} --dryrun").err
    )
