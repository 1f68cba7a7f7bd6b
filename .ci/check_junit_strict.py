"""check_junit_strict.py FILE SCHEMA: the report is as the schema of Jenkins' xUnit plug-in wants it, and has failures to show for it."""

import sys

from lxml import etree

report = etree.parse(sys.argv[1])
schema = etree.XMLSchema(etree.parse(sys.argv[2]))
schema.assertValid(report)
failures = report.findall(".//testcase/failure")
assert failures and all(failure.get("message") and failure.text for failure in failures)
print(f"{len(report.findall('.//testcase'))} test cases, {len(failures)} failures, as the schema wants them")
