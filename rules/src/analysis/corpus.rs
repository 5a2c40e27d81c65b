//! Every module of a load, parsed, with the graph over all of them.

use std::sync::Arc;

use regorus::unstable::{Module, Rule};

use crate::analysis::graph::{Definition, Graph};
use crate::analysis::names::Names;

/// One parsed module.
#[derive(Debug)]
pub(crate) struct Source {
    /// The file, as it was named.
    pub(crate) file: String,
    pub(crate) text: Arc<str>,
    pub(crate) module: Module,
    pub(crate) names: Names,
    /// Whether it is written in the older language.
    pub(crate) v0: bool,
}

impl Source {
    /// The package without `data`, dotted.
    pub(crate) fn package(&self) -> String {
        self.names.package.join(".")
    }

    /// Whether its event and standing rules are evaluated: `package sentinel.<name>`.
    pub(crate) fn is_policy(&self) -> bool {
        self.names.package.len() >= 2 && self.names.package[0] == "sentinel"
    }
}

/// Modules and graph.
#[derive(Debug, Default)]
pub(crate) struct Corpus {
    pub(crate) modules: Vec<Source>,
    pub(crate) graph: Graph,
}

impl Corpus {
    pub(crate) fn new(modules: Vec<Source>) -> Corpus {
        let graph = Graph::build(modules.iter().map(|source| (&source.module, &source.names)));
        Corpus { modules, graph }
    }

    pub(crate) fn rule(&self, (module, place): Definition) -> &Rule {
        &self.modules[module].module.policy[place]
    }
}
