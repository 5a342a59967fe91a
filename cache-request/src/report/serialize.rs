//! `Serialize` for the report.

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{Distribution, FunctionReport, Report, Verdict};
use crate::stats::serialize::serialize_fields;

serialize_fields!(Report { functions });
serialize_fields!(FunctionReport {
    stats,
    measured_for,
    saved,
    body_time,
    hit_time,
    wait_time,
    age,
    value_bytes,
    byte_seconds,
    verdict,
});
serialize_fields!(Distribution<T> { count, mean, median, p90, p99, max });

/// Its kind, for programs, and its words.
impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Verdict", 2)?;
        fields.serialize_field("kind", self.kind())?;
        fields.serialize_field("words", &format_args!("{self}"))?;
        fields.end()
    }
}
