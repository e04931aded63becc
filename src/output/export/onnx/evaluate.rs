//! A reader of ONNX files that knows the operators we write and nothing else: what was written is computed anew
//! from the file, by the definitions of the operators, with other code than the runtime's.

use std::collections::{BTreeSet, HashMap};

use prost::Message;

use super::proto::{Graph, Model, Node};
use super::value::{Data, Value, axis, broadcast, stretched, walked};

/// A graph that was read.
pub struct Evaluator {
    graph: Graph,
    constants: HashMap<String, Value>,
}

impl Evaluator {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// One sentence if they are no model, or constants make no sense.
    pub fn read(bytes: &[u8]) -> Result<Evaluator, String> {
        let model = Model::decode(bytes).map_err(|e| format!("it is no ONNX model: {e}"))?;
        let mut graph = model.graph.ok_or("it has no graph")?;
        let mut constants = HashMap::new();
        for tensor in std::mem::take(&mut graph.initializer) {
            let value = Value::constant(&tensor)?;
            constants.insert(tensor.name.unwrap_or_default(), value);
        }
        Ok(Evaluator { graph, constants })
    }

    /// A weight by its name, with the operator applied that makes floats of its bytes.
    ///
    /// # Errors
    /// One sentence if it is not there, or its scales do not fit.
    pub fn weight(&self, name: &str) -> Result<Vec<f32>, String> {
        let find = |name: &str| self.constants.get(name).ok_or_else(|| format!("there is no `{name}`"));
        let stored = find(name)?;
        if let Data::Floats(values) = &stored.data {
            return Ok(values.clone());
        }
        // Rows of a table with a scale each are multiplied behind the look-up.
        if let (Ok(scales), [_, width]) = (find(&format!("{name}_scales")), &stored.dims[..]) {
            let Data::Signed(bytes) = &stored.data else { return Err("it holds no signed bytes".into()) };
            let rows = bytes.chunks(*width).zip(scales.as_floats()?);
            return Ok(rows.flat_map(|(row, s)| row.iter().map(move |b| f32::from(*b) * s)).collect());
        }
        let (scale, point) = (find(&format!("{name}_scale"))?, find(&format!("{name}_zero_point"))?);
        Ok(dequantize(stored, scale, point, 1)?.as_floats()?.to_vec())
    }

    /// The scales, as bits, and zero points by which values are rounded.
    ///
    /// # Errors
    /// One sentence if one of them is no constant.
    pub fn roundings(&self) -> Result<BTreeSet<(u32, u8)>, String> {
        let mut all = BTreeSet::new();
        for node in self.graph.node.iter().filter(|n| n.op_type.as_deref() == Some("QuantizeLinear")) {
            let constant = |i: usize| {
                let name = node.input.get(i).ok_or("an input is missing")?;
                self.constants.get(name).ok_or_else(|| format!("`{name}` is no constant"))
            };
            match (&constant(1)?.data, &constant(2)?.data) {
                (Data::Floats(s), Data::Unsigned(z)) if s.len() == 1 && z.len() == 1 => {
                    all.insert((s[0].to_bits(), z[0]));
                }
                _ => return Err(format!("`{}` has scales of another type", shown(node))),
            }
        }
        Ok(all)
    }

    /// Computes all outputs, in their order.
    ///
    /// # Errors
    /// One sentence that names the operator that cannot be computed.
    pub fn run(&self, inputs: Vec<(&str, Value)>) -> Result<Vec<Value>, String> {
        // Values that are no longer needed go, so that a large model fits.
        let mut uses: HashMap<&str, usize> = HashMap::new();
        for name in self.graph.node.iter().flat_map(|n| &n.input) {
            *uses.entry(name).or_insert(0) += 1;
        }
        let outputs: Vec<&str> = self.graph.output.iter().filter_map(|o| o.name.as_deref()).collect();
        outputs.iter().for_each(|name| *uses.entry(name).or_insert(0) += 1);
        let mut values: HashMap<String, Value> = inputs.into_iter().map(|(n, v)| (n.to_owned(), v)).collect();
        for node in &self.graph.node {
            let find = |name: &String| {
                let found = values.get(name).or_else(|| self.constants.get(name));
                found.ok_or_else(|| format!("`{}` wants `{name}`, which is not there", shown(node)))
            };
            let inputs: Vec<&Value> = node.input.iter().map(find).collect::<Result<_, _>>()?;
            let value = compute(node, &inputs).map_err(|why| format!("`{}`: {why}", shown(node)))?;
            for name in &node.input {
                if let Some(left) = uses.get_mut(name.as_str()) {
                    *left -= 1;
                    if *left == 0 {
                        values.remove(name);
                    }
                }
            }
            values.insert(node.output.first().cloned().unwrap_or_default(), value);
        }
        let take =
            |name: &&str| values.get(*name).cloned().ok_or_else(|| format!("there is no output `{name}`"));
        outputs.iter().map(take).collect()
    }
}

