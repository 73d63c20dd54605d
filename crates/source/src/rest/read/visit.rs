//! Rows as serde hands them over, one after the other and without a tree of values.

use std::fmt;

use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Place, Reader};
use crate::{
    decode::{RawRow, Scalar},
    rest::path::Key,
};

/// Gives every element of an array, or every value of an object by its key, to the reader.
pub(super) struct EachRow<'r, 'a> {
    pub(super) reader: &'r mut Reader<'a>,
    pub(super) symbol: Option<&'r str>,
    pub(super) by_key: bool,
}

impl<'de> DeserializeSeed<'de> for EachRow<'_, '_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        if self.by_key {
            d.deserialize_map(self)
        } else {
            d.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for EachRow<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(raw) = seq.next_element::<&RawValue>()? {
            self.reader.row(raw, None, self.symbol);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut any = false;
        while let Some(Key(key)) = map.next_key()? {
            any = true;
            if !self.by_key {
                break;
            }
            let raw: &RawValue = map.next_value()?;
            self.reader.row(raw, Some(&key), self.symbol);
        }
        if any && !self.by_key {
            // An object with nothing in it is what some write for an array with nothing in it.
            return Err(serde::de::Error::custom("found an object"));
        }
        Ok(())
    }
}

/// A row whose fields lie directly in it.
pub(super) struct Flat<'f>(pub(super) &'f [Place<'f>]);

impl<'de> DeserializeSeed<'de> for Flat<'_> {
    type Value = RawRow<'de>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'f> Flat<'f> {
    /// Puts a value where `of_value` says that it belongs; one may serve two fields.
    fn put<'de>(
        &self,
        row: &mut RawRow<'de>,
        value: Scalar<'de>,
        of_value: impl Fn(&Place<'f>) -> bool,
    ) {
        let mut places = self.0.iter().filter(|place| of_value(place));
        if let Some(first) = places.next() {
            for place in places {
                row.put(place.field, value.clone());
            }
            row.put(first.field, value);
        }
    }
}

impl<'de> Visitor<'de> for Flat<'_> {
    type Value = RawRow<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut row = RawRow::default();
        while let Some(Key(key)) = map.next_key()? {
            let wanted = |place: &Place<'_>| !place.is_key() && place.path == key;
            if self.0.iter().any(wanted) {
                self.put(&mut row, map.next_value()?, wanted);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(row)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut row = RawRow::default();
        for at in 0.. {
            let wanted = |place: &Place<'_>| place.at == Some(at);
            if self.0.iter().any(wanted) {
                let Some(value) = seq.next_element()? else {
                    break;
                };
                self.put(&mut row, value, wanted);
            } else if seq.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(row)
    }
}
