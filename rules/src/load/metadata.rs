//! METADATA annotations: which block is about what.
//!
//! A block stands above a package or rule. What holds for a definition is what its own block says, completed by
//! those of its document, its package and the packages around it. Reading one block is in `annotation`.

use std::collections::BTreeMap;

use super::annotation::{Annotation, Block, Scope, blocks};
use super::guard::Tokens;
use crate::analysis::corpus::Source;
use crate::analysis::graph::rule_path;
use crate::diagnostic::{Diagnostic, Findings};
use crate::fields::Problem;

/// The annotations of every module, by what they are about.
#[derive(Debug, Default)]
pub(super) struct Annotations {
    rules: BTreeMap<(usize, usize), Annotation>,
    documents: BTreeMap<(Vec<String>, Vec<String>), Annotation>,
    /// Of the module's own package statement.
    own_packages: BTreeMap<usize, Annotation>,
    /// Of the package, wherever it was said.
    packages: BTreeMap<Vec<String>, Annotation>,
    subpackages: BTreeMap<Vec<String>, Annotation>,
}

impl Annotations {
    /// Reads every block of a module.
    pub(super) fn add(&mut self, index: usize, source: &Source, tokens: &Tokens, findings: &mut Findings) {
        for block in blocks(&source.text, tokens) {
            if let Err(problem) = self.add_block(index, source, &block, findings) {
                let finding = Diagnostic::at(&source.file, &source.text, problem.0, 1, problem.1.message);
                findings.error(finding.hint(problem.1.hint).code("metadata"));
            }
        }
    }

    fn add_block(
        &mut self,
        index: usize,
        source: &Source,
        block: &Block,
        findings: &mut Findings,
    ) -> Result<(), (u32, Problem)> {
        let at_block = |problem| (block.line, problem);
        let (scope, annotation) = block.read(source, findings)?;
        let target = target(source, block.end).map_err(at_block)?;
        let package = source.names.package.clone();
        let slot = match (scope, target) {
            (None | Some(Scope::Rule), Target::Rule(place)) => self.rules.entry((index, place)).or_default(),
            (Some(Scope::Document), Target::Rule(place)) => {
                let path = rule_path(&source.names, &source.module.policy[place]);
                self.documents.entry((package, path)).or_default()
            }
            (None | Some(Scope::Package), Target::Package) => {
                self.packages.entry(package).or_insert_with(|| annotation.clone());
                self.own_packages.entry(index).or_default()
            }
            (Some(Scope::Subpackages), Target::Package) => self.subpackages.entry(package).or_default(),
            (Some(Scope::Rule | Scope::Document), Target::Package) => {
                return Err(at_block(Problem::new("this scope is for rules, and the block stands above the package")));
            }
            (Some(Scope::Package | Scope::Subpackages), Target::Rule(_)) => {
                let problem = Problem::new("this scope is for packages, and the block stands above a rule");
                return Err(at_block(problem.hint("move the block above the package statement")));
            }
        };
        if *slot != Annotation::default() {
            return Err(at_block(Problem::new("this is annotated twice").hint("merge the two METADATA blocks")));
        }
        *slot = annotation;
        Ok(())
    }

    /// What holds for one definition: its own block, then that of its document, package and outer packages.
    pub(super) fn of(&self, index: usize, place: usize, source: &Source) -> Annotation {
        let package = &source.names.package;
        let path = rule_path(&source.names, &source.module.policy[place]);
        let own = self.rules.get(&(index, place)).cloned().unwrap_or_default();
        let mut merged = own
            .or(self.documents.get(&(package.clone(), path)))
            .or(self.own_packages.get(&index))
            .or(self.packages.get(package));
        for length in (1..=package.len()).rev() {
            merged = merged.or(self.subpackages.get(&package[..length]));
        }
        merged
    }
}

enum Target {
    Package,
    Rule(usize),
}

/// What follows a block.
fn target(source: &Source, end: u32) -> Result<Target, Problem> {
    let package = source.module.package.span.line;
    if end < package {
        return Ok(Target::Package);
    }
    let rule = source.module.policy.iter().position(|rule| rule.span().line > end);
    let next_import = source.module.imports.iter().map(|import| import.span.line).find(|line| *line > end);
    if next_import.is_some() {
        return Err(Problem::new("a METADATA block stands above an import").hint("move it above a package or rule"));
    }
    rule.map(Target::Rule).ok_or_else(|| Problem::new("a METADATA block has nothing below it"))
}
