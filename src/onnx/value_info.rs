//! Declarations of a graph's inputs and outputs.

use super::element_type::ElementType;
use super::reader::{ProtoMessage, UnreadableGraph, once};

/// A declared input, output or intermediate value.
#[derive(Clone, Debug)]
pub(crate) struct ValueInfo<'a> {
    pub(crate) name: &'a str,
    /// The type; `None` if the value is not declared as a tensor.
    pub(crate) tensor: Option<TensorType>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TensorType {
    pub(crate) element: ElementType,
    /// The sizes of the dimensions, `None` for a size that is not fixed. `None` for an undeclared
    /// rank.
    pub(crate) shape: Option<Vec<Option<i64>>>,
}

impl<'a> ValueInfo<'a> {
    pub(super) fn read(message: &ProtoMessage<'a>) -> Result<Self, UnreadableGraph> {
        let (mut name, mut tensor) = (None, None);
        message.each(|number, field| match number {
            1 => once(&mut name, field.text()?),
            2 => once(&mut tensor, read_type(&field.message()?)?),
            _ => Ok(()),
        })?;
        Ok(Self {
            name: name.unwrap_or(""),
            tensor: tensor.flatten(),
        })
    }
}

fn read_type(message: &ProtoMessage<'_>) -> Result<Option<TensorType>, UnreadableGraph> {
    let mut tensor = None;
    message.each(|number, field| match number {
        1 => once(&mut tensor, read_tensor(&field.message()?)?),
        _ => Ok(()),
    })?;
    Ok(tensor)
}

fn read_tensor(message: &ProtoMessage<'_>) -> Result<TensorType, UnreadableGraph> {
    let (mut element, mut shape) = (None, None);
    message.each(|number, field| match number {
        1 => once(&mut element, field.integer()?),
        2 => once(&mut shape, read_shape(&field.message()?)?),
        _ => Ok(()),
    })?;
    Ok(TensorType {
        element: ElementType(element.unwrap_or(0)),
        shape,
    })
}

fn read_shape(message: &ProtoMessage<'_>) -> Result<Vec<Option<i64>>, UnreadableGraph> {
    let mut shape = Vec::new();
    message.each(|number, field| {
        if number == 1 {
            let mut size = None;
            field.message()?.each(|number, field| match number {
                1 => once(&mut size, field.integer()?),
                _ => Ok(()),
            })?;
            // Exporters write 0 or -1 for an unknown size.
            shape.push(size.filter(|size| *size > 0));
        }
        Ok(())
    })?;
    Ok(shape)
}
