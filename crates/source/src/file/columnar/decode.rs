//! From an Arrow array to a column of the table, whatever type it was written with.
//!
//! Model: times become microseconds by the unit of the array's type, never by the size of the number;
//! decimals become the nearest `f64` of the decimal that is written; a 32-bit float becomes the `f64`
//! of its shortest decimal (190.13, not 190.13000488), because that is what was stored into it. A time
//! of day becomes its text.
//!
//! What it does not do: nested values, which a table's kinds leave out.

use arrow_array::{
    Array, ArrowPrimitiveType, GenericByteArray, GenericByteViewArray,
    cast::AsArray,
    types::{
        ByteArrayType, ByteViewType, Date32Type, Date64Type, Decimal32Type, Decimal64Type,
        Decimal128Type, Decimal256Type, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type,
        Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
        Time64NanosecondType, TimestampMicrosecondType, TimestampMillisecondType,
        TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type,
        UInt64Type,
    },
};
use arrow_schema::{DataType, TimeUnit};

use crate::file::table::{Column, MISSING, TextColumn};

const DAY_US: i64 = 86_400_000_000;

/// The column that an array is.
///
/// # Errors
/// For a person: a value that the column cannot hold, or a type that no column has.
pub fn column(array: &dyn Array) -> Result<Column, String> {
    Ok(match array.data_type() {
        DataType::Null => Column::Int(vec![MISSING; array.len()]),
        DataType::Int8 => integers::<Int8Type>(array, i64::from),
        DataType::Int16 => integers::<Int16Type>(array, i64::from),
        DataType::Int32 => integers::<Int32Type>(array, i64::from),
        DataType::Int64 => integers::<Int64Type>(array, |v| v),
        DataType::UInt8 => integers::<UInt8Type>(array, i64::from),
        DataType::UInt16 => integers::<UInt16Type>(array, i64::from),
        DataType::UInt32 => integers::<UInt32Type>(array, i64::from),
        DataType::UInt64 => unsigned(array)?,
        DataType::Float16 => floats::<Float16Type>(array, |x| f64::from(*x)),
        DataType::Float32 => floats::<Float32Type>(array, |x| shortest(*x)),
        DataType::Float64 => floats::<Float64Type>(array, |x| *x),
        DataType::Decimal32(_, scale) => {
            let decimal = Decimal::of(*scale);
            floats::<Decimal32Type>(array, |v| decimal.value(v, Some((*v).into())))
        }
        DataType::Decimal64(_, scale) => {
            let decimal = Decimal::of(*scale);
            floats::<Decimal64Type>(array, |v| decimal.value(v, Some(*v)))
        }
        DataType::Decimal128(_, scale) => {
            let decimal = Decimal::of(*scale);
            floats::<Decimal128Type>(array, |v| decimal.value(v, i64::try_from(*v).ok()))
        }
        DataType::Decimal256(_, scale) => {
            let decimal = Decimal::of(*scale);
            floats::<Decimal256Type>(array, |v| {
                let integer = v.to_i128().and_then(|v| i64::try_from(v).ok());
                decimal.value(v, integer)
            })
        }
        DataType::Timestamp(TimeUnit::Second, _) => {
            integers::<TimestampSecondType>(array, |s| s.saturating_mul(1_000_000))
        }
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            integers::<TimestampMillisecondType>(array, |ms| ms.saturating_mul(1_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            integers::<TimestampMicrosecondType>(array, |us| us)
        }
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            integers::<TimestampNanosecondType>(array, |ns| ns.div_euclid(1_000))
        }
        DataType::Date32 => integers::<Date32Type>(array, |days| i64::from(days) * DAY_US),
        DataType::Date64 => integers::<Date64Type>(array, |ms| {
            // A date, whatever the milliseconds say beyond it.
            let us = ms.saturating_mul(1_000);
            us.saturating_sub(us.rem_euclid(DAY_US))
        }),
        DataType::Time32(TimeUnit::Second) => {
            clock::<Time32SecondType>(array, |s| i64::from(s) * 1_000_000)
        }
        DataType::Time32(_) => clock::<Time32MillisecondType>(array, |ms| i64::from(ms) * 1_000),
        DataType::Time64(TimeUnit::Nanosecond) => {
            clock::<Time64NanosecondType>(array, |ns| ns.div_euclid(1_000))
        }
        DataType::Time64(_) => clock::<Time64MicrosecondType>(array, |us| us),
        DataType::Utf8 => bytes(array.as_string::<i32>()),
        DataType::LargeUtf8 => bytes(array.as_string::<i64>()),
        DataType::Binary => bytes(array.as_binary::<i32>()),
        DataType::LargeBinary => bytes(array.as_binary::<i64>()),
        DataType::Utf8View => views(array.as_string_view()),
        DataType::BinaryView => views(array.as_binary_view()),
        DataType::Dictionary(_, _) => dictionary(array)?,
        other => return Err(format!("a column of {other} holds no prices")),
    })
}

