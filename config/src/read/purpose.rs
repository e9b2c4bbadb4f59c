//! Reading `[purposes.NAME]`.

use std::collections::BTreeMap;
use std::time::Duration;

use dialplans::PoolName;

use crate::config::purpose::{Channel, PASSWORD_RESET, Purpose, WorkflowStep};
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::name::PurposeName;
use crate::raw::{RawTable, RawValue};
use crate::read::{Names, table_name};
use crate::schema;
use crate::section::Section;
use crate::section::list::is_known;
use crate::section::scalar::{Choice, Zero, choose};
use crate::source::{Span, Spanned};

/// Purposes that exist without being written.
pub(crate) const BUILT_IN: [&str; 2] = ["sign_in", "sign_up"];

const CHANNELS: [Choice<Channel>; 5] = [
    ("flash_call", Some(Channel::FlashCall)),
    ("incoming_call", Some(Channel::IncomingCall)),
    ("sms", Some(Channel::Sms)),
    ("voice", Some(Channel::Voice)),
    ("email", Some(Channel::Email)),
];

/// The names of all purposes, written or not.
pub(crate) fn names(root: &RawTable) -> Vec<&str> {
    let mut names = root.names_in("purposes");
    for built_in in BUILT_IN {
        if !names.contains(&built_in) {
            names.push(built_in);
        }
    }
    names
}

pub(crate) fn read_all(
    root: &RawTable,
    names: &Names<'_>,
    faults: &mut Faults,
) -> BTreeMap<PurposeName, Purpose> {
    let mut purposes: BTreeMap<PurposeName, Purpose> = BUILT_IN
        .into_iter()
        .filter_map(|name| Some((PurposeName::parse(name).ok()?, default())))
        .collect();
    for section in Section::each(faults, root, "purposes", &schema::PURPOSE) {
        let name = table_name(&section, PurposeName::parse, faults);
        let purpose = faults.unless_wrong(|faults| read(&section, names, faults));
        match (name, purpose) {
            (Some(name), Some(purpose)) => purposes.insert(name, purpose),
            (Some(name), None) => purposes.remove(&name),
            (None, _) => None,
        };
    }
    purposes
}

/// Whether it exists beside `sign_in` without anybody having said anything about it.
pub(crate) fn is_untouched(name: &PurposeName, purpose: &Purpose) -> bool {
    *name != PurposeName::sign_in() && BUILT_IN.contains(&name.as_str()) && *purpose == default()
}

fn default() -> Purpose {
    Purpose {
        workflow: vec![Channel::FlashCall.into()],
        ttl: Duration::from_secs(300),
        checks: 3,
        sends: 5,
        min_endings: 1_000,
        allow_small_pools: Vec::new(),
        ring_limit: None,
        call_limit: Duration::from_secs(25),
    }
}

fn read(section: &Section<'_>, names: &Names<'_>, faults: &mut Faults) -> Purpose {
    let default = default();
    let small = section.texts_or_none(faults, "allow_small_pools").unwrap_or_default();
    let is_pool = |faults: &mut Faults, name| {
        is_known(faults, Code::PurposeUnknownPool, "pool", name, &names.pools)
    };
    let allow_small_pools = small
        .into_iter()
        .filter(|name| is_pool(faults, *name))
        .filter_map(|name| PoolName::parse(name.value).ok())
        .collect();
    let ttl = section.seconds(faults, "ttl_s", 30..=3_600, Zero::IsRefused).unwrap_or(default.ttl);
    let call_limit = section
        .seconds(faults, "call_limit", 5..=180, Zero::IsRefused)
        .unwrap_or(default.call_limit);
    if call_limit > ttl {
        let place = section.place_of("call_limit");
        let message = format!(
            "purpose {:?} calls for {} s and is over after {} s",
            section.name,
            call_limit.as_secs_f64(),
            ttl.as_secs_f64()
        );
        faults
            .add(Code::TimeoutsDisagree, place, message)
            .help("\"call_limit\" must not be longer than \"ttl_s\"");
    }
    let ring_limit = section.seconds(faults, "ring_limit", 1..=60, Zero::IsRefused);
    if ring_limit.is_some_and(|limit| limit >= call_limit) {
        let message = format!(
            "purpose {:?} lets a phone ring as long as all its calls together",
            section.name
        );
        faults
            .add(Code::TimeoutsDisagree, section.place_of("ring_limit"), message)
            .help("\"ring_limit\" must be shorter than \"call_limit\"");
    }
    Purpose {
        workflow: workflow(section, faults).unwrap_or(default.workflow),
        ttl,
        checks: section.whole(faults, "checks", default.checks, 1..=10),
        sends: section.whole(faults, "sends", default.sends, 1..=20),
        min_endings: section.whole(faults, "min_endings", default.min_endings, 1..=10_000_000_000),
        allow_small_pools,
        ring_limit,
        call_limit,
    }
}

fn workflow(section: &Section<'_>, faults: &mut Faults) -> Option<Vec<WorkflowStep>> {
    let values = section.values(faults, "workflow");
    let is_short_of_codes = section.name == PASSWORD_RESET && section.get("workflow").is_none();
    if is_short_of_codes {
        wants_long_codes(section.place, faults);
    }
    let mut steps: Vec<WorkflowStep> = Vec::new();
    for value in values? {
        let Some(step) = step(section, value, faults) else { continue };
        let has_long_codes = matches!(step.channel, Channel::Sms | Channel::Voice | Channel::Email);
        if section.name == PASSWORD_RESET && !has_long_codes {
            wants_long_codes(Some(value.span), faults);
        }
        if steps.iter().any(|earlier| earlier.channel == step.channel) {
            let message = format!("\"workflow\" holds {:?} twice", step.channel.name());
            faults.add(Code::DuplicateValue, value.span, message);
        } else {
            steps.push(step);
        }
    }
    Some(steps)
}

fn wants_long_codes(place: impl Into<Option<Span>>, faults: &mut Faults) {
    faults
        .add(Code::PurposeWantsLongCodes, place, "\"password_reset\" wants codes of 6 digits")
        .help("a flash call has at most 4 or 5, a user's call has none: workflow = [\"sms\"]");
}

fn step(
    section: &Section<'_>,
    step: &Spanned<RawValue>,
    faults: &mut Faults,
) -> Option<WorkflowStep> {
    match &step.value {
        RawValue::Text(word) => {
            choose(faults, "channel", step.with(word.as_str()), &CHANNELS).map(Channel::into)
        }
        RawValue::Table(_) => {
            let table = Section::open(faults, &schema::STEP, section.name, step.span, step)?;
            if table.get("channel").is_none() {
                table.missing(faults, "channel", "channel = \"flash_call\"");
            }
            let after = table.seconds(faults, "after_s", 0..=600, Zero::IsRefused);
            Some(WorkflowStep { channel: table.choice(faults, "channel", &CHANNELS)?, after })
        }
        _ => {
            section.wrong_element(faults, "workflow", step);
            None
        }
    }
}
