use super::*;

/// A field of a message in a message.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    assert!(length < 128, "one byte is enough for the length");
    [&[number << 3 | 2, length], bytes].concat()
}

/// The declaration of the output `y` of a model, whose type is this message.
fn declared(type_proto: &[u8]) -> Result<TensorSpec, String> {
    let value = [field(1, b"y"), field(2, type_proto)].concat();
    let graph = field(12, &value);
    let declared = DeclaredTensors::read(&field(7, &graph)).unwrap();
    declared.spec("y").map_err(|error| error.to_string())
}

fn tensor(elem_type: u8) -> Vec<u8> {
    field(1, &[1 << 3, elem_type])
}

#[test]
fn every_datatype_of_onnx_is_served_or_refused_by_name() {
    let served = [
        (1, DataType::Fp32),
        (2, DataType::Uint8),
        (3, DataType::Int8),
        (4, DataType::Uint16),
        (5, DataType::Int16),
        (6, DataType::Int32),
        (7, DataType::Int64),
        (8, DataType::Bytes),
        (9, DataType::Bool),
        (10, DataType::Fp16),
        (11, DataType::Fp64),
        (12, DataType::Uint32),
        (13, DataType::Uint64),
    ];
    for (number, datatype) in served {
        assert_eq!(declared(&tensor(number)).unwrap().datatype, datatype);
    }
    for (number, name) in [
        (0, "none"),
        (14, "COMPLEX64"),
        (15, "COMPLEX128"),
        (16, "BFLOAT16"),
        (17, "FLOAT8E4M3FN"),
        (18, "FLOAT8E4M3FNUZ"),
        (19, "FLOAT8E5M2"),
        (20, "FLOAT8E5M2FNUZ"),
        (21, "UINT4"),
        (22, "INT4"),
        (23, "FLOAT4E2M1"),
        (24, "FLOAT8E8M0"),
        (25, "UINT2"),
        (26, "INT2"),
        (27, "FLOAT6E2M3"),
        (28, "FLOAT6E3M2"),
        (99, "the unknown number 99"),
    ] {
        let why = declared(&tensor(number)).unwrap_err();
        let expected = "y: expected a datatype of the protocol (BOOL, UINT8, ";
        assert!(why.starts_with(expected), "{why}");
        assert!(why.ends_with(&format!("found {name}")), "{why}");
    }
}

#[test]
fn types_that_are_no_tensors_are_refused_by_name() {
    for (number, name) in [
        (4, "a sequence"),
        (5, "a map"),
        (7, "an opaque type"),
        (8, "a sparse tensor"),
        (9, "an optional"),
    ] {
        // A sequence and an optional of tensors have the same encoding.
        let why = declared(&field(number, &field(1, &tensor(1)))).unwrap_err();
        assert_eq!(why, format!("y: expected a tensor, found {name}"));
    }
    let denotation = field(6, b"IMAGE");
    let why = declared(&denotation).unwrap_err();
    assert_eq!(why, "y: expected a tensor, found no declaration");
    let with_denotation = [tensor(1), denotation].concat();
    assert_eq!(declared(&with_denotation).unwrap().datatype, DataType::Fp32);
}
