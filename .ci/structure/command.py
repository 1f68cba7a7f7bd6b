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
  length   No *.rs file that git tracks is longer than 400 lines.
  prose    At most 5 % of the comment lines contain what, whatever, who or whoever; none is longer
           than 100 columns; no test's name is longer than 60 characters.

Files count that git tracks: add new ones first. Needs Python 3.11.

examples:
  .ci/check_structure --only circles,layers
  .ci/check_structure --edges                      every edge of each circle, the thinnest first
  .ci/check_structure --explain probe runtime      every import between two modules (or files)
  .ci/check_structure --prose src/probe.rs         the comment lines of a file to rewrite
"""


class Checks:
    """The repository, and the crates and imports that several checks need; each is read once."""

    def __init__(self, directory, files=None):
        self.repository = packages.Repository(directory, files)
        self.sources = modules.Sources(self.repository)
        self.packages = self.repository.packages()
        self.crates = modules.crates(self.packages, self.sources)
        self._imports = {}

    def imports(self, crate):
        if crate not in self._imports:
            self._imports[crate] = imports.imports(crate)
        return self._imports[crate]

    def circles(self):
        for crate in self.crates:
            for file, line, missing in crate.missing:
                yield f"{file}:{line}: no file for this module: {missing}"
        for crate, circle in self._circles():
            listed = ", ".join(module.path for module in circle.modules)
            lines = [f"{crate.file}: circle of {len(circle.modules)} modules: {listed}"]
            for edge in circle.shortest:
                first = edge.imports[0]
                arrow = f"{edge.source.path} -> {edge.target.path}"
                lines.append(f"    {arrow}  {first.place()}: {first.describe()}")
            yield "\n".join(lines)
        for crate in self.crates:
            if crate.kind in ("lib", "bin"):
                for each in circles.from_root(self.imports(crate), crate.root):
                    yield f"{each.place()}: imports up, from {crate.file}: {each.text}"

    def _circles(self):
        seen = set()
        for crate in self.crates:
            for circle in circles.circles(self.imports(crate)):
                # A file that several crates include has one circle.
                files = frozenset(module.file for module in circle.modules)
                if files not in seen:
                    seen.add(files)
                    yield crate, circle

    def edges(self):
        """Gives every edge within each circle, those with the fewest imports first."""
        for crate, circle in self._circles():
            yield f"{crate.file}: circle of {len(circle.modules)} modules"
            for edge in sorted(circle.edges, key=lambda edge: len(edge.imports)):
                first = edge.imports[0]
                yield (
                    f"{len(edge.imports):5}  {edge.source.path} -> {edge.target.path}"
                    f"  {first.place()}: {first.describe()}"
                )

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
                    listed = ", ".join(places)
                    yield f"{places[0]}: `{name}` is declared {len(places)} times: {listed}"

    def unsafe(self):
        return unsafe_code.findings(self.crates)

    def length(self):
        return prose.long_files(self.repository)

    def prose(self):
        lines = list(prose.comments(self.repository))
        found = prose.relatives(lines)
        if len(found) > prose.MOST_SHARE * len(lines):
            share = f"{100 * len(found) / len(lines):.1f} % of {len(lines)} comment lines"
            most = f"at most {100 * prose.MOST_SHARE:.0f} %"
            yield f"what, whatever, who, whoever: {share}, {most}; they are:"
            yield from (f"{file}:{number}: {line.strip()}" for file, number, line in found)
        yield from prose.long_comments(lines)
        yield from prose.long_test_names(self.repository, self.sources)

    def prose_of(self, files):
        lines = list(prose.comments(self.repository, files))
        yield from prose.long_comments(lines)
        for file, number, line in prose.relatives(lines):
            yield f"{file}:{number}: {line.strip()}"
        yield from prose.long_test_names(self.repository, self.sources, files)

    def explain(self, one, other):
        """Gives every import from one module to another one, descendants included, and back."""
        seen = set()
        for crate in self.crates:
            for first, second in ((one, other), (other, one)):
                for each in self.imports(crate):
                    if _is_below(each.source, first) and _is_below(each.target, second):
                        line = f"{first} -> {second}  {each.place()}: {each.describe()}"
                        if line not in seen:
                            seen.add(line)
                            yield line


CHECKS = ("circles", "layers", "names", "unsafe", "length", "prose")


def _is_below(module, place):
    """Says whether a module is the one at a path or in a file, or stands below it."""
    place = place.removeprefix("crate::")
    ancestry = module.ancestry() if module else ()
    return any(place in (each.path, each.file) for each in ancestry)


def main(arguments=None):
    parser = argparse.ArgumentParser(
        prog="check_structure",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", metavar="CHECKS", help="run these checks, separated by commas")
    parser.add_argument("--summary", action="store_true", help="print the number of findings alone")
    parser.add_argument("--edges", action="store_true", help="list the edges of each circle")
    parser.add_argument(
        "--explain", nargs=2, metavar="MODULE", help="list the imports between two modules"
    )
    parser.add_argument(
        "--prose", nargs="+", metavar="FILE", help="list the findings of prose in these files"
    )
    parser.add_argument(
        "--root", default=Path(__file__).parents[2], help="check the repository in this directory"
    )
    options = parser.parse_args(arguments)
    chosen = options.only.split(",") if options.only else CHECKS
    unknown = [name for name in chosen if name not in CHECKS]
    if unknown:
        parser.error(f"no check is called {', '.join(unknown)}; the checks are {', '.join(CHECKS)}")

    checks = Checks(options.root)
    for file in options.prose or ():
        if not checks.repository.exists(file):
            parser.error(f"no file {file} in {checks.repository.directory}")
    if options.explain or options.edges:
        lines = checks.explain(*options.explain) if options.explain else checks.edges()
        sys.stdout.writelines(line + "\n" for line in lines)
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
