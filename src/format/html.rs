//! Text from HTML and HTML from text, for whichever of the two a message lacks.
//!
//! One pass, no recursion, no look back: hostile HTML costs what plain HTML costs.

mod entities;

use std::fmt::Write;

use entities::{LONGEST, decode_entities, decode_entity};

/// HTML that shows `text` as it is.
pub(crate) fn from_text(text: &str) -> String {
    from_text_within(text, usize::MAX).unwrap_or_default()
}

/// The same; `None` when it would have more than `most` octets.
pub(crate) fn from_text_within(text: &str, most: usize) -> Option<String> {
    const WIDEST: usize = "&quot;".len();
    let mut html = String::with_capacity(text.len().saturating_mul(WIDEST).min(most) + 64);
    html.push_str("<html><body>");
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\r' if characters.peek() == Some(&'\n') => {}
            '\r' | '\n' => html.push_str("<br>\r\n"),
            _ => html.push(character),
        }
        if html.len() > most {
            return None;
        }
    }
    html.push_str("</body></html>");
    Some(html)
}

/// The text that a reader of the HTML would see; links keep their address.
pub(crate) fn to_text(html: &str) -> String {
    to_text_within(html, usize::MAX).unwrap_or_default()
}

/// The same; `None` when it would have more than `most` octets.
pub(crate) fn to_text_within(html: &str, most: usize) -> Option<String> {
    let mut writer = Writer {
        most,
        ..Writer::default()
    };
    let mut rest = html;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        writer.text(before);
        rest = if from.starts_with('&') {
            writer.entity(from)
        } else {
            writer.markup(from)
        };
        if writer.is_too_long || writer.out.len() > most {
            return None;
        }
    }
    writer.text(rest);
    let is_too_long = writer.is_too_long;
    let text = writer.finish();
    (!is_too_long && text.len() <= most).then_some(text)
}

#[derive(Default)]
struct Writer {
    out: String,
    /// White space was seen since the last character.
    blank: bool,
    /// Line ends that are due before the next character.
    breaks: usize,
    /// Inside `pre`, white space is kept.
    preformatted: usize,
    /// Inside an element that is not shown: its name.
    hidden: Option<String>,
    /// Where the text of the current link began, and where it leads.
    link: Option<(usize, String)>,
    /// A quote in a tag was never closed: from there on tags end without regard to quotes.
    ignores_quotes: bool,
    /// The longest text that is wanted.
    most: usize,
    is_too_long: bool,
}

impl Writer {
    fn text(&mut self, text: &str) {
        if self.hidden.is_none() {
            for character in text.chars() {
                self.character(character);
            }
        }
    }

    fn character(&mut self, character: char) {
        if character.is_ascii_whitespace() && self.preformatted == 0 {
            self.blank = true;
            return;
        }
        if self.preformatted > 0 && matches!(character, '\r' | '\n') {
            if character == '\n' {
                self.breaks += 1;
            }
            return;
        }
        self.settle();
        self.out.push(character);
    }

    /// Writes the white space that is due.
    fn settle(&mut self) {
        if self.out.is_empty() {
            self.breaks = 0;
            self.blank = false;
        }
        if self.out.len().saturating_add(self.breaks.saturating_mul(2)) > self.most {
            self.is_too_long = true;
        } else if self.breaks > 0 {
            let trimmed = self.out.trim_end_matches(' ').len();
            self.out.truncate(trimmed);
            self.out.extend(std::iter::repeat_n("\r\n", self.breaks));
        } else if self.blank {
            self.out.push(' ');
        }
        self.breaks = 0;
        self.blank = false;
    }

    fn at_least(&mut self, breaks: usize) {
        self.breaks = self.breaks.max(breaks);
    }

