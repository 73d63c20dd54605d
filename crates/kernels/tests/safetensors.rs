//! What the reader of weights does with files that are damaged, hostile or of another kind.

#![allow(
    clippy::unwrap_used,
    reason = "what fails in a test's own plumbing fails the test"
)]

use kernels::safetensors::{NamedTensor, Tensors};

fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(data);
    bytes
}

fn refusal(bytes: &[u8]) -> String {
    Tensors::from_bytes(bytes).unwrap_err().to_string()
}

fn good() -> Tensors {
    Tensors {
        metadata: vec![("a".into(), "b".into())],
        tensors: vec![
            NamedTensor {
                name: "x".into(),
                shape: vec![2, 1],
                data: vec![1.5, -2.0],
            },
            NamedTensor {
                name: "y".into(),
                shape: vec![],
                data: vec![7.0],
            },
            NamedTensor {
                name: "none".into(),
                shape: vec![0],
                data: vec![],
            },
        ],
    }
}

#[test]
fn a_file_of_the_python_package_is_read_with_its_metadata() {
    let made = Tensors::from_bytes(include_bytes!("fixtures/nlinear.safetensors")).unwrap();
    assert!(made.meta("torch").unwrap().starts_with("2.15.0"));
    assert_eq!(made.get("linear.weight").unwrap().shape, [15, 16]);
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let bytes = good().to_bytes();
    assert_eq!(Tensors::from_bytes(&bytes).unwrap(), good());
    for cut in 0..bytes.len() {
        assert!(Tensors::from_bytes(&bytes[..cut]).is_err(), "cut at {cut}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert!(refusal(&longer).contains("13 bytes of data, the header describes 12"));
}

#[test]
fn no_byte_of_the_header_can_be_changed_into_a_panic() {
    let bytes = good().to_bytes();
    for at in 0..bytes.len() - 12 {
        for bit in 0..8 {
            let mut changed = bytes.clone();
            changed[at] ^= 1 << bit;
            // Some changes are a legal file (another name); none may panic or read past the end.
            let _ = Tensors::from_bytes(&changed);
        }
    }
}

#[test]
fn the_header_is_bounded_and_checked() {
    let mut endless = u64::MAX.to_le_bytes().to_vec();
    endless.extend_from_slice(b"{}");
    assert!(refusal(&endless).contains("longer than a megabyte"));
    let deep = "[".repeat(100_000);
    assert!(refusal(&file(&deep, &[])).contains("not valid JSON"));
    for (header, data, expected) in [
        ("[]", 0, "is not a JSON object"),
        (
            "{\"x\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}",
            4,
            "is of type F16",
        ),
        (
            "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}",
            4,
            "does not fit its shape",
        ),
        (
            "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
            8,
            "begins at 4, expected 0",
        ),
        (
            "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}",
            3,
            "ends behind",
        ),
        (
            "{\"x\":{\"dtype\":\"F32\",\"shape\":[4611686018427387904,4],\"data_offsets\":[0,4]}}",
            4,
            "does not fit",
        ),
        (
            "{\"x\":{\"dtype\":\"F32\",\"shape\":[99999999999999999999],\"data_offsets\":[0,4]}}",
            4,
            "not valid JSON",
        ),
        (
            "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}",
            8,
            "is there twice",
        ),
        (
            "{\"x\":{\"dtype\":\"F32\",\"shape\":[1]}}",
            4,
            "has no data_offsets",
        ),
        ("{\"x\":3}", 0, "is not described by an object"),
        ("{\"__metadata__\":{\"a\":1}}", 0, "not a map of strings"),
        ("{\"\\ud800\":3}", 0, "not valid JSON"),
    ] {
        let said = refusal(&file(header, &vec![0; data]));
        assert!(said.contains(expected), "{header}: {said}");
    }
}
