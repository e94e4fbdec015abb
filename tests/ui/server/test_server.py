"""What surrounds the engine: reports of requests, their log and figures, health, headers. No model is loaded."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from crop_core.records.config import Budget, CropConfig
from crop_core.records.results import RunSpec
from tests.support.fake_records import FakeEngine, request, sample_image
from ui.server import health
from ui.server.headers import POLICY, SecurityHeaders, headers
from ui.server.health import Metrics, health_routes
from ui.server.hosting import GRACE, Hosting
from ui.server.monitoring import ActiveRequests, MonitoredEngine, Report
from ui.server.rate_limit import RateError
from ui.server.request_log import JSON, SHORT, Log, RequestLog
from ui.server.request_queue import QueueFullError
from ui.server.settings import Settings

IMAGE = sample_image(200, 100)
SECRET = "what is on my passport?"


class Engine(FakeEngine):
    """Answers at once; the question decides how."""

    closed = False

    def call(self, request: Any) -> Any:
        if request.question == "refuse":
            raise ValueError("There is no localizer.")
        if request.question == "break":
            raise KeyError("secret of the server")
        return "here" if request.kind == "localize" else super().call(request)

    def stream(self, request: Any) -> Iterator[Any]:
        try:
            yield from super().stream(request)
        finally:
            self.closed = True


@pytest.fixture
def reports() -> list[Report]:
    return []


@pytest.fixture
def active() -> ActiveRequests:
    return ActiveRequests(60)


@pytest.fixture
def monitored(active: ActiveRequests, reports: list[Report]) -> MonitoredEngine:
    return MonitoredEngine(Engine(), active, [reports.append])


def test_a_stream_is_passed_on_and_reported(
    monitored: MonitoredEngine, reports: list[Report], active: ActiveRequests
) -> None:
    events = monitored.stream(request("stream", SECRET, IMAGE, config=CropConfig(method="plc")))
    first = next(events)
    assert active.busy == 1
    seen = [first, *events]
    assert [event.stage for event in seen] == [
        event.stage for event in FakeEngine().stream(request("stream", SECRET, IMAGE))
    ]
    assert active.busy == 0
    (report,) = reports
    result = seen[-1].comparison
    assert (report.endpoint, report.outcome, report.method, report.error) == ("page", "answered", "plc", "")
    assert report.sizes == [(200, 100)]
    assert report.tokens == 576
    assert report.kept == result.crop.trace.mean_tokens
    assert report.stages["crop"]["localizer"] == result.crop.cost.localizer_s > 0
    assert report.stages["baseline"]["prefill"] == result.baseline.cost.prefill_s
    assert report.seconds > 0


def test_a_stream_that_is_left_is_cancelled_inside_too(active: ActiveRequests, reports: list[Report]) -> None:
    engine = Engine()
    events = MonitoredEngine(engine, active, [reports.append]).stream(request("stream", "what?", IMAGE, IMAGE))
    next(events)
    events.close()
    assert engine.closed
    assert [report.outcome for report in reports] == ["cancelled"]
    assert reports[0].sizes == [(200, 100)] * 2
    assert active.busy == 0


def test_a_stream_that_is_left_after_its_answer_was_answered(monitored: MonitoredEngine, reports: list[Report]) -> None:
    events = monitored.stream(request("stream", "what?", IMAGE))
    for event in events:
        if event.comparison is not None:
            break
    events.close()
    assert [report.outcome for report in reports] == ["answered"]


def test_ways_are_counted_and_passed_on(monitored: MonitoredEngine, reports: list[Report]) -> None:
    specs = tuple(RunSpec(name, CropConfig(method=name)) for name in ("crop", "random", "crop"))
    assert len(list(monitored.stream(request("run_many", "what?", IMAGE, specs=specs)))) == 4
    (report,) = reports
    assert (report.endpoint, report.ways, report.method, report.tokens) == ("many", 3, "crop,random", 576)


@pytest.mark.parametrize(
    ("question", "outcome", "error"),
    [("find", "answered", ""), ("refuse", "refused", "ValueError"), ("break", "failed", "KeyError")],
)
def test_what_becomes_of_a_request(
    question: str, outcome: str, error: str, monitored: MonitoredEngine, reports: list[Report]
) -> None:
    if error:
        with pytest.raises((ValueError, KeyError)):
            monitored.call(request("localize", question, IMAGE))
    else:
        assert monitored.call(request("localize", question, IMAGE)) == "here"
    assert [(report.endpoint, report.outcome, report.error) for report in reports] == [("localize", outcome, error)]


def test_answers_by_name_are_reported(monitored: MonitoredEngine, reports: list[Report]) -> None:
    answer = monitored.call(request("answer", "what?", IMAGE, config=CropConfig(budget=Budget(mean_tokens=64))))
    assert reports[0].stages == {
        "crop": {name: getattr(answer.cost, f"{name}_s") for name in reports[0].stages["crop"]}
    }
    assert len({report.id for report in reports}) == len(reports)


def line_of(report: Report, questions: bool) -> dict[str, Any]:
    """The line of a report, as it is written."""
    out = io.StringIO()
    RequestLog(Log(JSON, out), questions)(report)
    (line,) = out.getvalue().splitlines()
    return json.loads(line)


def test_the_log_is_one_line_without_the_question(monitored: MonitoredEngine, reports: list[Report]) -> None:
    list(monitored.stream(request("stream", SECRET + "\n\u2028", IMAGE)))
    line = line_of(reports[0], questions=False)
    assert SECRET not in json.dumps(line)
    assert line["question_length"] == len(SECRET) + 2
    assert line["pictures"] == [[200, 100]]
    assert (line["endpoint"], line["outcome"], line["visual_tokens"]) == ("page", "answered", 576)
    assert set(line["stages"]) == {"baseline", "crop"}
    assert line_of(reports[0], questions=True)["question"] == SECRET + "\n\u2028"


class Terminal(io.StringIO):
    """A log that a person reads."""

    def isatty(self) -> bool:
        return True


def short_line(report: Report, questions: bool = False) -> str:
    """The line of a report on a terminal, without its time."""
    out = Terminal()
    RequestLog(Log(out=out), questions)(report)
    result = re.fullmatch(r"\d\d:\d\d:\d\d (.*)\n", out.getvalue())
    assert result
    return result[1]


def test_the_log_is_short_on_a_terminal(monitored: MonitoredEngine, reports: list[Report]) -> None:
    list(monitored.stream(request("stream", SECRET + "\n\x1b", IMAGE, IMAGE)))
    with pytest.raises(KeyError):
        monitored.call(request("localize", "break", IMAGE))
    answered, failed = reports
    line = short_line(answered)
    assert re.fullmatch(r"page answered in [\d.]+ m?s: 200x100 200x100, crop, [\d.]+ of 1152 tokens", line)
    assert short_line(answered, questions=True) == f"{line}, 'what is on my passport?\\n\\x1b'"
    assert re.fullmatch(r"localize failed \(KeyError\) in [\d.]+ m?s: 200x100", short_line(failed))


@pytest.mark.parametrize(("style", "stream", "first"), [
    (None, io.StringIO, "{"), (None, Terminal, "login"), (SHORT, io.StringIO, "login"), (JSON, Terminal, "{"),
])  # fmt: skip
def test_the_setting_goes_before_the_kind_of_stream(style: str | None, stream: type[io.StringIO], first: str) -> None:
    out = stream()
    Log(style, out).write({"endpoint": "login"}, "login failed: \x1b[2J")
    line = out.getvalue()
    assert line.endswith("\n") and "\x1b" not in line
    assert (line if first == "{" else line[9:]).startswith(first)


def test_the_setting_reaches_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROP_LOG", "short")
    Hosting(Settings.from_env()).wrap_engine(FakeEngine()).call(request("localize", "what?", IMAGE))
    assert " localize answered in " in capfd.readouterr().err


def test_what_a_limit_refuses_is_in_the_log(settings: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    limited = settings.model_copy(update={"rate": 3, "max_queue": 1})
    engine = Hosting(limited).wrap_engine(FakeEngine())
    runs, waits, comes_too_late = (engine.stream(request("stream", f"{SECRET} {at}", IMAGE)) for at in range(3))
    next(runs), next(waits)
    with pytest.raises(QueueFullError):
        next(comes_too_late)
    for kind in ("call", "stream"):
        with pytest.raises(RateError):
            getattr(engine, kind)(request("answer" if kind == "call" else "run_many", SECRET, IMAGE))
    waits.close(), runs.close()
    text = capfd.readouterr().err
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]  # libraries may write others
    refused = [line for line in lines if line["outcome"] == "refused"]
    assert [(line["endpoint"], line["error"]) for line in refused] == [
        ("page", "QueueFullError"), ("ask", "RateError"), ("many", "RateError"),
    ]  # fmt: skip
    assert refused[0]["pictures"] == [[200, 100]] and "passport" not in text


def test_a_failure_tells_its_class_alone(monitored: MonitoredEngine, reports: list[Report]) -> None:
    with pytest.raises(KeyError):
        monitored.call(request("localize", "break", IMAGE))
    assert line_of(reports[0], questions=False)["error"] == "KeyError"
    assert "secret of the server" not in json.dumps(line_of(reports[0], questions=True))


def test_silence_makes_the_app_stuck_and_a_sign_of_life_frees_it() -> None:
    now = [0.0]
    active = ActiveRequests(60, lambda: now[0])
    client = TestClient(Starlette(routes=health_routes(active)))
    active.alive("a")
    now[0] = 60
    assert client.get("/readyz").json() == {"ready": True, "under_way": 1}
    now[0] = 61
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "under_way": 1})
    assert client.get("/healthz").json() == {"alive": True}
    active.alive("a")
    assert client.get("/readyz").status_code == 200
    now[0] = 1000
    active.end("a")
    active.end("a")  # twice does no harm
    assert client.get("/readyz").json() == {"ready": True, "under_way": 0}


def test_figures_count_what_was_reported(
    monitored: MonitoredEngine, reports: list[Report], active: ActiveRequests
) -> None:
    pytest.importorskip("prometheus_client")
    figures = Metrics(active)
    list(monitored.stream(request("stream", SECRET, IMAGE)))
    monitored.call(request("localize", "find", IMAGE))
    for report in reports:
        figures(report)
    active.alive("a")
    client = TestClient(Starlette(routes=[Route("/metrics", figures.page)]))
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'crop_requests_total{endpoint="page",outcome="answered"} 1.0' in answer.text
    assert 'crop_request_seconds_count{endpoint="localize"} 1.0' in answer.text
    assert 'crop_stage_seconds_count{run="crop",stage="prefill"} 1.0' in answer.text
    assert "crop_visual_tokens_total 576.0" in answer.text
    assert "crop_requests_under_way 1.0" in answer.text
    assert "passport" not in answer.text


def test_figures_without_their_package_are_one_sentence(
    monkeypatch: pytest.MonkeyPatch, active: ActiveRequests
) -> None:
    monkeypatch.setattr(health, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"^CROP_METRICS needs .*pip install prometheus-client\.$"):
        Metrics(active)


async def streamed(_: Any) -> StreamingResponse:
    """Two pieces."""

    async def pieces() -> Any:
        yield "a"
        yield "b"

    return StreamingResponse(pieces())


def test_every_response_carries_the_headers() -> None:
    routes = [Route("/plain", lambda _: PlainTextResponse("x")), Route("/stream", streamed)]
    client = TestClient(Starlette(routes=routes, middleware=[Middleware(SecurityHeaders)]))
    for path, status in (("/plain", 200), ("/stream", 200), ("/nowhere", 404)):
        answer = client.get(path)
        assert answer.status_code == status
        assert headers().items() <= {name.title(): value for name, value in answer.headers.items()}.items()
    assert client.get("/stream").text == "ab"


def test_nothing_may_come_from_elsewhere_and_the_hub_may_frame_us() -> None:
    elsewhere = {name: value for name, value in POLICY.items() if "http" in value or "*" in value}
    assert elsewhere == {"frame-ancestors": "'self' https://huggingface.co"}
    policy = headers()["Content-Security-Policy"]
    assert policy.startswith("default-src 'self'; script-src ")
    assert "connect-src 'self' data: blob:;" in policy


def test_the_page_may_fetch_from_the_hosts_of_linked_runs_alone() -> None:
    policy = headers(runs=["https://course.example.edu"])["Content-Security-Policy"]
    assert "connect-src 'self' data: blob: https://course.example.edu;" in policy
    assert policy.count("course.example.edu") == 1
    there = headers(on_space=True, runs=["https://a.example"])["Content-Security-Policy"]
    assert "connect-src 'self' data: blob: https://huggingface.co https://*.huggingface.co https://a.example;" in there


def test_on_a_space_the_page_may_ask_the_hub() -> None:
    there = headers(on_space=True)["Content-Security-Policy"]
    assert "connect-src 'self' data: blob: https://huggingface.co https://*.huggingface.co;" in there
    assert "script-src 'self' 'unsafe-inline' 'unsafe-eval';" in there


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    return Settings()


def test_the_settings_reach_the_launch(settings: Settings) -> None:
    assert Hosting(settings).launch_options()["root_path"] == "", "Gradio's variable does not count beside ours"
    hosting = Hosting(settings.model_copy(update={"root_path": "/crop", "time_limit": 5}))
    options = hosting.launch_options()
    assert options["root_path"] == "/crop"
    assert options["auth"] is None
    assert [route.path for route in options["app_kwargs"]["routes"]] == ["/healthz", "/readyz", "/gradio.js"]
    assert hosting.active._patience == 5 + GRACE


def test_what_is_switched_on_is_served_and_what_is_not_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("prometheus_client")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CROP_METRICS", "1")
    monkeypatch.setenv("CROP_LOGIN", "ann:one")
    options = Hosting(Settings.from_env()).launch_options()
    assert [route.path for route in options["app_kwargs"]["routes"]][-1] == "/metrics"
    assert options["auth"] == [("ann", "one")]
