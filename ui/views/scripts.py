"""Bundle the ES modules of ui/static/js into one script that can stand inside an HTML page and fetches nothing.

Each module becomes a function with a scope of its own, called once, after the modules that it imports. Of the module
syntax only what the modules use is understood: `import { a, b as c } from "./name.js";` and `export` before a
declaration, each at the start of a line.
"""

from __future__ import annotations

import re
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

MODULES = Path(__file__).parents[1] / "static" / "js"
IMPORT = re.compile(r'^import \{([^}]*)\} from "\./(\w+)\.js";$', re.MULTILINE)
NAME = re.compile(r"(\w+)(?: as \w+)?")
EXPORT = re.compile(r"^export (?=(?:async )?(?:function|class|const) (\w+))", re.MULTILINE)
OTHER = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


@cache
def bundle(entry: str, folder: Path = MODULES) -> str:
    """The module `entry` with all that it imports, for a `<script type="module">`; the same text every time.

    Raises ValueError for an import of a name that is not exported, for modules that import each other, for module
    syntax that is not understood, and for text that would end the script element.
    """
    modules, found = {}, [entry]
    while found:
        name = found.pop()
        if name not in modules:
            modules[name] = (folder / f"{name}.js").read_text(encoding="utf-8")
            found += _imports(modules[name])
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
    """Module -> names that are imported from it."""
    found: dict[str, list[str]] = {}
    for names, module in IMPORT.findall(text):
        found.setdefault(module, []).extend(NAME.findall(names))
    return found


def _as_function(name: str, text: str, exports: dict[str, list[str]]) -> str:
    """`const $name = (() => {...})();`, whose value holds what the module exports."""
    for module, names in _imports(text).items():
        missing = sorted({*names} - {*exports[module]})
        if missing:
            raise ValueError(f"{name}.js imports {', '.join(missing)} from {module}.js, which does not export it.")
    body = IMPORT.sub(lambda found: f"const {{{found[1].replace(' as ', ': ')}}} = ${found[2]};", text)
    body = EXPORT.sub("", body)
    if rest := OTHER.search(body):
        raise ValueError(f"{name}.js has module syntax that ui/views/scripts.py does not understand: {rest[0]}")
    return f"const ${name} = (() => {{\n{body}return {{ {', '.join(exports[name])} }};\n}})();\n"


def head() -> str:
    """What the app's page needs in its `<head>`: the views' module, loaded once. Stands in the page itself, so that it
    works under any root path, behind a login, and is never a version that a browser kept.
    """
    return f'<script type="module">\n{bundle("page")}</script>'


def mount(view: str) -> str:
    """JavaScript with which a Gradio component hands itself to the module (static/js/page.js), before or after this has
    loaded. view: "explorer" or "gallery".
    """
    return f"(window.cropViews ||= []).push(['{view}', {{ element, props, trigger, watch }}]);"
