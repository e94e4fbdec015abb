"""What programs send to the app as it is served: images in each way, wrong parameters, and the same as MCP tools."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file

from tests.support.served import png, served
from ui.page.api import NAMES
from ui.page.api_inputs import MALFORMED_CALL, TAKES

BARE = base64.b64encode(png()).decode()
URL = f"data:image/png;base64,{BARE}"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app with its MCP server."""
    folder, settings = tmp_path_factory.mktemp("calls"), {"CROP_MCP": "1"}
    with pytest.MonkeyPatch.context() as patch, served(folder, settings, patch) as address:
        yield address


@pytest.fixture
def client(app: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=app, timeout=60) as client:
        yield client


@pytest.fixture
def upload(client: httpx.Client) -> str:
    """Path of an upload."""
    return str(client.post("gradio_api/upload", files={"files": ("a.png", png(), "image/png")}).json()[0])


def told(client: httpx.Client, body: Any, name: str = "ask", version: str = "") -> str:
    """What is told of a call: its events, or the reason of its refusal."""
    sent = client.post(f"gradio_api/call/{version}{name}", json=body)
    if sent.status_code != 200:
        assert sent.status_code == 400
        return str(sent.json()["detail"])
    return client.get(f"gradio_api/call/{name}/{sent.json()['event_id']}").text


@pytest.mark.parametrize("name", NAMES)
def test_an_image_is_taken_in_every_way_that_is_told(name: str, client: httpx.Client, upload: str) -> None:
    for image in (URL, BARE, upload, {"url": URL}, {"path": upload, "meta": {"_type": "gradio.FileData"}}):
        assert "event: complete" in told(client, {"data": [image, "what?"]}, name)
        assert "event: complete" in told(client, {"image": image, "question": "what?"}, name, "v2/")


@pytest.mark.parametrize("name", NAMES)
def test_what_is_listed_of_the_image_is_true(name: str, client: httpx.Client) -> None:
    image = client.get("gradio_api/info").json()["named_endpoints"][f"/{name}"]["parameters"][0]
    assert "addresses are not fetched" in image["python_type"]["description"]
    assert image["component"] == "Textbox", "of an image the page that explains the API would write another example"
    assert "event: complete" in told(client, {"data": [image["example_input"], "what?"]}, name)
    refused = told(client, {"data": [{"url": "https://example.org/a.png"}, "what?"]}, name)
    assert "event: error" in refused and TAKES in refused


def test_a_region_may_be_a_list(client: httpx.Client) -> None:
    for region in ([2, 0, 3, 1], "2,0,3,1"):
        assert '"grid": [2, 0, 3, 1]' in told(client, {"data": [URL, "what?", "crop", "64", region]})


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_is_described_and_the_listed_example_is_a_call_that_works(
    name: str, client: httpx.Client
) -> None:
    """The page that explains the API writes its snippets of these: the default, or else the example."""
    parameters = client.get("gradio_api/info").json()["named_endpoints"][f"/{name}"]["parameters"]
    assert all(len(each["python_type"]["description"]) > 20 for each in parameters)
    assert [each["label"] for each in parameters] == [each["parameter_name"] for each in parameters]
    assert "Hello" not in str([each["example_input"] for each in parameters])
    snippet = [each["parameter_default" if each["parameter_has_default"] else "example_input"] for each in parameters]
    examples = [each["example_input"] for each in parameters]
    for data in (snippet, examples):
        assert "event: complete" in told(client, {"data": data}, name)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "body", [{}, [], {"data": None}, {"data": "x"}, {"data": []}, {"data": [URL]}, {"data": [URL, "what?", *"123456"]}]
)
def test_missing_and_further_parameters_are_told(body: Any, name: str, client: httpx.Client) -> None:
    assert MALFORMED_CALL in told(client, body, name)


