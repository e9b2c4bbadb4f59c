//! Media: the offer that every INVITE carries.

pub(crate) mod sdp;
