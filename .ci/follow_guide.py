"""follow_guide.py GUIDE FOLDER: does what the guide says, word for word, in an empty folder, and sees what it says.

Of a guide in Markdown, `console` blocks are run, `toml` blocks appended to and `rust` blocks written into the file that their first line names, and each line
of a `text` block must be in what the last command said. The harness is taken from this repository, and not from where it was published.
"""

import os
import re
import shutil
import subprocess
import sys

guide, folder = sys.argv[1:]
root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
environment = {**os.environ, "CARGO_TARGET_DIR": os.path.join(root, "target", "guide")}
with open(guide, encoding="utf-8") as file:
    blocks = re.findall(r"^```(\w+)[^\n]*\n(.*?)^```$", file.read(), re.DOTALL | re.MULTILINE)
assert not os.listdir(folder), f"{folder} is not empty"

here, said, failed = folder, "", False
for number, (kind, text) in enumerate(blocks):
    if kind == "console":
        said = ""
        for command in text.splitlines():
            if command.startswith("cd "):
                here = os.path.join(here, command.removeprefix("cd "))
                # The versions of this repository, which are here already.
                shutil.copy(os.path.join(root, "Cargo.lock"), here)
                continue
            print(f"$ {command}")
            ran = subprocess.run(command, shell=True, cwd=here, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            said += ran.stdout
            expected = blocks[number + 1] if number + 1 < len(blocks) else ("", "")
            is_to_fail = expected[0] == "text" and "test result: ok" not in expected[1]
            assert (ran.returncode != 0) == is_to_fail, said
    elif kind == "text":
        for line in text.splitlines():
            assert line in said, f"{line!r} is not in:\n{said}"
            print(f"    {line}")
    else:
        first, rest = text.split("\n", 1)
        path = os.path.join(here, first.removeprefix("# ").removeprefix("// "))
        if kind == "toml":
            harness = os.path.join(root, "harness")
            published = 'clarity-chaos = "0.1"'
            assert published in rest
            with open(path, "a", encoding="utf-8") as file:
                file.write(rest.replace(published, f'clarity-chaos = {{ path = "{harness}" }}'))
        else:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "w", encoding="utf-8") as file:
                file.write(rest)
print("the guide holds, word for word")
