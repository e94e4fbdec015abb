"""A small stand-in for the Hugging Face hub's API, on this machine: one Space, every call that changes it, refusals.

Written after huggingface_hub 2.4: the paths, fields and error headers are those that its client sends and reads.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_stand_in"
SPACE = re.compile(r"/api/spaces/([\w.-]+/[\w.-]+)(/.*)?")
LARGE = 10 * 2**20  # bytes, from which a file goes to Git LFS
CHANGING = ("POST", "PUT", "DELETE")
HARMLESS = re.compile(r"/api/validate-yaml|.*/preupload/.*|.*/info/lfs/.*|/gradio_api/.*")  # posts that change nothing


@dataclass
class FakeHub:
    """user, orgs, role: of the token. space: None where there is none. stages: told in turn, the last one for good.

    refusals: (method, pattern of a path) -> (status, message), met once. calls: (method, path, body) of those that
    change something. log: lines of the build's log. answer: of the app's /ask, None where it asks for a login.
    """

    user: str = "ann"
    orgs: tuple[tuple[str, str], ...] = ()
    role: str = "write"
    space: dict[str, Any] | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()
    stages: list[str] = field(default_factory=lambda: ["BUILDING", "APP_STARTING", "RUNNING"])
    error_message: str = ""
    log: tuple[str, ...] = ()
    answer: str | None = "a cat"
    refusals: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    calls: list[tuple[str, str, Any]] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    lfs: dict[str, bytes] = field(default_factory=dict)
    commits: int = 0
    address: str = ""

    def refuse(self, method: str, path: str, status: int, message: str) -> None:
        """Refuse the next call of this method to a path that matches."""
        self.refusals[method, path] = status, message

    def made(self) -> list[str]:
        """The changing calls: method and last part of the path."""
        return [f"{method} {path.rsplit('/', 1)[-1]}" for method, path, _ in self.calls]

    @contextmanager
    def serving(self) -> Iterator[FakeHub]:
        """Listen at `address` until the end."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def runtime(self) -> dict[str, Any]:
        """Of the Space; each look after a commit is told the next stage."""
        assert self.space is not None
        stage = self.stages.pop(0) if len(self.stages) > 1 else self.stages[0]
        hardware = {"current": self.space["hardware"], "requested": self.space["hardware"]}
        error = {"errorMessage": self.error_message} if self.error_message else {}
        return {"stage": stage, "hardware": hardware, "gcTimeout": self.space.get("sleep"), "sha": self.sha, **error}

    @property
    def sha(self) -> str:
        """Of the newest commit."""
        return f"{self.commits:040x}"

    def create(self, body: dict[str, Any]) -> None:
        """A new Space with the hub's own files."""
        self.space = {
            "id": f"{body['organization'] or self.user}/{body['name']}",
            "private": body.get("visibility") == "private",
            "hardware": body.get("hardware", "cpu-basic"),
            "sleep": body.get("sleepTimeSeconds"),
        }
        self.variables = {each["key"]: each["value"] for each in body.get("variables", [])}
        self.files = {".gitattributes": b"*.safetensors filter=lfs", "README.md": b""}

    def commit(self, lines: list[dict[str, Any]]) -> None:
        """Files of a commit: what is not in Git LFS comes in base64."""
        self.commits += 1
        for line in lines:
            key, value = line["key"], line["value"]
            if key == "file":
                self.files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                self.files[value["path"]] = self.lfs[value["oid"]]
            elif key == "deletedFile":
                del self.files[value["path"]]


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        self._handle()

    do_POST = do_PUT = do_DELETE = do_GET

    def _handle(self) -> None:
        hub, path = self.hub, self.path.split("?")[0]
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = self._parsed(path, content)
        for (method, pattern), (status, message) in list(hub.refusals.items()):
            if method == self.command and re.fullmatch(pattern, path):
                del hub.refusals[method, pattern]
                return self._send({"error": message}, status)
        if not path.startswith(("/gradio_api/", "/lfs/")) and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._send({"error": "Invalid username or password."}, 401)
        if self.command in CHANGING and not HARMLESS.fullmatch(path) and not path.startswith("/lfs/"):
            hub.calls.append((self.command, path, body))
        return self._answer(path, body, content)

    def _parsed(self, path: str, content: bytes) -> Any:
        if path.startswith("/lfs/") or not content:
            return None
        lines = [json.loads(line) for line in content.splitlines()]
        return lines if "/commit/" in path else lines[0]

    def _answer(self, path: str, body: Any, content: bytes) -> None:
        hub = self.hub
        if path == "/api/whoami-v2":
            orgs = [{"name": name, "roleInOrg": role} for name, role in hub.orgs]
            self._send({"name": hub.user, "orgs": orgs, "auth": {"accessToken": {"role": hub.role}}})
        elif path == "/api/repos/create":
            hub.create(body)
            self._send({"url": f"{hub.address}/spaces/{hub.space['id']}"})
        elif path == "/api/repos/delete":
            hub.space = None
            self._send({})
        elif path == "/api/validate-yaml":
            self._send({"errors": [], "warnings": []})
        elif path.endswith("/info/lfs/objects/batch"):
            self._send({"transfer": "basic", "objects": [self._upload(each) for each in body["objects"]]})
        elif path.startswith("/lfs/"):
            hub.lfs[path.removeprefix("/lfs/")] = content
            self._send({})
        elif path.startswith("/gradio_api/call/ask"):
            self._ask(path, body)
        elif (found := SPACE.fullmatch(path)) and hub.space and hub.space["id"] == found[1]:
            self._of_space(found[2] or "", body)
        else:
            self._send({"error": "Repository not found"}, 404, {"X-Error-Code": "RepoNotFound"})

    def _upload(self, each: dict[str, Any]) -> dict[str, Any]:
        return {**each, "actions": {"upload": {"href": f"{self.hub.address}/lfs/{each['oid']}"}}}

    def _ask(self, path: str, body: Any) -> None:
        if self.hub.answer is None:
            self._send({"detail": "Not authenticated"}, 401)
        elif self.command == "POST":
            self.hub.asked.append(body["data"])
            self._send({"event_id": "1"})
        else:
            self._text(f"event: complete\ndata: {json.dumps([{'answer': self.hub.answer}])}\n\n")

    def _of_space(self, what: str, body: Any) -> None:
        hub, space = self.hub, self.hub.space or {}
        if what == "":
            siblings = [{"rfilename": name} for name in hub.files]
            own = {"id": space["id"], "private": space["private"], "sha": hub.sha, "host": hub.address}
            self._send({**own, "siblings": siblings, "tags": [], "likes": 0})
        elif what.startswith("/preupload/"):
            modes = [{**each, "uploadMode": "lfs" if each["size"] > LARGE else "regular"} for each in body["files"]]
            self._send({"files": [{**each, "shouldIgnore": False, "oid": None} for each in modes]})
        elif what.startswith("/commit/"):
            hub.commit(body)
            self._send({"commitOid": hub.sha, "commitUrl": f"{hub.address}/spaces/{space['id']}/commit/{hub.sha}"})
        elif what == "/runtime":
            self._send(hub.runtime())
        elif what == "/variables":
            if self.command == "POST":
                hub.variables[body["key"]] = body["value"]
            elif self.command == "DELETE":
                hub.variables.pop(body["key"])
            self._send({key: {"value": value} for key, value in hub.variables.items()})
        elif what == "/secrets":
            self._send({name: {} for name in hub.secrets})
        elif what.startswith("/logs/"):
            self._text("".join(f"data: {json.dumps({'data': line, 'timestamp': ''})}\n\n" for line in hub.log))
        elif what == "/settings":
            space["private"] = body["visibility"] == "private"
            self._send({})
        else:
            name, key = {"/hardware": ("hardware", "flavor"), "/sleeptime": ("sleep", "seconds")}[what]
            space[name] = body[key]
            self._send(hub.runtime())

    def _send(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        self._reply(json.dumps(body).encode(), "application/json", status, headers or {})

    def _text(self, text: str) -> None:
        self._reply(text.encode(), "text/event-stream", 200, {})

    def _reply(self, content: bytes, kind: str, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Type": kind, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
