//! Every sentence that an error can say, gathered from the code itself, so that none is missed: `snapshots/errors.txt`.
//! A new one, or one that has changed, fails until somebody has read it there. What the day of `day.txt` provokes
//! stands first; the rest stands as it is written in the code.

use std::collections::BTreeSet;
use std::path::Path;

use super::{check, project};

/// What makes an error of a sentence. The last two are closures that put the place before it.
const MAKERS: [&str; 6] =
    ["Error::Usage(", "Error::Remote(", "Error::damaged(", "#[error(", "complain(", "wrong("];

#[test]
fn every_sentence_of_an_error_is_in_a_snapshot() {
    let mut sentences = BTreeSet::new();
    sources(&project("src"), &mut |text| {
        for maker in MAKERS {
            for (at, _) in text.match_indices(maker) {
                // A sentence has words; one that only joins others does not.
                let written = literals(&text[at + maker.len()..]).into_iter();
                sentences.extend(written.filter(|text| longest_piece(text).contains(' ')).take(1));
            }
        }
    });
    assert!(sentences.len() > 100, "the code is written in another way now: {} found", sentences.len());
    let day = std::fs::read_to_string(project("tests/it/snapshots/day.txt")).unwrap();
    let (seen, unseen): (Vec<&String>, Vec<&String>) =
        sentences.iter().partition(|text| day.contains(longest_piece(text)));
    let list = |of: &[&String]| of.iter().map(|text| format!("{text}\n")).collect::<String>();
    check(
        "errors.txt",
        &format!("# Provoked in day.txt\n\n{}\n# As the code has them\n\n{}", list(&seen), list(&unseen)),
    );
    for text in &sentences {
        let begins = text.chars().next().unwrap();
        let is_a_name = text.split(' ').next().unwrap().chars().any(|c| c.is_ascii_uppercase());
        assert!(!begins.is_uppercase() || is_a_name, "an error begins in lower case: {text}");
        assert!(!text.ends_with('.'), "an error has no full stop: {text}");
    }
}

/// Hands on the text of each file, without its tests.
fn sources(folder: &Path, on: &mut dyn FnMut(&str)) {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    for path in entries {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !["testing", "scenarios", "tests"].contains(&name.as_str()) {
            sources(&path, on);
        } else if name.ends_with(".rs") && !name.contains("test") {
            let text = std::fs::read_to_string(&path).unwrap();
            on(text.split("#[cfg(test)]\nmod tests {").next().unwrap());
        }
    }
}

/// The string literals up to the parenthesis that closes what is open.
fn literals(code: &str) -> Vec<String> {
    let (mut found, mut depth, mut rest) = (Vec::new(), 1, code.chars().peekable());
    while let Some(c) = rest.next() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => break,
            ')' => depth -= 1,
            '"' => {
                let mut text = String::new();
                while let Some(c) = rest.next().filter(|c| *c != '"') {
                    match (c, rest.peek()) {
                        ('\\', Some('\n')) => while rest.next_if(|c| c.is_whitespace()).is_some() {},
                        ('\\', Some(_)) => text.extend(rest.next()),
                        _ => text.push(c),
                    }
                }
                found.push(text);
            }
            _ => {}
        }
    }
    found
}

/// The longest part of a sentence that is no value.
fn longest_piece(text: &str) -> &str {
    let pieces = text.split('{').enumerate();
    let pieces = pieces
        .map(|(at, piece)| if at == 0 { piece } else { piece.split_once('}').map_or("", |(_, rest)| rest) });
    pieces.max_by_key(|piece| piece.len()).unwrap_or_default()
}

#[test]
fn sentences_are_found_as_they_are_written() {
    let code = "format!(\"{} is \\\"no\\\" \\\n             sink; {}\", shown(\"a b\"))); \"not this\"";
    assert_eq!(literals(code), ["{} is \"no\" sink; {}", "a b"]);
    assert_eq!(longest_piece("{name:?} is no sink; sinks are {}"), " is no sink; sinks are ");
}
