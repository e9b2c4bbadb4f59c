//! The account in whose name a request acts.

use config::AccountName;

use crate::store::Who;

/// An account as its key, or the operator, uses it.
#[derive(Clone, Debug)]
pub struct ActingAccount {
    /// Its name.
    pub name: AccountName,
    /// Its rules.
    pub rules: config::Account,
    /// False under a test key.
    pub live: bool,
}

impl ActingAccount {
    /// What it may see.
    pub fn who(&self) -> Who {
        Who::Account { account: self.name.to_string(), live: self.live }
    }
}
