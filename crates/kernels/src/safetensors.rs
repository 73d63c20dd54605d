//! The safetensors format for single-precision tensors: read and written by hand, because the crate of that
//! name weighs more in the browser than all networks together.
//!
//! Model: eight bytes of length (little-endian), a JSON header with dtype, shape and byte range of each
//! tensor and a map of strings under `__metadata__`, then the data. As in the reference implementation the
//! ranges must follow each other without holes and cover all data. Tensors are written in the order given,
//! the header is padded with spaces to eight bytes, and the same input gives the same bytes.
//! Does not: read other dtypes than F32, or files with a header of over a megabyte: no network here has one.

use crate::error::{Error, Result};

/// The longest header read, in bytes.
pub const LONGEST_HEADER: usize = 1 << 20;

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    /// Name.
    pub name: String,
    /// Shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Elements, row by row.
    pub data: Vec<f32>,
}

/// The content of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tensors {
    /// Strings under `__metadata__`.
    pub metadata: Vec<(String, String)>,
    /// The tensors, in the order of their data.
    pub tensors: Vec<NamedTensor>,
}

impl Tensors {
    /// The tensor of that name.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none.
    pub fn get(&self, name: &str) -> Result<&NamedTensor> {
        self.tensors
            .iter()
            .find(|tensor| tensor.name == name)
            .ok_or_else(|| Error::Missing { name: name.into() })
    }

    /// The elements of the tensor of that name, which has this shape and finite values.
    ///
    /// # Errors
    /// [`Error::Missing`], [`Error::Shape`] or [`Error::NotFinite`] otherwise.
    pub(crate) fn checked(&self, name: &str, shape: &[usize]) -> Result<&[f32]> {
        let found = self.get(name)?;
        if found.shape != shape {
            return Err(Error::Shape {
                name: name.into(),
                expected: shape.to_vec(),
                got: found.shape.clone(),
            });
        }
        if !found.data.iter().all(|value| value.is_finite()) {
            return Err(Error::NotFinite { name: name.into() });
        }
        Ok(&found.data)
    }

    /// The string of that name under `__metadata__`.
    #[must_use]
    pub fn meta(&self, name: &str) -> Option<&str> {
        let found = self.metadata.iter().find(|(key, _)| key == name)?;
        Some(&found.1)
    }

