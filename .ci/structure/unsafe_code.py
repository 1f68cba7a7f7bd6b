"""Checks that `unsafe` stands in `harness/src/os` alone, and is forbidden elsewhere."""

# These may use `unsafe`: packages of benchmarks and fuzz targets, and tests that misbehave.
EXEMPT_PACKAGES = ["clarity-chaos-conformance"]
EXEMPT_DIRECTORIES = ["benches", "fuzz"]
# The crate with one module that may use it, and that module.
DENYING = "harness/src/lib.rs"
UNSAFE_MODULE = "os"

_ATTRIBUTES = (["no_mangle"], ["export_name"], ["link_section"])


def findings(crates):
    """Gives the places that break the rule in libraries and programs."""
    for crate in crates:
        if crate.kind not in ("lib", "bin") or crate.package.name in EXEMPT_PACKAGES:
            continue
        if crate.package.directory.split("/")[0] in EXEMPT_DIRECTORIES:
            continue
        if crate.file == DENYING:
            yield from _forbidden_modules(crate)
        elif not has_lint(crate.root.body.attributes, "forbid"):
            yield f"{crate.file}:1: lacks `#![forbid(unsafe_code)]`"
        yield from _uses(crate)


def _forbidden_modules(crate):
    if not has_lint(crate.root.body.attributes, "deny"):
        yield f"{crate.file}:1: lacks `#![deny(unsafe_code)]`"
    for module in crate.root.children:
        attributes = [*module.declared.attributes, *module.body.attributes]
        if module.name != UNSAFE_MODULE and not has_lint(attributes, "forbid"):
            place = module.declared_at()
            yield f"{place}: module `{module.name}` is not under `#[forbid(unsafe_code)]`"


def has_lint(attributes, level):
    """Says whether one of the attributes sets `unsafe_code` to the level."""
    return any(
        attribute[:2] == [level, "("] and "unsafe_code" in attribute for attribute in attributes
    )


def _uses(crate):
    """Gives the `unsafe` tokens, exported symbols and lifted lints of files outside of `os`."""
    seen = set()
    for module in crate.nodes():
        top = module.top_level()
        allowed = crate.file == DENYING and top is not None and top.name == UNSAFE_MODULE
        if allowed or module.file in seen:
            continue
        seen.add(module.file)
        tokens = crate.source(module.file).tokens
        lifting = None
        for i, text in enumerate(tokens.text):
            place = f"{module.file}:{tokens.line[i]}"
            if text in ("expect", "allow", "warn") and tokens.text[i + 1 : i + 2] == ["("]:
                if tokens.text[i - 1] in ("[", ","):
                    lifting = text
            elif text == "]":
                lifting = None
            elif text == "unsafe_code" and lifting:
                yield f"{place}: `{lifting}(unsafe_code)` outside of harness/src/{UNSAFE_MODULE}"
            elif text == "unsafe":
                yield f"{place}: `unsafe` outside of harness/src/{UNSAFE_MODULE}"
            elif [text] in _ATTRIBUTES and tokens.text[i - 1] in ("[", "("):
                yield f"{place}: `{text}` outside of harness/src/{UNSAFE_MODULE}"