    /// `from` begins with `&`; returns what follows the entity.
    fn entity<'a>(&mut self, from: &'a str) -> &'a str {
        let end = from
            .bytes()
            .take(LONGEST)
            .position(|byte| byte == b';')
            .unwrap_or(0);
        let name = from.get(1..end).unwrap_or_default();
        match decode_entity(name) {
            Some(character) => {
                if self.hidden.is_none() {
                    if character == '\u{a0}' {
                        self.settle();
                        self.out.push(' ');
                    } else {
                        self.character(character);
                    }
                }
                from.get(end + 1..).unwrap_or_default()
            }
            None => {
                self.text("&");
                from.get(1..).unwrap_or_default()
            }
        }
    }

    /// `from` begins with `<`; returns what follows the tag or comment.
    fn markup<'a>(&mut self, from: &'a str) -> &'a str {
        if let Some(hidden) = &self.hidden {
            // Only its own end tag ends it: a script may hold anything that looks like a tag.
            let name = from.get(2..2 + hidden.len()).unwrap_or_default();
            if !from.starts_with("</") || !name.eq_ignore_ascii_case(hidden) {
                return from.get(1..).unwrap_or_default();
            }
        }
        if let Some(comment) = from.strip_prefix("<!--") {
            return comment.split_once("-->").map_or("", |(_, rest)| rest);
        }
        let begins = from
            .chars()
            .nth(1)
            .is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '!' | '?'));
        if !begins {
            self.text("<");
            return from.get(1..).unwrap_or_default();
        }
        let end = self.tag_end(from);
        let tag = from.get(1..end).unwrap_or_default();
        self.tag(tag);
        from.get(end + 1..).unwrap_or_default()
    }

    fn tag(&mut self, tag: &str) {
        let (closing, tag) = match tag.strip_prefix('/') {
            Some(tag) => (true, tag),
            None => (false, tag),
        };
        let name_len = tag
            .find(|c: char| !c.is_ascii_alphanumeric())
            .unwrap_or(tag.len());
        let (name, attributes) = tag.split_at_checked(name_len).unwrap_or((tag, ""));
        let name = name.to_ascii_lowercase();
        if let Some(hidden) = &self.hidden {
            if closing && *hidden == name {
                self.hidden = None;
            }
            return;
        }
        match name.as_str() {
            // In XHTML it may end itself; a slash of an attribute's value is another thing.
            "script" | "style" | "title" | "template"
                if !closing && attributes != "/" && !attributes.ends_with(" /") =>
            {
                self.hidden = Some(name);
            }
            "br" => self.breaks += 1,
            "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "ul" | "ol" | "table"
            | "blockquote" => self.at_least(2),
            "pre" => {
                self.at_least(2);
                self.preformatted = if closing {
                    self.preformatted.saturating_sub(1)
                } else {
                    self.preformatted + 1
                };
            }
            "div" | "tr" | "dt" | "dd" | "section" | "article" | "header" | "footer" => {
                self.at_least(1);
            }
            "li" => {
                self.at_least(1);
                if !closing {
                    self.text("* ");
                    self.blank = true;
                }
            }
            "td" | "th" => self.blank = true,
            "hr" => {
                self.at_least(1);
                self.text("---");
                self.at_least(1);
            }
            "a" if closing => self.end_link(),
            "a" => {
                self.end_link();
                if let Some(target) = attribute(attributes, "href") {
                    self.link = Some((self.out.len(), target));
                }
            }
            "img" => {
                if let Some(text) = attribute(attributes, "alt") {
                    self.text(&text);
                }
            }
            _ => {}
        }
    }

    /// Where the tag ends: at the first `>` outside quoted attribute values, or at the end.
    fn tag_end(&mut self, from: &str) -> usize {
        if !self.ignores_quotes {
            if let Some(end) = quoted_tag_end(from) {
                return end;
            }
            self.ignores_quotes = true;
        }
        from.find('>').unwrap_or(from.len())
    }

    fn end_link(&mut self) {
        let Some((start, target)) = self.link.take() else {
            return;
        };
        let text = self.out.get(start..).unwrap_or_default().trim();
        let shown = target.strip_prefix("mailto:").unwrap_or(&target);
        let leads_somewhere = ["http://", "https://", "mailto:", "ftp://"]
            .iter()
            .any(|scheme| target.starts_with(scheme));
        if leads_somewhere && text != shown {
            let _ = write!(self.out, " <{shown}>");
        }
    }

    fn finish(mut self) -> String {
        self.end_link();
        let end = self.out.trim_end().len();
        self.out.truncate(end);
        self.out
    }
}

