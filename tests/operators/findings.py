"""Writes, for each operator with wrong answers, the conditions they share, and a small case."""

import argparse
import collections
import json
import re
import subprocess
import sys

import minimise
import runner as runners
from describe import case_text, values

BAD = ("wrong", "panicked", "crashed", "hung")


def simplified(mark):
    """A mark without its numbers' detail, to group cases."""
    name, _, value = mark.partition("=")
    if (
        value.startswith("[")
        or (value.startswith("-") and value[1:2].isdigit())
        or re.fullmatch(r"\d{3,}.*", value)
    ):
        kinds = {"axis": "negative", "axes": "list"}
        return f"{name}=<0" if value.startswith("-") else f"{name}={kinds.get(name, 'list')}"
    return mark


def features(row):
    found = {simplified(mark) for mark in row["marks"]}
    names = {mark.partition("=")[0] for mark in row["marks"]}
    return found | {f"has {name}" for name in names}


def clusters(bad, right):
    """Greedy: the conditions that fail most and explain most. [(conditions, rows)]."""
    left, found = list(bad), []
    while left and len(found) < 6:
        totals = collections.Counter()
        fails = collections.Counter()
        for row in bad + right:
            totals.update(features(row))
        for row in left:
            fails.update(features(row))
        everywhere = len(bad) + len(right)
        base = len(left) / everywhere

        def score(feature):
            rate = fails[feature] / totals[feature]
            return rate * rate * fails[feature] if rate > base * 1.3 else 0

        best = max(fails, key=score)
        if score(best) == 0:
            found.append((("any",), left))
            break
        having = [row for row in left if best in features(row)]
        found.append(((f"{best}: {fails[best]} of {totals[best]}",), having))
        left = [row for row in left if best not in features(row)]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", nargs="+")
    parser.add_argument("--runner", default=runners.default_program())
    parser.add_argument("--claims", action="store_true")
    parser.add_argument("--draws", type=int, default=150)
    parser.add_argument("--operator", action="append")
    options = parser.parse_args()
    rows = [json.loads(line) for path in options.results for line in open(path)]
    rows = [row for row in rows if row.get("marks") and "graph" not in row["marks"]]
    subject = runners.Runner(options.runner, claims=options.claims)
    by = collections.defaultdict(list)
    for row in rows:
        by[row["operator"]].append(row)
    if not options.operator:
        # One process for each: a case can end the process that computes the expected answer.
        for operator in sorted(o for o, of in by.items() if any(r["verdict"] in BAD for r in of)):
            subprocess.run([sys.executable, "-B", *sys.argv, "--operator", operator], timeout=300)
        return
    for operator, all_of in sorted(by.items()):
        if options.operator and operator not in options.operator:
            continue
        bad = [row for row in all_of if row["verdict"] in BAD]
        right = [row for row in all_of if row["verdict"] == "right"]
        if not bad:
            continue
        versions = sorted({row["version"] for row in bad})
        print(
            f"\n## {operator}: {len(bad)} wrong, {len(right)} right; versions {versions} "
            f"of {sorted({r['version'] for r in all_of})}"
        )
        for conditions, having in clusters(bad, right):
            of = collections.Counter(row["verdict"] for row in having)
            wanted_marks = conditions[0].rpartition(": ")[0]
            version = max(row["version"] for row in having)

            def wanted(case, mark=wanted_marks):
                return mark == "" or mark in features({"marks": sorted(case.marks)})

            smallest = minimise.smallest(operator, version, wanted, subject, draws=options.draws)
            print(
                f"- {dict(of)} with `{conditions[0]}`, "
                f"versions {sorted({r['version'] for r in having})}; e.g. {having[0]['why'][:160]}"
            )
            if smallest is None:
                continue
            smallest = minimise.reduced(smallest, subject)
            answer = minimise.fails(smallest, subject)
            if answer:
                results, why, got = answer
                found = [values(a) for a in got.outputs.values()] if got.outputs else got.why[:150]
                print(
                    f"  - version {version}, {case_text(smallest)} "
                    f"| expected {[values(a) for a in results]} | found {found} | {why[:60]}"
                )
            sys.stdout.flush()
    subject.stop()


if __name__ == "__main__":
    main()