fn integers<T: ArrowPrimitiveType>(array: &dyn Array, of: impl Fn(T::Native) -> i64) -> Column {
    let array = array.as_primitive::<T>();
    let values = array.values().iter();
    Column::Int(match array.nulls() {
        None => values.map(|v| of(*v)).collect(),
        Some(nulls) => values
            .zip(nulls)
            .map(|(v, valid)| if valid { of(*v) } else { MISSING })
            .collect(),
    })
}

fn unsigned(array: &dyn Array) -> Result<Column, String> {
    let array = array.as_primitive::<UInt64Type>();
    let value = |v: Option<u64>| match v {
        None => Ok(MISSING),
        Some(v) => i64::try_from(v).map_err(|_| format!("{v} is above {}", i64::MAX)),
    };
    array
        .iter()
        .map(value)
        .collect::<Result<_, _>>()
        .map(Column::Int)
}

fn floats<T: ArrowPrimitiveType>(array: &dyn Array, of: impl Fn(&T::Native) -> f64) -> Column {
    let array = array.as_primitive::<T>();
    let values = array.values().iter();
    Column::Float(match array.nulls() {
        None => values.map(of).collect(),
        Some(nulls) => values
            .zip(nulls)
            .map(|(v, valid)| if valid { of(v) } else { f64::NAN })
            .collect(),
    })
}

/// Times of day, as texts: `09:30:00`, with six more digits where they say something.
fn clock<T: ArrowPrimitiveType>(array: &dyn Array, micros: impl Fn(T::Native) -> i64) -> Column {
    let mut texts = TextColumn::default();
    for value in array.as_primitive::<T>().iter() {
        texts.push(
            value
                .map_or_else(String::new, |v| clock_text(micros(v)))
                .as_bytes(),
        );
    }
    Column::Text(texts)
}

fn clock_text(us: i64) -> String {
    let (s, us) = (us.div_euclid(1_000_000), us.rem_euclid(1_000_000));
    let whole = format!("{:02}:{:02}:{:02}", s / 3_600, s / 60 % 60, s % 60);
    if us == 0 {
        whole
    } else {
        format!("{whole}.{us:06}")
    }
}

fn bytes<T: ByteArrayType<Native: AsRef<[u8]>>>(array: &GenericByteArray<T>) -> Column {
    let mut texts = TextColumn::default();
    texts.ends.reserve(array.len());
    texts.bytes.reserve(array.value_data().len());
    for value in array {
        texts.push(value.map_or(&[], |v| trimmed(v.as_ref())));
    }
    Column::Text(texts)
}

fn views<T: ByteViewType<Native: AsRef<[u8]>>>(array: &GenericByteViewArray<T>) -> Column {
    let mut texts = TextColumn::default();
    texts.ends.reserve(array.len());
    for value in array {
        texts.push(value.map_or(&[], |v| trimmed(v.as_ref())));
    }
    Column::Text(texts)
}

fn trimmed(text: &[u8]) -> &[u8] {
    text.trim_ascii()
}

fn dictionary(array: &dyn Array) -> Result<Column, String> {
    let dictionary = array.as_any_dictionary();
    let values = dictionary.values();
    if values.is_empty() {
        let empty = TextColumn::default();
        return Ok(Column::Dictionary {
            values: empty,
            keys: vec![0; array.len()],
        });
    }
    let keys = dictionary.normalized_keys();
    let nulls = array.nulls();
    let valid = |row: usize| nulls.is_none_or(|n| n.is_valid(row));
    let taken = |row: &usize| valid(*row).then(|| keys[*row]);
    let rows = || 0..array.len();
    Ok(match column(values)? {
        Column::Text(values) => {
            let missing = values.ends.len() as u32;
            let key = |row| taken(&row).map_or(missing, |key| key as u32);
            let keys = rows().map(key).collect();
            Column::Dictionary { values, keys }
        }
        Column::Int(values) => {
            let value = |row| taken(&row).map_or(MISSING, |key| values[key]);
            Column::Int(rows().map(value).collect())
        }
        Column::Float(values) => {
            let value = |row| taken(&row).map_or(f64::NAN, |key| values[key]);
            Column::Float(rows().map(value).collect())
        }
        Column::Dictionary { .. } => return Err("a dictionary of dictionaries".into()),
    })
}

/// The number that the shortest decimal of a float says. A float of a price holds the decimal that was
/// meant to seven digits; widened bit by bit it would get nine more that nobody wrote.
fn shortest(x: f32) -> f64 {
    if x.is_finite() && x.fract() != 0.0 {
        x.to_string().parse().unwrap_or_else(|_| x.into())
    } else {
        x.into()
    }
}

/// Integers below it are exact as floats.
const EXACT_INTEGER: u64 = 1 << 53;

