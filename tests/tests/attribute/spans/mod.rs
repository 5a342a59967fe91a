//! Values beyond their timeout: returned while a new one is made, or in place of an error.

mod after;
mod arguments;
mod background;
mod bounds;
mod cancelled;
mod ends;
mod errors;
mod expansions;
mod foreground;
mod forms;
mod idle;
mod looks;
mod times;
mod wrong;

use crate::caches::{caches, seconds};
