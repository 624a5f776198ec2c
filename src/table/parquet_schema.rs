//! The Parquet schema of a table. It differs from what Arrow would derive in one thing: JSON columns carry the JSON logical
//! type, while the embedded Arrow schema keeps saying Utf8 (an `arrow.json` extension type there breaks Polars).

use std::sync::Arc;

use parquet::basic::{ConvertedType, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::errors::Result;
use parquet::schema::types::{SchemaDescriptor, Type, TypePtr};

use super::{Column, SCHEMA_VERSION, Shape, Table};

impl Table {
    /// The Parquet schema.
    pub fn parquet_schema(&self) -> Result<SchemaDescriptor> {
        self.parquet_schema_at(SCHEMA_VERSION)
    }

    /// The same as it was in a version of the schemas.
    pub fn parquet_schema_at(&self, version: u32) -> Result<SchemaDescriptor> {
        let fields = self.columns_at(version).map(field).collect::<Result<Vec<_>>>()?;
        let root = Type::group_type_builder("arrow_schema").with_fields(fields).build()?;
        Ok(SchemaDescriptor::new(Arc::new(root)))
    }
}

fn field(column: &Column) -> Result<TypePtr> {
    let repetition = if column.nullable { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    typed(column.name, column.shape, repetition, Some(column.id))
}

fn typed(name: &str, shape: Shape, repetition: Repetition, id: Option<i32>) -> Result<TypePtr> {
    let primitive = |physical, logical| {
        Type::primitive_type_builder(name, physical)
            .with_repetition(repetition)
            .with_logical_type(logical)
            .with_id(id)
            .build()
            .map(Arc::new)
    };
    match shape {
        Shape::Text => primitive(Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Shape::Json => primitive(Physical::BYTE_ARRAY, Some(LogicalType::Json)),
        Shape::Int32 => primitive(Physical::INT32, None),
        Shape::Int64 => primitive(Physical::INT64, None),
        Shape::Float64 => primitive(Physical::DOUBLE, None),
        Shape::Boolean => primitive(Physical::BOOLEAN, None),
        Shape::Timestamp => primitive(Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        Shape::TextList => list(name, Shape::Text, repetition, id),
        Shape::TextGroups => list(name, Shape::TextList, repetition, id),
    }
}

/// A list of three levels, as the Parquet specification wants it: `name` / `list` / `element`.
fn list(name: &str, element: Shape, repetition: Repetition, id: Option<i32>) -> Result<TypePtr> {
    let element = typed("element", element, Repetition::REQUIRED, None)?;
    let repeated =
        Type::group_type_builder("list").with_repetition(Repetition::REPEATED).with_fields(vec![element]).build()?;
    let list = Type::group_type_builder(name)
        .with_repetition(repetition)
        .with_logical_type(Some(LogicalType::List))
        .with_converted_type(ConvertedType::LIST)
        .with_id(id)
        .with_fields(vec![Arc::new(repeated)])
        .build()?;
    Ok(Arc::new(list))
}
