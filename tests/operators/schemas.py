"""The operators' schemas of all versions, and the datatypes that they allow."""

from collections import defaultdict

import numpy as np
import onnx

DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(int8)": np.int8,
    "tensor(int16)": np.int16,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(uint8)": np.uint8,
    "tensor(uint16)": np.uint16,
    "tensor(uint32)": np.uint32,
    "tensor(uint64)": np.uint64,
    "tensor(bool)": np.bool_,
    "tensor(string)": object,
}
# The newest opset that ONNX Runtime 1.32 accepts as released.
NEWEST = 26
NEWEST_OF = {"": NEWEST, "ai.onnx.ml": 5}


def by_operator():
    """The versions of each operator, oldest first: {(domain, name): [schema]}."""
    versions = defaultdict(list)
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain in NEWEST_OF and schema.since_version <= NEWEST_OF[schema.domain]:
            versions[schema.domain, schema.name].append(schema)
    for schemas in versions.values():
        schemas.sort(key=lambda schema: schema.since_version)
    return dict(versions)


def opsets(schemas, schema):
    """The opsets in which a schema is the operator's valid version: a closed range."""
    later = [s.since_version for s in schemas if s.since_version > schema.since_version]
    return schema.since_version, min(later, default=NEWEST_OF[schema.domain] + 1) - 1


def dtypes(schema, type_name):
    """The datatypes that a type of the schema allows, those of numpy alone."""
    for constraint in schema.type_constraints:
        if constraint.type_param_str == type_name:
            return [DTYPES[name] for name in constraint.allowed_type_strs if name in DTYPES]
    return [DTYPES[type_name]] if type_name in DTYPES else []


def element_type(dtype):
    """The number of ONNX's element type."""
    return onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
