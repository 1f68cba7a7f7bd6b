//! Graphs, their nodes, and the nodes' attributes, which can contain graphs.

use super::reader::{MAX_DEPTH, ProtoMessage, UnreadableGraph, once};
use super::tensor::ConstantTensor;
use super::value_info::ValueInfo;

/// A graph: the model's own, or the branch or body of a node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Graph<'a> {
    pub(crate) nodes: Vec<GraphNode<'a>>,
    pub(crate) initializers: Vec<ConstantTensor<'a>>,
    /// The names of the sparse initializers.
    pub(crate) sparse: Vec<&'a str>,
    pub(crate) inputs: Vec<ValueInfo<'a>>,
    pub(crate) outputs: Vec<ValueInfo<'a>>,
}

impl<'a> Graph<'a> {
    pub(super) fn read(message: &ProtoMessage<'a>, depth: usize) -> Result<Self, UnreadableGraph> {
        if depth > MAX_DEPTH {
            return Err(UnreadableGraph("the graphs are nested more deeply than 32"));
        }
        let mut graph = Self::default();
        message.each(|number, field| {
            match number {
                1 => graph.nodes.push(GraphNode::read(&field.message()?, depth)?),
                5 => graph
                    .initializers
                    .push(ConstantTensor::read(&field.message()?)?),
                11 => graph.inputs.push(ValueInfo::read(&field.message()?)?),
                12 => graph.outputs.push(ValueInfo::read(&field.message()?)?),
                15 => graph.sparse.push(name_of_sparse(&field.message()?)?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(graph)
    }
}

/// The name of a sparse tensor is the name of its values.
fn name_of_sparse<'a>(message: &ProtoMessage<'a>) -> Result<&'a str, UnreadableGraph> {
    let mut name = None;
    message.each(|number, field| match number {
        1 => once(&mut name, ConstantTensor::read(&field.message()?)?.name),
        _ => Ok(()),
    })?;
    Ok(name.unwrap_or(""))
}

/// A node: an operator with the names of its inputs and outputs.
#[derive(Clone, Debug)]
pub(crate) struct GraphNode<'a> {
    pub(crate) name: &'a str,
    pub(crate) operator: &'a str,
    /// The domain; empty for the standard's.
    pub(crate) domain: &'a str,
    /// The names of the inputs. An empty name stands for an absent input.
    pub(crate) inputs: Vec<&'a str>,
    pub(crate) outputs: Vec<&'a str>,
    pub(crate) attributes: Vec<NodeAttribute<'a>>,
}

impl<'a> GraphNode<'a> {
    pub(super) fn read(message: &ProtoMessage<'a>, depth: usize) -> Result<Self, UnreadableGraph> {
        let (mut name, mut operator, mut domain) = (None, None, None);
        let (mut inputs, mut outputs, mut attributes) = (Vec::new(), Vec::new(), Vec::new());
        message.each(|number, field| {
            match number {
                1 => inputs.push(field.text()?),
                2 => outputs.push(field.text()?),
                3 => once(&mut name, field.text()?)?,
                4 => once(&mut operator, field.text()?)?,
                5 => attributes.push(NodeAttribute::read(&field.message()?, depth)?),
                7 => once(&mut domain, standard(field.text()?))?,
                _ => {}
            }
            Ok(())
        })?;
        let operator = operator.filter(|operator| !operator.is_empty());
        let mut names: Vec<&str> = attributes.iter().map(|each| each.name).collect();
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(UnreadableGraph("a node has two attributes of one name"));
        }
        Ok(Self {
            name: name.unwrap_or(""),
            operator: operator.ok_or(UnreadableGraph("a node has no operator"))?,
            domain: domain.unwrap_or(""),
            inputs,
            outputs,
            attributes,
        })
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&AttributeValue<'a>> {
        let mut attributes = self.attributes.iter();
        let found = attributes.find(|attribute| attribute.name == name);
        found.map(|attribute| &attribute.value)
    }

