"""Draws models from the operators' schemas, and compares a runtime's answers with the oracle's.

See README.md beside this file.
"""

import argparse
import collections
import json
import sys
import time

import coverage
import crew
import mutation
import runner as runners

WRONG = ("wrong", "panicked", "crashed", "hung")


def parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seed", default="42")
    parser.add_argument("--count", type=int, default=500, help="the number of cases")
    parser.add_argument("--case", type=int, help="only the case of this number")
    parser.add_argument(
        "--operator", action="append", help="only cases of this operator alone; can be repeated"
    )
    parser.add_argument("--version", type=int, help="only this version of the operator")
    parser.add_argument(
        "--per-version", type=int, help="this many cases of each version of each operator"
    )
    parser.add_argument("--per-claim", type=int, help="this many cases of each claim and version")
    parser.add_argument(
        "--mutate", action="store_true", help="leave out each condition of the claims"
    )
    parser.add_argument(
        "--check-oracle",
        action="store_true",
        help="compare ONNX Runtime with its optimisations, and with onnx.reference",
    )
    parser.add_argument(
        "--graphs", type=float, default=0.25, help="the share of graphs of several operators"
    )
    parser.add_argument("--runtime", default="rten", choices=["rten", "onnxruntime", "auto"])
    parser.add_argument(
        "--no-claims", action="store_true", help="run models outside of the claims, too"
    )
    parser.add_argument("--no-rewrite", action="store_true", help="do not rewrite nodes")
    parser.add_argument(
        "--runner", default=runners.default_program(), help="the program run_models"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--domain", action="append", help="the domains of operators")
    parser.add_argument("--failures", default="", help="the folder for failing models")
    parser.add_argument("--results", help="a file for one line of JSON for each case")
    parser.add_argument("--keep", action="append", help="further verdicts whose models are written")
    parser.add_argument("--small", action="store_true", help="draw small shapes only")
    return parser.parse_args()


def jobs_of(options):
    """The cases to run: (seed, number, operator, version)."""
    numbers = range(options.count) if options.case is None else [options.case]
    if not options.operator and not options.per_version:
        return [(options.seed, number, None, None) for number in numbers]
    import drawing

    found = []
    for key, versions in drawing.targets(options.operator, tuple(options.domain or ("",))):
        for schema in versions:
            version = schema.since_version
            if options.version in (None, version):
                of = numbers if not options.per_version else range(options.per_version)
                found += [(options.seed, number, key[1], version) for number in of]
    # The first cases of all operators before the second ones.
    return sorted(found, key=lambda job: job[1])


def line(row):
    """A wrong case in one line."""
    return (
        f"{row['verdict']}: {row['operator']} version {row['version']} opset {row['opset']}, "
        f"claims {row['claims']}, case {row['job'][1]} of seed {row['job'][0]}: {row['why']}"
    )


def main():
    options = parse()
    if not options.runner:
        sys.exit(
            "expected the program run_models: build it by "
            "`cargo build -p clarity-testbed --bin run_models`"
        )
    settings = {
        "runner": options.runner,
        "runtime": options.runtime,
        "claims": not options.no_claims,
        "rewrite": not options.no_rewrite,
        "graphs": options.graphs,
        "domains": options.domain or [""],
        "failures": options.failures,
        "kept": [*WRONG, *(options.keep or [])],
        "small": options.small,
        "mode": "oracle" if options.check_oracle else "compare",
    }
    if options.mutate:
        sys.exit(mutation.report(options, {**settings, "mode": "mutate"}))
    if options.per_claim:
        sys.exit(coverage.report(options, settings))
    started, verdicts, redrawn = time.monotonic(), collections.Counter(), 0
    wrong = []
    results = open(options.results, "w") if options.results else None
    for row in crew.run(jobs_of(options), settings, options.processes):
        if "redrawn" in row:
            redrawn += row["redrawn"]
            continue
        verdicts[row["verdict"]] += 1
        if results:
            results.write(json.dumps(row) + "\n")
            results.flush()
        if row["verdict"] in WRONG:
            wrong.append(row)
            print(
                line(row),
                flush=True,
            )
    seconds = time.monotonic() - started
    print(
        f"{sum(verdicts.values())} cases in {seconds:.0f} s: "
        + ", ".join(f"{count} {verdict}" for verdict, count in verdicts.most_common())
        + f"; {redrawn} draws that the oracle refused"
    )
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
