//! `sentinel run`.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use tracing_subscriber::EnvFilter;

use crate::{
    config::{Flags, Mode},
    daemon::{self, Ended},
};

/// Runs the daemon in the foreground.
pub(super) fn run(flags: Flags) -> Result<ExitCode> {
    let filter = EnvFilter::try_from_env("SENTINEL_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the event loop")?;
    let monitor = Flags { mode: Some(Mode::Monitor), confirm: None, ..flags.clone() };
    if runtime.block_on(daemon::run(flags))? == Ended::Unconfirmed {
        runtime.block_on(daemon::run(monitor))?;
    }
    Ok(ExitCode::SUCCESS)
}
