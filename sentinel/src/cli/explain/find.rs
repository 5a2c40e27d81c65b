//! What is to be explained: an alert out of a file of alerts, or an event.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
};

use alerts::Sink;
use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::Value;

use crate::cli::replay::event::{Event, Line, parse};

/// Largest event that is read.
const LARGEST: u64 = 16 << 20;

/// What is to be explained.
pub(super) struct Subject {
    /// The event.
    pub(super) event: Event,
    /// The whole alert, if it is one.
    pub(super) alert: Option<Value>,
    /// Where it was found.
    pub(super) found: String,
}

/// Reads an event or alert from a file, or from standard input.
pub(super) fn event(file: &Path) -> Result<Subject> {
    let mut text = String::new();
    let read = if file == Path::new("-") {
        std::io::stdin().take(LARGEST).read_to_string(&mut text)
    } else {
        File::open(file).and_then(|file| file.take(LARGEST).read_to_string(&mut text))
    };
    read.with_context(|| format!("cannot read the event in {}", file.display()))?;
    subject(&text, file.display().to_string())
}

fn subject(text: &str, found: String) -> Result<Subject> {
    let line = parse(text).map_err(|why| anyhow!("{found}: {why}; give one JSON object, an event or an alert"))?;
    let event = match line {
        Line::Event(event) => *event,
        Line::Header => bail!("{found} starts with the header of a recording; give one of the lines after it"),
        Line::Notice => bail!("{found} is something that Sentinel says of itself, and no rule has seen it"),
    };
    let value: Value = serde_json::from_str(text).with_context(|| format!("cannot read {found}"))?;
    let is_alert = value.pointer("/sentinel/schema_version").is_some();
    Ok(Subject { event, alert: is_alert.then_some(value), found })
}

/// Looks for an alert by its id in files, or in the files that the settings name.
pub(super) fn alert(id: &str, files: &[PathBuf], sinks: &[Sink]) -> Result<Subject> {
    let of_sink = |sink: &Sink| match sink {
        Sink::File(path) => Some(path.clone()),
        _ => None,
    };
    let files = if files.is_empty() { sinks.iter().filter_map(of_sink).collect() } else { files.to_vec() };
    if files.is_empty() {
        bail!(
            "no file of alerts to look in: the settings have no file: sink; give one with --alerts FILE, or the alert with --event"
        );
    }
    let mut found: Vec<(String, String)> = Vec::new();
    for file in &files {
        search(id, file, &mut found)?;
    }
    match found.as_slice() {
        [(text, place)] => subject(text, place.clone()),
        [] => {
            let looked: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
            bail!("no alert {id} in {}; an older file may have it: --alerts FILE", looked.join(", "))
        }
        [(_, first), (_, second), ..] => {
            bail!("{id} is the beginning of several ids, as at {first} and {second}; give more of it")
        }
    }
}

/// The alerts of one file whose id begins like this.
fn search(id: &str, file: &Path, found: &mut Vec<(String, String)>) -> Result<()> {
    let what = || format!("cannot read the alerts in {}", file.display());
    if fs::metadata(file).with_context(what)?.is_dir() {
        bail!("{}: it is a directory", what());
    }
    for (number, line) in (1..).zip(BufReader::new(File::open(file).with_context(what)?).split(b'\n')) {
        let line = line.with_context(what)?;
        let text = String::from_utf8_lossy(&line);
        // Most lines need no parsing to be ruled out.
        if !text.contains(id) {
            continue;
        }
        let Ok(alert) = serde_json::from_str::<Value>(&text) else { continue };
        let is_it = alert.pointer("/event/id").and_then(Value::as_str).is_some_and(|other| other.starts_with(id));
        if is_it {
            found.push((text.into_owned(), format!("{}:{number}", file.display())));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALERTS: &str = concat!(
        r#"{"event": {"id": "01a2-1", "kind": "alert", "action": "open"}, "sentinel": {"schema_version": 1}}"#,
        "\n",
        r#"{"event": {"id": "01a2-2", "kind": "alert", "action": "exec"}, "message": "01a2-1", "sentinel": {"schema_version": 1}}"#,
        "\n{broken 01a2-2\n",
    );

    #[test]
    fn an_alert_is_found_by_its_id_or_the_beginning_of_it() {
        let file = std::env::temp_dir().join(format!("sentinel-explain-{}.jsonl", std::process::id()));
        fs::write(&file, ALERTS).unwrap();
        let files = [file.clone()];
        let sinks = [Sink::Stdout, Sink::File(file.clone())];
        assert_eq!(alert("01a2-1", &[], &sinks).unwrap().event.kind, rules::Kind::Open);
        let second = alert("01a2-2", &files, &[]).unwrap();
        assert!(second.found.ends_with(":2") && second.alert.is_some());
        for (id, why) in [("01a2", "several ids"), ("01a3", "no alert 01a3"), ("1a2-1", "no alert")] {
            let error = alert(id, &files, &[]).err().unwrap().to_string();
            assert!(error.contains(why), "{id}: {error}");
        }
        assert!(alert("x", &[], &[Sink::Stdout]).err().unwrap().to_string().contains("--alerts FILE"));
        fs::remove_file(file).unwrap();
    }
}
