//! What right files mean.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use config::{AccountName, Checked, Config, OnOutage, PurposeName, SecretRef, Source, Store};
use dialplans::{CallerId, CodeLength, E164, PoolChoice, TrunkName};
use sip::{CallerIdHeader, External, Secret};

const EXAMPLE: &str = include_str!("../dozvon.example.toml");

fn checked(text: &str) -> Checked {
    config::parse(&[Source { name: "dozvon.toml", text }])
        .unwrap_or_else(|report| panic!("{report}"))
}

fn config(text: &str) -> Config {
    checked(text).config
}

fn trunk(keys: &str) -> config::Trunk {
    let config = config(&format!("[trunks.north]\n{keys}"));
    config.trunks.into_values().next().unwrap()
}

#[test]
fn an_empty_file_is_a_daemon_without_trunks_on_loopback() {
    let config = config("");
    assert_eq!(config.api.listen, ["127.0.0.1:8080".parse().unwrap()]);
    assert_eq!(config.api.operator_listen, ["127.0.0.1:9090".parse().unwrap()]);
    assert_eq!(config.database.store, Store::Sqlite { path: None });
    assert_eq!(config.secrets.key, None);
    assert_eq!(config.sip.external, External::Learn);
    assert_eq!(config.limits.between_sends, Duration::from_secs(15));
    let sign_in = &config.purposes[&PurposeName::sign_in()];
    assert_eq!((sign_in.checks, sign_in.sends, sign_in.min_endings), (3, 5, 1_000));
    assert_eq!((sign_in.ttl.as_secs(), sign_in.call_limit.as_secs()), (300, 25));
    let account = &config.accounts[&AccountName::default_account()];
    assert_eq!(account.pools, PoolChoice::Any);
    assert!(account.purposes.contains(&PurposeName::sign_in()));
}

#[test]
fn what_comes_in_is_read_as_the_trunk_says_it() {
    use sip::{CallRefusal, CalledSource, CallerSource, InboundSettings, Network};
    let plain = trunk("targets = [\"10.0.0.1\"]");
    assert_eq!((plain.inbound, plain.cli_trusted), (InboundSettings::default(), false));
    let trunk = trunk(
        "targets = [\"10.0.0.1\"]\ninbound = { match = [\"line\", \"10.1.0.0/16\"], answer = 486 }\n\
         did_from = [\"to\"]\ncli_from = [\"pai\", \"from\"]\ncli_trusted = true",
    );
    let expected = InboundSettings {
        line: true,
        addresses: false,
        networks: vec![Network::parse("10.1.0.0/16").unwrap()],
        called_from: vec![CalledSource::To],
        caller_from: vec![CallerSource::PAssertedIdentity, CallerSource::From],
        refusal: CallRefusal::Busy,
    };
    assert_eq!((trunk.inbound, trunk.cli_trusted), (expected, true));
}

#[test]
fn the_example_warns_of_its_public_trunk_and_of_nothing_else() {
    let warnings = checked(EXAMPLE).warnings;
    let codes: Vec<&str> = warnings.diagnostics.iter().map(|d| d.code.as_str()).collect();
    assert_eq!(codes, ["code-in-clear"]);
}

#[test]
fn the_example_says_what_its_comments_call_the_default() {
    let example = config(EXAMPLE);
    let empty = config("");
    assert_eq!(example.api, empty.api);
    assert_eq!(example.database.retention, empty.database.retention);
    assert_eq!(example.sip, empty.sip);
    assert_eq!(example.purposes, empty.purposes);
    assert_eq!(example.limits, empty.limits);
    let written = &example.trunks[&TrunkName::parse("north").unwrap()];
    let left_out = trunk(
        "registrar = \"sip.example.ru\"\nuser = \"74951230000\"\nmax_calls = 200\ncps = 20\n\
         password = { credential = \"trunk-north\" }\nsms = \"message\"",
    );
    assert_eq!(*written, left_out);
}

