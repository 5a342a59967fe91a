//! What a query can be asked for. Each argument is checked where it is made, and has one spelling, so that equal ones share an answer.

use std::{fmt, str::FromStr};

use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::{Deserialize, Serialize};

/// An airport's code, in capitals: `ORD`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Iata(String);

/// A day of January, from 1 to 31.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8")]
pub(crate) struct Day(u8);

/// How many rows of an answer are wanted, from 1 to [`Limit::MOST`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32")]
pub(crate) struct Limit(u32);

impl Limit {
    pub(crate) const MOST: u32 = 200;

    /// It is checked when the program is compiled.
    pub(crate) const fn of(rows: u32) -> Self {
        assert!(1 <= rows && rows <= Self::MOST);
        Self(rows)
    }
}

impl FromStr for Iata {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let code = text.trim();
        if matches!(code.len(), 3 | 4) && code.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Ok(Self(code.to_ascii_uppercase()))
        } else {
            Err(format!("“{text}” is not the code of an airport, which has three or four letters or digits, like ORD"))
        }
    }
}

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let day = text.trim().parse().ok().filter(|day| (1..=31).contains(day));
        day.map(Self).ok_or_else(|| format!("“{text}” is not a day of January, which has the days 1 to 31"))
    }
}

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rows = text.trim().parse().ok().filter(|rows| (1..=Self::MOST).contains(rows));
        rows.map(Self).ok_or_else(|| format!("“{text}” is not a number of rows, which is from 1 to {}", Self::MOST))
    }
}

impl TryFrom<String> for Iata {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl TryFrom<u8> for Day {
    type Error = String;

    fn try_from(day: u8) -> Result<Self, String> {
        day.to_string().parse()
    }
}

impl TryFrom<u32> for Limit {
    type Error = String;

    fn try_from(rows: u32) -> Result<Self, String> {
        rows.to_string().parse()
    }
}

impl fmt::Display for Iata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ToSql for Iata {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl FromSql for Iata {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        String::column_result(value).map(Self)
    }
}

impl ToSql for Day {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}

impl ToSql for Limit {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}
