"""check_junit.py FILE…: readers of JUnit files find what they look for.

The rules are those of the readers that projects on GitHub have: dorny/test-reporter groups by `classname`, wants a `time` on every element, and shows type, message and body of a
failure; mikepenz/action-junit-report annotates `file` and `line` with the message; EnricoMi/publish-unit-test-result-action believes the counts of the suites.
"""

import sys

from junitparser import JUnitXml


def check(path):
    report = JUnitXml.fromfile(path)
    suites = list(report)
    cases = [case for suite in suites for case in suite]
    names = [(case.classname, case.name) for case in cases]
    assert len(set(names)) == len(names), "names are not unique"
    elements = [report._elem, *(suite._elem for suite in suites), *(case._elem for case in cases)]
    assert all(float(element.get("time")) >= 0 for element in elements), "every element has a time"

    failed = [case._elem.find(kind) for case in cases for kind in ("failure", "error") if case._elem.find(kind) is not None]
    skipped = [case for case in cases if case._elem.find("skipped") is not None]
    for counted in (report, *suites):
        found = (counted.tests, counted.failures + counted.errors)
        assert found == (len(cases), len(failed)), f"counts are {found}"
    assert suites[0].skipped == len(skipped)

    for case in cases:
        assert case.classname and case.name, case
        assert case._elem.get("file", "").endswith(".rs"), case.name
        assert int(case._elem.get("line", "0")) > 0, case.name
    for failure in failed:
        assert failure.get("type") and failure.get("message"), failure.attrib
        assert "again:" in failure.text and "--seed" in failure.text, failure.text
    properties = {p.name: p.value for suite in report for p in suite.properties()}
    assert properties["seed"].isdigit(), properties
    groups = {case.classname for case in cases}
    print(f"{path}: {len(cases)} test cases in {len(groups)} groups, {len(failed)} failures, {len(skipped)} skipped, seed {properties['seed']}")
    return len(cases), len(failed)


found = [check(path) for path in sys.argv[1:]]
assert sum(cases for cases, _ in found) >= 16 and sum(failed for _, failed in found) > 0, "nothing to look at"
