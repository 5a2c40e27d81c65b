//! Which rule refers to which, over every module of a load.
//!
//! regorus overflows the stack on a recursive rule, and recurses along chains of rules; both abort the process.
//! So cycles and depth are found here, before anything is compiled.

use std::collections::{BTreeMap, BTreeSet};

use regorus::unstable::{Module, Rule};

use crate::analysis::names::{Names, Part, Path, Root, plain_path};
use crate::analysis::walk::{Head, Item, Nesting, walk_rule};

/// What a body costs of a stack, in levels of expressions (measured: 45 kB and 2 kB in a debug build).
const RULE_WEIGHT: usize = 20;

/// One definition: its module and its place in it.
pub(crate) type Definition = (usize, usize);

/// A rule, all its definitions together.
#[derive(Debug, Default)]
pub(crate) struct Node {
    /// Package and name, without `data`.
    pub(crate) path: Vec<String>,
    pub(crate) definitions: Vec<Definition>,
    /// Rules it refers to.
    pub(crate) edges: BTreeSet<usize>,
    /// What it reads of `input`.
    pub(crate) input: BTreeSet<Vec<String>>,
    /// Functions it calls that are no rules: name, definition, line, column.
    pub(crate) builtins: Vec<(String, Definition, u32, u32)>,
    /// Deepest nesting of its expressions.
    pub(crate) depth: usize,
    /// Deepest nesting of its bodies.
    pub(crate) queries: usize,
}

impl Node {
    /// What it costs of a stack.
    fn weight(&self) -> usize {
        RULE_WEIGHT * self.queries.max(1) + self.depth
    }

    /// The name for people, `data.a.b`.
    pub(crate) fn name(&self) -> String {
        format!("data.{}", self.path.join("."))
    }
}

/// What one definition refers to.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// Rules.
    pub(crate) edges: BTreeSet<usize>,
    /// Parts of `input`.
    pub(crate) input: BTreeSet<Vec<String>>,
    /// Functions that are no rules: name, line, column.
    pub(crate) builtins: Vec<(String, u32, u32)>,
    /// References to what is no rule: variables and data.
    pub(crate) unknown: Vec<Unknown>,
    pub(crate) nesting: Nesting,
}

/// A reference to what is no rule.
#[derive(Debug)]
pub(crate) struct Unknown {
    pub(crate) path: Path,
    /// Whether a variable can get its value here.
    pub(crate) gives: bool,
    /// The bodies around it, outermost first.
    pub(crate) bodies: Vec<u32>,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// Every rule of a load and the references between them.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    by_path: BTreeMap<Vec<String>, usize>,
}

/// The path of a rule, without `data`.
pub(crate) fn rule_path(names: &Names, rule: &Rule) -> Vec<String> {
    let refr = match rule {
        Rule::Default { refr, .. } => refr.as_ref(),
        Rule::Spec { head, .. } => Head::of(head).refr,
    };
    names.package.iter().cloned().chain(plain_path(refr)).collect()
}

