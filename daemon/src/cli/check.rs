//! `dozvon check` and `dozvon config dump`.

use std::path::Path;

use super::{Exit, load, output, run};
use crate::media::Prompts;

/// Says everything that is wrong with a configuration.
pub(super) fn check(path: &Path) -> Exit {
    match load(path) {
        Ok(config) => {
            if let Err(error) = Prompts::load(config.voice.prompts.as_deref()) {
                return run::fail(&error.into());
            }
            output::line(format_args!(
                "{} is right: {} trunks, {} pools, {} routes",
                path.display(),
                config.trunks.len(),
                config.pools.len(),
                config.routes.len()
            ));
            Exit::Success
        }
        Err(exit) => exit,
    }
}

/// Prints the configuration with every default filled in and secrets masked.
pub(super) fn dump(path: &Path) -> Exit {
    match load(path) {
        Ok(config) => {
            output::line(config::dump(&config).trim_end());
            Exit::Success
        }
        Err(exit) => exit,
    }
}
