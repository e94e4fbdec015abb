"""The ES modules of the page as one script that stands in an HTML page."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from shutil import which

import pytest
from jinja2 import UndefinedError

from ui.page import components
from ui.page.layout import launch_options
from ui.views import palette, scripts, style_sheets
from ui.views.rendering import TEMPLATES
from ui.views.scripts import MODULES, bundle

BASE = "export const ONE = 1;\nexport function two() {\n  return ONE + 1;\n}\nconst hidden = 3;\n"
USER = 'import { ONE as first, two } from "./base.js";\n\nconst hidden = first + two();\nglobalThis.found = hidden;\n'
BUNDLED = """\
const $base = (() => {
const ONE = 1;
function two() {
  return ONE + 1;
}
const hidden = 3;
return { ONE, two };
})();
const $user = (() => {
const { ONE: first, two } = $base;

const hidden = first + two();
globalThis.found = hidden;
return {  };
})();
"""


@pytest.fixture
def write(tmp_path: Path):
    """Writes modules, name -> text, and returns their folder."""

    def written(**modules: str) -> Path:
        for name, text in modules.items():
            (tmp_path / f"{name}.js").write_text(text)
        return tmp_path

    return written


def test_each_module_keeps_its_own_scope_and_comes_after_what_it_imports(write) -> None:
    assert bundle("user", write(base=BASE, user=USER, other="never read")) == BUNDLED


def test_a_module_that_two_others_import_is_there_once(write) -> None:
    left = 'import { ONE } from "./base.js";\nexport const LEFT = ONE;\n'
    top = 'import { LEFT } from "./left.js";\nimport {\n  ONE,\n  two,\n} from "./base.js";\nLEFT + ONE + two();\n'
    script = bundle("top", write(base=BASE, left=left, top=top))
    assert re.findall(r"^const \$(\w+)", script, re.MULTILINE) == ["base", "left", "top"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('import { three } from "./base.js";\n', "three from base.js"),
        ('import * as base from "./base.js";\n', "import \\* as base"),
        ('import base from "./base.js";\n', "import base"),
        ("export default 1;\n", "export default"),
        ("export { two };\n", "export { two }"),
        ("export let two = 2;\n", "export let"),
        ('import { ME } from "./user.js";\nexport const ME = 1;\n', "import each other"),
        ('const end = "</script>";\n', "</script"),
    ],
)
def test_what_cannot_be_bundled_is_told(text: str, message: str, write) -> None:
    with pytest.raises(ValueError, match=message):
        bundle("user", write(base=BASE, user=text))


def test_every_module_belongs_to_the_page_or_the_report() -> None:
    text = bundle("page") + bundle("report")
    assert set(re.findall(r"^const \$(\w+) = \(\(\) =>", text, re.MULTILINE)) == {
        path.stem for path in MODULES.glob("*.js")
    }
    assert "Gallery" not in bundle("report")


@pytest.mark.skipif(which("node") is None, reason="needs Node")
def test_the_bundle_is_a_module_that_runs() -> None:
    script = bundle("page") + "if (typeof cropViews.push !== 'function') throw new Error('not mounted');"
    command = ["node", "--input-type=module", "-"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_page_has_the_module_once_and_components_only_hand_themselves_over(tmp_path: Path) -> None:
    head = launch_options(tmp_path)["head"]
    style, terms, module = head.split("\n", 2)
    assert style.startswith("<style>@media print {") and style.endswith("</style>")
    assert terms == scripts.terms() and f"{terms}\n{module}" == scripts.head()
    assert head.count("<script") == head.count("</script>") == 2, "the terms, and the module"
    assert module.startswith('<script type="module">')
    for component, view in ((components.ExplorerView(), "explorer"), (components.GalleryView(), "gallery")):
        assert component.js_on_load == scripts.mount(view)
        assert f"{view}: mount" in bundle("page")


def test_the_modules_read_colours_that_the_style_sheet_has() -> None:
    read = re.findall(r'variable\("(\w+)"\)', style_sheets.read("js/palette.js"))
    written = dict(re.findall(r"--cx-(\w+): ([^;]+);", palette.as_css()))
    assert {"region", "cut", "veil", "rings", "hatches"} == set(read) <= set(written)
    assert written["rings"].split(" ") == list(palette.RINGS)
    assert written["hatches"].split(" ") == list(palette.HATCHES)
    assert palette.as_css() in style_sheets.css() and palette.as_css() in style_sheets.explorer_css()


def test_a_template_escapes_and_misses_nothing() -> None:
    values = {"question": "<b>", "facts": {"a": "&"}, "payload": {"x": "</script>"}, "explorer_css": "", "script": ""}
    values |= {"terms": ""}
    text = TEMPLATES.get_template("report_page.html").render(**values)
    assert "&lt;b&gt;" in text and "<dt>a</dt><dd>&amp;</dd>" in text and "\\u003c/script\\u003e" in text
    del values["facts"]
    with pytest.raises(UndefinedError, match="facts"):
        TEMPLATES.get_template("report_page.html").render(**values)
