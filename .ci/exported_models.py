"""Models that exporters make, and a network that is quantised as its users do it."""

import tempfile
from pathlib import Path

import numpy
import onnx
from onnx import TensorProto, helper, numpy_helper


def exported():
    """Makes each model: its name, its kind, its bytes and its inputs."""
    random = numpy.random.default_rng(7)
    rows = random.standard_normal((200, 6)).astype("float32")
    classes = (rows[:, 0] + rows[:, 1] * rows[:, 2] > 0).astype(int) + (rows[:, 3] > 0.8)
    numbers = rows[:, 0] * 2 + numpy.sin(rows[:, 1])
    inputs = {"rows": random.standard_normal((5, 6)).astype("float32")}
    for name, estimator in scikit_learn():
        fitted = estimator.fit(rows, numbers if "Regressor" in name else classes)
        kind = "trees" if "Forest" in name or "Boosting" in name else "rows"
        yield f"scikit-learn {name}", kind, sklearn_bytes(fitted), inputs
    for name, fitted, convert in boosted(rows, classes, numbers):
        yield name, "trees", converted(fitted, convert), inputs
    words = {"words": numpy.array([["red", "sea"], ["blue", "car"], ["green", "sea"]], object)}
    yield "scikit-learn words to classes", "strings", words_to_classes(), words
    image = {"image": random.standard_normal((2, 3, 20, 20)).astype("float32")}
    network = padded_network(random)
    yield "padded network", "images", network, image
    yield "padded network, dynamically quantised", "quantised", quantised(network), image


def scikit_learn():
    from sklearn.cluster import KMeans
    from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    return [
        ("LogisticRegression", make_pipeline(StandardScaler(), LogisticRegression())),
        ("RandomForestClassifier", RandomForestClassifier(20, random_state=0)),
        ("GradientBoostingClassifier", GradientBoostingClassifier(n_estimators=20, random_state=0)),
        ("GradientBoostingRegressor", GradientBoostingRegressor(n_estimators=20, random_state=0)),
        ("MLPRegressor", MLPRegressor(hidden_layer_sizes=[16], max_iter=200, random_state=0)),
        ("SVC", SVC(probability=True, random_state=0)),
        ("KNeighborsClassifier", KNeighborsClassifier()),
        ("KMeans", KMeans(3, n_init=1, random_state=0)),
    ]


def sklearn_bytes(fitted):
    from skl2onnx import to_onnx
    from skl2onnx.common import data_types

    options = {id(fitted): {"zipmap": False}} if hasattr(fitted, "predict_proba") else None
    model = to_onnx(fitted, initial_types=floats(data_types), options=options)
    return model.SerializeToString()


def floats(types):
    """The declaration of an input of six numbers in each row."""
    return [("rows", types.FloatTensorType([None, 6]))]


def boosted(rows, classes, numbers):
    import lightgbm
    import onnxmltools
    import xgboost

    light = {"n_estimators": 15, "verbose": -1, "n_jobs": 1, "random_state": 0}
    extreme = {"n_estimators": 15, "n_jobs": 1, "random_state": 0}
    return [
        ("LightGBM classifier", lightgbm.LGBMClassifier(**light).fit(rows, classes), onnxmltools.convert_lightgbm),
        ("LightGBM regressor", lightgbm.LGBMRegressor(**light).fit(rows, numbers), onnxmltools.convert_lightgbm),
        ("XGBoost classifier", xgboost.XGBClassifier(**extreme).fit(rows, classes), onnxmltools.convert_xgboost),
        ("XGBoost regressor", xgboost.XGBRegressor(**extreme).fit(rows, numbers), onnxmltools.convert_xgboost),
    ]


def converted(fitted, convert):
    from onnxmltools.convert.common import data_types

    options = {"zipmap": False} if "lightgbm" in convert.__name__ else {}
    return convert(fitted, initial_types=floats(data_types), target_opset=15, **options).SerializeToString()


def words_to_classes():
    """A pipeline that encodes words, some of them unknown."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import StringTensorType
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    words = numpy.array([["red", "car"], ["blue", "car"], ["blue", "sea"], ["grey", "sea"]], object)
    classes = numpy.array(["street", "street", "coast", "coast"])
    fitted = make_pipeline(OneHotEncoder(handle_unknown="ignore"), LogisticRegression()).fit(words, classes)
    options = {id(fitted): {"zipmap": False}}
    return to_onnx(fitted, initial_types=[("words", StringTensorType([None, 2]))], options=options).SerializeToString()


def padded_network(random):
    """Two convolutions with padding, and a linear layer."""
    weight = lambda name, *shape: numpy_helper.from_array(random.standard_normal(shape).astype("float32") * 0.3, name)
    weights = [weight("first", 8, 3, 3, 3), weight("second", 8, 8, 3, 3), weight("linear", 8, 5)]
    pads = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        helper.make_node("Conv", ["image", "first"], ["a"], **pads),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "second"], ["c"], strides=[2, 2], **pads),
        helper.make_node("Relu", ["c"], ["d"]),
        helper.make_node("GlobalAveragePool", ["d"], ["e"]),
        helper.make_node("Flatten", ["e"], ["f"]),
        helper.make_node("MatMul", ["f", "linear"], ["scores"]),
    ]
    value = lambda name, *shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "network", [value("image", None, 3, 20, 20)], [value("scores", None, 5)], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    return model.SerializeToString()


def quantised(model, weight_type="QUInt8"):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "before.onnx"), Path(folder, "after.onnx")
        before.write_bytes(model)
        quantize_dynamic(before, after, weight_type=QuantType[weight_type], op_types_to_quantize=["Conv", "MatMul"])
        return after.read_bytes()
