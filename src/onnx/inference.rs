//! What follows from a model's graph about each of its values.

mod elements;
mod floats;
mod numbers;
mod shapes;

use std::collections::HashMap;
use std::rc::Rc;

use super::element_type::ElementType;
use super::graph::AttributeValue;
use super::graph::Graph;
use super::graph::GraphNode;
use super::input_limits::InputLimits;
use super::interval::Interval;
use super::model::Model;
use super::tensor::{ConstantTensor, ExternalFiles};
use super::value::Value;

/// A node with the knowledge about its inputs and outputs.
#[derive(Debug)]
pub(crate) struct NodeInContext<'n, 'm> {
    pub(crate) node: &'n GraphNode<'m>,
    /// The imported version of the operators of the node's domain.
    pub(crate) version: Option<i64>,
    /// Whether the operator is a function that the model defines.
    pub(crate) is_function: bool,
    /// The inputs; `None` for an absent one.
    pub(crate) inputs: Vec<Option<Rc<Value>>>,
    pub(crate) outputs: Vec<Value>,
}

/// Gets each node and each output of a graph, in the order of the graphs.
pub(crate) trait Observer {
    fn node(&mut self, node: &NodeInContext<'_, '_>);
    fn output(&mut self, name: &str, value: Option<&Value>);
}

/// Walks through a model's graphs.
pub(crate) struct Inference<'w, 'm, 'f, O> {
    model: &'w Model<'m>,
    files: &'w ExternalFiles<'f>,
    /// The values by name, for each of the nested graphs.
    scopes: Vec<HashMap<&'m str, Rc<Value>>>,
    /// The number of the enclosing loops whose body is walked through for a first time.
    rehearsals: usize,
    observer: &'w mut O,
}

/// The depth down to which the bodies of loops are walked through twice.
// Each level doubles the time.
const MAX_REHEARSALS: usize = 3;

impl<'w, 'm, 'f, O: Observer> Inference<'w, 'm, 'f, O> {
    /// Walks through all graphs, and shows each node to the observer once.
    pub(crate) fn walk(
        model: &'w Model<'m>,
        files: &'w ExternalFiles<'f>,
        limits: InputLimits,
        observer: &'w mut O,
    ) {
        let mut inference = Self {
            model,
            files,
            scopes: Vec::new(),
            rehearsals: 0,
            observer,
        };
        let inputs = model.graph.inputs.iter();
        let inputs =
            inputs.map(|input| (input.name, Value::of_input(input.tensor.as_ref(), limits)));
        inference.graph(&model.graph, inputs.collect());
    }

    /// Walks through the nodes of each function that the model defines, with unknown inputs.
    pub(crate) fn walk_functions(
        model: &'w Model<'m>,
        files: &'w ExternalFiles<'f>,
        observer: &'w mut O,
    ) {
        let mut inference = Self {
            model,
            files,
            scopes: Vec::new(),
            rehearsals: 0,
            observer,
        };
        for body in &model.bodies {
            inference.unknown(body);
        }
    }

