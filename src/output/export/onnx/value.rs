//! Tensors of the evaluator, and how shapes of two of them become one.

use super::proto::{Tensor, kind};

/// A tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Value {
    /// Its shape.
    pub dims: Vec<usize>,
    /// Its elements.
    pub data: Data,
}

/// Elements of a tensor.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// 32-bit floats.
    Floats(Vec<f32>),
    /// 64-bit whole numbers.
    Longs(Vec<i64>),
    /// Signed bytes.
    Signed(Vec<i8>),
    /// Unsigned bytes.
    Unsigned(Vec<u8>),
}

impl Value {
    /// Floats.
    pub fn floats(dims: Vec<usize>, values: Vec<f32>) -> Value {
        Value { dims, data: Data::Floats(values) }
    }

    /// Whole numbers.
    pub fn longs(dims: Vec<usize>, values: Vec<i64>) -> Value {
        Value { dims, data: Data::Longs(values) }
    }

    /// A constant of a file.
    ///
    /// # Errors
    /// One sentence if its bytes do not fit its type and shape.
    pub fn constant(tensor: &Tensor) -> Result<Value, String> {
        let name = tensor.name.clone().unwrap_or_default();
        let wrong = |why: &str| format!("the constant `{name}` {why}");
        let dims: Option<Vec<usize>> = tensor.dims.iter().map(|d| usize::try_from(*d).ok()).collect();
        let dims = dims.ok_or_else(|| wrong("has a negative size"))?;
        let count =
            dims.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).ok_or_else(|| wrong("is too large"))?;
        let raw = tensor.raw_data.as_deref().unwrap_or(&[]);
        let (width, data) = match tensor.data_type.unwrap_or(0) {
            kind::FLOAT => {
                (4, Data::Floats(raw.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()))
            }
            kind::INT64 => {
                (8, Data::Longs(raw.as_chunks().0.iter().map(|b| i64::from_le_bytes(*b)).collect()))
            }
            kind::INT8 => (1, Data::Signed(raw.iter().map(|b| *b as i8).collect())),
            kind::UINT8 => (1, Data::Unsigned(raw.to_vec())),
            other => return Err(wrong(&format!("has the type {other}"))),
        };
        match count.checked_mul(width) {
            Some(bytes) if bytes == raw.len() => Ok(Value { dims, data }),
            _ => Err(wrong(&format!("has {} bytes for the shape {dims:?}", raw.len()))),
        }
    }

    /// Its floats.
    ///
    /// # Errors
    /// If it holds others.
    pub fn as_floats(&self) -> Result<&[f32], String> {
        match &self.data {
            Data::Floats(values) => Ok(values),
            _ => Err("floats are expected".to_owned()),
        }
    }

    /// Its whole numbers.
    ///
    /// # Errors
    /// If it holds others.
    pub fn as_longs(&self) -> Result<&[i64], String> {
        match &self.data {
            Data::Longs(values) => Ok(values),
            _ => Err("whole numbers are expected".to_owned()),
        }
    }

    /// How many elements it has.
    pub fn count(&self) -> usize {
        self.dims.iter().product()
    }

    /// The same elements of another order: element `i` is the one that `from` says.
    pub fn taken(&self, dims: Vec<usize>, from: &[usize]) -> Value {
        let data = match &self.data {
            Data::Floats(v) => Data::Floats(from.iter().map(|i| v[*i]).collect()),
            Data::Longs(v) => Data::Longs(from.iter().map(|i| v[*i]).collect()),
            Data::Signed(v) => Data::Signed(from.iter().map(|i| v[*i]).collect()),
            Data::Unsigned(v) => Data::Unsigned(from.iter().map(|i| v[*i]).collect()),
        };
        Value { dims, data }
    }
}

/// The axis of a number that may count from the end.
///
/// # Errors
/// An axis that there is not.
pub fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let at = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(at).ok().filter(|at| *at < rank).ok_or_else(|| format!("there is no axis {axis}"))
}

/// The shape of two tensors element by element, sizes of 1 stretched.
///
/// # Errors
/// Shapes that do not fit.
pub fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, String> {
    let rank = a.len().max(b.len());
    let size = |dims: &[usize], i: usize| if i + dims.len() < rank { 1 } else { dims[i + dims.len() - rank] };
    let one = |i: usize| match (size(a, i), size(b, i)) {
        (x, y) if x == y => Ok(x),
        (1, y) => Ok(y),
        (x, 1) => Ok(x),
        _ => Err(format!("the shapes {a:?} and {b:?} do not fit")),
    };
    (0..rank).map(one).collect()
}

/// For each element of a shape, which element of a smaller one stands there.
pub fn stretched(from: &[usize], to: &[usize]) -> Vec<usize> {
    let mut steps = vec![0; to.len()];
    let mut step = 1;
    for (i, size) in from.iter().enumerate().rev() {
        if *size != 1 {
            steps[i + to.len() - from.len()] = step;
        }
        step *= size;
    }
    walked(to, &steps)
}

/// The places that a walk over a shape comes by, with a step of its own on each axis.
pub fn walked(dims: &[usize], steps: &[usize]) -> Vec<usize> {
    let mut places = vec![0];
    for (size, step) in dims.iter().zip(steps) {
        places = places.iter().flat_map(|p| (0..*size).map(move |i| p + i * step)).collect();
    }
    places
}
