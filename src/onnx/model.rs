//! Models.

use std::collections::{HashMap, HashSet};

use super::graph::standard;
use super::graph::{Graph, GraphNode};
use super::reader::{Field, ProtoMessage, UnreadableGraph, once};

/// A model's graph with the versions of its operators.
#[derive(Clone, Debug)]
pub(crate) struct Model<'a> {
    /// The imported version of the operators of each domain.
    pub(crate) imports: HashMap<&'a str, i64>,
    /// The domain and the name of each function that the model defines.
    pub(crate) functions: HashSet<(&'a str, &'a str)>,
    /// The nodes of each function.
    pub(crate) bodies: Vec<Graph<'a>>,
    pub(crate) graph: Graph<'a>,
}

impl<'a> Model<'a> {
    /// Reads a model. Takes time and memory in proportion to the bytes. Copies no large tensor.
    ///
    /// # Errors
    ///
    /// When the bytes are not a model, or the model is ambiguous: for example, a field that must be
    /// single is repeated.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, UnreadableGraph> {
        let (mut imports, mut functions) = (HashMap::new(), HashSet::new());
        let (mut graph, mut bodies) = (None, Vec::new());
        ProtoMessage::new(bytes).each(|number, field| {
            match number {
                7 => once(&mut graph, Graph::read(&field.message()?, 1)?)?,
                8 => {
                    let (domain, version) = read_import(&field.message()?)?;
                    if imports
                        .insert(domain, version)
                        .is_some_and(|other| other != version)
                    {
                        return Err(UnreadableGraph("a domain is imported in two versions"));
                    }
                }
                25 => {
                    let (function, body) = read_function(&field.message()?)?;
                    functions.insert(function);
                    bodies.push(body);
                }
                _ => {}
            }
            Ok(())
        })?;
        Ok(Self {
            imports,
            functions,
            bodies,
            graph: graph.ok_or(UnreadableGraph("the model has no graph"))?,
        })
    }
}

fn read_import<'a>(message: &ProtoMessage<'a>) -> Result<(&'a str, i64), UnreadableGraph> {
    let (mut domain, mut version) = (None, None);
    message.each(|number, field: Field<'a>| match number {
        1 => once(&mut domain, standard(field.text()?)),
        2 => once(&mut version, field.integer()?),
        _ => Ok(()),
    })?;
    Ok((domain.unwrap_or(""), version.unwrap_or(0)))
}

fn read_function<'a>(
    message: &ProtoMessage<'a>,
) -> Result<((&'a str, &'a str), Graph<'a>), UnreadableGraph> {
    let (mut name, mut domain) = (None, None);
    let mut body = Graph::default();
    message.each(|number, field: Field<'a>| match number {
        1 => once(&mut name, field.text()?),
        7 => {
            body.nodes.push(GraphNode::read(&field.message()?, 1)?);
            Ok(())
        }
        10 => once(&mut domain, standard(field.text()?)),
        _ => Ok(()),
    })?;
    Ok(((domain.unwrap_or(""), name.unwrap_or("")), body))
}
