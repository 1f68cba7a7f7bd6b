"""Reads a Rust file into its items.

A file is read without knowledge of the module that it will be: `modules.py` places it in a tree.
Blocks are not parsed as expressions: paths are recognised by their tokens.
"""

import re

from . import conditions, use_tree
from .items import TYPES, Body, Declaration, Path, Submodule, TestFunction, Use
from .tokens import Tokens, is_word

_ITEMS = frozenset(
    "async const enum extern fn impl macro_rules mod static struct trait type union unsafe"
    " use".split()
)
_KEYWORDS = frozenset(
    "as async await break const continue crate dyn else enum extern false fn for if impl in let"
    " loop macro_rules match mod move mut pub ref return self Self static struct super trait true"
    " type unsafe use where while".split()
)
_OPENING = frozenset("([{")
_CLOSING = frozenset(")]}")
# An `impl` after one of these begins an item; elsewhere it is part of a type.
_BEFORE_ITEM = frozenset(["{", "}", ";", "]", "unsafe", "default"])
# The arguments of these macros are code of another crate.
_QUOTING = ("quote", "quote_spanned", "parse_quote", "parse_quote_spanned")
_PATH_IN_STRING = re.compile(r'"((?:\w+::)+\w+)(?:<.*>)?$')
_TEST_ATTRIBUTES = ("test", "chaos", "rstest", "test_case")


class Source:
    """A parsed file."""

    def __init__(self, text):
        self.tokens = Tokens(text)
        reader = _File(self.tokens)
        self.body = _Module(reader, 0, len(self.tokens)).read()
        self.tests = reader.tests
        self._test_ranges = reader.test_ranges

    def in_test(self, i):
        """Says whether a token belongs to an item for tests alone."""
        return any(start <= i < end for start, end in self._test_ranges)


class _File:
    """The state that modules in one file share: tokens, matching brackets, conditions in force."""

    def __init__(self, tokens):
        self.text = tokens.text
        self.line = tokens.line
        self.tests = []
        self.test_ranges = []
        # Conditions in force with the index at which each ends, the innermost last.
        self._active = []
        # For each opening bracket the index of the one that closes it.
        self.closers = {}
        pending = []
        for i, text in enumerate(self.text):
            if text in _OPENING:
                pending.append(i)
            elif text in _CLOSING and pending:
                self.closers[pending.pop()] = i
        for i in pending:
            self.closers[i] = len(self.text)

    def activate(self, start, end, condition):
        if conditions.needs_test(condition):
            self.test_ranges.append((start, end))
        at = len(self._active)
        while at and self._active[at - 1][0] < end:
            at -= 1
        self._active.insert(at, (end, condition))

    def expire(self, i):
        while self._active and i >= self._active[-1][0]:
            self._active.pop()

    def conditions(self):
        return tuple(condition for _, condition in self._active)

    def in_test(self):
        return any(conditions.needs_test(condition) for _, condition in self._active)

    def visibility(self, i):
        """Reads a `pub` at `i`: gives `("pub",)` or the restriction, and the index after it."""
        text = self.text
        if text[i + 1 : i + 2] == ["("] and text[i + 2] in ("crate", "self", "super", "in"):
            close = self.closers[i + 1]
            path = text[i + 2 : close]
            return tuple(part for part in path if part not in ("in", "::")), close + 1
        return ("pub",), i + 1

    def extent(self, i, end):
        """Finds the end of the item, statement, field or arm that begins at `i`."""
        text = self.text
        while i + 1 < end and text[i] == "#" and text[i + 1] == "[":
            i = self.closers[i + 1] + 1
        if i < end and text[i] == "pub":
            _, i = self.visibility(i)
        item = i < end and text[i] in _ITEMS
        angles = 0
        while i < end:
            token = text[i]
            if token in _OPENING:
                i = self.closers[i] + 1
                following = text[i] if i < end else ";"
                if token == "{" and following not in (".", "?", "else", ",", ";"):
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


