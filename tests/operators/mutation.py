"""Whether each condition of the claims is needed: without it, a drawn case must fail."""

import collections
from pathlib import Path

import crew
import drawing
import runner as runners

WRONG = ("wrong", "panicked", "crashed", "hung")
ERRORS = ("failed", "refused")
# Operators whose results have any datatype: the condition for all operators is left out there.
UNIVERSAL = ("Cast", "ConstantOfShape")


def conditions_by_operator(claims):
    """The numbers of conditions by operator, and their texts."""
    numbers, texts = collections.defaultdict(list), {}
    for claim in claims:
        for condition in claim.get("conditions", []):
            operators = UNIVERSAL if claim["operator"] == "*" else [claim["operator"]]
            for operator in operators:
                numbers[operator].append(condition["number"])
            texts[condition["number"]] = (
                f"line {claim['line']} {claim['operator']}: {condition.get('text', condition)}"
            )
    return dict(numbers), texts


def not_testable(text, cpu):
    """The reason why no case can need a condition on this machine, or None."""
    if "rule exact_bytes" in text and ("avx512_vnni" in cpu or "avx2" not in cpu):
        return "the processor adds products of bytes exactly"
    return None


def processor():
    """The description of the processor, where the system has one."""
    file = Path("/proc/cpuinfo")
    return file.read_text() if file.exists() else ""


def kind_of(verdicts, text, cpu):
    """How the cases of a condition end without it."""
    if any(verdicts[verdict] for verdict in WRONG):
        return "wrong"
    if any(verdicts[verdict] for verdict in ERRORS):
        return "error"
    return "not testable" if not_testable(text, cpu) else "not needed"


def report(options, settings):
    """Prints a line for each condition; 1 if some condition is not needed by a drawn case."""
    numbers, texts = conditions_by_operator(runners.claims_of(options.runner))
    jobs = []
    for operator in numbers:
        if options.operator and operator not in options.operator:
            continue
        versions = drawing.SCHEMAS.get(("", operator), [])
        jobs += [
            (options.seed, number, operator, schema.since_version)
            for number in range(options.count)
            for schema in versions
        ]
    verdicts = collections.defaultdict(collections.Counter)
    examples = {}
    settings = {**settings, "conditions": numbers}
    for row in crew.run(jobs, settings, options.processes, together=lambda job: job[2]):
        if "condition" not in row:
            continue
        condition, verdict = row["condition"], row["verdict"]
        verdicts[condition][verdict] += 1
        if verdict in WRONG or (verdict in ERRORS and condition not in examples):
            examples[condition] = row
    asked = {job[2] for job in jobs}
    counts, cpu = collections.Counter(), processor()
    for number, text in sorted(texts.items()):
        if not any(number in of for operator, of in numbers.items() if operator in asked):
            continue
        kind = kind_of(verdicts[number], text, cpu)
        counts[kind] += 1
        row = examples.get(number)
        example = (
            f"{row['operator']} version {row['version']}, case {row['job'][1]} of seed "
            f"{row['job'][0]}: {row['why'][:120]}"
            if row
            else not_testable(text, cpu) or dict(verdicts[number]) or "no case without it"
        )
        print(f"{kind}: condition {number} ({text}): {example}")
    print(
        f"{sum(counts.values())} conditions: without them, {counts['wrong']} give a wrong answer, "
        f"{counts['error']} an error, {counts['not needed']} neither; "
        f"{counts['not testable']} cannot be tested on this processor"
    )
    return 1 if counts["not needed"] else 0
