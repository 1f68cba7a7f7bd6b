use std::fs;

use rten::{Model, ModelOptions, Value};

use super::*;

const FILE: &str = "inside.data";

fn tensor(datatype: u64, elements: &[u8], more: &[u8]) -> Vec<u8> {
    let mut tensor = Vec::new();
    write_bytes(&mut tensor, 8, b"name");
    write_bytes(&mut tensor, RAW_DATA, elements);
    write_tag(&mut tensor, DATA_TYPE, VARINT);
    write_varint(&mut tensor, datatype);
    tensor.extend_from_slice(more);
    tensor
}

fn model(tensors: &[Vec<u8>]) -> Vec<u8> {
    let mut graph = Vec::new();
    write_bytes(&mut graph, 2, b"a graph");
    for tensor in tensors {
        write_bytes(&mut graph, INITIALIZER, tensor);
    }
    write_bytes(&mut graph, 11, b"an input");
    let mut model = vec![8, 7];
    write_bytes(&mut model, GRAPH, &graph);
    write_bytes(&mut model, 2, b"a producer");
    model
}

/// The offset and length of each split-off tensor that the graph refers to.
fn locations(graph: &[u8]) -> Vec<(usize, usize)> {
    let text = String::from_utf8_lossy(graph);
    let number = |text: &str| {
        let digits = text.chars().take_while(char::is_ascii_digit);
        digits.collect::<String>().parse().unwrap()
    };
    let after = |key: &str| {
        let values = text.split(key).skip(1);
        // Skips the tag and the length, which precede the value.
        values
            .map(|rest| number(&rest[2..]))
            .collect::<Vec<usize>>()
    };
    after("offset").into_iter().zip(after("length")).collect()
}

#[test]
fn split_puts_large_tensors_whole_and_aligned() {
    let contents: Vec<Vec<u8>> = (0..7_u8)
        .map(|number| {
            (0..LARGE + 4 * usize::from(number))
                .map(|at| (at % 251) as u8 ^ number)
                .collect()
        })
        .collect();
    for shift in 0..4 {
        // Adds `shift` texts of 5 bytes each before the tensors. So the loop tests each alignment
        // of the tensors.
        let mut tensors: Vec<_> = contents
            .iter()
            .map(|elements| tensor(1, elements, &[]))
            .collect();
        tensors.insert(
            0,
            vec![b'x'; shift].iter().fold(Vec::new(), |mut tensor, _| {
                write_bytes(&mut tensor, 12, b"doc");
                tensor
            }),
        );
        let whole = model(&tensors);
        let size = whole.len();
        let SplitModel { graph, weights } = split(whole, FILE).unwrap();
        assert_eq!(weights.len(), size);
        assert!(graph.len() < 1000);
        let locations = locations(&graph);
        assert_eq!(locations.len(), contents.len());
        for ((offset, length), expected) in locations.into_iter().zip(&contents) {
            assert_eq!(weights[offset..offset + length], **expected);
            assert_eq!(weights[offset..].as_ptr().addr() % ALIGNMENT, 0);
        }
    }
}

#[test]
fn split_leaves_small_converted_and_external_tensors() {
    let large = vec![1; LARGE];
    let mut elsewhere = Vec::new();
    write_tag(&mut elsewhere, DATA_LOCATION, VARINT);
    write_varint(&mut elsewhere, EXTERNAL);
    let mut twice = Vec::new();
    write_bytes(&mut twice, RAW_DATA, &large);
    for tensor in [
        tensor(1, &large[1..], &[]),
        tensor(7, &large, &[]),
        tensor(1, &large, &elsewhere),
        tensor(1, &large, &twice),
    ] {
        let whole = model(&[tensor]);
        assert_eq!(split(whole.clone(), FILE).unwrap_err(), whole);
    }
}

// A model can refer to a missing file that has the same name as the split weights. If `split`
// accepted the model, the reference would find the model's own bytes.
#[test]
fn split_refuses_a_model_that_names_the_file() {
    let mut other = Vec::new();
    write_bytes(&mut other, 8, FILE.as_bytes());
    let whole = model(&[tensor(1, &vec![1; LARGE], &[]), other]);
    assert_eq!(split(whole.clone(), FILE).unwrap_err(), whole);
    assert!(split(whole, "another.data").is_ok());
}

#[test]
fn split_returns_a_malformed_model_unchanged() {
    let whole = model(&[tensor(1, &vec![1; LARGE], &[])]);
    assert!(split(whole.clone(), FILE).is_ok());
    for end in [0, 1, 2, 5, 20, whole.len() - 1] {
        let cut = whole[..end].to_vec();
        assert_eq!(split(cut.clone(), FILE).unwrap_err(), cut, "cut at {end}");
    }
    let endless = vec![0xff; 64];
    assert_eq!(split(endless.clone(), FILE).unwrap_err(), endless);
}

#[test]
fn split_model_answers_as_the_whole_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/pat_small.onnx");
    let whole = fs::read(path).unwrap();
    let SplitModel { graph, weights } = split(whole.clone(), FILE).unwrap();
    assert!(graph.len() < whole.len() / 2, "the weights are split off");
    let load = |model, weights| {
        let mut options = ModelOptions::with_all_ops();
        options.external_data(FILE, weights).load(model).unwrap()
    };
    let answer = |model: Model| {
        let week: Vec<f32> = (0..10080).map(|minute| (minute % 97) as f32).collect();
        let input = Value::from_shape(vec![1, week.len()], week).unwrap();
        let answer = model.run_one(input.into(), None).unwrap();
        let Value::FloatTensor(embedding) = answer else {
            panic!("{answer:?}")
        };
        embedding.into_data()
    };
    let expected = answer(load(whole, Vec::new()));
    assert!(expected.iter().any(|value| *value != 0.0));
    assert_eq!(answer(load(graph, weights)), expected);
}