fn quoted_tag_end(from: &str) -> Option<usize> {
    let mut quote = None;
    let mut previous = b' ';
    for (index, byte) in from.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(index),
            (None, b'"' | b'\'') if previous == b'=' => quote = Some(byte),
            (Some(open), _) if open == byte => quote = None,
            _ => {}
        }
        if byte != b' ' {
            previous = byte;
        }
    }
    None
}

/// The value of an attribute, entities decoded.
fn attribute(attributes: &str, name: &str) -> Option<String> {
    const MOST: usize = 16 * 1024;
    let attributes = attributes.get(..attributes.floor_char_boundary(MOST))?;
    let lower = attributes.to_ascii_lowercase();
    let mut from = 0;
    let value = loop {
        let at = from + lower.get(from..)?.find(name)?;
        from = at + name.len();
        let starts_word = lower
            .get(..at)
            .is_some_and(|before| before.ends_with([' ', '\t', '\r', '\n', '/', '"', '\'']));
        let after = attributes.get(from..)?.trim_start();
        if let Some(value) = after.strip_prefix('=').filter(|_| starts_word) {
            break value.trim_start();
        }
    };
    let value = match value.chars().next()? {
        quote @ ('"' | '\'') => value.get(1..)?.split(quote).next()?,
        _ => value.split([' ', '\t', '\r', '\n', '>']).next()?,
    };
    Some(decode_entities(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_becomes_the_text_that_a_reader_sees() {
        for (html, text) in [
            ("<p>A &amp; B</p>", "A & B"),
            ("a<br>b<BR/>c", "a\r\nb\r\nc"),
            ("<p>one</p>\n<p>two  \n words</p>", "one\r\n\r\ntwo words"),
            (
                "<style>p{}</style>x<script>if (a<b) alert('<p>')</SCRIPT>y",
                "xy",
            ),
            ("<script>a = '</b>' + '</i>' + secret</script>y", "y"),
            ("<script>a = '<xscript>' + secret</script>y", "y"),
            ("<head><title>t</title></head><body>x", "x"),
            (
                "see <a href=\"https://x.example/?a=1&amp;b\">this</a>.",
                "see this <https://x.example/?a=1&b>.",
            ),
            ("<a href='mailto:a@x'>a@x</a>", "a@x"),
            ("<ul><li>one<li>two</ul>", "* one\r\n* two"),
            (
                "1 < 2 && 3 > 2 &bogus; &#8364; &#x41;",
                "1 < 2 && 3 > 2 &bogus; € A",
            ),
            ("<!-- hidden --><b>bold</b><!-- open", "bold"),
            ("<pre>a  b\n c</pre>", "a  b\r\n c"),
            ("&amp;lt;", "&lt;"),
            ("<a title=\"a > b\">x</a>", "x"),
            ("x <a href=", "x"),
        ] {
            assert_eq!(to_text(html), text, "{html}");
        }
    }

    #[test]
    fn text_becomes_html_that_shows_it() {
        assert_eq!(
            from_text("x < y & \"z\"\nnext"),
            "<html><body>x &lt; y &amp; &quot;z&quot;<br>\r\nnext</body></html>"
        );
        let html = from_text("x < y\r\n&amp;");
        assert_eq!(to_text(&html), "x < y\r\n&amp;");
        assert!(from_text_within(&"\"".repeat(99), 500).is_none());
        assert!(to_text_within(&"<hr>".repeat(99), 300).is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_html_makes_it_panic(html in "[<>/&;='\"a-h!# \\-é]{0,60}") {
            to_text(&html);
        }
    }
}
