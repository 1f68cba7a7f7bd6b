//! Tensors of every datatype of the protocol, over a real socket. The models answer with their
//! inputs.

use std::collections::BTreeMap;

use clarity::{ClaimsCheck, DataType, NonFiniteOutputs, RtenRuntime, Server, Source};
use clarity_testbed::*;
use serde_json::{Value, json};

/// A server with one model for each datatype, and the model `all`. The model `fp64` may answer
/// with NaN.
async fn serve_echo() -> (Repository, Server, Client) {
    let models = Repository::temporary();
    let names = DataType::ALL.iter().copied().map(EchoRuntime::model);
    for name in names.chain(["all".to_owned()]) {
        let entry = "model.onnx".parse().unwrap();
        let files = BTreeMap::from([("model.onnx".parse().unwrap(), Source::Bytes(vec![0]))]);
        let mut staged = models
            .store
            .stage(&name.parse().unwrap(), &entry, &files)
            .unwrap();
        if name == "fp64" {
            staged.allow_nonfinite(NonFiniteOutputs::of(["y"])).unwrap();
        }
        staged.publish().unwrap();
    }
    let builder = Server::builder(models.root()).config(config());
    let (server, client) = start(builder.runtime(EchoRuntime)).await;
    (models, server, client)
}

fn path(datatype: DataType) -> String {
    format!("/v2/models/{}/infer", EchoRuntime::model(datatype))
}

/// The binary data of three elements, with the limits of the datatype.
fn three(datatype: DataType) -> Vec<u8> {
    match datatype {
        DataType::Bool => vec![1, 0, 1],
        DataType::Uint8 | DataType::Int8 => vec![0, 0x7f, 0x80],
        DataType::Uint16 | DataType::Int16 => vec![0, 0, 0xff, 0x7f, 0, 0x80],
        // The subnormal number nearest to 0, the largest number, and -2.
        DataType::Fp16 => vec![1, 0, 0xff, 0x7b, 0, 0xc0],
        DataType::Uint32 => [0, u32::MAX, 1 << 31].map(u32::to_le_bytes).concat(),
        DataType::Int32 => [0, i32::MIN, i32::MAX].map(i32::to_le_bytes).concat(),
        DataType::Fp32 => [-0.0, f32::MAX, 1e-45].map(f32::to_le_bytes).concat(),
        DataType::Uint64 => [0, u64::MAX, (1 << 53) + 1].map(u64::to_le_bytes).concat(),
        DataType::Int64 => [0, i64::MIN, i64::MAX].map(i64::to_le_bytes).concat(),
        DataType::Fp64 => [-0.0, f64::MAX, 5e-324].map(f64::to_le_bytes).concat(),
        DataType::Bytes => b"\x03\0\0\0one\0\0\0\0\x02\0\0\0\xff\0".to_vec(),
        other => panic!("no elements of {other}"),
    }
}

fn header(name: &str, datatype: DataType, size: usize) -> Value {
    json!({ "name": name, "datatype": datatype.as_str(), "shape": [1, 3], "parameters": { "binary_data_size": size } })
}

fn in_json(datatype: DataType, count: usize, data: &str) -> String {
    format!(
        r#"{{"inputs": [{{"name": "x", "datatype": "{datatype}", "shape": [1, {count}], "data": {data}}}]}}"#
    )
}

#[tokio::test]
async fn every_datatype_round_trips_in_binary() {
    let (_models, _server, client) = serve_echo().await;
    let all: Vec<Vec<u8>> = DataType::ALL.iter().copied().map(three).collect();
    let inputs: Vec<Value> = DataType::ALL
        .iter()
        .zip(&all)
        .map(|(&datatype, bytes)| header(&format!("in_{datatype}"), datatype, bytes.len()))
        .collect();
    let request = json!({ "inputs": inputs, "parameters": { "binary_data_output": true } });
    let path = "/v2/models/all/infer";
    let answer = client
        .post_binary(path, &request, &all.concat())
        .await
        .unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.binary, all.concat());
    let expected: Vec<Value> = DataType::ALL
        .iter()
        .zip(&all)
        .map(|(&datatype, bytes)| header(&format!("out_{datatype}"), datatype, bytes.len()))
        .collect();
    assert_eq!(answer.json["outputs"], json!(expected));
}

