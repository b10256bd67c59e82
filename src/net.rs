//! Connections that end when their time is over, and not a while after each octet; in the clear or
//! under TLS.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::ops::DerefMut;
use std::time::{Duration, Instant};

use rustls::{ConnectionCommon, SideData, StreamOwned};

#[cfg(any(feature = "smtp", feature = "pop3", feature = "imap"))]
pub(crate) mod client;
#[cfg(any(feature = "smtp", feature = "pop3", feature = "imap"))]
pub(crate) mod tls;

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

impl Timed {
    /// A program that handles signals, or was stopped for a while, finds its calls interrupted:
    /// those with a timeout are not begun again by the system.
    fn uninterrupted<T>(
        &mut self,
        mut call: impl FnMut(&mut Self) -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match call(self) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done.map_err(named),
            }
        }
    }

    /// A server that sends an answer in pieces waits for the acknowledgement of the first, which
    /// systems like to hold back for 40 ms.
    fn acknowledge_at_once(&self) {
        #[cfg(target_os = "linux")]
        let _ = rustix::net::sockopt::set_tcp_quickack(&self.stream, true);
    }
}

/// Where tests break it.
#[cfg_attr(
    not(test),
    expect(clippy::unnecessary_wraps, reason = "in tests it fails")
)]
fn pass() -> io::Result<()> {
    #[cfg(test)]
    crate::fuse::NET.with(crate::fuse::Fuse::burn)?;
    Ok(())
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.acknowledge_at_once();
        self.uninterrupted(|timed| {
            pass()?;
            timed.stream.set_read_timeout(Some(timed.left()?))?;
            timed.stream.read(buffer)
        })
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.uninterrupted(|timed| {
            pass()?;
            timed.stream.set_write_timeout(Some(timed.left()?))?;
            timed.stream.write(bytes)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// A connection in the clear, or under TLS; `C` is the side of it that this program has.
pub(crate) enum Channel<C> {
    Plain(Timed),
    Tls(Box<StreamOwned<C, Timed>>),
    /// Between the two, and after a handshake that failed.
    Gone,
}

impl<C> Channel<C> {
    #[cfg(any(feature = "smtp", feature = "listen"))]
    pub(crate) fn is_private(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    pub(crate) fn set_time(&mut self, time: Duration) {
        match self {
            Self::Plain(timed) => timed.set_time(time),
            Self::Tls(tls) => tls.sock.set_time(time),
            Self::Gone => {}
        }
    }
}

impl<C, S> Channel<C>
where
    C: DerefMut<Target = ConnectionCommon<S>>,
    S: SideData,
{
    /// Goes over to TLS, from the clear alone.
    pub(crate) fn start_tls(&mut self, mut session: C) -> io::Result<()> {
        let Self::Plain(mut timed) = std::mem::replace(self, Self::Gone) else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        while session.is_handshaking() {
            session.complete_io(&mut timed)?;
        }
        *self = Self::Tls(Box::new(StreamOwned::new(session, timed)));
        Ok(())
    }
}

impl<C, S> Read for Channel<C>
where
    C: DerefMut<Target = ConnectionCommon<S>>,
    S: SideData,
{
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(timed) => timed.read(buffer),
            Self::Tls(tls) => tls.read(buffer),
            Self::Gone => Ok(0),
        }
    }
}

impl<C, S> Write for Channel<C>
where
    C: DerefMut<Target = ConnectionCommon<S>>,
    S: SideData,
{
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(timed) => timed.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(timed) => timed.flush(),
            Self::Tls(tls) => tls.flush(),
            Self::Gone => Ok(()),
        }
    }
}
