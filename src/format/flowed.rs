//! Text whose lines were broken for the way, to paragraphs (RFC 3676).

/// Joins the lines that flow on. `delete_space` takes the blank away that marks them (`DelSp`).
/// `None` when the text would have more than `most` octets.
pub(crate) fn unfold(text: &str, delete_space: bool, most: usize) -> Option<String> {
    // A quoted line gets a blank behind its marks.
    let mut out = String::with_capacity((text.len() + text.len() / 2).min(most) + 16);
    // The depth of the paragraph that the last line left open.
    let mut open: Option<usize> = None;
    for line in text.split_inclusive('\n') {
        let (line, end) = split_end(line);
        let depth = line.bytes().take_while(|&byte| byte == b'>').count();
        let content = line.get(depth..).unwrap_or_default();
        let content = content.strip_prefix(' ').unwrap_or(content);
        // The line before a signature ends with a blank and is no paragraph.
        let is_signature = content == "-- ";
        if open.is_some_and(|before| before != depth || is_signature) {
            out.push_str("\r\n");
            open = None;
        }
        if open.is_none() && depth > 0 {
            out.extend(std::iter::repeat_n('>', depth));
            out.push(' ');
        }
        let flows = content.ends_with(' ') && !is_signature && !end.is_empty();
        let kept = content.strip_suffix(' ').filter(|_| flows && delete_space);
        out.push_str(kept.unwrap_or(content));
        if flows {
            open = Some(depth);
        } else {
            out.push_str(end);
            open = None;
        }
        if out.len() > most {
            return None;
        }
    }
    Some(out)
}

fn split_end(line: &str) -> (&str, &str) {
    let text = line.strip_suffix('\n').unwrap_or(line);
    let text = text.strip_suffix('\r').unwrap_or(text);
    line.split_at_checked(text.len()).unwrap_or((line, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_joined_and_all_else_stays() {
        for (text, delete_space, expected) in [
            ("one \r\ntwo\r\nthree\r\n", false, "one two\r\nthree\r\n"),
            ("one \ntwo", true, "onetwo"),
            (">a \n>b\n> c\nd\n", false, "> a b\n> c\nd\n"),
            (">a \nb\n", false, "> a \r\nb\n"),
            (">>a \n>>b \n>c\n", false, ">> a b \r\n> c\n"),
            ("x\n-- \nJane \nDoe\n", false, "x\n-- \nJane Doe\n"),
            ("x \n-- \ny\n", false, "x \r\n-- \ny\n"),
            (" From here\n >no quote\n", false, "From here\n>no quote\n"),
            ("end ", false, "end "),
            ("", false, ""),
        ] {
            let read = unfold(text, delete_space, 99);
            assert_eq!(read.as_deref(), Some(expected), "{text:?}");
        }
        assert_eq!(unfold(&">\n".repeat(9), false, 20), None);
        assert_eq!(unfold("four", false, 4).as_deref(), Some("four"));
        assert_eq!(unfold("four", false, 3), None);
    }

    proptest::proptest! {
        #[test]
        fn no_letter_is_lost(text in "[a> \n-]{0,40}", delete_space: bool) {
            let letters = |text: &str| text.chars().filter(|c| *c == 'a').count();
            proptest::prop_assert_eq!(letters(&unfold(&text, delete_space, 999).unwrap()), letters(&text));
        }
    }
}
