//! A sink with everything that can be set about it: in the settings file a text, or a table with `to` and more keys.
//!
//! Invariant: a key that means nothing for this kind of sink is an error, so that no setting is believed in force in vain.
//!
//! Not here: what the keys do (the file of each kind).

use std::fmt;
use std::path::PathBuf;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{Sink, SinkError};
use crate::formats::Format;

/// A sink and its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkSettings {
    /// Where alerts go.
    pub sink: Sink,
    /// In which format; `None`: in the common one.
    pub format: Option<Format>,
    /// The other keys.
    pub(crate) keys: Keys,
}

/// Keys of a sink's table, beside `to` and `format`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Keys {
    to: Option<String>,
    format: Option<String>,
    /// File: a new one is begun at this size.
    pub(crate) rotate_bytes: Option<u64>,
    /// File: a new one is begun after so many hours.
    pub(crate) rotate_hours: Option<u64>,
    /// File: how many old ones stay.
    pub(crate) keep: Option<usize>,
    /// File: whether old ones are compressed.
    pub(crate) compress: Option<bool>,
    /// Syslog: the facility.
    pub(crate) facility: Option<String>,
    /// TLS: PEM file of the authorities that are believed, instead of the host's.
    pub(crate) ca: Option<PathBuf>,
    /// TLS: PEM file of the client's certificate.
    pub(crate) cert: Option<PathBuf>,
    /// TLS: PEM file of its key.
    pub(crate) key: Option<PathBuf>,
    /// HTTP: `lines`, `elasticsearch`, `splunk` or `falcosidekick`.
    pub(crate) profile: Option<String>,
    /// HTTP: most alerts in one request.
    pub(crate) batch: Option<usize>,
    /// HTTP: whether requests are compressed.
    pub(crate) gzip: Option<bool>,
    /// HTTP: file with the secret that requests are signed with.
    pub(crate) hmac_file: Option<PathBuf>,
    /// HTTP: file with the value of the header `Authorization`, or with Splunk's token. NATS: file of credentials.
    pub(crate) token_file: Option<PathBuf>,
    /// Elasticsearch: index or data stream.
    pub(crate) index: Option<String>,
    /// NATS: subject.
    pub(crate) subject: Option<String>,
    /// NATS: the stream that has to take the alerts.
    pub(crate) stream: Option<String>,
    /// HTTP and NATS: seconds that an answer may take.
    pub(crate) timeout_seconds: Option<u64>,
}

impl From<Sink> for SinkSettings {
    fn from(sink: Sink) -> Self {
        Self { sink, format: None, keys: Keys::default() }
    }
}

impl std::str::FromStr for SinkSettings {
    type Err = SinkError;

    fn from_str(text: &str) -> Result<Self, SinkError> {
        text.parse::<Sink>().map(Self::from)
    }
}

impl SinkSettings {
    fn from_keys(mut keys: Keys) -> Result<Self, String> {
        let to = keys.to.take().ok_or("a sink needs the key `to`, for example to = \"stdout\"")?;
        let sink: Sink = to.parse().map_err(|error: SinkError| error.to_string())?;
        let format = keys.format.take().map(|format| format.parse()).transpose();
        let format = format.map_err(|error: crate::terms::UnknownTerm| error.to_string())?;
        let settings = Self { sink, format, keys };
        match settings.strange_key() {
            Some(key) => Err(format!("alert sink {}: the key `{key}` means nothing here; take it out", settings.sink)),
            None => Ok(settings),
        }
    }

    /// A key that is set and is not for this kind of sink.
    fn strange_key(&self) -> Option<&'static str> {
        let keys = &self.keys;
        let file = matches!(self.sink, Sink::File(_));
        let (syslog, tls, http, nats) = self.sink.kinds();
        [
            ("rotate_bytes", keys.rotate_bytes.is_some(), file),
            ("rotate_hours", keys.rotate_hours.is_some(), file),
            ("keep", keys.keep.is_some(), file),
            ("compress", keys.compress.is_some(), file),
            ("facility", keys.facility.is_some(), syslog),
            ("ca", keys.ca.is_some(), tls),
            ("cert", keys.cert.is_some(), tls),
            ("key", keys.key.is_some(), tls),
            ("profile", keys.profile.is_some(), http),
            ("batch", keys.batch.is_some(), http),
            ("gzip", keys.gzip.is_some(), http),
            ("hmac_file", keys.hmac_file.is_some(), http),
            ("token_file", keys.token_file.is_some(), http || nats),
            ("index", keys.index.is_some(), http),
            ("subject", keys.subject.is_some(), nats),
            ("stream", keys.stream.is_some(), nats),
            ("timeout_seconds", keys.timeout_seconds.is_some(), http || nats),
        ]
        .into_iter()
        .find_map(|(name, set, meant)| (set && !meant).then_some(name))
    }
}

impl<'de> Deserialize<'de> for SinkSettings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrTable;

        impl<'de> Visitor<'de> for TextOrTable {
            type Value = SinkSettings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a sink as text, or a table with the key `to`")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<SinkSettings, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SinkSettings, A::Error> {
                let keys = Keys::deserialize(MapAccessDeserializer::new(map))?;
                SinkSettings::from_keys(keys).map_err(A::Error::custom)
            }
        }

        deserializer.deserialize_any(TextOrTable)
    }
}
