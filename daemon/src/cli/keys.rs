//! `dozvon keys`: opens the store itself, so that a first key can be made before the daemon runs.

use std::time::Duration;

use super::{ConfigFile, Exit, load, output, run};
use crate::accounts::{KeyWish, Network, Scope, Scopes, create_key, list_keys, revoke_key};
use crate::lifecycle::StoreParts;
use crate::randomness::Stream;
use crate::store::{ApiKey, ApiKeyId, Store};

/// What to do with keys.
#[derive(Debug, clap::Subcommand)]
pub(super) enum KeysCommand {
    /// Make a key and print it; it is shown this once.
    Create {
        #[command(flatten)]
        file: ConfigFile,
        /// The account it sees.
        #[arg(long, default_value = "default", conflicts_with = "gateway")]
        account: String,
        /// A key of the gateway's operator, which sees every account.
        #[arg(long)]
        gateway: bool,
        /// What it may do, with commas: verify, messages, calls, calls:own_codes, directory,
        /// redirects; operator or audit for a gateway key.
        #[arg(long, value_delimiter = ',')]
        scopes: Vec<String>,
        /// A test key: nothing leaves the machine.
        #[arg(long)]
        test: bool,
        /// Networks it may be used from, as 192.0.2.0/24, with commas.
        #[arg(long, value_delimiter = ',')]
        networks: Vec<String>,
        /// What its owner calls it.
        #[arg(long)]
        label: Option<String>,
        /// Days for which it counts; left out: without end.
        #[arg(long)]
        days: Option<u32>,
    },
    /// List keys, newest first.
    List {
        #[command(flatten)]
        file: ConfigFile,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key; the daemon refuses it within 2 s.
    Revoke {
        #[command(flatten)]
        file: ConfigFile,
        /// The 10 characters after `dz_live_`.
        id: String,
    },
}

pub(super) async fn keys(command: KeysCommand) -> Exit {
    match command {
        KeysCommand::Create { file, account, gateway, scopes, test, networks, label, days } => {
            let usual = if gateway { Scope::Operator } else { Scope::Verify };
            let read = read_scopes(&scopes, usual).and_then(|scopes| {
                let networks = networks.iter().map(|text| Network::parse(text));
                let networks = networks.collect::<Result<_, _>>().map_err(|e| e.to_string())?;
                Ok((scopes, networks))
            });
            let (scopes, networks) = match read {
                Ok(read) => read,
                Err(error) => {
                    output::complain(format_args!("error: {error}"));
                    return Exit::Failure;
                }
            };
            let wish = KeyWish {
                account: (!gateway).then_some(account),
                live: !test,
                scopes,
                networks,
                label,
                valid_for: days.map(|days| Duration::from_secs(u64::from(days) * 86_400)),
            };
            create(&file, wish).await
        }
        KeysCommand::List { file, json } => list(&file, json).await,
        KeysCommand::Revoke { file, id } => revoke(&file, &id).await,
    }
}

fn read_scopes(words: &[String], usual: Scope) -> Result<Scopes, String> {
    if words.is_empty() {
        return Ok([usual].into_iter().collect());
    }
    Scopes::parse(&words.join(",")).map_err(|error| error.to_string())
}

async fn create(file: &ConfigFile, wish: KeyWish) -> Exit {
    let (config, parts, store) = match open(file).await {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    if let Some(account) = &wish.account
        && !config.accounts.keys().any(|name| name.as_str() == account)
    {
        output::complain(format_args!("error: no account is named \"{account}\" in the file"));
        return Exit::Failure;
    }
    let mut rng = parts.randomness.stream(Stream::ApiKeys);
    let created = create_key(&store, parts.clock.now(), &mut rng, wish).await;
    store.close().await;
    match created {
        Ok(token) => {
            output::line(token.reveal());
            if output::is_for_people() {
                output::complain("keep it: it is not shown again");
            }
            Exit::Success
        }
        Err(error) => {
            output::complain(format_args!("error: {error}"));
            Exit::Failure
        }
    }
}

async fn list(file: &ConfigFile, json: bool) -> Exit {
    let (_, _, store) = match open(file).await {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let listed = list_keys(&store).await;
    store.close().await;
    match listed {
        Ok(keys) if json => keys.iter().for_each(|key| output::line(as_json(key))),
        Ok(keys) => {
            let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
            output::table(&["KEY", "ACCOUNT", "LIVE", "SCOPES", "STATE", "LAST USED"], &[], &rows);
        }
        Err(error) => {
            output::complain(format_args!("error: {error}"));
            return Exit::Unavailable;
        }
    }
    Exit::Success
}

fn row(key: &ApiKey) -> Vec<String> {
    let state = match (key.revoked_at, key.expires_at) {
        (Some(at), _) => format!("revoked {at}"),
        (None, Some(at)) => format!("until {at}"),
        (None, None) => "valid".to_owned(),
    };
    vec![
        key.api_key_id.to_string(),
        key.account.clone().unwrap_or_else(|| "(gateway)".to_owned()),
        if key.live { "live" } else { "test" }.to_owned(),
        key.scopes.join(","),
        state,
        key.last_used_at.map_or("never".to_owned(), |at| at.to_string()),
    ]
}

fn as_json(key: &ApiKey) -> serde_json::Value {
    serde_json::json!({
        "id": key.api_key_id.to_string(),
        "account": key.account,
        "live": key.live,
        "scopes": key.scopes,
        "networks": key.networks,
        "label": key.label,
        "created_at": key.created_at.to_string(),
        "expires_at": key.expires_at.map(|at| at.to_string()),
        "revoked_at": key.revoked_at.map(|at| at.to_string()),
        "last_used_at": key.last_used_at.map(|at| at.to_string()),
    })
}

async fn revoke(file: &ConfigFile, id: &str) -> Exit {
    let Ok(id) = ApiKeyId::parse(id) else {
        output::complain("error: a key's id has 10 characters");
        return Exit::Failure;
    };
    let (_, _, store) = match open(file).await {
        Ok(opened) => opened,
        Err(exit) => return exit,
    };
    let revoked = revoke_key(&store, &id).await;
    store.close().await;
    match revoked {
        Ok(true) => {
            output::line(format_args!("{id} is revoked"));
            Exit::Success
        }
        Ok(false) => {
            output::complain(format_args!("error: there is no key {id}"));
            Exit::Failure
        }
        Err(error) => {
            output::complain(format_args!("error: {error}"));
            Exit::Unavailable
        }
    }
}

async fn open(file: &ConfigFile) -> Result<(config::Config, StoreParts, Store), Exit> {
    let config = load(&file.config)?;
    let parts = StoreParts::from_config(&config).map_err(|error| run::fail(&error))?;
    let store = parts.open(&config).await.map_err(|error| run::fail(&error))?;
    Ok((config, parts, store))
}
