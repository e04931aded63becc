//! Reading the weights of an ONNX file, dequantized, and the scales of its `QuantizeLinear` nodes.

use std::collections::{BTreeSet, HashMap};

use prost::Message;

use super::proto::{Graph, Model, Tensor, kind};
use crate::diag::counted;

/// The initializers of a graph by name.
pub struct Constants {
    graph: Graph,
    by_name: HashMap<String, usize>,
}

impl Constants {
    /// Decodes the bytes of a file.
    ///
    /// # Errors
    /// A sentence if they are no ONNX model, or an initializer's bytes do not fit its shape.
    pub fn read(bytes: &[u8]) -> Result<Constants, String> {
        let model = Model::decode(bytes).map_err(|e| format!("it is not an ONNX model: {e}"))?;
        let graph = model.graph.ok_or("it has no graph")?;
        let mut by_name = HashMap::new();
        for (i, tensor) in graph.initializer.iter().enumerate() {
            let name = tensor.name.clone().unwrap_or_default();
            check(tensor).map_err(|why| format!("the initializer `{name}` {why}"))?;
            by_name.insert(name, i);
        }
        Ok(Constants { graph, by_name })
    }

    /// A weight: `q · scale` for INT8 with zero point 0, as `DequantizeLinear` computes it; a float weight as it is.
    /// Values are in the order of the file.
    ///
    /// # Errors
    /// A sentence if it is missing, or its scales do not fit.
    pub fn weight(&self, name: &str) -> Result<Vec<f32>, String> {
        let stored = self.find(name)?;
        if stored.data_type == Some(kind::FLOAT) {
            return Ok(floats(stored));
        }
        if stored.data_type != Some(kind::INT8) {
            return Err("it is neither FLOAT nor INT8".to_owned());
        }
        let bytes = raw(stored).iter().map(|b| f32::from(*b as i8));
        let width = stored.dims.last().map_or(1, |d| *d as usize).max(1);
        // An embedding with a scale for each row is multiplied after the look-up.
        if let Ok(scales) = self.find(&format!("{name}_scales")) {
            let scales = floats(scales);
            return bytes
                .enumerate()
                .map(|(i, b)| Some(b * scales.get(i / width)?))
                .collect::<Option<_>>()
                .ok_or(format!("it has {} for its rows", counted(scales.len(), "scale", "scales")));
        }
        let scales = floats(self.find(&format!("{name}_scale"))?);
        let points = raw(self.find(&format!("{name}_zero_point"))?);
        if points.iter().any(|p| *p != 0) || points.len() != scales.len() {
            return Err("its zero points are not 0, one for each scale".to_owned());
        }
        match scales[..] {
            [one] => Ok(bytes.map(|b| b * one).collect()),
            // One for each output, which are the columns in the file.
            _ if scales.len() == width => Ok(bytes.enumerate().map(|(i, b)| b * scales[i % width]).collect()),
            _ => Err(format!(
                "it has {} for {}",
                counted(scales.len(), "scale", "scales"),
                counted(width, "output", "outputs")
            )),
        }
    }

    /// The scale (its bits) and the zero point of every `QuantizeLinear`.
    ///
    /// # Errors
    /// A message of one sentence if one of them is not a constant of the right type.
    pub fn activation_scales(&self) -> Result<BTreeSet<(u32, u8)>, String> {
        let mut all = BTreeSet::new();
        for node in self.graph.node.iter().filter(|n| n.op_type.as_deref() == Some("QuantizeLinear")) {
            let input = |i: usize| self.find(node.input.get(i).ok_or("an input is missing")?);
            let (scale, point) = (input(1)?, input(2)?);
            let is_scalar = |t: &Tensor, kind| t.data_type == Some(kind) && t.dims.is_empty();
            if !is_scalar(scale, kind::FLOAT) || !is_scalar(point, kind::UINT8) {
                let name = node.name.as_deref().unwrap_or("");
                return Err(format!("`{name}` does not have one FLOAT scale and one UINT8 zero point"));
            }
            all.insert((floats(scale)[0].to_bits(), raw(point)[0]));
        }
        Ok(all)
    }

