//! `[metrics]`: what answers are counted by.

use crate::findings::{Findings, Spotted};
use crate::kinds::{At, Choice, List, Section};
use crate::reader::Table;
use crate::settings::{AnswerLabel, Metrics};

/// A country costs one more look at a map for each answer, and multiplies the series.
const ANSWERS_BY_DEFAULT: [AnswerLabel; 2] = [AnswerLabel::Gateway, AnswerLabel::Cluster];

const LABEL: Choice<AnswerLabel> = Choice(&[
    ("gateway", AnswerLabel::Gateway),
    ("cluster", AnswerLabel::Cluster),
    ("country", AnswerLabel::Country),
]);

/// `[metrics]` as written.
#[derive(Default)]
pub(crate) struct MetricsSpec {
    answers_by: Option<Vec<Spotted<AnswerLabel>>>,
}

/// Reads `[metrics]`.
pub(crate) fn read(root: &mut Table<'_>) -> MetricsSpec {
    let labels = List { of: At(LABEL), what: "labels", min: 0, max: LABEL.0.len() };
    let read = |table: &mut Table<'_>| MetricsSpec { answers_by: table.optional("answers_by", &labels) };
    root.or("metrics", MetricsSpec::default(), &Section { header: "[metrics]", read })
}

/// Checks that no label stands twice.
pub(crate) fn build(spec: MetricsSpec, findings: &Findings<'_>) -> Metrics {
    let MetricsSpec { answers_by } = spec;
    let answers_by = answers_by.map(|labels| findings.once(labels, "label"));
    Metrics { answers_by: answers_by.unwrap_or_else(|| ANSWERS_BY_DEFAULT.to_vec()) }
}
