//! The one table of keys: what the reader knows, what it suggests, what the example must show.

/// A key of some table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    /// What its value is, as a message says it: "wants …". `None`: a later version reads it.
    pub(crate) wants: Option<&'static str>,
}

const fn key(name: &'static str, wants: &'static str) -> Key {
    Key { name, wants: Some(wants) }
}

const fn later(name: &'static str) -> Key {
    Key { name, wants: None }
}

const TEXT: &str = "a string";
const TEXT_OR_TEXTS: &str = "a string or a list of strings";
const WHOLE: &str = "a whole number";
const SECONDS: &str = "a number of seconds";
const FLAG: &str = "true or false";
const TABLE: &str = "a table";
const TABLES: &str = "tables, each under its own [[routes]]";
const SECRET: &str = "a secret by name, such as { credential = \"name\" }";

/// A table and its keys.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schema {
    /// How the table is written; `NAME` stands for any name. Empty: the file itself.
    pub(crate) path: &'static str,
    pub(crate) keys: &'static [Key],
}

pub(crate) const ROOT: Schema = Schema {
    path: "",
    keys: &[
        key("include", TEXT_OR_TEXTS),
        key("api", TABLE),
        key("database", TABLE),
        key("secrets", TABLE),
        key("sip", TABLE),
        key("trunks", TABLE),
        key("pools", TABLE),
        key("routes", TABLES),
        key("purposes", TABLE),
        key("accounts", TABLE),
        key("sms", TABLE),
        key("smpp", TABLE),
        key("voice", TABLE),
        key("webhooks", TABLE),
        key("templates", TABLE),
        key("limits", TABLE),
        key("email", TABLE),
    ],
};

pub(crate) const API: Schema = Schema {
    path: "api",
    keys: &[
        key("listen", TEXT_OR_TEXTS),
        key("operator_listen", TEXT_OR_TEXTS),
        key("socket", TEXT),
        later("tls"),
    ],
};

pub(crate) const DATABASE: Schema = Schema {
    path: "database",
    keys: &[
        key("url", TEXT),
        key("password", SECRET),
        key("on_outage", TEXT),
        key("retention", TABLE),
    ],
};

pub(crate) const RETENTION: Schema = Schema {
    path: "database.retention",
    keys: &[key("calls_days", WHOLE), key("message_text_hours", WHOLE), key("numbers_days", WHOLE)],
};

pub(crate) const SECRETS: Schema = Schema {
    path: "secrets",
    keys: &[key("key", SECRET), key("old_keys", "a list of secrets by name")],
};

pub(crate) const SIP: Schema = Schema {
    path: "sip",
    keys: &[
        key("listen", TEXT_OR_TEXTS),
        key("external", TEXT),
        key("media_ports", TEXT_OR_TEXTS),
        key("tls", TABLE),
    ],
};

pub(crate) const SIP_TLS: Schema =
    Schema { path: "sip.tls", keys: &[key("cert", TEXT), key("key", SECRET)] };

pub(crate) const TRUNK: Schema = Schema {
    path: "trunks.NAME",
    keys: &[
        key("registrar", TEXT),
        key("domain", TEXT),
        key("outbound_proxy", TEXT),
        key("targets", "a list of addresses"),
        key("transport", TEXT),
        key("tls", TABLE),
        key("external", TEXT),
        key("user", TEXT),
        key("auth_user", TEXT),
        key("password", SECRET),
        key("realm", TEXT_OR_TEXTS),
        key("digest", TEXT_OR_TEXTS),
        key("contact_user", TEXT),
        key("line", FLAG),
        key("expires", SECONDS),
        key("options_ping", SECONDS),
        key("keep_alive", SECONDS),
        key("caller_id_in", TEXT),
        key("caller_id_format", TEXT),
        key("from_user", TEXT),
        key("user_phone", FLAG),
        key("headers", TABLE),
        key("dial_format", TEXT),
        key("dial_strip", WHOLE),
        key("dial_prefix", TEXT),
        key("country_code", TEXT),
        key("ring_signal", TEXT),
        key("ring_limit", SECONDS),
        key("no_ring_limit", SECONDS),
        key("no_answer_timeout", SECONDS),
        key("rel100", TEXT),
        key("codecs", TEXT_OR_TEXTS),
        key("privacy", TEXT),
        key("media_external", TEXT),
        key("media_networks", TEXT_OR_TEXTS),
        key("max_calls", WHOLE),
        key("cps", WHOLE),
        key("priority", WHOLE),
        key("weight", WHOLE),
        key("group", TEXT),
        key("sms", TEXT),
        key("sms_from", TEXT),
        key("inbound", TABLE),
        key("did_from", TEXT_OR_TEXTS),
        key("cli_from", TEXT_OR_TEXTS),
        key("cli_trusted", FLAG),
        later("price_per_call"),
    ],
};

