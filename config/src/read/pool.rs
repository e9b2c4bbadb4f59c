//! Reading `[pools.NAME]`.

use std::collections::BTreeMap;

use dialplans::{CodeLength, NumberRange, PoolName, TrunkName};

use crate::config::Pool;
use crate::diagnostic::Code;
use crate::diagnostic::fault::Faults;
use crate::numbers::digit_count;
use crate::raw::RawTable;
use crate::read::{Names, table_name};
use crate::schema;
use crate::section::Section;
use crate::section::list::is_known;

pub(crate) fn read_all(
    root: &RawTable,
    names: &Names<'_>,
    faults: &mut Faults,
) -> BTreeMap<PoolName, Pool> {
    let pools = Section::each(faults, root, "pools", &schema::POOL);
    let pools = pools
        .iter()
        .filter_map(|section| faults.unless_wrong(|faults| read(section, names, faults)).flatten());
    pools.map(|pool| (pool.name.clone(), pool)).collect()
}

fn read(section: &Section<'_>, names: &Names<'_>, faults: &mut Faults) -> Option<Pool> {
    let name = table_name(section, PoolName::parse, faults);
    let code_length = section.whole(faults, "code_length", 4_u8, 3..=10);
    let code_length = CodeLength::new(code_length).ok();
    if section.get("numbers").is_none() {
        section.missing(faults, "numbers", "numbers = [\"+74951230000-+74951239999\"]");
    }
    if section.get("trunks").is_none() {
        section.missing(faults, "trunks", "trunks = [\"…\"], those that may show these numbers");
    }
    let numbers = section
        .parsed_texts(faults, "numbers", Code::BadNumber, NumberRange::parse)
        .unwrap_or_default();
    for range in &numbers {
        if code_length.is_some_and(|length| digit_count(&range.value) <= length.digits()) {
            let message = "a number has no more digits than its code";
            faults
                .add(Code::BadCodeLength, range.span, message)
                .help(format!("\"code_length\" of [pools.{}] must be smaller", section.name));
        }
    }
    let trunks = section.texts(faults, "trunks").unwrap_or_default();
    let is_trunk = |faults: &mut Faults, name| {
        is_known(faults, Code::PoolUnknownTrunk, "trunk", name, &names.trunks)
    };
    let trunks: Vec<TrunkName> = trunks
        .into_iter()
        .filter(|name| is_trunk(faults, *name))
        .filter_map(|name| TrunkName::parse(name.value).ok())
        .collect();
    Some(Pool {
        name: name?,
        numbers: numbers.into_iter().map(|range| range.value).collect(),
        trunks,
        code_length: code_length?,
    })
}
