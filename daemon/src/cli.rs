//! The command line.

mod calls;
mod carrier;
mod check;
mod client;
mod demo;
mod explain;
mod keys;
mod output;
mod run;
mod status;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::settings::{DEFAULT_PATH, LoadError};
use crate::telemetry::LogFormat;

pub use client::{Answer, AskError, Endpoint};

/// A telephony gateway that proves phone numbers over SIP trunks.
#[derive(Debug, Parser)]
#[command(name = "dozvon", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon.
    Run {
        #[command(flatten)]
        file: ConfigFile,
        /// How log lines look.
        #[arg(long, value_enum, default_value = "text")]
        log: LogFormat,
    },
    /// Check a configuration and say everything that is wrong with it.
    Check {
        #[command(flatten)]
        file: ConfigFile,
    },
    /// Look at the configuration.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Make, list and revoke API keys; opens the store itself.
    Keys {
        #[command(subcommand)]
        command: keys::KeysCommand,
    },
    /// How the running daemon is.
    Status(Ask),
    /// How its trunks are.
    Trunks(Ask),
    /// Its calls, newest first.
    Calls {
        #[command(flatten)]
        ask: Ask,
        /// How many.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=200))]
        limit: u16,
        /// Go on printing calls as they end.
        #[arg(long)]
        follow: bool,
    },
    /// Ask the dialplan.
    Dialplan {
        #[command(subcommand)]
        command: DialplanCommand,
    },
    /// Place a test flash call through the running daemon.
    Call {
        #[command(flatten)]
        ask: Ask,
        /// The number, as people type it.
        number: String,
    },
    /// Run the built-in trunk simulator; the last two digits of a number choose what happens.
    Carrier(carrier::CarrierArgs),
    /// See a real flash call prove a number, on this machine, without a file.
    Demo(demo::DemoArgs),
    /// Bring the database to this version's tables.
    Migrate {
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Print the configuration with every default filled in and secrets masked.
    Dump {
        #[command(flatten)]
        file: ConfigFile,
    },
}

#[derive(Debug, Subcommand)]
enum DialplanCommand {
    /// Why a number would take which trunk and pool.
    Explain {
        #[command(flatten)]
        ask: Ask,
        /// The number, as people type it.
        number: String,
    },
}

/// Which file.
#[derive(Clone, Debug, clap::Args)]
pub struct ConfigFile {
    /// The configuration file.
    #[arg(long, default_value = DEFAULT_PATH)]
    config: PathBuf,
}

/// Which daemon, and for whom the answer is.
#[derive(Clone, Debug, clap::Args)]
pub struct Ask {
    /// The daemon's local socket.
    #[arg(long, default_value = "/run/dozvon/dozvon.sock")]
    socket: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How a command ends (sysexits).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It worked.
    Success,
    /// It did not, for a reason of its own.
    Failure,
    /// Something it depends on is not there.
    Unavailable,
    /// It may work later.
    TryAgain,
    /// The configuration is wrong.
    Config,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Success => Self::SUCCESS,
            Exit::Failure => Self::from(1),
            Exit::Unavailable => Self::from(69),
            Exit::TryAgain => Self::from(75),
            Exit::Config => Self::from(78),
        }
    }
}

/// Exit code of a command line that cannot be understood.
const USAGE: u8 = 64;

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
            // Help that nobody reads is not missed.
            let _ = error.print();
            return code;
        }
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::complain(format_args!("error: no runtime: {error}"));
            return Exit::Unavailable.into();
        }
    };
    runtime.block_on(dispatch(cli.command)).into()
}

async fn dispatch(command: Command) -> Exit {
    match command {
        Command::Run { file, log } => run::run(&file.config, log).await,
        Command::Check { file } => check::check(&file.config),
        Command::Config { command: ConfigCommand::Dump { file } } => check::dump(&file.config),
        Command::Keys { command } => keys::keys(command).await,
        Command::Status(ask) => status::status(&ask).await,
        Command::Trunks(ask) => status::trunks(&ask).await,
        Command::Calls { ask, limit, follow } => calls::calls(&ask, limit, follow).await,
        Command::Dialplan { command: DialplanCommand::Explain { ask, number } } => {
            explain::explain(&ask, &number).await
        }
        Command::Call { ask, number } => calls::place(&ask, &number).await,
        Command::Carrier(args) => carrier::carrier(args).await,
        Command::Demo(args) => demo::demo(args).await,
        Command::Migrate { file } => run::migrate(&file.config).await,
    }
}

/// Loads a configuration; complains and answers the exit code when it cannot.
fn load(path: &Path) -> Result<config::Config, Exit> {
    match crate::settings::load(path) {
        Ok(checked) => {
            let warnings = checked.warnings.to_string();
            if !warnings.is_empty() {
                output::complain(warnings.trim_end());
            }
            Ok(checked.config)
        }
        Err(LoadError::Faults(report)) => {
            output::complain(report.to_string().trim_end());
            Err(Exit::Config)
        }
        Err(error) => {
            output::complain(format_args!("error: {error}"));
            Err(Exit::Config)
        }
    }
}

/// Tells why the daemon could not be asked.
fn unanswered(error: &AskError) -> Exit {
    output::complain(format_args!("error: {error}"));
    match error {
        AskError::NoDaemon { .. } => Exit::Unavailable,
        AskError::Broken(_) => Exit::Failure,
        AskError::Late => Exit::TryAgain,
    }
}

/// Tells what the daemon refused.
fn refused(answer: &Answer) -> Exit {
    output::complain(format_args!("error: {}", answer.problem()));
    if answer.status.as_u16() == 503 { Exit::TryAgain } else { Exit::Failure }
}
