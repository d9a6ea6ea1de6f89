//! The kinds of numbers.

use std::fmt::Display;

use meridian_model::{Finite, Share};
use schemars::{Schema, json_schema};
use serde_json::{Value, json};
use toml::de::DeValue;

use crate::reader::{Cursor, Kind};

/// A whole number in a range, both ends included.
pub(crate) struct Whole<T> {
    pub(crate) min: T,
    pub(crate) max: T,
    /// What is counted, for the message: `seconds`; may be empty.
    pub(crate) unit: &'static str,
}

impl<T: Display + Copy + PartialOrd + TryFrom<i128>> Kind for Whole<T> {
    type Value = T;

    fn expected(&self) -> String {
        let Self { min, max, unit } = self;
        if min == max {
            return min.to_string();
        }
        let of = if unit.is_empty() { String::new() } else { format!(" of {unit}") };
        format!("a whole number{of} from {min} to {max}")
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<T> {
        let DeValue::Integer(number) = cursor.value else { return cursor.wrong(self.expected()) };
        let value = i128::from_str_radix(number.as_str(), number.radix()).ok();
        match value.and_then(|value| T::try_from(value).ok()) {
            Some(value) if (self.min..=self.max).contains(&value) => Some(value),
            _ => cursor.wrong(self.expected()),
        }
    }

    fn schema(&self) -> Schema {
        let [min, max] = [self.min, self.max].map(number);
        json_schema!({ "type": "integer", "minimum": min, "maximum": max, "description": self.expected() })
    }

    fn written(&self, value: &T) -> Option<Value> {
        Some(number(*value))
    }
}

/// A whole number for JSON.
fn number(number: impl Display) -> Value {
    number.to_string().parse::<i64>().map_or(Value::Null, Value::from)
}

/// Degrees of latitude or longitude, whole or not.
pub(crate) struct Degrees {
    /// The largest; the smallest is as far below zero.
    pub(crate) most: f64,
    /// Which of the two, and what its sign means.
    pub(crate) what: &'static str,
}

impl Kind for Degrees {
    type Value = f64;

    fn expected(&self) -> String {
        format!("degrees from -{0} to {0} ({1})", self.most, self.what)
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<f64> {
        let degrees = decimal(cursor.value).filter(|degrees| self.holds(*degrees));
        degrees.or_else(|| cursor.wrong(self.expected()))
    }

    fn schema(&self) -> Schema {
        json_schema!({
            "type": "number", "minimum": -self.most, "maximum": self.most, "description": self.expected(),
        })
    }
}

impl Degrees {
    /// The degrees of a text that stands alone.
    pub(crate) fn parse(&self, text: &str) -> Option<f64> {
        text.parse().ok().filter(|degrees| self.holds(*degrees))
    }

    /// A NaN is in no range.
    fn holds(&self, degrees: f64) -> bool {
        (-self.most..=self.most).contains(&degrees)
    }
}

/// A part of a whole, as a number from 0 to what the whole is written as.
pub(crate) struct Portion {
    /// 1 for a fraction, 100 for percent.
    pub(crate) whole: f64,
    /// What is taken a part of.
    pub(crate) what: &'static str,
}

impl Kind for Portion {
    type Value = Share;

    fn expected(&self) -> String {
        format!("{} from 0 to {}", self.what, self.whole)
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<Share> {
        let part = decimal(cursor.value).and_then(|number| Share::from_fraction(number / self.whole));
        part.or_else(|| cursor.wrong(self.expected()))
    }

    fn schema(&self) -> Schema {
        json_schema!({
            "type": "number", "minimum": 0, "maximum": self.whole, "description": self.expected(),
        })
    }

    fn written(&self, value: &Share) -> Option<Value> {
        Some(json!(f64::from(value.millionths()) / 1e6 * self.whole))
    }
}

/// Any number but the infinite ones.
pub(crate) struct Number;

impl Kind for Number {
    type Value = Finite;

    fn expected(&self) -> String {
        "a number".into()
    }

    fn read(&self, cursor: &Cursor<'_>) -> Option<Finite> {
        decimal(cursor.value).and_then(Finite::new).or_else(|| cursor.wrong(self.expected()))
    }

    fn schema(&self) -> Schema {
        json_schema!({ "type": "number" })
    }
}

/// A number in base 10, whole or not.
fn decimal(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str().parse().ok(),
        DeValue::Float(number) => number.as_str().parse().ok(),
        _ => None,
    }
}
