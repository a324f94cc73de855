//! The `afresh` program.

use std::process::ExitCode;

use afresh_cli::{Host, run};

fn main() -> ExitCode {
    ExitCode::from(run(std::env::args_os(), Host::from_env()))
}
