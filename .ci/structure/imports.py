"""Lists the imports of a crate: which module uses a definition of which other one.

Seen are `use` declarations, paths in code, macro bodies and attributes, and single names that an
import by glob brings. Calls of methods are no imports: they need no path.
"""

from dataclasses import dataclass

from .modules import Module, Target


@dataclass(frozen=True)
class Import:
    """`source` imports a definition that stands in `target`, both with a file of their own."""

    source: Module
    target: Module | None
    line: int
    # The path as it is written, and the path of the definition.
    text: str
    defined: str
    # Of the target.
    kind: str
    crate: str | None = None

    def place(self):
        return f"{self.source.file}:{self.line}"

    def place_key(self):
        return (self.source.file, self.line)

    def describe(self):
        """The path as it is written, with the definition where that is another path."""
        if self.crate:
            return f"{self.text}  (of {self.crate})"
        if self.text.removeprefix("crate::") == self.defined.removeprefix("crate::"):
            return self.text
        return f"{self.text}  (is {self.defined})"


def imports(crate):
    """Gives the imports of all modules that are not for tests, each definition once a module."""
    found = {}
    for module in crate.modules:
        if module.test:
            continue
        body = module.body
        for brace, uses in [(-1, body.uses), *body.brace_uses.items()]:
            for use in uses:
                if use.test:
                    continue
                text = "::".join(use.path) + ("::*" if use.glob else "")
                outer = body.parents[brace] if brace >= 0 else -1
                busy = frozenset([id(use)])
                for target in _resolve(crate, module, use.path, outer, busy):
                    _add(found, crate, module, target, use.line, text)
        has_globs = bool(module.globs) or any(
            use.glob for uses in body.brace_uses.values() for use in uses
        )
        for path in body.paths:
            for target in _targets(crate, module, path, has_globs):
                _add(found, crate, module, target, path.line, "::".join(path.segments))
    return sorted(found.values(), key=lambda each: (each.place_key(), each.text, each.describe()))


def _resolve(crate, module, path, brace, busy):
    """Resolves a path; a name that a macro generates counts for the module that it stands in."""
    for length in range(len(path), 0, -1):
        found = crate.resolve(module, path[:length], brace, busy)
        if found and length < len(path):
            modules = [target.module for target in found if target.module]
            return {Target("item", place, path[length]) for place in modules}
        if found:
            return found
    return set()


def _targets(crate, module, path, has_globs):
    if len(path.segments) > 1:
        return _resolve(crate, module, path.segments, path.brace, frozenset())
    name = path.segments[0]
    if path.kind == "macro":
        found = crate.head(module, name, path.brace, frozenset()) if has_globs else set()
        found = {target for target in found if target.kind == "macro"}
        if not found and name not in module.names:
            target = crate.macro_in_scope(module, name)
            return {target} if target else set()
        return found
    if not has_globs or name in module.names:
        return set()
    found = crate.head(module, name, path.brace, frozenset())
    return {target for target in found if target.kind in ("item", "foreign")}


def _add(found, crate, module, target, line, text):
    source = module.node
    if target.crate:
        if target.crate != crate.package.name:
            key = (source, target.crate, text)
            found.setdefault(key, Import(source, None, line, text, text, "crate", target.crate))
        return
    node = target.module.node
    if node is source or target.module.test:
        return
    defined = target.module.path
    if target.kind != "module":
        defined = f"{defined}::{target.name}"
    key = (source, node, defined, target.kind)
    seen = found.get(key)
    if seen is None or line < seen.line:
        found[key] = Import(source, node, line, text, defined, target.kind)
