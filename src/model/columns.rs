//! Rust values as Arrow columns, and structs as tables of them.
//!
//! `record!` declares a struct once; the Arrow schema, the column builders and the nesting
//! of one record in another all follow from the types of its fields.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder, ListArray,
    StringBuilder, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, TimeUnit, TimestampMicrosecondType};
use jiff::Timestamp;

/// Collects one column.
pub trait Builder: Default {
    fn finish(&mut self) -> ArrayRef;
}

/// A type that has values in a column.
pub trait Value {
    type Builder: Builder;
    fn data_type() -> DataType;
    fn append(&self, column: &mut Self::Builder);
    fn append_null(column: &mut Self::Builder);

    /// All of a list at once, where that is faster.
    fn append_slice(values: &[Self], column: &mut Self::Builder)
    where
        Self: Sized,
    {
        for value in values {
            value.append(column);
        }
    }
}

/// A field of a record: a value that is always there, or one that may be absent.
pub trait Column {
    type Builder: Builder;
    const NULLABLE: bool;
    fn data_type() -> DataType;
    fn add(&self, column: &mut Self::Builder);
    fn add_null(column: &mut Self::Builder);

    fn add_slice(values: &[Self], column: &mut Self::Builder)
    where
        Self: Sized,
    {
        for value in values {
            value.add(column);
        }
    }

    /// Whether there is no value.
    fn is_absent(&self) -> bool {
        false
    }

    /// Takes the other's value where there is none.
    fn fill_from(&mut self, _other: Self)
    where
        Self: Sized,
    {
    }
}

impl<T: Value> Column for T {
    type Builder = T::Builder;
    const NULLABLE: bool = false;

    fn data_type() -> DataType {
        T::data_type()
    }

    fn add(&self, column: &mut Self::Builder) {
        self.append(column);
    }

    fn add_null(column: &mut Self::Builder) {
        T::append_null(column);
    }

    fn add_slice(values: &[T], column: &mut Self::Builder) {
        T::append_slice(values, column);
    }
}

impl<T: Value> Column for Option<T> {
    type Builder = T::Builder;
    const NULLABLE: bool = true;

    fn data_type() -> DataType {
        T::data_type()
    }

    fn add(&self, column: &mut Self::Builder) {
        match self {
            Some(value) => value.append(column),
            None => T::append_null(column),
        }
    }

    fn add_null(column: &mut Self::Builder) {
        T::append_null(column);
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn fill_from(&mut self, other: Option<T>) {
        if self.is_none() {
            *self = other;
        }
    }
}

macro_rules! plain {
    ($($rust:ty, $builder:ty, $data_type:expr, |$value:ident| $stored:expr;)*) => {$(
        impl Builder for $builder {
            fn finish(&mut self) -> ArrayRef {
                Arc::new(<$builder>::finish(self))
            }
        }

        impl Value for $rust {
            type Builder = $builder;

            fn data_type() -> DataType {
                $data_type
            }

            fn append(&self, column: &mut Self::Builder) {
                let $value = self;
                column.append_value($stored);
            }

            fn append_null(column: &mut Self::Builder) {
                column.append_null();
            }
        }
    )*};
}

plain! {
    bool, BooleanBuilder, DataType::Boolean, |v| *v;
    i64, Int64Builder, DataType::Int64, |v| *v;
    f32, Float32Builder, DataType::Float32, |v| *v;
    f64, Float64Builder, DataType::Float64, |v| *v;
    String, StringBuilder, DataType::Utf8, |v| v;
    Timestamp, Utc, DataType::Timestamp(TIME_UNIT, Some("UTC".into())), |v| v.as_microsecond();
}

impl Builder for Int32Builder {
    fn finish(&mut self) -> ArrayRef {
        Arc::new(Int32Builder::finish(self))
    }
}

/// By itself, because tracks are long lists of these.
impl Value for i32 {
    type Builder = Int32Builder;

    fn data_type() -> DataType {
        DataType::Int32
    }

    fn append(&self, column: &mut Int32Builder) {
        column.append_value(*self);
    }

    fn append_null(column: &mut Int32Builder) {
        column.append_null();
    }

    fn append_slice(values: &[i32], column: &mut Int32Builder) {
        column.append_slice(values);
    }
}

/// Times are microseconds since 1970, labelled UTC: what every reader of Parquet knows as a time.
pub const TIME_UNIT: TimeUnit = TimeUnit::Microsecond;
pub type TimeType = TimestampMicrosecondType;
pub type TimeArray = TimestampMicrosecondArray;

/// Whole seconds since 1970 of a value in a time column.
pub fn second_of(microseconds: i64) -> i64 {
    microseconds.div_euclid(1_000_000)
}

/// Collects a time column.
#[derive(Default)]
pub struct Utc(TimestampMicrosecondBuilder);

impl Utc {
    fn append_value(&mut self, microsecond: i64) {
        self.0.append_value(microsecond);
    }

    fn append_null(&mut self) {
        self.0.append_null();
    }

