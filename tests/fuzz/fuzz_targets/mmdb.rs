//! A GeoIP database in, places or an error out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use meridian_tests::fuzzing;

fuzz_target!(|input: &[u8]| {
    if let Err(error) = fuzzing::database(input) {
        panic!("{error:#}");
    }
});
