import pytest

from ui.views.qr_code import MAX_LINK, qr_html


def test_a_link_has_a_code_that_fetches_nothing():
    html = qr_html("http://127.0.0.1:7860/?example=01.jpg&budget=64")
    assert html.startswith('<img class="qr-code" src="data:image/svg+xml') and "alt=" in html


@pytest.mark.parametrize("link", [None, "", "example=01.jpg", "javascript:alert(1)", "http://" + MAX_LINK * "x"])
def test_nothing_else_has_one(link):
    assert qr_html(link) == ""
