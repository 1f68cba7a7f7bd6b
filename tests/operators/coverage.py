"""Whether enough drawn cases satisfy each claim, in each version of the operator."""

import collections
import json

import crew
import drawing
import runner as runners

BAD = ("wrong", "panicked", "crashed", "hung")
# Draws for each wanted case, after which a claim's version is given up.
MOST = 12


def claimed_versions(claims):
    """The versions of operators that claims hold for: {(operator, version): [lines]}."""
    found = collections.defaultdict(list)
    for (domain, name), versions in drawing.SCHEMAS.items():
        for claim in claims:
            if domain or claim["operator"] != name:
                continue
            for schema in versions:
                low, high = drawing.schemas.opsets(versions, schema)
                if claim["since"] <= high and low <= (claim.get("until") or high):
                    found[name, schema.since_version].append(claim["line"])
    return dict(found)


def report(options, settings):
    """Draws until each claim has enough cases in each version; prints those that lack or fail."""
    wanted = options.per_claim
    claims = runners.claims_of(options.runner)
    versions = claimed_versions(claims)
    lines = collections.defaultdict(list)
    for claim in claims:
        lines[claim["operator"]].append(claim["line"])
    settings = {**settings, "mode": "cover", "lines": lines}
    if options.operator:
        versions = {key: lines for key, lines in versions.items() if key[0] in options.operator}
    counts, bad, drawn = collections.Counter(), [], collections.Counter()
    impossible = set()
    results = open(options.results, "w") if options.results else None
    block = max(10, wanted // 2)
    for turn in range(2 * MOST):
        lacking = [
            key
            for key, lines in versions.items()
            if key not in impossible and any(counts[key, line] < wanted for line in lines)
        ]
        if not lacking:
            break
        jobs = [
            (options.seed, number, *key)
            for key in lacking
            for number in range(turn * block, (turn + 1) * block)
        ]
        for row in crew.run(
            jobs, settings, options.processes, together=lambda job: (job[2], job[3])
        ):
            if "redrawn" in row:
                continue
            key = (row["operator"], row["version"])
            drawn[key, row["verdict"]] += 1
            if row["verdict"] == "undrawn":
                impossible.add(key)
            if row["verdict"] in ("right", "failed", "disputed", *BAD):
                for line in set(row["claims"]) & set(versions.get(key, [])):
                    counts[key, line] += 1
            if row["verdict"] in BAD:
                bad.append(row)
                print(
                    f"{row['verdict']}: claims {row['claims']}, {row['operator']} "
                    f"version {row['version']} opset {row['opset']}, "
                    f"case {row['job'][1]} of seed {row['job'][0]}: {row['why']}",
                    flush=True,
                )
            if results and row["verdict"] != "unclaimed":
                results.write(json.dumps(row) + "\n")
        print(f"turn {turn}: {len(lacking)} versions lacked cases", flush=True)
    for (operator, version), lines in sorted(versions.items()):
        for line in lines:
            print(
                f"claim {line}, {operator} version {version}: {counts[(operator, version), line]}"
            )
    short = [
        (key, line, counts[key, line])
        for key, lines in versions.items()
        for line in lines
        if counts[key, line] < wanted
    ]
    for (operator, version), line, count in sorted(short):
        reason = (
            "not computed by the oracle"
            if (operator, version) in impossible
            else ", ".join(
                f"{n} {verdict}"
                for (key, verdict), n in drawn.items()
                if key == (operator, version)
            )
        )
        print(
            f"too few cases: claim {line}, {operator} version {version}: "
            f"{count} of {wanted} ({reason})"
        )
    print(
        f"{len(versions)} versions of operators, {sum(counts.values())} cases, {len(bad)} wrong, "
        f"{len(short)} with too few cases"
    )
    return 1 if bad or short else 0