fn shown(node: &Node) -> &str {
    node.name.as_deref().unwrap_or("")
}

fn int(node: &Node, name: &str) -> Option<i64> {
    node.attribute.iter().find(|a| a.name.as_deref() == Some(name))?.i
}

fn compute(node: &Node, inputs: &[&Value]) -> Result<Value, String> {
    let input = |i: usize| inputs.get(i).copied().ok_or_else(|| format!("it has no input {i}"));
    let each = |f: &dyn Fn(f32) -> f32| -> Result<Value, String> {
        let x = input(0)?;
        Ok(Value::floats(x.dims.clone(), x.as_floats()?.iter().map(|v| f(*v)).collect()))
    };
    match node.op_type.as_deref().unwrap_or("") {
        "Add" => pairs(input(0)?, input(1)?, |a, b| a + b),
        "Sub" => pairs(input(0)?, input(1)?, |a, b| a - b),
        "Mul" => pairs(input(0)?, input(1)?, |a, b| a * b),
        "Div" => pairs(input(0)?, input(1)?, |a, b| a / b),
        "Erf" => each(&erf),
        "Tanh" => each(&f32::tanh),
        "Clip" => {
            let (low, high) = (scalar(input(1)?)?, scalar(input(2)?)?);
            each(&|v| v.max(low).min(high))
        }
        "Cast" => {
            let x = input(0)?;
            Ok(Value::floats(x.dims.clone(), x.as_longs()?.iter().map(|v| *v as f32).collect()))
        }
        "Shape" => {
            let dims = &input(0)?.dims;
            Ok(Value::longs(vec![dims.len()], dims.iter().map(|d| *d as i64).collect()))
        }
        "Gather" => gather(input(0)?, input(1)?, int(node, "axis").unwrap_or(0)),
        "Slice" => slice(input(0)?, input(1)?, input(2)?, input(3)?),
        "Unsqueeze" => {
            let (x, axes) = (input(0)?, input(1)?.as_longs()?);
            let rank = x.dims.len() + axes.len();
            let at: Vec<usize> = axes.iter().map(|a| axis(*a, rank)).collect::<Result<_, _>>()?;
            let mut rest = x.dims.iter();
            let size = |i: usize| if at.contains(&i) { Some(1) } else { rest.next().copied() };
            let dims = (0..rank).map(size).collect::<Option<_>>().ok_or("an axis is there twice")?;
            Ok(Value { dims, data: x.data.clone() })
        }
        "Reshape" => {
            let (x, wanted) = (input(0)?, input(1)?.as_longs()?);
            let size = |(i, d): (usize, &i64)| match d {
                0 => x.dims.get(i).copied(),
                d => usize::try_from(*d).ok(),
            };
            let dims: Vec<usize> =
                wanted.iter().enumerate().map(size).collect::<Option<_>>().ok_or("no such shape")?;
            if dims.iter().product::<usize>() != x.count() {
                return Err(format!("{:?} cannot become {dims:?}", x.dims));
            }
            Ok(Value { dims, data: x.data.clone() })
        }
        "Transpose" => {
            let x = input(0)?;
            let order = node.attribute.iter().find(|a| a.name.as_deref() == Some("perm"));
            let order = order.map_or(&[][..], |a| &a.ints);
            let order: Vec<usize> = order.iter().map(|a| axis(*a, x.dims.len())).collect::<Result<_, _>>()?;
            if order.len() != x.dims.len() {
                return Err(format!("the order {order:?} is not of {:?}", x.dims));
            }
            let step = |axis: usize| x.dims[axis + 1..].iter().product::<usize>();
            let dims: Vec<usize> = order.iter().map(|a| x.dims[*a]).collect();
            let steps: Vec<usize> = order.iter().map(|a| step(*a)).collect();
            let places = walked(&dims, &steps);
            Ok(x.taken(dims, &places))
        }
        "MatMul" => matmul(input(0)?, input(1)?),
        "Softmax" => {
            let x = input(0)?;
            let width = x.dims.last().copied().unwrap_or(1).max(1);
            let mut values = x.as_floats()?.to_vec();
            for row in values.chunks_mut(width) {
                let most = row.iter().fold(f32::NEG_INFINITY, |m, v| m.max(*v));
                row.iter_mut().for_each(|v| *v = (*v - most).exp());
                let sum: f32 = row.iter().sum();
                row.iter_mut().for_each(|v| *v /= sum);
            }
            Ok(Value::floats(x.dims.clone(), values))
        }
        "LayerNormalization" => {
            let epsilon =
                node.attribute.iter().find(|a| a.name.as_deref() == Some("epsilon")).and_then(|a| a.f);
            norm(input(0)?, input(1)?, input(2)?, epsilon.unwrap_or(1e-5))
        }
        "QuantizeLinear" => {
            let (x, scale) = (input(0)?, scalar(input(1)?)?);
            let Data::Unsigned(points) = &input(2)?.data else {
                return Err("its zero point is no byte".into());
            };
            let zero = f32::from(*points.first().ok_or("it has no zero point")?);
            let byte = |v: &f32| ((v / scale).round_ties_even() + zero).clamp(0.0, 255.0) as u8;
            Ok(Value {
                dims: x.dims.clone(),
                data: Data::Unsigned(x.as_floats()?.iter().map(byte).collect()),
            })
        }
        "DequantizeLinear" => dequantize(input(0)?, input(1)?, input(2)?, int(node, "axis").unwrap_or(1)),
        other => Err(format!("the operator {other} is not one of ours")),
    }
}

