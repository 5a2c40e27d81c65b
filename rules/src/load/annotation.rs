//! Reads one METADATA block: a comment of YAML.
//!
//! regorus skips comments, so blocks are found and read here. An annotation that is wrong is an error: an id or
//! severity that silently went missing would be found out in an alert.

use regorus::Value;

use super::guard::Tokens;
use super::parse;
use crate::analysis::corpus::Source;
use crate::diagnostic::{Diagnostic, Findings};
use crate::fields::{Fields, Problem, items, nearest, text, type_name, word};
use crate::member;
use crate::techniques::parse_technique;
use crate::vocabulary::{Maturity, Mode, OnError, Severity, Technique};

/// Keys of a block that OPA defines.
const KEYS: &[&str] = &[
    "scope",
    "title",
    "description",
    "related_resources",
    "authors",
    "organizations",
    "schemas",
    "entrypoint",
    "compile",
    "custom",
];
/// Keys below `custom` that mean something to Sentinel. Others are free.
const CUSTOM_KEYS: &[&str] =
    &["id", "severity", "mitre", "ttl", "mode", "maturity", "on_error", "every_event", "accept"];
/// Warnings that an author may say are meant.
const ACCEPTABLE: &[&str] = &["entry-for-everyone", "entry-wider-than-rule"];

/// What one block says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Annotation {
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    pub(super) related: Option<Vec<String>>,
    pub(super) id: Option<String>,
    pub(super) severity: Option<Severity>,
    pub(super) techniques: Option<Vec<Technique>>,
    pub(super) ttl: Option<u64>,
    pub(super) mode: Option<Mode>,
    pub(super) maturity: Option<Maturity>,
    pub(super) on_error: Option<OnError>,
    pub(super) every_event: Option<bool>,
    pub(super) accept: Option<Vec<String>>,
}

impl Annotation {
    /// What this says, completed by what `outer` says.
    pub(super) fn or(self, outer: Option<&Annotation>) -> Annotation {
        let Some(outer) = outer.cloned() else { return self };
        Annotation {
            title: self.title.or(outer.title),
            description: self.description.or(outer.description),
            related: self.related.or(outer.related),
            id: self.id.or(outer.id),
            severity: self.severity.or(outer.severity),
            techniques: self.techniques.or(outer.techniques),
            ttl: self.ttl.or(outer.ttl),
            mode: self.mode.or(outer.mode),
            maturity: self.maturity.or(outer.maturity),
            on_error: self.on_error.or(outer.on_error),
            every_event: self.every_event.or(outer.every_event),
            accept: self.accept.or(outer.accept),
        }
    }
}

/// What a block is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    Rule,
    Document,
    Package,
    Subpackages,
}

/// One comment block: the YAML below its `# METADATA` line.
pub(super) struct Block {
    /// Line of `# METADATA`.
    pub(super) line: u32,
    /// Last line of the block.
    pub(super) end: u32,
    yaml: String,
}

/// The blocks of a text.
pub(super) fn blocks(text: &str, tokens: &Tokens) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for (number, line) in (1u32..).zip(text.lines()) {
        let comment = line.trim_start().strip_prefix('#').filter(|_| !tokens.code_lines.contains(&number));
        match (comment, inside) {
            (Some(comment), _) if comment.trim() == "METADATA" => {
                blocks.push(Block { line: number, end: number, yaml: String::new() });
                inside = true;
            }
            (Some(comment), true) => {
                if let Some(block) = blocks.last_mut() {
                    block.yaml.push_str(comment.trim_end());
                    block.yaml.push('\n');
                    block.end = number;
                }
            }
            (Some(_), false) => {}
            (None, _) => inside = false,
        }
    }
    blocks
}

impl Block {
    pub(super) fn read(
        &self,
        source: &Source,
        findings: &mut Findings,
    ) -> Result<(Option<Scope>, Annotation), (u32, Problem)> {
        let value = Value::from_yaml_str(&self.yaml).map_err(|error| self.yaml_problem(&error.to_string()))?;
        let at_block = |problem| (self.line, problem);
        let object = match &value {
            Value::Object(object) => object,
            Value::Null | Value::Undefined => return Err(at_block(Problem::new("the METADATA block is empty"))),
            other => {
                let problem = Problem::new(format!("the METADATA block is {}, not a mapping", type_name(other)));
                return Err(at_block(problem.hint("write it as `# title: ...` below `# METADATA`")));
            }
        };
        let fields = Fields::new(object, KEYS).map_err(|problem| (self.line_of_problem(&problem), problem))?;
        let scope = fields.text("scope").and_then(|scope| scope.map(read_scope).transpose());
        let scope = scope.map_err(|problem| (self.line_of("scope"), problem))?;
        let mut annotation = Annotation::default();
        for key in ["title", "description", "related_resources"] {
            self.read_plain(key, &fields, &mut annotation).map_err(|problem| (self.line_of(key), problem))?;
        }
        match fields.get("custom") {
            None => {}
            Some(Value::Object(custom)) => self.read_custom(custom, &mut annotation, source, findings)?,
            Some(other) => {
                let problem = Problem::new(format!("\"custom\" is {}, not a mapping", type_name(other)));
                return Err((self.line_of("custom"), problem));
            }
        }
        Ok((scope, annotation))
    }

