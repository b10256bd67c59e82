//! What is known of a message that waits: a small file beside it, written anew after each attempt.
//!
//! `<id>.eml` is the message with its envelope on top, and never changes. `<id>.state` is what became
//! of it since. Without one all recipients wait and nothing was tried.

use std::time::{Duration, SystemTime};

/// A recipient who does not have the message yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) address: String,
    /// What was said the last time; empty before.
    pub(super) reply: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    /// Seconds since 1970, as all times here.
    pub(super) queued: u64,
    pub(super) next: u64,
    pub(super) attempts: u32,
    /// The sender knows that it is delayed.
    pub(super) is_told: bool,
    pub(super) waiting: Vec<Waiting>,
}

const HEAD: &str = "cdonts queue 1";

impl Ticket {
    pub(super) fn encode(&self) -> String {
        let mut text = format!(
            "{HEAD}\nqueued {}\nnext {}\nattempts {}\ntold {}\n",
            self.queued,
            self.next,
            self.attempts,
            u8::from(self.is_told)
        );
        for one in &self.waiting {
            text += &format!("to {}\t{}\n", one.address, one.reply);
        }
        // A file that was cut lacks it.
        text + "end\n"
    }

    pub(super) fn decode(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix("\nend\n")?.lines();
        (lines.next()? == HEAD).then_some(())?;
        let mut number = |name: &str| {
            let line = lines.next()?.strip_prefix(name)?;
            line.strip_prefix(' ')?.parse::<u64>().ok()
        };
        let (queued, next) = (number("queued")?, number("next")?);
        let (attempts, is_told) = (
            u32::try_from(number("attempts")?).ok()?,
            number("told")? == 1,
        );
        let waiting = lines.map(|line| {
            let (address, reply) = line.strip_prefix("to ")?.split_once('\t')?;
            Some(Waiting {
                address: address.to_owned(),
                reply: reply.to_owned(),
            })
        });
        Some(Self {
            queued,
            next,
            attempts,
            is_told,
            waiting: waiting.collect::<Option<_>>()?,
        })
    }
}

pub(super) fn seconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

pub(super) fn time_of(seconds: u64) -> SystemTime {
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_no_end() {
        let ticket = Ticket {
            queued: 1,
            next: 2,
            attempts: 3,
            is_told: false,
            waiting: ["no such friend", "later"]
                .map(|reply| Waiting {
                    address: "a@b.example".to_owned(),
                    reply: reply.to_owned(),
                })
                .to_vec(),
        };
        let text = ticket.encode();
        let cut = text.find("friend\n").unwrap() + "friend\n".len();
        assert_eq!(Ticket::decode(&text[..cut]), None);
        assert_eq!(Ticket::decode(&text), Some(ticket));
    }

    #[test]
    fn what_is_no_ticket_is_none() {
        let head = "cdonts queue 1\nqueued 1\nnext 2\nattempts 3\ntold 0";
        assert!(Ticket::decode(&format!("{head}\nend\n")).is_some());
        for text in [
            "\nend\n",
            "cdonts queue 2\nqueued 1\nnext 2\nattempts 3\ntold 0\nend\n",
            "cdonts queue 1\nend\n",
            "cdonts queue 1\nqueued\nnext 2\nattempts 3\ntold 0\nend\n",
            "cdonts queue 1\nqueued x\nnext 2\nattempts 3\ntold 0\nend\n",
            "cdonts queue 1\nnext 2\nattempts 3\ntold 0\nend\n",
            "cdonts queue 1\nqueued 1\nnext 2\nattempts 4294967296\ntold 0\nend\n",
            "cdonts queue 1\nqueued 1\nnext 2\nattempts 3\nend\n",
            &format!("{head}\nfor a@b\tlater\nend\n"),
            &format!("{head}\nto a@b\nend\n"),
        ] {
            assert_eq!(Ticket::decode(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_ticket_is_read_back_and_one_that_was_cut_is_none(
            numbers: (u64, u64, u32, bool),
            waiting in proptest::collection::vec(("[a-z@.]{1,20}", "[ -~]{0,30}"), 0..5),
        ) {
            let (queued, next, attempts, is_told) = numbers;
            let waiting = waiting
                .into_iter()
                .map(|(address, reply)| Waiting { address, reply })
                .collect();
            let ticket = Ticket { queued, next, attempts, is_told, waiting };
            let text = ticket.encode();
            for cut in 0..text.len() {
                proptest::prop_assert_eq!(Ticket::decode(&text[..cut]), None);
            }
            proptest::prop_assert_eq!(Ticket::decode(&text), Some(ticket));
        }
    }
}
