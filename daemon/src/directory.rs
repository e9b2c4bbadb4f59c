//! The directory: who may sign in, by which channels, and whose verification ends a sign-in.

pub mod entry;
pub mod password;
pub mod proof;
mod sign_in;
mod target;
mod users;

pub use sign_in::{Choice, SignInError, Started, begin, choices, read};
pub use target::{Target, TargetError, ToWish, resolve};
pub use users::{ChangeError, ImportError, PasswordWish, Saved, UserWish, change, create, import};
