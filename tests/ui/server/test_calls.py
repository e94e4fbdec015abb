"""What programs send to the app as it is served: images in each way, wrong parameters, and the same as MCP tools."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from gradio_client import Client, handle_file

from tests.support.served import png, served
from ui.page.api import NAMES, Endpoints
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
    "body", [{}, [], {"data": None}, {"data": "x"}, {"data": []}, {"data": [URL]}, {"data": [URL, "what?", *"1234567"]}]
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
        ([URL, "what?", "crop", True], "The budget is True, and must be a number, or a text."),
        (
            [URL, "what?", "crop", "64", {"x0": 2}],
            "The region is {'x0': 2}, and must be four grid cells x0, y0, x1, y1",
        ),
        ([URL, "what?", "chosen"], "No visual token is chosen; choose at least one, or take another method."),
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
        returns = str(getattr(Endpoints, tool.name).__doc__).partition("Returns:")[2].strip()
        assert tool.description.endswith(f"Returns: {returns}"), "Gradio joins lines by commas"
        assert "http or https url" not in described and "upload_file_to_gradio" not in tool.description


def test_a_tool_tells_what_is_wrong(app: str) -> None:
    pytest.importorskip("mcp")
    good = {"image": URL, "question": "?"}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({**good, "image": "https://example.org/a.png"}, TAKES),
        ({**good, "image": "/etc/passwd"}, TAKES),
        ({**good, "image": 5}, f"The image is 5, and must be {TAKES}."),
        ({**good, "image": None}, "There is no image: give a data URL"),
        (
            {**good, "image": {"path": "/etc/passwd", "meta": {"_type": "gradio.FileData"}}},
            "The image is '/etc/passwd', and",
        ),
        ({**good, "question": {"path": __file__, "meta": {"_type": "gradio.FileData"}}}, "and must be a text."),
        ({**good, "budget": [64]}, "The budget is [64], and must be a number, or a text."),
        ({**good, "budget": "lots"}, "The budget 'lots' is neither"),
        ({**good, "region": {"x0": 2}}, "The region is {'x0': 2}, and must be four grid cells x0, y0, x1, y1"),
        (
            {**good, "region": [1, 2, 3]},
            "The region is [1, 2, 3], and must be four grid cells x0, y0, x1, y1 from 0 to 7",
        ),
        ({**good, "max_new_tokens": 1.5}, "The longest answer '1.5' is not a number of tokens"),
        ({**good, "short_answer": "perhaps"}, "The short_answer is 'perhaps', and must be true or false."),
        (
            {"question": "?"},
            "The tool ask needs image: it needs image and question, and takes image, question, method,",
        ),
        ({**good, "zoom": 2}, "The tool ask takes no 'zoom': it needs image and question, and takes image, question,"),
    ]
    _, results = call_tools(app, [("ask", arguments) for arguments, _ in wrong])
    for (arguments, said), (is_error, text) in zip(wrong, results, strict=True):
        assert is_error and said in text and "Traceback" not in text, arguments


ASKED = {"image": URL, "question": "what is left of the dog?"}
TAKEN: dict[str, list[Any]] = {  # what people and assistants send, and API and tools take alike
    "image": [{"url": URL}, {"type": "image", "data": BARE, "mimeType": "image/png"}],
    "method": [None, "", "plc+fastv"],
    "budget": [64, 64.0, "64", "25%", None, ""],
    "region": [[2, 0, 3, 1], [2.0, 0, 3, 1], ["2", "0", "3", "1"], "2,0,3,1", "[2, 0, 3, 1]", "2 0 3 1", None],
    "max_new_tokens": [32, 32.0, "32", None],
    "short_answer": [True, "true", 1, None],
    "localizer": ["self", "", None],
}


def test_api_and_tools_take_the_same(app: str, client: httpx.Client) -> None:
    calls = [{**ASKED, name: value} for name, values in TAKEN.items() for value in values]
    for call in calls:
        assert "event: complete" in told(client, call, "ask", "v2/"), call
    pytest.importorskip("mcp")
    tools, results = call_tools(app, [("ask", call) for call in calls])
    assert [call for call, (wrong, _) in zip(calls, results, strict=True) if wrong] == []
    answer = json.loads(results[0][1])
    assert answer["answer"] == "rabbit" and answer["region"]["grid"] and answer["explanation"] is None, "it is JSON"
    schema = next(tool.inputSchema["properties"] for tool in tools if tool.name == "ask")
    kinds = {name: [each["type"] for each in schema[name].get("anyOf", [schema[name]])] for name in schema}
    assert kinds == {
        "image": ["string"],
        "question": ["string"],
        "method": ["string"],
        "budget": ["string", "number", "null"],
        "region": ["string", "array", "null"],
        "max_new_tokens": ["string", "number", "null"],
        "short_answer": ["boolean", "string", "null"],
        "localizer": ["string", "null"],
    }


def rpc(client: httpx.Client, method: str, params: Any = None, body: Any = None, **headers: str) -> httpx.Response:
    """Answer to one message for the MCP server, or to a body as it is."""
    message = {"jsonrpc": "2.0", "id": 1, "method": method, **({} if params is None else {"params": params})}
    kinds = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json", **headers}
    return client.post("gradio_api/mcp/", content=json.dumps(message).encode() if body is None else body, headers=kinds)


def test_an_unknown_tool_is_told_with_those_that_there_are(client: httpx.Client) -> None:
    pytest.importorskip("mcp")
    told = rpc(client, "tools/call", {"name": "answer", "arguments": ASKED}).text
    assert "There is no tool 'answer'; the tools are ask, compare, localize." in told and '"isError":true' in told


def test_half_a_character_is_left_out_of_a_tools_texts(client: httpx.Client) -> None:
    """Clients that count in UTF-16 cut a text through an emoji."""
    pytest.importorskip("mcp")
    cut = {**ASKED, "question": "what is left? \ud83d"}
    assert '"isError":false' in rpc(client, "tools/call", {"name": "ask", "arguments": cut}).text


def test_nothing_is_offered_but_the_tools(client: httpx.Client) -> None:
    """Gradio by itself ran /localize for any prompt that was asked for."""
    pytest.importorskip("mcp")
    start = {"protocolVersion": "2025-03-26", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}}
    assert '"capabilities":{"experimental":{},"tools":{"listChanged":false}}' in rpc(client, "initialize", start).text
    for method, params in (
        ("prompts/get", {"name": "x", "arguments": ASKED}),
        ("resources/read", {"uri": "file:///a"}),
    ):
        assert "Method not found" in rpc(client, method, params).text


@pytest.mark.parametrize(
    "headers", [{"Transfer-Encoding": "chunked"}, {"Expect": "100-continue"}, {"Range": "bytes=0-9"}]
)
def test_headers_about_the_body_are_not_passed_on(headers: dict[str, str], client: httpx.Client) -> None:
    pytest.importorskip("mcp")
    message = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "ask", "arguments": ASKED}}
    body: Any = json.dumps(message).encode()
    answer = rpc(client, "", body=iter([body]) if "Transfer-Encoding" in headers else body, **headers)
    assert '"isError":false' in answer.text


def test_a_tool_takes_a_photo_of_megabytes(client: httpx.Client) -> None:
    """The package mcp stops at 4 MB by itself."""
    pytest.importorskip("mcp")
    photo = base64.b64encode(png() + random.Random(0).randbytes(5_000_000)).decode()
    assert (
        '"isError":false'
        in rpc(client, "tools/call", {"name": "localize", "arguments": {**ASKED, "image": photo}}).text
    )
    large = rpc(client, "tools/call", {"name": "localize", "arguments": {**ASKED, "image": "A" * 29_100_000}})
    assert (large.status_code, large.json()) == (413, {"detail": "The request is too large; the limit is 27 MB."})


@pytest.mark.parametrize("body", [b"{", b"", b'{"method": "\xff"}', b"[" * 100_000, b"\x1f\x8b\x08"])
def test_what_is_no_message_is_refused_without_a_traceback(
    body: bytes, client: httpx.Client, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("mcp")
    assert rpc(client, "", body=body).status_code == 400
    rpc(client, "tools/call", {"name": "ask", "arguments": "what is on my passport?"})
    said = capfd.readouterr().err + caplog.text
    assert "Traceback" not in said and "passport" not in said, "nor is a question in the log"