class _Module:
    """Reads the tokens of one module; an inline module has a reader of its own."""

    def __init__(self, file, start, end):
        self.file = file
        self.text = file.text
        self.start = start
        self.end = end
        self.body = Body()
        # The kind of each open bracket, and the number of each open pair of braces.
        self.stack = []
        self.braces = [-1]
        # How many open brackets are no macro call at the module's own level.
        self.opaque = 0
        # The kind of the next opening brace, as the item before it decides.
        self.next_kind = None
        self.visibility = ()
        self.attributes = []
        self.seen = set()

    def read(self):
        i = self.start
        while i < self.end:
            token = self.text[i]
            self.file.expire(i)
            if token == "#" and (opening := self._attribute_opening(i)):
                i = self._attribute(opening, inner=opening == i + 2)
            elif is_word(token):
                i = self._word(i)
            else:
                if token in _OPENING:
                    self._open(i)
                elif token in _CLOSING:
                    self._close(token)
                elif token in (";", ","):
                    self._end_item()
                    if token == ";":
                        self.next_kind = None
                i += 1
        return self.body

    def _at(self, i):
        return self.text[i] if i < self.end else ";"

    def _end_item(self):
        self.visibility, self.attributes = (), []

    def _is_associated(self):
        return bool(self.stack) and self.stack[-1] == "associated"

    # Brackets.

    def _open(self, i):
        kind = "block"
        if self.text[i] != "{":
            kind = "list"
        elif self.next_kind:
            kind, self.next_kind = self.next_kind, None
        elif not self.opaque and i > self.start and self.text[i - 1] == "!":
            # The items in a macro call such as `thread_local!` belong to the module.
            kind = "macro"
        if kind != "list":
            self.body.parents.append(self.braces[-1])
            self.braces.append(len(self.body.parents) - 1)
            self._end_item()
        self.stack.append(kind)
        self.opaque += kind != "macro"

    def _close(self, token):
        if self.stack:
            self.opaque -= self.stack.pop() != "macro"
            if token == "}" and len(self.braces) > 1:
                self.braces.pop()
                self._end_item()

    # Attributes.

    def _attribute_opening(self, i):
        for opening in (i + 1, i + 2):
            if self._at(opening) == "[":
                return opening
            if self._at(opening) != "!":
                return None
        return None

    def _attribute(self, opening, inner):
        close = self.file.closers[opening]
        attribute = self.text[opening + 1 : close]
        self._attribute_paths(opening + 1, close)
        condition = None
        if attribute[:2] == ["cfg", "("]:
            condition = conditions.parse(self.text, opening + 3, close - 1)
        if not inner:
            self.attributes.append(attribute)
            if condition:
                self.file.activate(close + 1, self.file.extent(close + 1, self.end), condition)
        elif not self.stack:
            self.body.attributes.append(attribute)
            if condition:
                self.body.conditions.append(condition)
                self.file.activate(close + 1, self.end, condition)
        return close + 1

    def _attribute_paths(self, start, end):
        """Collects the paths in an attribute, also those in the strings of `serde`."""
        if self.file.in_test():
            return
        text = self.text
        i = start
        while i < end:
            line, segments = self.file.line[i], []
            if is_word(text[i]) and text[i - 1] != "::":
                segments, i = self._segments(i)
            else:
                if text[start] == "serde" and (match := _PATH_IN_STRING.match(text[i])):
                    segments = match[1].split("::")
                i += 1
            if len(segments) > 1:
                self.body.paths.append(Path(tuple(segments), line, self.braces[-1], "path"))

    # Items and paths.

    def _word(self, i):
        """Reads the item or path that begins with the word at `i`; gives the index after it."""
        token = self.text[i]
        previous = self.text[i - 1] if i > self.start else ";"
        following = self._at(i + 1)
        named = is_word(following) and following not in _KEYWORDS
        if token == "pub":
            self.visibility, after = self.file.visibility(i)
            return after
        if token == "mod" and named:
            return self._submodule(i)
        if token == "use" and following != "<":
            return self._use(i)
        if token == "extern" and following == "crate":
            return self._extern_crate(i)
        if token == "macro_rules" and following == "!":
            return self._declare("macro", i + 2, exported=["macro_export"] in self.attributes)
        if token == "impl" and previous in _BEFORE_ITEM:
            self.next_kind = "associated"
            return i + 1
        if token in TYPES and named and previous != "$":
            if token != "union" or self._at(i + 2) in ("{", "<", "where"):
                associated = token == "type" and self._is_associated()
                self.next_kind = {"trait": "associated", "enum": "enum"}.get(token)
                return self._declare(token, i + 1, associated)
        if token == "fn" and named:
            if any(_marks_test(attribute) for attribute in self.attributes):
                self.file.tests.append(TestFunction(following, self.file.line[i]))
            self.next_kind = None
            return self._declare("fn", i + 1, self._is_associated())
        if token in ("const", "static") and previous not in ("*", "<", ","):
            at = i + 2 if following == "mut" else i + 1
            if is_word(self._at(at)) and self._at(at) not in _KEYWORDS:
                return self._declare("const", at, self._is_associated())
        if following == "!" and token in _QUOTING and self._at(i + 2) in _OPENING:
            return self.file.closers[i + 2] + 1
        if previous in ("::", ".") or (previous == "$" and token != "crate"):
            return i + 1
        variant = bool(self.stack) and self.stack[-1] == "enum" and previous in ("{", ",", "]")
        return self._path(i, is_name=variant or previous == "fn")

    def _declare(self, kind, i, associated=False, exported=False):
        """Notes the declaration of the name at `i`; associated items are no names of the module."""
        name = self.text[i]
        if not associated:
            found = Declaration(
                kind,
                name,
                self.file.line[i],
                self.visibility,
                self.file.conditions(),
                self.file.in_test(),
                exported,
            )
            if kind in TYPES:
                self.body.types.append(found)
            if not self.opaque or exported:
                self.body.declarations.append(found)
            if self.opaque:
                self.body.brace_names.setdefault(self.braces[-1], set()).add(name)
        self._end_item()
        return i + 1

    def _submodule(self, i):
        path = None
        for attribute in self.attributes:
            if attribute[:2] == ["path", "="]:
                path = attribute[2][1:]
            elif attribute[:1] == ["cfg_attr"] and "path" in attribute:
                path = attribute[attribute.index("path") + 2][1:]
        module = Submodule(
            self.text[i + 1],
            self.file.line[i],
            self.visibility,
            self.file.conditions(),
            self.file.in_test(),
            path,
            self.attributes,
            None,
        )
        self.body.modules.append(module)
        self._end_item()
        if self._at(i + 2) != "{":
            return i + 3
        close = self.file.closers[i + 2]
        module.body = _Module(self.file, i + 3, close).read()
        return close + 1

    def _use(self, i):
        leaves, after = use_tree.read(self.text, self.file.line, i + 1, self.end)
        test = self.file.in_test()
        uses = self.body.uses
        if self.opaque:
            uses = self.body.brace_uses.setdefault(self.braces[-1], [])
        for path, name, is_glob, line in leaves:
            uses.append(Use(path, name, is_glob, self.visibility, line, test))
        self._end_item()
        return after + 1

    def _extern_crate(self, i):
        if self.text[i + 2 : i + 4] == ["self", "as"]:
            self.body.self_names.append(self.text[i + 4])
        while self._at(i) != ";":
            i += 1
        return i

    def _segments(self, i):
        segments = [self.text[i]]
        while self._at(i + 1) == "::" and is_word(self._at(i + 2)):
            segments.append(self.text[i + 2])
            i += 2
        return segments, i + 1

    def _path(self, first, is_name):
        """Notes the path at `first`; a single name only where a glob could have brought it."""
        segments, after = self._segments(first)
        if self.file.in_test() or segments[0] == "Self":
            return after
        following = self._at(after)
        if len(segments) > 1:
            kind = "path"
        elif segments[0] in _KEYWORDS or is_name:
            return after
        elif following == "!":
            kind = "macro"
        elif segments[0][0].isupper():
            kind = "name"
        elif following == "(" or (following == "::" and self._at(after + 1) == "<"):
            kind = "call"
        else:
            return after
        found = Path(tuple(segments), self.file.line[first], self.braces[-1], kind)
        key = (found.segments, found.brace, kind)
        if key not in self.seen:
            self.seen.add(key)
            self.body.paths.append(found)
        return after


def _marks_test(attribute):
    """Says whether an attribute makes a function a test: `test`, `tokio::test`, `chaos(...)`."""
    name = []
    for token in attribute:
        if token != "::" and not is_word(token):
            break
        name.append(token)
    return bool(name) and name[-1] in _TEST_ATTRIBUTES
