//! The user agent against a simulated carrier and network, in virtual time, from a seed.
//!
//! One seed makes one [`scenario::Scenario`]: a trunk, the carrier's manners, the weather of the
//! network, and what each phone does. [`run`] plays it to its end and checks, after every step,
//! what must hold whatever happens. The same seed gives the same bytes.

pub mod carrier;
mod checker;
mod network;
mod packet;
pub mod scenario;
pub mod storm;
mod subject;
mod world;

pub use checker::Violation;
pub use subject::Bug;
pub use world::{CallReport, Report, ladder, run};
