"""What a page worker of Ray Serve serves; without Ray."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from tests.support.fake_records import FakeEngine
from ui.server.ray_serve import page
from ui.server.settings import Settings


@pytest.fixture
def client() -> Iterator[TestClient]:
    with TestClient(page(Settings(_env_file=None, max_upload_mb=3), FakeEngine(), 2)) as client:
        yield client


def test_it_is_the_app_with_all_that_surrounds_it(client: TestClient) -> None:
    assert client.get("/healthz").json() == {"alive": True}
    front = client.get("/")
    assert front.status_code == 200 and "CROP Explorer" in front.text
    assert "frame-ancestors" in front.headers["Content-Security-Policy"]
    assert len(front.content) < 1_500_000, "every visitor waits for it, and it is written in memory for each"
    config = client.get("/config").json()
    public = {each["api_name"] for each in config["dependencies"] if each["api_visibility"] == "public"}
    assert public == {"ask", "compare", "localize"}
    assert not config.get("is_space") and config["footer_links"] == ["api"]
    assert ".ex-strip" in config["css"] or ".ex-strip" in front.text, "with its own look"
