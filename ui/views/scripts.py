"""Bundle the ES modules of ui/static/js into one script for an HTML page, which fetches nothing.

Each module becomes a function with a scope of its own, called once, after the modules that it imports. Only the
module syntax in use is supported: `import { a, b as c } from "./name.js";` and `export` before a
declaration, each at the start of a line.
"""

from __future__ import annotations

import json
import re
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from ui.views.lesson import GLOSSARY, ON_HOVER

MODULES = Path(__file__).parents[1] / "static" / "js"
IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";$', re.MULTILINE)
NAME = re.compile(r"(\w+)(?: as \w+)?")
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+))", re.MULTILINE)
OTHER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


@cache
def bundle(entry: str, folder: Path = MODULES) -> str:
    """Bundle the module `entry` with its imports, for a `<script type="module">`; deterministic.

    Raises ValueError for an import of a name that is not exported, for import cycles, for unsupported module
    syntax, and for text that would end the script element.
    """
    modules, pending = {}, [entry]
    while pending:
        name = pending.pop()
        if name not in modules:
            modules[name] = (folder / f"{name}.js").read_text(encoding="utf-8")
            pending += _imports(modules[name])
    try:
        order = list(TopologicalSorter({name: sorted(_imports(text)) for name, text in modules.items()}).static_order())
    except CycleError as error:
        raise ValueError(f"JavaScript modules import each other: {' -> '.join(error.args[1])}.") from None
    exports = {name: EXPORT.findall(text) for name, text in modules.items()}
    script = "".join(_as_function(name, modules[name], exports) for name in order)
    if "</script" in script.lower() or "<!--" in script:
        raise ValueError(f"{entry}.js or what it imports holds '</script' or '<!--', which ends a script in HTML.")
    return script


def _imports(text: str) -> dict[str, list[str]]:
    """Module -> names imported from it."""
    imports: dict[str, list[str]] = {}
    for names, module in IMPORT.findall(text):
        imports.setdefault(module, []).extend(NAME.findall(names))
    return imports


def _as_function(name: str, text: str, exports: dict[str, list[str]]) -> str:
    """`const $name = (() => {...})();`, whose value holds what the module exports."""
    for module, names in _imports(text).items():
        missing = sorted({*names} - {*exports[module]})
        if missing:
            raise ValueError(f"{name}.js imports {', '.join(missing)} from {module}.js, which does not export it.")
    body = IMPORT.sub(lambda match: f"const {{{match[1].replace(' as ', ': ')}}} = ${match[2]};", text)
    body = EXPORT.sub("", body)
    if rest := OTHER.search(body):
        raise ValueError(f"{name}.js has module syntax that ui/views/scripts.py does not support: {rest[0]}")
    return f"const ${name} = (() => {{\n{body}return {{ {', '.join(exports[name])} }};\n}})();\n"


def terms() -> str:
    """Element with the terms that static/js/terms.js explains where they stand."""
    meanings = {name: GLOSSARY[name] for name in ON_HOVER}
    return f'<script type="application/json" id="crop-terms">{json.dumps(meanings)}</script>'


def head() -> str:
    """Content of the page's `<head>`: the glossary's terms, and the views' module, inline.

    So it works under any root path and behind a login, and is never an outdated copy in a browser's cache.
    """
    return f'{terms()}\n<script type="module">\n{bundle("page")}</script>'


def mount(view: str) -> str:
    """JavaScript that registers a Gradio component with static/js/page.js, before or after that has loaded.

    view: "explorer" or "gallery".
    """
    return f"(window.cropViews ||= []).push(['{view}', {{ element, props, trigger, watch }}]);"
