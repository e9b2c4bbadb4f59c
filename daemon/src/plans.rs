//! The operator's tables become a dialplan.

use config::Config;
use dialplans::{CallerIdPool, Dialplan, DialplanError, PoolError};

/// Why the tables make no dialplan. A valid configuration never meets it.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A pool.
    #[error("pool: {0}")]
    Pool(#[from] PoolError),
    /// The whole.
    #[error("dialplan: {0}")]
    Dialplan(#[from] DialplanError),
}

/// Builds the dialplan of a valid configuration.
pub fn dialplan(config: &Config) -> Result<Dialplan, BuildError> {
    let trunks = config.trunks.values().map(config::Trunk::dialling);
    let pools = config
        .pools
        .values()
        .map(|pool| {
            CallerIdPool::new(
                pool.name.clone(),
                pool.code_length,
                pool.trunks.iter().cloned(),
                pool.numbers.iter().copied(),
            )
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(Dialplan::new(trunks, pools, config.routes.iter().cloned())?)
}