    /// The file as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut header = String::from("{");
        if !self.metadata.is_empty() {
            header.push_str("\"__metadata__\":{");
            for (i, (key, value)) in self.metadata.iter().enumerate() {
                header.push_str(if i == 0 { "" } else { "," });
                quote(key, &mut header);
                header.push(':');
                quote(value, &mut header);
            }
            header.push('}');
        }
        let mut at = 0;
        for tensor in &self.tensors {
            if header.len() > 1 {
                header.push(',');
            }
            quote(&tensor.name, &mut header);
            let end = at + 4 * tensor.data.len();
            let shape: Vec<String> = tensor.shape.iter().map(ToString::to_string).collect();
            let shape = shape.join(",");
            header.push_str(&format!(
                ":{{\"dtype\":\"F32\",\"shape\":[{shape}],\"data_offsets\":[{at},{end}]}}"
            ));
            at = end;
        }
        header.push('}');
        while header.len() % 8 != 0 {
            header.push(' ');
        }
        let mut bytes = Vec::with_capacity(8 + header.len() + at);
        bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
        bytes.extend_from_slice(header.as_bytes());
        for tensor in &self.tensors {
            for value in &tensor.data {
                bytes.extend_from_slice(&value.to_le_bytes());
            }
        }
        bytes
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Format`] for anything that is not a whole file of F32 tensors: a truncated one, a header
    /// that is no JSON of the expected form, ranges that overlap, leave holes or do not fit their shape, a
    /// name given twice, bytes left over.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let short = || Error::format(format!("{} bytes are too few for a header", bytes.len()));
        let (length, rest) = bytes.split_first_chunk::<8>().ok_or_else(short)?;
        let length = usize::try_from(u64::from_le_bytes(*length))
            .ok()
            .filter(|length| *length <= LONGEST_HEADER)
            .ok_or_else(|| Error::format("the header is longer than a megabyte"))?;
        if rest.len() < length {
            let reason = format!("the header needs {length} bytes, {} are there", rest.len());
            return Err(Error::format(reason));
        }
        let (header, data) = rest.split_at(length);
        let header = std::str::from_utf8(header)
            .map_err(|_| Error::format("the header is not valid UTF-8"))?;
        let Json::Object(entries) = Json::parse(header)? else {
            return Err(Error::format("the header is not a JSON object"));
        };
        let mut metadata = Vec::new();
        let mut described: Vec<Described> = Vec::new();
        for (name, value) in entries {
            if name == "__metadata__" {
                metadata = value.strings()?;
            } else {
                described.push(Described::new(name, value)?);
            }
        }
        described.sort_by_key(|tensor| (tensor.begin, tensor.end));
        let mut names: Vec<&str> = described.iter().map(|tensor| &*tensor.name).collect();
        names.sort_unstable();
        if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::format(format!(
                "tensor {:?} is there twice",
                twice[0]
            )));
        }
        let mut at = 0;
        let mut tensors = Vec::with_capacity(described.len());
        for tensor in described {
            tensors.push(tensor.read(data, at)?);
            at += 4 * tensors.last().map_or(0, |tensor| tensor.data.len());
        }
        if at != data.len() {
            let reason = format!("{} bytes of data, the header describes {at}", data.len());
            return Err(Error::format(reason));
        }
        Ok(Self { metadata, tensors })
    }
}

/// An entry of the header.
struct Described {
    name: String,
    shape: Vec<usize>,
    begin: usize,
    end: usize,
}

impl Described {
    fn new(name: String, value: Json) -> Result<Self> {
        let wrong = |what: &str| Error::format(format!("tensor {name:?} {what}"));
        let Json::Object(fields) = value else {
            return Err(wrong("is not described by an object"));
        };
        let (mut dtype, mut shape, mut range) = (None, None, None);
        for (key, value) in fields {
            match (&*key, value) {
                ("dtype", Json::String(name)) => dtype = Some(name),
                ("shape", Json::Array(items)) => shape = Some(items),
                ("data_offsets", Json::Array(items)) => range = Some(items),
                _ => return Err(wrong(&format!("has an unexpected field {key:?}"))),
            }
        }
        let dtype = dtype.ok_or_else(|| wrong("has no dtype"))?;
        if dtype != "F32" {
            return Err(wrong(&format!("is of type {dtype}, expected F32")));
        }
        let numbers = |items: Option<Vec<Json>>, what: &str| -> Result<Vec<usize>> {
            items
                .ok_or_else(|| wrong(&format!("has no {what}")))?
                .into_iter()
                .map(|item| match item {
                    Json::Number(n) => Ok(n),
                    _ => Err(wrong(&format!("has a {what} that is no list of numbers"))),
                })
                .collect()
        };
        let shape = numbers(shape, "shape")?;
        let range = numbers(range, "data_offsets")?;
        let [begin, end] = range[..] else {
            return Err(wrong("has not two data_offsets"));
        };
        let bytes = shape
            .iter()
            .try_fold(4usize, |product, side| product.checked_mul(*side));
        if begin > end || bytes != Some(end - begin) {
            return Err(wrong("has a byte range that does not fit its shape"));
        }
        Ok(Self {
            name,
            shape,
            begin,
            end,
        })
    }

    fn read(self, data: &[u8], at: usize) -> Result<NamedTensor> {
        if self.begin != at {
            let reason = format!(
                "tensor {:?} begins at {}, expected {at}",
                self.name, self.begin
            );
            return Err(Error::format(reason));
        }
        let bytes = data.get(self.begin..self.end).ok_or_else(|| {
            let have = data.len();
            Error::format(format!(
                "tensor {:?} ends behind the {have} bytes of data",
                self.name
            ))
        })?;
        let data = bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]))
            .collect();
        Ok(NamedTensor {
            name: self.name,
            shape: self.shape,
            data,
        })
    }
}

fn quote(text: &str, to: &mut String) {
    to.push('"');
    for c in text.chars() {
        match c {
            '"' => to.push_str("\\\""),
            '\\' => to.push_str("\\\\"),
            c if c < ' ' => to.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => to.push(c),
        }
    }
    to.push('"');
}

/// As much of JSON as a header has: whole numbers, strings, lists, objects.
enum Json {
    Number(usize),
    String(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    fn parse(text: &str) -> Result<Self> {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        reader.space();
        if reader.at == text.len() {
            Ok(value)
        } else {
            Err(reader.wrong())
        }
    }

    fn strings(self) -> Result<Vec<(String, String)>> {
        let wrong = || Error::format("__metadata__ is not a map of strings");
        let Self::Object(entries) = self else {
            return Err(wrong());
        };
        entries
            .into_iter()
            .map(|(key, value)| match value {
                Self::String(value) => Ok((key, value)),
                _ => Err(wrong()),
            })
            .collect()
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn wrong(&self) -> Error {
        Error::format(format!("the header is not valid JSON at byte {}", self.at))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// The next byte that is no space, if it is this one.
    fn take(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.take(byte) {
            Ok(())
        } else {
            Err(self.wrong())
        }
    }

    /// A value; a header nests three deep.
    fn value(&mut self, depth: usize) -> Result<Json> {
        self.space();
        match self.peek() {
            Some(b'"') => Ok(Json::String(self.string()?)),
            Some(b'0'..=b'9') => self.number(),
            Some(b'[') if depth < 4 => {
                self.at += 1;
                let mut items = Vec::new();
                if !self.take(b']') {
                    loop {
                        items.push(self.value(depth + 1)?);
                        if self.take(b']') {
                            break;
                        }
                        self.expect(b',')?;
                    }
                }
                Ok(Json::Array(items))
            }
            Some(b'{') if depth < 4 => {
                self.at += 1;
                let mut entries = Vec::new();
                if !self.take(b'}') {
                    loop {
                        self.space();
                        let key = self.string()?;
                        self.expect(b':')?;
                        entries.push((key, self.value(depth + 1)?));
                        if self.take(b'}') {
                            break;
                        }
                        self.expect(b',')?;
                    }
                }
                Ok(Json::Object(entries))
            }
            _ => Err(self.wrong()),
        }
    }

    fn number(&mut self) -> Result<Json> {
        let begin = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        let digits = &self.text[begin..self.at];
        digits.parse().map(Json::Number).map_err(|_| self.wrong())
    }

    fn string(&mut self) -> Result<String> {
        if self.peek() != Some(b'"') {
            return Err(self.wrong());
        }
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = &self.text[self.at..];
            let c = rest.chars().next().ok_or_else(|| self.wrong())?;
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(text),
                '\\' => text.push(self.escape()?),
                c if c < ' ' => return Err(self.wrong()),
                c => text.push(c),
            }
        }
    }

    fn escape(&mut self) -> Result<char> {
        let byte = self.peek().ok_or_else(|| self.wrong())?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex()?;
                let code = if (0xd800..0xdc00).contains(&high) {
                    let paired = self.text[self.at..].starts_with("\\u");
                    self.at += if paired { 2 } else { 0 };
                    let low = if paired { self.hex()? } else { 0 };
                    let low = low.checked_sub(0xdc00).filter(|low| *low < 0x400);
                    0x10000 + ((high - 0xd800) << 10) + low.ok_or_else(|| self.wrong())?
                } else {
                    high
                };
                char::from_u32(code).ok_or_else(|| self.wrong())?
            }
            _ => return Err(self.wrong()),
        })
    }

    fn hex(&mut self) -> Result<u32> {
        let digits = self.text.get(self.at..self.at + 4);
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        code.ok_or_else(|| Error::format("the header has a faulty \\u escape"))
    }
}
