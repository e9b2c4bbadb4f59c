#![no_main]

use std::time::Instant;

libfuzzer_sys::fuzz_target!(|data: &[u8]| dozvon_fuzz::user_agent(Instant::now(), data));
