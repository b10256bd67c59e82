//! Real messages are read as the parsers of the world agree to read them.
#![allow(clippy::disallowed_methods, reason = "tests may write files")]

mod support;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use cdonts::{MessageFile, RecipientType, time};
use serde_json::{Value, json};
use support::{corpus, package};

/// White space as one blank, nothing as null.
fn line(text: &str) -> Value {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        Value::Null
    } else {
        text.into()
    }
}

fn mailbox(name: &str, address: &str) -> Value {
    let address = match address.rsplit_once('@') {
        Some((local, domain)) => format!("{local}@{}", domain.to_lowercase()),
        None => address.to_owned(),
    };
    json!({ "name": if name == address { Value::Null } else { line(name) }, "address": address })
}

fn read(path: &Path) -> Value {
    let message = MessageFile::open(path).unwrap();
    let sender = message.sender();
    let recipients = |kind: RecipientType| -> Value {
        let all = message.recipients().unwrap();
        all.of_type(kind)
            .map(|one| mailbox(one.name(), one.address()))
            .collect()
    };
    let text = message.text_part().unwrap().unwrap_or_default();
    let text = text.replace("\r\n", "\n").trim().to_owned();
    let from = (!sender.address().is_empty()).then(|| mailbox(sender.name(), sender.address()));
    json!({
        "subject": line(message.subject()),
        "from": from,
        "to": recipients(RecipientType::To),
        "cc": recipients(RecipientType::Cc),
        "date": message.time_sent().unwrap().map(time::rfc3339),
        "text": if text.is_empty() { Value::Null } else { text.chars().take(200).collect::<String>().into() },
        "attachments": message.attachments().unwrap().len(),
        "html": message.html_part().unwrap().is_some_and(|html| !html.trim().is_empty()),
    })
}

#[test]
fn the_messages_in_the_test_data_are_read_as_others_read_them() {
    let dir = package().join("tests/data/mime");
    let expected = std::fs::read_to_string(dir.join("expected.jsonl")).unwrap();
    for entry in expected.lines() {
        let mut expected: Value = serde_json::from_str(entry).unwrap();
        let file = expected["file"].as_str().unwrap().to_owned();
        let mut found = read(&dir.join(&file));
        if let Some(list) = expected["attachments"].as_array() {
            expected["attachments"] = list.len().into();
        }
        if let Some(digest) = expected.get("html_sha256") {
            expected["html"] = (!digest.is_null()).into();
        }
        // A name that is left out has no consensus.
        for list in ["from", "to", "cc"] {
            let Some(wanted) = expected.get(list) else {
                continue;
            };
            let one = std::slice::from_ref(wanted);
            let wanted = wanted.as_array().map_or(one, Vec::as_slice).to_vec();
            let found = match &mut found[list] {
                Value::Array(found) => found.as_mut_slice(),
                one => std::slice::from_mut(one),
            };
            for (found, wanted) in found.iter_mut().zip(wanted) {
                if wanted.get("name").is_none() && found.is_object() {
                    found.as_object_mut().unwrap().remove("name");
                }
            }
        }
        for (field, found) in found.as_object().unwrap() {
            if let Some(expected) = expected.get(field) {
                assert_eq!(found, expected, "{file}: {field}");
            }
        }
    }
}

/// Runs the comparison of the corpus and returns how many messages have no difference.
fn compare(corpus: &Path, read: &Path, options: &[&str]) -> usize {
    let mut child = Command::new("python3")
        .arg(corpus.join("../tools/compare.py"))
        .arg(corpus.join("mime/expected.jsonl"))
        .arg(corpus.join("mime"))
        .arg("--jsonl")
        .arg(read)
        .args(options)
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 compares");
    let mut printed = String::new();
    std::io::Read::read_to_string(&mut child.stdout.take().unwrap(), &mut printed).unwrap();
    assert!(child.wait().unwrap().success(), "{printed}");
    let (_, count) = printed.split_once("with no difference ").unwrap();
    count.split_whitespace().next().unwrap().parse().unwrap()
}

#[test]
fn the_corpus_is_read_as_others_read_it() {
    let Some(corpus) = corpus() else { return };
    let mut output = tempfile::NamedTempFile::new().unwrap();
    let expected = std::fs::read_to_string(corpus.join("mime/expected.jsonl")).unwrap();
    for entry in expected.lines() {
        let entry: Value = serde_json::from_str(entry).unwrap();
        let file = entry["file"].as_str().unwrap();
        let found = whole(&corpus.join("mime").join(file), file);
        writeln!(output, "{found}").unwrap();
    }
    let least = "subject=1,from=1,to=1,cc=1,date=1,text=0.99,html=0.99,attachments=0.99";
    let plain = compare(&corpus, output.path(), &["--plain", "--min", least]);
    let all = compare(&corpus, output.path(), &[]);
    assert!(plain >= 179, "{plain}");
    assert!(all >= 292, "{all}");
}

/// Everything that the comparison looks at.
fn whole(path: &Path, file: &str) -> Value {
    let message = MessageFile::open(path).unwrap();
    message.problems().unwrap();
    let mut found = read(path);
    found["path"] = file.into();
    found["text"] = message.text_part().unwrap().into();
    found["html"] = message.html_part().unwrap().into();
    found["attachments"] = message
        .attachments()
        .unwrap()
        .iter()
        .map(|one| {
            use base64::Engine;
            let content = base64::engine::general_purpose::STANDARD.encode(one.read().unwrap());
            json!({ "name": one.name(), "content_type": one.content_type(), "content_b64": content })
        })
        .collect();
    found
}