fn scalar(value: &Value) -> Result<f32, String> {
    match value.as_floats()? {
        [one] => Ok(*one),
        many => Err(format!("one number is expected, not {}", many.len())),
    }
}

fn pairs(a: &Value, b: &Value, f: impl Fn(f32, f32) -> f32) -> Result<Value, String> {
    let dims = broadcast(&a.dims, &b.dims)?;
    let (x, y) = (a.as_floats()?, b.as_floats()?);
    let (from_a, from_b) = (stretched(&a.dims, &dims), stretched(&b.dims, &dims));
    let values = from_a.iter().zip(&from_b).map(|(i, j)| f(x[*i], y[*j])).collect();
    Ok(Value::floats(dims, values))
}

fn gather(x: &Value, indices: &Value, at: i64) -> Result<Value, String> {
    let at = axis(at, x.dims.len())?;
    let (before, after) = (&x.dims[..at], &x.dims[at + 1..]);
    let inner: usize = after.iter().product();
    let size = x.dims[at];
    let mut places = Vec::new();
    for outer in 0..before.iter().product() {
        for index in indices.as_longs()? {
            let index = usize::try_from(*index).ok().filter(|i| *i < size);
            let index = index.ok_or("an index lies outside")?;
            let first = (outer * size + index) * inner;
            places.extend(first..first + inner);
        }
    }
    Ok(x.taken([before, &indices.dims, after].concat(), &places))
}

/// The first elements of a row of numbers.
fn slice(x: &Value, starts: &Value, ends: &Value, axes: &Value) -> Result<Value, String> {
    let one = |v: &Value| match v.as_longs()? {
        [one] => usize::try_from(*one).map_err(|_| "it counts from the end".to_owned()),
        _ => Err("it slices more than one axis".to_owned()),
    };
    let (start, end) = (one(starts)?, one(ends)?);
    if one(axes)? != 0 || x.dims.len() != 1 {
        return Err("it slices another axis than the only one".to_owned());
    }
    let end = end.min(x.dims[0]);
    let places: Vec<usize> = (start..end).collect();
    Ok(x.taken(vec![places.len()], &places))
}

fn matmul(a: &Value, b: &Value) -> Result<Value, String> {
    let ([.., rows, inner], [.., other, columns]) = (&a.dims[..], &b.dims[..]) else {
        return Err("a matrix is expected".to_owned());
    };
    let (rows, inner, columns) = (*rows, *inner, *columns);
    if inner != *other {
        return Err(format!("{:?} and {:?} do not fit", a.dims, b.dims));
    }
    let outer = |v: &Value| v.dims[..v.dims.len() - 2].to_vec();
    let batch = broadcast(&outer(a), &outer(b))?;
    let (x, y) = (a.as_floats()?, b.as_floats()?);
    let mut values = vec![0.0f32; batch.iter().product::<usize>() * rows * columns];
    let places = stretched(&outer(a), &batch).into_iter().zip(stretched(&outer(b), &batch));
    for (out, (i, j)) in values.chunks_mut((rows * columns).max(1)).zip(places) {
        let (x, y) = (&x[i * rows * inner..], &y[j * inner * columns..]);
        for k in 0..inner {
            let right = &y[k * columns..(k + 1) * columns];
            for row in 0..rows {
                let left = x[row * inner + k];
                if left != 0.0 {
                    let sums = &mut out[row * columns..(row + 1) * columns];
                    sums.iter_mut().zip(right).for_each(|(sum, v)| *sum += left * v);
                }
            }
        }
    }
    Ok(Value::floats([&batch[..], &[rows, columns]].concat(), values))
}

