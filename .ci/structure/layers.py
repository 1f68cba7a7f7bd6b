"""Checks that imports in `harness/` point down, in its sources and in its manifests."""

import re

# The layers of `harness/src`, top to bottom: each is a top-level module, and may import the layers
# and crates on its line. `lib.rs` may import everything.
LAYERS = {
    "runner": [
        "supervisor",
        "registration",
        "journal",
        "os",
        "data",
        "clarity-chaos-report",
        "clarity-chaos-record",
    ],
    "supervisor": ["test", "journal", "registration", "sandbox", "os", "data", "clarity-chaos-record"],
    "test": [
        "journal",
        "registration",
        "syscalls",
        "sandbox",
        "journal",
        "os",
        "data",
        "clarity-chaos-record",
        "clarity-chaos-oracles",
        "clarity-chaos-disk",
    ],
    "registration": ["os", "clarity-chaos-record", "clarity-chaos-oracles"],
    "syscalls": ["os"],
    "sandbox": ["os", "data", "clarity-chaos-record"],
    "journal": ["os", "data", "clarity-chaos-record"],
    "os": [],
    "data": ["clarity-chaos-record"],
}
# Top-level modules without a layer: documentation, and the re-exports that generated code uses.
DOCUMENTATION = ["guide", "__private"]
LAYERED = "harness/src/lib.rs"

# The packages below `harness/`, and the packages of ours that each may depend on.
PACKAGES = {
    "clarity-chaos": [
        "clarity-chaos-report",
        "clarity-chaos-record",
        "clarity-chaos-oracles",
        "clarity-chaos-macros",
        "clarity-chaos-disk",
    ],
    "clarity-chaos-report": ["clarity-chaos-record"],
    "clarity-chaos-disk": [],
    "clarity-chaos-power-cuts": ["clarity-chaos-disk"],
    "clarity-chaos-record": [],
    "clarity-chaos-oracles": [],
    "clarity-chaos-macros": [],
    "clarity-chaos-stores": ["clarity-chaos"],
    "clarity-chaos-registration": ["clarity-chaos", "clarity-chaos-conformance"],
    "clarity-chaos-conformance": [
        "clarity-chaos",
        "clarity-chaos-report",
        "clarity-chaos-record",
        "clarity-chaos-oracles",
    ],
}
# Every dependency that such a package may have at all.
ONLY = {"clarity-chaos-oracles": ["inventory"]}

_RTEN = re.compile(r"\brten\b|\brten[-_]")
_MODEL_IN_SCRIPT = re.compile(r"(?<![\w$])model(?![\w$])")


def imports_up(crate, imports):
    """Gives the imports of a crate below `harness/` that its table does not allow."""
    if crate.file == LAYERED:
        yield from _between_layers(crate, imports)
        return
    allowed = PACKAGES.get(crate.package.name)
    if allowed is not None and crate.kind in ("lib", "bin"):
        for each in imports:
            if each.crate and each.crate not in allowed:
                yield f"{each.place()}: `{crate.package.name}` must not import {each.describe()}"


def _between_layers(crate, imports):
    for module in crate.root.children:
        name = module.name
        if not module.test and name not in LAYERS and name not in DOCUMENTATION:
            yield f"{module.declared_at()}: module `{name}` is in no layer"
    for each in imports:
        source = each.source.top_level()
        if source is None:
            continue
        allowed = LAYERS.get(source.name)
        if allowed is None:
            # Reported above, once for the module.
            continue
        if each.crate:
            if each.crate not in allowed:
                yield f"{each.place()}: layer `{source.name}` must not import {each.describe()}"
            continue
        target = each.target.top_level()
        if target is not None and target is not source and target.name not in allowed:
            yield (
                f"{each.place()}: layer `{source.name}` must not import "
                f"`{target.name}`: {each.describe()}"
            )


def dependencies(packages):
    """Gives the dependencies in manifests below `harness/` that the table does not allow."""
    ours = {package.name for package in packages}
    for package in packages:
        if package.directory.split("/")[0] != "harness":
            continue
        manifest = package.join("Cargo.toml")
        allowed = PACKAGES.get(package.name)
        if allowed is None:
            yield f"{manifest}: package `{package.name}` is in no row of the table of packages"
            continue
        for name in sorted(set(package.dependencies().values())):
            only = ONLY.get(package.name)
            if (name in ours and name not in allowed) or (only is not None and name not in only):
                yield f"{manifest}: `{package.name}` must not depend on `{name}`"
        for name in sorted(set(package.dependencies(development=True).values())):
            if _RTEN.search(name) or name in ("clarity", "clarity-server"):
                yield f"{manifest}: `{package.name}` knows the server: it depends on `{name}`"


def knowledge_of_server(repository, crates):
    """Gives the places where `harness/` names the server's engine, or its log field `model`.

    Examined are the libraries below `harness/` without their test code. Findings are the word
    `rten` in an identifier or a string, the string `"model"` alone (a key), a field `.model`, and
    the word `model` in a script. A variable may be called `model`; comments are free.
    """
    for crate in crates:
        if crate.kind != "lib" or crate.package.directory.split("/")[0] != "harness":
            continue
        if crate.package.name == "clarity-chaos-conformance":
            continue
        for module in crate.nodes():
            if module.test:
                continue
            source = crate.source(module.file)
            for i, text in enumerate(source.tokens.text):
                if source.in_test(i):
                    continue
                named = text == "model" and i > 0 and source.tokens.text[i - 1] == "."
                if _RTEN.search(text) or text == '"model' or named:
                    shown = text + '"' if text.startswith('"') else text
                    place = f"{module.file}:{source.tokens.line[i]}"
                    yield f"{place}: the harness must not know the server: {shown}"
    for name in repository.files:
        if name.startswith("harness/") and name.endswith((".js", ".mjs")):
            for number, line in enumerate(repository.text(name).splitlines(), 1):
                code = line.split("//")[0]
                if _RTEN.search(code) or _MODEL_IN_SCRIPT.search(code):
                    yield f"{name}:{number}: the harness must not know the server: {line.strip()}"
