//! The open tables of one part: rows go in, record batches come out.

use arrow::array::RecordBatch;

use crate::error::{Error, Result};
use crate::table::{Room, Table, TableBuilder, catalog};

macro_rules! open_tables {
    ($($table:ident)+) => {
        /// A builder for every table.
        #[derive(Debug, Default)]
        pub struct Tables {
            $(#[doc = concat!("Rows of `", stringify!($table), "`.")] pub $table: catalog::$table::Builder,)+
        }

        impl Tables {
            /// The lengths of all tables, to come back to.
            pub fn mark(&self) -> Mark {
                Mark { $($table: self.$table.rows(),)+ }
            }

            /// Forgets all rows since the mark.
            pub fn return_to(&mut self, mark: &Mark) {
                $(self.$table.truncate(mark.$table);)+
            }

            /// How much room all columns take.
            pub fn room(&self) -> Vec<Room> {
                let mut rooms = Vec::new();
                $(self.$table.tell_room(&mut rooms);)+
                rooms
            }

            /// Tables with as much room from the beginning: columns that grow are copied each time they are full.
            pub fn with_room(rooms: impl IntoIterator<Item = Room>) -> Tables {
                let (mut tables, mut rooms) = (Tables::default(), rooms.into_iter());
                $(tables.$table.make_room(&mut rooms);)+
                tables
            }

            /// The batches of all tables that have rows, parents before children.
            pub fn finish(self) -> Result<Vec<(&'static Table, RecordBatch)>> {
                let mut batches = Vec::new();
                $(if self.$table.rows() > 0 {
                    let table = &catalog::$table::TABLE;
                    let batch = self.$table.finish().map_err(|source| Error::Batch { table: table.name, source })?;
                    batches.push((table, batch));
                })+
                Ok(batches)
            }
        }

        /// Lengths of all tables.
        #[derive(Clone, Copy, Debug)]
        pub struct Mark {
            $($table: usize,)+
        }
    };
}

open_tables! {
    tasks task_errors sensitive_content_reports threads submissions turns rubrics rubric_criteria messages reference_texts
    attachments chunks reasoning rubric_evaluations criterion_evaluations annotations projects batches deliveries delivery_tasks
}
