//! `/v1/directory/users.csv`: all users out, many users in.
//!
//! A file is stored whole or not at all: with one wrong line nothing changes, and every fault
//! comes back with its line. A line with an `id` writes that user over, one without makes a new
//! one. Passwords are not in files: each is set by itself.

use ::csv::{ByteRecord, ReaderBuilder, WriterBuilder};
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::{fault_words, input};
use crate::accounts::{ActingAccount, Scope};
use crate::app::App;
use crate::directory::{self, ImportError, UserWish};
use crate::http::body::CsvFile;
use crate::http::caller::Caller;
use crate::http::error::{Fault, Problem, ProblemBody};
use crate::http::reply;
use crate::ids::UserId;
use crate::store::{PageFilter, User};

/// The columns, in the order in which they are written.
const COLUMNS: [&str; 8] =
    ["id", "name", "phone", "email", "login", "extension", "role", "enabled"];

/// Most users of a file: what one transaction should hold.
const LINE_LIMIT: usize = 5_000;

/// Longest field, in characters.
const FIELD_LIMIT: usize = 254;

/// Most faults that are looked for.
const FAULT_LIMIT: usize = 64;

/// Users read at once.
const PAGE: u32 = 200;

/// All users, as CSV in UTF-8 with a header.
#[utoipa::path(
    get, path = "/v1/directory/users.csv", tag = "directory",
    responses(
        (status = 200, body = String, content_type = "text/csv"),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn export(
    State(app): State<App>,
    caller: Caller,
) -> Result<Response, Problem> {
    caller.require(Scope::Directory)?;
    let who = caller.account(&app)?.who();
    let mut writer = WriterBuilder::new().from_writer(Vec::new());
    let failed = |error: ::csv::Error| Problem::internal(&error);
    writer.write_record(COLUMNS).map_err(failed)?;
    let mut filter = PageFilter::newest(PAGE);
    loop {
        let page = app.store().users(&who, &filter).await?;
        for user in &page.items {
            writer.write_record(record(user)).map_err(failed)?;
        }
        filter.cursor = page.next;
        if page.next.is_none() {
            break;
        }
    }
    let bytes = writer.into_inner().map_err(|error| Problem::internal(error.error()))?;
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8; header=present"),
        (CONTENT_DISPOSITION, "attachment; filename=\"users.csv\""),
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, bytes).into_response())
}

fn record(user: &User) -> [String; 8] {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    [
        user.user_id.to_string(),
        user.name.clone(),
        user.phone.map(|phone| phone.reveal().as_str().to_owned()).unwrap_or_default(),
        user.email.as_ref().map(|email| email.reveal().to_owned()).unwrap_or_default(),
        text(&user.login),
        text(&user.extension),
        text(&user.role),
        user.enabled.to_string(),
    ]
}

/// Add and change many users: a file is stored whole or not at all.
///
/// CSV in UTF-8 with a header that names the columns, in any order; commas or semicolons.
#[utoipa::path(
    post, path = "/v1/directory/users.csv", tag = "directory",
    request_body(content = String, content_type = "text/csv", example = json!("name,phone,email\nIvan,+79161234567,ivan@corp.ru\n")),
    responses(
        (status = 200, description = "How many users were stored."),
        (status = 422, body = ProblemBody, content_type = "application/problem+json", description = "Every fault with its line; nothing was stored."),
        (status = "default", body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(in crate::http) async fn import(
    State(app): State<App>,
    caller: Caller,
    CsvFile(body): CsvFile,
) -> Result<Response, Problem> {
    caller.require(Scope::Directory)?;
    let account = caller.account(&app)?;
    let rows = read(&body, &account)?;
    let lines: Vec<u64> = rows.iter().map(|row| row.line).collect();
    let rows = rows.into_iter().map(|row| (row.id, row.user)).collect();
    let task_app = app.clone();
    let stored =
        reply::tracked(&app, async move { directory::import(&task_app, &account, rows).await });
    match stored.await? {
        Ok(count) => Ok(reply::json(StatusCode::OK, &json!({"stored": count}))),
        Err(ImportError::Refused(faults)) => {
            let faults = faults.iter().map(|found| {
                let (column, detail) = fault_words(found);
                fault(lines.get(found.at).copied().unwrap_or(0), column, "user-conflict", detail)
            });
            Err(Problem::invalid(faults.collect()))
        }
        Err(ImportError::Store(error)) => Err(error.into()),
    }
}

struct Row {
    line: u64,
    id: Option<UserId>,
    user: UserWish,
}

fn fault(line: u64, column: &str, code: &'static str, detail: impl Into<String>) -> Fault {
    let parameter = match column {
        "" => format!("line {line}"),
        column => format!("line {line}, {column}"),
    };
    Fault { pointer: None, parameter: Some(parameter), code, detail: detail.into() }
}

fn read(body: &[u8], account: &ActingAccount) -> Result<Vec<Row>, Problem> {
    // Spreadsheets write a byte order mark, and semicolons where the comma is for decimals.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let first = body.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let delimiter = if first.contains(&b';') && !first.contains(&b',') { b';' } else { b',' };
    let mut reader = ReaderBuilder::new().delimiter(delimiter).flexible(true).from_reader(body);
    let header = reader.byte_headers().cloned();
    let columns = header.map_err(|_unreadable| vec![fault(1, "", "bad-value", "no CSV")]);
    let columns = columns.and_then(|header| columns_of(&header)).map_err(Problem::invalid)?;
    let mut faults = Vec::new();
    let mut rows = Vec::new();
    let mut place = Place { body, at: 0, line: 1 };
    for (count, record) in reader.byte_records().enumerate() {
        if count == LINE_LIMIT {
            let detail = format!("a file has at most {LINE_LIMIT} users");
            faults.push(fault(count as u64 + 2, "", "too-long", detail));
        }
        if faults.len() >= FAULT_LIMIT || count == LINE_LIMIT {
            break;
        }
        match record {
            Ok(record) => {
                let line = place.line_of(&record);
                let before = faults.len();
                let row = row(line, &columns, &record, account, &mut faults);
                if faults.len() == before {
                    rows.extend(row);
                }
            }
            Err(_unreadable) => {
                faults.push(fault(count as u64 + 2, "", "bad-value", "the line is no CSV"));
                break;
            }
        }
    }
    if faults.is_empty() { Ok(rows) } else { Err(Problem::invalid(faults)) }
}

/// Lines of the file, counted as far as it was read: the reader's own count is one short behind
/// a line that ends in CR LF.
struct Place<'a> {
    body: &'a [u8],
    at: usize,
    line: u64,
}

impl Place<'_> {
    fn line_of(&mut self, record: &ByteRecord) -> u64 {
        let byte = record.position().map_or(0, ::csv::Position::byte);
        let mut start = usize::try_from(byte).unwrap_or(usize::MAX).min(self.body.len());
        while matches!(self.body.get(start), Some(b'\r' | b'\n')) {
            start += 1;
        }
        let passed = self.body.get(self.at..start).unwrap_or_default();
        self.line += passed.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.at = start;
        self.line
    }
}

