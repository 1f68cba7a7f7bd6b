"""Builds the module tree of each crate and looks names up in it, through re-exports."""

from dataclasses import dataclass

from .packages import normal
from .parser import Source


@dataclass(frozen=True)
class Target:
    """The definition that a path leads to.

    `module` is where the definition stands: for a module it is that module itself, for an item of a
    foreign crate the module that re-exports it, and `None` for a crate of ours, whose package
    `crate` names.
    """

    # "module", "item", "macro", "foreign" (re-exported) or "crate"
    kind: str
    module: "Module | None"
    name: str
    crate: str | None = None


class Module:
    """A module in a tree; an inline module shares the `node` of the module with its file."""

    def __init__(self, name, parent, file, body, test, conditions, visibility):
        self.name = name
        self.parent = parent
        self.file = file
        self.body = body
        self.test = test
        self.conditions = conditions
        self.visibility = visibility
        self.children = []
        self.declared = None
        own_file = parent is None or parent.file != file
        self.node = self if own_file else parent.node
        self.names = {}
        self.globs = []

    @property
    def path(self):
        """The path below the crate, `crate` for the root."""
        return "::".join(module.name for module in self.ancestry()[1:]) or "crate"

    def ancestry(self):
        """The modules from the root to this one."""
        chain = [self]
        while chain[-1].parent is not None:
            chain.append(chain[-1].parent)
        return chain[::-1]

    def is_within(self, other):
        module = self
        while module is not None:
            if module is other:
                return True
            module = module.parent
        return False

    def top_level(self):
        """The child of the root that this module is, or stands below; `None` for the root."""
        chain = self.ancestry()
        return chain[1] if len(chain) > 1 else None

    def declared_at(self):
        return f"{self.parent.file}:{self.declared.line}"

    def __repr__(self):
        return f"Module({self.path}, {self.file})"


