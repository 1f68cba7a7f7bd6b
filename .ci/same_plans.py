"""same_plans.py A B C: the histories A and B hold the same plans of faults, C others."""

import json
import sys
from pathlib import Path


def plans(history):
    records = [json.loads(path.read_text()) for path in sorted(Path(history, "records").glob("*.json"))]
    assert records, f"{history} holds no records"
    return {record["name"]: record["faults"] for record in records}


first, second, other = map(plans, sys.argv[1:])
assert first == second, {name for name in first if first[name] != second.get(name)}
assert first.keys() == other.keys()
drawn = [name for name in first if first[name] != other[name]]
assert drawn, "another seed drew the same"
faults = sum(map(len, first.values()))
print(f"{len(first)} tests, {faults} faults: equal under the same seed; {len(drawn)} tests drew others under another")
