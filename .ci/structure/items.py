"""Reads one Rust file into its items: modules, imports, declarations, paths and test functions.

A file is read without knowledge of the module that it will be: `modules.py` places it in a tree.
"""

import re
from dataclasses import dataclass, field

from . import conditions
from .tokens import Tokens, is_word

TYPES = ("struct", "enum", "union", "trait", "type")
_ITEMS = frozenset(
    "fn mod use struct enum union trait type impl const static extern macro_rules unsafe async".split()
)
_KEYWORDS = frozenset(
    "as async await break const continue crate dyn else enum extern false fn for if impl in let loop "
    "match mod move mut pub ref return self Self static struct super trait true type unsafe use where "
    "while macro_rules".split()
)
_OPENING = {"(": ")", "[": "]", "{": "}"}
_CLOSING = frozenset(_OPENING.values())
# An `impl` after one of these begins an item; elsewhere it is part of a type.
_BEFORE_ITEM = frozenset(["{", "}", ";", "]", "unsafe", "default"])
# Their bodies are code that is generated elsewhere.
_QUOTING = ("quote", "quote_spanned", "parse_quote", "parse_quote_spanned")
_PATH_IN_STRING = re.compile(r'"((?:\w+::)+\w+)(?:<.*>)?$')


@dataclass
class Use:
    """One leaf of a `use` tree; `name` is the name that it binds, `None` for a glob or `_`."""

    path: tuple
    name: str | None
    glob: bool
    visibility: tuple
    line: int
    test: bool


@dataclass
class Path:
    """A path in code. A single name is kept when an import by glob could have brought it."""

    segments: tuple
    line: int
    brace: int
    kind: str  # "path", "call", "macro" or "name"


@dataclass
class Declaration:
    kind: str
    name: str
    line: int
    visibility: tuple
    conditions: tuple
    test: bool
    exported: bool = False


@dataclass
class Submodule:
    name: str
    line: int
    visibility: tuple
    conditions: tuple
    test: bool
    path: str | None
    attributes: list
    body: "Body | None"


@dataclass
class Body:
    """The items of a file, or of an inline module."""

    attributes: list = field(default_factory=list)
    conditions: list = field(default_factory=list)
    modules: list = field(default_factory=list)
    # The items at the module's own level.
    uses: list = field(default_factory=list)
    declarations: list = field(default_factory=list)
    # Types at every level, also within functions.
    types: list = field(default_factory=list)
    paths: list = field(default_factory=list)
    # Names that `extern crate self as ...` gives to the crate itself.
    self_names: list = field(default_factory=list)
    # For each pair of braces the one around it; -1 is the module.
    parents: list = field(default_factory=list)
    brace_uses: dict = field(default_factory=dict)
    brace_names: dict = field(default_factory=dict)


@dataclass
class TestFunction:
    name: str
    line: int


class Source:
    """A parsed file."""

    def __init__(self, text):
        self.tokens = Tokens(text)
        self.tests = []
        parser = _Parser(self.tokens, self.tests)
        self.body = parser.module(0, len(self.tokens))
        self._test_ranges = parser.test_ranges
        self.test_only = any(map(conditions.needs_test, self.body.conditions))

    def in_test(self, i):
        """Says whether a token belongs to an item for tests alone."""
        return any(start <= i < end for start, end in self._test_ranges)


