//! Reads a JSON body field by field and collects every fault with its JSON pointer.
//!
//! serde stops at the first fault and knows no pointers, so bodies are parsed into a
//! [`serde_json::Value`] and walked by an [`Object`] that knows which fields it was asked for.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::error::{Fault, Problem};

/// Why a text is refused, whatever it means.
#[derive(Clone, Copy, Debug)]
pub struct TextRule {
    /// Fewest characters.
    pub min: usize,
    /// Most characters (Unicode scalar values).
    pub max: usize,
    /// Whether line breaks and tabs may stand in it; other control characters never may.
    pub lines: bool,
}

impl TextRule {
    /// One line of 1 to `max` characters.
    pub const fn line(max: usize) -> Self {
        Self { min: 1, max, lines: false }
    }
}

/// Collects the faults of one body.
#[derive(Debug, Default)]
pub struct Faults(RefCell<Vec<Fault>>);

impl Faults {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the body as an object by `read`; every field that `read` did not ask for is a fault.
    /// `read` answers `None` only after it noted a fault.
    pub fn read<'v, T>(
        self,
        body: &'v Value,
        read: impl FnOnce(&mut Object<'v, '_>) -> Option<T>,
    ) -> Result<T, Problem> {
        let value = match self.object(body, String::new()) {
            None => None,
            Some(mut object) => {
                let value = read(&mut object);
                object.finish();
                value
            }
        };
        match (value, self.0.into_inner()) {
            (Some(value), faults) if faults.is_empty() => Ok(value),
            (_, faults) => Err(Problem::invalid(faults)),
        }
    }

    fn object<'v>(&self, value: &'v Value, pointer: String) -> Option<Object<'v, '_>> {
        match value {
            Value::Object(fields) => {
                Some(Object { fields, pointer, known: Vec::new(), faults: self })
            }
            other => {
                self.push(
                    pointer,
                    "wrong-type",
                    format!("an object is meant, not {}", kind(other)),
                );
                None
            }
        }
    }

    fn push(&self, pointer: String, code: &'static str, detail: impl Into<String>) {
        let fault = Fault { pointer: Some(pointer), parameter: None, code, detail: detail.into() };
        self.0.borrow_mut().push(fault);
    }
}

/// One object of the body while it is read.
#[derive(Debug)]
pub struct Object<'v, 'f> {
    fields: &'v Map<String, Value>,
    pointer: String,
    known: Vec<&'static str>,
    faults: &'f Faults,
}

impl<'v, 'f> Object<'v, 'f> {
    /// Notes a fault of a field.
    pub fn fault(&self, name: &str, code: &'static str, detail: impl Into<String>) {
        self.faults.push(self.pointer_to(name), code, detail);
    }