pub(crate) const INBOUND: Schema = Schema {
    path: "trunks.NAME.inbound",
    keys: &[key("match", TEXT_OR_TEXTS), key("answer", WHOLE)],
};

pub(crate) const TRUNK_TLS: Schema = Schema {
    path: "trunks.NAME.tls",
    keys: &[key("ca", TEXT), key("name", TEXT), key("client_cert", TABLE)],
};

pub(crate) const CLIENT_CERT: Schema =
    Schema { path: "trunks.NAME.tls.client_cert", keys: &[key("cert", TEXT), key("key", SECRET)] };

pub(crate) const TARGET: Schema = Schema {
    path: "trunks.NAME.targets",
    keys: &[key("address", TEXT), key("priority", WHOLE), key("weight", WHOLE)],
};

pub(crate) const POOL: Schema = Schema {
    path: "pools.NAME",
    keys: &[key("numbers", TEXT_OR_TEXTS), key("trunks", TEXT_OR_TEXTS), key("code_length", WHOLE)],
};

pub(crate) const ROUTE: Schema = Schema {
    path: "routes",
    keys: &[
        key("prefix", TEXT),
        key("trunks", TEXT_OR_TEXTS),
        key("group", TEXT),
        key("pools", TEXT_OR_TEXTS),
        key("ring_limit", SECONDS),
    ],
};

pub(crate) const PURPOSE: Schema = Schema {
    path: "purposes.NAME",
    keys: &[
        key("workflow", "a list of channels"),
        key("ttl_s", SECONDS),
        key("checks", WHOLE),
        key("sends", WHOLE),
        key("min_endings", WHOLE),
        key("allow_small_pools", TEXT_OR_TEXTS),
        key("ring_limit", SECONDS),
        key("call_limit", SECONDS),
    ],
};

pub(crate) const STEP: Schema = Schema {
    path: "purposes.NAME.workflow",
    keys: &[key("channel", TEXT), key("after_s", SECONDS)],
};

pub(crate) const ACCOUNT: Schema = Schema {
    path: "accounts.NAME",
    keys: &[
        key("pools", TEXT_OR_TEXTS),
        key("purposes", TEXT_OR_TEXTS),
        key("senders", TEXT_OR_TEXTS),
        key("default_region", TEXT),
        key("inbound_numbers", TEXT_OR_TEXTS),
        key("unknown_user", TEXT),
    ],
};

pub(crate) const SMS: Schema = Schema { path: "sms", keys: &[key("default", TEXT)] };

pub(crate) const SMPP: Schema = Schema {
    path: "smpp.NAME",
    keys: &[
        key("host", TEXT),
        key("tls", FLAG),
        key("ca", TEXT),
        key("system_id", TEXT),
        key("password", SECRET),
        key("system_type", TEXT),
        key("window", WHOLE),
        key("throughput", WHOLE),
        key("enquire_link", SECONDS),
        key("sender", TEXT),
        key("source_ton", WHOLE),
        key("source_npi", WHOLE),
        key("dest_ton", WHOLE),
        key("dest_npi", WHOLE),
        key("registered_delivery", FLAG),
        key("data_coding", TEXT),
        key("concatenation", TEXT),
    ],
};

pub(crate) const VOICE: Schema = Schema { path: "voice", keys: &[key("prompts", TEXT)] };

pub(crate) const EMAIL: Schema = Schema {
    path: "email",
    keys: &[
        key("smtp", TEXT),
        key("from", TEXT),
        key("user", TEXT),
        key("password", SECRET),
        key("tls", TEXT),
        key("ca", TEXT),
        key("connections", WHOLE),
        key("reply_limit", SECONDS),
    ],
};

pub(crate) const WEBHOOK: Schema = Schema {
    path: "webhooks.NAME",
    keys: &[
        key("account", TEXT),
        key("url", TEXT),
        key("secret", SECRET),
        key("previous_secret", SECRET),
        key("events", TEXT_OR_TEXTS),
        key("allow_private", FLAG),
    ],
};

pub(crate) const LIMITS: Schema = Schema {
    path: "limits",
    keys: &[
        key("between_sends_s", SECONDS),
        key("sends_per_minute", WHOLE),
        key("sends_per_day", WHOLE),
        key("flash_calls_per_day", WHOLE),
        key("failed_checks_per_day", WHOLE),
        key("failed_long_checks_per_day", WHOLE),
        key("open_verifications", WHOLE),
        key("same_tail_hours", WHOLE),
        key("http_connections", WHOLE),
        key("requests_per_second", WHOLE),
    ],
};

/// Every table whose keys are fixed.
#[cfg(test)]
pub(crate) const ALL: &[Schema] = &[
    ROOT,
    API,
    DATABASE,
    RETENTION,
    SECRETS,
    SIP,
    SIP_TLS,
    TRUNK,
    TRUNK_TLS,
    INBOUND,
    CLIENT_CERT,
    TARGET,
    POOL,
    ROUTE,
    PURPOSE,
    STEP,
    ACCOUNT,
    SMS,
    SMPP,
    EMAIL,
    WEBHOOK,
    LIMITS,
];

