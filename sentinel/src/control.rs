//! The control socket: root asks, the daemon answers. One request and one answer a connection, each one line
//! of JSON.
//!
//! Invariant: only root is answered, by the kernel's word on who is there; a client can neither block the daemon
//! nor make it allocate: requests are short and have a deadline.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    os::unix::{fs::PermissionsExt as _, net::UnixStream as StdStream},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
};

use crate::operator::Order;

/// Longest request.
const REQUEST: usize = 16_384;
/// How long a client may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// What can be asked.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "verb", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// The state.
    Status,
    /// End; with `persist` enforcement stays in the kernel.
    Stop,
    /// End, and remove everything from the kernel.
    Disable,
    /// The host still works: enforcing goes on.
    Confirm,
    /// Block something at once.
    BlockAdd {
        /// What, and why.
        order: Order,
    },
    /// What is blocked in this way.
    BlockList,
    /// Take such a block back.
    BlockRemove {
        /// Its id.
        id: String,
        /// Why.
        reason: String,
    },
}

/// Who asks, by the kernel's word where it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Process id; none if the kernel does not say.
    pub pid: Option<i32>,
    /// User id.
    pub uid: u32,
}

impl Peer {
    /// In words: user, who logged in, process. The last two are read from `/proc` and may be gone.
    #[must_use]
    pub fn text(&self) -> String {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", self.pid?)).ok();
        // No login is all ones.
        let login = read("loginuid").map(|text| text.trim().to_owned()).filter(|text| *text != u32::MAX.to_string());
        let login = login.map_or_else(|| "no login".to_owned(), |uid| format!("login user {uid}"));
        let pid = self.pid.map_or_else(String::new, |pid| format!(", process {pid}"));
        format!("user {} ({login}){pid}", self.uid)
    }
}

/// A request with the place for its answer.
pub type Asked = (Request, Peer, oneshot::Sender<serde_json::Value>);

/// Path of the socket in a run directory.
#[must_use]
pub fn socket(run_dir: &Path) -> PathBuf {
    run_dir.join("control.sock")
}

/// Listens, and passes requests on.
///
/// # Errors
///
/// If the socket cannot be made.
pub fn listen(run_dir: &Path) -> Result<mpsc::Receiver<Asked>> {
    let path = socket(run_dir);
    match std::fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot replace {}", path.display())),
    }
    let listener = UnixListener::bind(&path).with_context(|| format!("cannot listen on {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
        .with_context(|| format!("cannot set the mode of {}", path.display()))?;
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(accept(listener, sender));
    Ok(receiver)
}

async fn accept(listener: UnixListener, sender: mpsc::Sender<Asked>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let sender = sender.clone();
                tokio::spawn(async move {
                    if let Err(error) = tokio::time::timeout(DEADLINE, serve(stream, sender)).await {
                        tracing::debug!("a control client was too slow: {error}");
                    }
                });
            }
            Err(error) => {
                tracing::warn!("control socket: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(mut stream: UnixStream, sender: mpsc::Sender<Asked>) {
    let answer = match answer(&mut stream, &sender).await {
        Ok(value) => value,
        Err(error) => serde_json::json!({ "error": format!("{error:#}") }),
    };
    let line = format!("{answer}\n");
    if let Err(error) = stream.write_all(line.as_bytes()).await {
        tracing::debug!("a control client went away: {error}");
    }
}

async fn answer(stream: &mut UnixStream, sender: &mpsc::Sender<Asked>) -> Result<serde_json::Value> {
    let who = stream.peer_cred().context("who is asking is not known")?;
    if who.uid() != 0 {
        bail!("only root may ask");
    }
    let peer = Peer { pid: who.pid(), uid: who.uid() };
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        if stream.read_buf(&mut line).await? == 0 {
            bail!("the request has no end");
        }
        if line.len() > REQUEST {
            bail!("the request is longer than {REQUEST} bytes");
        }
    }
    let request = serde_json::from_slice(&line).context("the request is not understood")?;
    let (reply, answer) = oneshot::channel();
    sender.send((request, peer, reply)).await.map_err(|_| anyhow::anyhow!("the daemon is ending"))?;
    answer.await.context("the daemon is ending")
}

/// Asks the daemon of a run directory.
///
/// # Errors
///
/// If none answers, or the answer is an error.
pub fn ask(run_dir: &Path, request: &Request) -> Result<serde_json::Value> {
    let path = socket(run_dir);
    let mut stream = StdStream::connect(&path)
        .with_context(|| format!("no Sentinel answers on {}; is it running?", path.display()))?;
    stream.set_read_timeout(Some(DEADLINE * 6))?;
    writeln!(stream, "{}", serde_json::to_string(request)?)?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).context("the daemon does not answer")?;
    let answer: serde_json::Value = serde_json::from_str(&line).context("the daemon's answer is not JSON")?;
    if let Some(error) = answer.get("error").and_then(serde_json::Value::as_str) {
        bail!("{error}");
    }
    Ok(answer)
}