impl Graph {
    pub(crate) fn build<'a>(modules: impl Iterator<Item = (&'a Module, &'a Names)> + Clone) -> Graph {
        let mut graph = Graph::default();
        for (index, (module, names)) in modules.clone().enumerate() {
            for (place, rule) in module.policy.iter().enumerate() {
                let node = graph.node(rule_path(names, rule));
                graph.nodes[node].definitions.push((index, place));
            }
        }
        for (index, (module, names)) in modules.enumerate() {
            for (place, rule) in module.policy.iter().enumerate() {
                graph.connect((index, place), rule, names);
            }
        }
        graph
    }

    fn node(&mut self, path: Vec<String>) -> usize {
        if let Some(node) = self.by_path.get(&path) {
            return *node;
        }
        self.nodes.push(Node { path: path.clone(), ..Node::default() });
        self.by_path.insert(path, self.nodes.len() - 1);
        self.nodes.len() - 1
    }

    fn connect(&mut self, definition: Definition, rule: &Rule, names: &Names) {
        let look = self.look(rule, names);
        let node = self.node(rule_path(names, rule));
        let node = &mut self.nodes[node];
        node.edges.extend(look.edges);
        node.input.extend(look.input);
        let builtins = look.builtins.into_iter().map(|(name, line, column)| (name, definition, line, column));
        node.builtins.extend(builtins);
        node.depth = node.depth.max(look.nesting.expressions);
        node.queries = node.queries.max(look.nesting.queries);
    }

    /// What one definition refers to, by itself.
    pub(crate) fn look(&self, rule: &Rule, names: &Names) -> Look {
        let mut look = Look::default();
        look.nesting = walk_rule(rule, names, &mut |item| match item {
            Item::Ref(path, ..) if path.root == Root::Input => {
                look.input.insert(path.parts.into_iter().map(display_part).collect());
            }
            Item::Ref(path, span, gives, bodies) => {
                let targets = self.targets(&path);
                if targets.is_empty() {
                    look.unknown.push(Unknown {
                        path,
                        gives,
                        bodies: bodies.to_vec(),
                        line: span.line,
                        column: span.col,
                    });
                }
                look.edges.extend(targets);
            }
            Item::Call(call) => {
                let targets = call.path.map(|path| self.targets(&path)).unwrap_or_default();
                if targets.is_empty() {
                    look.builtins.push((call.name, call.span.line, call.span.col));
                }
                look.edges.extend(targets);
            }
        });
        look
    }

    /// The rules a reference may read: those on the way to it, and those below it.
    pub(crate) fn targets(&self, path: &Path) -> Vec<usize> {
        if path.root == Root::Input {
            return Vec::new();
        }
        let known = path.known();
        let above = (1..known.len()).filter_map(|length| self.by_path.get(&known[..length]).copied());
        let below = self.by_path.range(known.clone()..).take_while(|(path, _)| path.starts_with(&known));
        above.chain(below.map(|(_, node)| *node)).collect()
    }

    /// The rule with exactly this path.
    pub(crate) fn find(&self, path: &[String]) -> Option<usize> {
        self.by_path.get(path).copied()
    }

    /// Every node that `start` reaches, itself included.
    pub(crate) fn reachable(&self, start: impl IntoIterator<Item = usize>) -> BTreeSet<usize> {
        let mut open: Vec<usize> = start.into_iter().collect();
        let mut seen: BTreeSet<usize> = open.iter().copied().collect();
        while let Some(node) = open.pop() {
            open.extend(self.nodes[node].edges.iter().filter(|next| seen.insert(**next)));
        }
        seen
    }

    /// One cycle for every group of rules that refer to each other in a circle; the start is repeated at the end.
    pub(crate) fn cycles(&self) -> Vec<Vec<usize>> {
        let mut state = vec![Color::New; self.nodes.len()];
        let mut cycles = Vec::new();
        for start in 0..self.nodes.len() {
            if state[start] == Color::New {
                self.search(start, &mut state, &mut cycles);
            }
        }
        cycles
    }

    fn search(&self, start: usize, state: &mut [Color], cycles: &mut Vec<Vec<usize>>) {
        let mut trail = vec![(start, self.nodes[start].edges.iter())];
        state[start] = Color::Open;
        while let Some((node, edges)) = trail.last_mut() {
            match edges.next() {
                None => {
                    state[*node] = Color::Done;
                    trail.pop();
                }
                Some(next) => match state[*next] {
                    Color::Done => {}
                    Color::New => {
                        state[*next] = Color::Open;
                        trail.push((*next, self.nodes[*next].edges.iter()));
                    }
                    Color::Open => {
                        let from = trail.iter().position(|(node, _)| node == next).unwrap_or(0);
                        let mut cycle: Vec<usize> = trail[from..].iter().map(|(node, _)| *node).collect();
                        cycle.push(*next);
                        cycles.push(cycle);
                    }
                },
            }
        }
    }

    /// For each node, what it and the heaviest chain of rules below it cost of a stack. Needs a graph without
    /// cycles.
    pub(crate) fn weights(&self) -> Vec<usize> {
        let mut weights: Vec<usize> = vec![0; self.nodes.len()];
        for start in 0..self.nodes.len() {
            let mut trail =
                if weights[start] == 0 { vec![(start, self.nodes[start].edges.iter())] } else { Vec::new() };
            while let Some((node, edges)) = trail.last_mut() {
                match edges.find(|next| weights[**next] == 0) {
                    Some(next) => trail.push((*next, self.nodes[*next].edges.iter())),
                    None => {
                        let own = &self.nodes[*node];
                        let below = own.edges.iter().map(|next| weights[*next]).max().unwrap_or(0);
                        weights[*node] = own.weight() + below;
                        trail.pop();
                    }
                }
            }
        }
        weights
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Color {
    New,
    Open,
    Done,
}

fn display_part(part: Part) -> String {
    match part {
        Part::Name(name) => name,
        Part::Any => "*".to_owned(),
    }
}
