//! A family within a module, so that the module's parameters bear its names.
//!
//! A family holds no parameter. It stands first in an encoder and says its name to whoever walks
//! the module; [`crate::task::parameters`] listens and names what follows accordingly.

use burn::module::{
    Content, Devices, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor,
};
use burn::tensor::Device;

use crate::params::Family;

/// The container under which a family says its name.
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
