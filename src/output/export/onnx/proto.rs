//! The messages of an ONNX file, with the fields that we write (onnx/onnx.proto).

use prost::Message;

/// Types of tensors.
pub mod kind {
    /// 32-bit floats.
    pub const FLOAT: i32 = 1;
    /// Unsigned bytes.
    pub const UINT8: i32 = 2;
    /// Signed bytes.
    pub const INT8: i32 = 3;
    /// 64-bit whole numbers.
    pub const INT64: i32 = 7;
}

/// A whole model.
#[derive(Clone, PartialEq, Message)]
pub struct Model {
    /// The version of these messages.
    #[prost(int64, optional, tag = "1")]
    pub ir_version: Option<i64>,
    /// By what it was written.
    #[prost(string, optional, tag = "2")]
    pub producer_name: Option<String>,
    /// Its version.
    #[prost(string, optional, tag = "3")]
    pub producer_version: Option<String>,
    /// What is computed.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    /// The versions of the operators.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<Opset>,
    /// What else is known of it.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<Property>,
}

/// A set of operators.
#[derive(Clone, PartialEq, Message)]
pub struct Opset {
    /// Empty for ONNX's own.
    #[prost(string, optional, tag = "1")]
    pub domain: Option<String>,
    /// Its version.
    #[prost(int64, optional, tag = "2")]
    pub version: Option<i64>,
}

/// A text by its name.
#[derive(Clone, PartialEq, Message)]
pub struct Property {
    /// The name.
    #[prost(string, optional, tag = "1")]
    pub key: Option<String>,
    /// The text.
    #[prost(string, optional, tag = "2")]
    pub value: Option<String>,
}

/// What is computed: operators in an order in which each finds its inputs.
#[derive(Clone, PartialEq, Message)]
pub struct Graph {
    /// Operators.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    /// Its name.
    #[prost(string, optional, tag = "2")]
    pub name: Option<String>,
    /// Constants.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<Tensor>,
    /// What goes in.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<Place>,
    /// What comes out.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<Place>,
}

/// One operator.
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    /// Names of its inputs.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of its outputs.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// Its own name.
    #[prost(string, optional, tag = "3")]
    pub name: Option<String>,
    /// What it does.
    #[prost(string, optional, tag = "4")]
    pub op_type: Option<String>,
    /// How.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
}

/// A setting of an operator.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    /// Its name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// A float.
    #[prost(float, optional, tag = "2")]
    pub f: Option<f32>,
    /// A whole number.
    #[prost(int64, optional, tag = "3")]
    pub i: Option<i64>,
    /// Whole numbers.
    #[prost(int64, repeated, packed = "false", tag = "8")]
    pub ints: Vec<i64>,
    /// Which of them: 1 a float, 2 a number, 7 numbers.
    #[prost(int32, optional, tag = "20")]
    pub r#type: Option<i32>,
}

/// A constant.
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    /// Its shape.
    #[prost(int64, repeated, packed = "false", tag = "1")]
    pub dims: Vec<i64>,
    /// The type of its elements.
    #[prost(int32, optional, tag = "2")]
    pub data_type: Option<i32>,
    /// Its name.
    #[prost(string, optional, tag = "8")]
    pub name: Option<String>,
    /// Its elements, little-endian.
    #[prost(bytes = "vec", optional, tag = "9")]
    pub raw_data: Option<Vec<u8>>,
}

/// A name with its type.
#[derive(Clone, PartialEq, Message)]
pub struct Place {
    /// The name.
    #[prost(string, optional, tag = "1")]
    pub name: Option<String>,
    /// The type.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<Type>,
}

/// The type of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct Type {
    /// It is one.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorType>,
}

/// Elements and shape.
#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    /// The type of the elements.
    #[prost(int32, optional, tag = "1")]
    pub elem_type: Option<i32>,
    /// The shape.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<Shape>,
}

/// A shape.
#[derive(Clone, PartialEq, Message)]
pub struct Shape {
    /// Its sizes.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Size>,
}

/// A size, fixed or by a name.
#[derive(Clone, PartialEq, Message)]
pub struct Size {
    /// A fixed one.
    #[prost(int64, optional, tag = "1")]
    pub dim_value: Option<i64>,
    /// One that each call decides.
    #[prost(string, optional, tag = "2")]
    pub dim_param: Option<String>,
}