class _Parser:
    def __init__(self, tokens, tests):
        self.text = tokens.text
        self.line = tokens.line
        self.tests = tests
        # Conditions in force, each with the index at which it ends.
        self.active = []
        self.test_ranges = []
        self.closers = self._closers()

    def _closers(self):
        """For each opening bracket the index of the one that closes it."""
        closers = {}
        open_ones = []
        for i, text in enumerate(self.text):
            if text in _OPENING:
                open_ones.append(i)
            elif text in _CLOSING and open_ones:
                closers[open_ones.pop()] = i
        for i in open_ones:
            closers[i] = len(self.text)
        return closers

    def module(self, start, end):
        """Reads the tokens of one module, inline modules within."""
        body = Body()
        # One entry for each open bracket: its kind, and the number of its braces.
        stack = []
        braces = [-1]
        opaque = 0
        next_kind = None
        visibility = ()
        attributes = []
        seen = set()
        text, line = self.text, self.line
        i = start
        while i < end:
            token = text[i]
            while self.active and i >= self.active[-1][0]:
                self.active.pop()
            if token == "#" and i + 1 < end and text[i + 1] in ("[", "!"):
                inner = text[i + 1] == "!"
                opening = i + 2 if inner else i + 1
                if opening < end and text[opening] == "[":
                    close = self.closers[opening]
                    attribute = text[opening + 1 : close]
                    self._attribute_paths(body, opening + 1, close, braces[-1])
                    if inner:
                        if not stack:
                            body.attributes.append(attribute)
                            if attribute[:2] == ["cfg", "("]:
                                condition = conditions.parse(text, opening + 3, close - 1)
                                body.conditions.append(condition)
                                self.active.append((end, condition))
                    else:
                        attributes.append(attribute)
                        if attribute[:2] == ["cfg", "("]:
                            condition = conditions.parse(text, opening + 3, close - 1)
                            self._activate(close + 1, self._extent(close + 1, end), condition)
                    i = close + 1
                    continue
            if token in _OPENING:
                kind = "block"
                if token != "{":
                    kind = "list"
                elif next_kind:
                    kind, next_kind = next_kind, None
                elif not opaque and text[i - 1] == "!" and i > start:
                    kind = "macro"
                if token == "{":
                    body.parents.append(braces[-1])
                    braces.append(len(body.parents) - 1)
                stack.append(kind)
                opaque += kind != "macro"
                if kind != "list":
                    visibility, attributes = (), []
                i += 1
                continue
            if token in _CLOSING:
                if stack:
                    kind = stack.pop()
                    opaque -= kind != "macro"
                    if token == "}" and len(braces) > 1:
                        braces.pop()
                        visibility, attributes = (), []
                i += 1
                continue
            if token in (";", ","):
                if token == ";":
                    next_kind = None
                visibility, attributes = (), []
                i += 1
                continue
            if not is_word(token):
                # The body of a `macro` pattern may be in round or square brackets as well.
                i += 1
                continue
            previous = text[i - 1] if i > start else ";"
            following = text[i + 1] if i + 1 < end else ";"
            if token == "pub":
                visibility, i = self._visibility(i)
                continue
            if token == "mod" and is_word(following) and previous != "$":
                i = self._submodule(body, i, end, visibility, attributes)
                visibility, attributes = (), []
                continue
            if token == "use" and following != "<":
                leaves, i = self._use(i + 1, end)
                for path, name, glob, at in leaves:
                    leaf = Use(path, name, glob, visibility, at, self._test())
                    if opaque:
                        body.brace_uses.setdefault(braces[-1], []).append(leaf)
                    else:
                        body.uses.append(leaf)
                visibility, attributes = (), []
                continue
            if token == "extern" and following == "crate":
                i = self._extern_crate(body, i + 2)
                continue
            if token == "macro_rules" and following == "!":
                exported = ["macro_export"] in attributes
                self._declare(body, "macro", i + 2, visibility, braces, opaque, exported)
                visibility, attributes = (), []
                i += 3
                continue
            if token == "impl" and previous in _BEFORE_ITEM:
                next_kind = "associated"
                i += 1
                continue
            if token in TYPES and is_word(following) and following not in _KEYWORDS and previous != "$":
                after = text[i + 2] if i + 2 < end else ";"
                associated = token == "type" and stack and stack[-1] == "associated"
                if token != "union" or after in ("{", "<", "where"):
                    if not associated:
                        self._declare(body, token, i + 1, visibility, braces, opaque)
                    next_kind = {"trait": "associated", "enum": "enum"}.get(token)
                    visibility, attributes = (), []
                    i += 2
                    continue
            if token == "fn" and is_word(following):
                if any(_marks_test(attribute) for attribute in attributes):
                    self.tests.append(TestFunction(following, line[i]))
                if not (stack and stack[-1] == "associated"):
                    self._declare(body, "fn", i + 1, visibility, braces, opaque)
                visibility, attributes = (), []
                next_kind = None
                i += 2
                continue
            if token in ("const", "static") and previous not in ("*", "<", ","):
                at = i + 2 if following == "mut" else i + 1
                if at < end and is_word(text[at]) and text[at] not in _KEYWORDS:
                    if not (stack and stack[-1] == "associated"):
                        self._declare(body, "const", at, visibility, braces, opaque)
                    visibility, attributes = (), []
                    i = at + 1
                    continue
            if following == "!" and token in _QUOTING and text[i + 2] in _OPENING:
                i = self.closers[i + 2] + 1
                continue
            if previous in ("::", ".") or (previous == "$" and token != "crate"):
                i += 1
                continue
            variant = stack and stack[-1] == "enum" and previous in ("{", ",", "]")
            i = self._path(body, i, end, braces[-1], seen, variant)
        return body

    def _path(self, body, i, end, brace, seen, variant):
        text = self.text
        first = i
        segments = [text[i]]
        i += 1
        while i + 1 < end and text[i] == "::" and is_word(text[i + 1]):
            segments.append(text[i + 1])
            i += 2
        if self._test() or segments[0] == "Self":
            return i
        following = text[i] if i < end else ";"
        if len(segments) > 1:
            kind = "macro" if following == "!" else "path"
        elif segments[0] in _KEYWORDS or variant or text[first - 1] == "fn":
            return i
        elif following == "!":
            kind = "macro"
        elif segments[0][0].isupper():
            kind = "name"
        elif following == "(" or (following == "::" and text[i + 1 : i + 2] == ["<"]):
            kind = "call"
        else:
            return i
        key = (tuple(segments), brace, kind)
        if key not in seen:
            seen.add(key)
            body.paths.append(Path(key[0], self.line[first], brace, kind))
        return i

    def _attribute_paths(self, body, start, end, brace):
        """Collects the paths in an attribute, also those in the strings of `serde`."""
        if self._test():
            return
        in_serde = self.text[start] == "serde"
        i = start
        while i < end:
            token = self.text[i]
            if is_word(token) and self.text[i + 1] == "::" and self.text[i - 1] != "::":
                segments = [token]
                while self.text[i + 1] == "::" and is_word(self.text[i + 2]):
                    segments.append(self.text[i + 2])
                    i += 2
                body.paths.append(Path(tuple(segments), self.line[i], brace, "path"))
            elif in_serde and (match := _PATH_IN_STRING.match(token)):
                segments = tuple(match[1].split("::"))
                body.paths.append(Path(segments, self.line[i], brace, "path"))
            i += 1

    def _test(self):
        return any(conditions.needs_test(condition) for _, condition in self.active)

    def _conditions(self):
        return tuple(condition for _, condition in self.active)

    def _activate(self, start, end, condition):
        if conditions.needs_test(condition):
            self.test_ranges.append((start, end))
        # The innermost ends first.
        at = len(self.active)
        while at and self.active[at - 1][0] < end:
            at -= 1
        self.active.insert(at, (end, condition))

    def _extent(self, start, end):
        """Finds the end of the item, statement, field or arm that an attribute stands before."""
        text = self.text
        i = start
        while i + 1 < end and text[i] == "#" and text[i + 1] == "[":
            i = self.closers[i + 1] + 1
        if i < end and text[i] == "pub":
            _, i = self._visibility(i)
        item = i < end and text[i] in _ITEMS
        angles = 0
        while i < end:
            token = text[i]
            if token in _OPENING:
                i = self.closers[i] + 1
                if token == "{":
                    following = text[i] if i < end else ";"
                    if following not in (".", "?", "else", ",", ";"):
                        return i
                continue
            if token in _CLOSING:
                return i
            if token == ";" or (token == "," and not item and angles <= 0):
                return i + 1
            if not item and token in ("<", ">"):
                angles += 1 if token == "<" else -1
            i += 1
        return end

    def _visibility(self, i):
        """Gives the restriction of `pub(...)`, `("pub",)` without one, and the index after it."""
        text = self.text
        if text[i + 1 : i + 2] == ["("] and text[i + 2] in ("crate", "self", "super", "in"):
            close = self.closers[i + 1]
            return tuple(part for part in text[i + 2 : close] if part not in ("in", "::")), close + 1
        return ("pub",), i + 1

    def _submodule(self, body, i, end, visibility, attributes):
        name, at = self.text[i + 1], self.line[i]
        path = None
        for attribute in attributes:
            if attribute[:2] == ["path", "="]:
                path = attribute[2][1:]
            elif attribute[0] == "cfg_attr" and "path" in attribute:
                path = attribute[attribute.index("path") + 2][1:]
        here = self._conditions()
        test = self._test()
        inline = i + 2 < end and self.text[i + 2] == "{"
        inner = None
        after = i + 3
        if inline:
            close = self.closers[i + 2]
            inner = self.module(i + 3, close)
            after = close + 1
        body.modules.append(Submodule(name, at, visibility, here, test, path, attributes, inner))
        return after

    def _declare(self, body, kind, i, visibility, braces, opaque, exported=False):
        name = self.text[i]
        found = Declaration(
            kind, name, self.line[i], visibility, self._conditions(), self._test(), exported
        )
        if kind in TYPES:
            body.types.append(found)
        if not opaque:
            body.declarations.append(found)
        else:
            body.brace_names.setdefault(braces[-1], set()).add(name)
            if exported:
                body.declarations.append(found)

    def _extern_crate(self, body, i):
        if self.text[i] == "self" and self.text[i + 1] == "as":
            body.self_names.append(self.text[i + 2])
        while i < len(self.text) and self.text[i] != ";":
            i += 1
        return i

    def _use(self, i, end):
        leaves = []
        i = self._use_tree(i, end, (), leaves)
        return leaves, i + 1

    def _use_tree(self, i, end, prefix, leaves):
        """Reads one tree of a `use` and gives the index of the token after it."""
        text = self.text
        path = prefix
        at = self.line[i] if i < end else 0
        while i < end:
            token = text[i]
            if token == "{":
                i += 1
                while i < end and text[i] != "}":
                    i = i + 1 if text[i] == "," else self._use_tree(i, end, path, leaves)
                return i + 1
            if token == "*":
                leaves.append((path, None, True, at))
                return i + 1
            if token == "as":
                name = text[i + 1]
                path = path[:-1] if len(path) > 1 and path[-1] == "self" else path
                leaves.append((path, None if name == "_" else name, False, at))
                return i + 2
            if token in (";", ",", "}"):
                if path != prefix:
                    if len(path) > 1 and path[-1] == "self":
                        path = path[:-1]
                    leaves.append((path, path[-1], False, at))
                return i
            if is_word(token):
                path = (*path, token)
            elif token == "$":
                pass
            i += 1
        return i


def _marks_test(attribute):
    """Says whether an attribute makes a function a test: `test`, `tokio::test`, `chaos(...)`."""
    name = []
    for token in attribute:
        if token != "::" and not is_word(token):
            break
        name.append(token)
    return bool(name) and name[-1] in ("test", "chaos", "rstest", "test_case")
