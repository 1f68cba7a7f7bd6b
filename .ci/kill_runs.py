#!/usr/bin/env python3
"""Kills runs at random moments while faults are in effect outside of the test's directory.

    .ci/kill_runs.py --count 200 target/debug/misbehaving

Each trial starts a test that injects and undoes faults on many files, again and again. At a random
moment it ends the runner, then begins another run. Each file must then have its bytes, mode, owner
and times from before the faults, and nothing may be left of the killed run. The trials of each way
to end a run are spread over the ways to isolate tests, and as root over root and an ordinary user.
"""

import argparse
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ORDINARY = 65534
LIMIT = 300  # seconds, for each wait
DAMAGED = ["delete", "displace", "displace_by_symlink", "truncate", "bit_flip", "garbage", "extend", "zeros", "replace", "torn", "twice", "permissions"]


def create_victims(folder, user):
    """Creates the files that the test damages."""
    folder.mkdir()
    for name in DAMAGED:
        (folder / name).write_bytes(name.encode() + b"".join(number.to_bytes(4, "little") for number in range(1, 3000)))
        (folder / name).chmod(0o640)
    (folder / "source").write_bytes(b"".join(number.to_bytes(4, "little") for number in range(7000, 9000)))
    (folder / "displace_empty").mkdir(mode=0o750)
    (folder / "delete_directory").mkdir()
    (folder / "delete_directory" / "file").write_text("in a directory")
    for path in [*folder.rglob("*"), folder]:
        os.chown(path, user, user)
        os.utime(path, ns=(1_600_000_000_123_456_789, 1_500_000_000_987_654_321))


def states(folder):
    """Gives the state of each file: kind and mode, owner, inode, modification time and bytes."""
    found = {}
    # Right after the end of the runner, its supervisor still moves files: `os.walk` and this loop
    # pass over those that are gone.
    for parent, directories, files in os.walk(folder):
        for path in [Path(parent, name) for name in directories + files]:
            try:
                now = path.lstat()
                content = path.read_bytes() if stat.S_ISREG(now.st_mode) else None
            except FileNotFoundError:
                continue
            found[str(path.relative_to(folder))] = (now.st_mode, now.st_uid, now.st_gid, now.st_ino, now.st_mtime_ns, content)
    return found


def wait_until(condition, what):
    deadline = time.monotonic() + LIMIT
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {LIMIT} s")
        time.sleep(0.002)


def has_damage(folder):
    """Whether the test has had all its faults in effect once."""
    for timeline in folder.glob("clarity-chaos-*/*/timeline.jsonl"):
        try:
            if b"all faults are in effect" in timeline.read_bytes():
                return True
        except OSError:
            pass
    return False


def children(pid):
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def send(number):
    def end(runner, _rng):
        runner.send_signal(number)

    return end


def interrupt_twice(runner, rng):
    runner.send_signal(signal.SIGINT)
    time.sleep(rng.uniform(0, 0.05))
    # A signal that arrives while the same signal is pending is lost, so it is sent until the end.
    while runner.poll() is None:
        runner.send_signal(signal.SIGINT)
        time.sleep(0.2)


def kill_with_supervisor(runner, rng):
    pids = [runner.pid, *children(runner.pid)]
    rng.shuffle(pids)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


WAYS = {
    "SIGKILL": send(signal.SIGKILL),
    "SIGQUIT": send(signal.SIGQUIT),
    "SIGABRT": send(signal.SIGABRT),
    "SIGTERM": send(signal.SIGTERM),
    "SIGINT twice": interrupt_twice,
    "SIGKILL of runner and supervisor": kill_with_supervisor,
}


def trial(program, folder, way, isolation, user, rng):
    """Ends one run. Gives the damaged files and what is left, as a list of sentences."""
    tmp, victims = folder / "tmp", folder / "victims"
    tmp.mkdir()
    create_victims(victims, user)
    for path in [folder, tmp]:
        os.chown(path, user, user)
    before = states(victims)
    environment = os.environ | {"TMPDIR": str(tmp), "HOME": str(folder), "CHAOS_HISTORY": str(folder / "history"), "MISBEHAVING_DIR": str(victims)}
    as_user = {"user": user, "group": user, "extra_groups": []} if user != os.geteuid() else {}
    common = {"cwd": folder, "env": environment, "stdin": subprocess.DEVNULL, **as_user}
    command = [program, "--sandbox", "none", "--exact"]
    test = "lost_files::damages_again_and_again"
    with open(folder / "output", "wb") as output:
        runner = subprocess.Popen([*command, test, "--isolation", isolation], stdout=output, stderr=output, **common)
    try:
        wait_until(lambda: has_damage(tmp) or runner.poll() is not None, "no damage")
        time.sleep(rng.uniform(0, 0.08))
        if runner.poll() is not None:
            return ["the run was over before it was ended: " + (folder / "output").read_text(errors="replace")], False
        WAYS[way](runner, rng)
        runner.wait(LIMIT)
    finally:
        if runner.poll() is None:
            runner.kill()
            runner.wait()
    was_damaged = states(victims) != before
    ran = subprocess.run([*command, "tags::model"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT, **common)
    errors = []
    if ran.returncode != 0:
        errors.append(f"the next run ended with {ran.returncode}")
    now = states(victims)
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            kinds = ["mode", "uid", "gid", "inode", "mtime", "content"]
            pairs = zip(kinds, before.get(name, [None] * 6), now.get(name, [None] * 6))
            errors.append(f"{name} is damaged: " + ", ".join(kind for kind, old, new in pairs if old != new))
    left = sorted(str(path.relative_to(tmp)) for path in tmp.rglob("*"))
    if left:
        errors.append(f"left: {left[:20]}")
    if errors:
        errors.append(f"the next run printed: {ran.stdout}")
    return errors, was_damaged


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="trials of each way to end a run (default: 200)")
    parser.add_argument("--seed", type=int, default=1, help="the seed of the random moments (default: 1)")
    parser.add_argument("--isolation", action="append", choices=["fork", "exec", "thread"], help="a way to isolate tests (default: all)")
    parser.add_argument("program", type=Path, help="the program `misbehaving` of the crate `clarity-chaos-conformance`")
    options = parser.parse_args()
    # A job in the background of a shell ignores these signals, and a runner would inherit that.
    for number in (signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    users = [os.geteuid()]
    if os.geteuid() == 0:
        users.append(ORDINARY)
    else:
        print("NOT CHECKED: only root can also run the tests as an ordinary user")
    isolations = options.isolation or ["fork", "exec", "thread"]
    rng = random.Random(options.seed)
    failures = 0
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        scratch.chmod(0o755)
        # An ordinary user may not be able to read the original.
        program = shutil.copy2(options.program, scratch / "program")
        for way in WAYS:
            # In a thread of the runner, no supervisor hears of a signal: the test goes on.
            polite = way in ("SIGQUIT", "SIGTERM")
            possible = [isolation for isolation in isolations if not (polite and isolation == "thread")]
            failed, damaged, trials = 0, 0, options.count if possible else 0
            for number in range(trials):
                isolation = possible[number % len(possible)]
                user = users[number // len(possible) % len(users)]
                folder = scratch / "trial"
                folder.mkdir()
                errors, was_damaged = trial(program, folder, way, isolation, user, rng)
                shutil.rmtree(folder)
                damaged += was_damaged
                if errors:
                    failed += 1
                    print(f"error: {way}, trial {number}, isolation {isolation}, user {user}: " + "\n    ".join(errors), flush=True)
            failures += failed
            print(f"{way}: {trials} runs, {damaged} left damage behind, {failed} not restored", flush=True)
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
