"""serval.toml and its variables: who this host is, whom it belongs to, and what cannot be together."""

from pathlib import Path

import pytest

from core.errors import RequestError
from db.home import open_home


def home_of(folder: Path, text: str, **variables: str) -> dict[str, str]:
    """The environment of a home with these settings."""
    folder.mkdir(exist_ok=True)
    (folder / "serval.toml").write_text(text)
    return {"SERVAL_HOME": str(folder), **variables}


def test_a_management_node_is_its_own(tmp_path: Path) -> None:
    home = open_home(home_of(tmp_path, 'name = "boss"'))
    assert (home.name, home.mn, home.server, home.listen) == ("boss", "boss", None, None)


def test_a_service_node_names_its_management_node(tmp_path: Path) -> None:
    home = open_home(home_of(tmp_path, 'name = "sn1"\nmn = "boss"\nserver = "boss.cluster:4711"'))
    assert (home.name, home.mn, home.server) == ("sn1", "boss", "boss.cluster:4711")


def test_variables_come_first(tmp_path: Path) -> None:
    assert open_home(home_of(tmp_path, 'name = "sn1"', SERVAL_MN="mn2")).mn == "mn2"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('name = "sn1"\nserver = "mn1:4711"', "needs 'name', its own, and 'mn'"),
        ('server = "mn1:4711"\nmn = "mn1"\nname = "mn1"', "needs 'name', its own, and 'mn'"),
        ('name = "sn1"\nmn = "mn1"\nserver = "mn1:4711"\nlisten = "0.0.0.0:1"', "not both"),
        ('listen = "4711"', "'listen' must be HOST:PORT, not '4711'"),
        ('listen = "0.0.0.0:99999"', "'listen' must be HOST:PORT"),
        ('listen = ""', "'listen' must be HOST:PORT"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(RequestError) as caught:
        open_home(home_of(tmp_path, text))
    assert said in caught.value.message
