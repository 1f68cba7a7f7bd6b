//! Runs of ONNX Runtime without a server.

use std::sync::Arc;
use std::thread;

use clarity::{Fp16, OnnxRuntimeLibrary, RunError, Runtime, Session, Tensor, TensorData};

use super::onnxruntime::library;
use clarity_testbed::onnx::{DataType, OPEN, model, node, value};
use clarity_testbed::*;

/// A model that multiplies a matrix `x` by itself, in this number of operators.
fn powers_model(operators: usize) -> Vec<u8> {
    let matrix = |name: &str| value(name, DataType::FLOAT, &[OPEN, OPEN]);
    let product = |number: usize| format!("power{number}");
    let nodes = (0..operators).map(|number| {
        let before = match number {
            0 => "x".to_owned(),
            number => product(number - 1),
        };
        node("MatMul", &[&before, "x"], &product(number))
    });
    model(
        vec![matrix("x")],
        nodes.collect(),
        vec![matrix(&product(operators - 1))],
    )
}

/// Runs the model with a matrix of `size` rows and columns, in which each number is `number`.
fn run(session: &dyn Session, size: usize, number: f32) -> Result<Vec<Tensor>, RunError> {
    let numbers = TensorData::Fp32(vec![number; size * size]);
    session.run(vec![Tensor::new(vec![size, size], numbers).unwrap()])
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
    let session = load(&library, &powers_model(500));
    let long = Arc::clone(&session);
    let running = thread::spawn(move || run(&*long, 1024, 0.0));
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
    let answer = run(&*session, 1, -1.0).unwrap();
    assert_eq!(*answer[0].data(), TensorData::Fp32(vec![-1.0]));
}
