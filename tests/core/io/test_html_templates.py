"""Templates escape every value, and refuse a missing one."""

from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from crop_core.io.html_templates import html_templates


def test_values_are_escaped_and_none_may_be_missing(tmp_path):
    (tmp_path / "page.html").write_text("{% if 1 %}\n<p>{{ name }}</p>\n{% endif %}\n", encoding="utf-8")
    page = html_templates(tmp_path).get_template("page.html")
    assert page.render(name="<b>&") == "<p>&lt;b&gt;&amp;</p>\n"
    with pytest.raises(UndefinedError, match="'name' is undefined"):
        page.render()
