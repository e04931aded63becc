//! Implements Burn's `Module` for [`Family`], without parameters, so that a `ModuleVisitor` of an encoder learns
//! by which names its parameters are called.
//!
//! It is the first field of an encoder: `enter_module` is called with the family's name and [`CONTAINER`] before the
//! encoder's parameters are visited, and [`crate::task::parameters`] then uses the family's parameter names.

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::Device;

use crate::params::Family;

/// The container type that `enter_module` receives for a family.
pub const CONTAINER: &str = "Family";

impl Module for Family {
    fn visit<V: ModuleVisitor>(&self, visitor: &mut V) {
        visitor.enter_module(self.model_type(), CONTAINER);
        visitor.exit_module(self.model_type(), CONTAINER);
    }

    fn map<M: ModuleMapper>(self, mapper: &mut M) -> Self {
        mapper.enter_module(self.model_type(), CONTAINER);
        mapper.exit_module(self.model_type(), CONTAINER);
        self
    }

    fn to_device(self, _: &Device) -> Self {
        self
    }

    fn fork(self, _: &Device) -> Self {
        self
    }

    fn collect_devices(&self, devices: Devices) -> Devices {
        devices
    }

    fn materialize(self) -> Self {
        self
    }

    fn valid(&self) -> Self {
        *self
    }

    fn train(self) -> Self {
        self
    }
}

impl ModuleDisplayDefault for Family {
    fn content(&self, content: Content) -> Option<Content> {
        content.add_formatted(&self.model_type().to_owned()).optional()
    }
}

impl ModuleDisplay for Family {}
