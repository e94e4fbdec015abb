import pytest
import torch

from crop_core.models.decoder import compile_layers
from crop_core.prune import LayerPruning
from tests.support.exactness import ilp, prepared, stack_of
from tests.support.oracle import difference, run
from tests.support.tiny_models import tiny_llava


@pytest.fixture
def compiled(monkeypatch):
    """A model whose graphs run as PyTorch itself, which shows what is captured without a compiler; what fails does so
    aloud.
    """
    torch.compiler.reset()
    model = tiny_llava()
    compile_layers(stack_of(model).layers, backend="aot_eager")
    monkeypatch.setattr(torch._dynamo.config, "suppress_errors", False)
    yield model
    torch.compiler.reset()


@pytest.mark.parametrize("evict", [False, True])
def test_compiled_parts_change_no_answer_of_a_pruned_run(compiled, evict):
    plain = tiny_llava()
    inputs, visual = prepared(plain, "padded")
    runs = []
    for model in (plain, compiled):
        with LayerPruning(stack_of(model), ilp(visual), visual, evict):
            runs.append(run(model, inputs))
    assert difference(*runs) <= 1e-5
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] > 0, "something was compiled"
    assert difference(run(plain, inputs), run(compiled, inputs)) <= 1e-5


def test_attention_and_parts_that_are_moved_about_stay_as_they_are():
    layers = stack_of(tiny_llava()).layers
    layers[1].mlp.up_proj._hf_hook = object()
    compile_layers(layers, backend="eager")
    left = {name for name, part in layers[1].named_children() if part._compiled_call_impl is None}
    assert left == {"self_attn", "mlp"}
    assert all(part._compiled_call_impl is None for part in layers[0].self_attn.modules())


def test_without_a_compiler_everything_runs_as_before(compiled, monkeypatch):
    def broken(graph, inputs):
        raise RuntimeError("no compiler")

    torch.compiler.reset()
    model = tiny_llava()
    compile_layers(stack_of(model).layers, backend=broken)
    inputs, _ = prepared(model, "one")
    assert difference(run(model, inputs), run(tiny_llava(), inputs)) == 0