class Crate:
    """The module tree of one root."""

    def __init__(self, package, root, sources, ours):
        self.package = package
        self.kind = root.kind
        self.file = root.path
        self.modules = []
        self.missing = []
        # The packages of this repository, by the names of their libraries in this crate.
        self._ours = {each.library(): each.name for each in ours}
        for name, dependency in package.dependencies(development=True).items():
            if dependency in self._ours.values():
                self._ours.setdefault(name, dependency)
        self._sources = sources
        self._exported = {}
        self._self_names = set()
        source = sources.get(root.path)
        self.root = self._module("crate", None, root.path, source.body, False, (), ("pub",))
        directory = root.path.rpartition("/")[0]
        self._load(self.root, directory, None)
        for module in self.modules:
            self._bind(module)

    def nodes(self):
        """The modules with a file of their own."""
        return [module for module in self.modules if module.node is module]

    def source(self, file):
        return self._sources.get(file)

    def _module(self, *arguments):
        module = Module(*arguments)
        self.modules.append(module)
        return module

    def _load(self, module, directory, stem):
        """Loads submodules; `stem` is the directory of a file that is not called `mod.rs`."""
        for item in module.body.modules:
            test = module.test or item.test
            conditions = (*module.conditions, *item.conditions)
            if item.body is not None:
                child = self._module(
                    item.name, module, module.file, item.body, test, conditions, item.visibility
                )
                below = item.path or "/".join(filter(None, (stem, item.name)))
                self._attach(module, child, item)
                self._load(child, normal(f"{directory}/{below}"), None)
                continue
            base = f"{directory}/{stem}" if stem else directory
            if item.path:
                choices = [(normal(f"{directory}/{item.path}"), None)]
            else:
                name = item.name.removeprefix("r#")
                choices = [
                    (normal(f"{base}/{name}.rs"), name),
                    (normal(f"{base}/{name}/mod.rs"), None),
                ]
            for file, inner_stem in choices:
                source = self._sources.get(file)
                if source is None:
                    continue
                conditions = (*conditions, *source.body.conditions)
                child = self._module(
                    item.name, module, file, source.body, test, conditions, item.visibility
                )
                self._attach(module, child, item)
                self._load(child, file.rpartition("/")[0], inner_stem)
                break
            else:
                self.missing.append((module.file, item.line, choices[0][0]))

    @staticmethod
    def _attach(module, child, item):
        child.declared = item
        module.children.append(child)

    def _bind(self, module):
        """Fills the module's table of names, without those for tests alone."""
        self._self_names.update(module.body.self_names)
        for child in module.children:
            if not child.test:
                module.names.setdefault(child.name, []).append((child.visibility, child))
        for item in module.body.declarations:
            if not item.test:
                entry = (("pub",) if item.kind == "macro" else item.visibility, item)
                module.names.setdefault(item.name, []).append(entry)
                if item.exported:
                    self._exported.setdefault(item.name, module)
        for use in module.body.uses:
            if use.test:
                continue
            if use.glob:
                module.globs.append(use)
            elif use.name:
                module.names.setdefault(use.name, []).append((use.visibility, use))

    def resolve(self, module, path, brace=-1, busy=frozenset()):
        """Gives the definitions that a path in a module leads to; none for a foreign crate's."""
        head, rest = path[0], path[1:]
        if head == "crate" or head in self._self_names:
            found = {Target("module", self.root, "crate")}
            if head != "crate" and not rest:
                return found
        elif head == "self":
            found = {Target("module", module, module.name)}
        elif head == "super":
            if module.parent is None:
                return set()
            found = {Target("module", module.parent, module.parent.name)}
            while rest and rest[0] == "super":
                parent = next(iter(found)).module.parent
                if parent is None:
                    return set()
                found = {Target("module", parent, parent.name)}
                rest = rest[1:]
        else:
            found = self.head(module, head, brace, busy)
        for name in rest:
            within = [target for target in found if target.kind == "module"]
            if not within:
                # Variants and associated items belong to the type.
                break
            found = set()
            for target in within:
                found |= self.lookup(target.module, name, module, busy)
        return found

    def head(self, module, name, brace, busy):
        """Looks up the first name of a path: in blocks, in the module, among the crates."""
        body = module.body
        while brace >= 0:
            if name in body.brace_names.get(brace, ()):
                return set()
            uses = body.brace_uses.get(brace, ())
            for use in uses:
                if use.name == name and id(use) not in busy:
                    return self._through(module, use, busy, name)
            for use in uses:
                if use.glob and id(use) not in busy:
                    found = self._through_glob(module, use, name, busy)
                    if found:
                        return found
            brace = body.parents[brace]
        found = self.lookup(module, name, module, busy)
        if not found and name in self._ours:
            return {Target("crate", None, name, self._ours[name])}
        return found

    def lookup(self, module, name, viewer, busy=frozenset()):
        """Gives the definitions that a name stands for in a module, as seen from `viewer`."""
        found = set()
        for visibility, entry in module.names.get(name, ()):
            if not self._visible(module, visibility, viewer):
                continue
            if isinstance(entry, Module):
                found.add(Target("module", entry, name))
            elif hasattr(entry, "kind"):
                found.add(Target("macro" if entry.kind == "macro" else "item", module, name))
            elif id(entry) not in busy:
                found |= self._through(module, entry, busy, name)
        if found:
            return found
        for use in module.globs:
            if id(use) not in busy and self._visible(module, use.visibility, viewer):
                found |= self._through_glob(module, use, name, busy)
        if not found and module is self.root and name in self._exported:
            found.add(Target("macro", self._exported[name], name))
        return found

    def _through(self, module, use, busy, name):
        found = self.resolve(module, use.path, busy=busy | {id(use)})
        # Nothing of ours: the name comes from this module.
        return found or {Target("foreign", module, name)}

    def _through_glob(self, module, use, name, busy):
        found = set()
        busy = busy | {id(use)}
        for target in self.resolve(module, use.path, busy=busy):
            if target.kind == "module":
                found |= self.lookup(target.module, name, module, busy)
        return found

    def _visible(self, module, visibility, viewer):
        if not visibility or visibility == ("self",):
            return viewer.is_within(module)
        if visibility == ("super",):
            return viewer.is_within(module.parent or module)
        return True

    def macro_in_scope(self, module, name):
        """Finds the `macro_rules!` that an ancestor declares, or a module under `#[macro_use]`."""
        while module is not None:
            places = [module]
            for child in module.children:
                if child.declared and ["macro_use"] in child.declared.attributes:
                    places.append(child)
            for place in places:
                for item in place.body.declarations:
                    if item.kind == "macro" and item.name == name and not item.test:
                        return Target("macro", place, name)
            module = module.parent
        return None


class Sources:
    """The parsed files of the repository; each is parsed once."""

    def __init__(self, repository):
        self._repository = repository
        self._parsed = {}

    def get(self, file):
        if file not in self._parsed:
            source = None
            if self._repository.exists(file) and (text := self._repository.text(file)) is not None:
                source = Source(text)
            self._parsed[file] = source
        return self._parsed[file]


def crates(packages, sources):
    """Gives the crates of all packages, the libraries before programs and tests."""
    return [
        Crate(package, root, sources, packages) for package in packages for root in package.roots
    ]
