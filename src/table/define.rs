//! The macro behind the catalog: from one line a column it makes the row type, the builder, the reader and the entry of the
//! registry. It repeats and never decides.

/// Declares tables. See `catalog.rs` for how a declaration reads.
macro_rules! tables {
    ($(
        $(#[doc = $about:literal])+
        $table:ident of $dataset:ident from $object:literal {
            $( $id:literal $column:ident $(since $since:literal)?: $kind:ty = $source:literal, $doc:literal $(, [$($word:literal),+])?; )+
        }
    )+) => {
        $(
            $(#[doc = $about])+
            pub mod $table {
                #[allow(unused_imports)]
                use super::super::kind::{self, Boolean, Builder as _, Float64, Int32, Int64, Json, Kind, Overflow, Text, TextGroups,
                    TextList, Timestamp};
                use super::super::{Column, Dataset, Table};

                /// The table as data.
                pub static TABLE: Table = Table {
                    name: stringify!($table),
                    about: crate::table::without_space(concat!($($about),+)),
                    dataset: Dataset::$dataset,
                    object: $object,
                    columns: &[$(Column {
                        id: $id,
                        since: crate::table::version_of(&[$($since)?]),
                        name: crate::table::plain(stringify!($column)),
                        shape: <$kind as Kind>::SHAPE,
                        nullable: <$kind as Kind>::NULLABLE,
                        source: $source,
                        doc: $doc,
                        words: &[$($($word),+)?],
                    }),+],
                    arrow_schema: std::sync::OnceLock::new(),
                };

                /// One row, with every column.
                #[derive(Clone, Copy, Debug)]
                pub struct Row<'a> {
                    $(#[doc = $doc] pub $column: <$kind as Kind>::Value<'a>,)+
                }

                /// Collects rows into columns.
                #[derive(Debug, Default)]
                pub struct Builder {
                    $($column: <$kind as Kind>::Builder,)+
                    rows: usize,
                }

                impl Builder {
                    /// Appends a row. After an overflow the builder must be cut back to its earlier length.
                    pub fn push(&mut self, row: Row<'_>) -> Result<(), Overflow> {
                        $(<$kind as Kind>::push(&mut self.$column, row.$column)?;)+
                        self.rows += 1;
                        Ok(())
                    }
                }

                impl crate::table::TableBuilder for Builder {
                    fn rows(&self) -> usize {
                        self.rows
                    }

                    fn truncate(&mut self, rows: usize) {
                        $(self.$column.truncate(rows);)+
                        self.rows = rows;
                    }

                    fn tell_room(&self, to: &mut Vec<crate::table::Room>) {
                        $(self.$column.tell_room(to);)+
                    }

                    fn make_room(&mut self, rooms: &mut dyn Iterator<Item = crate::table::Room>) {
                        $(self.$column.make_room(rooms);)+
                    }

                    fn finish(self) -> Result<arrow::array::RecordBatch, arrow::error::ArrowError> {
                        arrow::array::RecordBatch::try_new(TABLE.arrow_schema(), vec![$(self.$column.finish()?),+])
                    }
                }

                /// Reads rows back from a batch.
                #[allow(dead_code, reason = "tables that describe tasks are not read back")]
                #[derive(Debug)]
                pub struct Reader {
                    $($column: <$kind as Kind>::Array,)+
                }

                impl crate::table::TableReader for Reader {
                    type Row<'a> = Row<'a>;

                    fn new(batch: &arrow::array::RecordBatch) -> Result<Self, arrow::error::ArrowError> {
                        Ok(Reader { $($column: crate::table::column_of::<$kind>(batch, crate::table::plain(stringify!($column)))?,)+ })
                    }

                    fn row<'a>(&'a self, row: usize, arena: &'a bumpalo::Bump) -> Row<'a> {
                        Row { $($column: <$kind as Kind>::read(&self.$column, row, arena),)+ }
                    }
                }
            }
        )+

        /// Every table, parents before children.
        pub static TABLES: &[&super::Table] = &[$(&$table::TABLE),+];
    };
}

pub(super) use tables;
