//! A name for a file out of a name that a stranger chose.

/// The longest name that every file system takes is 255 octets; a number must fit behind.
const LONGEST: usize = 200;

/// A name that is good on every system: no directories, no hidden file, no device, no character
/// that a shell, a terminal or Windows reads otherwise.
pub(super) fn safe_name(name: &str) -> String {
    let cleaned: String = name
        .chars()
        .map(|c| match c {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '_',
            c if crate::format::address::is_forbidden(c) => '_',
            c => c,
        })
        .collect();
    let trimmed = cleaned.trim_matches(|c: char| c == '.' || c.is_whitespace());
    let mut name = shortened(trimmed);
    if name.is_empty() {
        return "attachment.bin".to_owned();
    }
    if is_device(&name) || name.starts_with('-') || name.starts_with('~') {
        name.insert(0, '_');
    }
    name
}

/// The name with a number before its ending.
pub(super) fn numbered(name: &str, number: u32) -> String {
    match name.rsplit_once('.') {
        Some((stem, ending)) if !stem.is_empty() => format!("{stem} ({number}).{ending}"),
        _ => format!("{name} ({number})"),
    }
}

/// Cuts the stem; the ending tells what the file is.
fn shortened(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let (stem, ending) = match name.rsplit_once('.') {
        Some((stem, ending)) if ending.len() < 20 => (stem, format!(".{ending}")),
        _ => (name, String::new()),
    };
    let room = LONGEST - ending.len();
    let end = (0..=room.min(stem.len()))
        .rev()
        .find(|&end| stem.is_char_boundary(end))
        .unwrap_or(0);
    let stem = stem.get(..end).unwrap_or_default().trim_end();
    format!("{stem}{ending}")
}

/// Names that are devices on Windows, with any ending.
fn is_device(name: &str) -> bool {
    let stem = name
        .split('.')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_uppercase();
    let numbered = |prefix| {
        stem.strip_prefix(prefix).is_some_and(|rest: &str| {
            rest.chars().count() == 1 && rest.chars().all(char::is_numeric)
        })
    };
    matches!(
        stem.as_str(),
        "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$"
    ) || numbered("COM")
        || numbered("LPT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_the_directory_or_to_a_device() {
        for (name, safe) in [
            ("report.pdf", "report.pdf"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("..", "attachment.bin"),
            ("", "attachment.bin"),
            (".bashrc", "bashrc"),
            ("a\r\nb\0.txt", "a__b_.txt"),
            ("CON.txt", "_CON.txt"),
            ("com1", "_com1"),
            ("x:stream", "x_stream"),
            ("-rf", "_-rf"),
            ("name. ", "name"),
            ("photo\u{202e}gpj.exe", "photo_gpj.exe"),
            ("漢字.txt", "漢字.txt"),
        ] {
            assert_eq!(safe_name(name), safe, "{name:?}");
        }
        let long = safe_name(&format!("{}.pdf", "é".repeat(300)));
        assert!(long.len() <= LONGEST && long.ends_with("é.pdf"));
    }

    proptest::proptest! {
        #[test]
        fn every_name_is_one_path_element(name in "\\PC{0,300}|[./\\\\:\u{0}\u{202e}a]{0,20}") {
            let safe = safe_name(&name);
            proptest::prop_assert!(!safe.is_empty() && safe.len() <= LONGEST + 1);
            let path = std::path::Path::new(&safe);
            proptest::prop_assert_eq!(path.file_name(), Some(path.as_os_str()));
            proptest::prop_assert!(!safe.contains(['/', '\\', '\0', ':']));
        }
    }
}
