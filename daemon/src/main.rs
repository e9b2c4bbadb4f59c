//! The binary `dozvon`.

fn main() {}
