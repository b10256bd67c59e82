//! What is wrong with a message and how it was read nevertheless, in words for a person.

use super::Reading;
use crate::error::{Problem, Result};
use crate::format::body;
use crate::format::fields::{self, Field};
use crate::format::structure::Encoding;

/// Fields of which a message has one (RFC 5322 section 3.6). Of To and Cc all are read.
const SINGLE: [&str; 6] = [
    "From",
    "Date",
    "Subject",
    "Reply-To",
    "Message-ID",
    "Content-Type",
];

impl Reading {
    pub(crate) fn problems(&self) -> Result<Vec<Problem>> {
        let parsed = self.parsed()?;
        let mut problems = parsed.structure.problems.clone();
        let mut say = |text: String| {
            let problem = Problem::new(text);
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        };
        self.header_problems(&mut say)?;
        for index in [parsed.text, parsed.html] {
            if let Some((_, found)) = self.body(parsed.part(index))? {
                found
                    .iter()
                    .for_each(|problem| say(problem.text().to_owned()));
            }
        }
        for part in &parsed.structure.parts {
            if let Encoding::Unknown(name) = &part.encoding {
                say(format!(
                    "the transfer encoding `{name}` is not known; the part is shown as it is"
                ));
            }
        }
        self.attachment_problems(&mut say)?;
        Ok(problems)
    }

    fn header_problems(&self, say: &mut dyn FnMut(String)) -> Result<()> {
        let parsed = self.parsed()?;
        let section = parsed.header();
        for name in ["Date", "From"] {
            if fields::first(section, name).is_none() {
                say(format!("the field `{name}` is missing"));
            }
        }
        for name in SINGLE {
            if fields::fields(section)
                .filter(|field| field.is(name))
                .nth(1)
                .is_some()
            {
                say(format!(
                    "the field `{name}` stands there more than once; the first counts"
                ));
            }
        }
        for field in fields::fields(section).filter(has_raw_bytes) {
            say(format!(
                "the field `{}` holds unencoded characters that are no UTF-8; they are read as \
                 windows-1252",
                field.name
            ));
        }
        if self.value("Date")?.is_some() && self.time_sent()?.is_none() {
            say("the field `Date` holds no date".to_owned());
        }
        let entries = self.value("From")?;
        if entries.is_some() && self.sender()?.address.is_empty() {
            say("the field `From` holds no address".to_owned());
        }
        if parsed.structure.is_all_header && fields::first_foreign(section).is_some() {
            say("no empty line stands between the header and the text".to_owned());
        }
        Ok(())
    }

    /// Reads what is encoded to its end: how else would one know?
    fn attachment_problems(&self, say: &mut dyn FnMut(String)) -> Result<()> {
        for attachment in &self.attachments()? {
            let mut reader = attachment.part().decoded()?;
            if matches!(
                attachment.part().part().encoding,
                Encoding::Identity | Encoding::Unknown(_)
            ) {
                continue;
            }
            body::copy(&mut reader, |_| Ok(()))?;
            if reader.is_damaged() {
                say(format!(
                    "the attachment `{}` is encoded wrongly; what could be read is given",
                    attachment.name()
                ));
            }
        }
        Ok(())
    }
}

fn has_raw_bytes(field: &Field<'_>) -> bool {
    std::str::from_utf8(field.raw).is_err()
}
