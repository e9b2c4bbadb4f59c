#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dozvon_fuzz::message(data));