fn norm(x: &Value, weight: &Value, bias: &Value, epsilon: f32) -> Result<Value, String> {
    let (weight, bias) = (weight.as_floats()?, bias.as_floats()?);
    let width = x.dims.last().copied().unwrap_or(0);
    if width == 0 || weight.len() != width || bias.len() != width {
        return Err("weight and bias do not fit the last axis".to_owned());
    }
    let mut values = Vec::with_capacity(x.count());
    for row in x.as_floats()?.chunks(width) {
        let mean = row.iter().map(|v| f64::from(*v)).sum::<f64>() / width as f64;
        let square = |v: &f32| (f64::from(*v) - mean).powi(2);
        let variance = row.iter().map(square).sum::<f64>() / width as f64;
        let size = 1.0 / (variance + f64::from(epsilon)).sqrt();
        let normal = row.iter().map(|v| ((f64::from(*v) - mean) * size) as f32);
        values.extend(normal.zip(weight).zip(bias).map(|((v, w), b)| v * w + b));
    }
    Ok(Value::floats(x.dims.clone(), values))
}

fn dequantize(x: &Value, scales: &Value, points: &Value, at: i64) -> Result<Value, String> {
    let (numbers, points): (Vec<i32>, Vec<i32>) = match (&x.data, &points.data) {
        (Data::Signed(x), Data::Signed(z)) => {
            (x.iter().map(|v| i32::from(*v)).collect(), z.iter().map(|v| i32::from(*v)).collect())
        }
        (Data::Unsigned(x), Data::Unsigned(z)) => {
            (x.iter().map(|v| i32::from(*v)).collect(), z.iter().map(|v| i32::from(*v)).collect())
        }
        _ => return Err("bytes and zero points of one type are expected".to_owned()),
    };
    let scales = scales.as_floats()?;
    if scales.len() != points.len() || scales.is_empty() {
        return Err("it has other scales than zero points".to_owned());
    }
    let (inner, size) = if scales.len() == 1 {
        (1, 1)
    } else {
        let at = axis(at, x.dims.len())?;
        (x.dims[at + 1..].iter().product::<usize>().max(1), x.dims[at])
    };
    if scales.len() != size {
        return Err(format!("it has {} scales for a size of {size}", scales.len()));
    }
    let float = |(i, v): (usize, &i32)| {
        let which = i / inner % size;
        (v - points[which]) as f32 * scales[which]
    };
    Ok(Value::floats(x.dims.clone(), numbers.iter().enumerate().map(float).collect()))
}

/// The error function by its series, in 64 bits; within 1e-7 of it.
fn erf(x: f32) -> f32 {
    let x = f64::from(x);
    if x.abs() > 4.0 {
        return x.signum() as f32;
    }
    let (mut term, mut sum, mut n) = (x, x, 0.0);
    while term.abs() > 1e-12 {
        n += 1.0;
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    (sum * std::f64::consts::FRAC_2_SQRT_PI) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_is_that_of_the_tables() {
        // Abramowitz and Stegun, table 7.1.
        for (x, expected) in
            [(0.0, 0.0), (0.5, 0.520_499_9), (1.0, 0.842_700_8), (2.0, 0.995_322_3), (-1.0, -0.842_700_8)]
        {
            assert!((erf(x) - expected).abs() < 1e-6, "erf {x} is {}", erf(x));
        }
        assert_eq!((erf(9.0), erf(-9.0)), (1.0, -1.0));
    }

    #[test]
    fn a_hostile_graph_is_refused_in_a_sentence() {
        let node = |kind: &str, input: &[&str]| Node {
            input: input.iter().map(|i| (*i).to_owned()).collect(),
            output: vec!["y".into()],
            name: Some(kind.into()),
            op_type: Some(kind.into()),
            attribute: Vec::new(),
        };
        let x = || Value::floats(vec![2, 3], vec![0.0; 6]);
        let run = |nodes: Vec<Node>| {
            let graph = Graph { node: nodes, output: vec![], ..Default::default() };
            Evaluator { graph, constants: HashMap::new() }.run(vec![("x", x())]).unwrap_err()
        };
        assert!(run(vec![node("Conv", &["x"])]).contains("not one of ours"));
        assert!(run(vec![node("Add", &["x"])]).contains("no input 1"));
        assert!(run(vec![node("Add", &["x", "z"])]).contains("not there"));
        assert!(run(vec![node("MatMul", &["x", "x"])]).contains("do not fit"));
        assert!(run(vec![node("Transpose", &["x"])]).contains("order"));
        assert!(run(vec![node("Gather", &["x", "x"])]).contains("whole numbers"));
        assert!(Evaluator::read(b"\x07\x07\x07").is_err());
    }
}
