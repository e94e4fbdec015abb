"""The line before the model: its order, what it tells, who leaves it, and a real app over a slow engine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
import httpx
import pytest
from gradio_client import Client, handle_file

from crop_core.records.config import CropConfig
from crop_core.records.request import QueueStatus
from crop_core.records.results import RunSpec, StreamEvent
from tests.support.fake_records import FakeEngine, request, sample_image
from tests.support.panel import SETTINGS
from ui.page.handlers import Handlers
from ui.page.layout import build, launch_options
from ui.page.sweeps import SweepHandlers
from ui.server.queued_engine import QueuedEngine
from ui.server.request_queue import QueueFullError, RequestQueue, Ticket, duration_in_words
from ui.views.history import History
from ui.views.progress import status_line

PATIENCE = 20  # seconds; nothing takes as long


class Clock:
    """Stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def until(true: Callable[[], object]) -> None:
    """Returns as soon as it is."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def test_who_came_first_is_first_and_no_more_may_wait_than_may(clock: Clock) -> None:
    turns = RequestQueue(2, clock=clock)
    first, second, third = (turns.join("page") for _ in range(3))
    assert list(first.waits()) == []
    assert [next(each.waits()).ahead for each in (second, third)] == [1, 2]
    with pytest.raises(QueueFullError, match=r"^The queue is full \(2 requests are waiting\); .* soon\.$"):
        turns.join("page")
    second.leave()  # gone, though it was not its turn
    assert next(third.waits()).ahead == 1
    first.leave()
    assert list(third.waits()) == []
    turns.join("page"), turns.join("page")


def test_the_expected_wait_is_what_those_before_still_need(clock: Clock) -> None:
    """Means by hand: 10 s a comparison, 2 s a way; then 0.7 * 10 + 0.3 * 20 = 13 s a comparison."""
    turns = RequestQueue(9, clock=clock)

    def answered(kind: str, size: int, seconds: float) -> None:
        turn = turns.join(kind, size)
        assert list(turn.waits()) == []
        clock.now += seconds
        turn.leave(answered=True)

    at_work, waiting = turns.join("page"), turns.join("many", 4)
    assert next(waiting.waits()) == QueueStatus(1, None), "nobody was answered yet"
    at_work.leave(), waiting.leave()
    answered("page", 1, 10)
    answered("many", 3, 6)
    at_work, waiting, last = turns.join("page"), turns.join("many", 4), turns.join("page")
    assert list(at_work.waits()) == []
    clock.now += 4
    assert (next(waiting.waits()), next(last.waits())) == (QueueStatus(1, 6), QueueStatus(2, 6 + 4 * 2))
    clock.now += 100
    assert next(waiting.waits()).seconds == 0, "never less"
    for turn in (at_work, waiting, last):
        turn.leave()  # stopped: their times say nothing
    answered("page", 1, 20)
    turns.join("page").leave()
    at_work, waiting = turns.join("page"), turns.join("page")
    assert next(waiting.waits()).seconds == pytest.approx(13)


def order(queue: RequestQueue, tickets: dict[str, Ticket]) -> list[str]:
    """Names of the tickets as they are served; each ends before the next begins."""
    served = []
    while tickets:
        name = next(name for name, ticket in tickets.items() if queue.wait(ticket, 0))
        tickets.pop(name).leave()
        served.append(name)
    return served


def test_visitors_take_turns_however_much_each_asks(clock: Clock) -> None:
    queue = RequestQueue(20, clock=clock)
    tickets = {f"a{at}": queue.join("stream", visitor="a") for at in range(4)}
    assert list(tickets["a0"].waits()) == []
    tickets |= {f"b{at}": queue.join("stream", visitor="b") for at in range(2)}
    tickets["c0"] = queue.join("stream", visitor="c")
    assert order(queue, tickets) == ["a0", "b0", "c0", "a1", "b1", "a2", "a3"]


def test_a_sweep_counts_as_its_runs(clock: Clock) -> None:
    queue = RequestQueue(20, clock=clock)
    sweep = queue.join("run_many", 25, "a")
    assert list(sweep.waits()) == []
    later = queue.join("stream", visitor="a")
    tickets = {"a": later, **{f"b{at}": queue.join("stream", visitor="b") for at in range(3)}}
    sweep.leave(answered=True)
    assert order(queue, tickets) == ["b0", "b1", "b2", "a"]


def test_who_waits_is_served_though_newcomers_never_cease(clock: Clock) -> None:
    queue = RequestQueue(20, clock=clock)
    first, second = queue.join("stream", visitor="a"), queue.join("stream", visitor="a")
    assert list(first.waits()) == []
    newcomers = [queue.join("stream", visitor="0")]
    first.leave()
    for name in range(1, 5):
        newcomers.append(queue.join("stream", visitor=str(name)))
        if queue.wait(second, 0):
            break
        assert queue.wait(newcomers[0], 0)
        newcomers.pop(0).leave()
    assert second.began is not None and len(newcomers) <= 3


def test_nobody_is_remembered_who_has_no_more_than_others(clock: Clock) -> None:
    queue = RequestQueue(20, clock=clock)
    for name in range(100):
        ticket = queue.join("stream", visitor=str(name))
        assert list(ticket.waits()) == []
        ticket.leave()
    assert len(queue._asked) <= 100
    tickets = [queue.join("stream", visitor="0") for _ in range(3)]
    for ticket in tickets:
        assert list(ticket.waits()) == []
        ticket.leave()
    assert len(queue._asked) <= 1


def test_two_may_work_at_once(clock: Clock) -> None:
    turns = RequestQueue(5, width=2, clock=clock)
    one, two, three, four = (turns.join("page") for _ in range(4))
    assert list(one.waits()) == list(two.waits()) == []
    assert [next(each.waits()).ahead for each in (three, four)] == [1, 2]
    two.leave()
    assert list(three.waits()) == [] and next(four.waits()).ahead == 1


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "1 second"),
        (2.6, "3 seconds"),
        (9.9, "10 seconds"),
        (23, "25 seconds"),
        (89, "90 seconds"),
        (100, "2 minutes"),
    ],
)
def test_a_guess_is_told_no_more_exactly_than_it_deserves(seconds: float, said: str) -> None:
    assert duration_in_words(seconds) == said


class Slow(FakeEngine):
    """Works until it is released, token by token; counts who is at work, and notes what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.at_work = self.most = self.ended = 0
        self.released = threading.Event()
        self.seen: list[str] = []

    @contextmanager
    def work(self, question: str) -> Iterator[None]:
        self.seen.append(question)
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        try:
            yield
        finally:
            self.at_work -= 1
            self.ended += 1

    def stream(self, request: Any) -> Iterator[StreamEvent]:
        if request.kind == "measure":
            yield from super().stream(request)
            return
        with self.work(request.question):
            yield StreamEvent("localize")
            while not self.released.wait(0.02):
                yield StreamEvent("compare")
            yield from super().stream(request)

    def call(self, request: Any) -> Any:
        with self.work(request.question):
            assert self.released.wait(PATIENCE)
            return super().call(request)