fn columns_of(header: &ByteRecord) -> Result<Vec<&'static str>, Vec<Fault>> {
    let mut columns = Vec::new();
    let mut faults = Vec::new();
    for (place, name) in header.iter().enumerate() {
        let known = COLUMNS.into_iter().find(|known| known.as_bytes() == name.trim_ascii());
        match known {
            Some(known) if columns.contains(&known) => {
                faults.push(fault(1, known, "bad-value", "a column stands here twice"));
            }
            Some(known) => columns.push(known),
            None => {
                let detail = format!("column {} is none of: {}", place + 1, COLUMNS.join(", "));
                faults.push(fault(1, "", "unknown-field", detail));
            }
        }
    }
    if faults.is_empty() && !columns.contains(&"name") {
        faults.push(fault(1, "name", "required", "this column is needed"));
    }
    if faults.is_empty() { Ok(columns) } else { Err(faults) }
}

/// `None` only with a fault.
fn row(
    line: u64,
    columns: &[&'static str],
    record: &ByteRecord,
    account: &ActingAccount,
    faults: &mut Vec<Fault>,
) -> Option<Row> {
    if record.len() != columns.len() {
        let detail =
            format!("{} fields stand here, the header has {}", record.len(), columns.len());
        faults.push(fault(line, "", "bad-value", detail));
        return None;
    }
    let mut cells = Cells { line, columns, record, faults };
    let id = cells.read("id", |text| {
        text.parse::<UserId>().map_err(|error| ("bad-value", error.to_string()))
    });
    let name = cells.read("name", input::name);
    let user = UserWish {
        phone: cells.read("phone", |text| input::phone(text, account)),
        email: cells.read("email", input::email),
        login: cells.read("login", input::login),
        extension: cells.read("extension", input::name_like),
        role: cells.read("role", input::name_like),
        enabled: cells.read("enabled", flag).unwrap_or(true),
        name: name.clone().unwrap_or_default(),
    };
    if cells.is_empty("name") {
        cells.faults.push(fault(line, "name", "required", "this field is needed"));
    }
    if ["phone", "email", "login"].into_iter().all(|column| cells.is_empty(column)) {
        let detail = "a user needs a number, a mailbox or a login";
        cells.faults.push(fault(line, "phone", "required", detail));
    }
    name.map(|_| Row { line, id, user })
}

struct Cells<'a> {
    line: u64,
    columns: &'a [&'static str],
    record: &'a ByteRecord,
    faults: &'a mut Vec<Fault>,
}

impl Cells<'_> {
    fn cell(&self, column: &str) -> &[u8] {
        let place = self.columns.iter().position(|known| *known == column);
        place.and_then(|place| self.record.get(place)).unwrap_or_default().trim_ascii()
    }

    fn is_empty(&self, column: &str) -> bool {
        self.cell(column).is_empty()
    }

    fn read<T>(
        &mut self,
        column: &str,
        read: impl FnOnce(&str) -> Result<T, input::Wrong>,
    ) -> Option<T> {
        let cell = self.cell(column);
        if cell.is_empty() {
            return None;
        }
        let value = match std::str::from_utf8(cell) {
            Err(_) => Err(("bad-character", "the field is not UTF-8".to_owned())),
            Ok(text) if text.chars().count() > FIELD_LIMIT => {
                Err(("too-long", format!("at most {FIELD_LIMIT} characters may stand here")))
            }
            Ok(text) if text.chars().any(char::is_control) => {
                Err(("bad-character", "control characters may not stand here".to_owned()))
            }
            Ok(text) => read(text),
        };
        value
            .map_err(|(code, detail)| self.faults.push(fault(self.line, column, code, detail)))
            .ok()
    }
}

fn flag(text: &str) -> Result<bool, input::Wrong> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        _ => Err(("bad-value", "true or false is meant".to_owned())),
    }
}
