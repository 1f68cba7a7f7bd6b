import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from onnx import TensorProto, helper

import drawing
import judging
import oracle


def drawn(number, operator=None, graphs=0.25):
    choice = drawing.targets([operator] if operator else None)
    return drawing.draw_case("tests", number, choice, graphs)


class DrawingTests(unittest.TestCase):
    def test_same_number_gives_same_case(self):
        for number in range(12):
            first, second = drawn(number), drawn(number)
            self.assertEqual(first[1].SerializeToString(), second[1].SerializeToString())
            for name, array in first[0].feeds.items():
                np.testing.assert_array_equal(array, second[0].feeds[name])

    def test_each_recipe_has_a_schema(self):
        self.assertLessEqual(drawing.RECIPES.keys(), drawing.SCHEMAS.keys())

    def test_inputs_of_a_model_are_not_empty(self):
        for number in range(60):
            case, _, _ = drawn(number)
            self.assertTrue(all(array.size for array in case.feeds.values()), case.operator)

    def test_graphs_have_several_operators(self):
        case, _, _ = drawn(3, graphs=1)
        self.assertGreater(len(case.nodes), 1)


class JudgingTests(unittest.TestCase):
    def verdict(self, operator, change, graphs=0, seeds=range(40)):
        """The verdict on the answer of a case of FLOAT that `change` has changed."""
        for number in seeds:
            case, model, expected = drawn(number, operator, graphs)
            finite = all(
                np.isfinite(a).all()
                for a in [*expected, *case.feeds.values()]
                if a.dtype.kind == "f"
            )
            if expected[0].dtype == np.float32 and expected[0].size and finite:
                found = [change(array) for array in expected]
                return judging.judge(case, model, case.feeds, expected, found)[0]
        self.fail("no case")

    def test_equal_answer_is_right(self):
        self.assertEqual(self.verdict("Tanh", lambda array: array), "right")

    def test_answer_within_tolerance_is_right(self):
        self.assertEqual(self.verdict("Tanh", lambda array: array + np.float32(5e-5)), "right")

    def test_answer_beyond_tolerance_is_wrong(self):
        self.assertEqual(self.verdict("Tanh", lambda array: array + np.float32(0.01)), "wrong")

    def test_other_shape_is_wrong(self):
        self.assertEqual(
            self.verdict("Tanh", lambda array: array.reshape(1, *array.shape)), "wrong"
        )

    def test_nan_equals_nan(self):
        nan = np.array([np.nan, 1], np.float32)
        self.assertIsNone(judging.difference([nan], [nan.copy()]))
        self.assertIsNotNone(judging.difference([np.nan_to_num(nan)], [nan]))

    def test_integers_are_exact(self):
        self.assertIsNotNone(judging.difference([np.array([2**40])], [np.array([2**40 + 1])]))

    def test_operator_without_double_is_computed_in_float(self):
        nodes = [
            helper.make_node("Asinh", ["x"], ["a"]),
            helper.make_node("Add", ["a", "x"], ["y"]),
        ]
        x, y = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [3]) for name in ("x", "y")
        )
        graph = helper.make_graph(nodes, "g", [x], [y])
        opsets = [helper.make_opsetid("", 17)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        found = oracle.precise_answer(model, {"x": np.array([0, 1, 1e4], np.float32)})
        expected = np.array([0, 1.8813736, 10009.903], np.float32)
        self.assertIsNone(judging.difference(found, [expected]))

    def test_instance_normalization_keeps_its_digits_in_double(self):
        node = helper.make_node("InstanceNormalization", ["x", "s", "b"], ["y"], epsilon=0.0)
        x, y = (
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, 4]) for name in ("x", "y")
        )
        ones = [
            helper.make_tensor(name, TensorProto.FLOAT, [1], [value])
            for name, value in (("s", 1), ("b", 0))
        ]
        for version in (13, 18):
            graph = helper.make_graph([node], "g", [x], [y], ones)
            opsets = [helper.make_opsetid("", version)]
            model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
            parts = oracle.with_double_instance_normalization(model)
            far = np.array([[[9999, 10001, 9999, 10001]]], np.float32)
            (found,) = oracle.onnxruntime_answer(parts, {"x": far})
            np.testing.assert_allclose(found, [[[-1, 1, -1, 1]]], 1e-6)

    def test_double_model_has_no_float(self):
        _, model, _ = drawn(0, "Tanh")
        wide = oracle.widened(model, ())
        self.assertFalse([i for i in wide.graph.input if i.type.tensor_type.elem_type == 1])


if __name__ == "__main__":
    unittest.main()
