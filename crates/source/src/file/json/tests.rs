use std::ops::ControlFlow;

use super::*;

fn read(text: &'static str, batch_rows: usize) -> (Vec<Vec<String>>, Vec<BrokenLine>) {
    let table = JsonTable::open(Input::of_bytes("x.json", text.as_bytes()).unwrap()).unwrap();
    let wanted: Vec<usize> = (0..table.columns().len()).collect();
    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    table
        .scan(&wanted, batch_rows, &mut |batch| {
            for row in 0..batch.rows {
                let text = |c: &Column| String::from_utf8(c.text(row).into_owned()).unwrap();
                rows.push(batch.columns.iter().map(text).collect());
            }
            broken.extend(batch.broken.iter().cloned());
            Ok(ControlFlow::Continue(()))
        })
        .unwrap();
    (rows, broken)
}

#[test]
fn objects_are_read_by_their_names_wherever_they_stand() {
    let text = "{\"t\": 1, \"c\": 2.50}\n{\"c\": null, \"t\": \"a\\\"b\", \"v\": NaN}\n{\"c\": -Infinity}\n";
    for batch_rows in [1, 100] {
        let (rows, broken) = read(text, batch_rows);
        let expected = [
            ["1", "2.50", ""],
            ["a\"b", "", "NaN"],
            ["", "-Infinity", ""],
        ];
        assert_eq!(rows, expected);
        assert_eq!(broken, []);
    }
}

#[test]
fn a_row_that_is_none_is_rejected_with_its_number() {
    let (rows, broken) = read("[[1,10,12,9,11,5],[2,3],[4,10,12,9,11,5],{\"a\":1}, [", 2);
    assert_eq!(rows.len(), 2);
    let told: Vec<(u64, &str)> = broken.iter().map(|b| (b.line, b.detail.as_str())).collect();
    assert_eq!(
        told[0],
        (2, "the row has 2 values: expected 6, as in the first")
    );
    assert_eq!(told[1], (4, "expected an array, got an object"));
    assert_eq!(told[2], (5, "the file is cut off in the row"));
}

#[test]
fn what_is_not_a_table_of_rows_is_refused_with_what_would_be() {
    for (text, word) in [
        ("{\"Open\":{\"0\":1.5},\"Close\":{\"0\":2}}", "orient"),
        ("{\"columns\":[\"Open\"],\"data\":[[1]]}", "orient"),
        ("[1,2,3]\n", "3 values"),
        ("[]", "got none"),
        ("[{]}", "no JSON"),
    ] {
        let input = Input::of_bytes("x.json", text.as_bytes()).unwrap();
        let error = JsonTable::open(input).err().unwrap().to_string();
        assert!(error.contains(word), "{text}: {error}");
    }
}

#[test]
fn json_is_told_from_other_texts_by_its_first_bytes() {
    for text in ["[[1", " [{\"a", "{\"a\"", "{}", "\u{feff}[]", "[ -1"] {
        assert!(JsonTable::is_json(text.as_bytes()), "{text}");
    }
    for text in ["", "a,b", "{a,b}", "[Metadata]", "\"a\",\"b\""] {
        assert!(!JsonTable::is_json(text.as_bytes()), "{text}");
    }
}
