#!/usr/bin/env python3
"""Runs the job of Kubernetes in the guide as a pod would: as its user, on a read-only root.

Usage: .ci/kubernetes_job.py BINARY

BINARY is a program of chaos tests that all pass. The root has the system's programs and libraries,
and BINARY as `chaos`. Only the job's volumes can be written, as small file systems in memory. Each
index runs once with the guide's arguments, and once without `--history`. Every run must end with
exit code 0. Needs root and Linux; otherwise says that nothing was checked.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PAGE = REPOSITORY / "harness/guide/shards.md"
SEEDS = ("--seeds 0..10000", "--seeds 0..8")
LIMIT = 600

# Arguments: the new root, the binary, the user, the group, the command, and the volumes' paths.
# The old root is unmounted, so nothing outside of the new root can be reached.
POD = r"""
root=$1 binary=$2 user=$3 group=$4 command=$5; shift 5
mount --make-rprivate /
mount -t tmpfs none "$root"
mkdir "$root"/{app,dev,etc,old,proc,sys,usr}
for name in bin lib lib32 lib64 sbin; do
    if [ -L "/$name" ]; then cp -P "/$name" "$root/$name"
    elif [ -d "/$name" ]; then mkdir "$root/$name"; mount --bind "/$name" "$root/$name"; fi
done
for name in etc usr; do mount --bind "/$name" "$root/$name"; done
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
cp "$binary" "$root/app/chaos"
for volume in "$@"; do
    mkdir -p "$root$volume"
    mount -t tmpfs -o mode=0777,size=64m none "$root$volume"
done
cd "$root"
pivot_root . old
umount -l /old
for name in etc usr bin lib lib32 lib64 sbin; do
    ! mountpoint -q "/$name" || mount -o remount,bind,ro "/$name"
done
mount -o remount,bind,ro /
! touch /written 2>/dev/null || { echo "the root can be written"; exit 99; }
cd /
exec setpriv --reuid="$user" --regid="$group" --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all \
    env -i PATH=/app:/usr/bin:/bin HOME=/ JOB_COMPLETION_INDEX="$JOB_COMPLETION_INDEX" sh -c "$command"
"""


def one(pattern, text, what):
    """Gives the group of the only match."""
    found = re.findall(pattern, text, re.MULTILINE)
    if len(found) != 1:
        sys.exit(f"error: {PAGE} has {len(found)} times {what}")
    return found[0]


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    if os.geteuid() != 0 or not all(map(shutil.which, ["unshare", "setpriv", "pivot_root"])):
        print("NOT CHECKED: only root can run the job of Kubernetes, by unshare, setpriv and pivot_root")
        return
    job = one(r"```yaml\n((?:.*\n)*?)```", PAGE.read_text(), "a job")
    arguments = one(r"^ +- (chaos .*)$", job, "arguments")
    user = one(r"runAsUser: (\d+)", job, "a user")
    group = one(r"runAsGroup: (\d+)", job, "a group")
    one("(readOnlyRootFilesystem: true)", job, "a read-only root")
    completions = int(one(r"completions: (\d+)", job, "completions"))
    volumes = re.findall(r"mountPath: (/[a-z]+)", job)
    if SEEDS[0] not in arguments:
        sys.exit(f"error: the arguments have no {SEEDS[0]}: {arguments}")
    arguments = arguments.replace(*SEEDS)
    without = re.sub(r" --history \S+", " --history /nowhere/history", arguments)
    if without == arguments:
        sys.exit(f"error: the arguments have no --history: {arguments}")
    for index in range(completions):
        for command in (arguments, without):
            with tempfile.TemporaryDirectory() as root:
                pod = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "bash", "-euc", POD, "pod"]
                pod += [root, str(binary), user, group, command, *volumes]
                environment = os.environ | {"JOB_COMPLETION_INDEX": str(index)}
                ran = subprocess.run(pod, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT)
            is_warned = "warning: " in ran.stdout and "--history" in ran.stdout
            if ran.returncode != 0 or is_warned != (command == without):
                sys.exit(f"error: exit code {ran.returncode} of {command}\n{ran.stdout}")
            result = re.search(r"^sweep result: .*$", ran.stdout, re.MULTILINE)
            print(f"index {index}: {result[0] if result else ran.stdout}{', with a warning' if is_warned else ''}")


if __name__ == "__main__":
    main()
