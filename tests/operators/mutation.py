"""Whether each condition of the claims is needed: without it, a drawn case must go wrong."""

import collections

import crew
import drawing
import runner as runners

BAD = ("wrong", "panicked", "crashed", "hung")


def conditions_by_operator(claims):
    """The numbers of conditions by operator, and their texts."""
    numbers, texts = collections.defaultdict(list), {}
    for claim in claims:
        for condition in claim.get("conditions", []):
            numbers[claim["operator"]].append(condition["number"])
            texts[condition["number"]] = (
                f"line {claim['line']} {claim['operator']}: {condition.get('text', condition)}"
            )
    return dict(numbers), texts


def report(options, settings):
    """Prints the conditions without which no drawn case goes wrong."""
    numbers, texts = conditions_by_operator(runners.claims_of(options.runner))
    jobs = []
    for operator, of in numbers.items():
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
        condition = row["condition"]
        verdicts[condition][row["verdict"]] += 1
        if row["verdict"] in BAD and condition not in examples:
            examples[condition] = row
    needed, errors, unnoticed = [], [], []
    asked = {job[2] for job in jobs}
    for operator, of in numbers.items():
        for number in of if operator in asked else []:
            of_it = verdicts[number]
            group = (
                needed
                if number in examples
                else errors
                if of_it["failed"] + of_it["refused"]
                else unnoticed
            )
            group.append(number)
    for number in needed:
        row = examples[number]
        print(
            f"needed: condition {number} ({texts[number]}): {row['operator']} "
            f"version {row['version']}, "
            f"case {row['job'][1]} of seed {row['job'][0]}: {row['why'][:120]}"
        )
    for number in errors:
        print(f"error only: condition {number} ({texts[number]}): {dict(verdicts[number])}")
    for number in unnoticed:
        print(
            f"not needed by any case: condition {number} ({texts[number]}): "
            f"{dict(verdicts[number])}"
        )
    print(
        f"{len(needed)} conditions are needed, {len(errors)} prevent errors alone, "
        f"{len(unnoticed)} are not needed"
    )
    return 1 if unnoticed else 0
