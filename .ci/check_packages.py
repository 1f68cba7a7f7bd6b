"""Checks the published packages: their metadata is complete, they compile from their own files, and
the matrix `msrv` of the workflow has their oldest Rust.

Run it after `cargo publish --workspace --dry-run --no-verify`, and it unpacks those archives.
Cargo's own verification builds every dependency again, and no tests. This one checks all targets,
with the dependencies that `cargo clippy` has already checked. A package whose tests need a package
that is not published has only its library and its binaries checked: nobody can run its tests.

The registry refuses more than five keywords, drops unknown categories without a message, and shows
the README of each package.
"""

import json
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

# The categories in use here, a part of the registry's. Look a new one up in its list, then add it.
CATEGORIES = {
    "command-line-utilities",
    "concurrency",
    "development-tools::debugging",
    "development-tools::testing",
    "encoding",
    "network-programming",
    "science",
    "web-programming::http-server",
}

command = ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"]
metadata = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
packages = [package for package in metadata["packages"] if package["publish"] is None]
unpublished = {package["name"] for package in metadata["packages"] if package["publish"] is not None}
workflow = Path(".github/workflows/ci.yml").read_text()
promised = dict(re.findall(r'\{ package: ([\w-]+), rust: "([\d.]+)" \}', workflow))
readmes = set()

for package in packages:
    name = package["name"]
    directory = Path(package["manifest_path"]).parent
    for field in ("description", "readme", "documentation", "license", "keywords", "categories", "rust_version"):
        assert package[field], f"{name} has no {field}"
    assert len(package["description"]) <= 100 and not package["description"].endswith("."), f"{name}: its description is a short phrase"
    assert len(package["keywords"]) <= 5, f"{name} has {len(package['keywords'])} keywords"
    for keyword in package["keywords"]:
        assert re.fullmatch(r"[a-z0-9][a-z0-9_+-]{0,19}", keyword), f"{name}: the registry refuses the keyword {keyword!r}"
    unknown = set(package["categories"]) - CATEGORIES
    assert not unknown, f"{name}: {unknown} are not among the categories in {__file__}"

    readme = directory / package["readme"]
    text = readme.read_text()
    assert readme not in readmes, f"{name} has the README of another package"
    assert text.startswith(f"# {name}\n"), f"{readme} does not begin with the package's name"
    outside = [link for link in re.findall(r"\]\(([^)]+)\)", text) if not re.match(r"https://|#", link)]
    assert not outside, f"{readme}: {outside} lead nowhere on the registry's page"
    readmes.add(readme)

    listed = subprocess.run(["cargo", "package", "--list", "--allow-dirty", "--locked", "-p", name], check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    files = set(listed.stdout.split())
    for file in (package["readme"], "LICENSE-MIT", "LICENSE-APACHE"):
        assert file in files, f"{name}: its package lacks {file}"

expected = {package["name"]: package["rust_version"] for package in packages}
assert promised == expected, f"the matrix `msrv` of ci.yml has {promised}, the packages {expected}"

unpacked = Path("target/package/unpacked")
shutil.rmtree(unpacked, ignore_errors=True)
unpacked.mkdir(parents=True)
for package in packages:
    directory = f"{package['name']}-{package['version']}"
    archive = max(Path("target/package").rglob(f"{directory}.crate"), key=lambda path: path.stat().st_mtime)
    with tarfile.open(archive) as tar:
        tar.extractall(unpacked, filter="data")
directories = {package["name"]: f"{package['name']}-{package['version']}" for package in packages}
manifest = Path("Cargo.toml").read_text()
# The same profiles as in the repository: with others, Cargo would check the dependencies again.
profiles = re.findall(r"^\[profile\..*?(?=^\[|\Z)", manifest, re.DOTALL | re.MULTILINE)
patches = [f'{name} = {{ path = "{directory}" }}' for name, directory in directories.items()]
text = ["[workspace]", 'resolver = "3"', f"members = {json.dumps(list(directories.values()))}", "", "[patch.crates-io]", *patches, "", *profiles]
(unpacked / "Cargo.toml").write_text("\n".join(text))
shutil.copy("Cargo.lock", unpacked)
check = ["cargo", "check", "--quiet", "--offline", "--all-features", "--target-dir", "target"]
check += ["--manifest-path", str(unpacked / "Cargo.toml")]
untested = [package["name"] for package in packages if any(needed["name"] in unpublished for needed in package["dependencies"])]
excluded = [argument for name in untested for argument in ("--exclude", name)]
subprocess.run([*check, "--workspace", "--lib", "--bins"], check=True)
subprocess.run([*check, "--workspace", *excluded, "--all-targets"], check=True)
print(f"{len(packages)} packages are complete, and compile from their own files: {', '.join(sorted(directories))}")