/// The digits in the answer are those of the request, because they are the fewest.
#[tokio::test]
async fn every_datatype_but_fp16_round_trips_in_json() {
    let (_models, _server, client) = serve_echo().await;
    let cases = [
        (DataType::Bool, "[true,false]"),
        (DataType::Uint8, "[0,255]"),
        (DataType::Uint16, "[0,65535]"),
        (DataType::Uint32, "[0,4294967295]"),
        (
            DataType::Uint64,
            "[9007199254740993,9223372036854775808,18446744073709551615]",
        ),
        (DataType::Int8, "[-128,127]"),
        (DataType::Int16, "[-32768,32767]"),
        (DataType::Int32, "[-2147483648,2147483647]"),
        (
            DataType::Int64,
            "[-9223372036854775808,9223372036854775807]",
        ),
        (DataType::Fp32, "[-0.0,3.4028235e+38,1e-45]"),
        (
            DataType::Fp64,
            "[-0.0,1.7976931348623157e+308,5e-324,2.2250738585072014e-308,0.1,0.30000000000000004]",
        ),
        (DataType::Fp64, r#"["NaN","Infinity","-Infinity",1.5]"#),
        (
            DataType::Bytes,
            r#"["","one","NaN","\u0000\n\"\\","\u001f","ä€😀"]"#,
        ),
    ];
    for (datatype, data) in cases {
        let count = serde_json::from_str::<Vec<Value>>(data).unwrap().len();
        let request = in_json(datatype, count, data);
        let answer = client.post_text(&path(datatype), request).await.unwrap();
        assert_eq!(answer.status, 200, "{datatype}: {}", answer.body);
        let expected =
            format!(r#"{{"name":"y","datatype":"{datatype}","shape":[1,{count}],"data":{data}}}"#);
        assert!(answer.body.contains(&expected), "{}", answer.body);
    }
    let escaped = in_json(DataType::Bytes, 1, r#"["\ud83d\ude00\/"]"#);
    let answer = client
        .post_text(&path(DataType::Bytes), escaped)
        .await
        .unwrap();
    assert_eq!(answer.json()["outputs"][0]["data"], json!(["😀/"]));
}

#[tokio::test]
async fn fp16_in_json_is_refused_before_the_run() {
    let (_models, server, client) = serve_echo().await;
    let path = path(DataType::Fp16);
    let answer = client.post_text(&path, in_json(DataType::Fp16, 1, "[1.5]"));
    let answer = answer.await.unwrap();
    answer.assert_problem(400, "invalid_request");
    answer.assert_says("output y: FP16 has no JSON form in the protocol: request it as binary data, with the parameter binary_data");

    let mut request = json!({ "inputs": [header("x", DataType::Fp16, 6)] });
    let bytes = three(DataType::Fp16);
    let answer = client.post_binary(&path, &request, &bytes).await.unwrap();
    assert_eq!(answer.status, 400, "{answer:?}");
    let wanted = |binary: bool| json!([{ "name": "y", "parameters": { "binary_data": binary } }]);
    request["outputs"] = wanted(false);
    request["parameters"] = json!({ "binary_data_output": true });
    let answer = client.post_binary(&path, &request, &bytes).await.unwrap();
    assert_eq!(answer.status, 400, "{answer:?}");
    request["outputs"] = wanted(true);
    let answer = client.post_binary(&path, &request, &bytes).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.binary[..]), (200, &*bytes));

    let mut in_json: Value = serde_json::from_str(&in_json(DataType::Fp16, 1, "[1.5]")).unwrap();
    in_json["outputs"] = wanted(true);
    let answer = client.post(&path, &in_json).await.unwrap();
    answer.assert_problem(400, "invalid_request");
    answer.assert_says("input x: FP16 has no JSON form in the protocol: send it as binary data, with the parameter binary_data_size");
    let breaker = server.models().breaker("fp16").unwrap();
    assert_eq!(breaker.consecutive_failures, 0);
}

#[tokio::test]
async fn bytes_that_are_not_utf8_are_answered_in_binary_alone() {
    let (_models, server, client) = serve_echo().await;
    let path = path(DataType::Bytes);
    let bytes = three(DataType::Bytes);
    let mut request = json!({ "inputs": [header("x", DataType::Bytes, bytes.len())] });
    let refused = client.post_binary(&path, &request, &bytes).await.unwrap();
    assert_eq!(refused.status, 400, "{refused:?}");
    assert_eq!(refused.json["reason"], "invalid_request");
    assert_eq!(
        refused.json["detail"],
        "output y: the element at 2 is not UTF-8 and has no JSON form: request it as binary data, with the parameter binary_data"
    );
    request["parameters"] = json!({ "binary_data_output": true });
    let answer = client.post_binary(&path, &request, &bytes).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.binary[..]), (200, &*bytes));
    let breaker = server.models().breaker("bytes").unwrap();
    assert_eq!(breaker.consecutive_failures, 0);
}