/// Decimals of one scale.
struct Decimal {
    scale: i8,
    /// The power of ten to divide by, where it is exact as a float.
    divisor: Option<f64>,
}

impl Decimal {
    fn of(scale: i8) -> Self {
        let exact = (0..=22).contains(&scale);
        Self {
            scale,
            divisor: exact.then(|| 10f64.powi(scale.into())),
        }
    }

    /// The nearest float of `value` over ten to the scale; `integer` is the value where it is small.
    fn value(&self, value: &impl ToString, integer: Option<i64>) -> f64 {
        match (integer, self.divisor) {
            // One division of two exact numbers gives the nearest.
            (Some(v), Some(divisor)) if v.unsigned_abs() < EXACT_INTEGER => v as f64 / divisor,
            _ => {
                let text = format!("{}e{}", value.to_string(), -i32::from(self.scale));
                text.parse().unwrap_or(f64::NAN)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{
        Date32Array, Date64Array, Decimal128Array, DictionaryArray, Float32Array, StringArray,
        Time64NanosecondArray, TimestampMillisecondArray, TimestampNanosecondArray, UInt64Array,
        types::Int8Type,
    };

    use super::*;

    fn integers(array: &dyn Array) -> Vec<i64> {
        match column(array).unwrap() {
            Column::Int(values) => values,
            other => panic!("{other:?}"),
        }
    }

    fn floats(array: &dyn Array) -> Vec<f64> {
        match column(array).unwrap() {
            Column::Float(values) => values,
            other => panic!("{other:?}"),
        }
    }

    fn texts(array: &dyn Array) -> Vec<String> {
        let column = column(array).unwrap();
        let text = |row| String::from_utf8(column.text(row).into_owned()).unwrap();
        (0..array.len()).map(text).collect()
    }

    #[test]
    fn a_time_has_the_unit_of_its_column_however_small_the_number() {
        let ns = TimestampNanosecondArray::from(vec![Some(34_214_400_000_000_123), None]);
        assert_eq!(integers(&ns), [34_214_400_000_000, MISSING]);
        assert_eq!(
            integers(&TimestampMillisecondArray::from(vec![-1])),
            [-1_000]
        );
        assert_eq!(
            integers(&Date32Array::from(vec![-1, 365])),
            [-DAY_US, 365 * DAY_US]
        );
        assert_eq!(integers(&Date64Array::from(vec![86_400_001])), [DAY_US]);
        let clock = Time64NanosecondArray::from(vec![34_200_000_000_000, 34_200_000_001_000]);
        assert_eq!(texts(&clock), ["09:30:00", "09:30:00.000001"]);
    }

    #[test]
    fn a_decimal_and_a_short_float_are_the_number_that_was_written() {
        let decimals = Decimal128Array::from(vec![1_900_100, -5, i128::MAX])
            .with_precision_and_scale(38, 4)
            .unwrap();
        let largest = 17_014_118_346_046_923_173_168_730_371_588_410.572_7;
        assert_eq!(floats(&decimals), [190.01, -0.0005, largest]);
        let hundreds = Decimal128Array::from(vec![19])
            .with_precision_and_scale(5, -2)
            .unwrap();
        assert_eq!(floats(&hundreds), [1_900.0]);
        let short = Float32Array::from(vec![Some(190.13), Some(3.0), Some(1e-7), None]);
        assert_eq!(floats(&short)[..3], [190.13, 3.0, 1e-7]);
        assert!(floats(&short)[3].is_nan());
    }

    #[test]
    fn texts_are_trimmed_and_those_of_a_dictionary_are_kept_once() {
        assert_eq!(texts(&StringArray::from(vec!["  ", " A "])), ["", "A"]);
        let symbols: DictionaryArray<Int8Type> = [Some("AAPL"), None, Some("MSFT"), Some("AAPL")]
            .into_iter()
            .collect();
        assert_eq!(texts(&symbols), ["AAPL", "", "MSFT", "AAPL"]);
        let Column::Dictionary { values, keys } = column(&symbols).unwrap() else {
            panic!("a dictionary stays one");
        };
        assert_eq!((values.ends.len(), keys[0]), (2, keys[3]));
        let none: DictionaryArray<Int8Type> = [None::<&str>, None].into_iter().collect();
        assert_eq!(texts(&none), ["", ""]);
        let numbers = DictionaryArray::<Int8Type>::new(
            vec![Some(1), None, Some(0)].into(),
            Arc::new(UInt64Array::from(vec![7, 9])),
        );
        assert_eq!(integers(&numbers), [9, MISSING, 7]);
    }

    #[test]
    fn an_integer_that_cannot_be_held_is_an_error_and_no_other_number() {
        let error = column(&UInt64Array::from(vec![1, u64::MAX])).unwrap_err();
        assert!(error.contains("18446744073709551615"), "{error}");
    }
}
