import sys
import unittest
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import mutation

CLAIMS = [
    {"line": 1, "operator": "*", "conditions": [{"number": 0, "text": "results in FLOAT"}]},
    {"line": 2, "operator": "Softmax", "conditions": [{"number": 1, "text": "rule last_axis"}]},
    {"line": 3, "operator": "Softmax", "conditions": []},
]


class MutationTests(unittest.TestCase):
    def test_conditions_belong_to_operators(self):
        numbers, texts = mutation.conditions_by_operator(CLAIMS)
        self.assertEqual(numbers, {"Cast": [0], "ConstantOfShape": [0], "Softmax": [1]})
        self.assertEqual(texts[1], "line 2 Softmax: rule last_axis")

    def test_wrong_answer_counts_more_than_an_error(self):
        for verdicts, kind in [
            ({"wrong": 1, "failed": 9, "right": 9}, "wrong"),
            ({"panicked": 1}, "wrong"),
            ({"refused": 1, "right": 9}, "error"),
            ({"right": 9, "disputed": 1}, "not needed"),
            ({}, "not needed"),
        ]:
            self.assertEqual(mutation.kind_of(Counter(verdicts), "rule a", "avx2"), kind)

    def test_condition_on_the_processor_is_tested_on_some_alone(self):
        for processor, kind in [("avx2", "not needed"), ("avx2 avx512_vnni", "not testable")]:
            self.assertEqual(mutation.kind_of(Counter(), "rule exact_bytes", processor), kind)


if __name__ == "__main__":
    unittest.main()