@pytest.mark.parametrize("body", [{}, {"image": URL}, {"image": URL, "question": "what?", "zoom": 2}, []])
def test_missing_and_unknown_names_are_told(body: Any, client: httpx.Client) -> None:
    assert MALFORMED_CALL in told(client, body, "localize", "v2/")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([None, "what?"], "There is no image: give a data URL"),
        ([5, "what?"], "The image is 5, and must be a data URL"),
        (["data:text/plain;base64,aGVsbG8=", "what?"], "is not an image that can be read here"),
        ([URL, None], "The question is empty"),
        ([URL, {"a": 1}], "The question is {'a': 1}, and must be a text."),
        ([URL, "what?", ["crop"]], "The method is ['crop'], and must be a text."),
        ([URL, "what?", "crop", True], "The budget is True, and must be a text."),
        ([URL, "what?", "crop", "64", [2, 2]], "The region is [2, 2], and must be four grid cells x0, y0, x1, y1"),
        ([URL, "what?", "crop", "64", [5, 5, 2, 2]], "The region [5, 5, 2, 2] is reversed"),
        (["a.png", "what?"], "handle_file uploads"),
    ],
)
def test_values_of_a_wrong_kind_are_told(data: list[Any], said: str, client: httpx.Client) -> None:
    text = told(client, {"data": data})
    assert "event: error" in text and said in text and "Traceback" not in text


def test_an_image_of_megabytes_is_taken_up_to_the_limit(client: httpx.Client) -> None:
    padded = png() + bytes(3_000_000)  # which readers of PNG pass over
    assert "event: complete" in told(client, {"data": [base64.b64encode(padded).decode(), "what?"]})
    large = client.post("gradio_api/call/ask", json={"data": ["A" * 29_100_000, "what?"]})
    assert (large.status_code, large.json()) == (413, {"detail": "The request is too large; the limit is 27 MB."})


def test_gradios_client_sends_files_and_texts(app: str, upload: str) -> None:
    client = Client(app, verbose=False)
    for image in (handle_file(upload), URL, BARE, upload):
        assert client.predict(image, "what?", api_name="/ask")["answer"] == "rabbit"


def call_tools(app: str, calls: list[tuple[str, dict[str, Any]]]) -> tuple[list[Any], list[tuple[bool, str]]]:
    """Tools of the MCP server, and (is it an error, text) of each call."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def use() -> tuple[list[Any], list[tuple[bool, str]]]:
        link = streamable_http_client(f"{app}gradio_api/mcp/")
        async with link as (read, write, _), ClientSession(read, write) as session:
            await session.initialize()
            tools = (await session.list_tools()).tools
            results = [await session.call_tool(*call) for call in calls]
            return tools, [(result.isError, result.content[0].text) for result in results]  # type: ignore[union-attr]

    return asyncio.run(use())


def test_a_tool_takes_what_it_describes(app: str, upload: str) -> None:
    pytest.importorskip("mcp")
    images = (URL, BARE, upload)
    tools, results = call_tools(app, [(name, {"image": each, "question": "?"}) for name in NAMES for each in images])
    assert [wrong for wrong, _ in results] == [False] * len(NAMES) * len(images)
    for tool in tools:
        described = str(tool.inputSchema["properties"]["image"])
        assert "data URL" in described and "base64" in described and "/gradio_api/upload" in described
        assert "http or https url" not in described and "upload_file_to_gradio" not in tool.description


def test_a_tool_tells_what_is_wrong(app: str) -> None:
    pytest.importorskip("mcp")
    good = {"image": URL, "question": "?"}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({**good, "image": "https://example.org/a.png"}, TAKES),
        ({**good, "image": "/etc/passwd"}, TAKES),
        ({**good, "image": 5}, "5 is not of type 'string'"),
        ({**good, "budget": [64]}, "[64] is not of type 'string'"),
        ({**good, "budget": "lots"}, "The budget 'lots' is neither"),
        ({"question": "?"}, "'image' is a required property"),
        ({**good, "zoom": 2}, "zoom"),
    ]
    _, results = call_tools(app, [("ask", arguments) for arguments, _ in wrong])
    for (arguments, said), (is_error, text) in zip(wrong, results, strict=True):
        assert is_error and said in text and "Traceback" not in text, arguments
