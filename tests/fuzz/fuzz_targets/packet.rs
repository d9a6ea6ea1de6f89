//! A packet in, an answer out.

#![no_main]

use libfuzzer_sys::fuzz_target;
use meridian_tests::fuzzing;

fuzz_target!(
    init: {
        // What packets are answered from is made with the first: seconds that are not that packet's.
        fuzzing::packet(&[0]).expect("no packet, no answer");
    },
    |input: &[u8]| {
        if let Err(error) = fuzzing::packet(input) {
            panic!("{error:#}");
        }
    }
);
