"""Finds the packages of the repository, and the root files of their crates."""

import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Package:
    name: str
    directory: str  # relative to the repository, "" for the repository itself
    manifest: dict
    roots: list

    def join(self, path):
        return f"{self.directory}/{path}" if self.directory else path

    def library(self):
        """The name of the library in code."""
        return self.manifest.get("lib", {}).get("name", self.name).replace("-", "_")

    def dependencies(self, development=False):
        """Gives the packages of the dependencies for every target, by their names in code."""
        tables = [self.manifest, *self.manifest.get("target", {}).values()]
        kinds = ["dependencies", "build-dependencies"] + ["dev-dependencies"] * development
        found = {}
        for table in tables:
            for kind in kinds:
                for key, value in table.get(kind, {}).items():
                    renamed = isinstance(value, dict) and value.get("package")
                    found[key.replace("-", "_")] = renamed or key
        return found


@dataclass
class Root:
    """The root file of a crate; `kind` is lib, bin, test, bench, example or build."""

    kind: str
    path: str


class Repository:
    """The files that git tracks below a directory, or the given ones."""

    def __init__(self, directory, files=None):
        self.directory = Path(directory)
        names = sorted(_tracked(directory) if files is None else files)
        # A file that was deleted and is still in the index has no contents to check.
        self.files = [name for name in names if self.exists(name)]
        self._texts = {}

    def text(self, name):
        """Gives the contents of a file, `None` when it is not UTF-8."""
        if name not in self._texts:
            try:
                self._texts[name] = (self.directory / name).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                self._texts[name] = None
        return self._texts[name]

    def exists(self, name):
        return (self.directory / name).is_file()

    def rust_files(self):
        return [name for name in self.files if name.endswith(".rs")]

    def packages(self):
        """Gives every package, in the order of the paths of their manifests."""
        found = []
        for name in self.files:
            if name == "Cargo.toml" or name.endswith("/Cargo.toml"):
                manifest = tomllib.loads(self.text(name))
                if "package" in manifest:
                    directory = name.removesuffix("Cargo.toml").rstrip("/")
                    found.append(self._package(directory, manifest))
        return found

    def _package(self, directory, manifest):
        package = Package(manifest["package"]["name"], directory, manifest, [])
        settings = manifest["package"]
        roots = {}

        def add(kind, path):
            path = normal(package.join(path))
            if self.exists(path):
                roots.setdefault(path, Root(kind, path))

        add("lib", manifest.get("lib", {}).get("path", "src/lib.rs"))
        for kind, auto, folder in (
            ("bin", "autobins", "src/bin"),
            ("test", "autotests", "tests"),
            ("bench", "autobenches", "benches"),
            ("example", "autoexamples", "examples"),
        ):
            for target in manifest.get(kind, []):
                name = target.get("name", "")
                guesses = [f"{folder}/{name}.rs", f"{folder}/{name}/main.rs"]
                for path in [target["path"]] if "path" in target else guesses:
                    add(kind, path)
            if settings.get(auto, True):
                if kind == "bin":
                    add(kind, "src/main.rs")
                for path in self._discovered(package.join(folder)):
                    add(kind, path[len(package.directory) + 1 :] if package.directory else path)
        build = settings.get("build", "build.rs")
        if isinstance(build, str):
            add("build", build)
        package.roots = list(roots.values())
        return package

    def _discovered(self, folder):
        """Gives the files that Cargo takes for targets: `*.rs` and `*/main.rs`."""
        prefix = folder + "/"
        for name in self.files:
            if name.startswith(prefix) and name.endswith(".rs"):
                rest = name[len(prefix) :].split("/")
                if len(rest) == 1 or (len(rest) == 2 and rest[1] == "main.rs"):
                    yield name


def _tracked(directory):
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=directory, check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    return set(filter(None, listed.split("\0")))


def normal(path):
    parts = []
    for part in path.split("/"):
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part not in (".", ""):
            parts.append(part)
    return "/".join(parts)