    fn finish(&mut self) -> TimeArray {
        self.0.finish().with_timezone("UTC")
    }
}

/// What the Parquet specification calls the elements of a list; readers trip over other names.
const LIST_ELEMENT: &str = "element";

/// A list column: where each list ends, and the elements of all in a row.
pub struct ListBuilder<T: Column> {
    ends: Vec<i32>,
    present: Vec<bool>,
    length: i32,
    elements: T::Builder,
}

impl<T: Column> Default for ListBuilder<T> {
    fn default() -> Self {
        ListBuilder { ends: vec![0], present: Vec::new(), length: 0, elements: T::Builder::default() }
    }
}

impl<T: Column> Builder for ListBuilder<T> {
    fn finish(&mut self) -> ArrayRef {
        let ends = std::mem::replace(&mut self.ends, vec![0]);
        let present = NullBuffer::from(std::mem::take(&mut self.present));
        self.length = 0;
        let field = Arc::new(Field::new(LIST_ELEMENT, T::data_type(), T::NULLABLE));
        let nulls = Some(present).filter(|p| p.null_count() > 0);
        Arc::new(ListArray::new(field, OffsetBuffer::new(ends.into()), self.elements.finish(), nulls))
    }
}

impl<T: Column> Value for Vec<T> {
    type Builder = ListBuilder<T>;

    fn data_type() -> DataType {
        DataType::List(Arc::new(Field::new(LIST_ELEMENT, T::data_type(), T::NULLABLE)))
    }

    fn append(&self, column: &mut Self::Builder) {
        T::add_slice(self, &mut column.elements);
        column.length += i32::try_from(self.len()).expect("a list of one activity fits");
        column.ends.push(column.length);
        column.present.push(true);
    }

    fn append_null(column: &mut Self::Builder) {
        column.ends.push(column.length);
        column.present.push(false);
    }
}

/// A struct whose fields are columns.
pub trait Record {
    type Columns: Columns<Row = Self>;
}

/// The column builders of a record.
pub trait Columns: Default {
    type Row;
    fn fields() -> arrow::datatypes::Fields;
    fn push(&mut self, row: &Self::Row);
    fn push_null(&mut self);
    fn finish(&mut self) -> Vec<ArrayRef>;
}

/// Declares a record: the struct, and `…Columns` that collects it.
macro_rules! record {
    (
        $(#[$outer:meta])*
        pub struct $name:ident, $columns:ident {
            $($(#[$inner:meta])* pub $field:ident: $type:ty,)*
        }
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $name {
            $($(#[$inner])* pub $field: $type,)*
        }

        #[derive(Default)]
        pub struct $columns {
            $($field: <$type as $crate::model::columns::Column>::Builder,)*
            present: Vec<bool>,
        }

        impl $name {
            /// The columns without a value.
            pub fn absent(&self) -> Vec<&'static str> {
                let mut absent = Vec::new();
                $(if $crate::model::columns::Column::is_absent(&self.$field) {
                    absent.push(stringify!($field));
                })*
                absent
            }

            /// Takes from another what is absent here.
            pub fn fill_from(&mut self, other: $name) {
                $($crate::model::columns::Column::fill_from(&mut self.$field, other.$field);)*
            }
        }

        impl $crate::model::columns::Record for $name {
            type Columns = $columns;
        }

        impl $crate::model::columns::Columns for $columns {
            type Row = $name;

            fn fields() -> ::arrow::datatypes::Fields {
                use $crate::model::columns::Column;
                ::arrow::datatypes::Fields::from(vec![
                    $(::arrow::datatypes::Field::new(
                        stringify!($field),
                        <$type as Column>::data_type(),
                        <$type as Column>::NULLABLE,
                    ),)*
                ])
            }

            fn push(&mut self, row: &$name) {
                use $crate::model::columns::Column;
                $(row.$field.add(&mut self.$field);)*
                self.present.push(true);
            }

            fn push_null(&mut self) {
                use $crate::model::columns::Column;
                $(<$type as Column>::add_null(&mut self.$field);)*
                self.present.push(false);
            }

            fn finish(&mut self) -> Vec<::arrow::array::ArrayRef> {
                use $crate::model::columns::Builder;
                self.present.clear();
                vec![$(Builder::finish(&mut self.$field),)*]
            }
        }

        impl $crate::model::columns::Builder for $columns {
            fn finish(&mut self) -> ::arrow::array::ArrayRef {
                use $crate::model::columns::Columns;
                let nulls = ::arrow::buffer::NullBuffer::from(std::mem::take(&mut self.present));
                let nulls = Some(nulls).filter(|n| n.null_count() > 0);
                let children = Columns::finish(self);
                ::std::sync::Arc::new(::arrow::array::StructArray::new(Self::fields(), children, nulls))
            }
        }

        impl $crate::model::columns::Value for $name {
            type Builder = $columns;

            fn data_type() -> ::arrow::datatypes::DataType {
                ::arrow::datatypes::DataType::Struct(
                    <$columns as $crate::model::columns::Columns>::fields(),
                )
            }

            fn append(&self, column: &mut $columns) {
                $crate::model::columns::Columns::push(column, self);
            }

            fn append_null(column: &mut $columns) {
                $crate::model::columns::Columns::push_null(column);
            }
        }
    };
}
pub(crate) use record;
