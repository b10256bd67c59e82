//! Connections that end when their time is over, and not a while after each octet.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// The octets of a connection, up to a time that is set anew for each step.
pub(crate) struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

/// A time that no clock reaches is a very long one.
pub(crate) fn after(time: Duration) -> Instant {
    const LONG: Duration = Duration::from_hours(24);
    let now = Instant::now();
    now.checked_add(time.min(LONG)).unwrap_or(now)
}

/// What the system calls a timeout differs.
pub(crate) fn named(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => too_slow(),
        _ => error,
    }
}

fn too_slow() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the other side is too slow")
}

impl Timed {
    pub(crate) fn new(stream: TcpStream, time: Duration) -> Self {
        let deadline = after(time);
        Self { stream, deadline }
    }

    pub(crate) fn set_time(&mut self, time: Duration) {
        self.deadline = after(time);
    }

    fn left(&self) -> io::Result<Duration> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(too_slow());
        }
        Ok(left)
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(Some(self.left()?))?;
        self.stream.read(buffer).map_err(named)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(Some(self.left()?))?;
        self.stream.write(bytes).map_err(named)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}
