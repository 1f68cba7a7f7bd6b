"""The command line: runs the checks and prints their findings."""

import argparse
import sys
from pathlib import Path

from . import circles, imports, layers, modules, names, packages, prose, unsafe_code

DESCRIPTION = """\
Checks the structure of the repository. Prints nothing and exits with 0 when every check holds;
prints one finding a line and exits with 1 otherwise.
"""
EPILOG = """\
checks:
  circles  No circle of imports among sibling modules, each with its descendants; an import between
           a module and its ancestor or descendant is free. No module imports an item that lib.rs or
           main.rs defines. Re-exports are followed to the file of the definition; #[cfg(test)] is
           left out.
  layers   In harness/, imports and dependencies point down, as the tables in
           .ci/structure/layers.py allow, and nothing names the server.
  names    No crate declares two types of one name; twins under exclusive #[cfg] are one.
  unsafe   `unsafe` stands in harness/src/os alone; the compiler forbids it elsewhere.
  length   No *.rs file is longer than 400 lines.
  prose    At most 5 % of the comment lines contain what, whatever, who or whoever; none is longer
           than 100 columns; no test's name is longer than 60 characters.

examples:
  .ci/check_structure --only circles,layers
  .ci/check_structure --explain probe runtime      every import between two modules of one level
  .ci/check_structure --prose src/probe.rs         the comment lines of a file to rewrite
"""


class Checks:
    """The repository, and the crates and imports that several checks need; each is read once."""

    def __init__(self, directory):
        self.repository = packages.Repository(directory)
        self.sources = modules.Sources(self.repository)
        self.packages = self.repository.packages()
        self.crates = modules.crates(self.packages, self.sources)
        self._imports = {}

    def imports(self, crate):
        if crate not in self._imports:
            self._imports[crate] = imports.imports(crate)
        return self._imports[crate]

    def circles(self):
        seen = set()
        for crate in self.crates:
            for file, line, missing in crate.missing:
                yield f"{file}:{line}: no file for this module: {missing}"
            for component, ring in circles.circles(self.imports(crate)):
                # A file that several crates include has one circle.
                files = frozenset(module.file for module in component)
                if files in seen:
                    continue
                seen.add(files)
                listed = ", ".join(module.path for module in component)
                lines = [f"{crate.file}: circle of {len(component)} modules: {listed}"]
                for edge in ring:
                    first = edge.imports[0]
                    arrow = f"{edge.source.path} -> {edge.target.path}"
                    lines.append(f"    {arrow}  {first.place()}: {first.describe()}")
                yield "\n".join(lines)
            if crate.kind in ("lib", "bin"):
                for each in circles.from_root(self.imports(crate), crate.root):
                    yield f"{each.place()}: imports up, from {crate.file}: {each.text}"

    def layers(self):
        for crate in self.crates:
            if crate.file.startswith("harness/"):
                yield from layers.imports_up(crate, self.imports(crate))
        yield from layers.dependencies(self.packages)
        yield from layers.knowledge_of_server(self.repository, self.crates)

    def names(self):
        seen = set()
        for crate in self.crates:
            for name, places in names.findings(crate):
                if (name, frozenset(places)) not in seen:
                    seen.add((name, frozenset(places)))
                    yield f"{places[0]}: `{name}` is declared {len(places)} times: {', '.join(places)}"

    def unsafe(self):
        return unsafe_code.findings(self.crates)

    def length(self):
        return prose.long_files(self.repository)

    def prose(self):
        lines = list(prose.comments(self.repository))
        yield from prose.long_comments(lines)
        found = prose.relatives(lines)
        if len(found) > prose.MOST_SHARE * len(lines):
            share = f"{len(found)} of {len(lines)} comment lines, {100 * len(found) / len(lines):.1f} %"
            for file, number, line in found:
                yield f"{file}:{number}: {line.strip()}"
            yield f"what, whatever, who, whoever: {share}, at most {100 * prose.MOST_SHARE:.0f} %"
        yield from prose.long_test_names(self.repository, self.sources)

    def prose_of(self, files):
        lines = list(prose.comments(self.repository, files))
        yield from prose.long_comments(lines)
        yield from (f"{file}:{number}: {line.strip()}" for file, number, line in prose.relatives(lines))
        yield from prose.long_test_names(self.repository, self.sources, files)

    def explain(self, one, other):
        """Gives every import from one module to another one, descendants included, and back."""
        for crate in self.crates:
            for first, second in ((one, other), (other, one)):
                for each in self.imports(crate):
                    if each.target and _is_below(each.source, first) and _is_below(each.target, second):
                        yield f"{first} -> {second}  {each.place()}: {each.describe()}"


CHECKS = ("circles", "layers", "names", "unsafe", "length", "prose")


def _is_below(module, path):
    path = path.removeprefix("crate::")
    return module.path == path or module.path.startswith(path + "::")


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="check_structure",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", metavar="CHECKS", help="run these checks, separated by commas")
    parser.add_argument("--summary", action="store_true", help="print the number of findings alone")
    parser.add_argument("--explain", nargs=2, metavar="MODULE", help="list the imports between two modules")
    parser.add_argument("--prose", nargs="+", metavar="FILE", help="list the findings of prose in these files")
    parser.add_argument("--root", default=Path(__file__).parents[2], help="the repository to check")
    options = parser.parse_args(arguments)
    chosen = options.only.split(",") if options.only else CHECKS
    unknown = [name for name in chosen if name not in CHECKS]
    if unknown:
        parser.error(f"no check is called {', '.join(unknown)}; the checks are {', '.join(CHECKS)}")

    checks = Checks(options.root)
    if options.explain:
        sys.stdout.writelines(line + "\n" for line in checks.explain(*options.explain))
        return 0
    if options.prose:
        found = list(checks.prose_of(options.prose))
        sys.stdout.writelines(line + "\n" for line in found)
        return 1 if found else 0
    failed = False
    for name in chosen:
        found = list(getattr(checks, name)())
        failed = failed or bool(found)
        if options.summary:
            print(f"{name}: {len(found)}")
        else:
            sys.stdout.writelines(f"{name}: {line}\n" for line in found)
    return 1 if failed else 0