    /// Walks through a graph. Returns its outputs.
    fn graph(
        &mut self,
        graph: &'w Graph<'m>,
        inputs: Vec<(&'m str, Value)>,
    ) -> Vec<Option<Rc<Value>>> {
        let mut scope: HashMap<_, _> = HashMap::with_capacity(graph.nodes.len());
        for (name, value) in inputs {
            scope.insert(name, Rc::new(value));
        }
        for tensor in &graph.initializers {
            scope.insert(tensor.name, Rc::new(Value::of_tensor(tensor, self.files)));
        }
        for name in &graph.sparse {
            scope.insert(*name, Rc::default());
        }
        self.scopes.push(scope);
        for node in &graph.nodes {
            self.node(node);
        }
        let outputs = graph.outputs.iter();
        let outputs: Vec<_> = outputs.map(|output| self.value(output.name)).collect();
        if self.rehearsals == 0 {
            for (output, value) in graph.outputs.iter().zip(&outputs) {
                self.observer.output(output.name, value.as_deref());
            }
        }
        self.scopes.pop();
        outputs
    }

    fn value(&self, name: &str) -> Option<Rc<Value>> {
        let mut scopes = self.scopes.iter().rev();
        scopes.find_map(|scope| scope.get(name)).cloned()
    }

    fn node(&mut self, node: &'w GraphNode<'m>) {
        let inputs: Vec<Option<Rc<Value>>> = node
            .inputs
            .iter()
            .map(|name| {
                // An input that no node before gives is unknown.
                (!name.is_empty()).then(|| self.value(name).unwrap_or_default())
            })
            .collect();
        let version = self.model.imports.get(node.domain).copied();
        let is_function = self.model.functions.contains(&(node.domain, node.operator));
        let mut outputs = match (node.domain, node.operator) {
            _ if is_function => Vec::new(),
            ("", "Constant") => self.constant(node),
            ("", "If") => self.branches(node),
            ("", "Loop") => self.body(node, &inputs),
            ("", _) => infer(node, version.unwrap_or(0), &inputs),
            _ => Vec::new(),
        };
        // The graphs of other nodes are walked through with unknown inputs.
        if !matches!((node.domain, node.operator), ("", "If" | "Loop")) || is_function {
            for attribute in &node.attributes {
                match &attribute.value {
                    AttributeValue::Graph(graph) => self.unknown(graph),
                    AttributeValue::Graphs(graphs) => {
                        graphs.iter().for_each(|graph| self.unknown(graph))
                    }
                    _ => {}
                }
            }
        }
        outputs.resize_with(node.outputs.len(), Value::default);
        let in_context = NodeInContext {
            node,
            version,
            is_function,
            inputs,
            outputs,
        };
        if self.rehearsals == 0 {
            self.observer.node(&in_context);
        }
        let Some(scope) = self.scopes.last_mut() else {
            return;
        };
        for (name, value) in node.outputs.iter().zip(in_context.outputs) {
            scope.insert(*name, Rc::new(value));
        }
    }

    fn constant(&self, node: &GraphNode<'m>) -> Vec<Value> {
        let value = |tensor: &ConstantTensor<'_>| vec![Value::of_tensor(tensor, self.files)];
        let length = |length: usize| vec![i64::try_from(length).unwrap_or(i64::MAX)];
        match node
            .attributes
            .first()
            .map(|attribute| (attribute.name, &attribute.value))
        {
            _ if node.attributes.len() != 1 => Vec::new(),
            Some(("value", AttributeValue::Tensor(tensor))) => value(tensor),
            Some(("value_int", AttributeValue::Integer(integer))) => {
                value(&ConstantTensor::of_integers(vec![*integer], Vec::new()))
            }
            Some(("value_ints", AttributeValue::Integers(integers))) => value(
                &ConstantTensor::of_integers(integers.clone(), length(integers.len())),
            ),
            Some(("value_float", AttributeValue::Float(float))) => {
                value(&ConstantTensor::of_floats(vec![*float], Vec::new()))
            }
            Some(("value_floats", AttributeValue::Floats(floats))) => value(
                &ConstantTensor::of_floats(floats.clone(), length(floats.len())),
            ),
            _ => Vec::new(),
        }
    }

    fn branches(&mut self, node: &'w GraphNode<'m>) -> Vec<Value> {
        let mut branch = |name| match node.graph(name) {
            Some(graph) => self.graph(graph, Vec::new()),
            None => Vec::new(),
        };
        let (one, two) = (branch("then_branch"), branch("else_branch"));
        let join = |(one, two): (Option<Rc<Value>>, Option<Rc<Value>>)| match (one, two) {
            (Some(one), Some(two)) => one.join(&two),
            _ => Value::default(),
        };
        one.into_iter().zip(two).map(join).collect()
    }

    /// Walks through the body of a loop.
    ///
    /// The inputs of the body are the iteration, the condition and the carried values. The outputs
    /// are the condition, the carried values and the values of each iteration.
    fn body(&mut self, node: &'w GraphNode<'m>, inputs: &[Option<Rc<Value>>]) -> Vec<Value> {
        let Some(body) = node.graph("body") else {
            return Vec::new();
        };
        let carried = body.inputs.len().saturating_sub(2);
        // A claim requires that each INT64 fits into 32 bits, so a carried value does, too.
        let widen = |value: &Value, shape| {
            let mut widened = Value::of(value.element, shape);
            widened.is_sequence = value.is_sequence;
            match value.element {
                Some(ElementType::INT64) => widened.with_range(Interval::BITS_32),
                _ => widened,
            }
        };
        let initial: Vec<Value> = (0..carried)
            .map(|position| match inputs.get(position + 2) {
                Some(Some(value)) => {
                    let rank = value.rank().map(|rank| vec![Interval::SIZE; rank]);
                    widen(value, rank)
                }
                _ => Value::default(),
            })
            .collect();
        let mut entering = initial.clone();
        if self.scopes.len() <= MAX_REHEARSALS {
            self.rehearsals += 1;
            let outputs = self.iteration(body, &entering);
            self.rehearsals -= 1;
            for (position, value) in entering.iter_mut().enumerate() {
                let after = outputs
                    .get(position + 1)
                    .cloned()
                    .flatten()
                    .unwrap_or_default();
                if after.rank() != value.rank() {
                    value.shape = None;
                }
                if after.element != value.element || after.is_sequence != value.is_sequence {
                    value.element = None;
                }
            }
            // An unknown shape can lead to other unknown shapes.
            if entering
                .iter()
                .zip(&initial)
                .any(|(now, before)| now.shape != before.shape)
            {
                entering.iter_mut().for_each(|value| value.shape = None);
            }
        } else {
            entering.iter_mut().for_each(|value| value.shape = None);
        }
        let outputs = self.iteration(body, &entering);
        let outputs = outputs.into_iter().skip(1).enumerate();
        outputs
            .map(|(position, value)| {
                let value = value.unwrap_or_default();
                match entering.get(position) {
                    // Without an iteration, the initial value stays.
                    Some(entering) => entering.join(&value),
                    None => {
                        let mut shape = value.shape.clone();
                        if let Some(shape) = &mut shape {
                            shape.insert(0, Interval::SIZE);
                        }
                        widen(&value, shape)
                    }
                }
            })
            .collect()
    }

    fn iteration(&mut self, body: &'w Graph<'m>, carried: &[Value]) -> Vec<Option<Rc<Value>>> {
        let number =
            Value::of(Some(ElementType::INT64), Some(Vec::new())).with_range(Interval::SIZE);
        let condition = Value::of(Some(ElementType::BOOL), Some(Vec::new()));
        let values = [number, condition]
            .into_iter()
            .chain(carried.iter().cloned());
        let names = body.inputs.iter().map(|input| input.name);
        self.graph(body, names.zip(values).collect())
    }

    fn unknown(&mut self, graph: &'w Graph<'m>) {
        let inputs = graph
            .inputs
            .iter()
            .map(|input| (input.name, Value::default()));
        self.graph(graph, inputs.collect());
    }
}

/// The knowledge about the outputs of an operator of the standard.
fn infer(node: &GraphNode<'_>, version: i64, inputs: &[Option<Rc<Value>>]) -> Vec<Value> {
    let known: Vec<Option<&Value>> = inputs.iter().map(Option::as_deref).collect();
    let mut outputs: Vec<Value> = (0..node.outputs.len())
        .map(|output| {
            let (element, is_sequence) = elements::infer(node, &known, output);
            let shape = shapes::infer(node, &known, output);
            let mut value = Value::of(element, shape.filter(|_| !is_sequence));
            value.is_sequence = is_sequence;
            value.is_constant = !known.is_empty()
                && known.iter().flatten().all(|input| input.is_constant)
                && !elements::is_random(node.operator);
            value
        })
        .collect();
    if let Some(first) = outputs.first_mut() {
        numbers::infer(node, version, &known, first);
        floats::infer(node, &known, first);
    }
    for other in outputs.iter_mut().skip(1) {
        numbers::infer_other(node, &known, other);
    }
    outputs
}
