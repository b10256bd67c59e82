//! URLs of MHTML (RFC 2557): a location and the base that it is relative to.

/// The absolute form of `location` (RFC 3986 section 5.2), as far as the base allows.
pub(crate) fn resolve(base: &str, location: &str) -> String {
    if scheme(location).is_some() || base.is_empty() {
        return location.to_owned();
    }
    let authority_end = end_of_authority(base);
    let (origin, path) = base.split_at_checked(authority_end).unwrap_or((base, ""));
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if location.is_empty() {
        return base.to_owned();
    }
    if let (Some(scheme), true) = (scheme(base), location.starts_with("//")) {
        return format!("{scheme}:{location}");
    }
    let path_end = location.find(['?', '#']).unwrap_or(location.len());
    let (location_path, rest) = location
        .split_at_checked(path_end)
        .unwrap_or((location, ""));
    let joined = if location_path.starts_with('/') {
        location_path.to_owned()
    } else if location_path.is_empty() {
        path.to_owned()
    } else {
        let folder = path
            .rfind('/')
            .map_or("", |end| path.get(..=end).unwrap_or_default());
        let folder = if folder.is_empty() && !origin.is_empty() {
            "/"
        } else {
            folder
        };
        format!("{folder}{location_path}")
    };
    format!("{origin}{}{rest}", without_dots(&joined))
}

fn scheme(url: &str) -> Option<&str> {
    let (scheme, _) = url.split_once(':')?;
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
    is_scheme.then_some(scheme)
}

/// Where the path begins: behind `scheme://host`.
fn end_of_authority(url: &str) -> usize {
    let Some(scheme) = scheme(url) else { return 0 };
    let after = scheme.len() + 1;
    let rest = url.get(after..).unwrap_or_default();
    match rest.strip_prefix("//") {
        Some(host) => after + 2 + host.find(['/', '?', '#']).unwrap_or(host.len()),
        None => after,
    }
}

/// `.` and `..` resolved (RFC 3986 section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut pieces = path.split('/').peekable();
    while let Some(piece) = pieces.next() {
        let is_last = pieces.peek().is_none();
        match piece {
            "." if is_last => segments.push(""),
            "." => {}
            ".." => {
                if segments.len() > 1 {
                    segments.pop();
                }
                if is_last {
                    segments.push("");
                }
            }
            _ => segments.push(piece),
        }
    }
    segments.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved_as_rfc_3986_has_it() {
        let base = "http://a/b/c/d;p?q";
        for (location, expected) in [
            ("g:h", "g:h"),
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g"),
            ("g?y", "http://a/b/c/g?y"),
            ("g#s", "http://a/b/c/g#s"),
            (";x", "http://a/b/c/;x"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
        ] {
            assert_eq!(resolve(base, location), expected, "{location}");
        }
        assert_eq!(
            resolve("http://h.example", "x.gif"),
            "http://h.example/x.gif"
        );
        assert_eq!(resolve("", "x.gif"), "x.gif");
        assert_eq!(
            resolve(
                &resolve("http://h.example/graphs/", "Jul1998/21Jul98/"),
                "today.gif"
            ),
            "http://h.example/graphs/Jul1998/21Jul98/today.gif"
        );
    }
}