def test_streams_wait_for_each_other_and_tell_of_it() -> None:
    engine = Slow()
    behind = QueuedEngine(engine, RequestQueue(3))
    first, second = behind.stream(request(question="first")), behind.stream(request(question="second"))
    assert next(first).stage == "localize"
    assert next(second) == QueueStatus(1)
    assert engine.seen == ["first"], "who waits has not been asked"
    engine.released.set()
    assert [list(each)[-1].comparison.question for each in (first, second)] == ["first", "second"]
    assert (engine.seen, engine.most) == (["first", "second"], 1)


@pytest.mark.parametrize("waiting", [False, True])
def test_closing_a_stream_frees_its_place(waiting: bool) -> None:
    engine, turns = Slow(), RequestQueue(1)
    behind = QueuedEngine(engine, turns)
    held = turns.join("page") if waiting else None
    stream = behind.stream(request())
    next(stream)
    stream.close()
    if held:
        held.leave()
    until(lambda: turns.taken == 0)
    assert engine.at_work == 0 and engine.seen == ([] if waiting else ["what?"])
    engine.released.set()
    assert list(behind.stream(request(question="next")))[-1].comparison.question == "next"


def test_a_measurement_comes_after_all_that_waits_and_takes_no_place_of_theirs(clock: Clock) -> None:
    queue = RequestQueue(1, clock=clock)
    first, last = queue.join("stream"), queue.join("measure")
    second = queue.join("stream")  # the one that may wait
    assert [next(each.waits()).ahead for each in (second, last)] == [1, 2]
    with pytest.raises(QueueFullError):
        queue.join("answer")
    queue.join("measure").leave()
    with pytest.raises(QueueFullError):
        [queue.join("measure") for _ in range(2)]
    first.leave(answered=True)
    second.leave(answered=True)
    assert list(last.waits()) == []