    fn read_plain(&self, key: &str, fields: &Fields<'_>, annotation: &mut Annotation) -> Result<(), Problem> {
        match key {
            "title" => annotation.title = fields.text(key)?.map(str::to_owned),
            "description" => annotation.description = fields.text(key)?.map(|text| text.trim_end().to_owned()),
            _ if fields.get(key).is_some() => annotation.related = Some(read_related(fields)?),
            _ => {}
        }
        Ok(())
    }

    fn read_custom(
        &self,
        custom: &regorus::value::Object,
        annotation: &mut Annotation,
        source: &Source,
        findings: &mut Findings,
    ) -> Result<(), (u32, Problem)> {
        for (key, value) in custom.iter() {
            let Value::String(key) = key else { continue };
            let line = self.line_of(key);
            if CUSTOM_KEYS.contains(&key.as_ref()) {
                read_custom_key(key, value, annotation).map_err(|problem| (line, problem))?;
            } else if let Some(meant) = nearest(key, CUSTOM_KEYS) {
                let message = format!("custom.{key} means nothing to Sentinel");
                let finding = Diagnostic::at(&source.file, &source.text, line, 1, message);
                findings.notice(finding.hint(format!("did you mean \"{meant}\"?")).code("metadata"));
            }
        }
        Ok(())
    }

    /// The line on which a key stands; the block's own when it is not found.
    fn line_of(&self, key: &str) -> u32 {
        let stands = |line: &str| line.trim_start().strip_prefix(key).is_some_and(|rest| rest.starts_with(':'));
        let offset = self.yaml.lines().position(stands).and_then(|index| u32::try_from(index + 1).ok());
        self.line + offset.unwrap_or(0)
    }

    fn line_of_problem(&self, problem: &Problem) -> u32 {
        problem.message.split('"').nth(1).map_or(self.line, |key| self.line_of(key))
    }

    fn yaml_problem(&self, error: &str) -> (u32, Problem) {
        let line = error.split_once("at line ").and_then(|(_, rest)| {
            rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse::<u32>().ok())
        });
        let message = parse::message(error);
        // Lines are told by the finding.
        let message =
            message.split(" at line ").next().unwrap_or_default().trim_start_matches("Failed to parse YAML: ");
        let problem = Problem::new(format!("the METADATA block is not valid YAML: {message}"));
        let line = line.map_or(self.line, |line| (self.line + line).min(self.end));
        (line, problem.hint("quote texts that hold `: ` or start with a special character"))
    }
}

fn read_scope(text: &str) -> Result<Scope, Problem> {
    match text {
        "rule" => Ok(Scope::Rule),
        "document" => Ok(Scope::Document),
        "package" => Ok(Scope::Package),
        "subpackages" => Ok(Scope::Subpackages),
        other => Err(Problem::new(format!("\"{other}\" is no scope of an annotation"))
            .hint("use rule, document, package or subpackages")),
    }
}

fn read_custom_key(key: &str, value: &Value, annotation: &mut Annotation) -> Result<(), Problem> {
    match key {
        "id" => annotation.id = Some(member::read_id(value)?.to_owned()),
        "severity" => annotation.severity = Some(word("severity", text(key, value)?)?),
        "mode" => annotation.mode = Some(word("mode", text(key, value)?)?),
        "maturity" => annotation.maturity = Some(word("maturity", text(key, value)?)?),
        "on_error" => annotation.on_error = Some(word("on_error", text(key, value)?)?),
        "every_event" => annotation.every_event = Some(read_flag(key, value)?),
        "ttl" => annotation.ttl = Some(member::read_ttl(value)?),
        "accept" => annotation.accept = Some(read_accept(value)?),
        _ => annotation.techniques = Some(read_techniques(value)?),
    }
    Ok(())
}

fn read_flag(key: &str, value: &Value) -> Result<bool, Problem> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        other => Err(Problem::new(format!("\"{key}\" is {}, not true or false", type_name(other)))),
    }
}

fn read_techniques(value: &Value) -> Result<Vec<Technique>, Problem> {
    let items = items(value).unwrap_or_else(|| vec![value]);
    let read = |item| {
        let id = text("mitre", item)?;
        parse_technique(id).ok_or_else(|| {
            Problem::new(format!("\"{id}\" is not a MITRE ATT&CK technique id")).hint("write it as T1059 or T1059.004")
        })
    };
    items.into_iter().map(read).collect()
}

/// Codes of warnings.
fn read_accept(value: &Value) -> Result<Vec<String>, Problem> {
    let items = items(value).unwrap_or_else(|| vec![value]);
    let read = |item| {
        let code = text("accept", item)?;
        let known = ACCEPTABLE.contains(&code).then(|| code.to_owned());
        known.ok_or_else(|| {
            Problem::new(format!("\"{code}\" is no warning that can be accepted"))
                .hint(format!("use one of: {}", ACCEPTABLE.join(", ")))
        })
    };
    items.into_iter().map(read).collect()
}

/// Related resources are texts, or mappings with `ref` and `description`.
fn read_related(fields: &Fields<'_>) -> Result<Vec<String>, Problem> {
    let read = |item: &Value| match item {
        Value::Object(object) => Fields::new(object, &["ref", "description"])?.required_text("ref").map(str::to_owned),
        other => text("related_resources", other).map(str::to_owned),
    };
    fields.list("related_resources").into_iter().map(read).collect()
}
