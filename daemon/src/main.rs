//! The binary `dozvon`.

use std::process::ExitCode;

fn main() -> ExitCode {
    daemon::cli::main()
}
