//! Runs of ONNX Runtime without a server.

use std::sync::Arc;
use std::thread;

use clarity::{Fp16, OnnxRuntimeLibrary, RunError, Runtime, Session, Tensor, TensorData};
use rten_onnx::onnx::{AttributeProto, AttributeType, GraphProto};

use super::onnxruntime::library;
use clarity_testbed::onnx::{DataType, NodeProto, OPEN, TensorProto, model, node, value};
use clarity_testbed::*;

/// A model that adds 1 to `x`, `trips` times.
fn endless_model() -> Vec<u8> {
    let number = |name| value(name, DataType::FLOAT, &[1]);
    let condition = |name| value(name, DataType::BOOL, &[]);
    let trips = |name| value(name, DataType::INT64, &[]);
    let one = TensorProto {
        name: Some("one".to_owned()),
        dims: vec![1],
        data_type: Some(DataType::FLOAT),
        float_data: vec![1.0],
        ..TensorProto::default()
    };
    let body = GraphProto {
        node: vec![
            node("Identity", &["again"], "still"),
            node("Add", &["before", "one"], "after"),
        ],
        initializer: vec![one],
        input: vec![trips("trip"), condition("again"), number("before")],
        output: vec![condition("still"), number("after")],
        ..GraphProto::default()
    };
    let body = AttributeProto {
        name: Some("body".to_owned()),
        g: Some(body),
        r#type: Some(AttributeType::GRAPH),
        ..AttributeProto::default()
    };
    let repeat = NodeProto {
        attribute: vec![body],
        ..node("Loop", &["trips", "", "x"], "y")
    };
    model(
        vec![trips("trips"), number("x")],
        vec![repeat],
        vec![number("y")],
    )
}

fn run(session: &dyn Session, trips: i64) -> Result<Vec<Tensor>, RunError> {
    session.run(vec![
        Tensor::new(vec![], TensorData::Int64(vec![trips])).unwrap(),
        Tensor::new(vec![1], TensorData::Fp32(vec![0.5])).unwrap(),
    ])
}

fn load(library: &OnnxRuntimeLibrary, bytes: &[u8]) -> Arc<dyn Session> {
    let models = Repository::temporary();
    models.publish(MODEL, bytes);
    let verified = models.store.open(&MODEL.parse().unwrap(), version(1));
    library.load(verified.unwrap()).unwrap().into()
}

/// FP16 has no JSON form, so no other test sees it.
#[test]
fn numbers_of_16_bits_arrive_and_leave_unchanged() {
    let Some(library) = library() else { return };
    let tensor = |name| value(name, DataType::FLOAT16, &[OPEN]);
    let nodes = vec![
        node("Identity", &["x"], "y"),
        node("Add", &["x", "x"], "sum"),
    ];
    let bytes = model(vec![tensor("x")], nodes, vec![tensor("y"), tensor("sum")]);
    let session = load(&library, &bytes);
    // Subnormal, negative zero, and the greatest number.
    let bits = [0x0001, 0x8000, 0x3e00, 0x7bff].map(Fp16::from_bits);
    let given = TensorData::Fp16(bits.to_vec());
    let answer = session.run(vec![Tensor::new(vec![4], given.clone()).unwrap()]);
    let answer = answer.unwrap();
    assert_eq!(*answer[0].data(), given);
    let doubled = [0x0002, 0x8000, 0x4200, 0x7c00].map(Fp16::from_bits);
    assert_eq!(*answer[1].data(), TensorData::Fp16(doubled.to_vec()));
}

#[tokio::test]
async fn abandoned_run_ends_before_its_next_operator() {
    let Some(library) = library() else { return };
    let session = load(&library, &endless_model());
    let endless = Arc::clone(&session);
    let running = thread::spawn(move || run(&*endless, i64::MAX));
    // Without effect before the run has begun, so once is not enough.
    until("the abandoned run ended", || {
        session.abandon(running.thread().id());
        running.is_finished()
    })
    .await;
    match running.join().unwrap() {
        Err(RunError::Failed(why)) => assert!(why.contains("terminate"), "{why}"),
        other => panic!("{other:?}"),
    }
    // The next run of the same session is not abandoned.
    let answer = run(&*session, 3).unwrap();
    assert_eq!(*answer[0].data(), TensorData::Fp32(vec![3.5]));
}
