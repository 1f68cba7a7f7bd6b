"""Operators of classical machine learning."""

import numpy as np

from . import recipe

ML = "ai.onnx.ml"


@recipe("Scaler", domain=ML)
def scaler(b):
    width = b.draw.between(1, 4)
    b.op(
        [b.tensor(b.type(), (b.draw.between(1, 3), width))],
        {"offset": [0.5] * width, "scale": b.draw.numpy.uniform(0, 2, width).tolist()},
    )


@recipe("Binarizer", domain=ML)
def binarizer(b):
    b.op([b.tensor(b.type(), b.draw.shape(1, 3))], {"threshold": b.maybe([0.0, 1.0])})


@recipe("Normalizer", domain=ML)
def normalizer(b):
    b.op([b.tensor(b.type(), b.draw.shape(2, 2))], {"norm": b.maybe(["MAX", "L1", "L2"])})


@recipe("LinearRegressor", domain=ML)
def linear_regressor(b):
    draw = b.draw
    width, targets = draw.between(1, 4), draw.between(1, 3)
    b.op(
        [b.tensor(np.float32, (draw.between(1, 3), width))],
        {
            "coefficients": draw.numpy.normal(0, 1, width * targets).tolist(),
            "targets": targets,
            "intercepts": draw.numpy.normal(0, 1, targets).tolist() if draw.chance(0.6) else None,
        },
    )


@recipe("LinearClassifier", domain=ML)
def linear_classifier(b):
    draw = b.draw
    width, classes = draw.between(1, 4), draw.between(2, 3)
    labels = (
        {"classlabels_ints": list(range(classes))}
        if draw.chance(0.5)
        else {"classlabels_strings": ["x", "y", "z"][:classes]}
    )
    b.op(
        [b.tensor(np.float32, (draw.between(1, 3), width))],
        {
            "coefficients": draw.numpy.normal(0, 1, width * classes).tolist(),
            "intercepts": draw.numpy.normal(0, 1, classes).tolist(),
            "post_transform": b.maybe(["NONE", "SOFTMAX", "LOGISTIC"]),
        }
        | labels,
        2,
    )


@recipe("TreeEnsembleRegressor", domain=ML)
def trees(b):
    draw = b.draw
    width = draw.between(1, 3)
    b.op(
        [b.tensor(np.float32, (draw.between(1, 4), width))],
        {
            "n_targets": 1,
            "nodes_treeids": [0, 0, 0],
            "nodes_nodeids": [0, 1, 2],
            "nodes_featureids": [draw.between(0, width - 1), 0, 0],
            "nodes_values": [draw.pick([0.0, 0.5, 1.0]), 0.0, 0.0],
            "nodes_modes": [draw.pick(["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GT"]), "LEAF", "LEAF"],
            "nodes_truenodeids": [1, 0, 0],
            "nodes_falsenodeids": [2, 0, 0],
            "target_treeids": [0, 0],
            "target_nodeids": [1, 2],
            "target_ids": [0, 0],
            "target_weights": [1.5, -2.5],
        },
    )


@recipe("ArrayFeatureExtractor", domain=ML)
def array_feature_extractor(b):
    shape = b.draw.shape(1, 3, 0)
    b.op(
        [
            b.tensor(b.type(), shape),
            b.add(b.draw.numpy.integers(0, shape[-1], 2).astype(np.int64), 0.5),
        ]
    )


@recipe("LabelEncoder", domain=ML)
def label_encoder(b):
    x = b.tensor(np.int64, b.draw.shape(1, 2), "ties")
    b.op(
        [x],
        {
            "keys_int64s": [-1, 0, 1],
            "values_floats": [0.5, 1.5, 2.5],
            "default_float": b.maybe([-9.0]),
        },
    )
