//! Lists: pages with a cursor, newest first.

use std::fmt::Display;
use std::str::FromStr;

use dialplans::E164;
use serde::Serialize;

use super::query::Parameters;
use crate::clock::Timestamp;
use crate::store::{Page, PageFilter};

/// Items of a page when the client does not say.
const DEFAULT_LIMIT: u64 = 50;

/// Most items of a page.
const LIMIT: u64 = 200;

/// One page.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct List<T> {
    /// The items, newest first.
    pub data: Vec<T>,
    /// Give it as `cursor` to get the next page; null: this is the last.
    pub next_cursor: Option<String>,
}

/// The parameters that lists share.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the schema of parameters that are read one by one")]
pub struct ListParams {
    /// How many items, 1 to 200.
    #[param(default = 50)]
    limit: Option<u64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only what was made at or after this time (RFC 3339).
    created_after: Option<String>,
    /// Only what was made before this time.
    created_before: Option<String>,
    /// Only what went to this number, in E.164 form.
    to: Option<String>,
    /// Only what has this reference.
    reference: Option<String>,
    /// Only what stands so.
    status: Option<String>,
    /// Only what used this channel.
    channel: Option<String>,
}

/// The parameters of lists that are searched by nothing else.
#[derive(Debug, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "the schema of parameters that are read one by one")]
pub struct PageParams {
    /// How many items, 1 to 200.
    #[param(default = 50)]
    limit: Option<u64>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// Only what was made at or after this time (RFC 3339).
    created_after: Option<String>,
    /// Only what was made before this time.
    created_before: Option<String>,
}

impl<T> List<T> {
    /// A page of the store as a client sees it; `id` makes the cursor's text.
    pub fn new<S, I: Display>(
        page: Page<S>,
        view: impl Fn(&S) -> T,
        id: impl Fn(u128) -> I,
    ) -> Self {
        Self {
            data: page.items.iter().map(view).collect(),
            next_cursor: page.next.map(|cursor| id(cursor).to_string()),
        }
    }
}

/// What every list can be asked for; `id` opens the cursor.
pub fn page<I: FromStr>(parameters: &mut Parameters, id: impl Fn(I) -> u128) -> PageFilter {
    let cursor = parameters.parsed("cursor", "the next_cursor of an earlier page");
    PageFilter {
        cursor: cursor.map(id),
        limit: parameters.integer("limit", 1..=LIMIT).unwrap_or(DEFAULT_LIMIT) as u32,
        created_after: time(parameters, "created_after"),
        created_before: time(parameters, "created_before"),
    }
}

fn time(parameters: &mut Parameters, name: &'static str) -> Option<Timestamp> {
    parameters.parsed(name, "a time such as 2026-01-31T09:30:00Z")
}

/// The called number, in E.164 form.
pub fn number(parameters: &mut Parameters) -> Option<E164> {
    let text = parameters.text("to")?;
    // A plus that is not written as %2B reads as a space.
    let read = E164::parse(&text.replacen(' ', "+", 1));
    if read.is_err() {
        parameters.fault("to", "bad-value", "a number such as +79161234567 is meant");
    }
    read.ok()
}

/// A word of an enum.
pub fn word<T>(
    parameters: &mut Parameters,
    name: &'static str,
    read: impl Fn(&str) -> Option<T>,
) -> Option<T> {
    let text = parameters.text(name)?;
    let read = read(&text);
    if read.is_none() {
        parameters.fault(name, "bad-value", "there is no such word");
    }
    read
}
