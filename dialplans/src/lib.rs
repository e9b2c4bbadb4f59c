//! Which trunk, which caller ID, which digits: pure decisions over the operator's tables.
//!
//! A [`Dialplan`] is built once from trunks, pools and routes and then only read.
//! [`Dialplan::plan`] answers one question: to this number, on behalf of this request,
//! over which trunks do we call, and what does the phone show. [`Dialplan::explain`]
//! answers why.
//!
//! In a flash call the caller ID is the code, so a [`CallerId`] prints without its tail
//! and a [`Tail`] does not print at all. A called number ([`E164`]) prints masked. The
//! only way to the digits is a method named `reveal`.

mod caller_id;
mod dialling;
mod dialplan;
mod name;
mod number;
mod pool;
mod prefix;
mod route;
mod table;
mod tail;
mod trunk_health;

pub use caller_id::{CallerId, CallerIdError, RestingCallerIds};
pub use dialling::{
    CountryCode, DialError, DialFormat, DialledNumber, DiallingError, Translation, TrunkDialling,
};
pub use dialplan::explain::{
    Explanation, KeepsCallerId, PoolExplanation, PoolVerdict, TrunkExplanation, TrunkVerdict,
};
pub use dialplan::plan::{
    Attempt, CallerIdWish, EndingCount, Plan, PlanError, PlanRequest, SkipReason, SkippedTrunk,
};
pub use dialplan::share::Share;
pub use dialplan::{Dialplan, DialplanError};
pub use name::{NameError, PoolName, TrunkName};
pub use number::typed::NumberError;
pub use number::{E164, E164Error, Region, Revealed, UnknownRegion};
pub use pool::{CallerIdPool, NumberRange, NumberRangeError, PoolError, ending_count};
pub use prefix::{Prefix, PrefixError};
pub use route::{PoolChoice, Route, TrunkOrder};
pub use tail::{CodeLength, CodeLengthError, RecentTails, Tail, TailError};
pub use trunk_health::{TrunkHealth, TrunkState};