impl Schema {
    pub(crate) fn key(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::fault::Faults;
    use crate::diagnostic::{Code, Report};
    use crate::raw::{RawTable, RawValue};
    use crate::source::{Source, Spanned};

    const EXAMPLE: &str = include_str!("../dozvon.example.toml");

    fn faults(text: &str) -> Report {
        match crate::parse(&[Source { name: "dozvon.toml", text }]) {
            Ok(checked) => checked.warnings,
            Err(report) => report,
        }
    }

    /// The example with every key that it shows behind a `#`.
    fn example_in_full() -> String {
        let is_key = |line: &str| {
            line.starts_with('#') && line[1..].starts_with(|c: char| c.is_ascii_lowercase())
        };
        EXAMPLE
            .lines()
            .map(|line| if is_key(line) { &line[1..] } else { line })
            .fold(String::new(), |text, line| text + line + "\n")
    }

    #[test]
    fn the_example_is_right_with_and_without_the_keys_it_leaves_out() {
        for text in [EXAMPLE.to_owned(), example_in_full()] {
            let report = faults(&text);
            assert!(!report.has_errors(), "{report}");
        }
    }

    /// The tables at a path, where `NAME` is any name and a list is each of its tables.
    fn tables_at<'a>(table: &'a RawTable, path: &[&str]) -> Vec<&'a RawTable> {
        let Some((part, rest)) = path.split_first() else { return vec![table] };
        let entries = table.entries.iter();
        let named = entries.filter(|entry| *part == "NAME" || entry.key.value == *part);
        named
            .flat_map(|entry| match &entry.value.value {
                RawValue::Table(table) => vec![table],
                RawValue::List(values) => values.iter().filter_map(as_table).collect(),
                _ => Vec::new(),
            })
            .flat_map(|table| tables_at(table, rest))
            .collect()
    }

    fn as_table(value: &Spanned<RawValue>) -> Option<&RawTable> {
        match &value.value {
            RawValue::Table(table) => Some(table),
            _ => None,
        }
    }

    #[test]
    fn the_example_shows_every_key() {
        let text = example_in_full();
        let source = Source { name: "dozvon.example.toml", text: &text };
        let raw = crate::raw::read(&[source], &mut Faults::default());
        let mut shown = 0;
        for schema in ALL {
            let path: Vec<&str> = schema.path.split('.').filter(|part| !part.is_empty()).collect();
            let tables = tables_at(&raw.root, &path);
            for key in schema.keys.iter().filter(|key| key.wants.is_some()) {
                let is_there = tables.iter().any(|table| table.get(key.name).is_some());
                assert!(is_there, "the example lacks {} of [{}]", key.name, schema.path);
                shown += 1;
            }
        }
        assert_eq!(shown, 157, "keys that the example shows");
    }

    /// A date is what no key wants.
    #[test]
    fn every_key_is_read_and_says_what_it_wants() {
        for schema in ALL {
            for key in schema.keys.iter().filter(|key| key.wants.is_some()) {
                let set = format!("{} = 1979-05-27", key.name);
                let text = match schema.path {
                    "" => set,
                    "routes" => format!("[[routes]]\n{set}"),
                    path if path == TARGET.path => format!("[trunks.a]\ntargets = [{{ {set} }}]"),
                    path if path == STEP.path => format!("[purposes.a]\nworkflow = [{{ {set} }}]"),
                    path => format!("[{}]\n{set}", path.replace("NAME", "a")),
                };
                let report = faults(&text);
                let is_told = |code| report.diagnostics.iter().any(|found| found.code == code);
                assert!(is_told(Code::WrongType), "{text}\n{report}");
                assert!(!is_told(Code::UnknownKey), "{text}\n{report}");
            }
        }
    }

    #[test]
    fn a_key_of_a_later_version_says_so() {
        let later = |schema: &Schema| schema.keys.iter().filter(|key| key.wants.is_none()).count();
        assert_eq!(ALL.iter().map(later).sum::<usize>(), 2);
        for schema in ALL {
            for key in schema.keys.iter().filter(|key| key.wants.is_none()) {
                let text = match schema.path {
                    "" => format!("{} = 1", key.name),
                    "routes" => format!("[[routes]]\n{} = 1", key.name),
                    path if path == STEP.path => {
                        format!("[purposes.a]\nworkflow = [{{ {} = 1 }}]", key.name)
                    }
                    path => format!("[{}]\n{} = 1", path.replace("NAME", "a"), key.name),
                };
                let report = faults(&text);
                let found = report.diagnostics.iter().any(|found| found.code == Code::NotBuiltYet);
                assert!(found, "{text}\n{report}");
            }
        }
    }
}
