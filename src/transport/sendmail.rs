//! The way out by the `sendmail` program, which every Unix mail server has.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::relay::{Outcome, RelayMessage, Reply, Transport};
use crate::format::address::Address;

/// Hands messages to the `sendmail` program of the machine (Postfix, Exim, OpenSMTPD and others
/// have one): a [`Transport`].
///
/// ```
/// # fn main() -> cdonts::Result<()> {
/// let server = cdonts::MailServer::builder()
///     .relay(cdonts::Sendmail::new())
///     .open_temporary()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sendmail {
    program: PathBuf,
    timeout: Duration,
}

impl Default for Sendmail {
    fn default() -> Self {
        Self::new()
    }
}

/// What is told of a failure is the end of what the program says.
const MOST_SAID: usize = 4096;

impl Sendmail {
    /// `/usr/sbin/sendmail`.
    pub fn new() -> Self {
        Self::at("/usr/sbin/sendmail")
    }

    /// Another program that takes the same arguments.
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            timeout: Duration::from_mins(5),
        }
    }

    /// How long the program may take for a message; 5 minutes by default.
    pub fn timeout(mut self, time: Duration) -> Self {
        self.timeout = time;
        self
    }

    fn run(&self, message: &RelayMessage<'_>) -> Result<Outcome, String> {
        let doing =
            |text: &str, error: io::Error| format!("{}: {text}: {error}", self.program.display());
        let mut command = Command::new(&self.program);
        command
            .args(arguments(message)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        // What it starts itself ends with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command
            .spawn()
            .map_err(|error| doing("it cannot be started", error))?;
        let (input, errors) = (child.stdin.take(), child.stderr.take());
        // Neither is waited for without end: somebody it has started may hold its pipes.
        let content = message.content();
        let written = beside(move || {
            let mut input = input.ok_or(io::ErrorKind::BrokenPipe)?;
            content.write_to(&mut input)?;
            input.flush()
        });
        let said = beside(move || errors.map(last_of).unwrap_or_default());
        let status = self.wait(&mut child);
        let said = said.recv_timeout(PATIENCE).unwrap_or_default();
        let written = written
            .recv_timeout(PATIENCE)
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match (written, status) {
            // It has all of the message, and may have sent it.
            (Ok(()), Err(error)) => {
                let text = doing("it does not end", error);
                Ok(Outcome::Unknown(Reply::new(0, "4.3.0", text)))
            }
            (Err(_), Err(error)) => Err(doing("it does not end", error)),
            (Ok(()), Ok(status)) if status.success() => {
                Ok(Outcome::Accepted(Reply::new(0, "2.0.0", said)))
            }
            // It ended well on half a message: whether it sent that, nobody knows.
            (Err(error), Ok(status)) if status.success() => {
                let text = doing("it did not read all of the message", error);
                Ok(Outcome::Unknown(Reply::new(0, "4.3.0", text)))
            }
            (_, Ok(status)) => Ok(refusal(status, &said)),
        }
    }

    fn wait(&self, child: &mut Child) -> io::Result<ExitStatus> {
        let begin = Instant::now();
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if begin.elapsed() > self.timeout {
                end(child);
                child.wait()?;
                return Err(io::ErrorKind::TimedOut.into());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// How long what it says is waited for when it has ended.
const PATIENCE: Duration = Duration::from_secs(2);

/// Runs work in a thread, and gives its result when it is there.
fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (give, result) = mpsc::channel();
    let run = move || {
        let _ = give.send(work());
    };
    // Without a thread there is no result, as with one that takes too long.
    let _ = std::thread::Builder::new().spawn(run);
    result
}

/// Ends it, and on unix all that it has started.
fn end(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id())
        .ok()
        .and_then(rustix::process::Pid::from_raw)
    {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
}

/// No dot ends the message, and everything behind `--` is an address, whatever it looks like.
fn arguments(message: &RelayMessage<'_>) -> Result<Vec<OsString>, String> {
    let checked = |address: &str| {
        let parsed = Address::parse(address).map(|address| address.to_string());
        parsed.map_err(|reason| format!("an address {reason}"))
    };
    let sender = match message.reverse_path() {
        "" => String::new(),
        address => checked(address)?,
    };
    let mut arguments: Vec<OsString> = ["-i", "-f"].map(OsString::from).to_vec();
    arguments.push(match sender.as_str() {
        "" => "<>".into(),
        sender => sender.into(),
    });
    arguments.push("--".into());
    for address in message.recipients() {
        arguments.push(checked(address)?.into());
    }
    Ok(arguments)
}

/// By the exit codes of `sysexits.h`.
fn refusal(status: ExitStatus, said: &str) -> Outcome {
    let code = status.code().unwrap_or(0);
    let text = format!("sendmail ended with {status}: {said}");
    match code {
        // EX_DATAERR, EX_NOUSER, EX_NOHOST, EX_NOPERM
        65 | 67 | 68 | 77 => Outcome::Refused(Reply::new(0, "5.0.0", text)),
        // EX_USAGE and EX_CONFIG too: the owner can mend them.
        _ => Outcome::Deferred(Reply::new(0, "4.3.0", text)),
    }
}

fn last_of(mut from: impl std::io::Read) -> String {
    let mut last = Vec::new();
    let mut block = [0; 1024];
    loop {
        match from.read(&mut block) {
            Ok(count @ 1..) => last.extend_from_slice(block.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            _ => break,
        }
        last.drain(..last.len().saturating_sub(MOST_SAID));
    }
    String::from_utf8_lossy(&last).trim().to_owned()
}

/// So many recipients stand on one command line: systems bound its length.
const MOST_RECIPIENTS: usize = 100;

impl Transport for Sendmail {
    /// The program answers for all recipients at once, up to a hundred of them.
    fn send(&self, message: &RelayMessage<'_>) -> Vec<Outcome> {
        let some = message.recipients().chunks(MOST_RECIPIENTS);
        let outcomes = some.flat_map(|recipients| {
            let run = self.run(&message.to(recipients));
            let outcome =
                run.unwrap_or_else(|text| Outcome::Deferred(Reply::new(0, "4.3.0", text)));
            vec![outcome; recipients.len()]
        });
        outcomes.collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind, Read};

    use super::*;

    /// A program that handles signals finds its reads interrupted.
    struct Interrupted(usize);

    impl Read for Interrupted {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 += 1;
            match self.0 {
                1 | 3 => Err(ErrorKind::Interrupted.into()),
                2 => (&b"user "[..]).read(buffer),
                4 => (&b"unknown"[..]).read(buffer),
                _ => Err(Error::other("it is closed")),
            }
        }
    }

    #[test]
    fn what_it_says_is_read_to_its_end() {
        assert_eq!(last_of(Interrupted(0)), "user unknown");
    }

    #[test]
    fn what_is_no_address_is_no_argument() {
        let recipients = ["joe@example.net".to_owned(), "joe@".to_owned()];
        let message = |from, to| RelayMessage {
            id: "id",
            reverse_path: from,
            recipients: to,
            bytes: std::sync::Arc::new(Vec::new()),
            range: 0..0,
            credentials: None,
        };
        for message in [
            message("", &recipients[..]),
            message("joe", &recipients[..1]),
        ] {
            let outcomes = Sendmail::at("/bin/true").send(&message);
            assert!(
                outcomes
                    .iter()
                    .all(|one| matches!(one, Outcome::Deferred(_)))
            );
        }
    }
}
