//! Runs of ONNX Runtime that nobody waits for.

use std::sync::Arc;
use std::thread;

use clarity::{RunError, Runtime, Session, Tensor, TensorData};
use rten_onnx::onnx::{AttributeProto, AttributeType, GraphProto};

use super::onnxruntime::library;
use clarity_testbed::onnx::{DataType, NodeProto, TensorProto, model, node, value};
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

#[tokio::test]
async fn abandoned_run_ends_before_its_next_operator() {
    let Some(library) = library() else { return };
    let models = Repository::temporary();
    models.publish("endless", &endless_model());
    let name = "endless".parse().unwrap();
    let verified = models.store.open(&name, version(1)).unwrap();
    let session: Arc<dyn Session> = library.load(verified).unwrap().into();
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
