"""The app as other programs use it: Gradio's client, and an MCP client."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tests.support import ROOT
from tests.support.browser import running
from ui.page.api import NAMES

IMAGE = ROOT / "assets" / "examples" / "01.jpg"
QUESTION = "which thing is between the car and the blue sign?"


@pytest.fixture(scope="module")
def address(models: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An app with its MCP server on."""
    with running({**models, "CROP_MCP": "1"}, tmp_path_factory.mktemp("programs")) as address:
        yield address


@pytest.fixture(scope="module")
def client(address: str) -> Client:
    return Client(address, verbose=False)


def test_the_named_endpoints_are_all_that_is_public(client: Client) -> None:
    assert sorted(client.view_api(return_format="dict")["named_endpoints"]) == [f"/{name}" for name in sorted(NAMES)]


def test_a_question_is_asked_by_name(client: Client) -> None:
    image = handle_file(str(IMAGE))
    pruned = client.predict(image, QUESTION, method="crop", budget="64", api_name="/ask")
    both = client.predict(image, QUESTION, region="2,5,7,7", budget="64", api_name="/compare")
    assert pruned["answer"] == both["baseline"]["answer"]
    assert both["region"]["grid"] == [2, 5, 7, 7]
    assert both["tokens"]["mean_per_layer"] <= 64
    assert client.predict(image, QUESTION, api_name="/localize")["source"] == "predicted"


def test_bad_input_is_told_in_a_sentence(client: Client) -> None:
    with pytest.raises(AppError, match="magic"):
        client.predict(handle_file(str(IMAGE)), QUESTION, method="magic", api_name="/ask")


def test_a_file_of_the_server_is_not_read(client: Client) -> None:
    """What a client names must have been uploaded; the client is kept from uploading it."""
    inside: dict[str, Any] = {"path": str(Path(__file__).resolve()), "meta": {"_type": "gradio.FileData"}}
    sent = httpx.post(f"{client.src}gradio_api/call/localize", json={"data": [inside, QUESTION]}, timeout=30)
    with httpx.stream("GET", f"{client.src}gradio_api/call/localize/{sent.json()['event_id']}", timeout=30) as events:
        text = "".join(events.iter_text())
    assert "event: error" in text
    assert "Path(__file__)" not in text


def test_the_tools_of_the_mcp_server_are_the_same(address: str) -> None:
    pytest.importorskip("mcp")
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def use() -> tuple[list[str], str]:
        link = streamable_http_client(f"{address}gradio_api/mcp/")
        async with link as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            names = [tool.name for tool in (await session.list_tools()).tools]
            image = f"data:image/jpeg;base64,{base64.b64encode(IMAGE.read_bytes()).decode()}"
            result = await session.call_tool("localize", {"image": image, "question": QUESTION})
            return names, result.content[0].text  # type: ignore[union-attr]

    with ThreadPoolExecutor(1) as other:  # the browser's loop runs in this thread
        names, text = other.submit(asyncio.run, use()).result()
    assert sorted(names) == sorted(NAMES)
    assert json.loads(text)["source"] == "predicted"
