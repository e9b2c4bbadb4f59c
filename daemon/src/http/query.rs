//! Reads path and query parameters, with every fault named by its parameter.

use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path, Query};
use axum::http::request::Parts;

use super::error::{Code, Fault, Problem};
use crate::verification::service::Wait;

/// An identifier in the path. What is none is simply not there: 404.
#[derive(Clone, Copy, Debug)]
pub struct PathId<T>(pub T);

impl<S: Send + Sync, T: FromStr> FromRequestParts<S> for PathId<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path: Result<Path<String>, PathRejection> =
            Path::from_request_parts(parts, state).await;
        let Path(text) = path.map_err(|_no_text| Problem::new(Code::NotFound))?;
        text.parse().map(Self).map_err(|_no_id| Problem::new(Code::NotFound))
    }
}

/// The parameters behind the question mark, while they are read.
#[derive(Debug)]
pub struct Parameters {
    pairs: Vec<(String, String)>,
    known: Vec<&'static str>,
    faults: Vec<Fault>,
}

impl<S: Send + Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri);
        let Query(pairs) = pairs.map_err(|_unreadable| Problem::new(Code::InvalidRequest))?;
        Ok(Self { pairs, known: Vec::new(), faults: Vec::new() })
    }
}

impl Parameters {
    /// A parameter's text, at most 256 bytes.
    pub fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        let mut values = self.pairs.iter().filter(|(given, _)| given == name);
        let (_, text) = values.next()?;
        let text = text.clone();
        if values.next().is_some() {
            self.fault(name, "bad-value", "this parameter may be given once");
            return None;
        }
        if text.len() > 256 {
            self.fault(name, "too-long", "at most 256 bytes may stand here");
            return None;
        }
        Some(text)
    }

    /// A whole number.
    pub fn integer(&mut self, name: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let text = self.text(name)?;
        match text.parse().ok().filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => {
                let detail =
                    format!("a whole number from {} to {} is meant", range.start(), range.end());
                self.fault(name, "out-of-range", detail);
                None
            }
        }
    }

    /// Anything that can be read from a text; `meant` completes "… is meant".
    pub fn parsed<T: FromStr>(&mut self, name: &'static str, meant: &str) -> Option<T> {
        let text = self.text(name)?;
        match text.parse() {
            Ok(value) => Some(value),
            Err(_unreadable) => {
                self.fault(name, "bad-value", format!("{meant} is meant"));
                None
            }
        }
    }

    /// How long the client lets us hold the answer back, and until which version.
    pub fn wait(&mut self) -> Option<Wait> {
        let limit = self.integer("wait", 1..=30).map(Duration::from_secs);
        let after = self.integer("after", 0..=u64::from(u32::MAX)).map(|after| after as u32);
        limit.map(|limit| Wait { limit, after })
    }

    /// Notes a fault.
    pub fn fault(&mut self, name: &str, code: &'static str, detail: impl Into<String>) {
        let parameter = Some(name.to_owned());
        self.faults.push(Fault { pointer: None, parameter, code, detail: detail.into() });
    }

    /// Every parameter that was not asked for is a fault too.
    pub fn finish(mut self) -> Result<(), Problem> {
        let mut unknown: Vec<_> = self.pairs.iter().map(|(name, _)| name.clone()).collect();
        unknown.retain(|name| !self.known.contains(&name.as_str()));
        let known = if self.known.is_empty() { "none".to_owned() } else { self.known.join(", ") };
        for name in unknown {
            let detail = format!("no such parameter; those of this call are: {known}");
            self.fault(&name, "unknown-parameter", detail);
        }
        if self.faults.is_empty() { Ok(()) } else { Err(Problem::invalid(self.faults)) }
    }
}
