//! A configuration in, a catalog or issues out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use meridian_tests::fuzzing;

fuzz_target!(|input: &[u8]| {
    // What is no UTF-8 gets no further than `load`, which says where.
    let Ok(text) = str::from_utf8(input) else { return };
    if let Err(error) = fuzzing::config_text(text) {
        panic!("{error:#}");
    }
});