/// A file with something of everything.
const RICH: &str = r#"
        [webhooks.crm]
        url = "http://[fd00::2]:8080/hooks?a=b"
        secret = { env = "HOOK" }
        previous_secret = { env = "OLD_HOOK" }
        events = ["message.*", "verification.approved"]
        allow_private = true
        [smpp.aggregator]
        host = "[fd00::1]:2775"
        tls = true
        system_id = "dozvon"
        password = { env = "SMPP" }
        system_type = "VMS"
        window = 3
        throughput = 7
        enquire_link = 2.5
        sender = "EXAMPLE"
        source_ton = 5
        dest_npi = 1
        registered_delivery = false
        data_coding = "ucs2"
        concatenation = "payload"
        [api]
        listen = ["127.0.0.1:8080", "[::1]:8080"]
        [database]
        url = "sqlite:///srv/dozvon/my \"own\".db"
        [secrets]
        key = { file = "/etc/dozvon/key" }
        old_keys = [{ env = "OLD_KEY" }, { credential = "older" }]
        [sip]
        external = "203.0.113.5:5070"
        media_ports = ["20000-20099", "30000"]
        [trunks.north]
        registrar = "[2001:db8::1]:5070"
        user = "north"
        external = "auto"
        caller_id_in = "pai+rpid"
        caller_id_format = "national"
        dial_format = "e164"
        country_code = "7"
        dial_strip = 1
        dial_prefix = "8"
        headers = { X-Account = "a \"b\" \\ c", "X.Y" = "ё" }
        ring_limit = 2.5
        options_ping = 15
        keep_alive = 0
        digest = "md5"
        realm = "carrier"
        line = false
        [trunks.south]
        targets = [{ address = "10.0.0.1:5070", priority = 3, weight = 7 }, "10.0.0.2"]
        from_user = "fixed"
        sms = "message"
        rel100 = "required"
        codecs = ["pcmu"]
        privacy = "none"
        media_external = "2001:db8::9"
        media_networks = ["203.0.113.0/24", "2001:db8:1::/48"]
        group = "mobile"
        [pools.moscow]
        numbers = ["+74951230000-+74951239999", "+74952000000"]
        trunks = "north"
        code_length = 5
        [pools.small]
        numbers = "+74991230000-+74991230009"
        trunks = ["south"]
        [[routes]]
        prefix = "+79"
        ring_limit = 3
        [[routes]]
        prefix = "+"
        pools = "small"
        [purposes.sign_in]
        allow_small_pools = ["small"]
        ring_limit = 3.25
        [purposes.order]
        min_endings = 5
        [accounts.vats]
        pools = []
        purposes = ["order"]
        senders = ["SHOP", "74951230000"]
        default_region = "RU"
        [email]
        smtp = "smtp://[::1]:2525"
        tls = "off"
        from = "Ё <a@b.example>"
        user = "u"
        password = { env = "SMTP" }
        ca = "/etc/ca.pem"
        [templates.default]
        pt-BR = "{{ {code} }} é \u0007 o código"
    "#;

#[test]
fn a_dump_reads_back_to_the_same_configuration() {
    for text in ["", EXAMPLE, RICH] {
        let first = config(text);
        let dumped = config::dump(&first);
        let again = config(&dumped);
        assert_eq!(first, again, "{dumped}");
        assert_eq!(config::dump(&again), dumped);
    }
}

#[test]
fn md5_is_wished_for_by_name_only_where_the_file_says_so() {
    let local = "192.0.2.1:5060".parse().unwrap();
    let named = |keys: &str| trunk(keys).settings(local, None, None).md5_is_named;
    assert!(!named("targets = [\"10.0.0.1\"]"));
    assert!(!named("targets = [\"10.0.0.1\"]\ndigest = [\"sha-256\"]"));
    assert!(named("targets = [\"10.0.0.1\"]\ndigest = [\"sha-256\", \"md5\"]"));
}