def test_a_measurement_lets_others_go_first_in_its_pauses(clock: Clock) -> None:
    queue = RequestQueue(3, clock=clock)
    measuring, other = queue.join("measure"), queue.join("measure")
    assert list(measuring.waits()) == []
    assert not measuring.make_way(), "not to its like"
    question = queue.join("stream")
    assert next(question.waits()).ahead == 1
    assert measuring.make_way()
    assert list(question.waits()) == []
    assert next(measuring.waits()).ahead == 2, "nor is it first among its like"
    assert not question.make_way()
    clock.now = 100.0
    question.leave(answered=True)
    assert list(other.waits()) == []
    other.leave()
    assert list(measuring.waits()) == []
    clock.now = 110.0
    measuring.leave(answered=True)
    assert "measure" not in queue._means, "its time with that of others in between is no estimate"


def test_a_wait_has_an_end_where_it_is_told_one(clock: Clock) -> None:
    queue = RequestQueue(1, clock=clock)
    queue.join("stream")
    waits = queue.join("stream").waits(every=0, longest=5)
    assert next(waits).ahead == 1
    clock.now = 5.0
    with pytest.raises(StopIteration) as ended:
        next(waits)
    assert ended.value.value is False


@pytest.mark.parametrize("patience", [0.0, 60.0])
def test_a_question_runs_between_two_pairs_of_a_measurement(patience: float) -> None:
    turns = RequestQueue(2)
    behind = QueuedEngine(FakeEngine(), turns, patience)
    measuring = behind.stream(request("measure"))
    seen = [event for event in (next(measuring) for _ in range(3)) if event.measured]
    question = behind.stream(request(question="what else?"))
    assert next(question) == QueueStatus(1, None)
    paused = next(measuring, None)
    if not patience:
        assert paused is None, "it ends where it may not wait, and keeps what was measured"
        until(lambda: turns.taken == 1)
    else:
        assert isinstance(paused, QueueStatus)
    assert list(question)[-1].comparison.question == "what else?"
    rest = [event for event in measuring if not isinstance(event, QueueStatus)]
    assert len(seen) == 2 and len(rest) == (4 if patience else 0), "three pairs, and the memory"
    until(lambda: turns.taken == 0)


def test_closing_does_not_wait_for_the_model() -> None:
    """Gradio closes streams on its one event loop; the place is free only once the model is."""
    ending = threading.Event()

    class Stubborn(FakeEngine):
        def stream(self, *request: Any) -> Iterator[StreamEvent]:
            try:
                yield StreamEvent("localize")
            finally:
                assert ending.wait(PATIENCE)

    behind = QueuedEngine(Stubborn(), RequestQueue(1))
    stream = behind.stream(request())
    next(stream)
    stream.close()
    after = behind.stream(request(question="next"))
    assert next(after) == QueueStatus(1)
    ending.set()
    until(lambda: not isinstance(next(after), QueueStatus))


def test_a_failure_frees_its_place() -> None:
    class Broken(FakeEngine):
        def stream(self, request: Any) -> Iterator[Any]:
            raise ValueError if request.kind == "run_many" else RuntimeError
            yield

        def call(self, request: Any) -> Any:
            raise RuntimeError

    turns = RequestQueue(1)
    behind = QueuedEngine(Broken(), turns)
    for work in (
        lambda: list(behind.stream(request())),
        lambda: list(behind.stream(request("run_many", specs=(RunSpec("one", CropConfig()),)))),
        lambda: behind.call(request("localize")),
    ):
        with pytest.raises((RuntimeError, ValueError)):
            work()
        assert turns.taken == 0


@pytest.fixture
def scene(tmp_path: Path) -> str:
    sample_image().save(tmp_path / "scene.png")
    return str(tmp_path / "scene.png")


