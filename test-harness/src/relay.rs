//! A TCP relay between a proxy and its sidecar, which can fall silent or be cut.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinHandle};

/// What a relay does with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Pass,
    /// Keeps them, and keeps the connections.
    Hold,
    /// Keeps what the sidecar says; what it is told passes.
    HoldAnswers,
    /// Closes every connection.
    Cut,
}

/// A relay; it ends when it is dropped.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    target: Arc<Mutex<SocketAddr>>,
    mode: watch::Sender<Mode>,
    accepting: AbortHandle,
}

impl Relay {
    /// Begins to relay to `target`, at a free port of the loopback address.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let target = Arc::new(Mutex::new(target));
        let (mode, watched) = watch::channel(Mode::Pass);
        let accepting: JoinHandle<()> =
            tokio::spawn(accept(listener, Arc::clone(&target), watched));
        Ok(Self {
            address,
            target,
            mode,
            accepting: accepting.abort_handle(),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Relays new connections elsewhere.
    pub fn set_target(&self, target: SocketAddr) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// Bytes wait; connections stay.
    pub fn stall(&self) {
        self.mode.send_replace(Mode::Hold);
    }

    /// What the target says waits; connections stay, and what it is told passes.
    pub fn stall_answers(&self) {
        self.mode.send_replace(Mode::HoldAnswers);
    }

    /// Connections are closed, new ones too.
    pub fn cut(&self) {
        self.mode.send_replace(Mode::Cut);
    }

    /// Bytes pass.
    pub fn pass(&self) {
        self.mode.send_replace(Mode::Pass);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.mode.send_replace(Mode::Cut);
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    target: Arc<Mutex<SocketAddr>>,
    mode: watch::Receiver<Mode>,
) {
    while let Ok((near, _)) = listener.accept().await {
        if *mode.borrow() == Mode::Cut {
            continue;
        }
        let target = *target.lock().unwrap_or_else(PoisonError::into_inner);
        let mode = mode.clone();
        tokio::spawn(async move {
            let mut cut = mode.clone();
            if let Ok(far) = TcpStream::connect(target).await {
                let both = relay(near, far, &mode);
                tokio::select! {
                    () = both => {}
                    _ = cut.wait_for(|mode| *mode == Mode::Cut) => {}
                }
            }
        });
    }
}

async fn relay(near: TcpStream, far: TcpStream, mode: &watch::Receiver<Mode>) {
    // One or two batches are under way on a link: waiting for more only adds delay.
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (mut near_in, mut near_out) = near.into_split();
    let (mut far_in, mut far_out) = far.into_split();
    let there = copy(&mut near_in, &mut far_out, mode.clone(), &[Mode::Hold]);
    let held = [Mode::Hold, Mode::HoldAnswers];
    let back = copy(&mut far_in, &mut near_out, mode.clone(), &held);
    tokio::select! {
        _ = there => {}
        _ = back => {}
    }
}

async fn copy(
    from: &mut (impl tokio::io::AsyncRead + Unpin),
    to: &mut (impl tokio::io::AsyncWrite + Unpin),
    mut mode: watch::Receiver<Mode>,
    held: &[Mode],
) -> io::Result<()> {
    let mut buffer = vec![0u8; 64 * 1024];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        // What came while the relay holds passes when it lets pass again.
        if mode.wait_for(|mode| !held.contains(mode)).await.is_err() {
            return Ok(());
        }
        to.write_all(buffer.get(..count).unwrap_or_default())
            .await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn a_relay_that_stalls_answers_passes_what_is_said() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let relay = Relay::start(listener.local_addr().unwrap()).await.unwrap();
        let mut near = TcpStream::connect(relay.address()).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        relay.stall_answers();
        let mut byte = [0u8; 1];
        near.write_all(b"a").await.unwrap();
        far.read_exact(&mut byte).await.unwrap();
        far.write_all(b"b").await.unwrap();
        let wait = tokio::time::timeout(Duration::from_millis(100), near.read_exact(&mut byte));
        assert!(wait.await.is_err());
        relay.pass();
        near.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"b");
    }

    #[tokio::test]
    async fn a_stalled_relay_keeps_bytes_and_a_cut_one_closes() {
        let relay = Relay::start(echo().await).await.unwrap();
        let mut stream = TcpStream::connect(relay.address()).await.unwrap();
        let mut byte = [0u8; 1];
        stream.write_all(b"a").await.unwrap();
        stream.read_exact(&mut byte).await.unwrap();
        relay.stall();
        stream.write_all(b"b").await.unwrap();
        let wait = tokio::time::timeout(Duration::from_millis(100), stream.read_exact(&mut byte));
        assert!(wait.await.is_err());
        relay.pass();
        stream.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"b");
        relay.cut();
        assert_eq!(stream.read(&mut byte).await.unwrap_or(0), 0);
    }
}
