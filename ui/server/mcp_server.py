"""Gradio's MCP server for clients of any kind: answers in JSON, and one sentence for a call that cannot be read.

Gradio by itself answers with Python's spelling of a dictionary, offers prompts and resources that are not there, and
takes at most 4 MB; the package mcp says of a wrong value neither the parameter nor what it takes, repeats all of it,
and logs some hundred lines with what was asked.
"""

from __future__ import annotations

import json
import logging
from math import inf
from pathlib import Path
from typing import Any

import gradio.mcp
from gradio.mcp import GradioMCPServer

from crop_core.records.formatting import truncated_repr

types = GradioMCPServer.types  # of the package mcp, as the bases below
LOGGERS = ("mcp.server.streamable_http", "mcp.server.lowlevel.server", "mcp.server.sse", None)  # and the root
NOT_OFFERED = (
    types.ListPromptsRequest,
    types.GetPromptRequest,
    types.ListResourcesRequest,
    types.ListResourceTemplatesRequest,
    types.ReadResourceRequest,
)


class _Unvalidated(GradioMCPServer.Server[Any, Any]):
    """MCP server whose tools check their arguments themselves."""

    def call_tool(self, *, validate_input: bool = True) -> Any:
        """As the package's, without its own check."""
        return super().call_tool(validate_input=False)


class _Sse(GradioMCPServer.SseServerTransport):
    """The older transport; the size of a message is limited by the allow-list of requests."""

    def __init__(self, *options: Any, **named: Any) -> None:
        super().__init__(*options, **named)
        _without_limit(self, "_post_message_app")


class McpServer(GradioMCPServer):
    """The tools of the app's endpoints."""

    Server = _Unvalidated
    SseServerTransport = _Sse

    def __init__(self, blocks: Any) -> None:
        super().__init__(blocks)
        _without_limit(self.manager, "asgi_app")

    def create_mcp_server(self) -> Any:
        """As Gradio's, with tools alone."""
        server = super().create_mcp_server()
        for kind in NOT_OFFERED:
            server.request_handlers.pop(kind, None)
        return server

    def postprocess_output_data(self, data: Any, root_url: str) -> list[Any]:
        """What an endpoint returns, as JSON."""
        return [types.TextContent(type="text", text=json.dumps(each, ensure_ascii=False)) for each in data]

    def _prepare_tool_call_args(self, name: str, arguments: dict[str, Any]) -> Any:
        """As Gradio's, of checked arguments; ValueError with one sentence. None of them stays an object: Gradio's
        client would upload a file of this machine that one names.
        """
        endpoint = self.tool_to_endpoint.get(name)
        if endpoint is None:
            tools = ", ".join(self.tool_to_endpoint)
            raise ValueError(f"There is no tool {truncated_repr(name)}; the tools are {tools}.")
        parameters = self.api_info["named_endpoints"][endpoint]["parameters"]
        names = [each["parameter_name"] for each in parameters]
        needed = [each["parameter_name"] for each in parameters if not each["parameter_has_default"]]
        unknown = next((each for each in arguments if each not in names), None)
        missing = next((each for each in needed if each not in arguments), None)
        if unknown is not None or missing is not None:
            what = f"needs {missing}" if unknown is None else f"takes no {truncated_repr(unknown)}"
            raise ValueError(f"The tool {name} {what}: it needs {' and '.join(needed)}, and takes {', '.join(names)}.")
        blocks = dict(zip(names, self.get_block_fn_from_endpoint_name(endpoint).inputs, strict=True))
        return super()._prepare_tool_call_args(
            name, {each: blocks[each].plain(value) for each, value in arguments.items()}
        )


class _OneLine(logging.Filter):
    """Filter of a logger: the first line of a message of the package mcp, without a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True."""
        if "mcp" in Path(record.pathname).parts:
            first = record.getMessage().partition("\n")[0]
            record.msg, record.args, record.exc_info = first[:200], (), None
        return True


def install() -> None:
    """Let Gradio start this server."""
    gradio.mcp.GradioMCPServer = McpServer
    for name in LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(each, _OneLine) for each in logger.filters):
            logger.addFilter(_OneLine())


def _without_limit(owner: Any, name: str) -> None:
    """Take the limit of the package mcp from one of its middlewares, which its first versions do not have."""
    limit: Any = getattr(owner, name, None)
    if hasattr(limit, "max_body_size"):
        limit.max_body_size = inf
