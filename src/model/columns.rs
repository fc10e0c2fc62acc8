//! Rust values as Arrow columns, and structs as tables of them.
//!
//! `record!` declares a struct once; the Arrow schema, the column builders and the nesting of one struct in
//! another all follow from the types of its fields, and its table of [`Column`]s from their attributes.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Float32Builder, Float64Builder, Int32Builder, Int64Builder, ListArray,
    StringBuilder, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, TimeUnit, TimestampMicrosecondType};
use jiff::Timestamp;

use super::column::Column;
use super::sparse::Sparse;

/// Collects one column. It begins with no memory: there are a hundred beside it, and most stay short or empty.
pub trait Builder {
    fn new() -> Self;
    /// Gives the column and begins anew, with memory for as much again: what is collected in pieces of one size grows
    /// only in the first of them.
    fn finish(&mut self) -> ArrayRef;
}

/// Memory for as much again, and a little more.
fn again(length: usize) -> usize {
    length + length / 8
}

/// A type that has values in a column.
pub trait Value {
    type Builder: Builder;
    fn data_type() -> DataType;
    fn append(&self, column: &mut Self::Builder);
    fn append_null(column: &mut Self::Builder);

    /// The value as a number, where it is one.
    fn number(&self) -> Option<f64> {
        None
    }

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

/// A field of a table row: a value that is always there, or one that may be absent.
pub trait Cell {
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

    /// Whether there is no value. A 0 is none where the column says so.
    fn is_absent(&self, _column: &Column) -> bool {
        false
    }

    /// Takes the other's value where there is none.
    fn fill_from(&mut self, _other: Self, _column: &Column)
    where
        Self: Sized,
    {
    }

    /// Takes out a number that the column's range does not have, and returns it.
    fn take_implausible(&mut self, _column: &Column) -> Option<f64> {
        None
    }
}

impl<T: Value> Cell for T {
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

impl<T: Value> Cell for Option<T> {
    type Builder = Sparse<T>;
    const NULLABLE: bool = true;

    fn data_type() -> DataType {
        T::data_type()
    }

    fn add(&self, column: &mut Self::Builder) {
        match self {
            Some(value) => value.append(column.with_values()),
            None => Self::add_null(column),
        }
    }

    fn add_null(column: &mut Self::Builder) {
        column.append_null();
    }

    fn is_absent(&self, column: &Column) -> bool {
        let Some(value) = self else { return true };
        column.zero_is_absent && value.number() == Some(0.0)
    }

    fn fill_from(&mut self, other: Option<T>, column: &Column) {
        if self.is_absent(column) && other.is_some() {
            *self = other;
        }
    }