    pub(crate) fn integer(&self, name: &str) -> Option<i64> {
        match self.attribute(name)? {
            AttributeValue::Integer(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn integers(&self, name: &str) -> Option<&[i64]> {
        match self.attribute(name)? {
            AttributeValue::Integers(values) => Some(values),
            _ => None,
        }
    }

    pub(crate) fn text(&self, name: &str) -> Option<&'a [u8]> {
        match self.attribute(name)? {
            AttributeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn graph(&self, name: &str) -> Option<&Graph<'a>> {
        match self.attribute(name)? {
            AttributeValue::Graph(graph) => Some(graph),
            _ => None,
        }
    }
}

/// The domain, with the standard's under its short name.
pub(super) fn standard(domain: &str) -> &str {
    match domain {
        "ai.onnx" => "",
        other => other,
    }
}

/// An attribute of a node.
#[derive(Clone, Debug)]
pub(crate) struct NodeAttribute<'a> {
    pub(crate) name: &'a str,
    pub(crate) value: AttributeValue<'a>,
}

/// The value of an attribute, by its kind.
#[derive(Clone, Debug)]
pub(crate) enum AttributeValue<'a> {
    Float(f32),
    Integer(i64),
    Text(&'a [u8]),
    Tensor(ConstantTensor<'a>),
    Graph(Graph<'a>),
    Floats(Vec<f32>),
    Integers(Vec<i64>),
    Texts(Vec<&'a [u8]>),
    Graphs(Vec<Graph<'a>>),
    /// A list of tensors, a sparse tensor, or a type.
    Other,
    /// The value of an attribute of the enclosing function.
    Reference,
}

impl<'a> NodeAttribute<'a> {
    pub(super) fn read(message: &ProtoMessage<'a>, depth: usize) -> Result<Self, UnreadableGraph> {
        let (mut name, mut kind, mut reference) = (None, None, None);
        let (mut float, mut integer, mut text) = (None, None, None);
        let (mut tensor, mut graph) = (None, None);
        let (mut floats, mut integers) = (Vec::new(), Vec::new());
        let (mut texts, mut graphs, mut others) = (Vec::new(), Vec::new(), 0_usize);
        message.each(|number, field| {
            match number {
                1 => once(&mut name, field.text()?)?,
                2 => once(&mut float, field.float()?)?,
                3 => once(&mut integer, field.integer()?)?,
                4 => once(&mut text, field.message()?.content())?,
                5 => once(&mut tensor, ConstantTensor::read(&field.message()?)?)?,
                6 => once(&mut graph, Graph::read(&field.message()?, depth + 1)?)?,
                7 => field.floats(&mut floats)?,
                8 => field.integers(&mut integers)?,
                9 => texts.push(field.message()?.content()),
                10 | 14 | 15 | 22 | 23 => others += 1,
                11 => graphs.push(Graph::read(&field.message()?, depth + 1)?),
                20 => once(&mut kind, field.integer()?)?,
                21 => once(&mut reference, field.text()?)?,
                _ => {}
            }
            Ok(())
        })?;
        // The runtimes disagree on the value of an attribute that has several.
        let found = [
            (1, float.is_some()),
            (2, integer.is_some()),
            (3, text.is_some()),
            (4, tensor.is_some()),
            (5, graph.is_some()),
            (6, !floats.is_empty()),
            (7, !integers.is_empty()),
            (8, !texts.is_empty()),
            (10, !graphs.is_empty()),
            (9, others > 0),
        ];
        let mut found = found.iter().filter(|(_, is_there)| *is_there);
        let first = found.next().map(|(kind, _)| *kind);
        if found.next().is_some() {
            return Err(UnreadableGraph("an attribute has values of several kinds"));
        }
        let kind = kind.filter(|kind| *kind != 0).or(first).unwrap_or(0);
        if first.is_some_and(|first| first != kind && first != 9) {
            return Err(UnreadableGraph(
                "the value of an attribute is not of its kind",
            ));
        }
        let value = match kind {
            _ if reference.is_some_and(|name| !name.is_empty()) => AttributeValue::Reference,
            1 => AttributeValue::Float(float.unwrap_or(0.0)),
            2 => AttributeValue::Integer(integer.unwrap_or(0)),
            3 => AttributeValue::Text(text.unwrap_or(b"")),
            4 => match tensor {
                Some(tensor) => AttributeValue::Tensor(tensor),
                None => return Err(UnreadableGraph("an attribute lacks its tensor")),
            },
            5 => match graph {
                Some(graph) => AttributeValue::Graph(graph),
                None => return Err(UnreadableGraph("an attribute lacks its graph")),
            },
            6 => AttributeValue::Floats(floats),
            7 => AttributeValue::Integers(integers),
            8 => AttributeValue::Texts(texts),
            10 => AttributeValue::Graphs(graphs),
            _ => AttributeValue::Other,
        };
        Ok(Self {
            name: name.unwrap_or(""),
            value,
        })
    }
}

impl AttributeValue<'_> {
    /// A description for a message.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Float(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Text(text) => String::from_utf8_lossy(text).into_owned(),
            Self::Floats(values) => format!("{values:?}"),
            Self::Integers(values) => format!("{values:?}"),
            Self::Texts(texts) => {
                let texts = texts.iter().map(|text| String::from_utf8_lossy(text));
                texts.collect::<Vec<_>>().join(" ")
            }
            Self::Tensor(tensor) => format!("a tensor of shape {:?}", tensor.shape),
            Self::Graph(_) | Self::Graphs(_) => "a graph".to_owned(),
            Self::Other => "a value of another kind".to_owned(),
            Self::Reference => "an attribute of the function".to_owned(),
        }
    }
}
