//! Every policy, residency, tracks and the two hashes, each against what an operator would expect.

mod any;
mod build;
mod courses;
mod degraded;
mod draws;
mod operator;
mod policies;
mod residency;
mod stages;
mod stickiness;
mod trial;