    fn find(&self, name: &str) -> Result<&Tensor, String> {
        let index = self.by_name.get(name).ok_or_else(|| format!("there is no initializer `{name}`"))?;
        Ok(&self.graph.initializer[*index])
    }
}

/// Whether the bytes are as many as type and shape say.
fn check(tensor: &Tensor) -> Result<(), String> {
    let width = match tensor.data_type {
        Some(kind::FLOAT) => 4usize,
        Some(kind::INT64) => 8,
        Some(kind::INT8 | kind::UINT8) => 1,
        other => return Err(format!("has the type {other:?}")),
    };
    let size = |n: usize, d: &i64| n.checked_mul(usize::try_from(*d).ok()?);
    match tensor.dims.iter().try_fold(width, size) {
        Some(bytes) if bytes == raw(tensor).len() => Ok(()),
        _ => Err(format!("has {} bytes for the shape {:?}", raw(tensor).len(), tensor.dims)),
    }
}

fn raw(tensor: &Tensor) -> &[u8] {
    tensor.raw_data.as_deref().unwrap_or(&[])
}

fn floats(tensor: &Tensor) -> Vec<f32> {
    raw(tensor).as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, kind: i32, dims: &[i64], raw_data: &[u8]) -> Tensor {
        let (name, raw_data) = (Some(name.to_owned()), Some(raw_data.to_vec()));
        Tensor { dims: dims.to_vec(), data_type: Some(kind), name, raw_data }
    }

    fn read(initializer: Vec<Tensor>) -> Result<Constants, String> {
        let graph = Graph { initializer, ..Default::default() };
        Constants::read(&Model { graph: Some(graph), ..Default::default() }.encode_to_vec())
    }

    fn bytes(values: &[f32]) -> Vec<u8> {
        values.iter().flat_map(|v| v.to_le_bytes()).collect()
    }

    #[test]
    fn weights_are_multiplied_out_by_column_by_row_or_as_a_whole() {
        let q = [1u8, 2, 0xff, 4, 5, 0xfa];
        let weight = |scales: &[f32], dims: &[i64], name: &str| {
            let constants = read(vec![
                tensor("w", kind::INT8, &[2, 3], &q),
                tensor(name, kind::FLOAT, dims, &bytes(scales)),
                tensor("w_zero_point", kind::INT8, dims, &vec![0; scales.len()]),
            ]);
            constants.unwrap().weight("w")
        };
        assert_eq!(weight(&[2.0], &[], "w_scale").unwrap(), [2.0, 4.0, -2.0, 8.0, 10.0, -12.0]);
        assert_eq!(weight(&[1.0, 2.0, 3.0], &[3], "w_scale").unwrap(), [1.0, 4.0, -3.0, 4.0, 10.0, -18.0]);
        assert_eq!(weight(&[1.0, 2.0], &[2, 1], "w_scales").unwrap(), [1.0, 2.0, -1.0, 8.0, 10.0, -12.0]);
        assert!(weight(&[1.0, 2.0], &[2], "w_scale").unwrap_err().contains("2 scales for 3 outputs"));
        assert!(weight(&[1.0], &[1], "w_scales").unwrap_err().contains("1 scale "));
    }

    #[test]
    fn a_hostile_file_is_refused_in_a_sentence() {
        assert!(Constants::read(b"\x07\x07\x07").is_err());
        for (dims, kind) in
            [(&[2, 3][..], kind::FLOAT), (&[-1], kind::INT8), (&[i64::MAX, 9], kind::INT8), (&[4], 99)]
        {
            let why = read(vec![tensor("w", kind, dims, &[0; 4])]).map(|_| ()).unwrap_err();
            assert!(why.starts_with("the initializer `w` has"), "{why}");
        }
        let constants = read(vec![tensor("w", kind::INT8, &[4], &[0; 4])]).unwrap();
        assert!(constants.weight("w").unwrap_err().contains("`w_scale`"));
        assert!(constants.weight("v").unwrap_err().contains("`v`"));
    }
}
