"""check_junit.py FILE: a reader of JUnit files finds what it looks for."""

import sys

from junitparser import JUnitXml

report = JUnitXml.fromfile(sys.argv[1])
cases = [case for suite in report for case in suite]
names = [(case.classname, case.name) for case in cases]
assert len(cases) >= 16 and report.tests == len(cases), (len(cases), report.tests)
assert len(set(names)) == len(names), "names are not unique"
for case in cases:
    assert case.time is not None and case.time >= 0, case.name
    assert case._elem.get("file", "").endswith(".rs"), case.name
    assert int(case._elem.get("line", "0")) > 0, case.name
properties = {p.name: p.value for suite in report for p in suite.properties()}
assert properties["seed"].isdigit(), properties
print(f"{len(cases)} test cases, {report.failures} failures, {report.skipped} skipped, seed {properties['seed']}")