    /// A field's value; absent and null are the same.
    pub fn value(&mut self, name: &'static str) -> Option<&'v Value> {
        self.know(name);
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// A field may be asked for twice, and is listed once.
    fn know(&mut self, name: &'static str) {
        if !self.known.contains(&name) {
            self.known.push(name);
        }
    }

    /// A text that must be there.
    pub fn required_text(&mut self, name: &'static str, rule: TextRule) -> Option<&'v str> {
        if self.fields.get(name).is_none_or(Value::is_null) {
            self.know(name);
            self.fault(name, "required", "this field is needed");
            return None;
        }
        self.text(name, rule)
    }

    /// A text that may be left out.
    pub fn text(&mut self, name: &'static str, rule: TextRule) -> Option<&'v str> {
        let value = self.value(name)?;
        self.faults.text(value, self.pointer_to(name), rule)
    }

    /// A whole number that may be left out.
    pub fn integer(&mut self, name: &'static str, range: RangeInclusive<u64>) -> Option<u64> {
        let value = self.value(name)?;
        let Value::Number(number) = value else {
            self.wrong_type(name, "a whole number", value);
            return None;
        };
        match number.as_u64().filter(|number| range.contains(number)) {
            Some(number) => Some(number),
            None => {
                let detail =
                    format!("a whole number from {} to {} is meant", range.start(), range.end());
                self.fault(name, "out-of-range", detail);
                None
            }
        }
    }

    /// True or false; left out is false.
    pub fn flag(&mut self, name: &'static str) -> bool {
        match self.value(name) {
            None => false,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.wrong_type(name, "true or false", other);
                false
            }
        }
    }

    /// An object inside this one that may be left out.
    pub fn object<T>(
        &mut self,
        name: &'static str,
        read: impl FnOnce(&mut Object<'v, 'f>) -> T,
    ) -> Option<T> {
        let value = self.value(name)?;
        let mut inner = self.faults.object(value, self.pointer_to(name))?;
        let read = read(&mut inner);
        inner.finish();
        Some(read)
    }

    /// An array that may be left out; `read` gets each item with its pointer.
    pub fn array<T>(
        &mut self,
        name: &'static str,
        max: usize,
        mut read: impl FnMut(&Item<'v, 'f>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let value = self.value(name)?;
        let Value::Array(items) = value else {
            self.wrong_type(name, "an array", value);
            return None;
        };
        if items.len() > max {
            self.fault(name, "too-long", format!("at most {max} items may stand here"));
            return None;
        }
        let pointer = self.pointer_to(name);
        let read = items.iter().enumerate().filter_map(|(index, value)| {
            read(&Item { value, pointer: format!("{pointer}/{index}"), faults: self.faults })
        });
        Some(read.collect())
    }

    /// An object of the client's own: short names, short texts. Left out is none.
    pub fn labels(&mut self, name: &'static str, rules: LabelRules) -> Option<Map<String, Value>> {
        let value = self.value(name)?;
        let Value::Object(labels) = value else {
            self.wrong_type(name, "an object", value);
            return None;
        };
        if labels.len() > rules.max {
            self.fault(name, "too-long", format!("at most {} names may stand here", rules.max));
        }
        for (label, value) in labels.iter().take(rules.max) {
            let pointer = format!("{}/{}", self.pointer_to(name), escape(label));
            let fits = |character: char| !character.is_control();
            if label.is_empty()
                || label.chars().count() > rules.name_max
                || !label.chars().all(fits)
            {
                let detail = format!("a name has 1 to {} characters", rules.name_max);
                self.faults.push(pointer, "bad-value", detail);
                continue;
            }
            self.faults.text(value, pointer, TextRule { min: 0, max: rules.text_max, lines: true });
        }
        Some(labels.clone())
    }

    fn wrong_type(&self, name: &str, meant: &str, found: &Value) {
        self.fault(name, "wrong-type", format!("{meant} is meant, not {}", kind(found)));
    }

    fn pointer_to(&self, name: &str) -> String {
        format!("{}/{}", self.pointer, escape(name))
    }

    fn finish(self) {
        for name in self.fields.keys().filter(|name| !self.known.contains(&name.as_str())) {
            let detail = format!("no such field; this object can hold: {}", self.known.join(", "));
            self.faults.push(self.pointer_to(name), "unknown-field", detail);
        }
    }
}

/// How large an object of the client's own may be.
#[derive(Clone, Copy, Debug)]
pub struct LabelRules {
    /// Most names.
    pub max: usize,
    /// Most characters of a name.
    pub name_max: usize,
    /// Most characters of a text.
    pub text_max: usize,
}

/// One item of an array while it is read.
#[derive(Debug)]
pub struct Item<'v, 'f> {
    /// The item.
    pub value: &'v Value,
    pointer: String,
    faults: &'f Faults,
}

impl<'v, 'f> Item<'v, 'f> {
    /// Notes a fault of the item itself.
    pub fn fault(&self, code: &'static str, detail: impl Into<String>) {
        self.faults.push(self.pointer.clone(), code, detail);
    }

    /// Reads the item as an object.
    pub fn object<T>(&self, read: impl FnOnce(&mut Object<'v, 'f>) -> Option<T>) -> Option<T> {
        let mut inner = self.faults.object(self.value, self.pointer.clone())?;
        let read = read(&mut inner);
        inner.finish();
        read
    }
}

impl Faults {
    fn text<'v>(&self, value: &'v Value, pointer: String, rule: TextRule) -> Option<&'v str> {
        let Value::String(text) = value else {
            self.push(pointer, "wrong-type", format!("a text is meant, not {}", kind(value)));
            return None;
        };
        let count = text.chars().count();
        if count < rule.min {
            let detail = format!("at least {} characters are needed", rule.min);
            self.push(pointer, "too-short", detail);
            return None;
        }
        if count > rule.max {
            self.push(
                pointer,
                "too-long",
                format!("at most {} characters may stand here", rule.max),
            );
            return None;
        }
        let lines = |character: char| rule.lines && matches!(character, '\n' | '\r' | '\t');
        if text.chars().any(|character| character.is_control() && !lines(character)) {
            self.push(pointer, "bad-character", "control characters may not stand here");
            return None;
        }
        Some(text)
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Escapes a name for a JSON pointer (RFC 6901 section 3).
fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(body: Value) -> Vec<(String, &'static str)> {
        let problem = Faults::new()
            .read(&body, |object| {
                let to = object.required_text("to", TextRule::line(8));
                object.integer("ttl_s", 30..=900);
                object.flag("dry_run");
                object.object("client", |client| client.text("session", TextRule::line(4)));
                object.array("channels", 2, |item| item.value.as_str());
                object.labels("metadata", LabelRules { max: 2, name_max: 3, text_max: 4 });
                to
            })
            .unwrap_err();
        problem.faults().iter().map(|fault| (fault.pointer.clone().unwrap(), fault.code)).collect()
    }

    #[test]
    fn all_faults_of_a_body_come_back_with_their_pointers() {
        let body = json!({
            "ttl_s": 3.5, "dry_run": "yes", "client": {"session": "a\r\nb", "x/y~z": 1},
            "channels": {}, "metadata": {"long": "x", "k": "12345"}, "tо": 1
        });
        assert_eq!(
            faults(body),
            [
                ("/to", "required"),
                ("/ttl_s", "out-of-range"),
                ("/dry_run", "wrong-type"),
                ("/client/session", "bad-character"),
                ("/client/x~1y~0z", "unknown-field"),
                ("/channels", "wrong-type"),
                ("/metadata/k", "too-long"),
                ("/metadata/long", "bad-value"),
                ("/tо", "unknown-field"),
            ]
            .map(|(pointer, code)| (pointer.to_owned(), code))
        );
    }

    #[test]
    fn a_body_that_is_no_object_is_one_fault_at_the_root() {
        for body in [json!(null), json!([]), json!("to"), json!(7)] {
            assert_eq!(faults(body), [(String::new(), "wrong-type")]);
        }
    }

    #[test]
    fn null_is_the_same_as_left_out() {
        assert_eq!(faults(json!({"to": null, "client": null})), [("/to".to_owned(), "required")]);
    }

    #[test]
    fn a_text_is_measured_in_characters_and_holds_no_nul() {
        assert_eq!(faults(json!({"to": "123456789"})), [("/to".to_owned(), "too-long")]);
        assert_eq!(faults(json!({"to": "\u{0}"})), [("/to".to_owned(), "bad-character")]);
        let body = json!({"to": "ёёёёёёёё"});
        let read = |object: &mut Object<'_, '_>| {
            object.required_text("to", TextRule::line(8)).map(str::to_owned)
        };
        assert!(Faults::new().read(&body, read).is_ok());
    }
}