def test_the_page_tells_who_waits_and_refuses_who_may_not(scene: str) -> None:
    turns = RequestQueue(1)
    behind, held = QueuedEngine(FakeEngine(), turns), turns.join("page")
    ask = Handlers(behind, []).ask(History(), scene, "what?", None, *SETTINGS, "")
    explorer, note, history, stop = next(ask)
    assert explorer == history == stop == gr.skip()
    assert 'class="waiting" role="status"' in note and "1 request is ahead of yours." in note
    methods = SweepHandlers(behind).methods(scene, "what?", ["crop"], *SETTINGS)
    *_, note, status = list(methods)[-1]
    assert "The queue is full (1 request is waiting); please try again soon." in status
    assert 'class="message" role="alert"' in status and note == ""
    held.leave()
    assert [note for _, note, *_ in ask][-1] == ""
    held = turns.join("stream")
    methods = SweepHandlers(behind).methods(scene, "what?", ["crop"], *SETTINGS)
    waiting = "1 request is ahead of yours; about 1 second to wait."
    assert [next(methods)[-1] for _ in range(2)] == [status_line("Starting …"), status_line(waiting)]
    held.leave()
    assert list(methods)[-1][-1] == status_line("Done: 1 run.")


@pytest.fixture
def served(scene: str) -> Iterator[tuple[str, Slow, RequestQueue]]:
    """Address of the app over a slow engine with one place to wait."""
    engine, turns = Slow(), RequestQueue(1)
    app = build(QueuedEngine(engine, turns), [])
    options = launch_options(Path(scene).parent)
    _, url, _ = app.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", **options)
    yield url, engine, turns
    engine.released.set()
    app.close()


def test_programs_wait_in_the_same_line_and_are_refused_in_one_sentence(
    served: tuple[str, Slow, RequestQueue], scene: str
) -> None:
    url, engine, turns = served
    client = Client(url, verbose=False)

    def ask(question: str) -> Any:
        return client.submit(handle_file(scene), question, "crop", "", "", api_name="/ask")

    first = ask("first")
    until(lambda: engine.at_work)
    second = ask("second")
    until(lambda: turns.taken == 2)
    began = time.monotonic()
    with pytest.raises(Exception, match=r"The queue is full \(1 request is waiting\)"):
        ask("third").result(PATIENCE)
    assert time.monotonic() - began < 5, "at once"
    engine.released.set()
    assert [each.result(PATIENCE)["answer"] for each in (first, second)] == ["rabbit", "rabbit"]
    assert (engine.seen, engine.most) == (["first", "second"], 1)


@pytest.mark.parametrize("how", ["tab closed", "stopped"])
def test_the_model_is_free_again_when_a_page_goes_or_stops(
    how: str, served: tuple[str, Slow, RequestQueue], scene: str
) -> None:
    """What a browser sends, by hand: the page's own event, then the end of its connection, or what Stop sends."""
    url, engine, turns = served
    config = httpx.get(f"{url}config").json()
    number = next(each["id"] for each in config["dependencies"] if each["targets"] and run_button(config, each))
    with open(scene, "rb") as file:
        path = httpx.post(f"{url}gradio_api/upload", files={"files": file}).json()[0]
    upload = {"path": path, "meta": {"_type": "gradio.FileData"}, "orig_name": "scene.png"}
    data = [None, upload, "what?", None, *SETTINGS, ""]
    body = {"fn_index": number, "data": data, "session_hash": "tab", "event_data": None, "trigger_id": None}
    event = httpx.post(f"{url}gradio_api/queue/join", json=body).json()["event_id"]
    with httpx.stream("GET", f"{url}gradio_api/queue/data", params={"session_hash": "tab"}, timeout=PATIENCE) as got:
        until_line = got.iter_lines()
        while "process_generating" not in next(until_line):
            pass
        assert engine.at_work == 1
        if how == "stopped":
            stop = {"session_hash": "tab", "fn_index": number, "event_id": event}
            httpx.post(f"{url}gradio_api/cancel", json=stop, timeout=PATIENCE)
            until(lambda: engine.ended == 1 and turns.taken == 0)
    until(lambda: engine.ended == 1 and turns.taken == 0)
    assert not engine.released.is_set()


def run_button(config: dict[str, Any], dependency: dict[str, Any]) -> bool:
    """Whether an event is the question's, as typed."""
    names = {each["id"]: each["props"].get("elem_id") for each in config["components"]}
    return [names.get(target[0]) for target in dependency["targets"]] == ["run", "question"] and dependency["queue"]
