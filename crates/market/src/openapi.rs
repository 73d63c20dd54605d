//! What is written as one JSON value, described for OpenAPI.

use std::borrow::Cow;

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, SchemaFormat, Type, schema::Schema},
};

use crate::{Interval, Symbol, Timestamp};

impl PartialSchema for Symbol {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A ticker symbol; upper-cased when read"))
            .min_length(Some(1))
            .max_length(Some(Self::MAX_LEN))
            .pattern(Some("^[A-Za-z0-9._=^/:-]+$"))
            .examples(["AAPL"])
            .into()
    }
}

impl ToSchema for Symbol {
    fn name() -> Cow<'static, str> {
        "Symbol".into()
    }
}

impl PartialSchema for Interval {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("The length of a bar"))
            .enum_values(Some(Self::ALL.map(Self::as_str)))
            .into()
    }
}

impl ToSchema for Interval {
    fn name() -> Cow<'static, str> {
        "Interval".into()
    }
}

impl PartialSchema for Timestamp {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .description(Some("Microseconds since 1970-01-01T00:00:00Z"))
            .examples([1_362_182_400_000_000_i64])
            .into()
    }
}

impl ToSchema for Timestamp {
    fn name() -> Cow<'static, str> {
        "Timestamp".into()
    }
}
