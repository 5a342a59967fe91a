//! The types of arguments that `serde` itself serialises, with no code of the user.

use serde::Serialize;

/// Values whose `Serialize` cannot panic.
pub trait Plain: Serialize {}

macro_rules! plain {
    ($($plain:ty)*) => {$(
        impl Plain for $plain {}
    )*};
}

plain!(bool char str String u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize f32 f64);

impl<T: Plain + ?Sized> Plain for &T {}
impl<T: Plain> Plain for Option<T> {}
