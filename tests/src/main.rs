//! The command line of the test program; everything else is in the library.

use std::process::ExitCode;

use anyhow::{Result, bail};
use sentinel_tests::{
    harness::{act, host, init, runner, scenario::Place},
    hour, workload,
};

const USAGE: &str = "\
usage: sentinel-tests VERB

  host [FILTER]...       run the host scenarios whose name contains a FILTER, in namespaces and cgroups of their own
  vm [FILTER]...         run the VM scenarios (inside the VM: cargo xtask vm)
  list                   list the scenarios
  demo | bench [ARG]...  run that one scenario (inside the VM: cargo xtask demo, cargo xtask bench)
  workload [NAME]...     measure operations without Sentinel; no NAME measures all
  hour MINUTES           an ordinary hour of a server, recorded (inside the VM: cargo xtask hour)
  hour-report EVENTS POLICIES EDITED
                         replay a recorded hour and check that nothing of it is denied
  act OP [-- OP]...      perform system calls and print their errno; `act help` lists them
";

fn main() -> ExitCode {
    if std::process::id() == 1 {
        return init::main();
    }
    match dispatch() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("sentinel-tests: {error:#}");
            ExitCode::from(1)
        }
    }
}

fn dispatch() -> Result<ExitCode> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((verb, rest)) = args.split_first() else { bail!("no verb given\n{USAGE}") };
    match verb.as_str() {
        "host" => host::run(rest),
        "vm" => runner::run(Place::Vm, rest),
        "demo" | "bench" => runner::run_one(verb, rest),
        "list" => runner::list(),
        "workload" => workload::main(rest),
        "hour" => hour::main(rest),
        "hour-report" => hour::report::main(rest),
        "act" => act::main(rest),
        "-h" | "--help" | "help" => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        other => bail!("unknown verb `{other}`\n{USAGE}"),
    }
}