    fn take_implausible(&mut self, column: &Column) -> Option<f64> {
        let (range, number) = (column.range.as_ref()?, self.as_ref()?.number()?);
        if range.contains(&number) {
            return None;
        }
        *self = None;
        Some(number)
    }
}

macro_rules! plain {
    ($($rust:ty, $builder:ty, $data_type:expr, |$value:ident| $stored:expr $(, number: $number:expr)?;)*) => {$(
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

            $(fn number(&self) -> Option<f64> {
                let $value = self;
                Some($number)
            })?
        }
    )*};
}

macro_rules! builders {
    ($($builder:ty, [$($none:literal),+], |$column:ident| $($length:expr),+;)*) => {$(
        impl Builder for $builder {
            fn new() -> Self {
                <$builder>::with_capacity($($none),+)
            }

            fn finish(&mut self) -> ArrayRef {
                let $column = &*self;
                let next = <$builder>::with_capacity($(again($length)),+);
                Arc::new(<$builder>::finish(&mut std::mem::replace(self, next)))
            }
        }
    )*};
}

builders! {
    BooleanBuilder, [0], |column| column.values_slice().len() * 8;
    Int32Builder, [0], |column| column.values_slice().len();
    Int64Builder, [0], |column| column.values_slice().len();
    Float32Builder, [0], |column| column.values_slice().len();
    Float64Builder, [0], |column| column.values_slice().len();
    StringBuilder, [0, 0], |column| column.offsets_slice().len(), column.values_slice().len();
    Utc, [0], |column| column.0.values_slice().len();
}

plain! {
    bool, BooleanBuilder, DataType::Boolean, |v| *v;
    i64, Int64Builder, DataType::Int64, |v| *v;
    f32, Float32Builder, DataType::Float32, |v| *v, number: f64::from(*v);
    f64, Float64Builder, DataType::Float64, |v| *v, number: *v;
    String, StringBuilder, DataType::Utf8, |v| v;
    &'static str, StringBuilder, DataType::Utf8, |v| v;
    Timestamp, Utc, DataType::Timestamp(TIME_UNIT, Some("UTC".into())), |v| v.as_microsecond();
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

    fn number(&self) -> Option<f64> {
        Some(f64::from(*self))
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
pub struct Utc(TimestampMicrosecondBuilder);

impl Utc {
    fn with_capacity(rows: usize) -> Utc {
        Utc(TimestampMicrosecondBuilder::with_capacity(rows))
    }

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
pub struct ListBuilder<T: Cell> {
    ends: Vec<i32>,
    present: Vec<bool>,
    length: i32,
    elements: T::Builder,
}

impl<T: Cell> Builder for ListBuilder<T> {
    fn new() -> Self {
        ListBuilder { ends: vec![0], present: Vec::new(), length: 0, elements: T::Builder::new() }
    }

    fn finish(&mut self) -> ArrayRef {
        let room = again(self.present.len());
        let ends = std::mem::replace(&mut self.ends, Vec::with_capacity(room));
        self.ends.push(0);
        let present = NullBuffer::from(std::mem::replace(&mut self.present, Vec::with_capacity(room)));
        self.length = 0;
        let field = Arc::new(Field::new(LIST_ELEMENT, T::data_type(), T::NULLABLE));
        let nulls = Some(present).filter(|p| p.null_count() > 0);
        Arc::new(ListArray::new(field, OffsetBuffer::new(ends.into()), self.elements.finish(), nulls))
    }
}

impl<T: Cell> Value for Vec<T> {
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
pub trait TableRow: Sized + 'static {
    type Columns: Columns<Row = Self>;
    /// The columns, in the order of the fields.
    const COLUMNS: &'static [Column];
}

/// The column builders of a table.
pub trait Columns: Default {
    type Row;
    fn fields() -> arrow::datatypes::Fields;
    fn push(&mut self, row: &Self::Row);
    fn push_null(&mut self);
    fn finish(&mut self) -> Vec<ArrayRef>;
}

/// Declares a table row: the struct, and `…Columns` that collects it. `#[col(…)]` at a field says what is true of
/// its column; the attributes are the methods of [`Column`].
macro_rules! record {
    (
        $(#[$outer:meta])*
        pub struct $name:ident, $columns:ident {
            $(
                $(#[doc = $doc:literal])*
                $(#[col($($attribute:ident $(= $value:expr)?),+)])?
                pub $field:ident: $type:ty,
            )*
        }
    ) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct $name {
            $($(#[doc = $doc])* pub $field: $type,)*
        }

        pub struct $columns {
            $($field: <$type as $crate::model::columns::Cell>::Builder,)*
            present: Vec<bool>,
        }

        impl Default for $columns {
            fn default() -> Self {
                $crate::model::columns::Builder::new()
            }
        }

        impl $name {
            /// The columns without a value.
            pub fn absent(&self) -> Vec<&'static str> {
                let mut columns = <$name as $crate::model::columns::TableRow>::COLUMNS.iter();
                let mut absent = Vec::new();
                $(if let Some(column) = columns.next()
                    && $crate::model::columns::Cell::is_absent(&self.$field, column)
                {
                    absent.push(column.name);
                })*
                absent
            }

            /// Takes out the numbers that their columns say cannot be, and returns them.
            pub fn take_implausible(&mut self) -> Vec<(&'static $crate::model::column::Column, f64)> {
                let mut columns = <$name as $crate::model::columns::TableRow>::COLUMNS.iter();
                let mut taken = Vec::new();
                $(if let Some(column) = columns.next()
                    && let Some(number) = $crate::model::columns::Cell::take_implausible(&mut self.$field, column)
                {
                    taken.push((column, number));
                })*
                taken
            }

            /// Takes from another what is absent here.
            pub fn fill_from(&mut self, other: $name) {
                let mut columns = <$name as $crate::model::columns::TableRow>::COLUMNS.iter();
                $(if let Some(column) = columns.next() {
                    $crate::model::columns::Cell::fill_from(&mut self.$field, other.$field, column);
                })*
            }
        }

        impl $crate::model::columns::TableRow for $name {
            type Columns = $columns;
            const COLUMNS: &'static [$crate::model::column::Column] = &[$({
                use $crate::model::column::attributes::*;
                Column::named(stringify!($field))$($(.$attribute($($value)?))+)?
            },)*];
        }

        impl $crate::model::columns::Columns for $columns {
            type Row = $name;

            fn fields() -> ::arrow::datatypes::Fields {
                use $crate::model::columns::Cell;
                ::arrow::datatypes::Fields::from(vec![
                    $(::arrow::datatypes::Field::new(
                        stringify!($field),
                        <$type as Cell>::data_type(),
                        <$type as Cell>::NULLABLE,
                    ),)*
                ])
            }

            fn push(&mut self, row: &$name) {
                use $crate::model::columns::Cell;
                let mut columns = <$name as $crate::model::columns::TableRow>::COLUMNS.iter();
                $(match columns.next() {
                    Some(column) if row.$field.is_absent(column) => <$type as Cell>::add_null(&mut self.$field),
                    _ => row.$field.add(&mut self.$field),
                })*
                self.present.push(true);
            }

            fn push_null(&mut self) {
                use $crate::model::columns::Cell;
                $(<$type as Cell>::add_null(&mut self.$field);)*
                self.present.push(false);
            }

            fn finish(&mut self) -> Vec<::arrow::array::ArrayRef> {
                use $crate::model::columns::Builder;
                self.present.clear();
                vec![$(Builder::finish(&mut self.$field),)*]
            }
        }

        impl $crate::model::columns::Builder for $columns {
            fn new() -> Self {
                $columns { $($field: $crate::model::columns::Builder::new(),)* present: Vec::new() }
            }

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
