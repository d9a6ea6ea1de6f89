//! A packet in, one answer out of two ways.

#![no_main]

use libfuzzer_sys::fuzz_target;
use meridian_tests::fuzzing;

fuzz_target!(
    init: {
        // What packets are answered from is made with the first: seconds that are not that packet's.
        fuzzing::paths(&[0]).expect("no packet, no answer");
    },
    |input: &[u8]| {
        if let Err(error) = fuzzing::paths(input) {
            panic!("{error:#}");
        }
    }
);