#[tokio::test]
async fn malformed_bytes_are_refused_with_the_element() {
    let (_models, _server, client) = serve_echo().await;
    let path = path(DataType::Bytes);
    for (bytes, says) in [
        (
            &b"\x01\0\0\0a\0\0\0\0"[..],
            "expected 3 elements with 4 bytes for the length of each, found 9 bytes",
        ),
        (
            b"\x01\0\0\0a\0\0\0\0\x02\0\0",
            "the element at 2: expected 4 bytes, found 3",
        ),
        (
            b"\x01\0\0\0a\0\0\0\0\x02\0\0\0b",
            "the element at 2: expected 2 bytes, found 1",
        ),
        (
            b"\xff\xff\xff\xffabcdefgh",
            "the element at 0: expected 4294967295 bytes, found 8",
        ),
        (
            b"\0\0\0\0\0\0\0\0\0\0\0\0\0",
            "expected 12 bytes in 3 elements, found 1 bytes more",
        ),
    ] {
        let request = json!({ "inputs": [header("x", DataType::Bytes, bytes.len())] });
        let answer = client.post_binary(&path, &request, bytes).await.unwrap();
        assert_eq!(answer.status, 400, "{answer:?}");
        assert_eq!(answer.json["detail"], format!("input x: {says}"));
    }
    for (data, says) in [
        ("[1]", "expected a string"),
        ("[null]", "invalid type: null"),
        (r#"["\ud800"]"#, "hex escape"),
        (r#"["a", "b"]"#, "expected 1 elements, found more"),
        (r#"[["a"], ["b"]]"#, "expected 1 elements, found more"),
    ] {
        let answer = client.post_text(&path, in_json(DataType::Bytes, 1, data));
        let answer = answer.await.unwrap();
        answer.assert_problem(400, "invalid_request");
        answer.assert_says("input x: ");
        answer.assert_says(says);
    }
}

#[tokio::test]
async fn nonfinite_numbers_of_every_size_follow_the_declaration() {
    let (_models, server, client) = serve_echo().await;
    let ask = async |datatype, bytes: &[u8]| {
        let mut request = json!({ "inputs": [header("x", datatype, bytes.len())] });
        request["parameters"] = json!({ "binary_data_output": true });
        let answer = client.post_binary(&path(datatype), &request, bytes).await;
        let answer = answer.unwrap();
        let detail = answer.json["detail"].as_str().map(str::to_owned);
        (answer.status.as_u16(), detail, answer.binary)
    };
    let halves = [0, 0, 0, 0xfc, 1, 0x7e];
    let (status, detail, _) = ask(DataType::Fp16, &halves).await;
    assert_eq!(status, 400);
    let detail = detail.unwrap();
    assert!(
        detail.starts_with("input x: the value at 1 is -inf"),
        "{detail}"
    );
    assert!(
        detail.contains("output y: the value at 1 is -inf"),
        "{detail}"
    );
    // The version of this model declares the output. All bits of a NaN stay.
    let doubles = [
        1.0_f64,
        f64::INFINITY,
        f64::from_bits(0x7ff0_0000_0000_0001),
    ];
    let doubles = doubles.map(f64::to_le_bytes).concat();
    let (status, detail, binary) = ask(DataType::Fp64, &doubles).await;
    assert_eq!((status, &binary[..]), (200, &*doubles), "{detail:?}");
    let breaker = server.models().breaker("fp16").unwrap();
    assert_eq!(breaker.consecutive_failures, 0);
}

#[tokio::test]
async fn metadata_and_configuration_name_every_datatype() {
    let (_models, _server, client) = serve_echo().await;
    for &datatype in DataType::ALL {
        let model = format!("/v2/models/{}", EchoRuntime::model(datatype));
        let metadata = client.get(&model).await.unwrap().json();
        assert_eq!(metadata["inputs"][0]["datatype"], datatype.as_str());
        let config = client.get(&format!("{model}/config")).await.unwrap().json();
        let expected = match datatype {
            DataType::Bytes => "TYPE_STRING".to_owned(),
            other => format!("TYPE_{other}"),
        };
        assert_eq!(config["output"][0]["data_type"], expected);
    }
}

/// The error of a model that copies its input `x` to its output `y`.
fn refusal(runtime: &RtenRuntime, input: onnx::DataType, output: onnx::DataType) -> String {
    let models = Repository::temporary();
    let inputs = vec![onnx::value("x", input, &[2])];
    let outputs = vec![onnx::value("y", output, &[2])];
    let copy = vec![onnx::node("Identity", &["x"], "y")];
    let number = models.publish("copy", &onnx::model(inputs, copy, outputs));
    let opened = models.store.open(&"copy".parse().unwrap(), version(number));
    let tried = clarity::try_version(runtime, opened.unwrap());
    tried.map(drop).unwrap_err().to_string()
}

/// rten computes DOUBLE with 32 bits, for example, so a loaded model would answer wrongly.
#[test]
fn rten_refuses_the_datatypes_that_it_does_not_compute() {
    use onnx::DataType;

    for (datatype, found) in [
        (DataType::DOUBLE, "FP64"),
        (DataType::FLOAT16, "FP16"),
        (DataType::STRING, "BYTES"),
        (DataType::UINT16, "UINT16"),
        (DataType::UINT32, "UINT32"),
        (DataType::UINT64, "UINT64"),
        (DataType::INT16, "INT16"),
    ] {
        let says = format!(
            ": expected a datatype that the runtime rten computes (FP32, INT32, INT64, BOOL, UINT8 or INT8), found {found}"
        );
        // The claims refuse the node already.
        refusal(&RtenRuntime::new(), datatype, datatype);
        let unclaimed = RtenRuntime::new().claims(ClaimsCheck::Off);
        let error = refusal(&unclaimed, datatype, datatype);
        assert_eq!(error, format!("x{says}"));
        let error = refusal(&unclaimed, DataType::FLOAT, datatype);
        assert_eq!(error, format!("y{says}"));
    }
}

/// The reason is the type itself, not the node that computes it: no runtime would help.
#[test]
fn datatypes_that_the_protocol_lacks_are_refused_by_name() {
    use onnx::DataType;

    for (datatype, found) in [
        (DataType::BFLOAT16, "BFLOAT16"),
        (DataType::COMPLEX64, "COMPLEX64"),
        (DataType::FLOAT8E4M3FN, "FLOAT8E4M3FN"),
        (DataType::FLOAT4E2M1, "FLOAT4E2M1"),
        (DataType::UINT4, "UINT4"),
        (DataType::INT4, "INT4"),
        (DataType(25), "UINT2"),
        (DataType(26), "INT2"),
    ] {
        let says = format!(
            ": expected a datatype of the protocol (BOOL, UINT8, UINT16, UINT32, UINT64, INT8, INT16, INT32, INT64, FLOAT16, FLOAT, DOUBLE or STRING), found {found}"
        );
        let error = refusal(&RtenRuntime::new(), datatype, datatype);
        assert_eq!(error, format!("x{says}"));
        let error = refusal(&RtenRuntime::new(), DataType::FLOAT, datatype);
        assert_eq!(error, format!("y{says}"));
    }
}
