//! Reading one table: each getter says what is wrong with its key and goes on.

pub(crate) mod list;
pub(crate) mod scalar;

use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::raw::{RawEntry, RawTable, RawValue};
use crate::schema::Schema;
use crate::source::{Span, Spanned};
use crate::suggest;

/// A table that is being read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section<'a> {
    table: &'a RawTable,
    schema: &'static Schema,
    /// Its name when it has one: the last part of `[trunks.north]`.
    pub(crate) name: &'a str,
    /// Where it is headed; `None`: it is nowhere.
    pub(crate) place: Option<Span>,
}

static NOTHING: RawTable = RawTable { entries: Vec::new() };

impl<'a> Section<'a> {
    /// The table `key` of the file itself; one that is not there is read as an empty one.
    pub(crate) fn at_root(
        faults: &mut Faults,
        root: &'a RawTable,
        schema: &'static Schema,
    ) -> Self {
        let open = |entry: &'a RawEntry| {
            Self::open(faults, schema, &entry.key.value, entry.key.span, &entry.value)
        };
        let nothing = Self { table: &NOTHING, schema, name: "", place: None };
        root.get(schema.path).and_then(open).unwrap_or(nothing)
    }

    /// The tables under a heading such as `trunks`, in the order of the files.
    pub(crate) fn each(
        faults: &mut Faults,
        root: &'a RawTable,
        heading: &str,
        schema: &'static Schema,
    ) -> Vec<Self> {
        let entries = named_tables(faults, root, heading);
        let open = |entry: &'a RawEntry| {
            Self::open(faults, schema, &entry.key.value, entry.key.span, &entry.value)
        };
        entries.iter().filter_map(open).collect()
    }

    /// A value that should be a table; its unknown keys are faults.
    pub(crate) fn open(
        faults: &mut Faults,
        schema: &'static Schema,
        name: &'a str,
        place: Span,
        value: &'a Spanned<RawValue>,
    ) -> Option<Self> {
        let table = match &value.value {
            RawValue::Table(table) => table,
            other => {
                let message = format!("{name:?} wants a table, found {}", other.kind());
                faults.add(Code::WrongType, value.span, message);
                return None;
            }
        };
        let section = Self { table, schema, name, place: Some(place) };
        section.check_keys(faults);
        Some(section)
    }

    /// The section of the whole file.
    pub(crate) fn root(faults: &mut Faults, table: &'a RawTable) -> Self {
        let section = Self { table, schema: &crate::schema::ROOT, name: "", place: None };
        section.check_keys(faults);
        section
    }

    /// The value of a key, which the schema must know.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Spanned<RawValue>> {
        debug_assert!(self.schema.key(key).is_some(), "{key} is in the schema");
        self.table.get(key).map(|entry| &entry.value)
    }

    /// Where the key's value stands, else where the table is headed.
    pub(crate) fn place_of(&self, key: &str) -> Option<Span> {
        self.get(key).map(|value| value.span).or(self.place)
    }

    /// The table as the file writes it: `[trunks.north]`.
    pub(crate) fn title(&self) -> String {
        match self.schema.path {
            "" => "the file".to_owned(),
            "routes" => "[[routes]]".to_owned(),
            path => format!("[{}]", path.replace("NAME", self.name)),
        }
    }

    /// Says that a key without a default is not there.
    pub(crate) fn missing(&self, faults: &mut Faults, key: &str, help: &str) {
        let message = format!("{} needs the key {key:?}", self.title());
        faults.add(Code::MissingKey, self.place, message).help(help);
    }

    /// Says that a value is of the wrong type. The value itself is not shown: it may be a secret.
    fn wrong_type(&self, faults: &mut Faults, key: &str, found: &Spanned<RawValue>) {
        let wants = self.schema.key(key).and_then(|key| key.wants).unwrap_or("another type");
        let message = format!("{key:?} wants {wants}, found {}", found.value.kind());
        faults.add(Code::WrongType, found.span, message);
    }

    fn check_keys(&self, faults: &mut Faults) {
        for entry in &self.table.entries {
            let (written, span) = (entry.key.value.as_str(), entry.key.span);
            match self.schema.key(written) {
                Some(key) if key.wants.is_some() => {}
                Some(_) => {
                    let message = format!("{written:?} is not built yet");
                    faults
                        .add(Code::NotBuiltYet, span, message)
                        .help("a later version of Dozvon will read it; until then leave it out");
                }
                None => self.unknown_key(faults, written, span),
            }
        }
    }

    fn unknown_key(&self, faults: &mut Faults, written: &str, span: Span) {
        let built = || self.schema.keys.iter().filter(|key| key.wants.is_some());
        let names = || built().map(|key| key.name);
        let help = match suggest::nearest(written, names()) {
            Some(near) => format!("did you mean {near:?}?"),
            None => format!("keys here: {}", suggest::list(names())),
        };
        let owner = if self.schema.path.is_empty() { "Dozvon".to_owned() } else { self.title() };
        let message = format!("{owner} has no key {written:?}");
        faults.add(Code::UnknownKey, span, message).help(help);
    }
}

/// The entries under a heading whose keys are names that operators give.
pub(crate) fn named_tables<'a>(
    faults: &mut Faults,
    root: &'a RawTable,
    heading: &str,
) -> &'a [RawEntry] {
    match root.get(heading).map(|entry| &entry.value) {
        None => &[],
        Some(Spanned { value: RawValue::Table(table), .. }) => &table.entries,
        Some(other) => {
            let message = format!(
                "{heading:?} wants tables, each under its own [{heading}.NAME], found {}",
                other.value.kind()
            );
            faults.add(Code::WrongType, other.span, message);
            &[]
        }
    }
}
