//! Brings the items of a partition together, within a fixed amount of memory.
//!
//! Items travel as the JSON they came as: it is the most compact form, its size is known to the byte, and it can be written to
//! disk and read back without loss when there is too much of it. What is cut off as a part depends on the order and the sizes of
//! the items alone, so the same input gives the same parts whatever the number of threads.

mod buffers;
mod frame;
mod index;
mod sorter;

pub use buffers::{Buffers, Bundle, Part};
pub use frame::{Frame, Loaded, Position};
pub use index::{Index, identity};
