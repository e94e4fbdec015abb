"""A stand-in for Hugging Face's `spaces` on ZeroGPU, written after spaces 0.51: a fork for every call, and no GPU.

As there: arguments and results are pickled; what goes wrong inside comes out as a `gr.Error` with its class's name; a
generator that is closed is closed inside after its next result; inside a fork there is no second one; modules are moved
to "cuda" before there is one. Stricter than there: no module runs before a fork, and no tensor leaves one.
"""

from __future__ import annotations

import inspect
import io
import multiprocessing
import os
import pickle
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import gradio as gr
import torch

context = multiprocessing.get_context("fork")
durations: list[tuple[str, int]] = []  # of every call: its request's kind, and the seconds asked for
forked = False
_to = torch.nn.Module.to


def _moved(module: torch.nn.Module, *args: Any, **how: Any) -> torch.nn.Module:
    return module if args[:1] == ("cuda",) else _to(module, *args, **how)


def _no_gpu(*_: object) -> None:
    if not forked:
        raise RuntimeError("a module ran outside of spaces.GPU")


if os.environ.get("SPACES_ZERO_GPU"):
    torch.nn.Module.to = _moved  # type: ignore[method-assign, assignment]
    torch.nn.modules.module.register_module_forward_pre_hook(_no_gpu)


class _WithoutTensors(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, torch.Tensor):
            raise TypeError("a tensor leaves the fork")
        return NotImplemented


def _pickled(kind: str, content: Any) -> bytes:
    out = io.BytesIO()
    _WithoutTensors(out).dump((kind, content))
    return out.getvalue()


def GPU(task: Callable[..., Any], *, duration: Callable[..., int]) -> Callable[..., Any]:
    """The task in a process of its own, once for each call."""
    if not os.environ.get("SPACES_ZERO_GPU"):
        return task

    def started(args: Any, ended: Any) -> Any:
        durations.append((args[0].kind, duration(*args)))
        here, there = context.Pipe(duplex=False)
        process = context.Process(target=_inside, args=(task, pickle.dumps(args), there, ended), daemon=True)
        process.start()
        there.close()
        return here

    @wraps(task)
    def called(*args: Any) -> Any:
        if forked:
            return task(*args)
        (result,) = _results(started(args, context.Event()))
        return result

    @wraps(task)
    def streamed(*args: Any) -> Iterator[Any]:
        if forked:
            yield from task(*args)
            return
        ended = context.Event()
        try:
            yield from _results(started(args, ended))
        finally:
            ended.set()

    return streamed if inspect.isgeneratorfunction(task) else called


def _results(pipe: Any) -> Iterator[Any]:
    while True:
        try:
            kind, content = pickle.loads(pipe.recv_bytes())
        except EOFError:
            raise gr.Error("GPU task aborted", title="ZeroGPU worker error", print_exception=False) from None
        if kind == "end":
            return
        if kind == "error":
            raise gr.Error(content, title="ZeroGPU worker error", print_exception=False)
        yield content


def _inside(task: Callable[..., Any], args: bytes, pipe: Any, ended: Any) -> None:
    global forked
    forked = True
    torch.set_num_threads(1)  # the threads of before stayed behind
    try:
        results = task(*pickle.loads(args))
        for result in results if inspect.isgeneratorfunction(task) else [results]:
            if ended.is_set():
                results.close()
                return
            pipe.send_bytes(_pickled("ok", result))
        pipe.send_bytes(_pickled("end", None))
    except Exception as error:
        pipe.send_bytes(_pickled("error", type(error).__name__))
