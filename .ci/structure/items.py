"""The items of a Rust file: modules, imports, declarations, paths and test functions."""

from dataclasses import dataclass, field

TYPES = ("struct", "enum", "union", "trait", "type")


@dataclass
class Use:
    """One leaf of a `use` tree; `name` is the name that it binds, `None` for a glob."""

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
