//! A zone file in, a catalog or issues out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use meridian_tests::fuzzing;

fuzz_target!(|input: &[u8]| {
    if let Err(error) = fuzzing::zone_file(input) {
        panic!("{error:#}");
    }
});
