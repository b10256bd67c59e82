//! Message identifiers (RFC 5322 section 3.6.4).

/// The message ids in a value: what stands in brackets and can be written again as it is.
pub(crate) fn ids(value: &str) -> Vec<String> {
    const MOST: usize = 1000;
    let mut found = Vec::new();
    for piece in value.split('<').skip(1) {
        let Some((id, _)) = piece.split_once('>') else {
            continue;
        };
        let is_id = (1..=900).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        if is_id {
            found.push(format!("<{id}>"));
        }
        if found.len() == MOST {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_what_can_be_written_again() {
        assert_eq!(
            ids("<a@b> text\r\n <c@d>,<e@f>"),
            ["<a@b>", "<c@d>", "<e@f>"]
        );
        assert_eq!(ids("<a b> <é> <> <open"), [""; 0]);
        assert_eq!(ids(&format!("<{}>", "x".repeat(901))), [""; 0]);
        assert_eq!(ids(&"<> ".repeat(2000)), [""; 0]);
        assert_eq!(ids(&"<a> ".repeat(2000)).len(), 1000);
    }
}
