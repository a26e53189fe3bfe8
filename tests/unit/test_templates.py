"""Templates: mandatory values are asked for, and every attribute exists."""

import pytest

from core.errors import DefinitionError
from core.templates import NODE_TEMPLATES, filled
from db.attributes import NODE


def test_a_template_is_filled_in() -> None:
    template = {"a": "1", "b": "MANDATORY:what b is", "c": "OPTIONAL:what c is", "d": "2"}
    assert filled("t", template, {"b": "x", "d": "y"}) == {"a": "1", "b": "x", "d": "y"}
    with pytest.raises(DefinitionError, match=r"The template 't' needs: b \(what b is\)"):
        filled("t", template, {"c": "x"})


@pytest.mark.parametrize("name", NODE_TEMPLATES)
def test_templates_name_attributes_of_nodes(name: str) -> None:
    assert set(NODE_TEMPLATES[name]) <= set(NODE)
    assert {"groups", "mgt", "usercomment"} <= set(NODE_TEMPLATES[name])