#[test]
fn a_dump_shows_no_secret() {
    let text = "[database]\nurl = \"postgres://dozvon:p%40ss-1@db/dozvon\"\n\
                [secrets]\nkey = \"hunter2\"\nold_keys = [\"hunter3\"]\n\
                [trunks.a]\ntargets = [\"10.0.0.1\"]\npassword = \"hunter4\"\n";
    let config = config(text);
    let Store::Postgres { url, password, on_outage } = &config.database.store else { panic!() };
    assert_eq!(url.as_str(), "postgres://dozvon@db/dozvon");
    assert_eq!(*password, Some(SecretRef::Inline(Secret::new("p@ss-1"))));
    assert_eq!(*on_outage, OnOutage::Refuse);
    let shown = format!("{}\n{config:?}", config::dump(&config));
    for secret in ["hunter", "ss-1"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert_eq!(shown.matches("\"***\"").count(), 4, "{shown}");
}

#[test]
fn several_files_are_one_configuration() {
    let main = Source { name: "dozvon.toml", text: "include = [\"conf.d/*.toml\", \"more.toml\"]" };
    assert_eq!(config::includes(&main), ["conf.d/*.toml", "more.toml"]);
    let trunks = "[trunks.a]\ntargets = [\"10.0.0.1\"]\n[pools.p]\ntrunks = [\"a\"]\n\
                  numbers = [\"+74951230000-+74951239999\"]\n[[routes]]\nprefix = \"+7\"\n";
    let more =
        "[trunks.b]\ntargets = [\"10.0.0.2\"]\nsms = \"message\"\n[[routes]]\nprefix = \"+79\"\n";
    let sources = [main, Source { name: "a", text: trunks }, Source { name: "b", text: more }];
    let checked = config::parse(&sources).unwrap_or_else(|report| panic!("{report}"));
    assert_eq!(checked.config.trunks.len(), 2);
    assert_eq!(checked.config.routes.len(), 2);
    assert_eq!(checked.config.sms.default, Some(TrunkName::parse("b").unwrap()));
    assert!(checked.warnings.is_empty(), "{}", checked.warnings);
}

#[test]
fn a_text_that_is_no_toml_includes_nothing() {
    let broken = Source { name: "dozvon.toml", text: "include = [\"a\"]\n[" };
    assert!(config::includes(&broken).is_empty());
}

#[test]
fn a_route_of_a_group_takes_its_trunks_by_priority() {
    let text = "[trunks.a]\ntargets = [\"10.0.0.1\"]\npriority = 2\ngroup = \"mobile\"\n\
                [trunks.b]\ntargets = [\"10.0.0.2\"]\npriority = 1\ngroup = \"mobile\"\n\
                [trunks.c]\ntargets = [\"10.0.0.3\"]\npriority = 0\n\
                [pools.p]\ntrunks = [\"a\", \"b\", \"c\"]\n\
                numbers = [\"+74951230000-+74951239999\"]\n\
                [[routes]]\nprefix = \"+79\"\ngroup = \"mobile\"\n";
    let names: Vec<String> =
        config(text).routes[0].trunks.iter().map(|trunk| trunk.to_string()).collect();
    assert_eq!(names, ["b", "a"]);
    let again = config(&config::dump(&config(text)));
    assert_eq!(again.routes, config(text).routes);
}

#[test]
fn a_route_without_trunks_takes_those_that_may_show_its_pools_by_priority() {
    let text = "[trunks.a]\ntargets = [\"10.0.0.1\"]\npriority = 2\n\
                [trunks.b]\ntargets = [\"10.0.0.2\"]\npriority = 1\n\
                [trunks.c]\ntargets = [\"10.0.0.3\"]\n\
                [pools.p]\ntrunks = [\"a\", \"b\"]\nnumbers = [\"+74951230000-+74951239999\"]\n\
                [[routes]]\nprefix = \"+7\"\n";
    let config = config(text);
    let trunks: Vec<&str> = config.routes[0].trunks.iter().map(TrunkName::as_str).collect();
    assert_eq!(trunks, ["b", "a"]);
}

#[test]
fn from_holds_the_user_where_it_is_not_to_show_the_caller_id() {
    let read = |keys: &str| {
        let trunk = trunk(&format!("targets = [\"10.0.0.1\"]\nuser = \"7495\"\n{keys}"));
        (trunk.caller_id_in, trunk.from_user.map(|user| user.reveal().to_owned()))
    };
    let (from, pai) = (CallerIdHeader::From, CallerIdHeader::PAssertedIdentity);
    assert_eq!(read(""), (vec![from, pai], None));
    assert_eq!(read("caller_id_in = \"pai\""), (vec![pai], Some("7495".into())));
    assert_eq!(read("from_user = \"user\""), (vec![pai], Some("7495".into())));
    assert_eq!(read("from_user = \"4242\""), (vec![pai], Some("4242".into())));
    let both = "caller_id_in = \"pai\"\nfrom_user = \"caller_id\"";
    assert_eq!(read(both), (vec![from, pai], None));
}

#[test]
fn a_trunk_becomes_the_settings_of_the_user_agent() {
    let keys = "registrar = \"sip.example.ru:5070\"\nuser = \"7495\"\nauth_user = \"login\"\n\
                password = { env = \"PASSWORD\" }\nmax_calls = 7\nline = false\nexpires = 120";
    let local = "192.0.2.9:5060".parse().unwrap();
    let token = || Some("0123456789abcdef".to_owned());
    let trunk = trunk(keys);
    let settings = trunk.settings(local, Some(Secret::new("hunter2")), token());
    assert_eq!(settings.name, "north");
    assert_eq!(settings.domain, "sip.example.ru");
    assert_eq!(settings.registrar.as_ref().unwrap().port, Some(5070));
    assert_eq!(settings.auth_user, "login");
    assert_eq!(settings.password, Some(Secret::new("hunter2")));
    assert_eq!((settings.max_calls, settings.local), (7, local));
    assert_eq!(settings.line, None, "the file says so");
    assert_eq!(settings.expires, Duration::from_secs(120));
    assert_eq!(settings.options_ping, None, "a registered trunk");
    assert_eq!(settings.keep_alive, Some(Duration::from_secs(25)));
}

#[test]
fn a_caller_id_goes_out_in_the_form_of_its_trunk() {
    let shown =
        CallerId::new(E164::parse("+74951234567").unwrap(), CodeLength::new(4).unwrap()).unwrap();
    let sent = |format: &str| {
        let keys = format!("targets = [\"10.0.0.1\"]\ncountry_code = \"7\"\n{format}");
        trunk(&keys).caller_id(&shown).unwrap().reveal().to_owned()
    };
    assert_eq!(sent(""), "+74951234567");
    assert_eq!(sent("caller_id_format = \"e164\""), "74951234567");
    assert_eq!(sent("caller_id_format = \"national\""), "4951234567");
}

#[test]
fn a_template_takes_its_variables() {
    let config = config("[templates.default]\nen = \"{{{code}}} is your {app} code.\"\n");
    let template = config.templates.values().next().unwrap()["en"].clone();
    assert_eq!(template.variables().collect::<Vec<_>>(), ["code", "app"]);
    let value = |name: &str| Some(if name == "code" { "1234" } else { "Shop" });
    assert_eq!(template.render(value).unwrap(), "{1234} is your Shop code.");
    let missing = template.render(|name| (name == "code").then_some("1234")).unwrap_err();
    assert_eq!(missing.to_string(), "the template's variable app is not given");
}

#[test]
fn a_headline_is_one_line_with_its_place_and_without_the_excerpt() {
    let text = "[pools.p]\nnumbers = [\"84951234567\"]\ntrunks = [\"a\"]\n";
    let report = config::parse(&[Source { name: "dozvon.toml", text }]).unwrap_err();
    let headlines: Vec<String> = report.diagnostics.iter().map(|d| d.headline()).collect();
    let first = &headlines[0];
    assert!(first.starts_with("error[bad-number]: ") && first.ends_with("(dozvon.toml:2:12)"));
    assert!(headlines.iter().all(|line| !line.contains("8495") && !line.contains('\n')));
}

#[test]
fn a_trunk_over_tls_wants_the_name_of_the_host_that_is_asked_and_no_other() {
    let name = |keys: &str| trunk(&format!("transport = \"tls\"\n{keys}")).tls_name().to_owned();
    assert_eq!(name("domain = \"example.ru\""), "example.ru");
    assert_eq!(
        name("domain = \"example.ru\"\nregistrar = \"sip.example.ru\"\nuser = \"1\""),
        "sip.example.ru"
    );
    assert_eq!(
        name("domain = \"example.ru\"\noutbound_proxy = \"edge.example.ru\""),
        "edge.example.ru"
    );
    assert_eq!(name("domain = \"example.ru\"\ntargets = [\"192.0.2.1\"]"), "example.ru");
    assert_eq!(name("targets = [\"2001:db8::1\"]"), "2001:db8::1");
    assert_eq!(name("domain = \"example.ru\"\ntls = { name = \"other.ru\" }"), "other.ru");
    let secure = trunk("transport = \"tls\"\ntargets = [\"192.0.2.1\"]");
    assert_eq!(secure.targets[0].address.port(), 5061);
}

#[test]
fn tables_for_tls_are_dumped_as_they_were_read() {
    let text = r#"
        [sip]
        listen = ["udp:0.0.0.0:5060", "tcp:0.0.0.0:5060", "tls:[::]:5061"]
        tls = { cert = "/etc/chain.pem", key = { credential = "sip-tls-key" } }
        [trunks.north]
        domain = "example.ru"
        transport = "tls"
        tls = { ca = "/etc/ca.pem", client_cert = { cert = "/etc/us.pem", key = { file = "/etc/us.key" } } }
    "#;
    let first = config(text);
    assert_eq!(first.sip.listen.len(), 3);
    assert_eq!(config(&config::dump(&first)), first);
}

#[test]
fn a_trunk_that_lets_its_domain_choose_may_use_every_transport() {
    let auto = trunk("domain = \"example.ru\"\ntransport = \"auto\"");
    assert_eq!(auto.transport, config::TransportChoice::Auto);
    assert!(auto.transport.allows(sip::Transport::Tls));
    let text = "[trunks.north]\ndomain = \"example.ru\"\ntransport = \"auto\"";
    assert_eq!(config(&config::dump(&config(text))), config(text));
}
